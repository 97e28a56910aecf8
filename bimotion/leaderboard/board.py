"""The board: every submission below a folder as an entry, ranked among those that answer the same
question.

What one submission needs is computed once, when it is verified (entry_cache.py), so a board of a
thousand is made anew in seconds when one arrives. Ranks hold within a class: the same track, split,
schema, protocol, test cells and clips. Only what the keeper ran again is ranked, of models that
anybody can have: nobody is pushed down by predictions that nobody else has made. A second ranking
takes in the recomputed ones. Which are which is told by receipts outside of the submissions
(receipt.py), by nothing that a submission brings.
"""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bimotion.errors import RecordError, printable
from bimotion.io import files, records
from bimotion.io.records import Record, refuse_others
from bimotion.leaderboard import (
    admission,
    entry_cache,
    lookalikes,
    organisations,
    ranking,
    receipt,
    submission,
)
from bimotion.leaderboard.entry import METRIC, Entry, HumanRow
from bimotion.leaderboard.published_rows import PublishedRow, published_rows
from bimotion.leaderboard.ranking import RankingClass
from bimotion.leaderboard.reproduction import Reproduction
from bimotion.leaderboard.scored import ScoredSubmission
from bimotion.leaderboard.signature import BoardKeys
from bimotion.results import predictions, record
from bimotion.results.human import AGAINST
from bimotion.results.record import PREDICTIONS_FILE, RESULT_FILE

BOARD_VERSION = 6
BOARD_FILE = "board.json"
VERSION_FIELD = "board_version"
SCHEMA_FILE = "board.schema.json"
MAX_REASON = 500
PARALLEL_FROM = 8
"""Submissions to be computed, from which it is worth starting processes."""
MAX_TOGETHER = 64
"""Submissions that a process computes in one go: one interpreter starts the processes that
read their files first."""
SYNTHETIC, INCOMPLETE = "synthetic data", "incomplete corpora"
"""How the reasons begin for which only a board for practice has an entry."""


@dataclass(frozen=True)
class Excluded(Record):
    """A submission that is no entry."""

    id: str
    """Its folder below the submissions."""
    reason: str
    """Why it is none."""

    @property
    def is_for_practice(self) -> bool:
        """A board for practice would have it."""
        return self.reason.startswith((SYNTHETIC, INCOMPLETE))


