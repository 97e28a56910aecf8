"""Gains of training sets, and whether those that cover a test set, or languages close to its own,
go with better scores: over all settings of a finished run.

The gain of a setting is its headline (weighted F1) less that of the in-group baseline of the same
test clips: training and test in that cell, with the same corpora. Section 6.3 of arXiv 2306.14517
argues by pictures and by which languages are close. Coverage is measured in each fold, which has a
training of its own, and pooled.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bimotion.analysis.feature_space import coverage as covering
from bimotion.analysis.feature_space.coverage import Coverage
from bimotion.corpora import corpora_with
from bimotion.data import manifest
from bimotion.data.labelled import LabelledClips
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation import plan as planning
from bimotion.evaluation import rerun
from bimotion.evaluation.job import TrainingJob
from bimotion.evaluation.plan import RunPlan
from bimotion.evaluation.tracks import TRACKS, Runner, runner_of
from bimotion.io import files
from bimotion.io.bounds import MAX_COUNT, whole_number
from bimotion.io.progress import Progress, default_progress
from bimotion.models.spec import ModelSpec
from bimotion.protocol import languages
from bimotion.protocol.labels import schema_named
from bimotion.protocol.settings import Setting, SettingId
from bimotion.results import rescoring
from bimotion.results.record import AdaptUsed, Provenance, Result
from bimotion.results.run_folder import RunFolder
from bimotion.results.statistics.correlation import Correlation, correlation

GAINS_FILE, GAINS_VERSION = "gains.json", "3"
METRIC = "weighted_f1"
FACTS = {
    "coverage": "coverage by all training clips",
    "drawn": "coverage by as many of them as all sets have",
    "classes": "coverage of each class by its own training clips, mean",
    "phonology": "distance of languages: phonology",
    "syntax": "distance of languages: syntax",
    "inventory": "distance of languages: sounds",
}
"""Facts of a setting that may go with its gain. Coverages are divided by what they are if training
and test clips are alike."""


@dataclass(frozen=True)
class Row:
    """One setting."""

    transfer: str
    """How the training cells relate to the test cell."""
    method: str
    """Of protocol/settings.py."""
    train: list[str]
    """Training cells (Setting.train_names)."""
    test: str
    """Test cell."""
    value: float | None
    """Its weighted F1, mean over the cell's corpora."""
    baseline: float | None
    """That of in-group training; null: no baseline on the same corpora."""
    gain: float | None
    """Their difference."""
    coverage: Coverage
    """Of its test clips by its training clips."""
    facts: dict[str, float | None]
    """Name in FACTS -> value."""


@dataclass(frozen=True)
class Related:
    """The rank correlation of a fact with the gain."""

    fact: str
    """Name in FACTS."""
    method: str
    """The method whose settings are correlated; `all`: of all but in-group."""
    correlation: Correlation
    """Over those settings."""


@dataclass(frozen=True)
class Gains:
    """The gains of a run under one of its seeds, as gains.json."""

    key: str
    """Of the run."""
    model: str
    """Its name."""
    seed: int
    """The run's first."""
    k: int
    """Nearest neighbours that coverage looks at."""
    rows: list[Row]
    """One for each setting."""
    correlations: list[Related]
    """One for each fact and method."""
    provenance: Provenance
    """How they were computed."""
    synthetic: bool
    """Whether some corpus is."""
    adapt: AdaptUsed | None = None
    """How the run was adapted; null: not. Scores are of the adapted model, coverage is of the
    features before that."""
    gains_version: str = GAINS_VERSION
    """Of this record."""


