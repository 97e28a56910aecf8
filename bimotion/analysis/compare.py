"""What a reader of several results asks: who is better, whom can nobody separate, how do groups
differ, what did leakage add.

Tables of `bimotion compare`, from the predictions of finished runs; statistics/ computes, this
words it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
from bimotion.results.record import Result
from bimotion.results.statistics.ages import age_gaps
from bimotion.results.statistics.bootstrap import BootstrapDraws, headline
from bimotion.results.statistics.calibration import expected_calibration_error
from bimotion.results.statistics.estimate import Interval, combined, mean_known
from bimotion.results.statistics.gaps import Gap, gaps
from bimotion.results.statistics.paired import compare
from bimotion.results.statistics.ranks import ranks

METRIC = "weighted_f1"
_log = logging.getLogger(__name__)
MOST_PAIRED = 5


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
        return schema_named(self.result.schema.name)

    @property
    def settings(self) -> list[Setting]:
        return rescoring.settings_of(self.result)


def load(folders: Sequence[Path], say: Callable[[str], None] = _log.warning) -> list[Run]:
    """Runs of some folders. Those of `bimotion project`, which lie beside runs, are passed over;
    unfinished runs are too, and `say` gets a line about each. Raises RecordError, also where no
    finished run is left."""
    runs = [
        Path(folder) for folder in folders if not (Path(folder) / record.COVERAGE_FILE).is_file()
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
    found: dict[str, list[Run]] = {}
    for one in runs:
        asked = (one.result.split, one.result.schema, one.result.data.fingerprint)
        found.setdefault(repr(asked), []).append(one)
        if any(one.result.key == other.result.key for other in found[repr(asked)][:-1]):
            raise SettingError(f"expected each run once, found {one.name} twice")
    return list(found.values())


def comparison_tables(runs: Sequence[Run]) -> list[Table]:
    """Every pair on the same clips, Holm-corrected over its settings, and ranks where there are
    several. Of more than MOST_PAIRED runs, the pairs with one alone: one that is not adapted, if
    there is such. Raises SettingError where the runs are not of the same question."""
    for one in runs[1:]:
        _check_comparable(runs[0].result, one.result)
    pairs = list(combinations(runs, 2))
    if len(runs) > MOST_PAIRED:
        first = min(
            runs, key=lambda run: run.result.adapt is not None and run.result.adapt.method != "none"
        )
        pairs = [(other, first) for other in runs if other is not first]
    tables = [_pair_table(one, other) for one, other in pairs]
    if len(runs) > 1:
        tables.append(_rank_table(runs))
        if len(runs) > MOST_PAIRED:
            tables[-1].notes.append(
                f"pairs: with {pairs[0][1].name} alone; all of them for at most {MOST_PAIRED} runs"
            )
        tables[-1].notes += [
            f"{one.result.title}: {adapt.summary}" for one in runs if (adapt := one.result.adapt)
        ]
        tables[-1].notes += warnings(runs[0].result)
    return tables


def _check_comparable(first: Result, other: Result) -> None:
    for name, one, two in (
        ("split", first.split, other.split),
        ("schema", first.schema, other.schema),
        ("data fingerprint", first.data.fingerprint, other.data.fingerprint),
    ):
        if one != two:
            shown = [getattr(value, "rule", getattr(value, "name", value)) for value in (one, two)]
            found = (
                " and ".join(map(str, shown))
                if shown[0] != shown[1]
                else f"two versions of {shown[0]}"
            )
            raise SettingError(
                f"cannot compare {first.key} and {other.key}: expected the same {name}, found "
                f"{found}"
            )


def _shared(runs: Sequence[Run]) -> list[Setting]:
    """Settings that all runs have predictions of."""
    shared = [
        setting for setting in runs[0].settings if all(setting in one.settings for one in runs[1:])
    ]
    if not shared:
        raise SettingError(
            f"cannot compare {', '.join(one.name for one in runs)}: they share no setting"
        )
    return shared


def _pair_table(one: Run, other: Run) -> Table:
    found = compare(one.predictions, other.predictions, _shared([one, other]), one.schema)
    table = Table(
        f"{one.name} less {other.name}: weighted F1, points",
        ["setting", "difference", "95 % interval", "p (Holm)", "verdict"],
    )
    notes = IntervalNotes()
    for row in found:
        setting = (
            f"{row.setting.transfer} {row.setting.method}: {row.setting.training_set} -> "
            f"{row.setting.test}"
        )
        p = "-" if row.p_holm is None else f"{row.p_holm:.4f}"
        table.rows.append(
            [
                setting,
                points(row.difference.value),
                notes.of(row.difference),
                p,
                _verdict(row, one, other),
            ]
        )
    n_apart = sum(row.p_holm is not None and row.p_holm < 0.05 for row in found)
    table.notes.append(
        f"separated in {n_apart} of {len(found)} settings; speakers are the units, p "
        "corrected over the settings"
    )
    table.notes += notes.found
    return table


def _verdict(row, one: Run, other: Run) -> str:
    if row.p_holm is None or row.p_holm >= 0.05:
        return "cannot separate"
    better = (one if row.difference.value > 0 else other).result.title
    return f"{better} is better{'' if row.difference.low is not None else ', on this speaker'}"


def _rank_table(runs: Sequence[Run]) -> Table:
    """By the mean of the in-group (or zero-shot) settings over cells; of runs that are adapted, of
    those across groups, which is what adaptation is for."""
    shared, adapted = _shared(runs), any(one.result.adapt for one in runs)
    own = [
        setting
        for setting in shared
        if setting.transfer in ("in-group", "zero-shot") and not setting.corpora
    ]
    settings = (
        [setting for setting in shared if setting.transfer != "in-group"] if adapted else own
    ) or shared
    draws = BootstrapDraws()
    means = {
        one.name: combined(
            mean_known,
            *(
                headline(one.predictions, setting, one.schema, draws, METRIC)
                for setting in settings
            ),
        )
        for one in runs
    }
    across = all(setting.transfer in CROSS for setting in settings)
    of = f"{len(settings)} settings across groups" if across else "cells"
    table = Table(
        f"Ranks by the mean over {of} of weighted F1",
        ["rank", "95 % interval", "group", "model", "mean"],
    )
    for rank in ranks(means):
        table.rows.append(
            [
                str(rank.rank),
                f"{rank.low} to {rank.high}",
                str(rank.group),
                rank.name,
                percent(rank.estimate),
            ]
        )
    table.notes.append(
        "models of one group cannot be separated from its first; cells: "
        + ", ".join(dict.fromkeys(str(s.test) for s in settings))
    )
    return table


def group_tables(run: Run, ages: pd.Series | None = None) -> list[Table]:
    """Gaps between ages and languages, the worst cell, what transfer keeps, calibration; `ages`:
    clip id -> measured years."""
    name = run.name
    table = Table(
        f"Groups: {name}, weighted F1",
        ["what", "value", "95 % interval", "a group-blind model gives", "p"],
    )
    notes = IntervalNotes()
    table.rows += [gap_row(gap, notes) for gap in gaps(run.predictions, run.settings, run.schema)]
    table.notes += [*notes.found, *warnings(run.result)]
    tables = [table, calibration_table(run)]
    if ages is not None:
        tables.append(_age_table(run, ages))
    return tables


def gap_row(gap: Gap, notes: "IntervalNotes") -> list[str]:
    """What it is of, value, interval, chance and p of a gap: ratios as they are, the worst cell in
    %, differences in points."""
    name = {"worst": f"worst cell: {gap.of}", "transfer": f"transfer ratio, {gap.of}"}.get(
        gap.kind, f"{gap.kind} gap, {gap.of}"
    )
    text = {"transfer": ratio, "worst": percent}.get(gap.kind, points)
    cells = [name, text(gap.interval.value), notes.of(gap.interval, text)]
    if gap.chance is None:
        return [*cells, "-", "-"]
    return [*cells, f"{text(gap.chance.low)} to {text(gap.chance.high)}", f"{gap.chance.p:.3f}"]


def calibration_table(run: Run) -> Table:
    """Expected calibration error of every setting, mean over seeds."""
    table = Table(
        f"Calibration: {run.name}, expected calibration error of the arg-max",
        ["setting", "ECE", "clips"],
    )
    for setting in run.settings:
        rows = run.predictions[
            (run.predictions["train"] == setting.training_set)
            & (run.predictions["cell"] == str(setting.test))
        ]
        errors = [
            expected_calibration_error(test_set(part, None)) for _, part in rows.groupby("seed")
        ]
        known = [error for error in errors if error is not None]
        shown = f"{np.mean(known):.3f}" if known else "-"
        table.rows.append(
            [f"{setting.training_set} -> {setting.test}", shown, str(rows["id"].nunique())]
        )
    return table


def _age_table(run: Run, ages: pd.Series) -> Table:
    title = f"Age threshold: {run.name}, younger less elderly speakers of measured age"
    table = Table(
        title,
        ["training set", "language", "elderly from", "younger", "elderly", "gap", "95 % interval"],
    )
    notes = IntervalNotes()
    for row in age_gaps(run.predictions, ages, run.schema):
        counts = [
            f"{n} clips, {speakers} speakers"
            for n, speakers in zip((row.n_younger, row.n_elderly), row.speakers, strict=True)
        ]
        found = (
            [points(row.difference.value), notes.of(row.difference)]
            if row.difference
            else ["-", "one side is empty"]
        )
        table.rows.append([row.training_set, row.language, str(row.threshold), *counts, *found])
    if not table.rows:
        table.notes.append(
            "no training set was tested on both ages of a language with measured ages on both sides"
        )
    table.notes += notes.found
    return table


def leakage_tables(runs: Sequence[Run]) -> list[Table]:
    """`paper` less `disjoint`, for every model of which both were run: what speakers that training
    shows add to a score."""
    tables = []
    for one, other in combinations(runs, 2):
        paper, disjoint = (one, other) if one.result.split.rule == "paper" else (other, one)
        same = ("model", "track", "adapt", "schema", "seeds")
        rules = (paper.result.split.rule, disjoint.result.split.rule)
        if rules == ("paper", "disjoint") and all(
            getattr(one.result, n) == getattr(other.result, n) for n in same
        ):
            tables.append(_leakage_table(paper, disjoint))
    return tables


def _leakage_table(paper: Run, disjoint: Run) -> Table:
    """The two test on other clips: independent samples, as far as anybody knows. The interval of
    their difference is made of theirs, which know how few the speakers are: Newcombe, Statistics in
    Medicine 17 (1998) 873, method 10."""
    title = f"Leakage premium: {paper.result.title}, split paper less disjoint, weighted F1, points"
    table = Table(title, ["setting", "paper", "disjoint", "premium", "95 % interval"])
    theirs = {_place(score): score for score in disjoint.result.scores}
    for score in paper.result.scores:
        other = theirs.get(_place(score))
        if (
            score.metric != METRIC
            or score.pooling != "mean"
            or other is None
            or None in (score.value, other.value)
        ):
            continue
        shown = "-"
        if None not in (score.low, other.low):
            premium = score.value - other.value
            below = np.hypot(score.value - score.low, other.high - other.value)
            above = np.hypot(score.high - score.value, other.value - other.low)
            shown = f"{points(premium - below)} to {points(premium + above)}"
        setting = (
            f"{score.transfer} {score.method}: {'+'.join(score.train) or 'nothing'} -> "
            f"{score.test}, seed {score.seed}"
        )
        values = [percent(score.value), percent(other.value), points(score.value - other.value)]
        table.rows.append([setting, *values, shown])
    shared = sorted(
        {name for name, used in disjoint.result.data.corpora.items() if used.speakers_shared}
    )
    if shared:
        table.notes.append(
            f"disjoint cannot keep speakers apart in {', '.join(shared)}: the premium is too "
            "small there"
        )
    return table


def _place(score) -> tuple:
    return SettingId.of(score), score.corpus, score.pooling, score.metric, score.seed


@dataclass
class IntervalNotes:
    """Intervals as text for one table, and below it what must be known of them."""

    found: list[str] = field(default_factory=list)

    def of(self, interval: Interval, text: Callable[[float | None], str] = points) -> str:
        """Low to high, marked where clips are drawn, or why there is none."""
        if interval.low is None:
            return interval.reason or "-"
        if interval.clusters != "speaker":
            self._say(
                "(clips): clips were drawn, for no speaker is known there; (mixed): in some corpora"
            )
        if interval.reason:
            self._say(interval.reason)
        mark = {"speaker": "", "clip": " (clips)", "mixed": " (mixed)"}[interval.clusters]
        return f"{text(interval.low)} to {text(interval.high)}{mark}"

    def _say(self, note: str) -> None:
        if note not in self.found:
            self.found.append(note)
