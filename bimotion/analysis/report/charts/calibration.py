"""The share of right answers against the probability that a model gives them: a curve a training
set, for one test cell."""

from collections.abc import Mapping, Sequence

from bimotion.analysis.report.charts.axes import SHARES, SMALL_PX, Axes, width_of
from bimotion.io.drawing import Dot, Drawing, Line, Part, Text
from bimotion.results.statistics.calibration import CalibrationBin

FIELD_PX = 190
LARGEST_DOT_PX = 7.0


def drawing_of(
    name: str, cell: str, shown: str, curves: Mapping[str, Sequence[CalibrationBin]], error: str
) -> Drawing:
    """The curves of a test cell.

    Args:
        name: Of the files.
        cell: That is tested.
        shown: The training set whose curve stands out.
        curves: Training set -> its bins, from low to high confidence.
        error: Expected calibration error of `shown`, as text.
    """
    axes = Axes(34, 62, FIELD_PX, FIELD_PX)
    texts = [f"{100 * tick:.0f}" for tick in SHARES]
    parts: list[Part] = [Text(0, 14, f"{cell}: error {error}", bold=True)]
    parts += axes.y_ticks(SHARES, texts, "right, %")
    parts += axes.x_ticks(SHARES, texts, "probability of the answer, %")
    parts.append(Line((axes.point(0, 0), axes.point(1, 1)), "muted", 1, True))
    further = [bins for train, bins in curves.items() if train != shown]
    for bins in further:
        parts.append(Line(_points(axes, bins), "muted", 1))
    parts += _curve(axes, curves[shown])
    trained = f"trained on {shown}" if shown != "nothing" else "trained on nothing"
    legend = f"{trained}{'; thin: on others' if further else ''}"
    parts.append(Text(0, 32, legend, "muted", px=SMALL_PX))
    bins = curves[shown]
    spoken = ", ".join(
        f"{known_bin.confidence:.2f} right in {100 * known_bin.accuracy:.0f} %"
        for known_bin in bins
    )
    words = f"Calibration on {cell}, {trained}: expected error {error}; probability {spoken}"
    width = max(axes.left + FIELD_PX + 30, width_of(legend, SMALL_PX))
    height = axes.top + FIELD_PX + 42
    return Drawing(name, f"Calibration, {cell}", words, width, height, tuple(parts))


def _points(axes: Axes, bins: Sequence[CalibrationBin]) -> list[tuple[float, float]]:
    return [axes.point(known_bin.confidence, known_bin.accuracy) for known_bin in bins]


def _curve(axes: Axes, bins: Sequence[CalibrationBin]) -> list[Part]:
    """A line, and on it a dot a bin, its area by the clips in it."""
    most = max(known_bin.n_clips for known_bin in bins)
    points = _points(axes, bins)
    dots = [
        Dot(*point, max(2.0, LARGEST_DOT_PX * (known_bin.n_clips / most) ** 0.5))
        for point, known_bin in zip(points, bins, strict=True)
    ]
    return [Line(points, "accent", 2), *dots]
