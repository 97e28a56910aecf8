"""A number computed from clips, and by how much each of them moves it.

Functions of several numbers are combined by their gradient, so that whatever is compared is
compared on the same clips of the same speakers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bimotion.results.statistics.counts import Stratum, ratio
from bimotion.results.statistics.interval import Interval
from bimotion.results.statistics.spread import Likeness, Spread, Squares

STEP = 1e-6
"""Of the numerical gradient of functions of scores, which are in [0, 1]."""


@dataclass(frozen=True)
class Estimate:
    """A number and how it moves with its clips and seeds."""

    estimate: float
    """Of the test set as it is; nan: undefined."""
    influence: dict[Stratum, np.ndarray]
    """Stratum -> what each of its clips (or seeds) adds to the number, shape (n_clips,)."""
    carriers: int | None = None
    """Speakers with a clip that counts, where that is not all of them."""
    decisions: int = 1
    """Yes-or-no decisions a clip: the number of classes in the multi-label form."""

    @cached_property
    def spread(self) -> Spread:
        """The spread of it: its standard error, intervals and p-value."""
        squares = [Squares.of(stratum, values) for stratum, values in self.influence.items()]
        return Spread(self.estimate, squares, self.carriers, self.decisions)

    @property
    def in_single_precision(self) -> "Estimate":
        """The same as it is kept on disk: a board that is made again has the same ranks."""
        influence = {name: values.astype(np.float32) for name, values in self.influence.items()}
        return replace(self, influence=influence)

    def interval(self) -> Interval:
        """The same as Spread.interval, with the likeness of its own strata."""
        return self.spread.interval()

    def difference_interval(self) -> Interval:
        """The same as Spread.difference_interval."""
        return self.spread.difference_interval()


def pooled_likeness(spreads: Sequence[Spread]) -> Likeness:
    """The likeness of one speaker's clips over several numbers of one kind, such as a metric in all
    settings of a run."""
    return sum((spread.own_likeness for spread in spreads), Likeness())


def combined(function: Callable[..., np.ndarray], *estimates: Estimate) -> Estimate:
    """A function of several estimates. It works on arrays, element by element.

    >>> half = Estimate(0.5, {Stratum("eng_eld/crema_d", (2, 2)): np.array([0.1, 0.0, -0.1, 0.0])})
    >>> combined(np.subtract, half, half).spread.p_value()
    1.0
    """
    values = np.array([estimate.estimate for estimate in estimates])
    moved = values[:, None] + STEP * np.hstack([np.eye(len(values)), -np.eye(len(values))])
    with np.errstate(invalid="ignore", divide="ignore"):
        up, down = np.split(np.asarray(function(*moved), float), 2)
        number = float(function(*values[:, None])[0])
    # rounded, so that what is equal cancels
    gradient = np.nan_to_num(np.round((up - down) / (2 * STEP), 9))
    influence: dict[Stratum, np.ndarray] = {}
    for estimate, slope in zip(estimates, gradient.tolist(), strict=True):
        for stratum, values_of in estimate.influence.items():
            change = slope * values_of
            influence[stratum] = influence[stratum] + change if stratum in influence else change
    carriers = [estimate.carriers for estimate in estimates if estimate.carriers is not None]
    return Estimate(
        estimate=number,
        influence=influence,
        carriers=min(carriers, default=None),
        decisions=min(estimate.decisions for estimate in estimates),
    )


def over_seeds(seeds: Sequence[int], estimates: Sequence[Estimate]) -> Estimate:
    """The mean over seeds of those that are defined, whose variance over seeds is a stratum of its
    own: two models with the same seeds are compared in pairs."""
    mean = combined(mean_known, *estimates)
    values = np.array([estimate.estimate for estimate in estimates])
    known = ~np.isnan(values)
    if known.sum() < 2:
        return mean
    stratum = Stratum.of_seeds(
        [seed for seed, is_known in zip(seeds, known, strict=True) if is_known]
    )
    influence = mean.influence | {stratum: (values[known] - mean.estimate) / known.sum()}
    return Estimate(mean.estimate, influence, mean.carriers, mean.decisions)


def mean_known(*values: np.ndarray) -> np.ndarray:
    """Mean of those that are defined, element by element.

    >>> mean_known(np.array([0.5, np.nan]), np.array([1.0, 1.0])).tolist()
    [0.75, 1.0]
    """
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    return ratio(np.where(known, stacked, 0).sum(axis=0), known.sum(axis=0))
