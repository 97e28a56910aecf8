"""The board: every submission below a folder as an entry, ranked among those that answer the same
question.

What one submission needs (entry_cache.py) is computed once, when it is verified, so a board of a
thousand is made anew in seconds when one arrives. Ranks hold within a class: the same track, split,
schema, protocol, test cells and clips. Only verified entries are ranked: nobody is pushed down by
numbers that nobody checked. Which are verified is told by receipts outside of the submissions
(receipt.py), by nothing that a submission brings.
"""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bimotion.errors import RecordError, printable
from bimotion.io import files, records
from bimotion.io.records import Record, refuse_others
from bimotion.leaderboard import entry as entries
from bimotion.leaderboard import entry_cache, lookalikes, receipt, submission
from bimotion.leaderboard.entry import MAX_SAME, Entry, Rank
from bimotion.leaderboard.entry_cache import CachedEntry
from bimotion.protocol import settings as protocol
from bimotion.protocol.published import CELLS, DISTANCE_TESTS, PUBLISHED, PUBLISHED_DISTANCE
from bimotion.results import predictions, record
from bimotion.results.statistics import copies
from bimotion.results.statistics.estimate import Estimate
from bimotion.results.statistics.ranks import ranks

BOARD_VERSION = 2
BOARD_FILE = "board.json"
VERSION_FIELD = "board_version"
SCHEMA_FILE = "board.schema.json"
MAX_REASON = 500
SYNTHETIC, INCOMPLETE = "synthetic data", "incomplete corpora"
"""How the reasons begin for which only a board for practice has an entry."""
PAPER = "arXiv 2306.14517, Tables 3, 4 and 5"


@dataclass(frozen=True)
class RankingClass(Record):
    """A class: entries that answered the same question about the same clips, and may be compared.

    Classes stand in this order, and the page opens on the first: the most ranked entries, then the
    most entries; equal ones by track, split rule, schema, protocol, cells (all, then the most, then
    by name), split seed and data fingerprint.

    id                   as in Entry
    track, split_rule, split_seed, schema, protocol, cells, data_fingerprint   what its entries
    share
    n_entries, n_ranked  how many there are, and how many of them are verified and have all four
                         cells
    """

    id: str
    track: str
    split_rule: str
    split_seed: int
    schema: str
    protocol: str
    cells: list[str] | None
    data_fingerprint: str
    n_entries: int
    n_ranked: int


@dataclass(frozen=True)
class Printed(Record):
    """A published score of one setting (transfer, method, train, test): its value, in [0, 1]; no
    interval was printed."""

    transfer: str
    method: str
    train: list[str]
    test: str
    value: float


@dataclass(frozen=True)
class PublishedRow(Record):
    """Published rows, as printed: other code, other splits of the same sizes, no interval; so never
    ranked.

    model, source               who, and where it is printed
    track, split_rule, schema   what comes nearest
    headline                    `<transfer>/<method>` -> mean over the four cells, ours of the
                                printed numbers
    scores                      every printed number
    """

    model: str
    source: str
    track: str
    split_rule: str
    schema: str
    headline: dict[str, float]
    scores: list[Printed]


@dataclass(frozen=True)
class Excluded(Record):
    """A submission that is no entry: its place (id), and the reason."""

    id: str
    reason: str


