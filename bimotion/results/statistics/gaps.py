"""Gaps of scores between ages and languages, the worst cell, what transfer keeps; and what chance
alone gives.

Chance is a group-blind model, as in audEERING's ser-tests: it recalls every class of every cell
equally often, and is tested on the cells' real clips of their real speakers. Gaps as large as its
own are no evidence of unfairness. Speakers differ in how often they are recognized (a beta
distribution with the intraclass correlation observed, by analysis of variance: Ridout et al.,
Biometrics 55 (1999) 137); a miss is any other class that the corpus annotates, equally often. It is
a model of one seed: where the gap is a mean over seeds, its band is somewhat too wide.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion.protocol import cells as groups
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.statistics import bootstrap
from bimotion.results.statistics.bootstrap import N_REPLICATES, BootstrapDraws
from bimotion.results.statistics.counts import FORMS, Counts, metric_values
from bimotion.results.statistics.estimate import Estimate, Interval, combined, mean_known

N_SIMULATIONS = 2000


@dataclass(frozen=True)
class Chance:
    """The same number of a model that knows no groups."""

    low: float
    """Lower end of 95 % of simulated ones."""
    high: float
    """Upper end."""
    p: float
    """Two-sided: how often chance is as far out."""
    recall: float
    """Of every class in every cell: the mean over the cells compared of what was observed."""
    correlation: float
    """Of a speaker's clips, intraclass."""


@dataclass(frozen=True)
class Gap:
    """A comparison of cells."""

    kind: str
    """`age`: adults less elderly; `language`: English less Mandarin; `worst`: the lowest cell;
    `transfer`: another training set's score over that of in-group training."""
    of: str
    """What exactly."""
    interval: Interval
    """Of the difference, the lowest score, or the ratio."""
    chance: Chance | None
    """null for `transfer` and for the multi-label metric, which no simple blind model describes."""


@dataclass(frozen=True)
class _Difference:
    kind: str
    of: str
    cells: list[Cell]
    function: Callable[..., np.ndarray]
    """Of the cells' scores."""


def gaps(
    predictions: pd.DataFrame,
    settings: Iterable[Setting],
    schema: LabelSchema,
    *,
    metric: str = "weighted_f1",
    replicates: int = N_REPLICATES,
    simulations: int = N_SIMULATIONS,
    seed: int = 0,
) -> list[Gap]:
    """All that the settings over all corpora allow: between the cells of in-group (or zero-shot)
    settings, and of each transfer to in-group.

    Scores are headlines: means over corpora and seeds. Under schema `emotion` cells differ in their
    classes, which a gap then mixes with age and language; under `valence` they do not. Of `worst`,
    the lowest of several noisy scores is too low.
    """
    settings = [setting for setting in settings if setting.corpora is None]
    draws = BootstrapDraws(replicates, seed)
    base = {s.test: s for s in settings if s.transfer in ("in-group", "zero-shot")}
    is_blind = metric != "weighted_f1_multi"
    wanted = dict.fromkeys([metric, "uar"] if is_blind else [metric])
    scores = {
        cell: bootstrap.headlines(predictions, setting, schema, draws, wanted)
        for cell, setting in base.items()
    }
    counts = {cell: _first_seed(predictions, setting, schema) for cell, setting in base.items()}
    rows = []
    for difference in _differences(sorted(base)):
        of_cells = [scores[cell][metric] for cell in difference.cells]
        estimate = combined(difference.function, *of_cells)
        interval, of = estimate.difference_interval(), difference.of
        if difference.kind == "worst":
            interval = estimate.interval()
            of = str(min(difference.cells, key=lambda cell: scores[cell][metric].estimate))
        by_chance = None
        if is_blind:
            recall = float(np.mean([scores[cell]["uar"].estimate for cell in difference.cells]))
            tested = [counts[cell] for cell in difference.cells]
            by_chance = chance(
                tested, recall, difference.function, estimate.estimate, metric, simulations, seed
            )
        rows.append(Gap(difference.kind, of, interval, by_chance))
    for setting in settings:
        if setting.test in base and setting != base[setting.test]:
            score = bootstrap.headline(predictions, setting, schema, draws, metric)
            of = f"{setting.training_set} -> {setting.test}"
            rows.append(Gap("transfer", of, _ratio(score, scores[setting.test][metric]), None))
    return rows


def _differences(cells: list[Cell]) -> list[_Difference]:
    differences = []
    for kind, cross, first in (
        ("age", Cell.cross_age, "adu"),
        ("language", Cell.cross_lingual, "eng"),
    ):
        firsts = [cell for cell in sorted(groups.BIMOTION_CELLS) if first in str(cell).split("_")]
        pairs = [(cell, cross(cell)) for cell in firsts if {cell, cross(cell)} <= set(cells)]
        differences += [
            _Difference(kind, f"{cell} - {other}", [cell, other], np.subtract)
            for cell, other in pairs
        ]
        if len(pairs) > 1:
            paired_cells = [cell for pair in pairs for cell in pair]
            differences.append(_Difference(kind, "mean", paired_cells, _mean_difference))
    if len(cells) > 1:
        differences.append(
            _Difference("worst", "", cells, lambda *scores: np.minimum.reduce(scores))
        )
    return differences


