"""Predictions for one test set as arrays, and every metric of it.

The prediction is the arg-max over the classes that the corpus annotates, and no class at all where
each has probability 0. The reference of a multi-label clip is its first positive. A clip without
any positive counts as the first annotated class in the paper's metric, weighted F1 (`numpy.argmax`
of zeros, there as here); the other metrics leave such clips out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.results import metrics


@dataclass(frozen=True)
class ClipPredictions:
    """Predictions for one (cell, corpus), or for all corpora of a cell, ready for the metrics."""

    corpus: str | None
    """None: all of the cell."""
    n_utterances: int
    """Clips."""
    n_speakers: int
    """Known ones."""
    n_speaker_unknown: int
    """Clips of others."""
    candidates: list[int]
    """Numbers of the classes that some corpus annotates."""
    targets: np.ndarray
    """Class numbers, shape (n,)."""
    predictions: np.ndarray
    """Class numbers, shape (n,); -1: none."""
    reference: np.ndarray
    """As in the predictions table, shape (n, n_classes)."""
    probabilities: np.ndarray
    """As in the predictions table, shape (n, n_classes)."""

    def out_of_label_space(self, trained: Iterable[int]) -> float:
        """Share of the clips none of whose positive classes was trained: no prediction of theirs
        can be right. Clips without any positive class count among all clips, not among these."""
        present = self.reference == 1
        missed = present.any(axis=1) & ~present[:, list(trained)].any(axis=1)
        return float(missed.mean())

    @property
    def scored(self) -> list[int]:
        """Candidate classes with at least one clip: recall and F1 of others are undefined."""
        return [number for number in self.candidates if (self.targets == number).any()]

    @property
    def multi_label(self) -> tuple[np.ndarray, np.ndarray]:
        """Classes present and predicted, each on its own; bool, both of shape (n, n_classes)."""
        return self.reference == 1, (self.probabilities > 0.5) & (self.reference != -1)

    def paper_metrics(self, schema: LabelSchema) -> dict[str, float | None]:
        """The paper's metric, over all clips: its single form and, where clips can have several
        labels, its multi form."""
        values = {"weighted_f1": metrics.weighted_f1(self.targets, self.predictions, self.scored)}
        if not schema.exclusive:
            present, predicted = self.multi_label
            values[metrics.MULTI_LABEL_METRIC] = metrics.weighted_f1_multi(
                present[:, self.candidates], predicted[:, self.candidates]
            )
        return values

    def standard_metrics(self) -> dict[str, float | None]:
        """All other metrics over the whole test set."""
        return {
            name: metric(self.targets, self.predictions, self.scored)
            for name, metric in metrics.STANDARD_METRICS.items()
        }

    def by_label(self, schema: LabelSchema) -> dict[str, float | None]:
        """Binary F1 of each class."""
        values = metrics.label_f1(self.targets, self.predictions, self.scored)
        return {f"f1_{schema.classes[number]}": value for number, value in values.items()}

    def confusion(self) -> np.ndarray:
        """Clips with a positive class by that class (rows, `candidates`) and by what was predicted
        (columns, `candidates`, then none); shape (n, n + 1)."""
        has_class = (self.reference == 1).any(axis=1)
        return metrics.confusion(
            self.targets[has_class], self.predictions[has_class], self.candidates
        )


def with_class(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of clips with a positive class: all metrics but the paper's are of these."""
    return rows[(np.stack(rows["reference"].to_numpy()) == 1).any(axis=1)]


def test_set(rows: pd.DataFrame, corpus: str | None) -> ClipPredictions:
    """Predictions table of one cell (and corpus) as arrays. Rows of several corpora keep their own
    candidates."""
    probabilities, reference = (
        np.stack(rows[name].to_numpy()) for name in ("probabilities", "reference")
    )
    annotated = reference != -1
    offered = np.where(annotated, probabilities, -1.0)
    return ClipPredictions(
        corpus=corpus,
        n_utterances=len(rows),
        n_speakers=int(rows["speaker"].nunique()),
        n_speaker_unknown=int(rows["speaker"].isna().sum()),
        candidates=np.flatnonzero(annotated.any(axis=0)).tolist(),
        targets=np.where(annotated, reference, -1).argmax(axis=1),
        predictions=np.where(offered.max(axis=1) > 0, offered.argmax(axis=1), -1),
        reference=reference,
        probabilities=probabilities,
    )
