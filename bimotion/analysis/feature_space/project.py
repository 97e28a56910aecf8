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
    """What is drawn and measured.

    train     names of training sets: cells or unions joined by +, such as `yue+zho`; a union's
              cells without clips in the corpora that are used are left out
    test      a cell or a union
    classes   of the schema, at most 8; None: all that test clips have
    k         nearest neighbours that coverage looks at
    """

    train: tuple[str, ...]
    test: str
    classes: tuple[str, ...] | None = None
    k: int = covering.K


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

    task      its protocol and cells play no part; its first seed is that of the training and the
              map
    track     None: Probe()
    output    the checkpoints of finished runs below it are used again

    Writes OUTPUT/<model>/projection-<key>/: projection.png, .svg and .html, coordinates.parquet,
    coverage.json.

    Raises MissingExtra (pip install 'bimotion[figures]'), and what `bimotion.evaluate` does.

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
    schema = schema_named(task.schema)
    sets, tests = _training_sets(view.train, source.corpora), groups.union(view.test)
    runner = runner_of(track or configured("probe"), model, schema)
    labelled, plan = planning.planned(_settings(sets, tests), task, source, progress)
    if plan.skipped:
        raise SettingError("; ".join(sorted({skip.reason for skip in plan.skipped})))
    jobs = {job.name: job for job in plan.jobs(task.seeds[:1])}
    jobs = {name: jobs["+".join(map(str, cells))] for name, cells in sets.items()}
    shown = _classes(view.classes, schema, labelled, next(iter(jobs.values())))
    made = _Made(runner, labelled, plan, jobs, shown, _spec(runner, view, task, labelled))
    named = {name: [str(cell) for cell in cells] for name, cells in sets.items()}
    key = _key(made.spec, named, shown, view.k)
    folder = record.folder_of(Path(output), made.spec).with_name(f"projection-{key}")
    with contextlib.closing(runner):
        runner.open(labelled, plan.rows(), progress)
        clips, rows = _clips_and_rows(made, view.k, RunFolder(folder), progress)
    found = _record(made, key, named, [str(cell) for cell in tests], rows, started)
    views.save(found, clips, folder)
    return found


@dataclass(frozen=True)
class _Made:
    """What the steps of one view share: training set -> job; classes that are shown."""

    runner: Runner
    labelled: LabelledClips
    plan: RunPlan
    jobs: dict[str, TrainingJob]
    shown: list[str]
    spec: RunSpec


def _settings(sets: dict[str, tuple[Cell, ...]], tests: Iterable[Cell]) -> list[Setting]:
    return [
        Setting("", "projection", cells, cell)
        for cells in dict.fromkeys(sets.values())
        for cell in tests
    ]


def _spec(runner: Runner, view: ViewSpec, task: TaskSpec, labelled: LabelledClips) -> RunSpec:
    return dataclasses.replace(
        spec_of(runner, task, labelled),
        protocol=ProtocolUsed("projection", PROJECTION_VERSION, [view.test]),
        seeds=list(task.seeds[:1]),
        adapt=None,
    )


def _key(spec: RunSpec, named: dict[str, list[str]], shown: list[str], k: int) -> str:
    return hashlib.sha256(json.dumps([spec.key, named, shown, k]).encode()).hexdigest()[:12]


def _record(
    made: _Made,
    key: str,
    named: dict[str, list[str]],
    tests: list[str],
    rows: list[Row],
    started: str,
) -> Projection:
    spec, [seed] = made.spec, made.spec.seeds
    used = made.labelled.table.loc[made.plan.rows()]
    states = made.labelled.selection.manifest.states
    origin = provenance(started, [seed, spec.split.seed], states, made.runner.device)
    packages = {name: metadata.version(name) for name in ("umap-learn", "matplotlib")}
    return Projection(
        key=key,
        model=spec.model,
        track=spec.track,
        split=spec.split,
        schema=spec.schema,
        seed=seed,
        limit=spec.limit,
        panels=named,
        test=tests,
        classes=made.shown,
        coverage=rows,
        left_out=_left_out(made.labelled, made.jobs, made.shown),
        corpora={name: int(n) for name, n in used["corpus"].value_counts().sort_index().items()},
        synthetic=bool(used["synthetic"].any()),
        data_fingerprint=spec.data_fingerprint,
        umap={
            "n_neighbors": umap.N_NEIGHBOURS,
            "min_dist": umap.MIN_DISTANCE,
            "random_state": seed,
        },
        provenance=dataclasses.replace(origin, versions=origin.versions | packages),
    )


def _training_sets(
    train: Iterable[str], corpora: tuple[str, ...] | None
) -> dict[str, tuple[Cell, ...]]:
    """Name -> cells in the order of the protocol. Raises UnknownName, SettingError."""
    found: dict[str, tuple[Cell, ...]] = {}
    used = [corpus_named(name) for name in (CORPORA if corpora is None else corpora)]
    available = {cell for corpus in used for cell in corpus.card.cells}
    for name in train:
        parts = {part: groups.union(part.strip()) for part in name.split("+")}
        kept = {
            cell
            for cells in parts.values()
            for cell in cells
            if len(cells) == 1 or str(cell) in available
        }
        cells = tuple(cell for cell in CELLS if cell in kept)
        if not cells:
            raise SettingError(
                f"training set {name}: expected clips in some of its cells, found none in "
                f"{', '.join(corpora)}"
            )
        if same := [other for other, taken in found.items() if taken == cells]:
            raise SettingError(
                f"training set {name}: expected other cells than those of {same[0]}, found "
                f"{', '.join(map(str, cells))}"
            )
        found[name] = cells
    if not found:
        raise SettingError("expected at least one training set, such as yue+zho, found none")
    return found


