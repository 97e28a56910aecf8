"""Counts of each speaker in one corpus's test set; every metric of metrics.py is a function of
their sums.

A clip counts in three forms, as in scoring.py: `all` (single-label, the paper's weighted F1),
`marked` (the same over clips with a positive class, the other metrics) and `multi` (each class on
its own). For each class with a clip: hits, clips predicted as it, clips that are it. Resampled test
sets are scored as scoring.py would: over the classes present in them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.results.clip_predictions import ClipPredictions, test_set
from bimotion.results.metrics import OTHERS

FORMS = {
    "weighted_f1": ("all", "weighted_f1"),
    "weighted_f1_multi": ("multi", "weighted_f1"),
    **{metric: ("marked", metric) for metric in OTHERS},
}
"""Metric -> the form that it counts, and its name in metric_values."""


@dataclass(frozen=True)
class Stratum:
    """The clusters of one corpus's test set, which are drawn again together.

    name          `<cell>/<corpus>`; the draws depend on it, on `n` and on the seed alone, so that
                  models are compared in pairs
    n             clusters
    clusters      `speaker`; `clip` where no speaker is known (each clip its own); `mixed` where
                  some are
    one_speaker   all clips are one speaker's: the clusters are its clips, and say nothing of other
                  speakers
    n_clips       all together
    """

    name: str
    n: int
    clusters: str
    one_speaker: bool
    n_clips: int


@dataclass(frozen=True)
class Counts:
    """Counts of one corpus's test set.

    classes       form -> numbers of the classes with a clip
    tables        form -> hits, predicted and true clips, float32 (3, n_classes, n_clusters)
    strays        form -> numbers of the other classes, and clips predicted as them, float32
                  (n_others, n_clusters): no matter to this corpus's metrics, but where corpora are
                  pooled another may have clips of those classes
    n_annotated   classes that can be predicted
    """

    stratum: Stratum
    classes: dict[str, list[int]]
    tables: dict[str, np.ndarray]
    strays: dict[str, tuple[list[int], np.ndarray]]
    n_annotated: int

    @property
    def corpus(self) -> str:
        """Its name."""
        return self.stratum.name.partition("/")[2]

    def carriers(self, place: int) -> int:
        """Clusters with a clip of a class, among marked clips."""
        if place not in self.classes["marked"]:
            return 0
        return int((self.tables["marked"][2, self.classes["marked"].index(place)] > 0).sum())

    @classmethod
    def of(cls, rows: pd.DataFrame, schema: LabelSchema) -> "Counts":
        """From the predictions of one training set, seed, cell and corpus; clusters in the order of
        their names."""
        stratum, cluster = _clusters(rows)
        part = test_set(rows, None)
        marked = (part.reference == 1).any(axis=1)
        forms = {
            "all": _single(part),
            "marked": tuple(of_class * marked[:, None] for of_class in _single(part)),
        }
        if not schema.exclusive:
            forms["multi"] = (
                part.reference == 1,
                (part.probabilities > 0.5) & (part.reference != -1),
            )
        classes, tables, strays = {}, {}, {}
        for form, (true, said) in forms.items():
            classes[form] = np.flatnonzero(true.any(axis=0)).tolist()
            of_clips = np.stack([(true & said), said, true])[..., classes[form]].astype(np.float32)
            tables[form] = _summed(of_clips, cluster, stratum.n)
            others = np.flatnonzero(said.any(axis=0) & ~true.any(axis=0)).tolist()
            strays[form] = (
                others,
                _summed(said[None][..., others].astype(np.float32), cluster, stratum.n)[0],
            )
        return cls(stratum, classes, tables, strays, len(part.candidates))


def _clusters(rows: pd.DataFrame) -> tuple[Stratum, np.ndarray]:
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


def _single(part: ClipPredictions) -> tuple[np.ndarray, np.ndarray]:
    """Whether each clip is, and is predicted as, each class; bool, both of shape (n, n_classes)."""
    numbers = np.arange(part.reference.shape[1])
    return part.targets[:, None] == numbers, part.predictions[:, None] == numbers


def _summed(of_clips: np.ndarray, cluster: np.ndarray, n: int) -> np.ndarray:
    """Sums over the clips of each cluster; shape (..., n_clips) -> (..., n)."""
    order = np.argsort(cluster, kind="stable")
    starts = np.searchsorted(cluster[order], np.arange(n))
    return np.ascontiguousarray(
        np.moveaxis(np.add.reduceat(of_clips[:, order], starts, axis=1), 1, 2)
    )


def metric_values(sums: np.ndarray) -> dict[str, np.ndarray]:
    """The single-label metrics of many test sets at once; also `f1`, of each class.

    `sums`: hits, predicted and true clips, shape (3, n_classes, n). Returns metric -> shape (n,),
    `f1` -> (n_classes, n); nan where a metric is undefined.

    >>> metric_values(np.array([[[1.0], [1.0]], [[1.0], [2.0]], [[2.0], [1.0]]]))["uar"].tolist()
    [0.75]
    """
    hits, said, true = sums.astype(float)
    present, n_clips = true > 0, true.sum(axis=0)
    n_present = present.sum(axis=0)
    f1 = 2 * hits / np.maximum(said + true, 1)
    return {
        "weighted_f1": ratio((f1 * true).sum(axis=0), n_clips),
        "macro_f1": ratio((f1 * present).sum(axis=0), n_present),
        "uar": ratio((hits / np.maximum(true, 1)).sum(axis=0), n_present),
        "accuracy": ratio(hits.sum(axis=0), n_clips),
        "f1": np.where(present, f1, np.nan),
    }


def ratio(parts: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """parts / whole; nan where the whole is 0."""
    return np.where(whole > 0, parts / np.where(whole > 0, whole, 1), np.nan)


def pooled(
    classes: Iterable[list[int]],
    sums: Iterable[np.ndarray],
    strays: Iterable[tuple[list[int], np.ndarray]],
) -> tuple[list[int], np.ndarray]:
    """Sums of several corpora as one test set: classes of any, and their sums, shape (3, n_classes,
    n).

    >>> one, other = np.ones((3, 2, 1)), np.ones((3, 1, 1))
    >>> pooled([[0, 2], [2]], [one, other], [([], np.ones((0, 1))), ([0, 5], np.ones((2,
    ...     1)))])[1][1].ravel().tolist()
    [2.0, 2.0]
    """
    classes, sums = list(classes), list(sums)
    union = sorted(set().union(*classes))
    whole = np.zeros((3, len(union), sums[0].shape[-1]))
    for own, one, (others, said) in zip(classes, sums, strays, strict=True):
        whole[:, [union.index(place) for place in own]] += one
        for place, predicted in zip(others, said, strict=True):
            if place in union:
                whole[1, union.index(place)] += predicted
    return union, whole
