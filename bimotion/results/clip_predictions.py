"""Predictions for one test set as arrays, and every metric of it.

The prediction is the arg-max over the classes that the corpus annotates, and no class at all where
each has probability 0. A test set of one corpus in which some clip has several labels or none
(ElderReact's under schema `emotion`) is scored label by label instead: a label is predicted where
its probability is above 0.5.

Under split rule `paper` (`LabelSchema.single_form`) it is scored as the paper's code does: the
reference of such a clip is its first positive, and the first annotated class where it has none
(`numpy.argmax` of zeros, there as here), which only weighted F1 counts; and the prediction is an
arg-max even of zeros.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.results import metrics


@dataclass(frozen=True)
class ClipPredictions:
    """Predictions for one (cell, corpus), or for all corpora of a cell, ready for the metrics."""

    corpus: str | None
    """None: all of the cell."""
    corpora: pd.Categorical
    """Names, shape (n,)."""
    speakers: np.ndarray
    """Numbers, shape (n,); -1: unknown."""
    targets: np.ndarray
    """Class numbers, shape (n,); -1: several or none, in a corpus that is scored label by label."""
    predictions: np.ndarray
    """Class numbers, shape (n,); -1: none."""
    reference: np.ndarray
    """As in the predictions table, shape (n, n_classes)."""
    probabilities: np.ndarray
    """As in the predictions table, shape (n, n_classes)."""
    label_by_label: np.ndarray
    """True for clips of a corpus that is scored label by label, shape (n,)."""

    @property
    def n_utterances(self) -> int:
        """Clips."""
        return len(self.targets)

    @cached_property
    def n_speakers(self) -> int:
        """Known ones."""
        return len(np.unique(self.speakers[self.speakers >= 0]))

    @cached_property
    def n_speaker_unknown(self) -> int:
        """Clips of others."""
        return int((self.speakers < 0).sum())

    @cached_property
    def candidates(self) -> list[int]:
        """Numbers of the classes that some corpus annotates."""
        return np.flatnonzero((self.reference != -1).any(axis=0)).tolist()

    def some(self, chosen: np.ndarray, corpus: str | None = None) -> "ClipPredictions":
        """Those of the chosen clips, bool, shape (n,): all of `corpus`, where it is named."""
        if chosen.all():
            return replace(self, corpus=corpus)
        arrays = {field.name: getattr(self, field.name)[chosen] for field in fields(self)[1:]}
        return ClipPredictions(corpus, **arrays)

    @cached_property
    def by_corpus(self) -> dict[str, "ClipPredictions"]:
        """Corpus, in order of name -> the predictions for its clips."""
        names = self.corpora.remove_unused_categories().categories
        return {name: self.some(self.corpora == name, name) for name in names}

    def with_class(self, schema: LabelSchema) -> "ClipPredictions":
        """Those that all metrics but weighted F1 are of, as the function of this name."""
        chosen = _has_class(self.reference, schema)
        return self if chosen.all() else self.some(chosen)

    def out_of_label_space(self, trained: Iterable[int]) -> float:
        """Share of the clips none of whose positive classes was trained: no prediction of theirs
        can be right. Clips without any positive class count among all clips, not among these."""
        present = self.reference == 1
        missed = present.any(axis=1) & ~present[:, list(trained)].any(axis=1)
        return float(missed.mean())

    @cached_property
    def scored(self) -> list[int]:
        """Candidate classes with at least one clip: recall and F1 of others are undefined."""
        present = self.decisions[0].any(axis=0)
        return [number for number in self.candidates if present[number]]

    @property
    def multi_label(self) -> tuple[np.ndarray, np.ndarray]:
        """Classes present and predicted, each on its own; bool, both of shape (n, n_classes)."""
        return self.reference == 1, (self.probabilities > 0.5) & (self.reference != -1)

    @cached_property
    def decisions(self) -> tuple[np.ndarray, np.ndarray]:
        """Classes present and predicted as they are scored: each on its own where the corpus is
        scored label by label, else one a clip; bool, both of shape (n, n_classes)."""
        numbers = np.arange(self.reference.shape[1])
        one_a_clip = (self.targets[:, None] == numbers, self.predictions[:, None] == numbers)
        is_own = self.label_by_label[:, None]
        if not is_own.any():
            return one_a_clip
        pairs = zip(self.multi_label, one_a_clip, strict=True)
        return tuple(np.where(is_own, own, single) for own, single in pairs)

    def headline_metrics(self, schema: LabelSchema) -> dict[str, float | None]:
        """Weighted F1 over all clips and, where clips can have several labels, the paper's multi
        form of it: every corpus label by label."""
        values = {"weighted_f1": metrics.weighted_f1_multi(*self._of(self.scored, self.decisions))}
        if not schema.exclusive:
            of_candidates = self._of(self.candidates, self.multi_label)
            values[metrics.MULTI_LABEL_METRIC] = metrics.weighted_f1_multi(*of_candidates)
        return values

    def macro_f1(self) -> dict[str, float | None]:
        """Its name and value."""
        return {"macro_f1": metrics.macro_f1_multi(*self._of(self.scored, self.decisions))}

    def one_label_metrics(self) -> dict[str, float | None]:
        """The metrics of clips with one label each."""
        return {
            name: metric(self.targets, self.predictions, self.scored)
            for name, metric in metrics.ONE_LABEL_METRICS.items()
        }

    def by_label(self, schema: LabelSchema) -> dict[str, float | None]:
        """Binary F1 of each class and, of a corpus that is scored label by label, its average
        precision and area under the ROC curve."""
        scored = self.scored
        values = metrics.label_f1_multi(*self._of(scored, self.decisions)).tolist()
        rows = {
            f"f1_{schema.classes[number]}": f1 for number, f1 in zip(scored, values, strict=True)
        }
        if self.corpus is None or not self.label_by_label.any():
            return rows
        for number in self.candidates:
            clips = self.reference[:, number] == 1, self.probabilities[:, number]
            for name, metric in metrics.RANKING_METRICS.items():
                rows[f"{name}_{schema.classes[number]}"] = metric(*clips)
        return rows

    def confusion(self) -> np.ndarray:
        """Clips with a positive class by that class (rows, `candidates`) and by what was predicted
        (columns, `candidates`, then none); shape (n, n + 1)."""
        has_class = (self.reference == 1).any(axis=1) & (self.targets != -1)
        return metrics.confusion(
            self.targets[has_class], self.predictions[has_class], self.candidates
        )

    @staticmethod
    def _of(classes: list[int], pair: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
        """The columns of some classes."""
        return [values[:, classes] for values in pair]


def matrix(lists: pd.Series) -> np.ndarray:
    """The lists of a column, one a clip, as one array of shape (n, length).

    Raises:
        ValueError: for no list, and for lists of several lengths.

    >>> matrix(pd.Series([[0.5, 0.25], [1.0, 0.0]])).tolist()
    [[0.5, 0.25], [1.0, 0.0]]
    """
    values = lists.to_numpy()
    if len(lengths := set(map(len, values))) != 1:
        raise ValueError(f"expected equally long lists, found lengths {sorted(lengths)[:5]}")
    return np.concatenate(values).reshape(len(values), -1)


def with_class(rows: pd.DataFrame, schema: LabelSchema) -> pd.DataFrame:
    """The rows that all metrics but weighted F1 are of: clips with a positive class; where corpora
    are scored label by label, all."""
    chosen = _has_class(matrix(rows["reference"]), schema)
    return rows if chosen.all() else rows[chosen]


def _has_class(reference: np.ndarray, schema: LabelSchema) -> np.ndarray:
    if schema.exclusive or schema.single_form:
        return (reference == 1).any(axis=1)
    return np.ones(len(reference), bool)


def _label_by_label(
    corpora: pd.Categorical, schema: LabelSchema, reference: np.ndarray
) -> np.ndarray:
    """True for clips of a corpus that is scored label by label: in which some clip has several
    labels or none; bool, shape (n,)."""
    lacks_one = (reference == 1).sum(axis=1) != 1
    if schema.exclusive or schema.single_form or not lacks_one.any():
        return np.zeros(len(reference), bool)
    return corpora.isin(corpora[lacks_one].unique())


def test_set(rows: pd.DataFrame, schema: LabelSchema) -> ClipPredictions:
    """Predictions table of one cell as arrays. Rows of several corpora keep their own
    candidates."""
    probabilities, reference = matrix(rows["probabilities"]), matrix(rows["reference"])
    corpora = pd.Categorical(rows["corpus"])
    annotated, is_own = reference != -1, _label_by_label(corpora, schema, reference)
    offered = np.where(annotated, probabilities, -1.0)
    is_silent = ~schema.single_form & (offered.max(axis=1) <= 0)
    lacks_one = is_own & ((reference == 1).sum(axis=1) != 1)
    return ClipPredictions(
        corpus=None,
        corpora=corpora,
        speakers=pd.factorize(rows["speaker"])[0],
        targets=np.where(lacks_one, -1, np.where(annotated, reference, -1).argmax(axis=1)),
        predictions=np.where(is_silent, -1, offered.argmax(axis=1)),
        reference=reference,
        probabilities=probabilities,
        label_by_label=is_own,
    )
