"""The field of a chart: two scales with their ticks, and where a value lies; texts that fit."""

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bimotion.io.drawing import BOLD_SHARE, LETTER_SHARE, TEXT_PX, Line, Part, Point, Text

SMALL_PX, LINE_PX = 11, 16
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Ticks of a scale of shares."""


@dataclass(frozen=True)
class Axes:
    """A field between two scales; y grows upwards."""

    left: float
    """Of the field, in pixels."""
    top: float
    """Of the field, in pixels."""
    width: float
    """Of the field, in pixels."""
    height: float
    """Of the field, in pixels."""
    x_range: tuple[float, float] = (0.0, 1.0)
    """First and last value."""
    y_range: tuple[float, float] = (0.0, 1.0)
    """First and last value."""

    def x(self, value: float) -> float:
        """The pixel of a value, an end of the scale for what lies beyond it."""
        start, end = self.x_range
        return self.left + self.width * (min(max(value, start), end) - start) / (end - start)

    def y(self, value: float) -> float:
        """The pixel of a value, an end of the scale for what lies beyond it."""
        start, end = self.y_range
        inside = min(max(value, start), end)
        return self.top + self.height * (1 - (inside - start) / (end - start))

    def point(self, x: float, y: float) -> Point:
        """The point where two values meet."""
        return self.x(x), self.y(y)

    def x_ticks(self, ticks: Sequence[float], texts: Sequence[str], title: str) -> list[Part]:
        """Lines from top to bottom with their texts, and the name of the scale below them."""
        bottom = self.top + self.height
        middle = self.left + self.width / 2
        name = Text(middle, bottom + 34, title, "muted", "middle", SMALL_PX)
        parts: list[Part] = [name] if title else []
        for value, text in zip(ticks, texts, strict=True):
            x = self.x(value)
            parts.append(Line(((x, self.top), (x, bottom)), "line", 1))
            parts.append(Text(x, bottom + 16, text, "muted", "middle", SMALL_PX))
        return parts

    def y_ticks(self, ticks: Sequence[float], texts: Sequence[str], title: str) -> list[Part]:
        """Lines from left to right with their texts, and the name of the scale above them."""
        name = Text(0, self.top - 10, title, "muted", px=SMALL_PX)
        parts: list[Part] = [name] if title else []
        for value, text in zip(ticks, texts, strict=True):
            y = self.y(value)
            parts.append(Line(((self.left, y), (self.left + self.width, y)), "line", 1))
            parts.append(Text(self.left - 6, y + 4, text, "muted", "end", SMALL_PX))
        return parts


def width_of(words: str, px: float = TEXT_PX, *, bold: bool = False) -> float:
    """The room that a text takes, in pixels.

    >>> width_of("abcde", 10)
    29.0
    """
    return round(len(words) * px * (BOLD_SHARE if bold else LETTER_SHARE), 1)


def shortened(words: str, room: float, px: float = TEXT_PX, *, bold: bool = False) -> str:
    """A text that fits into a room, in pixels: cut with an ellipsis where it must be.

    >>> shortened("abcdefgh", 29, 10), shortened("abc", 29, 10)
    ('abcd…', 'abc')
    """
    if width_of(words, px, bold=bold) <= room:
        return words
    return words[: max(int(room / width_of("a", px, bold=bold)) - 1, 1)] + "…"


def paragraphs(
    texts: Iterable[str],
    top: float,
    room: float,
    look: str = "muted",
    *,
    left: float = 0,
    bold: bool = False,
) -> list[Text]:
    """Small texts below each other, each in as many lines as fit into a room, in pixels; empty ones
    are left out.

    >>> [(line.y, line.words) for line in paragraphs(["ab cd", "", "e"], 0, 20)]
    [(12.8, 'ab'), (28.8, 'cd'), (44.8, 'e')]
    """
    n_letters = max(int(room / width_of("a", SMALL_PX, bold=bold)), 1)
    # a mark stays with the word that it begins
    kept = [re.sub(r"(?<!\S)(\S) ", "\\1\u00a0", text) for text in texts]
    lines = [line for text in kept for line in textwrap.wrap(text, n_letters)]
    return [
        Text(
            left,
            round(top + LINE_PX * (number + 0.8), 1),
            line.replace("\u00a0", " "),
            look,
            px=SMALL_PX,
            bold=bold,
        )
        for number, line in enumerate(lines)
    ]


def room_of(lines: Sequence[Text]) -> float:
    """The height of paragraphs, in pixels."""
    return LINE_PX * len(lines) + 4 * bool(lines)
