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
from collections.abc import Iterable, Mapping
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
from bimotion.data import manifest, splits
from bimotion.data.labelled import LabelledClips
from bimotion.errors import RecordError, SettingError, UnknownName
from bimotion.evaluation import plan as planning
from bimotion.evaluation.job import TrainingJob
from bimotion.evaluation.plan import Request
from bimotion.evaluation.run import CHECKPOINTS_FOLDER
from bimotion.evaluation.tracks import Track, TrackOptions
from bimotion.evaluation.tracks import track as tracked
from bimotion.io import files
from bimotion.io.bounds import MAX_COUNT, MAX_SEED, one_or_more, whole_number
from bimotion.io.progress import Progress, default_progress
from bimotion.protocol import cells as groups
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import LabelSchema, schema_named
from bimotion.protocol.settings import Setting
from bimotion.results import record
from bimotion.results.provenance import now, provenance
from bimotion.results.record import ProtocolUsed, RunSpec, SchemaUsed, SplitUsed

CELLS = (*groups.BIMOTION_CELLS, *groups.YUEMOTION_CELLS, *groups.EXTENSION_CELLS)


def project(
    model: object,
    *,
    train: Iterable[str],
    test: str,
    track: str = "probe",
    data_dir: str | os.PathLike | None = None,
    output: str | os.PathLike = "results",
    classes: Iterable[str] | None = None,
    split_rule: str = "paper",
    split_seed: int = 0,
    schema: str = "emotion",
    seed: int = 0,
    k: int = covering.K,
    options: TrackOptions | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
    require_safetensors: bool = False,
    device: str | None = None,
    corpora: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    progress: Progress | None = None,
) -> Projection:
    """Draw and measure how training sets cover a test set in a model's feature space.

    train     names of training sets: cells or unions joined by +, such as `yue+zho`; a union's
              cells without clips in the corpora that are used are left out
    test      a cell or a union
    classes   of the schema, at most 8; None: all that test clips have
    k         nearest neighbours that coverage looks at
    options   head or training options; None: those of `bimotion.evaluate`
    others    as of `bimotion.evaluate`; the checkpoints of its finished runs below `output` are
              used again

    Writes OUTPUT/<model>/projection-<key>/: projection.png, .svg and .html, coordinates.parquet,
    coverage.json.

    Raises MissingExtra (pip install 'bimotion[figures]'), and what `bimotion.evaluate` does.

    Example::

        view = projecting.project("bimotion/prosody", train=["yue", "yue+zho", "yue+eng"],
        test="yue_adu", data_dir="/corpora")
        view.of("yue+zho").coverage     # in [0, 1]
    """
    umap.require_extra()
    files.require_writable(Path(output))
    started, progress = now(), progress or default_progress()
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise SettingError(f"project: expected one process, found {os.environ['WORLD_SIZE']}")
    whole_number("k", k, 1, MAX_COUNT)
    whole_number("seed", seed, 0, MAX_SEED)
    wanted = schema_named(schema)
    known = {
        "revision": revision,
        "trust_remote_code": trust_remote_code,
        "require_safetensors": require_safetensors,
        "device": device,
    }
    corpora = None if corpora is None else tuple(one_or_more(corpora))
    sets, tests = _training_sets(one_or_more(train), corpora), groups.union(test)
    settings = [
        Setting("", "projection", cells, cell)
        for cells in dict.fromkeys(sets.values())
        for cell in tests
    ]
    request = Request(
        data_dir, "", None, split_rule, split_seed, schema, corpora, locations, limit, allow_missing
    )
    runner = tracked(model, track, wanted, options or TrackOptions(), **known)
    labelled, plan = planning.planned(settings, request, progress)
    if plan.skipped:
        raise SettingError("; ".join(sorted({skip.reason for skip in plan.skipped})))
    jobs = {job.name: job for job in plan.jobs([seed])}
    jobs = {name: jobs["+".join(map(str, cells))] for name, cells in sets.items()}
    shown = _classes(classes, wanted, labelled, next(iter(jobs.values())))
    spec = RunSpec(
        runner.used,
        runner.name,
        SplitUsed(split_rule, split_seed, splits.SPLIT_VERSION),
        SchemaUsed(wanted.name, wanted.version, list(wanted.classes)),
        ProtocolUsed("projection", PROJECTION_VERSION, [test]),
        [seed],
        limit,
        manifest.fingerprint(labelled.table),
    )
    named = {name: [str(cell) for cell in cells] for name, cells in sets.items()}
    key = hashlib.sha256(json.dumps([spec.key, named, shown, k]).encode()).hexdigest()[:12]
    folder = record.folder_of(Path(output), spec).with_name(f"projection-{key}")
    with contextlib.closing(runner):
        runner.open(labelled, plan.rows(), progress)
        clips, rows = _clips_and_rows(runner, labelled, jobs, shown, k, folder, progress)
    used = labelled.table.loc[plan.rows()]
    made = provenance(
        started, [seed, split_seed], labelled.selection.manifest.states, runner.device
    )
    packages = {name: metadata.version(name) for name in ("umap-learn", "matplotlib")}
    found = Projection(
        key,
        runner.used,
        runner.name,
        spec.split,
        spec.schema,
        seed,
        limit,
        named,
        [str(cell) for cell in tests],
        shown,
        rows,
        _left_out(labelled, jobs, shown),
        {name: int(n) for name, n in used["corpus"].value_counts().sort_index().items()},
        bool(used["synthetic"].any()),
        spec.data_fingerprint,
        {"n_neighbors": umap.N_NEIGHBOURS, "min_dist": umap.MIN_DISTANCE, "random_state": seed},
        dataclasses.replace(made, versions=made.versions | packages),
    )
    views.save(found, clips, folder)
    return found


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
    runner: Track,
    labelled: LabelledClips,
    jobs: dict[str, TrainingJob],
    shown: list[str],
    k: int,
    folder: Path,
    progress: Progress,
) -> tuple[pd.DataFrame, list[Row]]:
    """Coordinates of the clips of all panels, and how each panel covers the test clips."""
    marks = labelled.reference[:, [labelled.schema.classes.index(name) for name in shown]] == 1
    sizes = [_sizes(marks[rows]) for job in jobs.values() for rows in (job.train, job.test)]
    n_drawn = np.min(sizes, axis=0).tolist()  # the same for all training sets
    tables, rows, first = [], [], None
    for name, job in jobs.items():
        train, test = (part[marks[part].any(axis=1)] for part in (job.train, job.test))
        numbers = np.concatenate([train, test])
        own = folder / CHECKPOINTS_FOLDER / f"{job.name}-{job.seed}"
        features = runner.embeddings(job, numbers, own, _kept(runner, labelled, job, folder))
        of_train, of_test = features[: len(train)], features[len(train) :]
        rows.append(Row(name, None, covering.coverage(of_train, of_test, k, n_drawn[-1])))
        for place, label in enumerate(shown):
            found = covering.coverage(
                of_train[marks[train, place]], of_test[marks[test, place]], k, n_drawn[place]
            )
            rows.append(Row(name, label, found))
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


