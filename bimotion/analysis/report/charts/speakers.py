"""Recall of each speaker of a corpus against age, and the slope that is tested."""

import pandas as pd

from bimotion.analysis import ages
from bimotion.analysis.report.charts.axes import SHARES, SMALL_PX, Axes, width_of
from bimotion.io.drawing import Dot, Drawing, Line, Part, Shape, Text
from bimotion.protocol.cells import ELDERLY_FROM_YEARS
from bimotion.results.statistics.ages import DECADE_YEARS, AgeResult

LOOKS = {"f": "accent", "m": "second"}
"""Gender -> colour; women are dots, men are diamonds."""
GENDERS = {"f": "women", "m": "men"}
SIZE_PX = (310, 190)
ELDERLY = f"elderly from {ELDERLY_FROM_YEARS} →"


def drawing_of(name: str, result: AgeResult, speakers: pd.DataFrame) -> Drawing:
    """The speakers of an age result, with the common slope through the mean of each gender where
    there is a test of it.

    Args:
        name: Of the files.
        result: What was found of them.
        speakers: Index speaker, columns age, gender, recall.
    """
    first, last = speakers["age"].min(), speakers["age"].max()
    decades = range(int(min(first, 20) // 10), int(-(-max(last, 70) // 10)) + 1)
    ticks = [10 * decade for decade in decades]
    axes = Axes(34, 70, *SIZE_PX, x_range=(ticks[0], ticks[-1]))
    title = f"{result.corpus}, trained on {ages.UNIONS.get(result.train, result.train)}"
    parts: list[Part] = [Text(0, 14, title, bold=True), *_legend(speakers)]
    parts += axes.y_ticks(SHARES, [f"{100 * tick:.0f}" for tick in SHARES], "recall, %")
    parts += axes.x_ticks(ticks, list(map(str, ticks)), "age in years")
    border = axes.x(ELDERLY_FROM_YEARS)
    parts.append(Line(((border, axes.top), (border, axes.top + axes.height)), "muted", 1, True))
    parts.append(Text(border - 4, axes.top + axes.height - 6, ELDERLY, "muted", "end", SMALL_PX))
    for gender, rows in speakers.groupby("gender"):
        for age, recall in zip(rows["age"], rows["recall"], strict=True):
            parts.append(_speaker(*axes.point(age, recall), gender))
        if result.slope.reach is not None and len(rows) > 1:
            parts += _trend(axes, rows, result.slope.value, gender)
    slope = _slope(result)
    parts.append(Text(0, 34, slope, "ink", px=SMALL_PX))
    width = max(axes.left + axes.width + 14, width_of(title, bold=True), width_of(slope, SMALL_PX))
    words = f"Recall of {len(speakers)} speakers against age, {title}; {slope}"
    return Drawing(name, title, words, width, axes.top + axes.height + 42, tuple(parts))


def _slope(result: AgeResult) -> str:
    value, interval, p = ages.contrast_texts(result.slope)
    if not interval:
        return f"slope {value} points a decade ({p})"
    return f"slope {value} points a decade ({interval}; p {p})"


def _legend(speakers: pd.DataFrame) -> list[Part]:
    parts: list[Part] = []
    x = 90.0
    for gender in sorted(set(speakers["gender"]) & set(GENDERS)):
        n_speakers = int((speakers["gender"] == gender).sum())
        text = f"{GENDERS[gender]} ({n_speakers})"
        parts += [_speaker(x, 56, gender), Text(x + 9, 60, text, "muted", px=SMALL_PX)]
        x += width_of(text, SMALL_PX) + 30
    return parts


def _speaker(x: float, y: float, gender: str) -> Part:
    look = LOOKS.get(gender, "muted")
    if gender != "m":
        return Dot(x, y, 3.5, look)
    return Shape(((x, y - 4.5), (x + 4.5, y), (x, y + 4.5), (x - 4.5, y)), look)


def _trend(axes: Axes, rows: pd.DataFrame, slope: float, gender: str) -> list[Part]:
    age, recall = rows["age"].mean(), rows["recall"].mean()
    ends = (rows["age"].min(), rows["age"].max())
    line = [axes.point(end, recall + slope * (end - age) / DECADE_YEARS) for end in ends]
    return [Line(line, LOOKS.get(gender, "muted"), 2)]
