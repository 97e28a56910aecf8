"""Pictures (drawing.py) as PNG and PDF, painted by matplotlib (extra `figures`)."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon

from bimotion.errors import printable
from bimotion.io import files
from bimotion.io.drawing import MARGIN_PX, Dot, Drawing, Line, Part, Shape, Text, palette

PX_PER_INCH, POINTS_PER_PX = 96, 0.75
PRINTED_DPI = 192
METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None}}
ANCHORS = {"start": "left", "middle": "center", "end": "right"}


def save(drawing: Drawing, folder: Path) -> list[Path]:
    """Write a picture as PNG and PDF in its light colours; returns the paths."""
    figure = painted(drawing)
    targets = [folder / f"{drawing.name}{suffix}" for suffix in METADATA]
    for target in targets:
        with files.written(target) as temporary:
            figure.savefig(temporary, dpi=PRINTED_DPI, metadata=METADATA[target.suffix])
    return targets


def painted(drawing: Drawing) -> Figure:
    """A picture as a matplotlib figure, a pixel of the drawing being 1/96 inch."""
    sides = (drawing.width + 2 * MARGIN_PX, drawing.height + 2 * MARGIN_PX)
    figure = Figure(figsize=[side / PX_PER_INCH for side in sides])
    axes = figure.add_axes((0, 0, 1, 1))
    across, down = drawing.width + MARGIN_PX, drawing.height + MARGIN_PX
    axes.set(xlim=(-MARGIN_PX, across), ylim=(down, -MARGIN_PX))
    axes.axis("off")
    colours = palette("light", alone=True)
    for order, part in enumerate((drawing.ground, *drawing.parts)):
        _paint(axes, part, colours, order)
    return figure


def _paint(axes: Axes, part: Part, colours: dict[str, str], order: int) -> None:
    colour, below = colours[part.look], {"zorder": order}
    match part:
        case Line(points, _, width, dashed):
            width *= POINTS_PER_PX
            style = {"linestyle": (0, (3, 3)) if dashed else "-", "solid_capstyle": "butt"}
            axes.plot(*zip(*points, strict=True), color=colour, linewidth=width, **style, **below)
        case Shape(points, _, ringed):
            edge = (
                {"edgecolor": colours["accent"], "linewidth": 1.1} if ringed else {"linewidth": 0}
            )
            axes.add_patch(Polygon(list(points), facecolor=colour, **edge, **below))
        case Dot(x, y, radius):
            axes.add_patch(Circle((x, y), radius, facecolor=colour, linewidth=0, **below))
        case Text(x, y, words, _, anchor, px, bold):
            style = {"ha": ANCHORS[anchor], "va": "baseline", "color": colour, **below}
            style |= {"fontsize": px * POINTS_PER_PX, "weight": "bold" if bold else "normal"}
            axes.text(x, y, printable(words), parse_math=False, **style)
