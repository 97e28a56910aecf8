"""The feature-space view of a model: what Figures 2 and 3 of arXiv 2306.14517 show, and numbers
beside the picture.

For each training set the model's head (or the whole model, track `finetune`) is trained as
`bimotion evaluate` trains it; the features before its last linear layer, of training and test clips
together, are drawn on a map of their own. Heads differ, so spaces do: two panels share their test
clips and which way up they lie, not their axes. Numbers (coverage.py) are computed in the feature
space, never on the map.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.analysis.feature_space import coverage as covering
from bimotion.analysis.feature_space import panels, umap
from bimotion.analysis.feature_space import record as views
from bimotion.analysis.feature_space.panels import MAX_CLASSES
from bimotion.analysis.feature_space.record import PROJECTION_VERSION, Projection, Row
from bimotion.corpora import CORPORA, corpus_named
from bimotion.data.labelled import LabelledClips
from bimotion.data.source import CorpusSource
from bimotion.errors import RecordError, SettingError, UnknownName
from bimotion.evaluation import plan as planning
from bimotion.evaluation.job import TrainingJob
from bimotion.evaluation.plan import RunPlan
from bimotion.evaluation.run import spec_of
from bimotion.evaluation.task import TaskSpec
from bimotion.evaluation.tracks import Runner, Track, configured, runner_of
from bimotion.io import files
from bimotion.io.bounds import MAX_COUNT, one_or_more, whole_number
from bimotion.io.progress import Progress, default_progress
from bimotion.models.spec import ModelSpec
from bimotion.protocol import cells as groups
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import LabelSchema, schema_named
from bimotion.protocol.settings import Setting, training_set_parts
from bimotion.results import record
from bimotion.results.provenance import now, provenance
from bimotion.results.record import FitRecord, ProtocolUsed, Result, RunSpec
from bimotion.results.run_folder import RunFolder

CELLS = (*groups.BIMOTION_CELLS, *groups.YUEMOTION_CELLS, *groups.EXTENSION_CELLS)


@dataclass(frozen=True)
class ViewSpec:
    """The sets and classes that are drawn and measured."""

    train: tuple[str, ...]
    """Names of training sets: cells or unions joined by +, such as `yue+zho`; a union's cells
    without clips in the corpora that are used are left out."""
    test: str
    """A cell or a union."""
    classes: tuple[str, ...] | None = None
    """Of the schema, at most 8; None: all that test clips have."""
    k: int = covering.K
    """Nearest neighbours that coverage looks at."""


@dataclass(frozen=True)
class _Inputs:
    """The things that the steps of one view share."""

    runner: Runner
    labelled: LabelledClips
    plan: RunPlan
    sets: dict[str, tuple[Cell, ...]]
    """Name of a training set -> its cells."""
    jobs: dict[str, TrainingJob]
    """Name of a training set -> its training."""
    classes: list[str]
    """Those that are shown."""
    spec: RunSpec

    @cached_property
    def has_class(self) -> np.ndarray:
        """The classes shown that each clip has: bool, shape (n_clips, n_classes)."""
        columns = [self.labelled.schema.classes.index(name) for name in self.classes]
        return self.labelled.reference[:, columns] == 1


def project(
    model: ModelSpec,
    view: ViewSpec,
    task: TaskSpec,
    source: CorpusSource,
    *,
    track: Track | None = None,
    output: str | os.PathLike = "results",
    progress: Progress | None = None,
) -> Projection:
    """Draw and measure how training sets cover a test set in a model's feature space.

    Writes OUTPUT/<model>/projection-<key>/: projection.png, .svg and .html, coordinates.parquet,
    coverage.json.

    Args:
        model: Whose features.
        view: What is drawn and measured.
        task: Its protocol and cells play no part; its first seed is that of the training and the
            map.
        source: Where the corpora lie.
        track: None: Probe().
        output: The checkpoints of finished runs below it are used again.
        progress: Shows the work.

    Raises:
        MissingExtra: pip install 'bimotion[figures]'. Also what `bimotion.evaluate` raises.

    Example::

        view = ViewSpec(("yue", "yue+zho", "yue+eng"), "yue_adu")
        found = project(ModelSpec("bimotion/prosody"), view, TaskSpec(), CorpusSource("/corpora"))
        found.of("yue+zho").coverage     # in [0, 1]
    """
    umap.require_extra()
    files.require_writable(Path(output))
    started, progress = now(), progress or default_progress()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise SettingError(f"project: expected one process, found {os.environ['WORLD_SIZE']}")
    whole_number("k", view.k, 1, MAX_COUNT)
    inputs = _inputs(model, view, task, source, track, progress)
    sets = {name: list(map(str, cells)) for name, cells in inputs.sets.items()}
    identity = json.dumps([inputs.spec.key, sets, inputs.classes, view.k])
    key = hashlib.sha256(identity.encode()).hexdigest()[:12]
    folder = record.folder_of(Path(output), inputs.spec).with_name(f"projection-{key}")
    with contextlib.closing(inputs.runner):
        inputs.runner.open(inputs.labelled, inputs.plan.rows(), progress)
        clips, rows = _clips_and_rows(inputs, view.k, RunFolder(folder), progress)
    projection = _record(inputs, key, sets, rows, started)
    views.save(projection, clips, folder)
    return projection


def _inputs(
    model: ModelSpec,
    view: ViewSpec,
    task: TaskSpec,
    source: CorpusSource,
    track: Track | None,
    progress: Progress,
) -> _Inputs:
    schema = schema_named(task.schema)
    sets, tests = _training_sets(view.train, source.corpora), groups.union(view.test)
    runner = runner_of(track or configured("probe"), model, schema)
    settings = [Setting("", "projection", cells, cell) for cells in sets.values() for cell in tests]
    labelled, plan = planning.planned(settings, task, source, progress, one_fold=True)
    if plan.skipped:
        raise SettingError(record.why_skipped(plan.skipped))
    by_cells = {job.name: job for job in plan.jobs(task.seeds[:1])}
    jobs = {name: by_cells["+".join(map(str, cells))] for name, cells in sets.items()}
    spec = dataclasses.replace(
        spec_of(runner, task, labelled),
        protocol=ProtocolUsed("projection", PROJECTION_VERSION, [view.test]),
        seeds=list(task.seeds[:1]),
        adapt=None,
    )
    classes = _classes(view.classes, schema, labelled, next(iter(jobs.values())))
    return _Inputs(runner, labelled, plan, sets, jobs, classes, spec)


def _record(
    inputs: _Inputs, key: str, sets: dict[str, list[str]], rows: list[Row], started: str
) -> Projection:
    spec, labelled, [seed] = inputs.spec, inputs.labelled, inputs.spec.seeds
    used = labelled.table.loc[inputs.plan.rows()]
    states = labelled.selection.manifest.states
    origin = provenance(started, [seed, spec.split.seed], states, inputs.runner.device)
    packages = {name: metadata.version(name) for name in ("umap-learn", "matplotlib")}
    parameters = {"n_neighbors": umap.N_NEIGHBOURS, "min_dist": umap.MIN_DISTANCE}
    return Projection(
        key=key,
        model=spec.model,
        track=spec.track,
        split=spec.split,
        schema=spec.schema,
        seed=seed,
        limit=spec.limit,
        panels=sets,
        test=[str(cell) for cell in groups.union(*spec.protocol.cells)],
        classes=inputs.classes,
        coverage=rows,
        left_out=_left_out(inputs),
        corpora={name: int(n) for name, n in used["corpus"].value_counts().sort_index().items()},
        synthetic=bool(used["synthetic"].any()),
        data_fingerprint=spec.data_fingerprint,
        umap=parameters | {"random_state": seed},
        provenance=dataclasses.replace(origin, versions=origin.versions | packages),
    )


def _training_sets(
    train: Iterable[str], corpora: tuple[str, ...] | None
) -> dict[str, tuple[Cell, ...]]:
    """Name -> cells in the order of the protocol. Raises UnknownName, SettingError."""
    sets: dict[str, tuple[Cell, ...]] = {}
    used = [corpus_named(name) for name in (CORPORA if corpora is None else corpora)]
    available = {cell for corpus in used for cell in corpus.card.cells}
    for name in train:
        parts = [groups.union(part.strip()) for part in name.split("+")]
        named = {cells[0] for cells in parts if len(cells) == 1}
        of_unions = {cell for cells in parts for cell in cells if str(cell) in available}
        cells = tuple(cell for cell in CELLS if cell in named | of_unions)
        if not cells:
            raise SettingError(
                f"training set {name}: expected clips in some of its cells, found none in "
                f"{', '.join(corpora)}"
            )
        if same := [other for other, taken in sets.items() if taken == cells]:
            raise SettingError(
                f"training set {name}: expected other cells than those of {same[0]}, found "
                f"{', '.join(map(str, cells))}"
            )
        sets[name] = cells
    if not sets:
        raise SettingError("expected at least one training set, such as yue+zho, found none")
    return sets


def _classes(
    asked: Iterable[str] | None, schema: LabelSchema, labelled: LabelledClips, job: TrainingJob
) -> list[str]:
    """Classes to show, in the schema's order; raises UnknownName, SettingError."""
    tested = (labelled.reference[job.test] == 1).any(axis=0)
    present = {schema.classes[label] for label in np.flatnonzero(tested)}
    wanted = present if asked is None else dict.fromkeys(one_or_more(asked))
    if unknown := [name for name in wanted if name not in schema.classes]:
        raise UnknownName("class", unknown[0], schema.classes)
    if absent := [name for name in wanted if name not in present]:
        raise SettingError(
            f"class {absent[0]}: expected test clips of it; the test set has "
            f"{', '.join(sorted(present))}"
        )
    if not 1 <= len(wanted) <= MAX_CLASSES:
        raise SettingError(
            f"expected 1 to {MAX_CLASSES} classes to tell apart, found {len(wanted)}: "
            "choose some with --classes"
        )
    return [name for name in schema.classes if name in wanted]


