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
from bimotion.io.records import Record, read_record
from bimotion.io.tables import Table
from bimotion.protocol.published import SYNTHETIC
from bimotion.results import record

PROJECTION_VERSION = "1"
"""Changes whenever any coordinate or number moves."""
MAX_RECORD_BYTES = 32 * 1024 * 1024
STEM, COORDINATES_FILE, COVERAGE_FILE = "projection", "coordinates.parquet", "coverage.json"


@dataclass(frozen=True)
class Row(Record):
    """The coverage of the test clips of one class by a training set."""

    panel: str
    """Name of the training set."""
    class_name: str | None
    """The class; null: all classes shown together."""
    coverage: Coverage
    """The numbers."""


@dataclass(frozen=True)
class Projection(Record):
    """A finished view, as coverage.json."""

    key: str
    """Hash of all that its numbers depend on."""
    model: record.ModelUsed
    """The model whose features are shown."""
    track: str
    """The track that trained it."""
    split: record.SplitUsed
    """Which clips train and which test."""
    schema: record.SchemaUsed
    """The labels."""
    seed: int
    """Of the training and the map."""
    limit: int | None
    """At most so many clips of each corpus, cell and part; null: all."""
    panels: dict[str, list[str]]
    """Name of a training set -> its cells."""
    test: list[str]
    """The test cells."""
    classes: list[str]
    """The classes that are shown."""
    coverage: list[Row]
    """One for each panel and class, and for all classes of a panel."""
    left_out: dict[str, int]
    """Why clips of training or test sets are not shown -> how many."""
    corpora: dict[str, int]
    """Corpus -> clips used."""
    synthetic: bool
    """Whether some corpus is synthetic."""
    data_fingerprint: str
    """Hash of the utterances used."""
    umap: dict[str, float]
    """Parameters that are not the defaults of its version, and those that matter most."""
    provenance: record.Provenance
    """How it was made."""
    projection_version: str = PROJECTION_VERSION
    """Of its numbers."""

    def of(self, panel: str, class_name: str | None = None) -> Coverage:
        """The numbers of one panel and class."""
        wanted = (panel, class_name)
        return next(row.coverage for row in self.coverage if (row.panel, row.class_name) == wanted)

    def folder(self, output: str | os.PathLike) -> Path:
        """The folder that `project(output=output)` writes."""
        nothing = record.ProtocolUsed("", "")
        asked = (self.model, self.track, self.split, self.schema, nothing, [], None, "")
        of_run = record.folder_of(Path(output), record.RunSpec(*asked))
        return of_run.with_name(f"projection-{self.key}")


def save(view: Projection, clips: pd.DataFrame, folder: Path) -> None:
    """Write all files of a view; `clips`: rows of coordinates.parquet."""
    with files.written(folder / COORDINATES_FILE) as temporary:
        clips.to_parquet(temporary, index=False)
    drawn = panels_of(view, clips)
    title = (
        f"{view.model.title}: {' + '.join(view.test)} in the feature space of {len(drawn)} "
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
    drawn = [f"{STEM}{kind}" for kind in (".png", ".svg", ".html")]
    return [view.folder(output) / name for name in (*drawn, COORDINATES_FILE, COVERAGE_FILE)]


def read(folder: Path) -> Projection:
    """The record of a view, from its folder; raises RecordError."""
    return read_record(Projection, folder / COVERAGE_FILE, MAX_RECORD_BYTES, "projection")


def load(folder: Path) -> tuple[Projection, pd.DataFrame]:
    """A view and its coordinates from its folder; raises RecordError."""
    view = read(folder)
    try:
        return view, pd.read_parquet(folder / COORDINATES_FILE)
    except (OSError, ValueError) as error:
        raise RecordError(f"{folder}: expected {COORDINATES_FILE}, found: {error}") from None


def panels_of(view: Projection, clips: pd.DataFrame) -> list[Panel]:
    """The panels of a view, in order."""
    drawn = []
    for name in view.panels:
        known = view.of(name)
        all_clips = _beside_expected(known.coverage, known.expected)
        note = f"coverage {all_clips} by {known.n_train} training clips"
        if known.n_drawn < known.n_train:
            some_clips = _beside_expected(known.drawn_coverage, known.drawn_expected)
            note += f"\ncoverage {some_clips} by any {known.n_drawn} of them"
        drawn.append(panels.panel(name, note, clips[clips["panel"] == name], view.classes))
    return drawn


def table(view: Projection) -> Table:
    """The numbers of a view as text."""
    measured = ("coverage", "if alike")
    columns = ("training", "test", *measured, "by any", *measured, "density", "precision", "recall")
    tested = f"Coverage of {' + '.join(view.test)} by training clips"
    title = f"{tested} in the feature space of {view.model.title}"
    numbers = Table(title, ["training set", "class", *columns])
    numbers.notes = [legend(view.coverage[0].coverage.k)]
    for row in view.coverage:
        known, label = row.coverage, row.class_name or "all"
        sizes = [str(known.n_train), str(known.n_test)]
        more = map(number, (known.density, known.precision, known.recall))
        numbers.rows.append([row.panel, label, *sizes, *coverage_cells(known), *more])
        if known.coverage is None and known.reason:
            numbers.notes.append(f"{row.panel}, {label}: no coverage: {known.reason}")
    if view.synthetic:
        numbers.notes.append(SYNTHETIC)
    return numbers


def legend(k: int) -> str:
    """The meaning of the columns of coverage."""
    return (
        "coverage: share of test clips with a training clip no farther than their k-th "
        f"nearest test clip, k = {k}; by any n: mean over all draws of so many training "
        "clips, the same number for all sets; if alike: expected if training and test clips "
        "came from one distribution."
    )


def _beside_expected(value: float | None, expected: float | None) -> str:
    return "unknown" if None in (value, expected) else f"{value:.2f} (if alike {expected:.2f})"


def coverage_cells(known: Coverage) -> list[str]:
    """Coverage by all training clips, then by so many of them, each beside what is expected."""
    by_all, by_any = (known.coverage, known.expected), (known.drawn_coverage, known.drawn_expected)
    return [*map(number, by_all), str(known.n_drawn or "–"), *map(number, by_any)]


def number(value: float | None) -> str:
    """Two decimals, a dash for None."""
    return "–" if value is None else f"{value:.2f}"
