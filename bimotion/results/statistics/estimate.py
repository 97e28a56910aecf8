"""A number computed from speakers, with what is needed for its 95 % interval.

The interval takes the standard error from the bootstrap over speakers and, for metrics in [0, 1],
the shape from Wilson's score interval (for such samples: Dean and Pagano, J. Survey Statistics and
Methodology 3 (2015) 484) at the effective number of clips n* = p (1 - p) / SE^2 with the t quantile
(Korn and Graubard, Survey Methodology 24 (1998) 193). Why not percentiles: they are too narrow with
few speakers (Hesterberg, arXiv 1411.5279, whose factor n / (n - 1) and t quantile are used here),
and of an all-correct test set they leave [1, 1].

Coverage (tests/results/statistics/): 94 to 97 % from 8 speakers on, but 92 to 93.5 % for scores
above 0.9 of 8 or 20 speakers who differ much; 94 to 99 % with 3 and 4, up to 99.6 % with 2, when
the interval is too wide to say much.

- No interval is narrower than Wilson's for as many independent decisions as there are clips (times
  classes, in the multi-label form): speakers who happen to agree prove little.
- At 0 and 1 nothing is known of how alike a speaker's clips are: n* is then the number of speakers,
  the cautious end (of several corpora, the harmonic mean of theirs times the number of corpora).
- The draws are within corpora: factor and degrees of freedom weigh the corpora by their shares of
  the jackknife variance (Satterthwaite, Biometrics Bulletin 2 (1946) 110).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import stdtr, stdtrit

from bimotion.results.statistics.counts import Stratum, ratio

NORMAL = 1.959963984540054
"""97.5 % point of the normal distribution."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    value: float | None
    """null: undefined."""
    low: float | None
    """null: not estimable, like `high` and `standard_error`."""
    high: float | None
    """Upper end."""
    standard_error: float | None
    """Over speakers."""
    clusters: str
    """`speaker`; `clip`: no speaker is known and each clip is its own; `mixed`: both."""
    n_clusters: int
    """Drawn again."""
    reason: str | None
    """Why there is no interval, or what it cannot say."""


