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
    """Spearman's rho of n settings that test in n_cells cells; [low, high]: 95 % of what shuffles
    give; p: two-sided.

    reason   why there is no rho: too few settings, or a fact that is the same in all (of each cell:
             no shuffle could move it)
    """

    n: int
    n_cells: int
    rho: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    reason: str | None = None


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

    n, places = len(first), {}
    for place, cell in enumerate(cells):
        places.setdefault(cell, []).append(place)
    if n < LEAST:
        return Correlation(n, len(places), reason=f"{n} settings: needs {LEAST}")
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return Correlation(n, len(places), reason="the same in all settings")
    if any(
        all(np.ptp(np.asarray(fact)[group]) == 0 for group in places.values())
        for fact in (first, second)
    ):
        return Correlation(n, len(places), reason="the same in all settings of each test cell")
    one, other = (ranks - ranks.mean() for ranks in (rankdata(first), rankdata(second)))
    scale = np.sqrt((one @ one) * (other @ other))
    rho = one @ other / scale
    shuffled, rng = np.tile(other, (N_SHUFFLES, 1)), np.random.default_rng(seed)
    for group in places.values():
        shuffled[:, group] = rng.permuted(shuffled[:, group], axis=1)
    chance = shuffled @ one / scale
    low, high = np.quantile(chance, [0.025, 0.975])
    beyond = min((chance >= rho - 1e-9).sum(), (chance <= rho + 1e-9).sum())
    p = min(1.0, 2 * (1 + beyond) / (1 + N_SHUFFLES))
    return Correlation(n, len(places), *(round(float(number), 4) for number in (rho, low, high, p)))
