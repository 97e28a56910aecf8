"""How far scores differ between ages and languages, the worst cell, what transfer keeps; and what
chance alone gives.

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
from bimotion.results.statistics.bootstrap import (
    N_REPLICATES,
    BootstrapDraws,
    counts_of,
    headline,
    headlines,
    rows_of,
)
from bimotion.results.statistics.counts import FORMS, Counts, metric_values
from bimotion.results.statistics.estimate import Estimate, Interval, combined, mean_known

N_SIMULATIONS = 2000


@dataclass(frozen=True)
class Chance:
    """The same number of a model that knows no groups.

    low, high     95 % of simulated ones
    p             two-sided: how often chance is as far out
    recall        of every class in every cell: the mean over the cells compared of what was
                  observed
    correlation   of a speaker's clips, intraclass
    """

    low: float
    high: float
    p: float
    recall: float
    correlation: float


@dataclass(frozen=True)
class Gap:
    """A comparison of cells.

    kind       `age`: adults less elderly; `language`: English less Mandarin; `worst`: the lowest
               cell; `transfer`: another training set's score over that of in-group training
    of         what exactly
    interval   of the difference, the lowest score, or the ratio
    chance     null for `transfer` and for the multi-label metric, which no simple blind model
               describes
    """

    kind: str
    of: str
    interval: Interval
    chance: Chance | None


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
    base = {
        setting.test: setting
        for setting in settings
        if setting.transfer in ("in-group", "zero-shot")
    }
    blind = metric != "weighted_f1_multi"
    wanted = dict.fromkeys([metric, "uar"] if blind else [metric])
    of_cells = {
        cell: headlines(predictions, setting, schema, draws, wanted)
        for cell, setting in base.items()
    }
    scores = {cell: of_metrics[metric] for cell, of_metrics in of_cells.items()}
    tested = (
        {cell: _first_seed(predictions, setting, schema) for cell, setting in base.items()}
        if blind
        else {}
    )
    found = []
    for kind, of, cells, function in _differences(sorted(base)):
        statistic = combined(function, *(scores[cell] for cell in cells))
        interval = statistic.interval() if kind == "worst" else statistic.difference_interval()
        if kind == "worst":
            of = str(min(cells, key=lambda cell: scores[cell].estimate))
        by_chance = None
        if blind:
            recall = float(np.mean([of_cells[cell]["uar"].estimate for cell in cells]))
            by_chance = chance(
                [tested[cell] for cell in cells],
                recall,
                function,
                statistic.estimate,
                metric,
                simulations,
                seed,
            )
        found.append(Gap(kind, of, interval, by_chance))
    for setting in settings:
        if setting.test in base and setting.transfer not in ("in-group", "zero-shot"):
            score, of = (
                headline(predictions, setting, schema, draws, metric),
                f"{setting.training_set} -> {setting.test}",
            )
            found.append(Gap("transfer", of, _ratio(score, scores[setting.test]), None))
    return found


def _differences(cells: list[Cell]) -> list[tuple[str, str, list[Cell], Callable]]:
    """Kind, what of, the cells, and the function of their scores."""
    found = []
    for kind, pairs in (
        ("age", _pairs(cells, Cell.cross_age, "adu")),
        ("language", _pairs(cells, Cell.cross_lingual, "eng")),
    ):
        found += [(kind, f"{one} - {other}", [one, other], np.subtract) for one, other in pairs]
        if len(pairs) > 1:
            found.append(
                (kind, "mean", [cell for pair in pairs for cell in pair], _mean_difference)
            )
    if len(cells) > 1:
        found.append(("worst", "", cells, lambda *scores: np.minimum.reduce(scores)))
    return found


def _pairs(cells: list[Cell], cross: Callable[[Cell], Cell], first: str) -> list[tuple[Cell, Cell]]:
    firsts = [
        cell
        for cell in cells
        if first in (cell.language, cell.age_group) and cell in groups.BIMOTION_CELLS
    ]
    return [(cell, cross(cell)) for cell in firsts if cross(cell) in cells]


def _mean_difference(*scores: np.ndarray) -> np.ndarray:
    """Mean over pairs of the first less the second."""
    return mean_known(*(one - other for one, other in zip(scores[::2], scores[1::2], strict=True)))


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
    rows = rows_of(predictions, setting)
    return counts_of(rows[rows["seed"] == rows["seed"].min()], schema)


def chance(
    cells: list[list[Counts]],
    recall: float,
    function: Callable[..., np.ndarray],
    observed: float,
    metric: str = "weighted_f1",
    simulations: int = N_SIMULATIONS,
    seed: int = 0,
) -> Chance:
    """What a group-blind model of some recall gives for a function of the cells' scores, at their
    real clips and speakers."""
    generator = np.random.default_rng([seed, 2])
    correlation = intraclass_correlation([one for counts in cells for one in counts])
    scores = []
    for counts in cells:
        of_corpora = [
            _simulated(one, recall, correlation, metric, simulations, generator) for one in counts
        ]
        scores.append(mean_known(*of_corpora))
    found = function(*scores)
    found = found[~np.isnan(found)]
    low, high = np.quantile(found, [0.025, 0.975]).tolist()
    tail = min((found >= observed).sum(), (found <= observed).sum())
    return Chance(
        low, high, min(1.0, float(2 * (tail + 1) / (len(found) + 1))), recall, correlation
    )


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
    hits = np.stack([generator.binomial(of_class, rates).sum(axis=1) for of_class in true])
    said = hits.copy()
    elsewhere = max(counts.n_annotated - 1, 1)
    for row, of_class in enumerate(true):
        others = np.full(len(true) + 1, 1 / elsewhere)
        others[row] = 0
        others[-1] = max(0.0, 1 - others[:-1].sum())  # classes that no clip has, or none
        said += generator.multinomial(of_class.sum() - hits[row], others)[:, :-1].T
    sums = np.stack([hits, said, np.repeat(true.sum(axis=1, keepdims=True), simulations, axis=1)])
    return metric_values(sums)[name]


def intraclass_correlation(counts: Iterable[Counts]) -> float:
    """How alike the clips of one speaker are in being recognized, within corpora; in [0, 1), 0
    where it cannot be known."""
    between = within = spread = degrees_between = degrees_within = 0.0
    for one in counts:
        if one.stratum.clusters == "clip":
            continue
        hits, _, true = one.tables["all"].sum(axis=1).astype(float)
        total, n = true.sum(), len(true)
        rates = hits / true
        between += (true * (rates - hits.sum() / total) ** 2).sum()
        within += (hits * (1 - rates)).sum()
        spread += total - (true**2).sum() / total
        degrees_between += n - 1
        degrees_within += total - n
    if not degrees_between or not degrees_within:
        return 0.0
    size, mean_between, mean_within = (
        spread / degrees_between,
        between / degrees_between,
        within / degrees_within,
    )
    total = mean_between + (size - 1) * mean_within
    return float(np.clip((mean_between - mean_within) / total, 0, 0.99)) if total > 0 else 0.0
