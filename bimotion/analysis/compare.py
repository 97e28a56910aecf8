"""The premium of leakage: a table of `bimotion compare` beside those of pairs.py and groups.py."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from bimotion.analysis.runs import METRIC, Run
from bimotion.io.tables import Table, percent, points
from bimotion.protocol.settings import SettingId
from bimotion.results.record import Score


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
