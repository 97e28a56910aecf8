"""How well training clips cover test clips in a feature space: numbers for what arXiv 2306.14517
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

from collections.abc import Iterator
from dataclasses import dataclass

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
    """Of test clips by training clips, each number in [0, 1] (density: from 0).

    n_train, n_test   clips; k: nearest neighbours
    expected          coverage to be expected if both were drawn from one distribution, whichever it
                      is
    n_drawn, drawn_coverage, drawn_expected   the same by so many of the training clips
    reason            why numbers are null: too few clips for a k-th neighbour
    """

    n_train: int
    n_test: int
    k: int
    coverage: float | None = None
    expected: float | None = None
    density: float | None = None
    precision: float | None = None
    recall: float | None = None
    n_drawn: int = 0
    drawn_coverage: float | None = None
    drawn_expected: float | None = None
    reason: str | None = None


def coverage(
    train: np.ndarray, test: np.ndarray, k: int = K, n_drawn: int | None = None
) -> Coverage:
    """Of features, shapes (n_train, dim) and (n_test, dim). `n_drawn`: at most n_train; None: the
    smaller of both numbers.

    >>> train, test = np.array([[0.0], [1], [2]]), np.array([[0.5], [1.5], [9]])
    >>> found = coverage(train, test, k=1)
    >>> found.coverage, found.recall, found.precision, round(found.density, 2)
    (1.0, 0.6666666666666666, 1.0, 1.67)
    """
    n_train, n_test = len(train), len(test)
    if n_test <= k:
        return Coverage(n_train, n_test, k, reason=f"{n_test} test clips: needs {k + 1}")
    n_drawn = min(n_train, n_test) if n_drawn is None else n_drawn
    if not n_train:
        return Coverage(n_train, n_test, k, 0.0, 0.0, reason="no training clips")
    train, test = _centred(train, test)
    slack = _slack(train, test)
    reach = _reach(test, k) + slack
    reach_train = _reach(train, k) + slack if n_train > k else None
    held, recalled, precise = np.zeros(n_test, int), np.zeros(n_test, bool), np.zeros(n_train, bool)
    for rows, squares in _squares(test, train):
        inside = squares <= reach[rows, None]
        held[rows] = inside.sum(axis=1)
        precise |= inside.any(axis=0)
        if reach_train is not None:
            recalled[rows] = (squares <= reach_train).any(axis=1)
    recall = None if reach_train is None else float(recalled.mean())
    return Coverage(
        n_train,
        n_test,
        k,
        float((held > 0).mean()),
        expected(n_train, n_test, k),
        float(held.sum() / (k * n_train)),
        float(precise.mean()),
        recall,
        n_drawn,
        float(_met(held, n_train, n_drawn).mean()),
        expected(n_drawn, n_test, k),
        f"no recall: {n_train} training clips, needs {k + 1}" if recall is None else None,
    )


def covered(train: np.ndarray, test: np.ndarray, k: int = K) -> np.ndarray:
    """Whether the ball of each test clip holds a training clip: bool, shape (n_test,); all False
    with fewer than k + 1 of them.

    >>> covered(np.array([[0.0]]), np.array([[0.0], [1], [5], [6]]), k=1).tolist()
    [True, True, False, False]
    """
    found = np.zeros(len(test), bool)
    if len(test) <= k or not len(train):
        return found
    train, test = _centred(train, test)
    reach = _reach(test, k) + _slack(train, test)
    for rows, squares in _squares(test, train):
        found[rows] = (squares <= reach[rows, None]).any(axis=1)
    return found


def expected(n_train: int, n_test: int, k: int = K) -> float:
    """Mean coverage where training and test clips are drawn from one distribution (Naeem et al.
    2020, lemma 2).

    Rises with the number of training clips, and with nothing else: read a coverage beside it.

    >>> round(expected(10_000, 10_000), 3), round(expected(100, 10_000), 3)
    (0.969, 0.049)
    """
    places = np.arange(1, k + 1)
    return float(1 - np.prod((n_test - places) / (n_train + n_test - places)))


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


def _squares(ones: np.ndarray, others: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances of some `ones` at a time to all `others`."""
    lengths, other_lengths = np.square(ones).sum(axis=1), np.square(others).sum(axis=1)
    size = max(1, _BLOCK_BYTES // (8 * len(others)))
    for start in range(0, len(ones), size):
        rows = slice(start, min(start + size, len(ones)))
        yield rows, lengths[rows, None] + other_lengths - 2 * ones[rows] @ others.T


def _reach(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each point to its k-th nearest neighbour, itself not counted."""
    found = np.empty(len(points))
    for rows, squares in _squares(points, points):
        found[rows] = np.partition(squares, k, axis=1)[:, k]  # place 0 is the point itself
    return found
