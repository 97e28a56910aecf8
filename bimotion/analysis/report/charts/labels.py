"""F1 of each label of a test set, a bar each with its interval."""

from collections.abc import Mapping

from bimotion.analysis.report.charts.axes import SHARES, SMALL_PX, Axes, width_of
from bimotion.io.drawing import Drawing, Line, Part, Shape, Text
from bimotion.io.tables import percent
from bimotion.results.record import Score

ROW_PX, BAR_PX, FIELD_PX = 26, 14, 190


def drawing_of(
    name: str, title: str, scores: Mapping[str, Score], clips: Mapping[str, int]
) -> Drawing:
    """The labels of a test set.

    Args:
        name: Of the files.
        title: Test set and training set.
        scores: Label -> its F1; without a value it has no bar.
        clips: Label -> its test clips.
    """
    names = {label: f"{label} ({clips.get(label, 0)})" for label in scores}
    left = max(map(width_of, names.values())) + 8
    axes = Axes(left, 44, FIELD_PX, ROW_PX * len(scores))
    parts: list[Part] = [Text(0, 14, title, bold=True)]
    parts.append(Text(0, 32, "label (test clips); bar: F1 in %; line: 95 %", "muted", px=SMALL_PX))
    parts += axes.x_ticks(SHARES, [f"{100 * tick:.0f}" for tick in SHARES], "")
    for row, (label, score) in enumerate(scores.items()):
        y = axes.top + row * ROW_PX
        parts.append(Text(left - 8, y + 17, names[label], "ink", "end"))
        parts += _bar(axes, y, score)
    spoken = ", ".join(f"{label} {_in_words(score)}" for label, score in scores.items())
    width = max(left + FIELD_PX + 52, width_of(title, bold=True))
    height = axes.top + axes.height + 24
    return Drawing(
        name, title, f"F1 of each label in %, {title}: {spoken}", width, height, tuple(parts)
    )


def _bar(axes: Axes, y: float, score: Score) -> list[Part]:
    end = axes.left + axes.width
    parts: list[Part] = [Text(end + 48, y + 17, percent(score.value), "ink", "end")]
    if score.value is None:
        return parts
    middle, length = y + ROW_PX / 2, axes.x(score.value) - axes.left
    parts.append(Shape.box(axes.left, middle - BAR_PX / 2, length, BAR_PX, look="accent"))
    if score.low is not None:
        ends = [axes.x(score.low), axes.x(score.high)]
        parts.append(Line([(x, middle) for x in ends], "ground", 4))
        parts.append(Line([(x, middle) for x in ends], "ink", 2))
        parts += [Line(((x, middle - 4), (x, middle + 4)), "ink", 2) for x in ends]
    return parts


def _in_words(score: Score) -> str:
    if score.low is None:
        return percent(score.value)
    return f"{percent(score.value)} ({percent(score.low)} to {percent(score.high)})"
