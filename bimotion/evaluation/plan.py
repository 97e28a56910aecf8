"""What a run would do: the settings of a protocol, the clips that they need, and each distinct
training set once."""

from collections.abc import Iterable
from dataclasses import dataclass

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
from bimotion.protocol.labels import schema_named
from bimotion.protocol.settings import Setting
from bimotion.results.record import Skipped


@dataclass(frozen=True)
class TrainingSet:
    """What is trained on, and all that is predicted with it: numbers of rows of the table of
    labelled clips.

    settings   that it serves, one for each test cell;  targets: theirs, in the same order
    """

    name: str
    settings: list[Setting]
    train: np.ndarray
    validation: np.ndarray
    targets: tuple[Target, ...]

    @property
    def test(self) -> np.ndarray:
        """Test clips of all settings."""
        return np.concatenate([target.test for target in self.targets])


@dataclass(frozen=True)
class RunPlan:
    """Settings that can be run, those that cannot and why, the distinct training sets; `corpora`:
    that any setting asks for."""

    settings: list[Setting]
    skipped: list[Skipped]
    training_sets: list[TrainingSet]
    corpora: list[str]

    def jobs(self, seeds: Iterable[int]) -> list[TrainingJob]:
        """One for each training set and seed."""
        pairs = [(one, seed) for one in self.training_sets for seed in seeds]
        return [
            TrainingJob(number, one.name, seed, one.train, one.validation, one.targets)
            for number, (one, seed) in enumerate(pairs)
        ]

    def rows(self) -> np.ndarray:
        """Rows of the table of labelled clips that are used at all, sorted."""
        parts = [rows for one in self.training_sets for rows in (one.train, one.validation)]
        targets = [target for one in self.training_sets for target in one.targets]
        parts += [rows for target in targets for rows in (target.test, target.unlabelled)]
        return np.unique(np.concatenate(parts)) if parts else np.zeros(0, int)


def plan(
    task: TaskSpec,
    source: CorpusSource,
    progress: Progress,
    *,
    trains: bool = True,
    adapts: str | None = None,
) -> tuple[LabelledClips, RunPlan]:
    """The labelled clips and the plan of a task. `trains`: False for models that are only tested;
    `adapts`: how a model is adapted to unlabelled clips of the test cell, one of
    adaptation.SETTINGS, or None where it is not.

    A setting is skipped where one of its training cells has no training clip, its test cell no test
    clip or, for adaptation, training and test have fewer than two classes in common, or the test
    cell no clips to adapt to. Raises UnknownName, CorpusNotFound, CorpusIncomplete, SettingError.
    """
    cells = None if task.cells is None else [Cell.parse(name) for name in task.cells]
    settings = protocol.settings(task.protocol, cells, trains=trains)
    if not settings:
        raise SettingError(f"protocol {task.protocol} tests nothing in {', '.join(task.cells)}")
    return planned(settings, task, source, progress, adapts=adapts)


def planned(
    settings: list[Setting],
    task: TaskSpec,
    source: CorpusSource,
    progress: Progress,
    *,
    adapts: str | None = None,
) -> tuple[LabelledClips, RunPlan]:
    """As `plan`, of settings that are given; the task's protocol and cells play no part."""
    schema = schema_named(task.schema)
    task.require_limit()
    if source.corpora is None:
        source = source.of_corpora(corpora_of(settings))
    selection = select(
        source,
        sorted({cell for setting in settings for cell in (*setting.train, setting.test)}),
        split_rule=task.split_rule,
        split_seed=task.split_seed,
        progress=progress,
    )
    labelled = prepare(selection, schema, task.limit)
    runnable, skipped = [], []
    for setting in settings:
        if reason := _obstacle(setting, labelled, adapts):
            of = setting.id
            skipped.append(Skipped(of.transfer, of.method, list(of.train), of.test, reason=reason))
        else:
            runnable.append(setting)
    return labelled, RunPlan(
        runnable, skipped, _training_sets(runnable, labelled, adapts), corpora_of(settings)
    )


def _obstacle(setting: Setting, labelled: LabelledClips, adapts: str | None) -> str | None:
    """Why a setting cannot be run."""
    of = f" of {' and '.join(setting.corpora)}" if setting.corpora else ""
    untrainable = [
        cell for cell in setting.train if not len(labelled.places([cell], "train", setting.corpora))
    ]
    reasons = {f"no training clips in {cell}{of}" for cell in untrainable}
    if not len(labelled.places([setting.test], "test", setting.corpora)):
        reasons.add(f"no test clips in {setting.test}{of}")
    if adapts and not reasons:
        if not len(_unlabelled(setting, labelled, adapts)):
            reasons.add(f"no clips in {setting.test}{of} to adapt to")
        if len(shared := _shared(setting, labelled)) < 2:
            reasons.add(
                f"{' and '.join(shared) or 'no class'} alone is in "
                f"{'+'.join(setting.train_names)} and {setting.test}{of}"
            )
    return "; ".join(sorted(reasons, reverse=True)) or None


def _unlabelled(setting: Setting, labelled: LabelledClips, adapts: str | None) -> np.ndarray:
    """Clips that a model may adapt to: transductively all of the test cell, inductively its train
    part; else none."""
    parts = {"transductive": PARTS, "inductive": ("train",), None: ()}[adapts]
    found = [labelled.places([setting.test], part, setting.corpora) for part in parts]
    return np.sort(np.concatenate([np.zeros(0, int), *found]))


def _shared(setting: Setting, labelled: LabelledClips) -> list[str]:
    """Classes that training has clips of and the corpora of the test cell annotate; no test label
    is looked at."""
    train = labelled.reference[labelled.places(setting.train, "train", setting.corpora)]
    test = labelled.reference[labelled.places([setting.test], "test", setting.corpora)]
    both = (train == 1).any(axis=0) & (test != -1).any(axis=0)
    return [name for name, shared in zip(labelled.schema.classes, both, strict=True) if shared]


def _training_sets(
    settings: Iterable[Setting], labelled: LabelledClips, adapts: str | None
) -> list[TrainingSet]:
    groups: dict[str, dict[Cell, Setting]] = {}
    for setting in settings:
        groups.setdefault(setting.training_set, {}).setdefault(setting.test, setting)
    found = []
    for name, tests in groups.items():
        group = [tests[cell] for cell in sorted(tests)]
        train, validation = (
            labelled.places(group[0].train, part, group[0].corpora)
            for part in ("train", "validation")
        )
        targets = tuple(
            Target(
                labelled.places([one.test], "test", one.corpora), _unlabelled(one, labelled, adapts)
            )
            for one in group
        )
        found.append(TrainingSet(name, group, train, validation, targets))
    return found
