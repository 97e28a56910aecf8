"""The plan of a run: the settings of a protocol, the clips that they need, and each distinct
training set once a fold."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from bimotion.corpora import corpora_of
from bimotion.corpora.utterance import PARTS
from bimotion.data.labelled import LabelledClips, prepare
from bimotion.data.selection import select
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation.job import Target, TrainingJob
from bimotion.evaluation.task import TaskSpec
from bimotion.io.progress import Progress
from bimotion.protocol import settings as protocol
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import scored_schema
from bimotion.protocol.settings import Setting
from bimotion.results.record import Skipped, why_skipped

ADAPTED_TO = {"transductive": PARTS, "inductive": ("train",), None: ()}
"""Setting of adaptation -> the parts of the test cell that a model may adapt to."""


@dataclass(frozen=True)
class TrainingSet:
    """A training set in one fold, and all that is predicted with it: row numbers of the table of
    labelled clips."""

    name: str
    fold: int
    """0 without cross-validation."""
    settings: list[Setting]
    """Those that it serves in this fold, one for each test cell."""
    train: np.ndarray
    validation: np.ndarray
    targets: tuple[Target, ...]
    """Those of the settings, in the same order."""

    @property
    def test(self) -> np.ndarray:
        """Test clips of all settings."""
        return np.concatenate([target.test for target in self.targets])


@dataclass(frozen=True)
class RunPlan:
    """Settings that can be run, those that cannot and why, and the distinct training sets in each
    fold."""

    settings: list[Setting]
    skipped: list[Skipped]
    training_sets: list[TrainingSet]
    corpora: list[str]
    """Those that any setting asks for."""

    def jobs(self, seeds: Iterable[int]) -> list[TrainingJob]:
        """One for each training set, fold and seed."""
        pairs = [(training, seed) for training in self.training_sets for seed in seeds]
        return [
            TrainingJob(
                number=number,
                name=training.name,
                seed=seed,
                fold=training.fold,
                train=training.train,
                validation=training.validation,
                targets=training.targets,
            )
            for number, (training, seed) in enumerate(pairs)
        ]

    def of_training_sets(self, names: Collection[str]) -> "RunPlan":
        """The part of the plan that trains on some sets."""
        return replace(
            self,
            settings=[each for each in self.settings if each.training_set in names],
            training_sets=[each for each in self.training_sets if each.name in names],
        )

    def rows(self) -> np.ndarray:
        """Rows of the table of labelled clips that are used at all, sorted."""
        parts = [np.zeros(0, int)]
        for training in self.training_sets:
            parts += [training.train, training.validation]
            for target in training.targets:
                parts += [target.test, target.unlabelled]
        return np.unique(np.concatenate(parts))


def plan(
    task: TaskSpec,
    source: CorpusSource,
    progress: Progress,
    *,
    trains: bool = True,
    adapts: str | None = None,
) -> tuple[LabelledClips, RunPlan]:
    """The labelled clips and the plan of a task.

    A setting is skipped where one of its training cells has no training clip, its test cell no test
    clip or, for adaptation, training and test have fewer than two classes in common, or the test
    cell no clips to adapt to; with folds, in any fold in which the test cell is tested, so that all
    settings of a test cell have the same test clips.

    Args:
        trains: False for models that are only tested.
        adapts: how a model is adapted to unlabelled clips of the test cell, one of
            adaptation.SETTINGS, or None where it is not.

    Raises:
        UnknownName, CorpusNotFound, CorpusIncomplete, SettingError
    """
    cells = None if task.cells is None else [Cell.parse(name) for name in task.cells]
    settings = protocol.settings(task.protocol, cells, trains=trains)
    if not settings:
        raise SettingError(
            f"cells: expected some that protocol {task.protocol} tests, found "
            f"{', '.join(task.cells) or 'none'}"
        )
    labelled, plan = planned(settings, task, source, progress, adapts=adapts)
    if not plan.settings:
        raise SettingError(
            "expected at least one setting with clips to train and test on, found none: "
            f"{why_skipped(plan.skipped)}"
        )
    return labelled, plan


def planned(
    settings: list[Setting],
    task: TaskSpec,
    source: CorpusSource,
    progress: Progress,
    *,
    adapts: str | None = None,
    one_fold: bool = False,
) -> tuple[LabelledClips, RunPlan]:
    """The same as `plan`, of given settings; the task's protocol and cells play no part.
    `one_fold`: of the first fold in which all of them have test clips."""
    schema, corpora = scored_schema(task.schema, task.split_rule), corpora_of(settings)
    task.require_limit()
    selection = select(
        source if source.corpora is not None else source.of_corpora(corpora),
        sorted({cell for setting in settings for cell in (*setting.train, setting.test)}),
        split_rule=task.split_rule,
        split_seed=task.split_seed,
        progress=progress,
    )
    labelled = prepare(selection, schema, task.limit)
    runnable, skipped, folds = [], [], range(task.n_folds)
    if one_fold:
        tested = (all(len(labelled.tested(each, fold)) for each in settings) for fold in folds)
        first = next((fold for fold, has_all in enumerate(tested) if has_all), 0)
        folds = range(first, first + 1)
    for setting in settings:
        if reason := _obstacle(setting, labelled, folds, adapts):
            of = setting.id
            skipped.append(Skipped(of.transfer, of.method, list(of.train), of.test, reason=reason))
        else:
            runnable.append(setting)
    training_sets = _training_sets(runnable, labelled, folds, adapts)
    return labelled, RunPlan(runnable, skipped, training_sets, corpora)


def _obstacle(
    setting: Setting, labelled: LabelledClips, folds: range, adapts: str | None
) -> str | None:
    """The reason that a setting cannot be run, if there is one."""
    of = f" of {' and '.join(setting.corpora)}" if setting.corpora else ""
    if setting.leak and labelled.selection.split.rule != "folds":
        return f"protocol leakage needs split rule folds, found {labelled.selection.split.rule}"
    tested = [fold for fold in folds if len(labelled.tested(setting, fold))]
    reasons = set() if tested else {f"no test clips in {setting.test}{of}"}
    for fold in tested or folds[:1]:
        lacking = _lacking(setting, labelled, fold, adapts if tested else None)
        in_fold = f" in fold {fold}" if len(folds) > 1 and tested else ""
        reasons |= {f"{reason}{of}{in_fold}" for reason in lacking}
        if reasons:
            break
    return "; ".join(sorted(reasons, reverse=True)) or None


def _lacking(
    setting: Setting, labelled: LabelledClips, fold: int, adapts: str | None
) -> Iterator[str]:
    """The things that a setting lacks in a fold."""
    empty = [
        cell
        for cell in setting.train
        if not len(labelled.places([cell], "train", setting.corpora, fold))
    ]
    if setting.leak and not len(labelled.trained(setting, "train", fold)):
        empty = list(setting.train)
    yield from (f"no training clips in {cell}" for cell in empty)
    if not adapts or empty:
        return
    if not len(_unlabelled(setting, labelled, fold, adapts)):
        yield f"no clips in {setting.test} to adapt to"
    if len(shared := _shared(setting, labelled, fold)) < 2:
        common = f"only {shared[0]}" if shared else "no class"
        yield f"{'+'.join(setting.train_names)} and {setting.test} share {common}"


def _unlabelled(
    setting: Setting, labelled: LabelledClips, fold: int, adapts: str | None
) -> np.ndarray:
    """Clips that a model may adapt to, ascending."""
    parts = [
        labelled.places([setting.test], part, setting.corpora, fold) for part in ADAPTED_TO[adapts]
    ]
    return np.sort(np.concatenate([np.zeros(0, int), *parts]))


def _shared(setting: Setting, labelled: LabelledClips, fold: int) -> list[str]:
    """Classes that training has clips of and the corpora of the test cell annotate; no test label
    is looked at."""
    train = labelled.reference[labelled.trained(setting, "train", fold)]
    test = labelled.reference[labelled.tested(setting, fold)]
    both = (train == 1).any(axis=0) & (test != -1).any(axis=0)
    return [name for name, shared in zip(labelled.schema.classes, both, strict=True) if shared]


def _training_sets(
    settings: Iterable[Setting], labelled: LabelledClips, folds: range, adapts: str | None
) -> list[TrainingSet]:
    """Each training set in each fold in which any of its settings is tested."""
    groups: dict[str, dict[Cell, Setting]] = {}
    for setting in settings:
        groups.setdefault(setting.training_set, {}).setdefault(setting.test, setting)
    return [
        _training_set(name, fold, members, labelled, adapts)
        for name, of_cell in groups.items()
        for fold in folds
        if (
            members := [
                of_cell[cell]
                for cell in sorted(of_cell)
                if len(labelled.tested(of_cell[cell], fold))
            ]
        )
    ]


def _training_set(
    name: str, fold: int, settings: list[Setting], labelled: LabelledClips, adapts: str | None
) -> TrainingSet:
    train, validation = (
        labelled.trained(settings[0], part, fold) for part in ("train", "validation")
    )
    targets = tuple(
        Target(labelled.tested(setting, fold), _unlabelled(setting, labelled, fold, adapts))
        for setting in settings
    )
    return TrainingSet(name, fold, settings, train, validation, targets)
