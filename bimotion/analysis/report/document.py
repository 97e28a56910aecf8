"""The parts of a report of a run: sections of sentences, tables and pictures; plain data, without
HTML. And its Markdown."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bimotion.io.drawing import Drawing
from bimotion.io.tables import Table, plain_markdown
from bimotion.results.record import Score
from bimotion.results.reservations import with_mark
from bimotion.results.statistics.interval import Interval


@dataclass(frozen=True)
class Whisker:
    """A number and its interval on a scale, to be drawn."""

    value: float
    """The number."""
    low: float | None
    """Lower end of its interval; None: no interval."""
    high: float | None
    """Upper end of its interval; None: no interval."""
    start: float = 0.0
    """Lower end of the scale."""
    end: float = 1.0
    """Upper end of the scale."""
    zero: float | None = None
    """Where a line stands on the scale; None: nowhere."""

    @classmethod
    def of(cls, interval: Interval | Score, **scale) -> "Whisker | None":
        """An interval or a score, drawn; None where its value is undefined."""
        if interval.value is None:
            return None
        return cls(interval.value, interval.low, interval.high, **scale)

    def on_scale(self, value: float) -> str:
        """The place of a value on the scale, in % of it; beyond an end: that end.

        >>> Whisker(0.5, None, None, start=-1).on_scale(0.5)
        '75.00'
        """
        inside = min(max(value, self.start), self.end)
        return f"{100 * (inside - self.start) / (self.end - self.start):.2f}"


@dataclass(frozen=True)
class Value:
    """A cell of a table."""

    text: str
    """What is read first."""
    detail: str = ""
    """What is read after it."""
    share: float | None = None
    """Share of the colour of a heat map, in [0, 1]; None: no colour."""
    ringed: bool = False
    """Whether it stands out: trained in the cell that is tested, or predicted right."""
    quiet: bool = False
    """Whether it stands back: the numbers of others."""
    whisker: Whisker | None = None
    """Drawn beside the text."""
    mark: str = ""
    """Behind the text: why little is left of a number (results/reservations.py)."""

    def __str__(self) -> str:
        text = with_mark(self.text, self.mark)
        return f"{text} ({self.detail})" if self.detail else text


MISSING = Value("-", quiet=True)
"""In place of a number that is missing."""


@dataclass(frozen=True)
class Grid:
    """A table; the first value of `head` and of each row names it."""

    title: str
    """What it shows."""
    head: list[Value]
    """Names of the columns."""
    rows: list[list[Value]]
    """Rows as wide as the head."""
    notes: tuple[str, ...] = ()
    """Sentences below it."""
    folded: bool = False
    """Whether it is opened on demand."""
    key: str = ""
    """How a picture of it is read, which travels without the text of the page."""
    prose: bool = False
    """Whether its cells are texts to be read, not numbers to be compared."""

    @classmethod
    def of(cls, table: Table, **options) -> "Grid":
        """The grid of a table of texts."""
        head, *rows = [list(map(Value, row)) for row in (table.header, *table.rows)]
        return cls(table.title, head, rows, tuple(table.notes), **options)

    @classmethod
    def facts(cls, title: str, content: dict) -> "Grid":
        """Names and values of JSON, nested names with dots."""
        rows = [[Value(name), Value(in_words(value))] for name, value in _flat("", content)]
        return cls(title, [Value("fact"), Value("value")], rows, prose=True)

    @property
    def is_heated(self) -> bool:
        """Return whether any of its cells has a colour."""
        return any(value.share is not None for row in self.rows for value in row)

    def table(self) -> Table:
        """Its texts."""
        head, *rows = [[str(value) for value in row] for row in (self.head, *self.rows)]
        return Table(self.title, head, rows, list(self.notes))

    def markdown(self) -> str:
        """Its texts, as Markdown shows them."""
        plain = self.table()
        rows = [[plain_markdown(text) for text in row] for row in (plain.header, *plain.rows)]
        notes = list(map(plain_markdown, plain.notes))
        return Table(plain_markdown(plain.title), rows[0], rows[1:], notes).markdown()


@dataclass(frozen=True)
class Picture:
    """A PNG file and what it shows."""

    path: Path
    """The file."""
    caption: str
    """What it shows."""


@dataclass(frozen=True)
class Caveat:
    """A thing that a reader must know before believing a number."""

    name: str
    """In a few words."""
    text: str
    """In a sentence or two."""
    numbers: tuple[str, ...] = ()
    """The numbers behind it, one line each."""
    severe: bool = False
    """Whether the numbers of this report say nothing about the model on the real task."""

    def markdown(self) -> str:
        """A list item, its numbers below it."""
        items = [
            f"**{plain_markdown(self.name)}.** {plain_markdown(self.text)}",
            *map(plain_markdown, self.numbers),
        ]
        return "- " + "\n  - ".join(items)


@dataclass(frozen=True)
class Section:
    """A part of a report."""

    name: str
    """The name of its anchor."""
    title: str
    """Its heading."""
    text: tuple[str, ...] = ()
    """Paragraphs, which come first."""
    caveats: tuple[Caveat, ...] = ()
    """What comes after the text."""
    grids: tuple[Grid, ...] = ()
    """Tables, after the caveats."""
    drawings: tuple[Drawing, ...] = ()
    """What is drawn of its numbers, after the text."""
    pictures: tuple[Picture, ...] = ()
    """Pictures, which come last."""


@dataclass(frozen=True)
class Report:
    """A run as its reader meets it."""

    title: str
    """The model."""
    asked: str
    """What was run, in one line."""
    lead: Value | None
    """The one number, and what it is; None where not all four cells were run."""
    stamps: tuple[str, ...]
    """What must be seen before any number, such as SYNTHETIC."""
    sections: tuple[Section, ...]
    """Its parts, in order."""

    def markdown(self, folder: Path) -> str:
        """GitHub-flavoured Markdown; pictures are named relative to `folder`."""
        blocks = [
            f"# {plain_markdown(self.title)}",
            *(f"**{plain_markdown(stamp)}**" for stamp in self.stamps),
        ]
        blocks += [plain_markdown(text) for text in (self.asked, str(self.lead or "")) if text]
        for section in self.sections:
            blocks += [f"## {section.title}", *map(plain_markdown, section.text)]
            blocks += [caveat.markdown() for caveat in section.caveats]
            blocks += [grid.markdown() for grid in section.grids]
            for picture in section.pictures:
                address = quote(Path(os.path.relpath(picture.path, folder)).as_posix())
                blocks.append(f"![{plain_markdown(picture.caption)}]({address})")
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
        return ", ".join(f"{name} {in_words(content)}" for name, content in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(in_words, value)) or "-"
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)
