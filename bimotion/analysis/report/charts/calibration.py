"""The share of right answers against the probability that a model gives them, for one test cell: a
small chart for each training set.

Side by side, not on top of each other: up to ten training sets are tested on a cell, and of as many
lines in one field nobody can say which is which.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bimotion.analysis.report.charts.axes import (
    LINE_PX,
    Axes,
    paragraphs,
    room_of,
)
from bimotion.io.drawing import Dot, Drawing, Line, Part, Text
from bimotion.results.statistics.calibration import CalibrationBin

FIELD_PX = 130
LARGEST_DOT_PX = 6.0
PER_ROW = 3
PITCH_PX = 184
"""From chart to chart."""
BELOW_PX = 34
"""Of a field, for its ticks."""
TITLE_PX = 26
TICKS = (0.0, 0.5, 1.0)
KEY = (
    "Across: probability of the answer, %; up: how often it is right, %. On the broken line it is "
    "right as often as it says. Area of a dot: its clips."
)


def drawing_of(
    name: str,
    cell: str,
    curves: Mapping[str, Sequence[CalibrationBin]],
    errors: Mapping[str, str],
) -> Drawing:
    """The curves of a test cell, in the order in which they are given.

    Args:
        name: Of the files.
        cell: That is tested.
        curves: Training set -> its bins, from low to high confidence.
        errors: Training set -> its expected calibration error, as text.
    """
    title = f"Calibration on {cell}, by training set"
    heads = {train: _head(train, errors[train]) for train in curves}
    head_px = max(map(room_of, heads.values()))
    parts: list[Part] = [Text(0, 14, title, bold=True)]
    bottom = TITLE_PX
    for number, (train, bins) in enumerate(curves.items()):
        row, column = divmod(number, PER_ROW)
        left, top = column * PITCH_PX, TITLE_PX + row * (head_px + FIELD_PX + BELOW_PX)
        parts += [replace(line, x=left, y=top + line.y) for line in heads[train]]
        parts += _chart(left, top + head_px, bins)
        bottom = top + head_px + FIELD_PX + BELOW_PX
    width = PITCH_PX * max(min(len(curves), PER_ROW), 2)
    below = paragraphs([KEY], bottom, width)
    spoken = "; ".join(_in_words(train, bins, errors[train]) for train, bins in curves.items())
    height = bottom + room_of(below)
    return Drawing(name, title, f"{title}, {spoken}", width, height, (*parts, *below))


def _head(train: str, error: str) -> list[Text]:
    """The lines above a field: the training set, and its error."""
    name = paragraphs([train], 0, PITCH_PX - 8, "ink", bold=True)
    return name + paragraphs([f"error {error}"], LINE_PX * len(name), PITCH_PX)


def _chart(left: float, top: float, bins: Sequence[CalibrationBin]) -> list[Part]:
    axes = Axes(left + 28, top + LARGEST_DOT_PX, FIELD_PX, FIELD_PX)
    texts = [f"{100 * tick:.0f}" for tick in TICKS]
    parts: list[Part] = axes.y_ticks(TICKS, texts, "") + axes.x_ticks(TICKS, texts, "")
    parts.append(Line((axes.point(0, 0), axes.point(1, 1)), "muted", 1, True))
    return [*parts, *_curve(axes, bins)]


def _curve(axes: Axes, bins: Sequence[CalibrationBin]) -> list[Part]:
    """A line, and on it a dot a bin, its area by the clips in it."""
    most = max(known_bin.n_clips for known_bin in bins)
    points = [axes.point(known_bin.confidence, known_bin.accuracy) for known_bin in bins]
    dots = [
        Dot(*point, max(2.0, LARGEST_DOT_PX * (known_bin.n_clips / most) ** 0.5))
        for point, known_bin in zip(points, bins, strict=True)
    ]
    return [Line(points, "accent", 2), *dots]


def _in_words(train: str, bins: Sequence[CalibrationBin], error: str) -> str:
    spoken = ", ".join(
        f"{known_bin.confidence:.2f} right in {100 * known_bin.accuracy:.0f} %"
        for known_bin in bins
    )
    return f"trained on {train}: expected error {error}; probability {spoken}"
