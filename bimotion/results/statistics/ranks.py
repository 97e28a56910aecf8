"""Ranks of models with their uncertainty, and groups of models that cannot be told apart.

All models are scored on the same drawn speakers. Replicates are spread by t / 1.96 and n / (n - 1),
as the intervals are, since the plain bootstrap is too sure of ranks with few speakers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from bimotion.results.statistics.estimate import NORMAL, Estimate, combined
from bimotion.results.statistics.paired import holm

SEPARATE_BELOW = 0.05


@dataclass(frozen=True)
class RankInterval:
    """The place of a model among others."""

    name: str
    """Of the model."""
    estimate: float
    """Its score."""
    rank: int
    """1 is best; equal estimates share the better rank."""
    low: int
    """Best rank of the 95 % interval over replicates."""
    high: int
    """Worst rank."""
    group: int
    """1, 2, ...: models of a group are not separable from its first one."""


def ranks(models: Mapping[str, Estimate]) -> list[RankInterval]:
    """The models, best first, from estimates of the same metric, settings and draws
    (bootstrap.headline, or means of several of them).

    Groups: the best model opens the first; the next in order joins while its difference from the
    group's first one is not significant at 0.05 after Holm's correction over all pairs; the first
    that is opens the next group.
    """
    from scipy.stats import rankdata  # takes half a second to import

    if not models:
        return []
    order = sorted(models, key=lambda name: (-models[name].estimate, name))
    worse = -np.stack([_spread(models[name]) for name in order])
    lows = np.quantile(rankdata(worse, "min", axis=0), 0.025, axis=1, method="lower")
    highs = np.quantile(rankdata(worse, "max", axis=0), 0.975, axis=1, method="higher")
    places = rankdata([-models[name].estimate for name in order], "min").astype(int).tolist()
    apart = separable(models)
    rows: list[RankInterval] = []
    first, group = order[0], 1
    for name, rank, low, high in zip(order, places, lows, highs, strict=True):
        if apart.get(frozenset((first, name)), 1.0) < SEPARATE_BELOW:
            first, group = name, group + 1
        interval = min(int(low), rank), max(int(high), rank)
        rows.append(RankInterval(name, models[name].estimate, rank, *interval, group))
    return rows


def separable(models: Mapping[str, Estimate]) -> dict[frozenset[str], float]:
    """Pair of names -> p-value of their difference, after Holm's correction over all pairs."""
    names = list(models)
    pairs = [(name, other) for row, name in enumerate(names) for other in names[:row]]
    matrix = _p_values(list(models.values()))
    if matrix is None:
        p_values = [
            combined(np.subtract, *(models[name] for name in pair)).p_value() for pair in pairs
        ]
    else:  # row by row: the order of the pairs
        p_values = matrix[np.tril_indices(len(names), -1)].tolist()
    return {frozenset(pair): p for pair, p in zip(pairs, holm(p_values), strict=True)}


def _p_values(models: list[Estimate]) -> np.ndarray | None:
    """`combined(np.subtract, one, other).p_value()` of all pairs at once, shape (n, n): a thousand
    models in seconds.

    A difference's sum of squares is G_ii + G_jj - 2 G_ij of the centred values' products G. None
    where statistics are not over the same strata, or have values that are not defined.
    """
    strata = list(models[0].without) if models else []
    if any(list(model.without) != strata or model.carriers is not None for model in models):
        return None
    replicates = np.stack([model.replicates for model in models])
    without = [np.stack([model.without[stratum] for model in models]) for stratum in strata]
    if any(np.isnan(values).any() for values in (replicates, *without)):
        return None
    variance = _squares(replicates) / (replicates.shape[1] - 1)
    sizes = np.array([stratum.n for stratum in strata], float)
    parts = np.stack(
        [(n - 1) / n * _squares(values) for n, values in zip(sizes, without, strict=True)]
    )
    total = parts.sum(axis=0)
    shares = np.where(total > 0, parts / np.where(total > 0, total, 1), 1 / len(strata))
    many = sizes > 1
    factor = np.tensordot(sizes[many] / (sizes[many] - 1), shares[many], 1)
    spent = np.tensordot(1 / (sizes[many] - 1), shares[many] ** 2, 1)
    freedom = np.maximum(1.0, np.where(spent > 0, 1 / np.where(spent > 0, spent, 1), 1.0))
    error = np.sqrt(variance * factor)
    estimates = np.array([model.estimate for model in models])
    difference = np.abs(estimates[:, None] - estimates)
    known = 2 * stdtr(freedom, -difference / np.where(error > 0, error, 1))
    return np.where(error > 0, known, np.where(difference > 0, 0.0, 1.0))


def _squares(values: np.ndarray) -> np.ndarray:
    """Sums of squared deviations of the differences of all rows, (n, m) -> (n, n); what rounding
    leaves of equal rows is 0."""
    centred = values - values.mean(axis=1, keepdims=True)
    products = centred @ centred.T
    own = np.diag(products)
    sums = own[:, None] + own - 2 * products
    return np.where(sums > 1e-12 * (own[:, None] + own), sums, 0.0)


def _spread(model: Estimate) -> np.ndarray:
    """Replicates around the estimate, as wide as the interval; nan counts as no change."""
    deviations = np.nan_to_num(model.replicates - model.estimate)
    width = deviations.std(ddof=1)
    factor = model.standard_error / width * model.quantile / NORMAL if width else 0
    return model.estimate + deviations * factor
