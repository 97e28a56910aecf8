"""The better of several runs, setting by setting, and their ranks: tables of `bimotion compare`."""

from collections.abc import Iterable, Sequence
from itertools import combinations

from bimotion.analysis.paper_tables import warnings
from bimotion.analysis.runs import (
    METRIC,
    IntervalNotes,
    Run,
    shared_settings,
    why_not_compared,
)
from bimotion.io.tables import Table, p_value, percent, points
from bimotion.protocol.settings import CROSS, Setting
from bimotion.results.reservations import joined, meanings, reservations, with_mark
from bimotion.results.statistics.estimate import Estimate, combined, mean_known
from bimotion.results.statistics.from_predictions import headline
from bimotion.results.statistics.paired import compare
from bimotion.results.statistics.ranks import SEPARATE_BELOW, ranks
from bimotion.results.statistics.spread import ON_THESE_CLIPS

MAX_PAIRED = 5
"""Runs of which every pair is compared."""


def comparison_tables(runs: Sequence[Run]) -> list[Table]:
    """Every pair on the same clips, Holm-corrected over the settings of each method, and ranks
    where there are several. Of more than MAX_PAIRED runs, only the pairs with one of them: one that
    is not adapted, if there is such. Raises SettingError where the runs are not of the same
    question."""
    if len(runs) < 2:
        return []
    shared_settings(runs)
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


def alone_tables(questions: Sequence[Sequence[Run]]) -> list[Table]:
    """The runs that are compared with no other, each with the reason: a table, if there are any
    among runs that are compared."""
    compared = [same[0] for same in questions if len(same) > 1]
    alone = [same[0] for same in questions if len(same) == 1]
    rows = [[run.name, why_not_compared([compared[0], run])] for run in alone if compared]
    return [Table("Runs that are compared with none", ["run", "why"], rows)] if rows else []


def _pair_table(first: Run, second: Run) -> Table:
    table = Table(
        f"{first.name} less {second.name}: weighted F1, points",
        ["setting", "difference", "95 % interval", "p (Holm)", "verdict"],
    )
    settings, notes, n_apart = shared_settings([first, second]), IntervalNotes(), 0
    marked = [reservations(run.result) for run in (first, second)]
    for pair in compare(first.predictions, second.predictions, settings, first.schema):
        setting, difference, p = pair.setting, pair.difference, pair.p_holm
        name = f"{setting.transfer} {setting.method}: {setting.training_set} -> {setting.test}"
        verdict = "cannot separate"
        if p is not None and p < SEPARATE_BELOW:
            n_apart += 1
            better = first if difference.value > 0 else second
            verdict = f"{better.result.title} is better"
            if pair.on_these_clips:
                verdict += f", {ON_THESE_CLIPS}"
        shown = with_mark(points(difference.value), joined(marked, [setting.id]))
        values = [shown, notes.of(difference), p_value(p)]
        table.rows.append([name, *values, verdict])
    table.title += f"; separated in {n_apart} of {len(settings)} settings"
    table.notes = [
        "speakers are the units, p corrected over the settings of one method",
        *notes.notes,
        *filter(None, (run.seeds_note for run in (first, second))),
        *meanings(row[1] for row in table.rows),
    ]
    return table


def _rank_table(runs: Sequence[Run]) -> Table:
    """By the mean of the in-group (or zero-shot) settings over cells; of runs that are adapted, of
    those across groups, which is what adaptation is for."""
    shared = shared_settings(runs)
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
    means = {run.name: _mean_over(run, settings) for run in runs}
    marked = {run.name: reservations(run.result) for run in runs}
    for rank in ranks(means):
        mark = joined([marked[rank.name]], [setting.id for setting in settings])
        span, mean = f"{rank.low} to {rank.high}", with_mark(percent(rank.estimate), mark)
        table.rows.append([str(rank.rank), span, str(rank.group), rank.name, mean])
    tested = dict.fromkeys(str(setting.test) for setting in settings)
    people = f" {ON_THESE_CLIPS}" if any(e.spread.on_these_clips for e in means.values()) else ""
    table.notes.append(
        f"models of one group cannot be separated from its first{people}; cells: "
        + ", ".join(tested)
    )
    table.notes += meanings(row[-1] for row in table.rows)
    return table


def _mean_over(run: Run, settings: Iterable[Setting]) -> Estimate:
    headlines = (headline(run.predictions, setting, run.schema, METRIC) for setting in settings)
    return combined(mean_known, *headlines)
