"""Average precision and area under the ROC curve of each label, with what each clip adds to them:
of corpora that are scored label by label."""

import numpy as np
import pandas as pd

from bimotion.results.clip_predictions import ClipPredictions
from bimotion.results.metrics import RANKING_METRICS, ranking
from bimotion.results.statistics.counts import by_speaker, rows_in
from bimotion.results.statistics.estimate import Estimate

SETS_AT_ONCE = 1000
"""Test sets without a clip that are ranked at once: a block of them is what memory holds."""


def of_labels(table: pd.DataFrame, clips: ClipPredictions) -> dict[tuple[str, str], Estimate]:
    """(corpus; `ap_<number>` or `auc_<number>`) -> statistic, of one training set, seed and cell.
    What a clip adds is by how much the number falls without it (the jackknife).

    Args:
        table: predictions; columns id, cell, corpus, speaker.
        clips: the same as arrays.
    """
    estimates = {}
    for corpus, part in clips.by_corpus.items():
        if not part.label_by_label.any():
            continue
        stratum, order = by_speaker(rows_in(table, clips, corpus))
        for number in part.candidates:
            is_target, scores = part.reference[:, number] == 1, part.probabilities[:, number]
            whole = ranking(is_target, scores, np.ones((1, part.n_utterances)))
            without = _without_each(is_target, scores)
            n_targets = int(is_target.sum())
            for name in RANKING_METRICS:
                value = float(whole[name][0])
                moves = np.nan_to_num(value - without[name])[order]
                n_carriers = None if n_targets > 1 else n_targets
                estimates[corpus, f"{name}_{number}"] = Estimate(
                    value, {stratum: moves - moves.mean()}, n_carriers
                )
    return estimates


def _without_each(is_target: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    """`metrics.ranking` of the test set without each clip in turn."""
    n, blocks = len(scores), []
    for start in range(0, n, SETS_AT_ONCE):
        lacking = np.arange(start, min(start + SETS_AT_ONCE, n))
        weights = np.ones((len(lacking), n), np.float32)
        weights[np.arange(len(lacking)), lacking] = 0
        blocks.append(ranking(is_target, scores, weights))
    return {name: np.concatenate([block[name] for block in blocks]) for name in RANKING_METRICS}