def gains(
    folder: Path,
    source: CorpusSource,
    *,
    model: object = None,
    k: int = covering.K,
    device: str | None = None,
    progress: Progress | None = None,
) -> Gains:
    """Measure coverage, language distance and gain of every setting of a finished run; written to
    `folder`/gains.json.

    Features come from the cache (track `probe`) or from the checkpoints beside the result
    (`finetune`). The first seed is used.

    Args:
        folder: That of the run.
        source: Where the run's corpora lie; which they are its record says.
        model: Where the run's model lies now (a folder), if its recorded name does not say.
        k: Nearest neighbours that coverage looks at.
        device: Of torch; None: the best.
        progress: Shows the work.

    Raises:
        RecordError: The folder holds no finished run.
        SettingError: Corpora, model or checkpoints are not those of the run.

    Example::

        folder = Path("results/bimotion__prosody/0123456789ab")
        measured = gains.gains(folder, CorpusSource("/corpora"))
        measured.correlations[0].correlation.rho
    """
    from bimotion.results.provenance import now, provenance

    whole_number("k", k, 1, MAX_COUNT)
    folder, progress, started = Path(folder), progress or default_progress(), now()
    result = rescoring.read_result(folder)
    if not TRACKS[result.track].trains:
        raise SettingError(f"{folder}: expected a run that trains, found track {result.track}")
    runner = _runner(result, result.model.name if model is None else model, device)
    labelled, plan = _planned(result, source, progress)
    seed = result.seeds[0]
    with contextlib.closing(runner):
        runner.open(labelled, plan.rows(), progress)
        parts = _of_folds(runner, labelled, plan, plan.jobs([seed]), RunFolder(folder), k, progress)
    tested = [setting for setting in plan.settings if parts[setting]]
    rows = [_row(result, setting, plan.settings, parts[setting]) for setting in tested]
    measured = Gains(
        key=result.key,
        model=result.model.name,
        seed=seed,
        k=k,
        rows=rows,
        correlations=_related(rows),
        provenance=provenance(started, [seed], labelled.selection.manifest.states, runner.device),
        synthetic=result.data.synthetic,
        adapt=result.adapt,
    )
    content = dataclasses.asdict(measured)
    with files.written(folder / GAINS_FILE) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return measured


def _runner(result: Result, model: object, device: str | None) -> Runner:
    options = result.model.options
    trust, window = bool(options.get("trust_remote_code")), options.get("window", "model")
    track = TRACKS[result.track].recorded(result.model)
    spec = ModelSpec(model, result.model.revision, trust, device, window=window)
    runner = runner_of(track, spec, schema_named(result.schema.name))
    if runner.used != result.model:
        raise SettingError(
            f"expected the run's model, {result.model.name} {result.model.version}, found "
            f"{runner.used}"
        )
    return runner


def _planned(
    result: Result, source: CorpusSource, progress: Progress
) -> tuple[LabelledClips, RunPlan]:
    source = dataclasses.replace(
        source.of_corpora(rerun.corpora_of_run(result)), allow_missing=True
    )
    labelled, plan = planning.plan(rerun.task_of(result), source, progress)
    if manifest.fingerprint(labelled.table) != result.data.fingerprint:
        raise SettingError(
            f"expected the clips that run {result.key} used, found others: check --corpora"
        )
    return labelled, plan


def _of_folds(
    runner: Runner,
    labelled: LabelledClips,
    plan: RunPlan,
    jobs: list[TrainingJob],
    folder: RunFolder,
    k: int,
    progress: Progress,
) -> dict[Setting, list[dict]]:
    """Setting -> its coverages in each fold in which it is tested (`_coverages`)."""
    in_fold = {
        (setting, training.fold): _clips(labelled, setting, training.fold)
        for training in plan.training_sets
        for setting in training.settings
    }
    clips = {key: parts for key, parts in in_fold.items() if len(parts[1])}
    has_class, coverages = labelled.reference == 1, {setting: [] for setting in plan.settings}
    for job in progress.track(jobs, len(jobs), "coverage", "trainings"):
        features_of = _features(runner, job, folder)
        for setting, fold in clips:
            if (setting.training_set, fold) == (job.name, job.fold):
                n_drawn = _n_drawn(clips, setting)
                of_clips = _coverages(features_of, *clips[setting, fold], has_class, k, n_drawn)
                coverages[setting].append(of_clips)
    return coverages


