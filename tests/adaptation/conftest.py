"""A source and a target of known shift: Gaussian classes, some features that carry none, and one
change between the domains."""

import numpy as np
import pytest

from bimotion.adaptation.coral import power
from bimotion.adaptation.method import Clips, Source
from tests.support.domain_shifts import N_CLASSES, Shifted

DIM = 16


def _clips(features, corpus, speakers):
    names = [f"{corpus}/{speaker}" for speaker in speakers]
    return Clips(features.astype(np.float32), [corpus] * len(features), names)


def _domains(shift, seed=0, n=480, n_speakers=6):
    """`shift`: none, scale (mean and scale of each feature), covariance (a mixing of features),
    shares (of the classes), speaker (an offset each), moved (each class moves its own way, less
    than half-way to another), bend (scale, and moved)."""
    rng = np.random.default_rng(seed)
    centres = np.zeros((N_CLASSES, DIM))
    centres[:, :N_CLASSES] = 2.4 * np.eye(N_CLASSES)
    centres = centres @ np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    equal = np.full(N_CLASSES, 1 / N_CLASSES)
    shares = np.array([0.7, 0.1, 0.1, 0.1]) if shift == "shares" else equal
    known, truth = rng.integers(0, N_CLASSES, n), rng.choice(N_CLASSES, n, p=shares)
    source = centres[known] + rng.normal(size=(n, DIM))
    target = centres[truth] + rng.normal(size=(n, DIM))
    speakers = rng.integers(0, n_speakers, n)
    if shift in ("moved", "bend"):
        directions = rng.normal(size=(N_CLASSES, DIM))
        target += (1.6 * directions / np.linalg.norm(directions, axis=1, keepdims=True))[truth]
    if shift in ("scale", "bend"):
        target = target * rng.uniform(0.4, 2.5, DIM) + rng.normal(0, 1.5, DIM)
    if shift == "covariance":
        factors = rng.normal(size=(DIM, DIM))
        target = target @ power(factors @ factors.T / DIM + 0.05 * np.eye(DIM), 0.5)
    if shift == "speaker":
        target += rng.normal(0, 1.5, (n_speakers, DIM))[speakers]
    return Shifted(
        Source(
            _clips(source, "eng", rng.integers(0, n_speakers, n)),
            np.eye(N_CLASSES, dtype=np.int8)[known],
        ),
        _clips(target, "zho", speakers),
        truth,
    )


@pytest.fixture(scope="session")
def domains():
    """Builder of Shifted, the same for the same arguments."""
    return _domains
