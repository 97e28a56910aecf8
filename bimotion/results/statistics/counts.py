"""Counts of each speaker in one corpus's test set; every metric of metrics.py is a function of
their sums.

A clip counts in four forms, as in scoring.py: `all` (as its corpus is scored, one class a clip or
label by label: weighted F1), `marked` (the same over the clips that macro F1 and the F1 of classes
are of), `one` (clips with one class each: recall and accuracy) and `multi` (each class on its own).
For each class: hits, clips predicted as it, clips that are it. Resampled test sets are scored as
scoring.py would: over the classes present in them.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.results.clip_predictions import ClipPredictions, test_set
from bimotion.results.metrics import ONE_LABEL_METRICS

FORMS = {
    "weighted_f1": ("all", "weighted_f1"),
    "weighted_f1_multi": ("multi", "weighted_f1"),
    "macro_f1": ("marked", "macro_f1"),
    **{metric: ("one", metric) for metric in ONE_LABEL_METRICS},
}
"""Metric -> the form that it counts, and its name in metric_values."""


@dataclass(frozen=True)
class Stratum:
    """The clusters of one corpus's test set, which are drawn again together."""

    name: str
    """`<cell>/<corpus>`; the draws depend only on it, on `n` and on the seed, so that models are
    compared in pairs."""
    n: int
    """Clusters."""
    clusters: str
    """`speaker`; `clip` where no speaker is known (each clip its own); `mixed` where some are."""
    one_speaker: bool
    """All clips are one speaker's: the clusters are its clips, and say nothing of other
    speakers."""
    n_clips: int
    """All together."""


@dataclass(frozen=True)
class Counts:
    """Counts of one corpus's test set."""

    stratum: Stratum
    """Its clusters."""
    tables: dict[str, np.ndarray]
    """Form -> hits, predicted and true clips, float32 (3, n_classes, n_clusters)."""
    n_annotated: int
    """Classes that can be predicted."""
    label_by_label: bool = False
    """Each class is a decision of its own, not one of several."""

    @property
    def corpus(self) -> str:
        """Its name."""
        return self.stratum.name.partition("/")[2]

    def n_present(self, form: str) -> int:
        """Classes with a clip."""
        return int(self.tables[form][2].any(axis=1).sum())

    def carriers(self, number: int) -> int:
        """Clusters with a clip of a class, among clips with a positive class."""
        return int((self.tables["marked"][2, number] > 0).sum())

    @classmethod
    def of(cls, rows: pd.DataFrame, schema: LabelSchema) -> "Counts":
        """The counts of one training set, seed, cell and corpus; clusters in the order of their
        names."""
        stratum, cluster = clusters(rows)
        part = test_set(rows, None, schema)
        forms = _forms(part) | ({} if schema.exclusive else {"multi": part.multi_label})
        tables = {
            form: _summed(np.stack([true & predicted, predicted, true]), cluster, stratum.n)
            for form, (true, predicted) in forms.items()
        }
        is_own = bool(part.label_by_label.any())
        return cls(stratum, tables, len(part.candidates), is_own)


def _forms(part: ClipPredictions) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Form -> classes present and predicted, of one corpus."""
    has_class = (part.reference == 1).any(axis=1)
    counts_in = {
        "all": np.ones_like(has_class),
        "marked": has_class | part.label_by_label,
        "one": has_class & ~part.label_by_label,
    }
    return {
        form: tuple(classes & clips[:, None] for classes in part.decisions)
        for form, clips in counts_in.items()
    }


def clusters(rows: pd.DataFrame) -> tuple[Stratum, np.ndarray]:
    """Clusters of some clips, and the number of each clip's: clips drawn by themselves, by id,
    before speakers, by name."""
    ids, speakers = (rows[name].to_numpy(object) for name in ("id", "speaker"))
    known = ~pd.isna(speakers)
    one_speaker = bool(known.all()) and len(set(speakers)) == 1
    by_speaker = known & (not one_speaker)
    cluster = np.empty(len(rows), np.int64)
    cluster[~by_speaker], clips = pd.factorize(ids[~by_speaker], sort=True, use_na_sentinel=False)
    cluster[by_speaker], names = pd.factorize(speakers[by_speaker], sort=True)
    cluster[by_speaker] += len(clips)
    kind = "clip" if one_speaker or not known.any() else "speaker" if known.all() else "mixed"
    name = f"{rows['cell'].iloc[0]}/{rows['corpus'].iloc[0]}"
    return Stratum(name, len(clips) + len(names), kind, one_speaker, len(rows)), cluster


def _summed(clips: np.ndarray, cluster: np.ndarray, n: int) -> np.ndarray:
    """Sums over the clips of each cluster; shape (3, n_clips, n_classes) -> (3, n_classes, n)."""
    order = np.argsort(cluster, kind="stable")
    starts = np.searchsorted(cluster[order], np.arange(n))
    sums = np.add.reduceat(clips[:, order].astype(np.float32), starts, axis=1)
    return np.ascontiguousarray(np.moveaxis(sums, 1, 2))


def metric_values(sums: np.ndarray) -> dict[str, np.ndarray]:
    """The single-label metrics of many test sets at once; also `f1`, of each class.

    Args:
        sums: Hits, predicted and true clips, shape (3, n_classes, n).
    Returns:
        Metric -> shape (n,), `f1` -> (n_classes, n); nan where a metric is undefined.

    >>> metric_values(np.array([[[1.0], [1.0]], [[1.0], [2.0]], [[2.0], [1.0]]]))["uar"].tolist()
    [0.75]
    """
    hits, predicted, true = sums.astype(float)
    present, n_clips = true > 0, true.sum(axis=0)
    n_present = present.sum(axis=0)
    f1 = 2 * hits / np.maximum(predicted + true, 1)
    return {
        "weighted_f1": ratio((f1 * true).sum(axis=0), n_clips),
        "macro_f1": ratio((f1 * present).sum(axis=0), n_present),
        "uar": ratio((hits / np.maximum(true, 1)).sum(axis=0), n_present),
        "accuracy": ratio(hits.sum(axis=0), n_clips),
        "f1": np.where(present, f1, np.nan),
    }


def ratio(parts: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """parts / whole; nan where the whole is 0."""
    return np.divide(parts, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
