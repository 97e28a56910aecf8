"""Rank correlation of two facts of some settings, and what chance gives, where settings share test
cells.

Chance: one fact is shuffled among the settings of the same test cell, which keeps whatever makes a
cell easy. Its p is counted as Phipson and Smyth do (2010, doi 10.2202/1544-6115.1585), so it is
never 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

N_SHUFFLES = 9999
LEAST = 4


@dataclass(frozen=True)
class Correlation:
    """Spearman's rho of two facts of settings."""

    n: int
    """Settings."""
    n_cells: int
    """Cells that they test in."""
    rho: float | None = None
    """In [-1, 1]."""
    low: float | None = None
    """Lower end of 95 % of what shuffles give."""
    high: float | None = None
    """Upper end."""
    p: float | None = None
    """Two-sided."""
    reason: str | None = None
    """Why there is no rho: too few settings, or a fact that is the same in all (of each cell: no
    shuffle could move it)."""


def correlation(
    first: Sequence[float], second: Sequence[float], cells: Sequence[str], seed: int = 0
) -> Correlation:
    """Spearman's rho, mean ranks for ties; `cells`: the test cell of each setting.

    >>> correlation([1, 2, 3, 4, 5], [10, 20, 30, 50, 40], ["yue_adu"] * 5).rho
    0.9
    >>> correlation([1, 1, 1, 1], [1, 2, 3, 4], "abcd").reason
    'the same in all settings'
    """
    from scipy.stats import rankdata

    facts, names = np.array([first, second], float), np.asarray(list(cells))
    groups = [np.flatnonzero(names == cell) for cell in dict.fromkeys(cells)]
    sizes = (len(first), len(groups))
    if len(first) < LEAST:
        return Correlation(*sizes, reason=f"{len(first)} settings: needs {LEAST}")
    if not np.ptp(facts, axis=1).all():
        return Correlation(*sizes, reason="the same in all settings")
    if not np.any([np.ptp(facts[:, group], axis=1) for group in groups], axis=0).all():
        return Correlation(*sizes, reason="the same in all settings of each test cell")
    ranks, other = (rank - rank.mean() for rank in rankdata(facts, axis=1))
    scale = np.sqrt((ranks @ ranks) * (other @ other))
    rho = ranks @ other / scale
    shuffled, rng = np.tile(other, (N_SHUFFLES, 1)), np.random.default_rng(seed)
    for group in groups:
        shuffled[:, group] = rng.permuted(shuffled[:, group], axis=1)
    chance = shuffled @ ranks / scale
    low, high = np.quantile(chance, [0.025, 0.975])
    beyond = min((chance >= rho - 1e-9).sum(), (chance <= rho + 1e-9).sum())
    p = min(1.0, 2 * (1 + beyond) / (1 + N_SHUFFLES))
    return Correlation(*sizes, *(round(float(number), 4) for number in (rho, low, high, p)))
