"""Whether training sets that cover a test set, or languages that are close to its own, go with
better scores: over all settings of a finished run.

The gain of a setting is its headline (weighted F1) less that of the in-group baseline of the same
test clips: training and test in that cell, with the same corpora. Section 6.3 of arXiv 2306.14517
argues by pictures and by which languages are close.
"""

import contextlib
import dataclasses
import json
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
from bimotion.evaluation.plan import RunPlan
from bimotion.evaluation.task import TaskSpec
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

GAINS_FILE, GAINS_VERSION = "gains.json", "2"
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
    """One setting: its score, the baseline's, their difference (null: no baseline on the same
    corpora), coverage, facts."""

    transfer: str
    method: str
    train: list[str]
    test: str
    value: float | None
    baseline: float | None
    gain: float | None
    coverage: Coverage
    facts: dict[str, float | None]


@dataclass(frozen=True)
class Related:
    """Rank correlation of a fact with the gain, over the settings of one method (`all`: of all but
    in-group)."""

    fact: str
    method: str
    correlation: Correlation


@dataclass(frozen=True)
class Gains:
    """Of the run `key`, under one of its seeds, as gains.json. `adapt`: how the run was adapted,
    null: not; its scores are of the adapted model, its coverage of the features before that.
    `synthetic`: some corpus is."""

    key: str
    model: str
    seed: int
    k: int
    rows: list[Row]
    correlations: list[Related]
    provenance: Provenance
    synthetic: bool
    adapt: AdaptUsed | None = None
    gains_version: str = GAINS_VERSION


