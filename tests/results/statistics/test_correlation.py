"""Rank correlation over settings: SciPy's own, and that what makes a test cell easy is no
evidence."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from bimotion.results.statistics.correlation import correlation


def test_rho_is_scipys_with_ties():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, 30), rng.integers(0, 5, 30)
    assert correlation(one, other, ["a"] * 30).rho == pytest.approx(
        spearmanr(one, other).statistic, abs=1e-4
    )


def test_one_cell_shuffles_freely():
    found = correlation(range(12), range(12), ["a"] * 12)
    assert (found.rho, found.n, found.n_cells) == (1.0, 12, 1)
    assert found.p == pytest.approx(2 / 10_000, abs=1e-4)
    assert found.low == pytest.approx(-found.high, abs=0.05)


def test_what_differs_between_cells_alone_is_no_evidence():
    """Two cells, one easy and well covered, the other neither; within them nothing goes with
    anything."""
    rng = np.random.default_rng(1)
    cells = ["easy"] * 15 + ["hard"] * 15
    shift = np.repeat([10.0, 0.0], 15)
    found = correlation(shift + rng.normal(size=30), shift + rng.normal(size=30), cells)
    assert found.rho > 0.6
    assert found.low < found.rho < found.high
    assert found.p > 0.05


def test_a_fact_that_differs_between_cells_alone_cannot_be_shuffled():
    """One distance a test cell: whatever goes with it, no shuffle within cells could say that it is
    chance."""
    found = correlation(
        [3, 1, 2, 9, 8, 7], [0.2, 0.2, 0.2, 0.4, 0.4, 0.4], ["deu"] * 3 + ["urd"] * 3
    )
    assert found.rho is None
    assert found.reason == "the same in all settings of each test cell"


def test_p_is_uniform_without_a_relation():
    rng = np.random.default_rng(2)
    cells = ["a"] * 6 + ["b"] * 6
    values = [
        correlation(rng.normal(size=12), rng.normal(size=12), cells, seed=number).p
        for number in range(200)
    ]
    assert 0.02 <= np.mean(np.array(values) <= 0.05) <= 0.09  # 200 trials: 5 % give or take 1.5


def test_the_same_seed_gives_the_same_numbers():
    one, other = np.random.default_rng(3).normal(size=(2, 10))
    assert correlation(one, other, ["a"] * 10) == correlation(one, other, ["a"] * 10)


@pytest.mark.parametrize(("n", "reason"), [(3, "3 settings: needs 4"), (0, "0 settings: needs 4")])
def test_too_few_settings_are_told(n, reason):
    assert correlation(range(n), range(n), ["a"] * n).reason == reason
