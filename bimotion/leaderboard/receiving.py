"""The keeper's side of a submission: verified, its name admitted, and a receipt written; or
refused.

An earlier receipt is withdrawn where the files are no longer those that it lists. Of the same files
it stays, whatever refuses them today: it may hold a reproduction that took days, and what refuses
them may be a setting.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from bimotion.errors import RecordError, SettingError, printable
from bimotion.io import files
from bimotion.leaderboard import (
    entry_cache,
    organisations,
    receipt,
    received_names,
    recomputations,
    unlabelled,
    verify,
)
from bimotion.leaderboard.admission import BASELINES, RESERVED, is_reserved
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.leaderboard.receipt import Receipt
from bimotion.leaderboard.reproduction import Reproduction
from bimotion.leaderboard.signature import BoardKeys
from bimotion.leaderboard.verify import Verdict
from bimotion.results import predictions, record
from bimotion.results.record import PREDICTIONS_FILE, RESULT_FILE, Result

LET_LABELS_BE_READ = (
    "the predictions hold no labels; entry.npz beside the receipt lets who has both work them out: "
    "publish it only where labels may be"
)

NOT_COUNTED = (
    "only checked: scores of a hidden test are counted and told with a key to sign the receipt only"
)


def receive(
    submissions: Path,
    names: Sequence[str],
    answer_key: AnswerKey,
    *,
    receipts: Path | None = None,
    practice: bool = False,
    baseline: bool = False,
    organisation_proof: str | None = None,
    keys: BoardKeys | None = None,
) -> list[Verdict]:
    """Verify submissions and write receipts of those that are sound. A name that can be mistaken
    for another entry's is refused. On a board with keys nothing is written, or withdrawn, without
    one to sign with: anybody can check a submission so.

    Args:
        submissions: their folder.
        names: `<organisation>__<model>/<run key>` below it.
        answer_key: what they are held against.
        receipts: their folder; None: `receipts` beside that of the submissions.
        practice: as for `verify`.
        baseline: the one submission is a baseline that the keeper made; no other may be called
            bimotion/...
        organisation_proof: how the keeper knows that who sent the one submission belongs to its
            organisation (organisations.py); receipt.NO_PROOF: the Hub names no such member, so a
            proof of before by the Hub is withdrawn; None: not known.
        keys: of the board (`receipt.keys_for`), with one to sign with; None: those that lie beside
            the submissions, and none to sign with.

    Raises:
        SettingError: for receipts inside the submissions, and where `baseline` or
            `organisation_proof` is said of several: each speaks of one run.

    Example::

        [verdict] = receive(Path("leaderboard/submissions"), ["lab__model/0123456789ab"],
        AnswerKey.of_corpora(CorpusSource.of("/corpora")))
    """
    folder = receipt.folder_for(submissions, receipts)
    board_keys = receipt.keys_for(submissions, receipts=receipts) if keys is None else keys
    _require_one(names, baseline, organisation_proof)
    paths = [submissions / name for name in names]
    verdicts = dict(
        zip(names, verify.verify_all(paths, answer_key, practice=practice), strict=True)
    )
    is_proved = organisation_proof == organisations.BY_KEEPER
    with _one_at_a_time(folder, verdicts, board_keys):
        _admit(
            submissions,
            folder,
            verdicts,
            board_keys,
            practice=practice,
            baseline=baseline,
            is_proved=is_proved,
        )
        for name, verdict in verdicts.items():
            entry = None
            if verdict.ok and (answer_key.hidden is None or board_keys.why_unsigned is None):
                entry = _entry(submissions / name, folder, verdict, answer_key)
            elif verdict.ok:
                verdict.warnings.append(NOT_COUNTED)
            if not verdict.ok:
                _withdraw_if_changed(folder, name, verdict, board_keys)
            elif board_keys.why_unsigned is None:
                proof = _proof(folder, name, verdict, organisation_proof, board_keys)
                receipt.write(
                    folder,
                    name,
                    verdict.hashes,
                    practice=practice,
                    baseline=is_reserved(verdict.submission.organisation),
                    organisation_proof=proof,
                    entry=entry,
                    keys=board_keys,
                )
    return list(verdicts.values())


def _require_one(names: Sequence[str], baseline: bool, organisation_proof: str | None) -> None:
    reason = f"expected one submission, found {len(names)}"
    if baseline and len(names) != 1:
        raise SettingError(f"a baseline is verified by itself: {reason}")
    if organisation_proof is not None and len(names) != 1:
        raise SettingError(f"whose a submission is, is said of one by itself: {reason}")


@contextmanager
def _one_at_a_time(
    receipts: Path, verdicts: Mapping[str, Verdict], keys: BoardKeys
) -> Iterator[None]:
    """A lock on the receipts, where some may be written or withdrawn: of two names that look alike
    and are verified at once, the second then finds the receipt of the first."""
    is_changed = any(
        verdict.ok or (receipts / name / receipt.RECEIPT_FILE).exists()
        for name, verdict in verdicts.items()
    )
    if keys.why_unsigned is not None or not is_changed:
        yield
        return
    with _locked(receipts):
        yield


def lock_file(receipts: Path) -> Path:
    """The file whose lock is held by whoever changes a receipt: in the cache, for the folder of
    receipts may be part of a repository."""
    address = hashlib.sha256(os.fsencode(os.path.realpath(receipts))).hexdigest()[:24]
    return files.cache_dir() / "receiving" / f"{address}.lock"


def _locked(receipts: Path) -> AbstractContextManager[None]:
    waiting = f"{receipts}: waiting for another process that changes receipts there"
    return files.locked(lock_file(receipts), waiting=waiting)


def _proof(
    receipts: Path, name: str, verdict: Verdict, given: str | None, keys: BoardKeys
) -> str | None:
    """The proof of the organisation to write; a note of the verdict says where it is not the one
    that was given."""
    earlier = receipt.earlier(receipts, name, keys)
    if earlier is None or earlier.why_not(name, verdict.hashes, practice=True) is not None:
        return given
    proof, line = organisations.beside_word_of_keeper(given, earlier.organisation_proof)
    if line is not None:
        verdict.warnings.append(printable(line))
    return proof


def _admit(
    submissions: Path,
    receipts: Path,
    verdicts: Mapping[str, Verdict],
    keys: BoardKeys,
    *,
    practice: bool,
    baseline: bool,
    is_proved: bool,
) -> None:
    """Add to verdicts why names are not admitted."""
    for name, verdict in verdicts.items():
        if verdict.ok and (reason := _why_reserved(receipts, name, verdict, baseline, keys)):
            verdict.problems.append(reason)
    received = received_names.Folders(submissions, receipts, keys, practice=practice)
    sound = [name for name, verdict in verdicts.items() if verdict.ok]
    for name, reason in received_names.why_mistaken(sound, received, is_proved).items():
        verdicts[name].problems.append(reason)


def _withdraw_if_changed(receipts: Path, name: str, verdict: Verdict, keys: BoardKeys) -> None:
    """Remove the receipt of a submission that is refused, if it lists other files and the keeper
    can sign; say what becomes of it."""
    where = receipts / name
    is_there, is_keeper = os.path.lexists(where / receipt.RECEIPT_FILE), keys.why_unsigned is None
    reason = receipt.why_withdrawn(receipts, name, verdict.hashes) if is_there else None
    if is_keeper and (reason is not None or not is_there):
        receipt.withdraw(receipts, name)
    if reason is not None and is_keeper:
        verdict.warnings.append(f"its receipt was withdrawn: {reason}")
    elif is_there and reason is None:
        stays = _why_it_stays(verdict, receipt.earlier(receipts, name, keys) is not None)
        verdict.warnings.append(f"{stays}, remove {printable(str(where))}")


def _why_it_stays(verdict: Verdict, is_counted: bool) -> str:
    """Say why a receipt stays, up to what a keeper can do; `is_counted`: on the board."""
    if not verdict.hashes:
        return (
            "its receipt stays: the files cannot be read, so nobody knows whether they changed; "
            "to withdraw it"
        )
    same = "these are the files that it was written for"
    if is_counted:
        return (
            f"its receipt stays and still counts on the board ({same}): to take the entry off the "
            "board"
        )
    return f"its receipt stays ({same}): to withdraw it"


@dataclass(frozen=True)
class Received:
    """A submission whose receipt holds for its files."""

    receipts: Path
    keys: BoardKeys
    receipt: Receipt
    result: Result
    """As submitted."""
    predictions: pd.DataFrame
    """Columns of results/predictions.py."""

    def reproduced(self, reproduction: Reproduction) -> None:
        """Add the keeper's own run to the receipt.

        Raises:
            SettingError: where the receipt was withdrawn, or speaks of other files, since; and on
                a board with keys without one to sign with.
            RecordError: where it breaks its schema, or no key signed it, since.
        """
        if self.keys.why_unsigned is not None:
            raise SettingError(self.keys.why_unsigned)
        with _locked(self.receipts):
            # a run may take days
            there = receipt.load(self.receipts, self.receipt.submission, self.keys)
            if there is None or there.sha256 != self.receipt.sha256:
                raise SettingError(
                    f"{self.receipt.submission}: expected the receipt that it had before the run, "
                    f"found {'none' if there is None else 'one of other files'}: verify it, and "
                    "run this again (what was run is kept)"
                )
            receipt.save(self.receipts, replace(there, reproduction=reproduction), self.keys)


def received(
    submissions: Path,
    name: str,
    receipts: Path | None = None,
    keys: BoardKeys | None = None,
) -> Received:
    """A submission that was received.

    Args:
        submissions: folder of submissions.
        name: `<organisation>__<model>/<run key>` below it.
        receipts: as of `receive`, like the next.
        keys: of the board.

    Raises:
        SettingError: where no receipt holds for it.
        RecordError: where its receipt breaks its schema, or is not signed.
    """
    folder, path = receipt.folder_for(submissions, receipts), submissions / name
    board_keys = receipt.keys_for(submissions, receipts=receipts) if keys is None else keys
    if not path.is_dir():
        raise SettingError(f"{path}: expected the folder of a submission, found none")
    held, hashes = receipt.load(folder, name, board_keys), receipt.digests(path)
    reason = "no receipt" if held is None else held.why_not(name, hashes, practice=True)
    if reason is not None:
        raise SettingError(
            f"{path}: expected a submission that was verified, found {reason}: run `bimotion "
            "leaderboard verify` first"
        )
    table = predictions.read(path / PREDICTIONS_FILE).to_pandas()
    return Received(folder, board_keys, held, record.load(path / RESULT_FILE), table)


def _why_reserved(
    receipts: Path, name: str, verdict: Verdict, baseline: bool, keys: BoardKeys
) -> str | None:
    model = verdict.result.model.name
    if not is_reserved(verdict.submission.organisation):
        expected = f"model: expected a baseline ({', '.join(BASELINES)}), found {model}"
        return expected if baseline else None
    if model not in BASELINES:
        return f"model: {RESERVED}/* is reserved for {', '.join(BASELINES)}; found {model}"
    if baseline or _is_baseline(receipts, name, verdict, keys):
        return None
    return (
        f"model: {RESERVED}/* is reserved for baselines that the keeper made: if you made "
        "this one, verify it with --baseline"
    )


def _is_baseline(receipts: Path, name: str, verdict: Verdict, keys: BoardKeys) -> bool:
    """Return whether the keeper has said so before, of these very files."""
    earlier = receipt.earlier(receipts, name, keys)
    if earlier is None or not earlier.baseline:
        return False
    return earlier.why_not(name, verdict.hashes, practice=True) is None


def _entry(folder: Path, receipts: Path, verdict: Verdict, answer_key: AnswerKey) -> bytes | None:
    """The content of entry.npz; what cannot stand on a board is a problem of the verdict."""
    try:
        return _computed(folder, receipts, verdict, answer_key)
    except RecordError as error:
        verdict.problems.append(printable(str(error)))
        return None


def _computed(folder: Path, receipts: Path, verdict: Verdict, answer_key: AnswerKey) -> bytes:
    """The content of entry.npz. Of a hidden test it is counted before anybody hears of it.

    Raises:
        RecordError: where it cannot stand on a board, or its submitter has used up a month.
    """
    if verdict.has_labels:
        return entry_cache.prepare(folder, verdict.result)
    rows, hidden = unlabelled.scored(folder, verdict.result, answer_key), answer_key.hidden
    try:
        entry = entry_cache.prepare(folder, verdict.result, rows=rows, hidden=hidden)
    except RecordError:
        if hidden is None:
            raise
        # its reason may quote a score to the last digit
        raise RecordError("it cannot stand on a board; why not, a hidden test cannot say") from None
    if hidden is None:
        verdict.warnings.append(LET_LABELS_BE_READ)
        return entry
    statement = verdict.submission
    names = {"organisation": statement.organisation, "contact": statement.contact}
    if hidden.submitter:  # else anybody could use up the number of whoever they name
        names = {"account": hidden.submitter}
    if reason := recomputations.why_not_counted(
        receipts, verdict.hashes, names, hidden.max_per_month
    ):
        raise RecordError(reason)
    shown = entry_cache.load(verdict.hashes, entry)
    verdict.warnings.append(hidden.feedback(shown.entry))
    return entry
