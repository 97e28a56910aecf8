"""Panels as a figure in PNG and SVG, after Figures 2 and 3 of arXiv 2306.14517: coloured regions
are training data, marks on them test clips."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import numpy as np
import pandas as pd

from bimotion.analysis.feature_space.panels import COLOURS, SHAPES, Panel
from bimotion.analysis.feature_space.umap import SHARES
from bimotion.io import files

MARKERS = dict(zip(SHAPES, "o^sDvXP*", strict=True))
INK, MUTED, FRAME = "#1c1f22", "#62686d", "#d9d8d2"
COLUMNS, PANEL_INCHES = 3, 3.7
MARGIN_INCHES = 0.15
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
    left, top, bottom = MARGIN_INCHES / width, 1 - 1.1 / height, 0.98 / height
    figure.subplots_adjust(left, bottom, 1 - left, top, wspace=0.05, hspace=0.24)
    markers = {label: MARKERS[shape] for label, shape in zip(classes, SHAPES, strict=False)}
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, panel in zip(axes, panels, strict=False):
        _panel(axis, panel, markers)
    for axis in axes[len(panels) :]:
        axis.axis("off")
    _write(figure, 1 - 0.2 / height, title, 8, fontsize=12, weight="bold", color=INK)
    _legend(figure, panels, markers)
    _write(figure, 0.52 / height, note, 17.5, fontsize=7.5, color=MUTED, linespacing=1.4)
    return figure


def _write(figure, top: float, text: str, letters_per_inch: float, **style) -> None:
    """Lines of text from the left margin; names may hold $, which is no formula here."""
    width = figure.get_figwidth()
    lines = "\n".join(wrap(text, int(width * letters_per_inch)))
    figure.text(MARGIN_INCHES / width, top, lines, va="top", parse_math=False, **style)


def _legend(figure, panels: Sequence[Panel], markers: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    present = {label for panel in panels for label in panel.clips["class"]}
    style = {"linestyle": "", "markersize": 6.5}
    handles = [
        Line2D([], [], marker=marker, color=COLOURS[label], label=label, **style)
        for label, marker in markers.items()
        if label in present
    ]
    corner = (0.05 / figure.get_figwidth(), 0.6 / figure.get_figheight())
    spacing = {"handletextpad": 0.3, "columnspacing": 1.4, "borderaxespad": 0, "frameon": False}
    look = {"ncols": len(handles), "fontsize": 9, "labelcolor": INK, **spacing}
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=corner, **look)


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


def _panel(axes, panel: Panel, markers: dict[str, str]) -> None:
    _regions(axes, panel)
    for label, marker in markers.items():
        _clips(axes, panel.test[panel.test["class"] == label], COLOURS[label], marker)
    left, bottom, side = panel.square
    axes.set(xlim=(left, left + side), ylim=(bottom, bottom + side), aspect="equal")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(FRAME)
    below = 18 + 11 * panel.note.count("\n")
    axes.set_title(panel.name, fontsize=10.5, loc="left", color=INK, parse_math=False, pad=below)
    axes.text(0, 1.025, panel.note, transform=axes.transAxes, fontsize=8, color=MUTED, va="bottom")


def _regions(axes, panel: Panel) -> None:
    """Training data: coloured areas, the inner one with an outline."""
    for share, opacity in zip(SHARES, REGION_OPACITY, strict=True):
        for label, density in panel.densities.items():
            grid, level = (density.x, density.y, density.values), density.level(share)
            axes.contourf(*grid, [level, np.inf], colors=[COLOURS[label]], alpha=opacity)
            if share == SHARES[-1]:
                axes.contour(*grid, [level], colors=[COLOURS[label]], linewidths=0.6, alpha=0.8)


def _clips(axes, clips: pd.DataFrame, colour: str, marker: str) -> None:
    """Test clips of a class: filled where they are covered, else hollow."""
    filled = {"facecolor": colour, "edgecolor": "white", "zorder": 4}
    hollow = {"facecolor": "white", "edgecolor": colour, "zorder": 3}
    for covered, style in ((True, filled), (False, hollow)):
        shown = clips[clips["covered"].astype(bool) == covered]
        axes.scatter(shown["x"], shown["y"], s=20, marker=marker, linewidth=0.7, **style)
