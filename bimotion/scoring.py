"""From predictions to scores: a pure function of the predictions table, without torch, the same to the digit anywhere.

Predictions, one row a training set, seed and test clip: `train` (Setting.training_set), `seed`, `id`, `cell`, `corpus`,
`speaker` (or null), `probabilities` and `reference` (both lists over the schema's classes; reference 1, 0, or -1 not
annotated), `trained` (classes that can be predicted: with a positive training clip, or an output of a zero-shot model).

Each (cell, corpus) test set is scored on its own, over its own corpus's classes, as the paper's code does. The prediction is
the arg-max over the classes that the corpus annotates, and no class at all where each has probability 0. The reference of a
multi-label clip is its first positive. A clip without any positive counts as the first annotated class in the paper's
metric, weighted F1 (`numpy.argmax` of zeros, there as here); the other metrics leave such clips out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion import metrics
from bimotion.labels import LabelSchema
from bimotion.protocol import Setting
from bimotion.results import Score


@dataclass(frozen=True)
class TestSet:
    """Predictions for one (cell, corpus), or for all corpora of a cell, ready for the metrics.

    targets, predictions       class numbers, shape (n,); prediction -1: none
    reference, probabilities   of the predictions table, shape (n, n_classes)
    """

    corpus: str | None
    n_utterances: int
    n_speakers: int
    n_speaker_unknown: int
    candidates: list[int]
    targets: np.ndarray
    predictions: np.ndarray
    reference: np.ndarray
    probabilities: np.ndarray

    def outside(self, trained: Iterable[int]) -> float:
        """Share of the clips none of whose positive classes was trained: no prediction of theirs can be right. Clips without
        any positive class count among all clips, not among these."""
        present = self.reference == 1
        missed = present.any(axis=1) & ~present[:, list(trained)].any(axis=1)
        return float(missed.mean())

    @property
    def scored(self) -> list[int]:
        """Candidate classes with at least one clip: recall and F1 of others are undefined."""
        return [place for place in self.candidates if (self.targets == place).any()]

    def papers(self, schema: LabelSchema) -> dict[str, float | None]:
        """The paper's metric, over all clips: its single form and, where clips can have several labels, its multi form."""
        values = {"weighted_f1": metrics.weighted_f1(self.targets, self.predictions, self.scored)}
        if not schema.exclusive:
            present, said = self.reference == 1, (self.probabilities > 0.5) & (self.reference != -1)
            values["weighted_f1_multi"] = metrics.weighted_f1_multi(present[:, self.candidates], said[:, self.candidates])
        return values

    def others(self) -> dict[str, float | None]:
        """All other metrics over the whole test set."""
        return {name: metric(self.targets, self.predictions, self.scored) for name, metric in metrics.OTHERS.items()}

    def by_label(self, schema: LabelSchema) -> dict[str, float | None]:
        """Binary F1 of each class."""
        values = metrics.label_f1(self.targets, self.predictions, self.scored)
        return {f"f1_{schema.classes[place]}": value for place, value in values.items()}


def test_set(rows: pd.DataFrame, corpus: str | None) -> TestSet:
    """Predictions table of one cell (and corpus) as arrays. Rows of several corpora keep their own candidates."""
    probabilities, reference = (np.stack(rows[name].to_numpy()) for name in ("probabilities", "reference"))
    annotated = reference != -1
    offered = np.where(annotated, probabilities, -1.0)
    return TestSet(
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


def scores(predictions: pd.DataFrame, settings: Iterable[Setting], schema: LabelSchema) -> list[Score]:
    """Rows of every setting and seed whose training set stands in the predictions."""
    rows: list[Score] = []
    tables = dict(list(predictions.groupby(["train", "cell", "seed"])))
    seeds = sorted(predictions["seed"].unique().tolist())
    for setting in settings:
        for seed in seeds:
            table = tables.get((setting.training_set, str(setting.test), seed))
            if table is not None:
                rows += _setting_scores(setting, table, schema, seed)
    return rows


def _setting_scores(setting: Setting, table: pd.DataFrame, schema: LabelSchema, seed: int) -> list[Score]:
    trained = set(table["trained"].iloc[0])
    places = [place for place, name in enumerate(schema.classes) if name in trained]

    def rows(part: TestSet, pooling: str | None, values: dict[str, float | None]) -> list[Score]:
        classes = [schema.classes[place] for place in part.scored]
        return [
            Score(
                transfer=setting.transfer,
                method=setting.method,
                train=list(setting.train_names),
                test=str(setting.test),
                corpus=part.corpus,
                pooling=pooling,
                metric=metric,
                value=value,
                n_utterances=part.n_utterances,
                n_speakers=part.n_speakers,
                n_speaker_unknown=part.n_speaker_unknown,
                classes=classes,
                untrained=[name for name in classes if name not in trained],
                outside=part.outside(places),
                seed=seed,
            )
            for metric, value in values.items()
        ]

    marked = table[[bool((np.asarray(reference) == 1).any()) for reference in table["reference"]]]
    scored: list[Score] = []
    for clips, evaluate in ((table, lambda part: part.papers(schema)), (marked, TestSet.others)):
        if clips.empty:
            continue
        parts = [test_set(one, corpus) for corpus, one in clips.groupby("corpus")]
        whole, values = test_set(clips, None), [evaluate(part) for part in parts]
        scored += rows(whole, "mean", {name: _mean(value[name] for value in values) for name in values[0]})
        scored += rows(whole, "pooled", evaluate(whole))
        scored += [score for part, value in zip(parts, values, strict=True) for score in rows(part, None, value)]
        if clips is marked:
            scored += [
                score
                for part in (whole, *parts)
                for score in rows(part, None if part.corpus else "pooled", part.by_label(schema))
            ]
    return scored


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
