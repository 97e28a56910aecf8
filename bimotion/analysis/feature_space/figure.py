"""Panels as a figure in PNG and SVG, after Figures 2 and 3 of arXiv 2306.14517: coloured regions
are training data, marks on them test clips."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import pandas as pd

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
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, one in zip(axes, panels, strict=False):
        _panel(place, one, classes)
    for place in axes[len(panels) :]:
        place.axis("off")
    _write(figure, 1 - 0.2 / height, title, 8, fontsize=12, weight="bold", color=INK)
    _legend(figure, panels, classes)
    _write(figure, 0.52 / height, note, 17.5, fontsize=7.5, color=MUTED, linespacing=1.4)
    return figure


def _write(figure, top: float, text: str, letters_per_inch: float, **style) -> None:
    """Lines of text from the left margin; names may hold $, which is no formula here."""
    width = figure.get_figwidth()
    lines = "\n".join(wrap(text, int(width * letters_per_inch)))
    figure.text(0.15 / width, top, lines, va="top", parse_math=False, **style)


def _legend(figure, panels: Sequence[Panel], classes: Sequence[str]) -> None:
    shown = [label for label in classes if any(label in set(one.clips["class"]) for one in panels)]
    figure.legend(
        handles=[_handle(label, classes) for label in shown],
        loc="lower left",
        ncols=len(shown),
        frameon=False,
        fontsize=9,
        bbox_to_anchor=(0.05 / figure.get_figwidth(), 0.6 / figure.get_figheight()),
        handletextpad=0.3,
        columnspacing=1.4,
        borderaxespad=0,
        labelcolor=INK,
    )


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
    _regions(axes, panel)
    for place, label in enumerate(classes):
        _marks(axes, panel.test[panel.test["class"] == label], label, MARKERS[SHAPES[place]])
    _names(axes, panel)
    left, bottom, side = panel.square
    axes.set(
        xlim=(left, left + side), ylim=(bottom, bottom + side), xticks=[], yticks=[], aspect="equal"
    )
    axes.spines[:].set_color(FRAME)
    below = 18 + 11 * panel.note.count("\n")
    axes.set_title(panel.name, fontsize=10.5, loc="left", color=INK, parse_math=False, pad=below)
    axes.text(0, 1.025, panel.note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")


def _regions(axes, panel: Panel) -> None:
    """Training data: coloured areas, the inner one with an outline."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    for share, opacity in zip(SHARES, REGION_OPACITY, strict=True):
        for label, found in panel.densities.items():
            if not (rings := found.regions(share)):
                continue
            colour = COLOURS[label]
            outline = Outline.make_compound_path(*(Outline(ring, closed=True) for ring in rings))
            area = PathPatch(outline, facecolor=colour, alpha=opacity, linewidth=0)
            axes.add_patch(area)
            if share == SHARES[-1]:
                edge = {"facecolor": "none", "edgecolor": colour, "linewidth": 0.6, "alpha": 0.8}
                axes.add_patch(PathPatch(outline, **edge))


def _marks(axes, clips: pd.DataFrame, label: str, marker: str) -> None:
    """Test clips of a class: filled where they are covered, else hollow."""
    for covered, fill in ((True, COLOURS[label]), (False, "white")):
        some = clips[clips["covered"].astype(bool) == covered]
        axes.scatter(
            some["x"],
            some["y"],
            s=20,
            marker=marker,
            facecolor=fill,
            linewidth=0.7,
            edgecolor="white" if covered else COLOURS[label],
            zorder=3 + covered,
        )


def _names(axes, panel: Panel) -> None:
    """Each class's name on its region."""
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=2.5, foreground="white")]
    style = {"fontsize": 9, "weight": "bold", "ha": "center", "va": "center", "zorder": 6}
    for label, place in label_places(panel).items():
        axes.text(*place, label, color=COLOURS[label], path_effects=halo, **style)


def _handle(label: str, classes: Sequence[str]):
    from matplotlib.lines import Line2D

    marker = MARKERS[SHAPES[list(classes).index(label)]]
    return Line2D(
        [], [], linestyle="", marker=marker, markersize=6.5, color=COLOURS[label], label=label
    )
