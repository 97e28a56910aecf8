"""The part of a report on the origin of a run; and the pictures of its features, where `bimotion
project` made some."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from bimotion.analysis.feature_space import record
from bimotion.analysis.report.document import Grid, Picture, Section, Value, in_words
from bimotion.errors import RecordError
from bimotion.protocol.published import SYNTHETIC
from bimotion.results.record import Result

ASKED = ("key", "model", "n_parameters", "track", "adapt", "split", "schema", "protocol")
CORPUS_FACTS = {
    "clips used": "n_utterances",
    "usable": "n_found",
    "published": "n_published",
    "complete": "complete",
    "synthetic": "synthetic",
    "ages known by": "age_source",
    "left out": "left_out",
    "speakers in several parts": "speakers_shared",
}
"""Title of a column -> field of CorpusUsed."""
FIT_HEAD = (
    *("training set", "seed", "training clips", "validation clips", "test predictions"),
    *("facts", "note", "fold"),
)
"""Titles of the fields of a FitRecord."""
SKIPPED_HEAD = ("transfer", "method", "trained on", "tested on", "reason")
"""Titles of the fields of a Skipped."""
SAME = ("track", "split", "schema", "limit")
"""Fields of a run that its pictures share, beside the model."""


def provenance(result: Result) -> Section:
    """The facts of a run: what was asked, where and when it ran, corpora, trainings, and settings
    skipped."""
    content = dataclasses.asdict(result)
    asked = {name: content[name] for name in (*ASKED, "seeds", "limit")}
    asked["data fingerprint"] = result.data.fingerprint
    corpora = [
        [Value(name), *(Value(in_words(getattr(used, field))) for field in CORPUS_FACTS.values())]
        for name, used in result.data.corpora.items()
    ]
    trainings = "Predictions" if result.track == "zero-shot" else f"{len(result.fits)} trainings"
    skipped = f"{len(result.skipped)} settings skipped"
    grids = [
        Grid.facts("What was asked", asked),
        Grid.facts("Where and when", content["provenance"]),
        Grid("Corpora", list(map(Value, ("corpus", *CORPUS_FACTS))), corpora, prose=True),
        _records(trainings, FIT_HEAD, result.fits),
        _records(skipped, SKIPPED_HEAD, result.skipped),
    ]
    kept = tuple(grid for grid in grids if grid.rows or not grid.folded)
    return Section("provenance", "How it was made", grids=kept)


def _records(title: str, head: Sequence[str], records: Sequence) -> Grid:
    """A folded table, a row a record with all its fields."""
    rows = [[Value(in_words(value)) for value in vars(row).values()] for row in records]
    return Grid(title, list(map(Value, head)), rows, folded=True, prose=True)


def projections(result: Result, folder: Path) -> Iterable[Section]:
    """Pictures and coverage that `bimotion project` left in `projection*/`, in the run's folder or,
    of the same model and kind of data, beside it; no section where there are none. Raises
    RecordError."""
    pictures, grids = [], []
    beside = folder.absolute().parent.glob("projection*")
    for path in sorted([*folder.glob("projection*"), *beside]):
        if not (path / record.COVERAGE_FILE).exists():
            continue
        try:
            view = record.read(path)
        except RecordError as error:
            raise RecordError(f"{error}; make it again or remove it") from None
        if path.parent != folder and not _is_of_the_same(view, result):
            continue
        table = record.table(view)
        caption = f"trained on {'; '.join(view.panels)}, tested on {' + '.join(view.test)}"
        if result.adapt is not None:
            caption += "; features before adaptation"
            table.notes.append("Of the features before adaptation.")
        if view.synthetic:
            caption += f"; {SYNTHETIC}"
        if (picture := path / f"{record.STEM}.png").exists():
            pictures.append(Picture(picture, caption))
        grids.append(Grid.of(table, folded=True))
    if grids:
        yield Section("projections", "Feature space", pictures=tuple(pictures), grids=tuple(grids))


def _is_of_the_same(view: record.Projection, result: Result) -> bool:
    """Return whether a view shows the model and the kind of data that the run was made with: it may
    show other cells."""
    model, used = result.model, result.data.corpora
    return (
        all(getattr(view, name) == getattr(result, name) for name in SAME)
        and (view.model.name, view.model.revision) == (model.name, model.revision)
        and view.synthetic == result.data.synthetic
        and all(name in used and n <= used[name].n_utterances for name, n in view.corpora.items())
    )
