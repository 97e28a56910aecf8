"""What is said of methods under the six known shifts, on three draws of each; twenty draws, with
standard errors, by `python benchmarks/adaptation.py shifts`."""

from functools import cache

import numpy as np
import pytest

from bimotion.adaptation import METHODS
from bimotion.adaptation.label_shift import Clusters
from bimotion.adaptation.method import transductive
from tests.support.domain_shifts import shifted

REPLICATES = range(3)


@pytest.fixture(scope="module")
def score():
    """Mean UAR, %, of a method under a shift."""
    drawn = cache(shifted)

    @cache
    def mean(name, shift):
        cases = [drawn(shift, replicate) for replicate in REPLICATES]
        return float(
            np.mean([c.uar(transductive(METHODS[name], c.source, c.target, seed=0)) for c in cases])
        )

    return mean


@pytest.mark.parametrize(
    ("name", "shift", "without", "gain"),
    [
        # no control begins more than a point below source-only where nothing has shifted
        ("none-network", "no shift", "none", -1),
        ("corpus-norm-em-network", "no shift", "none", -1),
        ("corpus-norm-em", "no shift", "none", -1),
        # other class shares cost corpus normalisation most of its use, and its repaired form little
        ("corpus-norm-em", "mean + scale + priors", "corpus-norm", 3),
        ("corpus-norm-em", "priors only", "corpus-norm", 3),
        ("corpus-norm-em", "mean + scale", "none", 3),
        # the reconstruction earns its place: on shifts, and without one it does no harm
        ("nnpm-h", "no shift", "none", -1),
        ("nnpm-h", "mean + scale", "none", 3),
        ("nnpm-h", "mean + scale + priors", "corpus-norm", 3),
        ("nnpm-h", "priors only", "none", -2),
        ("nnpm-c", "no shift", "none", -1),
        ("nnpm-c", "mean + scale", "none", 3),
    ],
)
def test_gains(score, name, shift, without, gain):
    assert score(name, shift) > score(without, shift) + gain


CENTROIDS, OFFSET = 3 * np.eye(3) - 1, np.array([0.5, -0.2, -0.3])


def points(shares, spread, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, 2000, p=shares)
    noise = spread * rng.normal(size=(2000, 3))
    return CENTROIDS[labels] + noise - noise.mean(axis=1, keepdims=True) + OFFSET, labels


def test_weights_give_a_target_the_shares_of_the_source():
    clusters = Clusters(CENTROIDS, 0.25, np.array([0.5, 0.3, 0.2]))
    drawn, labels = points([0.1, 0.2, 0.7], 0.5)
    weights = clusters.weights(drawn)
    shares = np.bincount(labels, weights) / weights.sum()
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_weights_are_equal_where_classes_do_not_stand_apart():
    clusters = Clusters(CENTROIDS, 1.0, np.array([0.5, 0.3, 0.2]))
    drawn = np.random.default_rng(0).normal(size=(500, 3))
    drawn -= drawn.mean(axis=1, keepdims=True)
    assert clusters.weights(drawn) == pytest.approx(1, abs=0.05)