def gains(
    folder: Path,
    source: CorpusSource,
    *,
    model: object = None,
    k: int = covering.K,
    device: str | None = None,
    progress: Progress | None = None,
) -> Gains:
    """Coverage, language distance and gain of every setting of a finished run; written to
    `folder`/gains.json.

    source  where the run's corpora lie; which they are its record says
    model   where the run's model lies now (a folder), if its recorded name does not say

    Features come from the cache (track `probe`) or from the checkpoints beside the result
    (`finetune`). The first seed is used. Raises RecordError, SettingError where corpora, model or
    checkpoints are not those of the run.

    Example::

        folder = Path("results/bimotion__prosody/0123456789ab")
        found = gains.gains(folder, CorpusSource("/corpora"))
        found.correlations[0].correlation.rho
    """
    from bimotion.results.provenance import now, provenance

    whole_number("k", k, 1, MAX_COUNT)
    folder, progress, started = Path(folder), progress or default_progress(), now()
    result = rescoring.read_result(folder)
    if not TRACKS[result.track].trains:
        raise SettingError(f"{folder}: expected a run that trains, found track {result.track}")
    track = _runner(result, result.model.name if model is None else model, device)
    labelled, plan = _planned(result, source, progress)
    seed = result.seeds[0]
    with contextlib.closing(track):
        track.open(labelled, plan.rows(), progress)
        rows = _rows(result, track, labelled, plan, folder, k, progress)
    made = provenance(started, [seed], labelled.selection.manifest.states, track.device)
    found = Gains(
        result.key,
        result.model.name,
        seed,
        k,
        rows,
        _related(rows),
        made,
        result.data.synthetic,
        result.adapt,
    )
    with files.written(folder / GAINS_FILE) as temporary:
        text = json.dumps(dataclasses.asdict(found), indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return found


def _runner(result: Result, model: object, device: str | None) -> Runner:
    spec = ModelSpec(
        model,
        result.model.revision,
        bool(result.model.options.get("trust_remote_code")),
        device,
    )
    track = TRACKS[result.track].recorded(result.model)
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
    task = TaskSpec.of(
        protocol=result.protocol.name,
        cells=result.protocol.cells,
        split_rule=result.split.rule,
        split_seed=result.split.seed,
        schema=result.schema.name,
        limit=result.limit,
    )
    used = [name for name, one in result.data.corpora.items() if one.n_utterances]
    source = dataclasses.replace(source.of_corpora(used), allow_missing=True)
    labelled, plan = planning.plan(task, source, progress)
    if manifest.fingerprint(labelled.table) != result.data.fingerprint:
        raise SettingError(
            f"expected the clips that run {result.key} used, found others: check --corpora"
        )
    return labelled, plan


def _rows(
    result: Result,
    track: Runner,
    labelled: LabelledClips,
    plan: RunPlan,
    folder: Path,
    k: int,
    progress: Progress,
) -> list[Row]:
    marks, rows = labelled.reference == 1, {}
    tests = {
        setting: _marked(labelled, [setting.test], "test", setting.corpora)
        for setting in plan.settings
    }
    trains = {
        setting: _marked(labelled, setting.train, "train", setting.corpora)
        for setting in plan.settings
    }
    # of the clips that are tested: settings of `extension` name other corpora for the same
    n_drawn: dict[bytes, int] = {}
    for setting in plan.settings:
        test = tests[setting].tobytes()
        n_drawn[test] = min(n_drawn.get(test, len(tests[setting])), len(trains[setting]))
    jobs = {job.name: job for job in plan.jobs(result.seeds[:1])}
    pairs = [(one, jobs[one.name]) for one in plan.training_sets]
    for one, job in progress.track(pairs, len(pairs), "coverage", "settings"):
        kept = RunFolder(folder).best_checkpoint(job.name, job.seed)
        if track.name == "finetune" and not kept.is_dir():
            raise SettingError(
                f"{kept}: expected the checkpoint of the run, found none (--no-save-checkpoints?)"
            )
        numbers = np.unique(np.concatenate([job.train, job.test]))
        features = track.embeddings(job, numbers, folder, kept)
        place = np.full(len(labelled.table), -1)
        place[numbers] = np.arange(len(numbers))
        for setting in (setting for setting in plan.settings if setting.training_set == one.name):
            train, test = (chosen[setting] for chosen in (trains, tests))
            drawn = n_drawn[test.tobytes()]
            found = covering.coverage(features[place[train]], features[place[test]], k, drawn)
            of_classes = [
                covering.coverage(
                    features[place[train[marks[train, c]]]],
                    features[place[test[marks[test, c]]]],
                    k,
                )
                for c in np.flatnonzero(marks[test].any(axis=0))
            ]
            rows[setting] = _row(result, setting, plan.settings, found, of_classes)
    return [rows[setting] for setting in plan.settings]


def _marked(labelled: LabelledClips, cells, part: str, corpora) -> np.ndarray:
    places = labelled.places(cells, part, corpora)
    return places[(labelled.reference[places] == 1).any(axis=1)]


def _row(
    result: Result,
    setting: Setting,
    settings: list[Setting],
    found: Coverage,
    of_classes: list[Coverage],
) -> Row:
    value, base = (
        _headline(result, setting),
        next((s for s in settings if _is_baseline(s, setting, result)), None),
    )
    baseline = None if base is None else _headline(result, base)
    shares = [
        0.0 if one.n_train == 0 else one.coverage / one.expected
        for one in of_classes
        if one.coverage is not None
    ]
    facts: dict[str, float | None] = {
        "coverage": found.coverage / found.expected if found.expected else found.coverage,
        "drawn": found.drawn_coverage / found.drawn_expected
        if found.drawn_expected
        else found.drawn_coverage,
        "classes": sum(shares) / len(shares) if shares else None,
    }
    facts |= {
        kind: languages.distance_from(setting.train, setting.test, kind) for kind in languages.KINDS
    }
    gain = None if value is None or baseline is None else value - baseline
    train = list(setting.train_names)
    return Row(
        setting.transfer,
        setting.method,
        train,
        str(setting.test),
        value,
        baseline,
        gain,
        found,
        facts,
    )


def _headline(result: Result, setting: Setting) -> float | None:
    """Mean over the cell's corpora, of the run's first seed."""
    wanted = (setting.id, METRIC, "mean", result.seeds[0])
    for score in result.scores:
        if (SettingId.of(score), score.metric, score.pooling, score.seed) == wanted:
            return score.value
    return None


def _is_baseline(candidate: Setting, setting: Setting, result: Result) -> bool:
    """Whether it trains and tests in the test cell of the other, with the same corpora."""
    if candidate.transfer != "in-group" or candidate.test != setting.test:
        return False
    present = {name for name, one in result.data.corpora.items() if one.n_utterances}
    used = [
        present & set(corpora_with([setting.test], one.corpora)) for one in (candidate, setting)
    ]
    return used[0] == used[1]


def _related(rows: list[Row]) -> list[Related]:
    found = []
    crossing = [row for row in rows if row.transfer != "in-group" and row.gain is not None]
    for fact in FACTS:
        kept = [row for row in crossing if row.facts[fact] is not None]
        if fact in languages.KINDS:
            kept = [row for row in kept if row.transfer == "cross-lingual"]
        methods = list(dict.fromkeys(row.method for row in kept))
        for method in methods if len(methods) == 1 else ("all", *methods):
            some = [row for row in kept if method in ("all", row.method)]
            values = [row.facts[fact] for row in some]
            if fact in languages.KINDS and len(set(values)) == 1:
                continue  # Tables 3 and 4 know two languages, so one distance
            found.append(
                Related(
                    fact,
                    method,
                    correlation([row.gain for row in some], values, [row.test for row in some]),
                )
            )
    return found
