"""The board: every submission below a folder as an entry, ranked among those that answer the same question.

What one submission needs (derived.py) is computed once, when it is verified, so a board of a thousand is made anew in seconds
when one arrives. Ranks hold within a class: the same track, split,
schema, protocol, test cells and clips. Only verified entries are ranked: nobody is pushed down by numbers that nobody checked.
"""

import dataclasses
import json
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bimotion import derived, entries, files, predictions, protocol, results, submission, tables, verified
from bimotion.entries import Entry, Standing
from bimotion.errors import RecordError, printable
from bimotion.records import refuse_others
from bimotion.statistics.ranks import ranks
from bimotion.statistics.statistic import Statistic

BOARD_VERSION = 1
BOARD_FILE = "board.json"
VERSION_FIELD = "board_version"
SCHEMA_FILE = "board.schema.json"
PAPER = "arXiv 2306.14517, Tables 3, 4 and 5"


@dataclass(frozen=True)
class Comparable:
    """A class: entries that answered the same question about the same clips, and may be compared.

    Classes stand in this order, and the page opens on the first: the most ranked entries, then the most entries; equal ones by
    track, split rule, schema, protocol, cells (all, then the most, then by name), split seed and data fingerprint.

    id                   as in Entry
    track, split_rule, split_seed, schema, protocol, cells, data_fingerprint   what its entries share
    n_entries, n_ranked  how many there are, and how many of them are verified and have all four cells
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
class Printed:
    """A published score of one setting (transfer, method, train, test): its value, in [0, 1]; no interval was printed."""

    transfer: str
    method: str
    train: list[str]
    test: str
    value: float


@dataclass(frozen=True)
class Reference:
    """Published rows, as printed: other code, other splits of the same sizes, no interval; so never ranked.

    model, source               who, and where it is printed
    track, split_rule, schema   what comes nearest
    headline                    `<transfer>/<method>` -> mean over the four cells, ours of the printed numbers
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
class Excluded:
    """A submission that is no entry: its place (id), and the reason."""

    id: str
    reason: str


