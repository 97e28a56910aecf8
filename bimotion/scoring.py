"""From predictions to scores: a pure function of the predictions table, without torch, the same to the digit anywhere.

Predictions, one row a training set and test clip: `train` (cells joined by +), `id`, `cell`, `corpus`, `speaker` (or
null), `probabilities` and `reference` (both lists over the schema's classes; reference 1, 0, or -1 not annotated),
`trained` (classes with a positive training clip).

Each (cell, corpus) test set is scored on its own, over its own corpus's classes, as the paper's code does: the
prediction is the arg-max over the classes the corpus annotates; the reference of a multi-label clip is its first
positive, and of a clip without any the first annotated class (`numpy.argmax` of zeros, there as here).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion import metrics
from bimotion.labels import LabelSchema
from bimotion.protocol import Setting
from bimotion.results import Score


def joined(cells: Iterable[object]) -> str:
    """Name of a training set: its cells joined by +.

    >>> joined(["eng_eld", "zho_eld"])
    'eng_eld+zho_eld'
    """
    return "+".join(map(str, cells))


@dataclass(frozen=True)
class TestSet:
    """Predictions for one (cell, corpus), or for all corpora of a cell, ready for the metrics.

    candidates                 class numbers that some clip's corpus annotates
    targets, predictions       class numbers, shape (n,)
    reference, probabilities   as in the predictions table, shape (n, n_classes)
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

    @property
    def scored(self) -> list[int]:
        """Candidate classes with at least one clip: recall and F1 of others are undefined."""
        return [place for place in self.candidates if (self.targets == place).any()]

    def values(self, schema: LabelSchema) -> Iterator[tuple[str, float | None]]:
        """Metric name and value."""
        for name, metric in metrics.METRICS.items():
            yield name, metric(self.targets, self.predictions, self.scored)
        if not schema.exclusive:
            present, said = self.reference == 1, (self.probabilities > 0.5) & (self.reference != -1)
            yield "weighted_f1_multi", metrics.weighted_f1_multi(present[:, self.candidates], said[:, self.candidates])
        for place, value in metrics.label_f1(self.targets, self.predictions, self.scored).items():
            yield f"f1_{schema.classes[place]}", value


def test_set(rows: pd.DataFrame, corpus: str | None) -> TestSet:
    """Predictions table of one cell (and corpus) as arrays. Rows of several corpora keep their own candidates."""
    probabilities, reference = (np.stack(rows[name].to_numpy()) for name in ("probabilities", "reference"))
    annotated = reference != -1
    return TestSet(
        corpus=corpus,
        n_utterances=len(rows),
        n_speakers=int(rows["speaker"].nunique()),
        n_speaker_unknown=int(rows["speaker"].isna().sum()),
        candidates=np.flatnonzero(annotated.any(axis=0)).tolist(),
        targets=np.where(annotated, reference, -1).argmax(axis=1),
        predictions=np.where(annotated, probabilities, -1.0).argmax(axis=1),
        reference=reference,
        probabilities=probabilities,
    )


def scores(predictions: pd.DataFrame, settings: Iterable[Setting], schema: LabelSchema, seed: int) -> list[Score]:
    """Rows of every setting whose training set stands in the predictions."""
    rows: list[Score] = []
    tables = dict(list(predictions.groupby(["train", "cell"])))
    for setting in settings:
        table = tables.get((joined(setting.train), str(setting.test)))
        if table is not None:
            rows += _setting_scores(setting, table, schema, seed)
    return rows


def _setting_scores(setting: Setting, table: pd.DataFrame, schema: LabelSchema, seed: int) -> list[Score]:
    trained = set(table["trained"].iloc[0])

    def rows(part: TestSet, pooling: str | None, values: Iterable[tuple[str, float | None]]) -> list[Score]:
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
                seed=seed,
            )
            for metric, value in values
        ]

    parts = [test_set(clips, corpus) for corpus, clips in table.groupby("corpus")]
    pooled = test_set(table, None)
    of_corpora = [(part, list(part.values(schema))) for part in parts]
    means = [
        (name, _mean(dict(values).get(name) for _, values in of_corpora))
        for name in [*metrics.METRICS, *(["weighted_f1_multi"] if not schema.exclusive else [])]
    ]
    return (
        rows(pooled, "mean", means)
        + rows(pooled, "pooled", pooled.values(schema))
        + [score for part, values in of_corpora for score in rows(part, None, values)]
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