def _classes(
    asked: Iterable[str] | None, schema: LabelSchema, labelled: LabelledClips, job: TrainingJob
) -> list[str]:
    """Classes to show, in the schema's order; raises UnknownName, SettingError."""
    present = {
        name
        for name, any_ in zip(
            schema.classes, (labelled.reference[job.test] == 1).any(axis=0), strict=True
        )
        if any_
    }
    wanted = list(present) if asked is None else one_or_more(asked)
    if strange := [name for name in wanted if name not in schema.classes]:
        raise UnknownName("class", strange[0], schema.classes)
    if absent := [name for name in wanted if name not in present]:
        raise SettingError(
            f"class {absent[0]}: expected test clips of it; the test set has "
            f"{', '.join(sorted(present))}"
        )
    if not 1 <= len(set(wanted)) <= MAX_CLASSES:
        raise SettingError(
            f"expected 1 to {MAX_CLASSES} classes to tell apart, found {len(set(wanted))}: "
            "choose some with --classes"
        )
    return [name for name in schema.classes if name in wanted]


def _clips_and_rows(
    made: _Made, k: int, folder: RunFolder, progress: Progress
) -> tuple[pd.DataFrame, list[Row]]:
    """Coordinates of the clips of all panels, and how each panel covers the test clips."""
    labelled, shown = made.labelled, made.shown
    marks = labelled.reference[:, [labelled.schema.classes.index(name) for name in shown]] == 1
    sizes = [_sizes(marks[rows]) for job in made.jobs.values() for rows in (job.train, job.test)]
    n_drawn = np.min(sizes, axis=0).tolist()  # the same for all training sets
    tables, rows, first = [], [], None
    for name, job in made.jobs.items():
        train, test = (part[marks[part].any(axis=1)] for part in (job.train, job.test))
        numbers = np.concatenate([train, test])
        own, kept = folder.checkpoint(job.name, job.seed), _kept(made, job, folder.path)
        features = made.runner.embeddings(job, numbers, own, kept)
        of_train, of_test = features[: len(train)], features[len(train) :]
        rows.append(Row(name, None, covering.coverage(of_train, of_test, k, n_drawn[-1])))
        for place, label in enumerate(shown):
            of_class = (of_train[marks[train, place]], of_test[marks[test, place]])
            rows.append(Row(name, label, covering.coverage(*of_class, k, n_drawn[place])))
        with progress.task(f"map of {name}: {len(numbers)} clips"):
            points = umap.project(features, job.seed)
        first = points[len(train) :] if first is None else first
        points = umap.aligned(points, points[len(train) :], first)
        table = labelled.table.loc[numbers, ["id", "cell", "corpus"]].assign(
            panel=name, x=points[:, 0], y=points[:, 1]
        )
        table["part"] = np.repeat(["train", "test"], [len(train), len(test)])
        table["class"] = np.array(shown, object)[marks[numbers].argmax(axis=1)]
        table["covered"] = [None] * len(train) + covering.covered(of_train, of_test, k).tolist()
        tables.append(table.astype({"covered": "boolean"})[list(panels.COLUMNS)])
    return pd.concat(tables, ignore_index=True), rows


def _sizes(marks: np.ndarray) -> list[int]:
    """Clips of each class, and of any."""
    return [*marks.sum(axis=0).tolist(), int(marks.any(axis=1).sum())]


def _kept(made: _Made, job: TrainingJob, folder: Path) -> Path | None:
    """Checkpoint that a finished run beside `folder` kept, of the same model, options, clips and
    seed."""
    if not made.runner.save_checkpoints:
        return None
    for path in sorted(folder.parent.glob(f"*/{record.RESULT_FILE}")):
        try:
            result = record.load(path)
        except RecordError:
            continue
        same = (result.model, result.track) == (made.spec.model, made.spec.track)
        same &= result.schema.name == made.spec.schema.name
        same &= (result.split.rule, result.split.seed) == (
            made.spec.split.rule,
            made.spec.split.seed,
        )
        for fit in result.fits if same else ():
            kept = RunFolder(path.parent).best_checkpoint(fit.train, fit.seed)
            if _is_same_training(made.labelled, job, result, fit) and kept.is_dir():
                return kept
    return None


def _is_same_training(
    labelled: LabelledClips, job: TrainingJob, result: Result, fit: FitRecord
) -> bool:
    """Whether a training of a finished run had the clips and the seed of a job."""
    states = labelled.selection.manifest.states
    corpora = set(labelled.table.loc[job.train, "corpus"])
    cells, named = training_set_parts(fit.train)
    used = [name for name, one in result.data.corpora.items() if one.n_utterances]
    trained = {name for name in named or used if set(cells).intersection(CORPORA[name].card.cells)}
    return (
        set(cells) == set(training_set_parts(job.name)[0])
        and trained == corpora
        and fit.seed == job.seed
        and (fit.n_train, fit.n_validation) == (len(job.train), len(job.validation))
        and all(result.provenance.inputs.get(name) == states[name] for name in corpora)
    )


def _left_out(
    labelled: LabelledClips, jobs: dict[str, TrainingJob], shown: list[str]
) -> dict[str, int]:
    marks = labelled.reference[:, [labelled.schema.classes.index(name) for name in shown]] == 1
    parts = {"test": next(iter(jobs.values())).test} | {
        f"training set {name}": job.train for name, job in jobs.items()
    }
    found = {
        f"{part}: none of the classes shown": int((~marks[rows].any(axis=1)).sum())
        for part, rows in parts.items()
    }
    return {reason: n for reason, n in found.items() if n}