@dataclass(frozen=True)
class Board(Record):
    """What board.json holds; its JSON Schema is `json_schema()`.

    metric       of all scores
    entries      class by class, in the order of `comparable`; in a class best first
    comparable   the classes, in the order that Comparable states
    references   published rows, as printed
    excluded     submissions that are no entries
    board_version   of this format
    """

    entries: list[Entry]
    comparable: list[RankingClass]
    references: list[PublishedRow]
    excluded: list[Excluded]
    metric: str = field(default=entries.METRIC)
    board_version: int = field(default=BOARD_VERSION)

    @property
    def is_for_practice(self) -> bool:
        """Whether all that was submitted stands on a board for practice only."""
        reasons = [one.reason for one in self.excluded]
        return bool(reasons) and not self.entries and all(map(_is_practice, reasons))

    def to_json(self) -> str:
        """JSON text, ASCII, one line an entry; the same bytes for the same submissions."""
        content = dataclasses.asdict(self)
        rows = {name: value for name, value in content.items() if isinstance(value, list)}
        head = [
            f"{json.dumps(name)}: {json.dumps(value)}"
            for name, value in content.items()
            if name not in rows
        ]
        for name, items in rows.items():
            lines = ",\n  ".join(json.dumps(item, allow_nan=False) for item in items)
            head.append(
                f"{json.dumps(name)}: [\n  {lines}\n ]" if items else f"{json.dumps(name)}: []"
            )
        return "{\n " + ",\n ".join(head) + "\n}\n"

    def save(self, folder: Path) -> Path:
        """Write board.json and its schema into a folder; returns the path of the first. Raises
        SettingError where another file has its name."""
        refuse_others(folder / BOARD_FILE, VERSION_FIELD)
        for name, text in (
            (BOARD_FILE, self.to_json()),
            (SCHEMA_FILE, json.dumps(json_schema(), indent=1) + "\n"),
        ):
            with files.written(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return folder / BOARD_FILE


def build(submissions: Path, *, receipts: Path | None = None, practice: bool = False) -> Board:
    """The board of all `<org>__<model>/<run key>/` below a folder. `receipts`: their folder, None:
    `receipts` beside it; `practice`: synthetic and incomplete data too, marked.

    What cannot be an entry stands under `excluded` with the reason: synthetic or incomplete data, a
    limited run, one that is there already, a name that is reserved or can be mistaken for another,
    files that break their schema.

    Example::

        board = build(Path("leaderboard/submissions"))
        board.save(Path("site"))
    """
    found, told, excluded = _read(Path(submissions), receipts, practice)
    checked: dict[str, Entry] = {}
    for identity, cached in found.items():
        entry = _with_receipt(cached.entry, identity, told[identity])
        if not practice and (reason := _for_practice(entry)):
            excluded.append(Excluded(identity, reason))
        else:
            checked[identity] = entry
    for why_not in (_mistaken, _again):
        reasons = why_not(checked)
        excluded += [Excluded(identity, reason) for identity, reason in reasons.items()]
        checked = {
            identity: entry for identity, entry in checked.items() if identity not in reasons
        }
    standings = _standings(
        {identity: found[identity] for identity, entry in checked.items() if entry.marks.verified}
    )
    same = _same_predictions(checked, found)
    ranked = [
        dataclasses.replace(
            entry,
            standing=standings.get(identity),
            marks=dataclasses.replace(entry.marks, same_predictions=same.get(identity, [])),
        )
        for identity, entry in checked.items()
    ]
    classes = _classes(ranked)
    place_of = {one.id: place for place, one in enumerate(classes)}
    ranked.sort(key=lambda entry: (place_of[entry.comparable], *_order(entry)))
    return Board(ranked, classes, references(), sorted(excluded, key=lambda one: one.id))


def _with_receipt(entry: Entry, identity: str, told: "_Told") -> Entry:
    """An entry with its place, and what its receipt says of it."""
    marks = dataclasses.replace(
        entry.marks,
        verified=told.unverified is None,
        unverified=told.unverified,
        floor=told.baseline,
        undeclared=entry.marks.undeclared and not told.baseline,
    )
    return dataclasses.replace(entry, id=identity, marks=marks)


def _mistaken(found: dict[str, Entry]) -> dict[str, str]:
    """Entry -> why it cannot stand under its name beside the others: the spelling that is verified
    stands, else none."""
    reasons = {}
    for names in (
        {key: key.partition("/")[0] for key in found},
        {key: entry.full_name for key, entry in found.items()},
    ):
        verified = {name for key, name in names.items() if found[key].marks.verified}
        mistaken = lookalikes.mistaken(names.values())
        for key, name in names.items():
            others = mistaken.get(name, [])
            if others and not (name in verified and verified.isdisjoint(others)):
                told = ", ".join(others)[: entries.MAX_NAME]
                reasons[key] = printable(
                    f"its name, {name}, can be mistaken for {told}: one of them must go"
                )
    return reasons


def _again(found: dict[str, Entry]) -> dict[str, str]:
    """Entry -> which it is a copy of: no name that sorts before a verified entry's may take its
    place."""
    reasons: dict[str, str] = {}
    first: dict[str, str] = {}
    for identity in sorted(found, key=lambda name: (not found[name].marks.verified, name)):
        same = first.setdefault(found[identity].key, identity)
        if same != identity and not found[identity].marks.verified:
            reasons[identity] = f"the same run as {same}"
    return reasons


def _same_predictions(
    found: dict[str, Entry], cached: dict[str, CachedEntry]
) -> dict[str, list[str]]:
    """Entry -> other names under which its predictions stand, sorted, the first of them."""
    same = {}
    for identity, others in copies.alike(
        {identity: cached[identity].sketch for identity in found}
    ).items():
        names = sorted({found[other].full_name for other in others} - {found[identity].full_name})
        same[identity] = names[:MAX_SAME]
    return same


def _is_practice(reason: str) -> bool:
    return reason.startswith((SYNTHETIC, INCOMPLETE))


def _for_practice(entry: Entry) -> str | None:
    """Why an entry stands only on a board for practice; None where it stands on any."""
    if entry.marks.synthetic:
        return f"{SYNTHETIC}: made by `bimotion data synth`, says nothing about people"
    if entry.marks.incomplete:
        lacking = ", ".join(f"{name} ({n} clips)" for name, n in entry.marks.incomplete.items())
        return f"{INCOMPLETE}: {lacking}"
    organisations = (
        entry.id.partition("/")[0].partition("__")[0],
        *lookalikes.skeleton(entry.model).split("/")[:-1],
    )
    if not entry.marks.floor and any(map(submission.is_reserved, organisations)):
        told = f" ({entry.marks.unverified})" if entry.marks.unverified else ""
        return (
            f"{submission.RESERVED}/* is reserved for baselines that the receiver verified as "
            f"such{told}"
        )
    return None


def references() -> list[PublishedRow]:
    """The rows that the paper prints, of XLSR-53 trained whole.

    >>> references()[0].headline["in-group/inference"]
    0.6985
    """
    scores, by_name = [], {}
    for setting in protocol.settings("all"):
        name, test = (setting.transfer, setting.method), str(setting.test)
        if setting.method == "distance":
            percent = PUBLISHED_DISTANCE["+".join(setting.train_names)][DISTANCE_TESTS.index(test)]
        else:
            percent = PUBLISHED[name][CELLS.index(test)]
            by_name.setdefault("/".join(name), []).append(percent)
        scores.append(Printed(*name, list(setting.train_names), test, round(percent / 100, 4)))
    headline = {name: round(sum(values) / len(values) / 100, 4) for name, values in by_name.items()}
    return [
        PublishedRow("XLSR-53 (the paper)", PAPER, "finetune", "paper", "emotion", headline, scores)
    ]


def json_schema() -> dict:
    """JSON Schema (2020-12) of board.json.

    >>> json_schema()["$defs"]["Rank"]["properties"]["rank"]["type"]
    'integer'
    """
    return records.json_schema(Board, BOARD_FILE)


# --- what is read of each submission, once ------------------------------------------------------


@dataclass(frozen=True)
class _Told:
    """What the receiver's receipts say of one submission. unverified: why it does not count as
    verified, None: it does."""

    hashes: dict[str, str]
    unverified: str | None
    baseline: bool
    vouched: bytes | None

    @classmethod
    def by_receipt(cls, folder: Path, receipts: Path, identity: str, practice: bool) -> "_Told":
        hashes, found = receipt.digests(folder), None
        try:
            found = receipt.load(receipts, identity)
            reason = (
                "not verified"
                if found is None
                else found.why_not(identity, hashes, practice=practice)
            )
        except RecordError as error:
            reason = str(error)
        holds = found is not None and reason is None
        vouched = receipt.entry(receipts, identity, found) if holds else None
        return cls(hashes, reason, holds and found.baseline, vouched)


def _read(
    submissions: Path, receipts: Path | None, practice: bool
) -> tuple[dict[str, CachedEntry], dict[str, _Told], list[Excluded]]:
    """By place: what can be read, and what receipts say of it; and what cannot be an entry."""
    place = receipt.folder_for(submissions, receipts)
    told: dict[str, _Told] = {}
    excluded = []
    for folder in submission.folders(submissions):
        identity = folder.relative_to(submissions).as_posix()
        try:
            if not lookalikes.is_plain(identity):
                raise RecordError("expected a printable name")
            told[identity] = _Told.by_receipt(folder, place, identity, practice)
        except (OSError, RecordError) as error:
            excluded.append(_excluded(identity, str(error)))
    load = {identity: entry_cache.load(one.hashes, one.vouched) for identity, one in told.items()}
    known = {identity: cached for identity, cached in load.items() if cached is not None}
    todo = [identity for identity in told if identity not in known]
    reasons = _uninspected(
        submissions, [identity for identity in todo if told[identity].unverified is not None]
    )
    todo = [identity for identity in todo if identity not in reasons]
    made = entry_cache.derive_all(
        [(submissions / identity, told[identity].hashes) for identity in todo]
    )
    reasons |= {
        identity: reason for identity, reason in zip(todo, made, strict=True) if reason is not None
    }
    for identity in todo:
        if (
            identity not in reasons
            and (cached := entry_cache.load(told[identity].hashes, told[identity].vouched))
            is not None
        ):
            known[identity] = cached
        else:
            reasons.setdefault(
                identity, "cannot be kept: its file in the cache cannot be read back"
            )
    excluded += [_excluded(identity, reason) for identity, reason in reasons.items()]
    return {identity: known[identity] for identity in told if identity in known}, told, excluded


def _excluded(identity: str, reason: str) -> Excluded:
    """`reason`: it may quote a stranger's text of any length."""
    cut = reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]}..."
    return Excluded(printable(identity), printable(cut))


