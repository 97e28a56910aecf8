"""Coverage numbers: by hand, against the definitions written out literally, and what must hold for
any clips."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimotion.analysis.feature_space.coverage import coverage, covered, expected


def literal(train, test, k, n_drawn):
    """The definitions of Kynkäänniemi et al. 2019 and Naeem et al. 2020, one clip at a time; draws
    all tried."""

    def reach(point, place, points):
        return sorted(math.dist(point, other) for at, other in enumerate(points) if at != place)[
            k - 1
        ]

    balls = [
        [j for j, one in enumerate(train) if math.dist(one, x) <= reach(x, i, test)]
        for i, x in enumerate(test)
    ]
    draws = list(itertools.combinations(range(len(train)), n_drawn))
    recall = [
        any(math.dist(one, x) <= reach(one, j, train) for j, one in enumerate(train)) for x in test
    ]
    return {
        "coverage": sum(map(bool, balls)) / len(test),
        "density": sum(map(len, balls)) / (k * len(train)),
        "precision": len(set().union(*balls)) / len(train),
        "recall": sum(recall) / len(test),
        "drawn_coverage": sum(sum(1 for ball in balls if set(ball) & set(draw)) for draw in draws)
        / len(draws)
        / len(test),
    }


# whole numbers: copies and ties happen, and literal distances are exact
points = st.lists(st.tuples(*[st.integers(-3, 3)] * 2), min_size=4, max_size=7)


@settings(max_examples=60, deadline=None)
@given(points, points, st.integers(1, 3), st.integers(1, 4), st.sampled_from([0.0, 1000.0]))
def test_the_numbers_are_the_definitions(train, test, k, n_drawn, away):
    found = coverage(np.array(train) + away, np.array(test) + away, k, n_drawn)
    for name, value in literal(train, test, k, n_drawn).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-12), name
    assert covered(np.array(train), np.array(test), k).mean() == pytest.approx(found.coverage)


def test_by_hand():
    """On a line, k = 1: test clips at 0 and 2 reach 2 far, the one at 10 reaches 8 far, to 2."""
    train, test = np.array([[1.0], [1.5], [-9]]), np.array([[0.0], [2], [10]])
    found = coverage(train, test, k=1, n_drawn=1)
    # 10 reaches down to 2; nobody reaches -9
    assert (found.coverage, found.precision) == (2 / 3, 2 / 3)
    assert found.density == 4 / 3  # 1 and 1.5 in two balls each
    # balls of half around 1 and 1.5, and of 10 around -9, which holds 0
    assert found.recall == 2 / 3
    assert found.drawn_coverage == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_features_of_many_dimensions_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(60, 40)), rng.normal(size=(30, 40)) + 0.2
    whole = coverage(train, test)
    monkeypatch.setattr("bimotion.analysis.feature_space.coverage._BLOCK_BYTES", 8 * 60 * 7)
    assert coverage(train, test) == whole


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_more_training_clips_never_cover_less_and_shape_alone_counts(seed):
    rng = np.random.default_rng(seed)
    train, test = rng.normal(size=(20, 3)), rng.normal(size=(15, 3)) + 1
    whole = coverage(train, test)
    assert coverage(train[:10], test).coverage <= whole.coverage
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = coverage(7 * train @ turn + 5, 7 * test @ turn + 5)
    assert (moved.coverage, moved.recall, moved.density) == (
        whole.coverage,
        whole.recall,
        whole.density,
    )


@pytest.mark.parametrize(("n_train", "n_test"), [(40, 60), (60, 40), (15, 80)])
def test_of_one_distribution_coverage_is_the_expected_one(n_train, n_test):
    rng = np.random.default_rng(1)
    drawn = [
        coverage(rng.exponential(size=(n_train, 3)), rng.exponential(size=(n_test, 3)))
        for _ in range(200)
    ]
    values = [one.coverage for one in drawn]
    error = np.std(values) / len(values) ** 0.5
    assert np.mean(values) == pytest.approx(expected(n_train, n_test), abs=4 * error)
    assert np.mean([one.drawn_coverage for one in drawn]) == pytest.approx(
        drawn[0].drawn_expected, abs=4 * error
    )


def test_far_away_covers_nothing_and_itself_covers_everything():
    clips = np.random.default_rng(2).normal(size=(20, 5))
    same, far = coverage(clips, clips), coverage(clips + 100, clips)
    assert (same.coverage, same.precision, same.recall) == (1, 1, 1)
    assert (far.coverage, far.precision, far.recall, far.density) == (0, 0, 0, 0)


def test_too_few_clips_are_said():
    clips = np.random.default_rng(3).normal(size=(20, 2))
    few_test, few_train, none = (
        coverage(clips, clips[:5]),
        coverage(clips[:5], clips),
        coverage(clips[:0], clips),
    )
    assert few_test.coverage is None
    assert few_test.reason == "5 test clips: needs 6"
    assert few_train.coverage is not None
    assert few_train.recall is None
    assert few_train.reason == "no recall: 5 training clips, needs 6"
    assert (none.coverage, none.reason) == (0.0, "no training clips")
    assert not covered(clips, clips[:5]).any()