def _clips_and_rows(
    inputs: _Inputs, k: int, folder: RunFolder, progress: Progress
) -> tuple[pd.DataFrame, list[Row]]:
    """Coordinates of the clips of all panels, and how each panel covers the test clips."""
    has_class, jobs = inputs.has_class, inputs.jobs.values()
    sizes = [_sizes(has_class[rows]) for job in jobs for rows in (job.train, job.test)]
    n_drawn = np.min(sizes, axis=0).tolist()  # the same for all training sets
    tables, rows, first = [], [], None
    for name, job in inputs.jobs.items():
        train, test = (part[has_class[part].any(axis=1)] for part in (job.train, job.test))
        numbers = np.concatenate([train, test])
        own, kept = folder.checkpoint(job.name, job.seed, job.fold), _kept(inputs, job, folder.path)
        features = inputs.runner.embeddings(job, numbers, own, kept)
        of_train, of_test = features[: len(train)], features[len(train) :]
        rows.append(Row(name, None, covering.coverage(of_train, of_test, k, n_drawn[-1])))
        for column, label in enumerate(inputs.classes):
            of_class = (of_train[has_class[train, column]], of_test[has_class[test, column]])
            rows.append(Row(name, label, covering.coverage(*of_class, k, n_drawn[column])))
        with progress.task(f"map of {name}: {len(numbers)} clips"):
            points = umap.project(features, job.seed)
        first = points[len(train) :] if first is None else first
        points = umap.aligned(points, points[len(train) :], first)
        table = inputs.labelled.table.loc[numbers, ["id", "cell", "corpus"]]
        table = table.assign(panel=name, x=points[:, 0], y=points[:, 1])
        table["part"] = np.repeat(["train", "test"], [len(train), len(test)])
        table["class"] = np.array(inputs.classes, object)[has_class[numbers].argmax(axis=1)]
        table["covered"] = [None] * len(train) + covering.covered(of_train, of_test, k).tolist()
        tables.append(table.astype({"covered": "boolean"})[list(panels.COLUMNS)])
    return pd.concat(tables, ignore_index=True), rows


