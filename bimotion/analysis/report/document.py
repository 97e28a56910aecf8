"""What a report of a run is made of: sections of sentences, tables and pictures; plain data,
without HTML. And its Markdown."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bimotion.io.tables import Table
from bimotion.results.statistics.estimate import Interval


@dataclass(frozen=True)
class Whisker:
    """A value on a scale, to be drawn.

    value, low, high   of the number and its interval; low and high null: no interval
    start, end         of the scale;  zero: a line on it;  chance: low and high of a band
    """

    value: float
    low: float | None
    high: float | None
    start: float = 0.0
    end: float = 1.0
    zero: float | None = None
    chance: tuple[float, float] | None = None

    @classmethod
    def of(cls, interval: Interval, **scale) -> "Whisker | None":
        """Of an interval; None where its value is undefined."""
        return (
            None
            if interval.value is None
            else cls(interval.value, interval.low, interval.high, **scale)
        )

    def on_scale(self, value: float) -> str:
        """Where a value lies on the scale, in % of it; beyond an end: that end.

        >>> Whisker(0.5, None, None, start=-1).on_scale(0.5)
        '75.00'
        """
        inside = min(max(value, self.start), self.end)
        return f"{100 * (inside - self.start) / (self.end - self.start):.2f}"


@dataclass(frozen=True)
class Value:
    """A cell of a table.

    text, detail   what is read first, and what is read after it
    share          of the colour of a heat map, in [0, 1]; null: no colour
    ringed         stands out: trained in the cell that is tested, or predicted right
    quiet          stands back: the numbers of others
    whisker        drawn beside the text
    """

    text: str
    detail: str = ""
    share: float | None = None
    ringed: bool = False
    quiet: bool = False
    whisker: Whisker | None = None

    def __str__(self) -> str:
        return f"{self.text} ({self.detail})" if self.detail else self.text


MISSING = Value("-", quiet=True)
"""In the place of a number that there is not."""


@dataclass(frozen=True)
class Grid:
    """A table. The first value of `head` and of each row names it; `notes` stand below; `folded`:
    opened on demand; `prose`: texts to be read, not numbers to be compared."""

    title: str
    head: list[Value]
    rows: list[list[Value]]
    notes: tuple[str, ...] = ()
    folded: bool = False
    prose: bool = False

    @classmethod
    def of(cls, table: Table, **options) -> "Grid":
        """A table of texts."""
        rows = [[Value(text) for text in row] for row in table.rows]
        return cls(
            table.title, [Value(text) for text in table.header], rows, tuple(table.notes), **options
        )

    @classmethod
    def facts(cls, title: str, content: object) -> "Grid":
        """Names and values of JSON, nested names with dots."""
        rows = [[Value(name), Value(in_words(value))] for name, value in _flat("", content)]
        return cls(title, [Value("fact"), Value("value")], rows, prose=True)

    @classmethod
    def records(cls, title: str, records: Sequence[dict], **options) -> "Grid":
        """A row a record, a column each name in any of them, nested names with dots."""
        flat = [dict(_flat("", record)) for record in records]
        names = list(dict.fromkeys(name for record in flat for name in record))
        rows = [[Value(in_words(record.get(name))) for name in names] for record in flat]
        return cls(title, list(map(Value, names)), rows, prose=True, **options)

    @property
    def is_heated(self) -> bool:
        """Whether any of its cells has a colour."""
        return any(value.share is not None for row in self.rows for value in row)

    def table(self) -> Table:
        """Its texts alone, as Markdown can hold them."""
        head, *rows = [[_plain(str(value)) for value in row] for row in (self.head, *self.rows)]
        return Table(_plain(self.title), head, rows, [_plain(note) for note in self.notes])


@dataclass(frozen=True)
class Picture:
    """A PNG file and what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Caveat:
    """What a reader must know before believing a number.

    name      in a few words;  text: in a sentence or two;  numbers: behind it, one line each
    severe    the numbers of this report say nothing about the model on the real task
    """

    name: str
    text: str
    numbers: tuple[str, ...] = ()
    severe: bool = False


@dataclass(frozen=True)
class Section:
    """A part of a report: `text` first, then caveats, tables and pictures. `name`: of its
    anchor."""

    name: str
    title: str
    text: tuple[str, ...] = ()
    caveats: tuple[Caveat, ...] = ()
    grids: tuple[Grid, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Report:
    """A run as its reader meets it.

    title      the model;  asked: what was run, in one line
    lead       the one number, and what it is; null where not all four cells were run
    stamps     what must be seen before any number, such as SYNTHETIC
    """

    title: str
    asked: str
    lead: Value | None
    stamps: tuple[str, ...]
    sections: tuple[Section, ...]

    def markdown(self, folder: Path) -> str:
        """GitHub-flavoured Markdown; pictures are named relative to `folder`."""
        blocks = [
            f"# {_plain(self.title)}",
            *(f"**{_plain(stamp)}**" for stamp in self.stamps),
            _plain(self.asked),
        ]
        if self.lead:
            blocks.append(_plain(str(self.lead)))
        for section in self.sections:
            blocks += [f"## {section.title}", *map(_plain, section.text)]
            for caveat in section.caveats:
                lines = [
                    f"- **{_plain(caveat.name)}.** {_plain(caveat.text)}",
                    *(f"  - {_plain(one)}" for one in caveat.numbers),
                ]
                blocks.append("\n".join(lines))
            blocks += [grid.table().markdown() for grid in section.grids]
            for picture in section.pictures:
                place = quote(Path(os.path.relpath(picture.path, folder)).as_posix())
                blocks.append(f"![{_plain(picture.caption)}]({place})")
        return "\n\n".join(blocks) + "\n"


def _flat(name: str, content: object) -> Iterable[tuple[str, object]]:
    if not isinstance(content, dict) or not content:
        yield name, content
        return
    for key, value in content.items():
        yield from _flat(f"{name}.{key}" if name else str(key), value)


def in_words(value: object) -> str:
    """A value of the record in words.

    >>> in_words(None), in_words(True), in_words({"a": 1 / 3}), in_words(["x", "y"])
    ('-', 'yes', 'a 0.333333', 'x, y')
    """
    if isinstance(value, dict):
        return ", ".join(f"{name} {in_words(one)}" for name, one in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(in_words, value)) or "-"
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: in one line, without markup of its own.

    >>> print(_plain("a <b>\\n[c](d) `e`"))
    a &lt;b> \\[c](d) \\`e\\`
    """
    line = " ".join(text.split()).replace("\\", "\\\\")
    for mark, shown in {"&": "&amp;", "<": "&lt;", "[": "\\[", "`": "\\`", "*": "\\*"}.items():
        line = line.replace(mark, shown)
    return line