@dataclass(frozen=True)
class Board(Record):
    """The content of board.json."""

    entries: list[Entry]
    """Class by class, in the order of `comparable`; in a class those that are ranked, then the
    others, best first."""
    comparable: list[RankingClass]
    """The classes, in the order that RankingClass states."""
    references: list[PublishedRow]
    """Published rows, as printed."""
    human: list[HumanRow]
    """Human raters, where a submission was verified by corpora that lie with their votes."""
    excluded: list[Excluded]
    """Submissions that are no entries."""
    keys: dict[str, str] = field(default_factory=dict)
    """Name of each of the maintainers' keys -> its fingerprint, as `ssh-keygen -l` prints it: only
    receipts that one of them signed count; empty: receipts are not signed."""
    metric: str = field(default=METRIC)
    """Of all scores."""
    board_version: int = field(default=BOARD_VERSION)
    """Of this format."""

    @property
    def is_for_practice(self) -> bool:
        """All that was submitted stands only on a board for practice."""
        return (
            not self.entries
            and bool(self.excluded)
            and all(outcome.is_for_practice for outcome in self.excluded)
        )

    def to_json(self) -> str:
        """JSON text, ASCII, one line an entry; the same bytes for the same submissions."""
        content = dataclasses.asdict(self)
        # what is no list comes first: a file's beginning says whose it is
        fields = []
        for name, value in sorted(content.items(), key=lambda item: isinstance(item[1], list)):
            text = json.dumps(value, allow_nan=False)
            if isinstance(value, list) and value:
                lines = ",\n  ".join(json.dumps(item, allow_nan=False) for item in value)
                text = f"[\n  {lines}\n ]"
            fields.append(f"{json.dumps(name)}: {text}")
        return "{\n " + ",\n ".join(fields) + "\n}\n"

    def save(self, folder: Path) -> Path:
        """Write board.json and its schema into a folder; return the path of the first.

        Raises:
            SettingError: where another file has its name.
        """
        refuse_others(folder / BOARD_FILE, VERSION_FIELD)
        schema = json.dumps(json_schema(), indent=1) + "\n"
        for name, text in ((BOARD_FILE, self.to_json()), (SCHEMA_FILE, schema)):
            with files.written(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return folder / BOARD_FILE


def json_schema() -> dict:
    """JSON Schema (2020-12) of board.json.

    >>> json_schema()["$defs"]["Rank"]["properties"]["rank"]["type"]
    'integer'
    """
    return records.json_schema(Board, BOARD_FILE)


def build(
    submissions: Path,
    *,
    receipts: Path | None = None,
    keys: Path | None = None,
    practice: bool = False,
) -> Board:
    """Make the board of all `<org>__<model>/<run key>/` below a folder.

    What cannot be an entry stands under `excluded` with the reason: synthetic or incomplete data, a
    limited run, one that is there already, a name that is reserved or can be mistaken for another,
    files that break their schema.

    Args:
        submissions: their folder.
        receipts: the folder of receipts; None: `receipts` beside that of the submissions.
        keys: the folder of the maintainers' public keys; None: `keys` beside the same. Where there
            are any, only receipts that one of them signed count.
        practice: take synthetic and incomplete data too.

    Example::

        board = build(Path("leaderboard/submissions"))
        board.save(Path("site"))
    """
    board_keys = receipt.keys_for(Path(submissions), keys, receipts=receipts)
    outcomes = _outcomes(Path(submissions), receipts, board_keys, practice)
    excluded = [outcome for outcome in outcomes if isinstance(outcome, Excluded)]
    scored = {
        outcome.entry.id: outcome for outcome in outcomes if isinstance(outcome, ScoredSubmission)
    }
    for why_not in (ranking.mistaken, ranking.again):
        reasons = why_not({identity: submitted.entry for identity, submitted in scored.items()})
        excluded += [Excluded(identity, reason) for identity, reason in reasons.items()]
        scored = {name: submitted for name, submitted in scored.items() if name not in reasons}
    entries, classes = ranking.ranked(scored)
    return Board(
        entries=entries,
        comparable=classes,
        references=published_rows(),
        human=_human_rows(scored.values()),
        excluded=sorted(excluded, key=lambda outcome: outcome.id),
        keys=board_keys.fingerprints,
    )


def _human_rows(scored: Iterable[ScoredSubmission]) -> list[HumanRow]:
    """A row for each corpus and reference, of all that verified submissions were tested on."""
    rows: dict[tuple, HumanRow] = {}
    for entry, rated in ((submitted.entry, submitted.human) for submitted in scored):
        if entry.flags.is_recomputed and entry.protocol != "leakage":
            for agreement in rated:
                against = AGAINST[agreement.reference]
                name = f"human: one rater of {agreement.corpus} against {against}"
                question = (name, entry.split_rule, entry.schema)
                row = rows.setdefault(question, HumanRow(*question, {}))
                row.cells.setdefault(agreement.test, agreement)
    return [rows[question] for question in sorted(rows)]


# --- one submission -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Candidate:
    """A submission whose files are plain and of bounded size, and what its receipt says of it."""

    folder: Path
    id: str
    hashes: dict[str, str]
    unverified: str | None
    """Why it does not count as verified; None: it does."""
    is_baseline: bool
    vouched: bytes | None
    """Content of entry.npz beside a receipt that holds."""
    reproduction: Reproduction | None
    """Of a receipt that holds."""
    organisation_proof: str | None
    """Of a receipt that holds, or that the keeper made the run."""
    signed_by: str | None
    """Name of the key that signed a receipt that holds."""

    @property
    def status(self) -> str:
        """The word of EntryFlags."""
        if self.unverified is not None:
            return "claimed"
        return "recomputed" if self.status_reason else "reproduced"

    @property
    def status_reason(self) -> str | None:
        """The reason of EntryFlags."""
        if self.unverified is not None or self.is_baseline:
            return self.unverified
        if self.reproduction is None:
            return "nobody has run it again"
        return self.reproduction.reason and f"not reproduced: {self.reproduction.reason}"


def _outcomes(
    submissions: Path, receipts: Path | None, keys: BoardKeys, practice: bool
) -> list[ScoredSubmission | Excluded]:
    """Each submission as it stands by itself; those that are not kept are computed in parallel."""
    receipts = receipt.folder_for(submissions, receipts)
    candidates = [
        _candidate(folder, receipts, keys, practice) for folder in submission.folders(submissions)
    ]
    kept = [_kept(candidate) for candidate in candidates]
    missing = [
        candidate for candidate, known in zip(candidates, kept, strict=True) if known is None
    ]
    if len(missing) < PARALLEL_FROM:
        computed = iter(_computed(missing))
    else:
        from joblib import Parallel, cpu_count, delayed

        n_together = min(MAX_TOGETHER, math.ceil(len(missing) / (4 * cpu_count())))
        groups = [
            missing[start : start + n_together] for start in range(0, len(missing), n_together)
        ]
        outcomes = Parallel(n_jobs=-1)(delayed(_computed)(group) for group in groups)
        computed = itertools.chain.from_iterable(outcomes)
    return [
        _received(next(computed) if known is None else known, candidate, practice)
        for candidate, known in zip(candidates, kept, strict=True)
    ]


def _candidate(
    folder: Path, receipts: Path, keys: BoardKeys, practice: bool
) -> _Candidate | Excluded:
    identity, held, signed_by = "/".join(folder.parts[-2:]), None, None
    try:
        if not lookalikes.is_plain(identity):
            raise RecordError("expected a printable name")
        hashes = receipt.digests(folder)
    except (OSError, RecordError) as error:
        return _excluded(identity, str(error))
    try:
        unverified = "not verified"
        if there := receipt.held(receipts, identity, keys):
            held, signed_by = there
            unverified = held.why_not(identity, hashes, practice=practice)
    except RecordError as error:
        unverified = str(error)
    return _Candidate(
        folder=folder,
        id=identity,
        hashes=hashes,
        unverified=unverified,
        is_baseline=unverified is None and held.baseline,
        vouched=receipt.entry(receipts, identity, held) if unverified is None else None,
        reproduction=held.reproduction if unverified is None else None,
        organisation_proof=organisations.proof_in(held) if unverified is None else None,
        signed_by=signed_by if unverified is None else None,
    )


def _kept(candidate: _Candidate | Excluded) -> ScoredSubmission | Excluded | None:
    if isinstance(candidate, Excluded):
        return candidate
    return entry_cache.load(candidate.hashes, candidate.vouched)


def _computed(candidates: list[_Candidate]) -> list[ScoredSubmission | Excluded]:
    """The entries of some submissions, or why they are none."""
    refused = _unreadable([each for each in candidates if each.unverified is not None])
    return [_entry(candidate, refused.get(candidate.id)) for candidate in candidates]


def _unreadable(unchecked: list[_Candidate]) -> dict[str, str]:
    """Submissions whose files nobody has checked, and cannot be read: id -> why."""
    reasons, n_rows = {}, {}
    for candidate in unchecked:
        try:
            result = record.load(candidate.folder / RESULT_FILE)
        except RecordError as error:
            reasons[candidate.id] = str(error).replace(f"{candidate.folder}/", "")
        else:
            n_rows[candidate.folder / PREDICTIONS_FILE] = result.n_predictions
    refused = predictions.inspect(n_rows)
    ids = {candidate.folder / PREDICTIONS_FILE: candidate.id for candidate in unchecked}
    return reasons | {
        ids[path]: f"{PREDICTIONS_FILE}: {reason}" for path, reason in refused.items()
    }


def _entry(candidate: _Candidate, refused: str | None) -> ScoredSubmission | Excluded:
    """The entry of one submission; `refused`: why it cannot be read."""
    if refused is not None:
        return _excluded(candidate.id, refused)
    try:
        computed = entry_cache.compute(candidate.folder, candidate.hashes)
    except RecordError as error:
        return _excluded(candidate.id, str(error))
    if candidate.vouched is None:
        return computed
    return entry_cache.load(candidate.hashes, candidate.vouched) or computed


def _received(
    outcome: ScoredSubmission | Excluded, candidate: _Candidate | Excluded, practice: bool
) -> ScoredSubmission | Excluded:
    """An entry with its id, and what its receipt says of it."""
    if isinstance(outcome, Excluded):
        return outcome
    flags = dataclasses.replace(
        outcome.entry.flags,
        status=candidate.status,
        status_reason=candidate.status_reason,
        baseline=candidate.is_baseline,
        organisation_proof=candidate.organisation_proof,
        undeclared=outcome.entry.flags.undeclared and not candidate.is_baseline,
    )
    entry = dataclasses.replace(
        outcome.entry,
        id=candidate.id,
        flags=flags,
        reproduction=candidate.reproduction,
        signed_by=candidate.signed_by,
    )
    if candidate.unverified is not None and (reason := _why_misnamed(entry)):
        return _excluded(candidate.id, f"{reason} ({candidate.unverified})")
    if not practice and (reason := _why_for_practice(entry)):
        return Excluded(candidate.id, reason)
    return outcome._replace(entry=entry)


def _excluded(identity: str, reason: str) -> Excluded:
    """`reason`: it may quote a stranger's text of any length."""
    cut = reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}..."
    return Excluded(printable(identity), printable(cut))


