"""A finished view of a feature space: its record, its files, what is drawn and tabled of it."""

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bimotion.analysis.feature_space import figure, html, panels
from bimotion.analysis.feature_space.coverage import Coverage
from bimotion.analysis.feature_space.panels import Panel
from bimotion.errors import RecordError
from bimotion.io import files
from bimotion.io.records import Record, parsed, typed
from bimotion.io.tables import Table
from bimotion.protocol.published import SYNTHETIC
from bimotion.results import record
from bimotion.results.record import (
    ModelUsed,
    ProtocolUsed,
    Provenance,
    RunSpec,
    SchemaUsed,
    SplitUsed,
)

PROJECTION_VERSION = "1"
"""Changes whenever any coordinate or number moves."""
MAX_RECORD_BYTES = 32 * 1024 * 1024
STEM, COORDINATES_FILE, COVERAGE_FILE = "projection", "coordinates.parquet", "coverage.json"


@dataclass(frozen=True)
class Row(Record):
    """How a training set covers the test clips of one class (null: of all classes shown together):
    Coverage, by name."""

    panel: str
    class_name: str | None
    coverage: Coverage


@dataclass(frozen=True)
class Projection(Record):
    """A finished view, as coverage.json.

    key         hash of all that its numbers depend on
    panels      name -> training cells;  test: cells;  classes: that are shown
    left_out    why clips of training or test sets are not shown -> how many
    corpora     name -> clips used;  synthetic: some corpus is
    umap        its parameters that are not the defaults of its version, and those that matter most
    """

    key: str
    model: ModelUsed
    track: str
    split: SplitUsed
    schema: SchemaUsed
    seed: int
    limit: int | None
    panels: dict[str, list[str]]
    test: list[str]
    classes: list[str]
    coverage: list[Row]
    left_out: dict[str, int]
    corpora: dict[str, int]
    synthetic: bool
    data_fingerprint: str
    umap: dict[str, float]
    provenance: Provenance
    projection_version: str = PROJECTION_VERSION

    def of(self, panel: str, class_name: str | None = None) -> Coverage:
        """The numbers of one panel and class."""
        return next(
            row.coverage
            for row in self.coverage
            if (row.panel, row.class_name) == (panel, class_name)
        )

    def folder(self, output: str | os.PathLike) -> Path:
        """Where `project(output=output)` keeps it."""
        spec = RunSpec(
            self.model, self.track, self.split, self.schema, ProtocolUsed("", ""), [], None, ""
        )
        return record.folder_of(Path(output), spec).with_name(f"projection-{self.key}")


def save(view: Projection, clips: pd.DataFrame, folder: Path) -> None:
    """Write all files of a view; `clips`: rows of coordinates.parquet."""
    with files.written(folder / COORDINATES_FILE) as temporary:
        clips.to_parquet(temporary, index=False)
    drawn = panels_of(view, clips)
    title = (
        f"{view.model.name}: {' + '.join(view.test)} in the feature space of {len(drawn)} "
        "training sets"
    )
    synthetic = "SYNTHETIC data. " if view.synthetic else ""
    note = (
        f"{synthetic}Regions: the densest that hold 50 % and 90 % of a class's training data. "
        "Marks: test clips; hollow: no training clip is nearer than the k-th nearest test "
        f"clip, k = {view.coverage[0].coverage.k}. Coverage: share of filled marks; if alike: "
        "what it would be if training and test clips came from one distribution. All are "
        "measured in the feature space, not on the map. Each panel is a UMAP of its own: "
        "positions in two panels cannot be compared."
    )
    figure.save(figure.draw(drawn, view.classes, title, note), folder / STEM)
    html.write(drawn, view.classes, title, note, table(view), folder / f"{STEM}.html")
    with files.written(folder / COVERAGE_FILE) as temporary:
        text = json.dumps(dataclasses.asdict(view), indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def files_of(view: Projection, output: str | os.PathLike) -> list[Path]:
    """Paths of what `project(output=output)` wrote."""
    folder = view.folder(output)
    drawn = [folder / f"{STEM}{kind}" for kind in (".png", ".svg", ".html")]
    return [*drawn, folder / COORDINATES_FILE, folder / COVERAGE_FILE]


def read(folder: Path) -> Projection:
    """The record of a view, from its folder; raises RecordError."""
    path = folder / COVERAGE_FILE
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            raise RecordError(f"more than {MAX_RECORD_BYTES} bytes")
        return typed(Projection, parsed(path.read_text(encoding="utf-8")), "projection")
    except (OSError, ValueError, RecordError) as error:
        raise RecordError(f"{path}: expected JSON of `bimotion project`, found: {error}") from None


def load(folder: Path) -> tuple[Projection, pd.DataFrame]:
    """A view and its coordinates from its folder; raises RecordError."""
    view = read(folder)
    try:
        return view, pd.read_parquet(folder / COORDINATES_FILE)
    except (OSError, ValueError) as error:
        raise RecordError(f"{folder}: expected {COORDINATES_FILE}, found: {error}") from None


def panels_of(view: Projection, clips: pd.DataFrame) -> list[Panel]:
    """What is drawn of a view: its panels in order."""
    found = []
    for name in view.panels:
        all_classes = view.of(name)
        note = (
            f"coverage {_of_alike(all_classes.coverage, all_classes.expected)} by "
            f"{all_classes.n_train} training clips"
        )
        if all_classes.n_drawn < all_classes.n_train:
            drawn = _of_alike(all_classes.drawn_coverage, all_classes.drawn_expected)
            note += f"\ncoverage {drawn} by any {all_classes.n_drawn} of them"
        found.append(panels.panel(name, note, clips[clips["panel"] == name], view.classes))
    return found


def table(view: Projection) -> Table:
    """The numbers of a view as text."""
    measured = ("coverage", "if alike")
    drawn = ("by any", *measured, "density", "precision", "recall")
    title = (
        f"Coverage of {' + '.join(view.test)} by training clips in the feature space of "
        f"{view.model.name}"
    )
    found = Table(title, ["training set", "class", "training", "test", *measured, *drawn])
    found.rows += map(_table_row, view.coverage)
    found.notes.append(legend(view.coverage[0].coverage.k))
    found.notes += [
        f"{row.panel}, {row.class_name or 'all'}: no coverage: {row.coverage.reason}"
        for row in view.coverage
        if row.coverage.coverage is None and row.coverage.reason
    ]
    if view.synthetic:
        found.notes.append(SYNTHETIC)
    return found


def _table_row(row: Row) -> list[str]:
    one = row.coverage
    drawn = (one.drawn_coverage, one.drawn_expected, one.density, one.precision, one.recall)
    return [
        row.panel,
        row.class_name or "all",
        str(one.n_train),
        str(one.n_test),
        *map(_number, (one.coverage, one.expected)),
        str(one.n_drawn or "–"),
        *map(_number, drawn),
    ]


def legend(k: int) -> str:
    """What the columns of coverage mean."""
    return (
        "coverage: share of test clips with a training clip no farther than their k-th "
        f"nearest test clip, k = {k}; by any n: mean over all draws of so many training "
        "clips, the same number for all sets; if alike: expected if training and test clips "
        "came from one distribution."
    )


def _of_alike(value: float | None, expected: float | None) -> str:
    return (
        "unknown" if value is None or expected is None else f"{value:.2f} (if alike {expected:.2f})"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
