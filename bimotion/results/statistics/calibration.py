"""Calibration: whether a model is right as often as its probabilities say, as one number and as a
curve; and whether its confidence tells right decisions from wrong ones."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bimotion.results.clip_predictions import ClipPredictions
from bimotion.results.metrics import roc_auc

N_BINS = 15


@dataclass(frozen=True)
class CalibrationBin:
    """Clips whose arg-max has about the same probability."""

    n_clips: int
    """At least 1."""
    confidence: float
    """Mean probability of their arg-max."""
    accuracy: float
    """Share of them that is right."""


def expected_calibration_error(part: ClipPredictions, bins: int = N_BINS) -> float | None:
    """The error of the arg-max: |accuracy - mean confidence| over `bins` equal-width bins (low,
    high], weighted by clips.

    Guo et al., ICML 2017, arXiv 1706.04599, equation 3. The confidence is the highest probability
    over the classes that the clip's corpus annotates, divided by their sum: sigmoid outputs need
    not sum to 1, and what is not annotated is never predicted. Right is any class that the clip
    has; clips without one are left out; a clip for which every class has probability 0 has
    confidence 0. In [0, 1]; None without clips.

    >>> import pandas as pd
    >>> from bimotion.protocol.labels import SCHEMAS
    >>> from bimotion.results.clip_predictions import test_set
    >>> rows = {"probabilities": [[0.8, 0.2], [0.8, 0.2]], "reference": [[1, 0], [0, 1]],
    ...     "speaker": [None, None], "corpus": ["tess", "tess"]}
    >>> table = pd.DataFrame(rows)
    >>> round(expected_calibration_error(test_set(table, SCHEMAS["valence"])), 12)
    0.3
    """
    numbers, confidence, right = _binned(part, bins)
    if not len(numbers):
        return None
    # n x (accuracy - confidence) of each bin
    gaps = np.bincount(numbers, right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def calibration_curve(part: ClipPredictions, bins: int = N_BINS) -> list[CalibrationBin]:
    """The bins of `expected_calibration_error` that hold clips, from low to high confidence."""
    numbers, confidence, right = _binned(part, bins)
    return [
        CalibrationBin(int(mine.sum()), float(confidence[mine].mean()), float(right[mine].mean()))
        for mine in (numbers == number for number in np.unique(numbers))
    ]


@dataclass(frozen=True)
class ConfidenceRanking:
    """The order of decisions by confidence, held against which of them are right."""

    area: float
    """Share of the pairs of a right and a wrong decision in which the right one is more confident,
    equal ones half: the area under the ROC curve, 0.5 by chance."""
    n_right: int
    """Decisions that are compared."""
    n_wrong: int
    """The same."""


def confidence_ranking(parts: Iterable[ClipPredictions]) -> ConfidenceRanking | None:
    """The ranking of decisions by confidence, as of `expected_calibration_error`, within each of
    some test sets; None: nowhere is one right and another wrong.

    >>> import pandas as pd
    >>> from bimotion.protocol.labels import SCHEMAS
    >>> from bimotion.results.clip_predictions import test_set
    >>> rows = {"probabilities": [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]],
    ...     "reference": [[1, 0], [1, 0], [0, 1]], "speaker": [None] * 3, "corpus": ["tess"] * 3}
    >>> confidence_ranking([test_set(pd.DataFrame(rows), SCHEMAS["valence"])])
    ConfidenceRanking(area=0.5, n_right=2, n_wrong=1)
    """
    ordered, pairs, n_right, n_wrong = 0.0, 0, 0, 0
    for confidence, right in map(_confidences, parts):
        n_of, n_against = int(right.sum()), int((~right).sum())
        if n_of and n_against:
            ordered += roc_auc(right, confidence) * n_of * n_against
            pairs += n_of * n_against
            n_right, n_wrong = n_right + n_of, n_wrong + n_against
    return ConfidenceRanking(float(ordered / pairs), n_right, n_wrong) if pairs else None


def _binned(part: ClipPredictions, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bin of each clip with a class, its confidence, and whether it is right: (n_clips,)."""
    confidence, right = _confidences(part)
    numbers = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return numbers, confidence, right


def _confidences(part: ClipPredictions) -> tuple[np.ndarray, np.ndarray]:
    """The confidence of each clip with a class, and whether it is right: (n_clips,)."""
    has_class = (part.reference == 1).any(axis=1)
    offered = np.where(part.reference == -1, 0.0, part.probabilities)[has_class].astype(float)
    total = offered.sum(axis=1)
    confidence = offered.max(axis=1) / np.where(total > 0, total, 1)
    of_prediction = part.reference[np.arange(len(part.reference)), part.predictions]
    return confidence, ((part.predictions >= 0) & (of_prediction == 1))[has_class]
