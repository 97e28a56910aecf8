"""One run's groups, and what leakage added: tables of `bimotion compare` beside those of pairs.py.

From the predictions of finished runs; statistics/ computes, this words it.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from bimotion.analysis.paper_tables import warnings
from bimotion.analysis.runs import METRIC, IntervalNotes, Run
from bimotion.io.tables import Table, percent, points, ratio
from bimotion.protocol.settings import SettingId
from bimotion.results.clip_predictions import test_set
from bimotion.results.record import Score
from bimotion.results.statistics.ages import age_gaps
from bimotion.results.statistics.calibration import expected_calibration_error
from bimotion.results.statistics.gaps import Gap, gaps


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


def gap_row(gap: Gap, notes: IntervalNotes) -> list[str]:
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
