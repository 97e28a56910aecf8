"""Comparisons of several results: who is better, whom can nobody separate, how do groups differ,
what did leakage add.

Tables of `bimotion compare`, from the predictions of finished runs; statistics/ computes, this
words it.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.analysis.feature_space import record
from bimotion.analysis.paper_tables import warnings
from bimotion.errors import RecordError, SettingError, some
from bimotion.io.tables import Table, percent, points, ratio
from bimotion.protocol.labels import LabelSchema, schema_named
from bimotion.protocol.settings import CROSS, Setting, SettingId
from bimotion.results import rescoring
from bimotion.results.clip_predictions import test_set
from bimotion.results.record import Result, Score
from bimotion.results.statistics.ages import age_gaps
from bimotion.results.statistics.bootstrap import BootstrapDraws, headline
from bimotion.results.statistics.calibration import expected_calibration_error
from bimotion.results.statistics.estimate import Estimate, Interval, combined, mean_known
from bimotion.results.statistics.gaps import Gap, gaps
from bimotion.results.statistics.paired import compare
from bimotion.results.statistics.ranks import SEPARATE_BELOW, ranks

METRIC = "weighted_f1"
_log = logging.getLogger(__name__)
MAX_PAIRED = 5
"""Runs of which every pair is compared."""


@dataclass(frozen=True)
class Run:
    """A finished run, read back from its folder."""

    result: Result
    predictions: pd.DataFrame

    @property
    def name(self) -> str:
        """Model, track and key."""
        return f"{self.result.title} ({self.result.track}, {self.result.key})"

    @property
    def schema(self) -> LabelSchema:
        """The label schema of its predictions."""
        return schema_named(self.result.schema.name)

    @property
    def settings(self) -> list[Setting]:
        """The settings that were run, in the order of the protocol."""
        return rescoring.settings_of(self.result)


def load(folders: Sequence[Path], say: Callable[[str], None] = _log.warning) -> list[Run]:
    """Runs of some folders. Those of `bimotion project`, which lie beside runs, are passed over;
    unfinished runs are too, and `say` gets a line about each. Raises RecordError, also where no
    finished run is left."""
    runs = [
        folder for folder in map(Path, folders) if not (folder / record.COVERAGE_FILE).is_file()
    ]
    if not runs:
        raise RecordError(
            "expected folders of runs, found only drawings of `bimotion project`: "
            f"{some(map(str, folders))}"
        )
    unfinished = [folder for folder in runs if rescoring.is_unfinished(folder)]
    if len(unfinished) == len(runs):
        raise RecordError(
            "expected folders of finished runs, found only unfinished ones: "
            f"{some(map(str, unfinished))}; run the same command again, which goes on where it was"
        )
    for folder in unfinished:
        say(f"{folder}: unfinished: run the same command again; passed over")
    return [Run(*rescoring.read(folder)) for folder in runs if folder not in unfinished]


def questions(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that answer the same question together: of one split, schema and set of clips. Raises
    SettingError for a run that stands twice."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        group = groups.setdefault(repr(_question(run)), [])
        if any(run.result.key == other.result.key for other in group):
            raise SettingError(f"expected each run once, found {run.name} twice")
        group.append(run)
    return list(groups.values())


def _question(run: Run) -> dict[str, object]:
    """The facts that are the same of runs that are compared."""
    split, schema, data = run.result.split, run.result.schema, run.result.data
    return {"split": split, "schema": schema, "data fingerprint": data.fingerprint}


def comparison_tables(runs: Sequence[Run]) -> list[Table]:
    """Every pair on the same clips, Holm-corrected over its settings, and ranks where there are
    several. Of more than MAX_PAIRED runs, only the pairs with one of them: one that is not adapted,
    if there is such. Raises SettingError where the runs are not of the same question."""
    for run in runs[1:]:
        _require_same_question(runs[0], run)
    if len(runs) < 2:
        return []
    pairs, notes = list(combinations(runs, 2)), []
    if len(runs) > MAX_PAIRED:
        adapts = [run.result.adapt for run in runs]
        plain = [adapt is None or adapt.method == "none" for adapt in adapts]
        first = runs[plain.index(True) if any(plain) else 0]
        pairs = [(run, first) for run in runs if run is not first]
        notes = [f"pairs: with {first.name} alone; all of them for at most {MAX_PAIRED} runs"]
    ranked = _rank_table(runs)
    adapted = [run.result for run in runs if run.result.adapt]
    notes += [f"{result.title}: {result.adapt.summary}" for result in adapted]
    ranked.notes += notes + warnings(runs[0].result)
    return [*(_pair_table(*pair) for pair in pairs), ranked]


def _require_same_question(first: Run, other: Run) -> None:
    for name, value in _question(first).items():
        if (other_value := _question(other)[name]) != value:
            names = [
                str(getattr(fact, "rule", getattr(fact, "name", fact)))
                for fact in (value, other_value)
            ]
            differing = (
                " and ".join(names) if len(set(names)) > 1 else f"two versions of {names[0]}"
            )
            raise SettingError(
                f"cannot compare {first.result.key} and {other.result.key}: expected the same "
                f"{name}, found {differing}"
            )


def _shared(runs: Sequence[Run]) -> list[Setting]:
    """Settings that all runs have predictions of."""
    by_run = [run.settings for run in runs]
    shared = [setting for setting in by_run[0] if all(setting in known for known in by_run)]
    if not shared:
        raise SettingError(
            f"cannot compare {', '.join(run.name for run in runs)}: they share no setting"
        )
    return shared


def _pair_table(first: Run, second: Run) -> Table:
    table = Table(
        f"{first.name} less {second.name}: weighted F1, points",
        ["setting", "difference", "95 % interval", "p (Holm)", "verdict"],
    )
    settings, notes, n_apart = _shared([first, second]), IntervalNotes(), 0
    for pair in compare(first.predictions, second.predictions, settings, first.schema):
        setting, difference, p = pair.setting, pair.difference, pair.p_holm
        name = f"{setting.transfer} {setting.method}: {setting.training_set} -> {setting.test}"
        verdict = "cannot separate"
        if p is not None and p < SEPARATE_BELOW:
            n_apart += 1
            better = first if difference.value > 0 else second
            speaker = ", on this speaker" if difference.low is None else ""
            verdict = f"{better.result.title} is better{speaker}"
        values = [points(difference.value), notes.of(difference), "-" if p is None else f"{p:.4f}"]
        table.rows.append([name, *values, verdict])
    table.notes = [
        f"separated in {n_apart} of {len(settings)} settings; speakers are the units, p "
        "corrected over the settings",
        *notes.notes,
    ]
    return table


def _rank_table(runs: Sequence[Run]) -> Table:
    """By the mean of the in-group (or zero-shot) settings over cells; of runs that are adapted, of
    those across groups, which is what adaptation is for."""
    shared = _shared(runs)
    if any(run.result.adapt for run in runs):
        settings = [setting for setting in shared if setting.transfer != "in-group"]
    else:
        own = [setting for setting in shared if setting.transfer in ("in-group", "zero-shot")]
        settings = [setting for setting in own if not setting.corpora]
    settings = settings or shared
    across = all(setting.transfer in CROSS for setting in settings)
    subject = f"{len(settings)} settings across groups" if across else "cells"
    table = Table(
        f"Ranks by the mean over {subject} of weighted F1",
        ["rank", "95 % interval", "group", "model", "mean"],
    )
    draws = BootstrapDraws()
    for rank in ranks({run.name: _mean_over(run, settings, draws) for run in runs}):
        span, mean = f"{rank.low} to {rank.high}", percent(rank.estimate)
        table.rows.append([str(rank.rank), span, str(rank.group), rank.name, mean])
    tested = dict.fromkeys(str(setting.test) for setting in settings)
    table.notes.append(
        "models of one group cannot be separated from its first; cells: " + ", ".join(tested)
    )
    return table


def _mean_over(run: Run, settings: Iterable[Setting], draws: BootstrapDraws) -> Estimate:
    headlines = (
        headline(run.predictions, setting, run.schema, draws, METRIC) for setting in settings
    )
    return combined(mean_known, *headlines)


def group_tables(run: Run, ages: pd.Series | None = None) -> list[Table]:
    """Gaps between ages and languages, the worst cell, what transfer keeps, calibration; `ages`:
    clip id -> measured years."""
    notes = IntervalNotes()
    table = Table(
        f"Groups: {run.name}, weighted F1",
        ["what", "value", "95 % interval", "a group-blind model gives", "p"],
        [gap_row(gap, notes) for gap in gaps(run.predictions, run.settings, run.schema)],
    )
    table.notes += [*notes.notes, *warnings(run.result)]
    by_age = [] if ages is None else [_age_table(run, ages)]
    return [table, calibration_table(run), *by_age]


def gap_row(gap: Gap, notes: "IntervalNotes") -> list[str]:
    """A gap as texts: what it is of, value, interval, chance and p. Ratios are as they are, the
    worst cell in %, differences in points."""
    name, text = {
        "worst": (f"worst cell: {gap.of}", percent),
        "transfer": (f"transfer ratio, {gap.of}", ratio),
    }.get(gap.kind, (f"{gap.kind} gap, {gap.of}", points))
    by_chance = ["-", "-"]
    if gap.chance is not None:
        span = f"{text(gap.chance.low)} to {text(gap.chance.high)}"
        by_chance = [span, f"{gap.chance.p:.3f}"]
    return [name, text(gap.interval.value), notes.of(gap.interval, text), *by_chance]


def calibration_table(run: Run) -> Table:
    """Expected calibration error of every setting, mean over seeds."""
    title = f"Calibration: {run.name}, expected calibration error of the arg-max"
    table = Table(title, ["setting", "ECE", "clips"])
    predictions = run.predictions
    for setting in run.settings:
        cell, trained = str(setting.test), predictions["train"] == setting.training_set
        rows = predictions[trained & (predictions["cell"] == cell)]
        by_seed = [test_set(part, None) for _, part in rows.groupby("seed")]
        errors = map(expected_calibration_error, by_seed)
        known = [error for error in errors if error is not None]
        mean, name = np.mean(known) if known else None, f"{setting.training_set} -> {setting.test}"
        table.rows.append([name, "-" if mean is None else f"{mean:.3f}", str(rows["id"].nunique())])
    return table


def _age_table(run: Run, ages: pd.Series) -> Table:
    table = Table(
        f"Age threshold: {run.name}, younger less elderly speakers of measured age",
        ["training set", "language", "elderly from", "younger", "elderly", "gap", "95 % interval"],
    )
    notes = IntervalNotes()
    for row in age_gaps(run.predictions, ages, run.schema):
        sides = zip((row.n_younger, row.n_elderly), row.speakers, strict=True)
        counts = [f"{n} clips, {speakers} speakers" for n, speakers in sides]
        gap = ["-", "one side is empty"]
        if row.difference:
            gap = [points(row.difference.value), notes.of(row.difference)]
        table.rows.append([row.training_set, row.language, str(row.threshold), *counts, *gap])
    nobody = (
        "no training set was tested on both ages of a language with measured ages on both sides"
    )
    table.notes = [*([] if table.rows else [nobody]), *notes.notes]
    return table


def leakage_tables(runs: Sequence[Run]) -> list[Table]:
    """`paper` less `disjoint`, for every model of which both were run: what speakers that training
    shows add to a score."""
    tables = []
    for first, second in combinations(runs, 2):
        by_rule = {run.result.split.rule: run for run in (first, second)}
        if set(by_rule) == {"paper", "disjoint"} and _model_of(first) == _model_of(second):
            tables.append(_leakage_table(by_rule["paper"], by_rule["disjoint"]))
    return tables


def _model_of(run: Run) -> list[object]:
    names = ("model", "track", "adapt", "schema", "seeds")
    return [getattr(run.result, name) for name in names]


def _leakage_table(paper: Run, disjoint: Run) -> Table:
    """The two test on other clips: independent samples, as far as anybody knows. The interval of
    their difference is made of theirs, which know how few the speakers are: Newcombe, Statistics in
    Medicine 17 (1998) 873, method 10."""
    title = f"Leakage premium: {paper.result.title}, split paper less disjoint, weighted F1, points"
    table = Table(title, ["setting", "paper", "disjoint", "premium", "95 % interval"])
    of_disjoint = {_row_id(score): score for score in disjoint.result.scores}
    for score in paper.result.scores:
        other = of_disjoint.get(_row_id(score))
        if (score.metric, score.pooling) != (METRIC, "mean") or other is None:
            continue
        if None in (score.value, other.value):
            continue
        premium, span = score.value - other.value, "-"
        if None not in (score.low, other.low):
            below = np.hypot(score.value - score.low, other.high - other.value)
            above = np.hypot(score.high - score.value, other.value - other.low)
            span = f"{points(premium - below)} to {points(premium + above)}"
        train = "+".join(score.train) or "nothing"
        name = f"{score.transfer} {score.method}: {train} -> {score.test}, seed {score.seed}"
        values = [percent(score.value), percent(other.value), points(premium)]
        table.rows.append([name, *values, span])
    corpora = disjoint.result.data.corpora
    if shared := sorted(name for name, used in corpora.items() if used.speakers_shared):
        table.notes.append(
            f"disjoint cannot keep speakers apart in {', '.join(shared)}: the premium is too "
            "small there"
        )
    return table


def _row_id(score: Score) -> tuple:
    return SettingId.of(score), score.corpus, score.pooling, score.metric, score.seed


class IntervalNotes:
    """Intervals as text for one table; `notes`, to stand below it: what must be known of them."""

    def __init__(self):
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """Each note once, in the order of its first interval."""
        return list(self._notes)

    def of(self, interval: Interval, text: Callable[[float | None], str] = points) -> str:
        """Low to high, marked where clips are drawn, or why there is none."""
        if interval.low is None:
            return interval.reason or "-"
        mark = {"speaker": "", "clip": " (clips)", "mixed": " (mixed)"}[interval.clusters]
        if mark:
            note = "(clips): clips were drawn, for no speaker, or only one, is known there"
            self._notes[f"{note}; (mixed): in some corpora"] = None
        if interval.reason:
            self._notes[interval.reason] = None
        return f"{text(interval.low)} to {text(interval.high)}{mark}"