def _kept(runner: Track, labelled: LabelledClips, job: TrainingJob, folder: Path) -> Path | None:
    """Checkpoint that a finished run beside `folder` kept, of the same model, options, clips and
    seed."""
    if not runner.save_checkpoints:
        return None
    states, selection = labelled.selection.manifest.states, labelled.selection
    corpora = set(labelled.table.loc[job.train, "corpus"])
    for path in sorted(folder.parent.glob(f"*/{record.RESULT_FILE}")):
        try:
            result = record.load(path)
        except RecordError:
            continue
        same = (result.model, result.track, result.schema.name) == (
            runner.used,
            runner.name,
            labelled.schema.name,
        )
        same &= (result.split.rule, result.split.seed) == (
            selection.split.rule,
            selection.split.seed,
        )
        for fit in result.fits if same else ():
            cells, _, only = fit.train.partition("@")
            named = (
                only.split("+")
                if only
                else [name for name, one in result.data.corpora.items() if one.n_utterances]
            )
            trained = {
                name
                for name in named
                if set(cells.split("+")).intersection(CORPORA[name].card.cells)
            }
            alike = (
                set(cells.split("+")) == set(job.name.split("+"))
                and trained == corpora
                and fit.seed == job.seed
            )
            alike &= (fit.n_train, fit.n_validation) == (len(job.train), len(job.validation))
            alike &= all(result.provenance.inputs.get(name) == states[name] for name in corpora)
            kept = path.parent / CHECKPOINTS_FOLDER / f"{fit.train}-{fit.seed}" / "best"
            if alike and kept.is_dir():
                return kept
    return None


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
