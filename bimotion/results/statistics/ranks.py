"""Ranks of models with their uncertainty, and groups of models that cannot be told apart.

Both follow from the tests of all pairs, on the same clips of the same speakers (spread.py): the
best rank of a model is one more than the number of models that are better beyond doubt, its worst
what those leave that are worse beyond doubt (Mogstad, Romano, Shaikh and Wilhelm, Review of
Economic Studies 91 (2024) 476).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bimotion.results.statistics.estimate import Estimate
from bimotion.results.statistics.paired import holm
from bimotion.results.statistics.spread import Likeness, Squares, p_values

SEPARATE_BELOW = 0.05


@dataclass(frozen=True)
class RankInterval:
    """The place of a model among opponents."""

    name: str
    """Of the model."""
    estimate: float
    """Its score."""
    rank: int
    """1 is best; equal estimates share the better rank."""
    low: int
    """Best rank of the 95 % interval."""
    high: int
    """Worst rank."""
    group: int
    """1, 2, ...: models of a group are not separable from its first one."""


def ranks(models: Mapping[str, Estimate]) -> list[RankInterval]:
    """The models, best first, from estimates of the same metric and settings
    (from_predictions.headline, or means of several of them).

    Groups: the best model opens the first; the next in order joins while its difference from the
    group's first one is not significant at 0.05 after Holm's correction over all pairs; the first
    that is opens the next group. The interval of a rank is corrected over the pairs of its model.
    """
    if not models:
        return []
    order = sorted(models, key=lambda name: (-models[name].estimate, name))
    matrix = _p_values([models[name] for name in order])
    pairs = np.tril_indices(len(order), -1)
    apart = np.ones(matrix.shape)
    apart[pairs] = holm(matrix[pairs].tolist())
    apart = np.minimum(apart, apart.T)
    estimates = np.array([models[name].estimate for name in order])
    rows: list[RankInterval] = []
    first, group = 0, 1
    for position, name in enumerate(order):
        if apart[position, first] < SEPARATE_BELOW:
            first, group = position, group + 1
        opponents = np.delete(np.arange(len(order)), position)
        own = holm(matrix[position, opponents].tolist())
        separate = opponents[np.array(own) < SEPARATE_BELOW]
        estimate = models[name].estimate
        n_better = int((estimates[separate] > estimate).sum())
        rank = 1 + int((estimates > estimate).sum())
        worst = len(order) - (len(separate) - n_better)
        rows.append(RankInterval(name, estimate, rank, 1 + n_better, worst, group))
    return rows


def _p_values(models: list[Estimate]) -> np.ndarray:
    """The p-value of each pair's difference, shape (n, n): a thousand models in seconds. Seeds that
    a model does not have move nothing of it."""
    estimates = np.array([model.estimate for model in models])
    strata = dict.fromkeys(stratum for model in models for stratum in model.influence)
    squares = []
    for stratum in strata:
        nothing = np.zeros(stratum.n_clips)
        influence = np.stack([model.influence.get(stratum, nothing) for model in models])
        squares.append(Squares.of(stratum, influence, _pairs))
    return p_values(estimates[:, None] - estimates, squares, Likeness.of(squares), None)


def _pairs(values: np.ndarray) -> np.ndarray:
    """Sums of squares of the differences of all rows, (n, m) -> (n, n): G_ii + G_jj - 2 G_ij of
    their products G; what rounding leaves of equal rows is 0."""
    products = values @ values.T
    own = np.diag(products)
    sums = own[:, None] + own - 2 * products
    return np.where(sums > 1e-12 * (own[:, None] + own), sums, 0.0)
