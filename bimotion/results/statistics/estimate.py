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
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.special import stdtr, stdtrit

from bimotion.results.statistics.counts import Stratum

NORMAL = 1.959963984540054
"""97.5 % point of the normal distribution."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval.

    value, low, high   null: undefined, or not estimable
    standard_error     over speakers
    clusters           `speaker`; `clip`: no speaker is known and each clip is its own; `mixed`:
                       both
    n_clusters         drawn again
    reason             why there is no interval, or what it cannot say
    """

    value: float | None
    low: float | None
    high: float | None
    standard_error: float | None
    clusters: str
    n_clusters: int
    reason: str | None


@dataclass(frozen=True)
class Estimate:
    """A number and how it moves with its speakers.

    estimate     of the test set as it is; nan: undefined
    replicates   of test sets drawn again, shape (n_replicates,), nan where undefined
    without      stratum -> the number without each of its clusters in turn, shape (n,)
    carriers     clusters that hold a clip that counts, where that is not all of them
    decisions    yes-or-no decisions a clip: the number of classes in the multi-label form
    """

    estimate: float
    replicates: np.ndarray
    without: dict[Stratum, np.ndarray]
    carriers: int | None = field(default=None)
    decisions: int = field(default=1)

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
    def _shares(self) -> dict[Stratum, float]:
        """Stratum -> its share of the variance, by the jackknife; equal where nothing varies."""
        variances = {
            one: (one.n - 1) / one.n * _squares(values) for one, values in self.without.items()
        }
        total = sum(variances.values())
        return {
            one: variance / total if total else 1 / len(variances)
            for one, variance in variances.items()
        }

    @cached_property
    def standard_error(self) -> float:
        """Of the bootstrap, times n / (n - 1) for each stratum's variance."""
        known = self.replicates[~np.isnan(self.replicates)]
        factor = sum(
            share * one.n / (one.n - 1) for one, share in self._shares.items() if one.n > 1
        )
        return float(np.sqrt(known.var(ddof=1) * factor)) if len(known) > 1 else 0.0

    @property
    def degrees_of_freedom(self) -> float:
        """At least 1."""
        spent = sum(share**2 / (one.n - 1) for one, share in self._shares.items() if one.n > 1)
        found = 1 / spent if spent else 1.0
        return max(1.0, found if self.carriers is None else min(found, self.carriers - 1))

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
        """Of a metric in [0, 1]: inside [0, 1], around the estimate, never a point."""
        return self._interval(self._score_bounds)

    def difference_interval(self) -> Interval:
        """Of a difference of two metrics: estimate -+ t SE, inside [-1, 1]."""
        return self._interval(self._symmetric_bounds)

    def ratio_interval(self) -> Interval:
        """Of a ratio of two metrics given as its logarithm; the interval is of the ratio itself."""
        found = self._interval(lambda: (self.estimate - self._reach, self.estimate + self._reach))
        value, low, high = (
            None if bound is None else float(np.exp(bound))
            for bound in (found.value, found.low, found.high)
        )
        return Interval(
            value, low, high, found.standard_error, found.clusters, found.n_clusters, found.reason
        )

    @property
    def _reach(self) -> float:
        return self.quantile * self.standard_error

    def _symmetric_bounds(self) -> tuple[float, float]:
        return max(-1.0, self.estimate - self._reach), min(1.0, self.estimate + self._reach)

    def _score_bounds(self) -> tuple[float, float]:
        p, strata = self.estimate, list(self.without)
        if min(p, 1 - p) < 1e-12:
            weight = self.quantile**2 / (
                self.carriers or len(strata) ** 2 / sum(1 / one.n for one in strata)
            )
        else:
            n_decisions = self.decisions * sum(one.n_clips for one in strata)
            weight = max(self._reach**2 / (p * (1 - p)), NORMAL**2 / n_decisions)
        middle = (p + weight / 2) / (1 + weight)
        half = np.sqrt(weight * p * (1 - p) + weight**2 / 4) / (1 + weight)
        return max(0.0, min(p, float(middle - half))), min(1.0, max(p, float(middle + half)))

    def _interval(self, bounds: Callable[[], tuple[float, float]]) -> Interval:
        if reason := self._not_estimable():
            value = None if np.isnan(self.estimate) else self.estimate
            drawn = ("speaker", 1) if reason == "one speaker" else (self.clusters, self.n_clusters)
            return Interval(value, None, None, None, *drawn, reason)
        low, high = bounds()
        alone = [one.name for one in self.without if one.one_speaker]
        reason = f"{', '.join(alone)}: one speaker, whose clips were drawn again" if alone else None
        return Interval(
            self.estimate, low, high, self.standard_error, self.clusters, self.n_clusters, reason
        )

    def _not_estimable(self) -> str | None:
        if np.isnan(self.estimate):
            return "undefined"
        if all(one.one_speaker for one in self.without):
            return "one speaker"
        if self.carriers is not None and self.carriers < 2:
            return f"one {self.clusters if self.clusters != 'mixed' else 'speaker'} with this class"
        if all(one.n < 2 for one in self.without):
            return "one clip"
        return None


def _squares(values: np.ndarray) -> float:
    """Sum of squared deviations of what is defined."""
    known = values[~np.isnan(values)]
    return float(((known - known.mean()) ** 2).sum()) if len(known) else 0.0


def combined(function: Callable[..., np.ndarray], *statistics: Estimate) -> Estimate:
    """A function of several statistics, over the same draws where they share strata. Works on
    arrays, element by element.

    >>> one = Estimate(0.5, np.array([0.4, 0.6]), {Stratum("eng_eld/tess", 2, "speaker", False,
    ...     9): np.array([0.4, 0.6])})
    >>> combined(np.subtract, one, one).standard_error
    0.0
    """
    strata = dict.fromkeys(stratum for one in statistics for stratum in one.without)
    carriers = [one.carriers for one in statistics if one.carriers is not None]
    return Estimate(
        estimate=float(function(*(np.float64(one.estimate) for one in statistics))),
        replicates=function(*(one.replicates for one in statistics)),
        without={
            stratum: function(
                *(one.without.get(stratum, np.full(stratum.n, one.estimate)) for one in statistics)
            )
            for stratum in strata
        },
        carriers=min(carriers) if carriers else None,
        decisions=max(one.decisions for one in statistics),
    )


def mean_known(*values: np.ndarray) -> np.ndarray:
    """Mean of those that are defined, element by element.

    >>> mean_known(np.array([0.5, np.nan]), np.array([1.0, 1.0])).tolist()
    [0.75, 1.0]
    """
    found = np.stack(values)
    known = ~np.isnan(found)
    n_known = known.sum(axis=0)
    return np.where(
        n_known > 0, np.where(known, found, 0).sum(axis=0) / np.maximum(n_known, 1), np.nan
    )
