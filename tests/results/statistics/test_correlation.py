"""Rank correlation over settings: SciPy's own, and that what makes a test cell easy is no
evidence."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from bimotion.results.statistics.correlation import correlation


def test_rho_is_scipys_with_ties():
    first, second = np.random.default_rng(0).integers(0, 5, (2, 30))
    row = correlation(first, second, ["a"] * 30)
    assert row.rho == pytest.approx(spearmanr(first, second).statistic, abs=1e-4)
    assert correlation(first, second, ["a"] * 30) == row


def test_one_cell_shuffles_freely():
    row = correlation(range(12), range(12), ["a"] * 12)
    assert (row.rho, row.n, row.n_cells) == (1.0, 12, 1)
    assert row.p == pytest.approx(2 / 10_000, abs=1e-4)
    assert row.low == pytest.approx(-row.high, abs=0.05)


def test_what_differs_between_only_is_no_evidence():
    """Two cells, one easy and well covered, the other neither; within them nothing goes with
    anything."""
    rng = np.random.default_rng(1)
    cells = ["easy"] * 15 + ["hard"] * 15
    shift = np.repeat([10.0, 0.0], 15)
    row = correlation(shift + rng.normal(size=30), shift + rng.normal(size=30), cells)
    assert row.rho > 0.6
    assert row.low < row.rho < row.high
    assert row.p > 0.05


def test_a_fact_that_differs_between_only_cannot_be_shuffled():
    """One distance a test cell: whatever goes with it, no shuffle within cells could say that it is
    chance."""
    row = correlation([3, 1, 2, 9, 8, 7], [0.2, 0.2, 0.2, 0.4, 0.4, 0.4], ["deu"] * 3 + ["urd"] * 3)
    assert row.rho is None
    assert row.reason == "the same in all settings of each test cell"


def test_p_is_uniform_without_a_relation():
    rng = np.random.default_rng(2)
    cells = ["a"] * 6 + ["b"] * 6
    values = [
        correlation(rng.normal(size=12), rng.normal(size=12), cells, seed=number).p
        for number in range(200)
    ]
    assert 0.02 <= np.mean(np.array(values) <= 0.05) <= 0.09  # 200 trials: 5 % give or take 1.5


def test_the_same_seed_gives_the_same_numbers():
    gains, distances = np.random.default_rng(3).normal(size=(2, 10))
    assert correlation(gains, distances, ["a"] * 10) == correlation(gains, distances, ["a"] * 10)


@pytest.mark.parametrize(("n", "reason"), [(3, "3 settings: needs 4"), (0, "0 settings: needs 4")])
def test_too_few_settings_are_told(n, reason):
    assert correlation(range(n), range(n), ["a"] * n).reason == reason