def _why_misnamed(entry: Entry) -> str | None:
    """Say that a record, which nobody has verified, names another model than its folder does; None:
    the same."""
    folder, model = entry.id.partition("/")[0], entry.model
    named = folder.partition("__")[2]  # a model without an organisation has its folder's
    if folder == record.model_folder(model) or (named == model and "/" not in model):
        return None
    return f"model: expected that of its folder, {folder}, found {model}"


def _why_for_practice(entry: Entry) -> str | None:
    """Say why an entry stands only on a board for practice; None where it stands on any."""
    if entry.flags.synthetic:
        return f"{SYNTHETIC}: made by `bimotion data synth`, says nothing about people"
    if entry.flags.incomplete:
        present = ", ".join(f"{name} ({n} clips)" for name, n in entry.flags.incomplete.items())
        return f"{INCOMPLETE}: {present}"
    organisations = (
        entry.id.partition("/")[0].partition("__")[0],
        *lookalikes.skeleton(entry.model).split("/")[:-1],
    )
    if not entry.flags.baseline and any(map(admission.is_reserved, organisations)):
        why = "" if entry.flags.is_recomputed else f" ({entry.flags.status_reason})"
        return (
            f"{admission.RESERVED}/* is reserved for baselines that the keeper verified as "
            f"such{why}"
        )
    return None
