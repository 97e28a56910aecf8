"""Ranks of models with their uncertainty, and groups of models that cannot be told apart.

All models are scored on the same drawn speakers. Replicates are spread by t / 1.96 and n / (n - 1), as the intervals are, since
the plain bootstrap is too sure of ranks with few speakers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bimotion.statistics.comparison import holm
from bimotion.statistics.statistic import NORMAL, Statistic, combined

SEPARATE_BELOW = 0.05


@dataclass(frozen=True)
class Rank:
    """Where a model stands.

    rank         1 is best; equal estimates share the better rank
    low, high    95 % interval of the rank over replicates
    group        1, 2, ...: models of a group are not separable from its first one
    """

    name: str
    estimate: float
    rank: int
    low: int
    high: int
    group: int


def ranks(models: Mapping[str, Statistic]) -> list[Rank]:
    """Best first. Statistics of the same metric, settings and draws (intervals.headline, or means of several of them).

    Groups: the best model opens the first; the next in order joins while its difference from the group's first one is
    not significant at 0.05 after Holm's correction over all pairs; the first that is opens the next group.
    """
    if not models:
        return []
    order = sorted(models, key=lambda name: (-models[name].estimate, name))
    values = np.stack([_spread(models[name]) for name in order])
    best = 1 + np.stack([(values > own).sum(axis=0) for own in values])
    worst = len(order) - np.stack([(values < own).sum(axis=0) for own in values])
    apart = separable(models)
    found: list[Rank] = []
    first, group = order[0], 1
    for place, name in enumerate(order):
        if apart.get(frozenset((first, name)), 1.0) < SEPARATE_BELOW:
            first, group = name, group + 1
        estimate = models[name].estimate
        rank = 1 + sum(models[other].estimate > estimate for other in order)
        low = int(np.quantile(best[place], 0.025, method="lower"))
        high = int(np.quantile(worst[place], 0.975, method="higher"))
        found.append(Rank(name, estimate, rank, min(low, rank), max(high, rank), group))
    return found


def separable(models: Mapping[str, Statistic]) -> dict[frozenset[str], float]:
    """Pair of names -> p-value of their difference, after Holm's correction over all pairs."""
    names = list(models)
    pairs = [(one, other) for place, one in enumerate(names) for other in names[:place]]
    p_values = holm([combined(np.subtract, models[one], models[other]).p_value() for one, other in pairs])
    return {frozenset(pair): p for pair, p in zip(pairs, p_values, strict=True)}


def _spread(one: Statistic) -> np.ndarray:
    """Replicates around the estimate, as wide as the interval; nan counts as no change."""
    deviations = np.nan_to_num(one.replicates - one.estimate)
    width = deviations.std(ddof=1)
    return one.estimate + deviations * (one.standard_error / width * one.quantile / NORMAL if width else 0)
