"""Coverage numbers: by hand, against the definitions written out literally, and what must hold for
any clips."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimotion.analysis.feature_space import coverage as module
from bimotion.analysis.feature_space.coverage import coverage, covered, expected


def literal(train, test, k, n_drawn):
    """The definitions of Kynkäänniemi et al. 2019 and Naeem et al. 2020, one clip at a time; draws
    all tried."""

    def reach(number, points):
        distances = [math.dist(points[number], p) for n, p in enumerate(points) if n != number]
        return sorted(distances)[k - 1]

    balls = [
        {j for j, clip in enumerate(train) if math.dist(clip, center) <= reach(i, test)}
        for i, center in enumerate(test)
    ]
    recalled = [
        any(math.dist(clip, point) <= reach(j, train) for j, clip in enumerate(train))
        for point in test
    ]
    draws = list(itertools.combinations(range(len(train)), n_drawn))
    met = sum(bool(ball & set(draw)) for draw in draws for ball in balls)
    return {
        "coverage": sum(map(bool, balls)) / len(test),
        "density": sum(map(len, balls)) / (k * len(train)),
        "precision": len(set().union(*balls)) / len(train),
        "recall": sum(recalled) / len(test),
        "drawn_coverage": met / len(draws) / len(test),
    }


# whole numbers: copies and ties happen, and literal distances are exact
points = st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=4, max_size=7)


@settings(max_examples=40, deadline=None)
@given(points, points, st.integers(1, 3), st.integers(1, 4), st.sampled_from([0.0, 1000.0]))
def test_the_numbers_are_the_definitions(train, test, k, n_drawn, away):
    measured = coverage(np.array(train) + away, np.array(test) + away, k, n_drawn)
    for name, value in literal(train, test, k, n_drawn).items():
        assert getattr(measured, name) == pytest.approx(value, abs=1e-12), name
    share = covered(np.array(train), np.array(test), k).mean()
    assert share == pytest.approx(measured.coverage)


def test_by_hand():
    """On a line, k = 1: test clips at 0 and 2 reach 2 far, the one at 10 reaches 8 far, to 2."""
    train, test = np.array([[1.0], [1.5], [-9]]), np.array([[0.0], [2], [10]])
    measured = coverage(train, test, k=1, n_drawn=1)
    # 10 reaches down to 2; nobody reaches -9
    assert (measured.coverage, measured.precision) == (2 / 3, 2 / 3)
    assert measured.density == 4 / 3  # 1 and 1.5 in two balls each
    # balls of half around 1 and 1.5, and of 10 around -9, which holds 0
    assert measured.recall == 2 / 3
    assert measured.drawn_coverage == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_more_training_clips_never_cover_less_and_only_shape_counts(seed):
    rng = np.random.default_rng(seed)
    train, test = rng.normal(size=(20, 3)), rng.normal(size=(15, 3)) + 1
    whole = coverage(train, test)
    assert coverage(train[:10], test).coverage <= whole.coverage
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = coverage(7 * train @ turn + 5, 7 * test @ turn + 5)
    for name in ("coverage", "recall", "density"):
        assert getattr(moved, name) == getattr(whole, name)
    with pytest.MonkeyPatch.context() as patch:  # in blocks of seven rows
        patch.setattr(module, "_BLOCK_BYTES", 8 * 20 * 7)
        assert coverage(train, test) == whole


@pytest.mark.parametrize(("n_train", "n_test"), [(40, 60), (60, 40), (15, 80)])
def test_of_one_distribution_coverage_is_the_expected_one(n_train, n_test):
    rng = np.random.default_rng(1)
    sizes = ((n_train, 3), (n_test, 3))
    drawn = [coverage(*(rng.exponential(size=size) for size in sizes)) for _ in range(200)]
    values = [measured.coverage for measured in drawn]
    error = 4 * np.std(values) / len(values) ** 0.5
    assert np.mean(values) == pytest.approx(expected(n_train, n_test), abs=error)
    of_draws = np.mean([measured.drawn_coverage for measured in drawn])
    assert of_draws == pytest.approx(drawn[0].drawn_expected, abs=error)


def test_the_ends_of_the_scale_and_too_few_clips():
    clips = np.random.default_rng(2).normal(size=(20, 5))
    same, far = coverage(clips, clips), coverage(clips + 100, clips)
    assert (same.coverage, same.precision, same.recall) == (1, 1, 1)
    assert (far.coverage, far.precision, far.recall, far.density) == (0, 0, 0, 0)
    few_test, few_train = coverage(clips, clips[:5]), coverage(clips[:5], clips)
    assert (few_test.coverage, few_test.reason) == (None, "5 test clips: needs 6")
    assert few_train.coverage is not None
    assert few_train.recall is None
    assert few_train.reason == "no recall: 5 training clips, needs 6"
    none = coverage(clips[:0], clips)
    assert (none.coverage, none.reason) == (0.0, "no training clips")
    assert not covered(clips, clips[:5]).any()