def _clips(labelled: LabelledClips, setting: Setting, fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and test clips of a setting in a fold that have a class, as row numbers."""
    train = labelled.trained(setting, fold=fold)
    test = labelled.tested(setting, fold)
    has_class = (labelled.reference == 1).any(axis=1)
    return train[has_class[train]], test[has_class[test]]


def _features(
    runner: Runner, job: TrainingJob, folder: RunFolder
) -> Callable[[np.ndarray], np.ndarray]:
    """Row numbers of clips -> their features under what a job trained."""
    kept = folder.best_checkpoint(job.name, job.seed, job.fold)
    if runner.name == "finetune" and not kept.is_dir():
        raise SettingError(
            f"{kept}: expected the checkpoint of the run, found none (--no-save-checkpoints?)"
        )
    numbers = np.unique(np.concatenate([job.train, job.test]))
    features = runner.embeddings(job, numbers, folder.path, kept)
    return lambda rows: features[np.searchsorted(numbers, rows)]


def _n_drawn(clips: dict[tuple, tuple[np.ndarray, np.ndarray]], setting: Setting) -> int:
    """The fewest training or test clips that any setting of the same test clips has in any fold:
    settings of `extension` name other corpora for the same."""
    sizes = [
        min(map(len, parts))
        for (_, fold), parts in clips.items()
        if (setting, fold) in clips and np.array_equal(parts[1], clips[setting, fold][1])
    ]
    return min(sizes)


def _coverages(
    features_of: Callable[[np.ndarray], np.ndarray],
    train: np.ndarray,
    test: np.ndarray,
    has_class: np.ndarray,
    k: int,
    n_drawn: int,
) -> dict[int | None, Coverage]:
    """None -> the coverage by all training clips; each class of the test -> that of it by its
    own."""
    coverages = {None: covering.coverage(features_of(train), features_of(test), k, n_drawn)}
    for label in np.flatnonzero(has_class[test].any(axis=0)):
        of_class = (features_of(rows[has_class[rows, label]]) for rows in (train, test))
        coverages[int(label)] = covering.coverage(*of_class, k)
    return coverages


def _row(result: Result, setting: Setting, settings: list[Setting], of_folds: list[dict]) -> Row:
    value = _headline(result, setting)
    baselines = [other for other in settings if _is_baseline(other, setting, result)]
    baseline = _headline(result, baselines[0]) if baselines else None
    whole, *of_classes = (
        covering.pooled([part[label] for part in of_folds if label in part])
        for label in dict.fromkeys(label for part in of_folds for label in part)
    )
    shares = [
        _of_expected(known.coverage, known.expected)
        for known in of_classes
        if known.coverage is not None
    ]
    facts = {
        "coverage": _of_expected(whole.coverage, whole.expected),
        "drawn": _of_expected(whole.drawn_coverage, whole.drawn_expected),
        "classes": sum(shares) / len(shares) if shares else None,
    }
    for kind in languages.KINDS:
        facts[kind] = languages.distance_from(setting.train, setting.test, kind)
    return Row(
        transfer=setting.transfer,
        method=setting.method,
        train=list(setting.train_names),
        test=str(setting.test),
        value=value,
        baseline=baseline,
        gain=None if None in (value, baseline) else value - baseline,
        coverage=whole,
        facts=facts,
    )


def _of_expected(value: float | None, expected: float | None) -> float | None:
    """A coverage over what it is if training and test clips are alike."""
    return value / expected if expected else value


def _headline(result: Result, setting: Setting) -> float | None:
    """Mean over the cell's corpora, of the run's first seed."""
    wanted = (setting.id, METRIC, "mean", result.seeds[0])
    for score in result.scores:
        if (SettingId.of(score), score.metric, score.pooling, score.seed) == wanted:
            return score.value
    return None


def _is_baseline(candidate: Setting, setting: Setting, result: Result) -> bool:
    """Return whether it trains and tests in the test cell of the other, with the same corpora."""
    if candidate.transfer != "in-group" or candidate.test != setting.test:
        return False
    candidates, own = (
        set(rerun.corpora_of_run(result)) & set(corpora_with([setting.test], either.corpora))
        for either in (candidate, setting)
    )
    return candidates == own


def _related(rows: list[Row]) -> list[Related]:
    related = []
    crossing = [row for row in rows if row.transfer != "in-group" and row.gain is not None]
    for fact in FACTS:
        of_languages = fact in languages.KINDS
        known = [
            row
            for row in crossing
            if row.facts[fact] is not None
            if row.transfer == "cross-lingual" or not of_languages
        ]
        methods = list(dict.fromkeys(row.method for row in known))
        for method in methods if len(methods) == 1 else ("all", *methods):
            chosen = [row for row in known if method in ("all", row.method)]
            values = [row.facts[fact] for row in chosen]
            if of_languages and len(set(values)) == 1:
                continue  # Tables 3 and 4 know two languages, so one distance
            gains_, cells = [row.gain for row in chosen], [row.test for row in chosen]
            related.append(Related(fact, method, correlation(gains_, values, cells)))
    return related
