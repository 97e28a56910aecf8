"""Panels as a figure in PNG and SVG, after Figures 2 and 3 of arXiv 2306.14517: coloured regions
are training data, marks on them test clips."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from bimotion.analysis.feature_space.panels import COLOURS, SHAPES, Panel, label_places
from bimotion.analysis.feature_space.umap import SHARES
from bimotion.io import files

MARKERS = dict(zip(SHAPES, "o^sDvXP*", strict=True))
INK, MUTED, FRAME = "#1c1f22", "#62686d", "#d9d8d2"
COLUMNS, PANEL_INCHES = 3, 3.7
REGION_OPACITY = (0.16, 0.30)
"""Of the regions of SHARES, outer and inner, which lie on each other."""


def draw(panels: Sequence[Panel], classes: Sequence[str], title: str, note: str):
    """A matplotlib Figure: panels in rows of three, a legend and a note below them.

    Example::

        figures.save(figures.draw(panels, ["positive", "negative"], "model", ""),
        Path("projection"))
    """
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    width, height = max(columns * PANEL_INCHES, 5.5), rows * (PANEL_INCHES + 0.6) + 1.4
    figure = Figure(figsize=(width, height), facecolor="white")
    figure.subplots_adjust(
        left=0.15 / width,
        right=1 - 0.15 / width,
        top=1 - 1.1 / height,
        bottom=0.98 / height,
        wspace=0.05,
        hspace=0.24,
    )
    heading = "\n".join(wrap(title, int(width * 8)))  # names may hold $, which is no formula here
    figure.text(
        0.15 / width,
        1 - 0.2 / height,
        heading,
        fontsize=12,
        weight="bold",
        color=INK,
        va="top",
        parse_math=False,
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, one in zip(axes, panels, strict=False):
        _panel(place, one, classes)
    for place in axes[len(panels) :]:
        place.axis("off")
    shown = [label for label in classes if any(label in set(one.clips["class"]) for one in panels)]
    figure.legend(
        handles=[_handle(label, classes) for label in shown],
        loc="lower left",
        ncols=len(shown),
        frameon=False,
        fontsize=9,
        bbox_to_anchor=(0.05 / width, 0.6 / height),
        handletextpad=0.3,
        columnspacing=1.4,
        borderaxespad=0,
        labelcolor=INK,
    )
    lines = "\n".join(wrap(note, int(width * 17.5)))
    figure.text(
        0.15 / width,
        0.52 / height,
        lines,
        fontsize=7.5,
        color=MUTED,
        va="top",
        linespacing=1.4,
        parse_math=False,
    )
    return figure


def save(figure, stem: Path) -> list[Path]:
    """Write `stem`.png and .svg, the same bytes for the same figure; returns their paths."""
    import matplotlib

    targets = [stem.with_suffix(kind) for kind in (".png", ".svg")]
    with matplotlib.rc_context({"svg.hashsalt": "bimotion", "svg.fonttype": "none"}):
        for target in targets:
            with files.written(target) as temporary:
                dated = {"metadata": {"Date": None}} if target.suffix == ".svg" else {}
                figure.savefig(temporary, dpi=200, **dated)
    return targets


def _panel(axes, panel: Panel, classes: Sequence[str]) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline
    from matplotlib.patheffects import withStroke

    for share, opacity in zip(SHARES, REGION_OPACITY, strict=True):
        for label, found in panel.densities.items():
            if rings := found.regions(share):
                outline = Outline.make_compound_path(
                    *(Outline(ring, closed=True) for ring in rings)
                )
                axes.add_patch(
                    PathPatch(outline, facecolor=COLOURS[label], alpha=opacity, linewidth=0)
                )
                if share == SHARES[-1]:
                    axes.add_patch(
                        PathPatch(
                            outline,
                            facecolor="none",
                            edgecolor=COLOURS[label],
                            linewidth=0.6,
                            alpha=0.8,
                        )
                    )
    for place, label in enumerate(classes):
        of_class = panel.test[panel.test["class"] == label]
        for covered, fill in ((True, COLOURS[label]), (False, "white")):
            some = of_class[of_class["covered"].astype(bool) == covered]
            axes.scatter(
                some["x"],
                some["y"],
                s=20,
                marker=MARKERS[SHAPES[place]],
                facecolor=fill,
                linewidth=0.7,
                edgecolor="white" if covered else COLOURS[label],
                zorder=3 + covered,
            )
    for label, place in label_places(panel).items():
        halo = [withStroke(linewidth=2.5, foreground="white")]
        axes.text(
            *place,
            label,
            color=COLOURS[label],
            fontsize=9,
            weight="bold",
            ha="center",
            va="center",
            path_effects=halo,
            zorder=6,
        )
    left, bottom, side = panel.square
    axes.set(
        xlim=(left, left + side), ylim=(bottom, bottom + side), xticks=[], yticks=[], aspect="equal"
    )
    axes.spines[:].set_color(FRAME)
    axes.set_title(
        panel.name,
        fontsize=10.5,
        loc="left",
        color=INK,
        parse_math=False,
        pad=18 + 11 * panel.note.count("\n"),
    )
    axes.text(0, 1.025, panel.note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")


def _handle(label: str, classes: Sequence[str]):
    from matplotlib.lines import Line2D

    marker = MARKERS[SHAPES[list(classes).index(label)]]
    return Line2D(
        [], [], linestyle="", marker=marker, markersize=6.5, color=COLOURS[label], label=label
    )
