"""Expected calibration error: by hand, over annotated classes only, and none for a model that knows
how much it knows."""

import numpy as np
import pandas as pd
import pytest

from bimotion.protocol.labels import SCHEMAS
from bimotion.results.clip_predictions import test_set as scored_set
from bimotion.results.statistics.calibration import expected_calibration_error


def error(probabilities, reference, **how):
    rows = {
        "probabilities": list(probabilities),
        "reference": list(reference),
        "speaker": [None] * len(reference),
        "corpus": ["tess"] * len(reference),
    }
    part = scored_set(pd.DataFrame(rows), SCHEMAS["emotion"])
    return expected_calibration_error(part, **how)


def test_by_hand():
    # confidence 0.9 (right), 0.85 (wrong) and 0.5 (right): bins of 15 are (13/15, 14/15], (12/15,
    # 13/15], (7/15, 8/15]
    probabilities = [[0.9, 0.1, 0], [0.85, 0.15, 0], [0.5, 0.3, 0.2]]
    reference = [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert error(probabilities, reference) == pytest.approx((0.1 + 0.85 + 0.5) / 3, abs=1e-12)
    # two bins: (0.5, 1] holds the first two, half of them right at a confidence of 0.875; the third
    # is at 0.5, in (0, 0.5]
    assert error(probabilities, reference, bins=2) == pytest.approx(
        (2 * (0.875 - 0.5) + 0.5) / 3, abs=1e-12
    )


@pytest.mark.parametrize(
    ("probabilities", "reference", "expected"),
    [
        # sigmoid outputs that sum to 0.4 over what is annotated, and 0.99 for what is not
        ([[0.3, 0.1, 0.99]], [[1, 0, -1]], 0.25),
        # clips without a class are left out
        ([[0.9, 0.1], [0.6, 0.4]], [[1, 0], [0, 0]], 0.1),
        ([[0.9, 0.1]], [[0, 0]], None),
        # of several classes each is right
        ([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]], [[1, 1], [1, 1], [0, 0]], 0.1),
        # certain and right, certain and wrong, silent
        ([[1.0, 0.0]], [[1, 0]], 0),
        ([[1.0, 0.0]], [[0, 1]], 1),
        ([[0.0, 0.0]], [[1, 0]], 0),
    ],
)
def test_which_clips_and_classes_count(probabilities, reference, expected):
    assert error(probabilities, reference) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("sharpen", "low", "high"), [(1.0, 0.0, 0.02), (3.0, 0.1, 0.5)])
def test_a_model_that_knows_how_much_it_knows(sharpen, low, high):
    rng = np.random.default_rng(0)
    known = rng.dirichlet(np.ones(4), 20_000)
    truth = (known.cumsum(axis=1) > rng.random((20_000, 1))).argmax(axis=1)
    probabilities = known**sharpen / (known**sharpen).sum(axis=1, keepdims=True)
    assert low <= error(probabilities, np.eye(4, dtype=np.int8)[truth]) < high
