"""Coverage of test clips by training clips in a feature space: numbers for what arXiv 2306.14517
shows in Figures 2 and 3.

After Kynkäänniemi et al. 2019 (arXiv 1904.06991, equations 1 and 2: precision, recall) and Naeem et
al. 2020 (arXiv 2002.09797, section 3: density, coverage). A clip's ball reaches to its k-th nearest
neighbour of its own set. With N test clips (there: real) and M training clips (there: generated):

recall      share of test clips in the ball of some training clip
precision   share of training clips in the ball of some test clip
density     test balls that a training clip lies in, mean, over k; may exceed 1
coverage    share of test clips whose ball holds a training clip

Balls are closed, so a clip that stands in both sets covers itself.

Coverage rises with the number of training clips, to 1 where they are many. So training sets are
compared at one size: coverage by `n_drawn` training clips, the mean over all draws of so many
(exact, no random numbers: in a ball with c of the M training clips, all of a draw miss with
probability C(M - c, n_drawn) / C(M, n_drawn)).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from bimotion.io.records import Record

K = 5
"""Nearest neighbours, as Naeem et al. choose."""
_BLOCK_BYTES = 2**26
_SLACK = 1e-12
"""Of the largest squared length: balls are wider by what rounding may do, else it parts copies of a
clip and breaks ties."""


@dataclass(frozen=True)
class Coverage(Record):
    """The coverage of test clips by training clips, each number in [0, 1] (density: from 0)."""

    n_train: int
    """Training clips; of several folds their mean, rounded."""
    n_test: int
    """Test clips."""
    k: int
    """Nearest neighbours that a ball reaches to."""
    coverage: float | None = None
    """Share of test clips whose ball holds a training clip."""
    expected: float | None = None
    """Coverage to be expected if both were drawn from one distribution, whichever it is."""
    density: float | None = None
    """Test balls that a training clip lies in, mean, over k."""
    precision: float | None = None
    """Share of training clips in the ball of some test clip."""
    recall: float | None = None
    """Share of test clips in the ball of some training clip."""
    n_drawn: int = 0
    """So many training clips are drawn for the next two numbers."""
    drawn_coverage: float | None = None
    """Coverage by `n_drawn` of the training clips, the mean over all draws."""
    drawn_expected: float | None = None
    """Coverage to be expected of `n_drawn` clips of the same distribution."""
    reason: str | None = None
    """Why numbers are null: too few clips for a k-th neighbour."""


def coverage(
    train: np.ndarray, test: np.ndarray, k: int = K, n_drawn: int | None = None
) -> Coverage:
    """Measure how training clips cover test clips.

    Args:
        train: Features, shape (n_train, dim).
        test: Features, shape (n_test, dim).
        k: Nearest neighbours.
        n_drawn: At most n_train; None: the smaller of both numbers.

    >>> train, test = np.array([[0.0], [1], [2]]), np.array([[0.5], [1.5], [9]])
    >>> measured = coverage(train, test, k=1)
    >>> measured.coverage, measured.recall, measured.precision, round(measured.density, 2)
    (1.0, 0.6666666666666666, 1.0, 1.67)
    """
    n_train, n_test = len(train), len(test)
    if n_test <= k:
        return Coverage(n_train, n_test, k, reason=f"{n_test} test clips: needs {k + 1}")
    if not n_train:
        return Coverage(n_train, n_test, k, 0.0, 0.0, reason="no training clips")
    n_drawn = min(n_train, n_test) if n_drawn is None else n_drawn
    train, test = _centred(train, test)
    slack = _slack(train, test)
    reach, has_recall = _reach(test, k) + slack, n_train > k
    reach_train = _reach(train, k) + slack if has_recall else np.full(n_train, -1.0)
    held, recalled, precise = np.zeros(n_test, int), np.zeros(n_test, bool), np.zeros(n_train, bool)
    for rows, squares in _squares(test, train):
        inside = squares <= reach[rows, None]
        held[rows] = inside.sum(axis=1)
        precise |= inside.any(axis=0)
        recalled[rows] = (squares <= reach_train).any(axis=1)
    return Coverage(
        n_train=n_train,
        n_test=n_test,
        k=k,
        coverage=float((held > 0).mean()),
        expected=expected(n_train, n_test, k),
        density=float(held.sum() / (k * n_train)),
        precision=float(precise.mean()),
        recall=float(recalled.mean()) if has_recall else None,
        n_drawn=n_drawn,
        drawn_coverage=float(_met(held, n_train, n_drawn).mean()),
        drawn_expected=expected(n_drawn, n_test, k),
        reason=None if has_recall else f"no recall: {n_train} training clips, needs {k + 1}",
    )


def pooled(folds: Sequence[Coverage]) -> Coverage:
    """The coverage of several folds, each by training clips of its own: means over all test clips
    (precision: training clips) of those that have enough.

    >>> folds = [Coverage(10, 20, 5, 0.5, 0.6), Coverage(20, 10, 5, 0.8, 0.9)]
    >>> round(pooled(folds).coverage, 2), pooled(folds).n_test, pooled(folds).n_train
    (0.6, 30, 15)
    """
    measured = [part for part in folds if part.coverage is not None]
    if len(measured) < 2:
        return (measured or folds)[0]

    def mean(name: str) -> float | None:
        weight = "n_train" if name == "precision" else "n_test"
        known = [part for part in measured if getattr(part, name) is not None]
        weights = [getattr(part, weight) for part in known]
        if not sum(weights):
            return None
        return float(np.average([getattr(part, name) for part in known], weights=weights))

    numbers = [field.name for field in fields(Coverage) if field.type == float | None]
    return replace(
        measured[0],
        n_train=round(np.mean([part.n_train for part in measured])),
        n_test=sum(part.n_test for part in measured),
        n_drawn=min(part.n_drawn for part in measured),
        reason=next((part.reason for part in folds if part.reason), None),
        **{name: mean(name) for name in numbers},
    )


def covered(train: np.ndarray, test: np.ndarray, k: int = K) -> np.ndarray:
    """The test clips whose ball holds a training clip: bool, shape (n_test,); all False with fewer
    than k + 1 of them.

    >>> covered(np.array([[0.0]]), np.array([[0.0], [1], [5], [6]]), k=1).tolist()
    [True, True, False, False]
    """
    if len(test) <= k or not len(train):
        return np.zeros(len(test), bool)
    train, test = _centred(train, test)
    reach = _reach(test, k) + _slack(train, test)
    blocks = [(squares <= reach[rows, None]).any(axis=1) for rows, squares in _squares(test, train)]
    return np.concatenate(blocks)


def expected(n_train: int, n_test: int, k: int = K) -> float:
    """Mean coverage where training and test clips are drawn from one distribution (Naeem et al.
    2020, lemma 2).

    Rises with the number of training clips, and with nothing else: read a coverage beside it.

    >>> round(expected(10_000, 10_000), 3), round(expected(100, 10_000), 3)
    (0.969, 0.049)
    """
    neighbours = np.arange(1, k + 1)
    return float(1 - np.prod((n_test - neighbours) / (n_train + n_test - neighbours)))


def _met(held: np.ndarray, n_train: int, n_drawn: int) -> np.ndarray:
    """Probability that a draw of n_drawn of n_train clips has some of the `held` ones."""
    from scipy.special import gammaln

    left = n_train - held
    missed = gammaln(left + 1) - gammaln(np.maximum(left - n_drawn, 0) + 1)
    missed -= gammaln(n_train + 1) - gammaln(n_train - n_drawn + 1)
    return 1 - np.where(left < n_drawn, 0.0, np.exp(np.where(held == 0, 0.0, missed)))


def _centred(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Float64, less their common mean: far from 0, differences of squares would lose digits."""
    train, test = np.asarray(train, np.float64), np.asarray(test, np.float64)
    middle = (train.sum(axis=0) + test.sum(axis=0)) / (len(train) + len(test))
    return train - middle, test - middle


def _slack(train: np.ndarray, test: np.ndarray) -> float:
    return _SLACK * max(float(np.square(points).sum(axis=1).max()) for points in (train, test))


def _squares(points: np.ndarray, targets: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances of some points at a time to all targets."""
    lengths, target_lengths = np.square(points).sum(axis=1), np.square(targets).sum(axis=1)
    size = max(1, _BLOCK_BYTES // (8 * len(targets)))
    for start in range(0, len(points), size):
        rows = slice(start, min(start + size, len(points)))
        yield rows, lengths[rows, None] + target_lengths - 2 * points[rows] @ targets.T


def _reach(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each point to its k-th nearest neighbour, itself not counted."""
    blocks = [  # neighbour 0 is the point itself
        np.partition(squares, k, axis=1)[:, k] for _, squares in _squares(points, points)
    ]
    return np.concatenate(blocks)
