"""Panels as an interactive page (io/html.py): what figure.py draws, and each test clip by name, the
same in every panel."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bimotion.analysis.feature_space.panels import COLOURS, SHAPES, Panel
from bimotion.analysis.feature_space.umap import SHARES
from bimotion.io import files, html
from bimotion.io.tables import Table

SIDE = 1000
"""Units along a panel."""


def write(
    panels: Sequence[Panel],
    classes: Sequence[str],
    title: str,
    note: str,
    numbers: Table,
    target: Path,
) -> None:
    """Write the page; `numbers`: the table below the panels. The same bytes for the same panels.

    Example::

        projection_page.write(panels, ["positive", "negative"], "model", "", numbers,
        Path("projection.html"))
    """
    clips = panels[0].test[["id", "cell", "corpus", "class"]].sort_values("id")
    shapes = dict(zip(classes, SHAPES, strict=False))
    styles = [{"name": name, "colour": COLOURS[name], "shape": shapes[name]} for name in classes]
    content = {
        "classes": styles,
        "clips": clips.to_dict("list"),
        "panels": [_panel(panel, clips["id"].tolist()) for panel in panels],
        "numbers": asdict(numbers),
    }
    text = html.render(
        __package__,
        "projection.html",
        style=html.part("projection.css", __package__),
        script=html.part("projection.js", __package__),
        title=title,
        note=note,
        data=html.packed(json.dumps(content, allow_nan=False)),
    )
    with files.written(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _panel(panel: Panel, ids: list[str]) -> dict:
    test = panel.test.set_index("id").loc[ids]
    regions = []
    for share in SHARES:
        for name, density in panel.densities.items():
            rings = [_on_page(panel, ring) for ring in density.regions(share)]
            regions.append({"class": name, "rings": rings, "inner": share == SHARES[-1]})
    return {
        "name": panel.name,
        "note": panel.note,
        "points": _on_page(panel, test[["x", "y"]].to_numpy()),
        "covered": test["covered"].astype(int).tolist(),
        "regions": regions,
    }


def _on_page(panel: Panel, points: np.ndarray) -> list[list[float]]:
    """Points in units of the page, whose y grows downwards."""
    left, bottom, side = panel.square
    right, up = ((points - [left, bottom]) / side * SIDE).T
    return np.round(np.column_stack([right, SIDE - up]), 1).tolist()
