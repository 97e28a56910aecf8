"""The receiver's side of a submission: verified, its name admitted, and a receipt written; or
refused, and none left.

Only where the reference cannot check a submission, an earlier receipt stays: it holds for the very
files it lists."""

from collections.abc import Sequence
from pathlib import Path

from bimotion.errors import RecordError, SettingError, printable
from bimotion.leaderboard import entry_cache, lookalikes, receipt, verify
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.leaderboard.submission import BASELINES, RESERVED, is_reserved
from bimotion.leaderboard.verify import Verdict


def receive(
    submissions: Path,
    names: Sequence[str],
    reference: AnswerKey,
    *,
    receipts: Path | None = None,
    practice: bool = False,
    baseline: bool = False,
) -> list[Verdict]:
    """Verify submissions, `<organisation>__<model>/<run key>` below a folder, and write receipts of
    those that are sound.

    receipts   their folder; None: `receipts` beside that of the submissions
    practice   as for `verification.verify`
    baseline   the one submission is a baseline that the receiver made; no other may be called
               bimotion/...

    A name that can be mistaken for another entry's is refused. Raises SettingError for receipts
    inside the submissions, and for several baselines at once: whoever says that a run is their own
    says it of one.

    Example::

        [verdict] = receive(Path("leaderboard/submissions"), ["lab__model/0123456789ab"],
        AnswerKey.of_corpora(CorpusSource.of("/corpora")))
    """
    place = receipt.folder_for(submissions, receipts)
    if baseline and len(names) != 1:
        raise SettingError(
            f"a baseline is verified by itself: expected one submission, found {len(names)}"
        )
    verdicts = verify.verify_all(
        [submissions / name for name in names], reference, practice=practice
    )
    sound = {name: verdict for name, verdict in zip(names, verdicts, strict=True) if verdict.ok}
    for name, verdict in sound.items():
        if reason := _why_reserved(place, name, verdict, baseline):
            verdict.problems.append(reason)
    for name, reason in _why_mistaken(
        submissions, place, [name for name in sound if sound[name].ok]
    ).items():
        sound[name].problems.append(reason)
    for name, verdict in zip(names, verdicts, strict=True):
        if verdict.ok:
            _write(submissions, place, name, verdict, practice)
        # a keeper's wrong corpora say nothing against what was found before
        if not verdict.ok and not verdict.is_unchecked:
            receipt.withdraw(place, name)
    return verdicts


def _why_reserved(receipts: Path, name: str, verdict: Verdict, baseline: bool) -> str | None:
    model = verdict.result.model.name
    if not is_reserved(verdict.submission.organisation):
        return (
            f"model: expected a baseline ({', '.join(BASELINES)}), found {model}"
            if baseline
            else None
        )
    if model not in BASELINES:
        return f"model: {RESERVED}/* is reserved for {', '.join(BASELINES)}; found {model}"
    if baseline or _is_baseline(receipts, name, verdict):
        return None
    return (
        f"model: {RESERVED}/* is reserved for baselines that the receiver made: if you made "
        "this one, verify it with --baseline"
    )


def _is_baseline(receipts: Path, name: str, verdict: Verdict) -> bool:
    """Whether the receiver has said so before, of these very files."""
    try:
        found = receipt.load(receipts, name)
    except RecordError:
        return False
    return (
        found is not None
        and found.baseline
        and found.why_not(name, verdict.hashes, practice=True) is None
    )


def _why_mistaken(submissions: Path, receipts: Path, names: Sequence[str]) -> dict[str, str]:
    """Submission -> why its name is refused: another that has a receipt looks like it, or another
    that is verified with it."""
    new = {name.partition("/")[0] for name in names}
    known = [
        path.parent.relative_to(receipts) for path in receipts.glob(f"*/*/{receipt.RECEIPT_FILE}")
    ]
    earlier = {place.parts[0] for place in known if (submissions / place).is_dir()}
    reasons = {}
    for model, others in lookalikes.mistaken(new | earlier).items():
        before = [other for other in others if other in earlier]
        if model in new and (before or model not in earlier):
            told = (
                "that has a receipt" if before else "that is verified at the same time: remove one"
            )
            reasons[model] = (
                f"name: {model} can be mistaken for {', '.join(before or others)[:200]}, {told}"
            )
    return {name: reasons[model] for name in names if (model := name.partition("/")[0]) in reasons}


def _write(submissions: Path, receipts: Path, name: str, verdict: Verdict, practice: bool) -> None:
    """Write the receipt; what cannot stand on a board is a problem of the verdict."""
    try:
        entry = entry_cache.prepare(submissions / name, verdict.result)
    except RecordError as error:
        verdict.problems.append(printable(str(error)))
        return
    baseline = is_reserved(verdict.submission.organisation)
    receipt.write(receipts, name, verdict.hashes, practice=practice, baseline=baseline, entry=entry)
