"""Average precision and area under the ROC curve of each label, with what their intervals need: of
corpora that are scored label by label."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.results.clip_predictions import label_by_label, test_set
from bimotion.results.metrics import RANKING_METRICS, ranking
from bimotion.results.statistics.counts import Stratum, clusters
from bimotion.results.statistics.estimate import Estimate

SETS_AT_ONCE = 1000
"""Test sets drawn again that are ranked at once: a block of them is what memory holds."""


def of_labels(
    table: pd.DataFrame, schema: LabelSchema, times_of: Callable[[Stratum], np.ndarray]
) -> dict[tuple[str, str], Estimate]:
    """(corpus; `ap_<number>` or `auc_<number>`) -> statistic, of one training set, seed and cell.

    Args:
        times_of: How often each cluster of a stratum is drawn, (n_replicates, n_clusters).
    """
    estimates = {}
    own = table[label_by_label(table, schema)]
    for corpus, rows in own.groupby("corpus"):
        stratum, cluster = clusters(rows)
        part, times = test_set(rows, corpus, schema), times_of(stratum)
        whole = np.ones((1, stratum.n), np.float32)
        weights = np.concatenate([whole, times, whole - np.eye(stratum.n, dtype=np.float32)])
        for number in part.candidates:
            is_target, scores = part.reference[:, number] == 1, part.probabilities[:, number]
            values = _in_blocks(is_target, scores, weights, cluster)
            n_carriers = len(np.unique(cluster[is_target]))
            for name in RANKING_METRICS:
                estimates[corpus, f"{name}_{number}"] = Estimate(
                    estimate=float(values[name][0]),
                    replicates=values[name][1 : 1 + len(times)],
                    without={stratum: values[name][1 + len(times) :]},
                    carriers=n_carriers,
                )
    return estimates


def _in_blocks(
    is_target: np.ndarray, scores: np.ndarray, weights: np.ndarray, cluster: np.ndarray
) -> dict[str, np.ndarray]:
    """`metrics.ranking` of test sets whose weights, (n_sets, n_clusters), are those of clusters."""
    blocks = [
        ranking(is_target, scores, weights[start : start + SETS_AT_ONCE, cluster])
        for start in range(0, len(weights), SETS_AT_ONCE)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in RANKING_METRICS}
