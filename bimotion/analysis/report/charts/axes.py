"""The field of a chart: two scales with their ticks, and where a value lies."""

from collections.abc import Sequence
from dataclasses import dataclass

from bimotion.io.drawing import BOLD_SHARE, LETTER_SHARE, TEXT_PX, Line, Part, Point, Text

SMALL_PX = 11
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
        parts: list[Part] = [Text(middle, bottom + 34, title, "muted", "middle", SMALL_PX)]
        for value, text in zip(ticks, texts, strict=True):
            x = self.x(value)
            parts.append(Line(((x, self.top), (x, bottom)), "line", 1))
            parts.append(Text(x, bottom + 16, text, "muted", "middle", SMALL_PX))
        return parts

    def y_ticks(self, ticks: Sequence[float], texts: Sequence[str], title: str) -> list[Part]:
        """Lines from left to right with their texts, and the name of the scale above them."""
        parts: list[Part] = [Text(0, self.top - 10, title, "muted", px=SMALL_PX)]
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