def _sizes(has_class: np.ndarray) -> list[int]:
    """Clips of each class, and of any."""
    return [*has_class.sum(axis=0).tolist(), int(has_class.any(axis=1).sum())]


def _kept(inputs: _Inputs, job: TrainingJob, folder: Path) -> Path | None:
    """The checkpoint that a finished run beside `folder` kept, of the same model, options, clips
    and seed."""
    if not inputs.runner.save_checkpoints:
        return None
    for path in sorted(folder.parent.glob(f"*/{record.RESULT_FILE}")):
        try:
            result = record.load(path)
        except RecordError:
            continue
        if _training_of(result) != _training_of(inputs.spec):
            continue
        for fit in result.fits:
            kept = RunFolder(path.parent).best_checkpoint(fit.train, fit.seed, fit.fold)
            if _is_same_training(inputs.labelled, job, result, fit) and kept.is_dir():
                return kept
    return None


def _training_of(run: Result | RunSpec) -> tuple:
    """The facts that trainings of the same clips and seed depend on."""
    return run.model, run.track, run.schema.name, run.split.rule, run.split.seed


def _is_same_training(
    labelled: LabelledClips, job: TrainingJob, result: Result, fit: FitRecord
) -> bool:
    """Return whether a training of a finished run had the clips and the seed of a job."""
    states = labelled.selection.manifest.states
    corpora = set(labelled.table.loc[job.train, "corpus"])
    cells, named, drawn = training_set_parts(fit.train)
    of_job = training_set_parts(job.name)
    used = [name for name, corpus in result.data.corpora.items() if corpus.n_utterances]
    trained = {name for name in named or used if set(cells).intersection(CORPORA[name].card.cells)}
    return (
        set(cells) == set(of_job.cells)
        and drawn == of_job.drawn
        and trained == corpora
        and (fit.seed, fit.fold) == (job.seed, job.fold)
        and (fit.n_train, fit.n_validation) == (len(job.train), len(job.validation))
        and all(result.provenance.inputs.get(name) == states[name] for name in corpora)
    )


def _left_out(inputs: _Inputs) -> dict[str, int]:
    parts = {"test": next(iter(inputs.jobs.values())).test}
    parts |= {f"training set {name}": job.train for name, job in inputs.jobs.items()}
    counts = {
        f"{part}: none of the classes shown": int((~inputs.has_class[rows].any(axis=1)).sum())
        for part, rows in parts.items()
    }
    return {reason: n for reason, n in counts.items() if n}
