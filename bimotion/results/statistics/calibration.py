"""Expected calibration error: whether a model is right as often as its probabilities say."""

import numpy as np

from bimotion.results.clip_predictions import ClipPredictions

N_BINS = 15


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
    >>> round(expected_calibration_error(test_set(table, None, SCHEMAS["valence"])), 12)
    0.3
    """
    has_class = (part.reference == 1).any(axis=1)
    if not has_class.any():
        return None
    offered = np.where(part.reference == -1, 0.0, part.probabilities)[has_class].astype(float)
    total = offered.sum(axis=1)
    confidence = offered.max(axis=1) / np.where(total > 0, total, 1)
    of_prediction = part.reference[np.arange(len(part.reference)), part.predictions]
    right = ((part.predictions >= 0) & (of_prediction == 1))[has_class]
    bin_numbers = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    # n x (accuracy - confidence) of each bin
    gaps = np.bincount(bin_numbers, right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))
