"""How a run was made, all of it; and the pictures of its features, where `bimotion project` made
some."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from bimotion.analysis.feature_space import record
from bimotion.analysis.report.document import Grid, Picture, Section, Value, in_words
from bimotion.errors import RecordError
from bimotion.protocol.published import SYNTHETIC
from bimotion.results.record import Result


def provenance(result: Result) -> Section:
    """What was asked, where and when it ran, corpora, trainings, settings skipped."""
    grids = [*_facts(result), _corpora(result), *_trainings(result), *_skipped(result)]
    return Section("provenance", "How it was made", grids=tuple(grids))


ASKED = ("key", "model", "n_parameters", "track", "adapt", "split", "schema", "protocol")


def _facts(result: Result) -> Iterable[Grid]:
    asked = {name: getattr(result, name) for name in (*ASKED, "seeds", "limit")}
    asked["data fingerprint"] = result.data.fingerprint
    yield Grid.facts("What was asked", {name: _plain_data(value) for name, value in asked.items()})
    yield Grid.facts("Where and when", _plain_data(result.provenance))


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


def _corpora(result: Result) -> Grid:
    rows = [
        [Value(name), *(Value(in_words(getattr(used, field))) for field in CORPUS_FACTS.values())]
        for name, used in result.data.corpora.items()
    ]
    return Grid("Corpora", [Value("corpus"), *map(Value, CORPUS_FACTS)], rows, prose=True)


def _trainings(result: Result) -> Iterable[Grid]:
    title = f"{len(result.fits)} trainings" if result.track != "zero-shot" else "Predictions"
    clips = ("training clips", "validation clips", "test predictions")
    head = ("training set", "seed", *clips, "facts", "note")
    return _records(title, head, result.fits)


def _skipped(result: Result) -> Iterable[Grid]:
    head = ("transfer", "method", "trained on", "tested on", "reason")
    return _records(f"{len(result.skipped)} settings skipped", head, result.skipped)


def _records(title: str, head: Sequence[str], records: Sequence) -> Iterable[Grid]:
    """A folded table of dataclasses; none of no records."""
    rows = [[Value(in_words(value)) for value in dataclasses.astuple(one)] for one in records]
    if rows:
        yield Grid(title, list(map(Value, head)), rows, folded=True, prose=True)


def _plain_data(value: object) -> object:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


def projections(result: Result, folder: Path) -> Iterable[Section]:
    """Pictures and coverage that `bimotion project` left in `projection*/`, in the run's folder or,
    of the same model and kind of data, beside it; no section where there are none. Raises
    RecordError."""
    pictures, grids = [], []
    for place in sorted(
        [*folder.glob("projection*"), *folder.absolute().parent.glob("projection*")]
    ):
        if not (place / record.COVERAGE_FILE).exists():
            continue
        try:
            view = record.read(place)
        except RecordError as error:
            raise RecordError(f"{error}; make it again or remove it") from None
        if place.parent != folder and not _of_the_same(view, result):
            continue
        table = record.table(view)
        of = f"trained on {'; '.join(view.panels)}, tested on {' + '.join(view.test)}"
        if result.adapt is not None:
            of += "; features before adaptation"
            table.notes.append("Of the features before adaptation.")
        if view.synthetic:
            of += f"; {SYNTHETIC}"
        if (place / f"{record.STEM}.png").exists():
            pictures.append(Picture(place / f"{record.STEM}.png", of))
        grids.append(Grid.of(table, folded=True))
    if pictures or grids:
        yield Section("projections", "Feature space", pictures=tuple(pictures), grids=tuple(grids))


def _of_the_same(view: record.Projection, result: Result) -> bool:
    """Whether a view shows the model and the kind of data that the run was made with: it may show
    other cells."""
    ours = (
        result.track,
        result.split,
        result.schema,
        result.limit,
        result.model.name,
        result.model.revision,
    )
    if (
        view.track,
        view.split,
        view.schema,
        view.limit,
        view.model.name,
        view.model.revision,
    ) != ours:
        return False
    used = result.data.corpora
    return view.synthetic == result.data.synthetic and all(
        name in used and n <= used[name].n_utterances for name, n in view.corpora.items()
    )