def _mean_difference(*scores: np.ndarray) -> np.ndarray:
    """Mean over pairs of the first less the second."""
    pairs = zip(scores[::2], scores[1::2], strict=True)
    return mean_known(*(first - second for first, second in pairs))


def _ratio(score: Estimate, in_group: Estimate) -> Interval:
    if not (score.estimate > 0 and in_group.estimate > 0):
        value = 0.0 if in_group.estimate > 0 and score.estimate == 0 else None
        reason = "a score of 0 has no interval of its ratio"
        both = combined(np.subtract, score, in_group)
        return Interval(value, None, None, None, both.clusters, both.n_clusters, reason)
    return combined(_log_ratio, score, in_group).ratio_interval()


def _log_ratio(score: np.ndarray, in_group: np.ndarray) -> np.ndarray:
    defined = (score > 0) & (in_group > 0)
    return np.where(
        defined, np.log(np.where(defined, score, 1) / np.where(defined, in_group, 1)), np.nan
    )


def _first_seed(predictions: pd.DataFrame, setting: Setting, schema: LabelSchema) -> list[Counts]:
    rows = bootstrap.rows_of(predictions, setting)
    return bootstrap.counts_of(rows[rows["seed"] == rows["seed"].min()], schema)


def chance(
    cells: list[list[Counts]],
    recall: float,
    function: Callable[..., np.ndarray],
    observed: float,
    metric: str = "weighted_f1",
    simulations: int = N_SIMULATIONS,
    seed: int = 0,
) -> Chance:
    """The same function of the cells' scores for a group-blind model of some recall, at their real
    clips and speakers."""
    generator = np.random.default_rng([seed, 2])
    correlation = intraclass_correlation([corpus for counts in cells for corpus in counts])
    scores = [
        mean_known(
            *(
                _simulated(corpus, recall, correlation, metric, simulations, generator)
                for corpus in counts
            )
        )
        for counts in cells
    ]
    simulated = function(*scores)
    simulated = simulated[~np.isnan(simulated)]
    low, high = np.quantile(simulated, [0.025, 0.975]).tolist()
    tail = min((simulated >= observed).sum(), (simulated <= observed).sum())
    p = min(1.0, float(2 * (tail + 1) / (len(simulated) + 1)))
    return Chance(low, high, p, recall, correlation)


def _simulated(
    counts: Counts,
    recall: float,
    correlation: float,
    metric: str,
    simulations: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """A metric of the corpus's test set under the blind model, shape (simulations,)."""
    form, name = FORMS[metric]
    true = counts.tables[form][2].astype(np.int64)  # (n_classes, n_clusters)
    true = true[true.any(axis=1)]
    stratum = counts.stratum
    if stratum.one_speaker or stratum.clusters == "clip":
        true = true.sum(axis=1, keepdims=True)
    # single clips: nothing to be alike
    alike = correlation > 0 and (stratum.one_speaker or stratum.clusters != "clip")
    rates = np.full((simulations, 1), recall)
    if alike and 0 < recall < 1:
        spread = 1 / correlation - 1
        rates = generator.beta(recall * spread, (1 - recall) * spread, (simulations, true.shape[1]))
    hits = np.stack([generator.binomial(clips, rates).sum(axis=1) for clips in true])
    predicted, totals = hits.copy(), true.sum(axis=1)
    for row, total in enumerate(totals):
        odds = np.full(len(true) + 1, 1 / max(counts.n_annotated - 1, 1))
        odds[row] = 0
        odds[-1] = max(0.0, 1 - odds[:-1].sum())  # classes that no clip has, or none
        predicted += generator.multinomial(total - hits[row], odds)[:, :-1].T
    sums = np.stack([hits, predicted, np.broadcast_to(totals[:, None], hits.shape)])
    return metric_values(sums)[name]


def intraclass_correlation(counts: Iterable[Counts]) -> float:
    """The likeness of one speaker's clips in being recognized, within corpora; in [0, 1), 0 where
    it cannot be known."""
    between = within = spread = degrees_between = degrees_within = 0.0
    for corpus in counts:
        if corpus.stratum.clusters == "clip":
            continue
        hits, _, true = corpus.tables["all"].sum(axis=1).astype(float)
        total, n = true.sum(), len(true)
        rates = hits / true
        between += (true * (rates - hits.sum() / total) ** 2).sum()
        within += (hits * (1 - rates)).sum()
        spread += total - (true**2).sum() / total
        degrees_between += n - 1
        degrees_within += total - n
    if not degrees_between or not degrees_within:
        return 0.0
    size, mean_between = spread / degrees_between, between / degrees_between
    mean_within = within / degrees_within
    total = mean_between + (size - 1) * mean_within
    return float(np.clip((mean_between - mean_within) / total, 0, 0.99)) if total > 0 else 0.0
