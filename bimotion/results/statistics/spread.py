"""From how a number moves with each clip to its standard error, its 95 % interval and its p-value:
one model of speakers for both.

To first order a number is a sum of what each clip adds (its influence, by the gradient of the
metric: Binder, International Statistical Review 51 (1983) 279). Three parts make its variance:

- Known speakers, at least two: n / (n - 1) times the squared sums of each speaker's clips, n - 1
  degrees of freedom.
- Speakers who are unknown, or one: the clips' variance times a design effect, 1 + (m - 1) r (Kish
  1965), of m clips for each of a stated number of latent speakers (latent.py), or of one. r is the
  correlation within speakers of this very influence, by analysis of variance (Ridout et al.,
  Biometrics 55 (1999) 137), over the corpora of known speakers of the same run.
- Seeds: their variance over their number.

Degrees of freedom are Satterthwaite's (Biometrics Bulletin 2 (1946) 110). A difference has the
interval estimate -+ t SE and the p-value of the same t, so that p < 0.05 exactly where the interval
leaves 0 out. A metric in [0, 1] has Wilson's shape (for such samples: Dean and Pagano, J. Survey
Statistics and Methodology 3 (2015) 484) at the effective number of clips p (1 - p) / SE^2 (Korn and
Graubard, Survey Methodology 24 (1998) 193). Neither is narrower than as many independent clips
give: speakers who happen to agree prove little. At 0 and 1, where nothing varies, as many clips
count as there are known speakers, or clips over the design effect.

Coverage and type I error: docs/statistics.md, by benchmarks/coverage.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit

from bimotion.results.statistics.counts import Stratum
from bimotion.results.statistics.interval import Band, Interval
from bimotion.results.statistics.latent import CORRELATIONS, UNEQUAL

NORMAL = 1.959963984540054
"""97.5 % point of the normal distribution."""
NUMBERS = ("stated", "few", "many")
"""Of latent speakers."""
ON_THESE_CLIPS = "on these clips"
"""All that can be said where speakers are unknown, or one."""


@dataclass(frozen=True)
class Squares:
    """Sums of squares of the influences in one stratum, less their mean: numbers, or arrays of many
    estimates."""

    stratum: Stratum
    speakers: np.ndarray
    """Of each known speaker's sum, where there are several."""
    between: np.ndarray
    """The same, each over the speaker's clips."""
    apart: np.ndarray
    """Of each of these speakers' clips."""
    loose: np.ndarray
    """Of all other clips: their speakers are unknown, or one."""

    @classmethod
    def of(
        cls,
        stratum: Stratum,
        influence: np.ndarray,
        square: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> "Squares":
        """Sums of squares of influences.

        Args:
            influence: Shape (..., n_clips).
            square: From an array (..., n) to what replaces its sum of squares.
        """
        centred = np.asarray(influence, float)
        centred = centred - centred.mean(axis=-1, keepdims=True)
        n_apart = stratum.n_apart
        speakers = np.zeros((*influence.shape[:-1], 1))
        sizes = np.ones(1)
        if n_apart:
            sizes = np.array(stratum.sizes, float)
            starts = np.cumsum((0, *stratum.sizes[:-1]))
            speakers = np.add.reduceat(centred[..., :n_apart], starts, axis=-1)
        over_sizes = speakers / np.sqrt(sizes)
        sums = [speakers, over_sizes, centred[..., :n_apart], centred[..., n_apart:]]
        return cls(stratum, *map(square or _sum_of_squares, sums))

    @property
    def clips(self) -> np.ndarray:
        """The sum over all clips, as if each were another speaker's."""
        return self.apart + self.loose


def _sum_of_squares(values: np.ndarray) -> float:
    return float((values**2).sum())


@dataclass(frozen=True)
class Likeness:
    """The likeness of one speaker's clips: an analysis of variance over known speakers."""

    between: np.ndarray | float = 0.0
    """Sum of squares between speakers, over the mean square of all clips."""
    within: np.ndarray | float = 0.0
    """Sum of squares within them, over the same."""
    spread: float = 0.0
    """Of clips over speakers: clips less the mean size."""
    degrees_within: int = 0
    """Clips less speakers."""
    degrees_between: int = 0
    """Speakers less strata."""
    strata: frozenset[Stratum] = frozenset()
    """Those that were seen."""

    @classmethod
    def of(cls, squares: Sequence[Squares]) -> "Likeness":
        """The likeness in one estimate."""
        total = cls()
        for part in squares:
            stratum, n_apart, n = part.stratum, part.stratum.n_apart, len(part.stratum.sizes)
            if stratum.is_seeds or not n_apart > n:
                continue
            whole = part.apart / (n_apart - 1)
            scale = np.where(whole > 0, 1 / np.where(whole > 0, whole, 1), 0)
            spread = n_apart - sum(size**2 for size in stratum.sizes) / n_apart
            total += cls(
                between=part.between * scale,
                within=np.maximum(part.apart - part.between, 0) * scale,
                spread=spread,
                degrees_within=n_apart - n,
                degrees_between=n - 1,
                strata=frozenset([stratum]),
            )
        return total

    def __add__(self, other: "Likeness") -> "Likeness":
        names = ("between", "within", "spread", "degrees_within", "degrees_between")
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Likeness(**sums, strata=self.strata | other.strata)

    @property
    def is_seen(self) -> bool:
        """Some speakers are known; otherwise the correlation is stated."""
        return bool(self.strata)

    def correlation(self, number: str = "stated") -> np.ndarray | float:
        """Intraclass correlation of a speaker's clips, in [0, 1); where none is seen, the stated
        one."""
        if not self.is_seen:
            return CORRELATIONS[number]
        size = self.spread / self.degrees_between
        between, within = self.between / self.degrees_between, self.within / self.degrees_within
        total = between + (size - 1) * within
        known = np.where(total > 0, (between - within) / np.where(total > 0, total, 1), 0)
        return np.clip(known, 0, 0.99)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the correlation: of each stratum once, however often it was
        tested."""
        return sum(len(stratum.sizes) - 1 for stratum in self.strata) or np.inf


def design_effect(
    stratum: Stratum, correlation: np.ndarray | float, number: str
) -> np.ndarray | float:
    """The factor by which clips of unknown speakers, or of one, vary more than independent ones."""
    n_others = stratum.n_clips - stratum.n_apart
    size = n_others / stratum.n_latent(number) * (UNEQUAL if stratum.n_unknown else 1)
    return 1 + (size - 1) * correlation


def variance_of(
    squares: Sequence[Squares], likeness: Likeness, number: str = "stated"
) -> tuple[np.ndarray, np.ndarray]:
    """Variance and degrees of freedom, with the `few`, `stated` or `many` latent speakers."""
    correlation = likeness.correlation(number)
    parts: list[tuple[np.ndarray, float]] = []
    for part in squares:
        stratum, n = part.stratum, len(part.stratum.sizes)
        if n > 1:
            parts.append((n / (n - 1) * part.speakers, n - 1))
        if stratum.n_clips > stratum.n_apart:
            effect = design_effect(stratum, correlation, number)
            parts.append((part.loose * effect, likeness.freedom))
    total = sum(variance for variance, _ in parts)
    spent = sum(variance**2 / degrees for variance, degrees in parts)
    # where nothing varies all parts count alike
    shares = sum(1 / degrees for _, degrees in parts)
    alike = len(parts) ** 2 / shares if shares else np.inf
    varies = total > 0
    freedom = total**2 / np.where(spent > 0, spent, 1)
    freedom = np.where(varies & (spent == 0), np.inf, np.where(varies, freedom, alike))
    return total, np.maximum(1.0, freedom)


def p_values(
    differences: np.ndarray, squares: Sequence[Squares], likeness: Likeness, carriers: int | None
) -> np.ndarray:
    """Two-sided p-values of differences being 0, of one or of many at once."""
    variance, freedom = variance_of(squares, likeness)
    if carriers is not None:
        freedom = np.minimum(freedom, max(1, carriers - 1))
    error, least, size = np.sqrt(variance), least_error(squares), np.abs(differences)
    by_speaker = 2 * stdtr(freedom, -size / np.where(error > 0, error, 1))
    return np.maximum(np.where(error > 0, by_speaker, 0.0), 2 * ndtr(-size / least))


def least_error(squares: Sequence[Squares]) -> np.ndarray:
    """The least standard error of a difference: that of independent clips, and of one clip in which
    the models differ by chance (half a clip added to either side: Agresti and Min, Statistics in
    Medicine 24 (2005) 729)."""
    parts = [part for part in squares if not part.stratum.is_seeds]
    n_clips = sum(part.stratum.n_clips for part in parts)
    return np.sqrt(np.maximum(sum(part.clips for part in parts), 3 / (n_clips + 2) ** 2))


@dataclass(frozen=True)
class Spread:
    """A number, and how much it moves with speakers and seeds."""

    estimate: float
    """nan: undefined."""
    squares: list[Squares]
    """A row a stratum."""
    carriers: int | None = None
    """Speakers with a clip that counts, where that is not all of them."""
    decisions: int = 1
    """Yes-or-no decisions a clip: the number of classes in the multi-label form."""
    likeness: Likeness | None = None
    """Carried over from the run; None: that of its own strata."""

    @cached_property
    def own_likeness(self) -> Likeness:
        """The likeness in its own strata."""
        return Likeness.of(self.squares)

    def with_likeness(self, likeness: Likeness) -> "Spread":
        """The same, with the likeness of the clips of a whole run."""
        return replace(self, likeness=likeness)

    @property
    def _carried(self) -> Likeness:
        return self.own_likeness if self.likeness is None else self.likeness

    @property
    def strata(self) -> list[Stratum]:
        """Those of clips."""
        return [part.stratum for part in self.squares if not part.stratum.is_seeds]

    @property
    def on_these_clips(self) -> bool:
        """Some speakers are unknown, or one: nothing is proved of other speakers."""
        return any(stratum.n_apart < stratum.n_clips for stratum in self.strata)

    @property
    def n_clusters(self) -> int:
        """Speakers, known or stated."""
        return sum(stratum.n_speakers for stratum in self.strata)

    @property
    def clusters(self) -> str:
        """`speaker`, `latent` or `mixed`."""
        kinds = {stratum.clusters for stratum in self.strata}
        return kinds.pop() if len(kinds) == 1 else "mixed"

    def _error(self, number: str) -> tuple[float, float]:
        """Standard error, and quantile of Student's t."""
        variance, freedom = variance_of(self.squares, self._carried, number)
        if self.carriers is not None:
            freedom = min(freedom, max(1, self.carriers - 1))
        return float(np.sqrt(variance)), float(stdtrit(freedom, 0.975))

    def p_value(self) -> float:
        """Two-sided, of a difference being 0: below 0.05 exactly where its interval leaves 0
        out."""
        return float(p_values(self.estimate, self.squares, self._carried, self.carriers))

    def interval(self) -> Interval:
        """The interval of a metric in [0, 1]: inside [0, 1], around the estimate, never a point."""
        return self._interval(self._score_bounds)

    def difference_interval(self) -> Interval:
        """The interval of a difference of two metrics: estimate -+ t SE, inside [-1, 1]."""

        def bounds(number: str) -> tuple[float, float]:
            reach = self._reach(number)
            return max(-1.0, self.estimate - reach), min(1.0, self.estimate + reach)

        return self._interval(bounds)

    def ratio_interval(self) -> Interval:
        """The interval of a ratio of two metrics whose logarithm this is."""

        def bounds(number: str) -> tuple[float, float]:
            reach = self._reach(number)
            return float(np.exp(self.estimate - reach)), float(np.exp(self.estimate + reach))

        interval = self._interval(bounds)
        if interval.value is None:
            return interval
        return replace(interval, value=float(np.exp(interval.value)))

    def _reach(self, number: str) -> float:
        """Half the width of an interval by Student's t, with `number` of latent speakers."""
        error, quantile = self._error(number)
        return max(error * quantile, NORMAL * float(least_error(self.squares)))

    def _score_bounds(self, number: str) -> tuple[float, float]:
        (error, quantile), p, strata = self._error(number), self.estimate, self.strata
        if min(p, 1 - p) < 1e-12:
            n_alike = len(strata) ** 2 / sum(1 / self._effective(part, number) for part in strata)
            weight = quantile**2 / (self.carriers or n_alike)
        else:
            n_decisions = self.decisions * sum(stratum.n_clips for stratum in strata)
            weight = max((quantile * error) ** 2 / (p * (1 - p)), NORMAL**2 / n_decisions)
        middle = (p + weight / 2) / (1 + weight)
        half = np.sqrt(weight * p * (1 - p) + weight**2 / 4) / (1 + weight)
        return max(0.0, min(p, float(middle - half))), min(1.0, max(p, float(middle + half)))

    def _effective(self, stratum: Stratum, number: str) -> float:
        """Known speakers, where there are several, and the effective number of the other clips."""
        n_known, n_others = len(stratum.sizes), stratum.n_clips - stratum.n_apart
        if not n_others:
            return n_known
        n_effective = n_others / design_effect(stratum, self._carried.correlation(number), number)
        return float(n_effective) + (n_known if n_known > 1 else 0)

    def _interval(self, bounds: Callable[[str], tuple[float, float]]) -> Interval:
        people = (self.clusters, self.n_clusters)
        if reason := self._not_estimable():
            value = None if np.isnan(self.estimate) else self.estimate
            return Interval(value, None, None, None, *people, reason)
        ends = {number: bounds(number) for number in NUMBERS}
        error, _ = self._error("stated")
        rests_on = self._rests_on(ends) if self.on_these_clips else (None, None)
        return Interval(self.estimate, *ends["stated"], error, *people, *rests_on)

    def _rests_on(self, ends: dict[str, tuple[float, float]]) -> tuple[str, Band | None]:
        """The assumptions on speakers, and the interval by each of them."""
        alone = [stratum.name for stratum in self.strata if stratum.one_speaker]
        unknown = [stratum for stratum in self.strata if stratum.n_unknown]
        reasons = [f"{name}: one speaker" for name in alone]
        reasons += [f"{stratum.name}: latent speakers" for stratum in unknown]
        if not self._carried.is_seen:
            reasons.append(
                "no speakers are known in this run: clips of one speaker are taken to correlate at "
                f"{CORRELATIONS['stated']:.2f}"
            )
        if unknown:
            assumed = {
                number: ", ".join(str(stratum.n_latent(number)) for stratum in unknown)
                for number in NUMBERS
            }
        elif self._carried.is_seen:
            return "; ".join(reasons), None
        else:
            assumed = {number: f"{CORRELATIONS[number]:.2f}" for number in NUMBERS}
        return "; ".join(reasons), Band(assumed, ends)

    def _not_estimable(self) -> str | None:
        if np.isnan(self.estimate):
            return "undefined"
        if self.carriers is not None and self.carriers < 2:
            known = any(stratum.n_apart for stratum in self.strata)
            return f"one {'speaker' if known else 'clip'} with this class"
        if sum(stratum.n_clips for stratum in self.strata) < 2:
            return "one clip"
        return None