@dataclass(frozen=True)
class Estimate:
    """A number and how it moves with its speakers."""

    estimate: float
    """Of the test set as it is; nan: undefined."""
    replicates: np.ndarray
    """Of test sets drawn again, shape (n_replicates,), nan where undefined."""
    without: dict[Stratum, np.ndarray]
    """Stratum -> the number without each of its clusters in turn, shape (n,)."""
    carriers: int | None = None
    """Clusters that hold a clip that counts, where that is not all of them."""
    decisions: int = 1
    """Yes-or-no decisions a clip: the number of classes in the multi-label form."""

    @property
    def n_clusters(self) -> int:
        """Clusters drawn again."""
        return sum(stratum.n for stratum in self.without)

    @property
    def clusters(self) -> str:
        """`speaker`, `clip` or `mixed`."""
        kinds = {stratum.clusters for stratum in self.without}
        return kinds.pop() if len(kinds) == 1 else "mixed"

    @cached_property
    def _shares(self) -> list[tuple[int, float]]:
        """Clusters of each stratum, and its share of the variance by the jackknife; equal where
        nothing varies."""
        variances = [
            (stratum.n, (stratum.n - 1) / stratum.n * _squares(values))
            for stratum, values in self.without.items()
        ]
        total = sum(variance for _, variance in variances)
        return [(n, variance / total if total else 1 / len(variances)) for n, variance in variances]

    @cached_property
    def standard_error(self) -> float:
        """The bootstrap's, times n / (n - 1) for each stratum's variance."""
        known = self.replicates[~np.isnan(self.replicates)]
        factor = sum(share * n / (n - 1) for n, share in self._shares if n > 1)
        return float(np.sqrt(known.var(ddof=1) * factor)) if len(known) > 1 else 0.0

    @property
    def degrees_of_freedom(self) -> float:
        """At least 1."""
        spent = sum(share**2 / (n - 1) for n, share in self._shares if n > 1)
        freedom = 1 / spent if spent else 1.0
        return max(1.0, freedom if self.carriers is None else min(freedom, self.carriers - 1))

    @property
    def quantile(self) -> float:
        """97.5 % point of Student's t."""
        return float(stdtrit(self.degrees_of_freedom, 0.975))

    def p_value(self) -> float:
        """Two-sided, of the estimate being 0, by Student's t; 1 where nothing varies and the
        estimate is 0."""
        if self.standard_error == 0:
            return 1.0 if self.estimate == 0 else 0.0
        return float(2 * stdtr(self.degrees_of_freedom, -abs(self.estimate) / self.standard_error))

    def interval(self) -> Interval:
        """The interval of a metric in [0, 1]: inside [0, 1], around the estimate, never a point."""
        return self._interval(self._score_bounds)

    def difference_interval(self) -> Interval:
        """The interval of a difference of two metrics: estimate -+ t SE, inside [-1, 1]."""
        low, high = self._symmetric_bounds()
        return self._interval(lambda: (max(-1.0, low), min(1.0, high)))

    def ratio_interval(self) -> Interval:
        """The interval of a ratio of two metrics whose logarithm this is."""
        interval = self._interval(self._symmetric_bounds)
        bounds = {name: getattr(interval, name) for name in ("value", "low", "high")}
        known = {name: float(np.exp(bound)) for name, bound in bounds.items() if bound is not None}
        return replace(interval, **known)

    @property
    def _reach(self) -> float:
        return self.quantile * self.standard_error

    def _symmetric_bounds(self) -> tuple[float, float]:
        return self.estimate - self._reach, self.estimate + self._reach

    def _score_bounds(self) -> tuple[float, float]:
        p, strata = self.estimate, list(self.without)
        if min(p, 1 - p) < 1e-12:
            n_speakers = len(strata) ** 2 / sum(1 / stratum.n for stratum in strata)
            weight = self.quantile**2 / (self.carriers or n_speakers)
        else:
            n_decisions = self.decisions * sum(stratum.n_clips for stratum in strata)
            weight = max(self._reach**2 / (p * (1 - p)), NORMAL**2 / n_decisions)
        middle = (p + weight / 2) / (1 + weight)
        half = np.sqrt(weight * p * (1 - p) + weight**2 / 4) / (1 + weight)
        return max(0.0, min(p, float(middle - half))), min(1.0, max(p, float(middle + half)))

    def _interval(self, bounds: Callable[[], tuple[float, float]]) -> Interval:
        if reason := self._not_estimable():
            value = None if np.isnan(self.estimate) else self.estimate
            drawn = ("speaker", 1) if reason == "one speaker" else (self.clusters, self.n_clusters)
            return Interval(value, None, None, None, *drawn, reason)
        single = ", ".join(stratum.name for stratum in self.without if stratum.one_speaker)
        reason = f"{single}: one speaker, whose clips were drawn again" if single else None
        drawn = (self.clusters, self.n_clusters)
        return Interval(self.estimate, *bounds(), self.standard_error, *drawn, reason)

    def _not_estimable(self) -> str | None:
        if np.isnan(self.estimate):
            return "undefined"
        if all(stratum.one_speaker for stratum in self.without):
            return "one speaker"
        if self.carriers is not None and self.carriers < 2:
            return f"one {self.clusters if self.clusters != 'mixed' else 'speaker'} with this class"
        if all(stratum.n < 2 for stratum in self.without):
            return "one clip"
        return None


def _squares(values: np.ndarray) -> float:
    """Sum of squared deviations of what is defined."""
    known = values[~np.isnan(values)]
    return float(((known - known.mean()) ** 2).sum()) if len(known) else 0.0


def combined(function: Callable[..., np.ndarray], *estimates: Estimate) -> Estimate:
    """A function of several estimates, over the same draws where they share strata. Works on
    arrays, element by element.

    >>> half = Estimate(0.5, np.array([0.4, 0.6]), {Stratum("eng_eld/tess", 2, "speaker", False,
    ...     9): np.array([0.4, 0.6])})
    >>> combined(np.subtract, half, half).standard_error
    0.0
    """
    strata = dict.fromkeys(stratum for estimate in estimates for stratum in estimate.without)
    carriers = [estimate.carriers for estimate in estimates if estimate.carriers is not None]
    return Estimate(
        estimate=float(function(*(np.float64(estimate.estimate) for estimate in estimates))),
        replicates=function(*(estimate.replicates for estimate in estimates)),
        without={
            stratum: function(
                *(
                    estimate.without.get(stratum, np.full(stratum.n, estimate.estimate))
                    for estimate in estimates
                )
            )
            for stratum in strata
        },
        carriers=min(carriers, default=None),
        decisions=min(estimate.decisions for estimate in estimates),
    )


def mean_known(*values: np.ndarray) -> np.ndarray:
    """Mean of those that are defined, element by element.

    >>> mean_known(np.array([0.5, np.nan]), np.array([1.0, 1.0])).tolist()
    [0.75, 1.0]
    """
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    return ratio(np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0))
