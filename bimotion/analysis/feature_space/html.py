"""Panels as an interactive page (io/html.py): what figure.py draws, and each test clip by name, the
same in every panel."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bimotion.analysis.feature_space.panels import COLOURS, SHAPES, Panel, label_places
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
    content = {
        "classes": [
            {"name": name, "colour": COLOURS[name], "shape": SHAPES[place]}
            for place, name in enumerate(classes)
        ],
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
    labels = label_places(panel)
    return {
        "name": panel.name,
        "note": panel.note,
        "points": _places(panel, test[["x", "y"]].to_numpy()),
        "covered": test["covered"].astype(int).tolist(),
        "regions": [
            {
                "class": name,
                "rings": [_places(panel, ring) for ring in density.regions(share)],
                "inner": share == SHARES[-1],
            }
            for share in SHARES
            for name, density in panel.densities.items()
        ],
        "labels": {name: _places(panel, place[None])[0] for name, place in labels.items()},
    }


def _places(panel: Panel, points: np.ndarray) -> list[list[float]]:
    """On the page, whose y grows downwards."""
    left, bottom, side = panel.square
    found = (points - [left, bottom]) / side * SIDE
    return np.round(np.column_stack([found[:, 0], SIDE - found[:, 1]]), 1).tolist()