def _uninspected(submissions: Path, identities: list[str]) -> dict[str, str]:
    """Submission -> why its predictions cannot be read: nobody has checked these files."""
    found = predictions.inspect(
        [submissions / identity / record.PREDICTIONS_FILE for identity in identities]
    )
    return {
        one: f"{record.PREDICTIONS_FILE}: {reason}"
        for one, reason in zip(identities, found, strict=True)
        if reason
    }


# --- order and rank -----------------------------------------------------------------------------


def _standings(verified: dict[str, CachedEntry]) -> dict[str, Rank]:
    by_class: dict[str, dict[str, Estimate]] = {}
    for identity, cached in verified.items():
        if cached.ranked is not None:
            by_class.setdefault(cached.entry.comparable, {})[identity] = cached.ranked
    return {
        one.name: Rank(one.rank, one.low, one.high, one.group, len(models))
        for models in by_class.values()
        for one in ranks(models)
    }


def _order(entry: Entry) -> tuple:
    """Best first; without a headline last."""
    value = entry.base.value if entry.base else None
    return (
        value is None,
        -(value or 0.0),
        entry.standing.rank if entry.standing else 0,
        entry.model,
        entry.key,
    )


def _classes(found: Iterable[Entry]) -> list[RankingClass]:
    by_class: dict[str, list[Entry]] = {}
    for entry in found:
        by_class.setdefault(entry.comparable, []).append(entry)
    shared = [
        one.name
        for one in dataclasses.fields(RankingClass)
        if one.name not in ("id", "n_entries", "n_ranked")
    ]
    classes = [
        RankingClass(
            identity,
            **{name: getattr(group[0], name) for name in shared},
            n_entries=len(group),
            n_ranked=sum(one.standing is not None for one in group),
        )
        for identity, group in by_class.items()
    ]
    return sorted(classes, key=_class_order)


def _class_order(one: RankingClass) -> tuple:
    """As Comparable says."""
    asked = (one.track, one.split_rule, one.schema, one.protocol)
    cells = (one.cells is not None, -len(one.cells or ()), one.cells or ())
    return (-one.n_ranked, -one.n_entries, *asked, *cells, one.split_seed, one.data_fingerprint)