@dataclass(frozen=True)
class Board:
    """What board.json holds; its JSON Schema is `json_schema()`.

    metric       of all scores
    entries      class by class, in the order of `comparable`; in a class best first
    comparable   the classes, in the order that Comparable states
    references   published rows, as printed
    excluded     submissions that are no entries
    board_version   of this format
    """

    entries: list[Entry]
    comparable: list[Comparable]
    references: list[Reference]
    excluded: list[Excluded]
    metric: str = field(default=entries.METRIC)
    board_version: int = field(default=BOARD_VERSION)

    def to_json(self) -> str:
        """JSON text, ASCII, one line an entry; the same bytes for the same submissions."""
        content = dataclasses.asdict(self)
        rows = {name: value for name, value in content.items() if isinstance(value, list)}
        head = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items() if name not in rows]
        for name, items in rows.items():
            lines = ",\n  ".join(json.dumps(item, allow_nan=False) for item in items)
            head.append(f"{json.dumps(name)}: [\n  {lines}\n ]" if items else f"{json.dumps(name)}: []")
        return "{\n " + ",\n ".join(head) + "\n}\n"

    def save(self, folder: Path) -> Path:
        """Write board.json and its schema into a folder; returns the path of the first. Raises SettingError where another
        file has its name."""
        refuse_others(folder / BOARD_FILE, VERSION_FIELD)
        for name, text in ((BOARD_FILE, self.to_json()), (SCHEMA_FILE, json.dumps(json_schema(), indent=1) + "\n")):
            with files.written(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8")
        return folder / BOARD_FILE


def build(submissions: Path, *, practice: bool = False) -> Board:
    """The board of all `<org>__<model>/<run key>/` below a folder. `practice`: synthetic and incomplete data too, marked.

    What cannot be an entry stands under `excluded` with the reason: synthetic or incomplete data, a limited run, one that is
    there already, files that break their schema.

    Example::

        board = build(Path("leaderboard/submissions"))
        board.save(Path("site"))
    """
    found, unverified, excluded = _derived(Path(submissions), practice)
    checked = {}
    for identity, (entry, statistic) in found.items():
        if not practice and (reason := _for_practice(entry)):
            excluded.append(Excluded(identity, reason))
            continue
        reason = unverified[identity]
        marks = dataclasses.replace(entry.marks, verified=reason is None, unverified=reason)
        checked[identity] = dataclasses.replace(entry, id=identity, marks=marks), statistic
    kept, first = {}, {}
    for identity in sorted(checked, key=lambda name: (not checked[name][0].marks.verified, name)):
        entry, _ = checked[identity]
        same = first.setdefault(entry.key, identity)
        if same == identity or entry.marks.verified:  # no name that sorts before a verified entry's may take its place
            kept[identity] = checked[identity]
        else:
            excluded.append(Excluded(identity, f"the same run as {same}"))
    standings = _standings(kept)
    ranked = [dataclasses.replace(entry, standing=standings.get(identity)) for identity, (entry, _) in kept.items()]
    classes = _classes(ranked)
    place_of = {one.id: place for place, one in enumerate(classes)}
    ranked.sort(key=lambda entry: (place_of[entry.comparable], *_order(entry)))
    return Board(ranked, classes, references(), sorted(excluded, key=lambda one: one.id))


def _for_practice(entry: Entry) -> str | None:
    """Why an entry stands on a board for practice alone; None where it stands on any."""
    if entry.marks.synthetic:
        return "synthetic data: made by `bimotion data synth`, says nothing about people"
    if entry.marks.incomplete:
        lacking = ", ".join(f"{name} ({n} clips)" for name, n in entry.marks.incomplete.items())
        return f"incomplete corpora: {lacking}"
    return None


def references() -> list[Reference]:
    """The rows that the paper prints, of XLSR-53 trained whole.

    >>> references()[0].headline["in-group/inference"]
    0.6985
    """
    scores, by_name = [], {}
    for setting in protocol.settings("all"):
        name, test = (setting.transfer, setting.method), str(setting.test)
        if setting.method == "distance":
            percent = tables.PUBLISHED_DISTANCE["+".join(setting.train_names)][tables.DISTANCE_TESTS.index(test)]
        else:
            percent = tables.PUBLISHED[name][tables.CELLS.index(test)]
            by_name.setdefault("/".join(name), []).append(percent)
        scores.append(Printed(*name, list(setting.train_names), test, round(percent / 100, 4)))
    headline = {name: round(sum(values) / len(values) / 100, 4) for name, values in by_name.items()}
    return [Reference("XLSR-53 (the paper)", PAPER, "finetune", "paper", "emotion", headline, scores)]


def json_schema() -> dict:
    """JSON Schema (2020-12) of board.json, made of the records' types; descriptions are their docstrings.

    >>> json_schema()["$defs"]["Standing"]["properties"]["rank"]
    {'type': 'integer'}
    """
    definitions: dict[str, dict] = {}
    top = _definition(Board, definitions)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": BOARD_FILE} | top | {"$defs": definitions}


def _definition(record: type, definitions: dict[str, dict]) -> dict:
    hints = typing.get_type_hints(record)
    return {
        "type": "object",
        "description": " ".join((record.__doc__ or "").split()),
        "properties": {name: _schema_of(kind, definitions) for name, kind in hints.items()},
        "required": list(hints),
        "additionalProperties": False,
    }


def _schema_of(kind: typing.Any, definitions: dict[str, dict]) -> dict:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = _definition(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin is list:
        return {"type": "array", "items": _schema_of(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1], definitions)}
    if origin is types.UnionType:
        return {"anyOf": [_schema_of(one, definitions) for one in arguments]}
    return {"type": {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}[kind]}


# --- what is derived from each submission, once -----------------------------------------------------------------------


def _derived(
    submissions: Path, practice: bool
) -> tuple[dict[str, tuple[Entry, Statistic | None]], dict[str, str | None], list[Excluded]]:
    """By place: entry and statistic of what can be read, why it does not count as verified; and what cannot be an entry."""
    hashes, unverified, excluded = {}, {}, []
    for folder in submission.folders(submissions):
        identity = folder.relative_to(submissions).as_posix()
        try:
            if not identity.isprintable():
                raise RecordError("expected a printable name")
            hashes[identity] = verified.digests(folder)
            unverified[identity] = verified.why_not(folder, hashes[identity], practice=practice)
        except (OSError, RecordError) as error:
            excluded.append(Excluded(printable(identity), printable(str(error))))

    def load(identity: str) -> tuple[Entry, Statistic | None] | None:
        return derived.load(submissions / identity, hashes[identity], vouched=unverified[identity] is None)

    known = {identity: kept for identity in hashes if (kept := load(identity)) is not None}
    todo = [identity for identity in hashes if identity not in known]
    strange = [identity for identity in todo if unverified[identity] is not None]
    told = predictions.inspect([submissions / identity / results.PREDICTIONS_FILE for identity in strange])
    reasons = {
        identity: f"{results.PREDICTIONS_FILE}: {reason}" for identity, reason in zip(strange, told, strict=True) if reason
    }
    todo = [identity for identity in todo if identity not in reasons]
    made = derived.derive_all([(submissions / identity, hashes[identity]) for identity in todo])
    reasons |= {identity: reason for identity, reason in zip(todo, made, strict=True) if reason is not None}
    for identity in todo:
        if identity not in reasons and (kept := load(identity)) is not None:
            known[identity] = kept
        else:
            reasons.setdefault(identity, "cannot be kept: its file in the cache cannot be read back")
    excluded += [Excluded(printable(identity), printable(reason)) for identity, reason in reasons.items()]
    return {identity: known[identity] for identity in hashes if identity in known}, unverified, excluded


# --- order and rank ---------------------------------------------------------------------------------------------------


def _standings(found: dict[str, tuple[Entry, Statistic | None]]) -> dict[str, Standing]:
    by_class: dict[str, dict[str, Statistic]] = {}
    for identity, (entry, statistic) in found.items():
        if entry.marks.verified and statistic is not None:
            by_class.setdefault(entry.comparable, {})[identity] = statistic
    return {
        one.name: Standing(one.rank, one.low, one.high, one.group, len(models))
        for models in by_class.values()
        for one in ranks(models)
    }


def _order(entry: Entry) -> tuple:
    """Best first; without a headline last."""
    value = entry.base.value if entry.base else None
    return (value is None, -(value or 0.0), entry.standing.rank if entry.standing else 0, entry.model, entry.key)


def _classes(found: Iterable[Entry]) -> list[Comparable]:
    by_class: dict[str, list[Entry]] = {}
    for entry in found:
        by_class.setdefault(entry.comparable, []).append(entry)
    shared = [one.name for one in dataclasses.fields(Comparable) if one.name not in ("id", "n_entries", "n_ranked")]
    classes = [
        Comparable(
            identity,
            **{name: getattr(group[0], name) for name in shared},
            n_entries=len(group),
            n_ranked=sum(one.standing is not None for one in group),
        )
        for identity, group in by_class.items()
    ]
    return sorted(classes, key=_class_order)


def _class_order(one: Comparable) -> tuple:
    """As Comparable says."""
    asked = (one.track, one.split_rule, one.schema, one.protocol)
    cells = (one.cells is not None, -len(one.cells or ()), one.cells or ())
    return (-one.n_ranked, -one.n_entries, *asked, *cells, one.split_seed, one.data_fingerprint)
