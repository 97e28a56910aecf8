"""From predictions to scores: a pure function of the predictions table, without torch, the same to
the digit anywhere.

Predictions, one row a training set, seed and test clip: `train` (Setting.training_set), `seed`,
`id`, `cell`, `corpus`, `speaker` (or null), `probabilities` and `reference` (both lists over the
schema's classes; reference 1, 0, or -1 not annotated), `trained` (classes that can be predicted:
with a positive training clip, or an output of a zero-shot model).

Each (cell, corpus) test set is scored on its own, over its own corpus's classes, as the paper's
code does (clip_predictions.py), and every number gets its interval (statistics/bootstrap.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import ClipPredictions, test_set
from bimotion.results.record import Score
from bimotion.results.statistics.bootstrap import intervals
from bimotion.results.statistics.estimate import Interval


def scores(
    predictions: pd.DataFrame, settings: Iterable[Setting], schema: LabelSchema
) -> list[Score]:
    """Rows of every setting and seed whose training set stands in the predictions, each with its
    interval."""
    settings = list(settings)
    rows: list[Score] = []
    tables = dict(list(predictions.groupby(["train", "cell", "seed"])))
    seeds = sorted(predictions["seed"].unique().tolist())
    for setting in settings:
        for seed in seeds:
            table = tables.get((setting.training_set, str(setting.test), seed))
            if table is not None:
                rows += setting_scores(setting, table, schema, seed)
    found = intervals(predictions, settings, schema)
    return [_with_interval(row, interval) for row, interval in zip(rows, found, strict=True)]


def _with_interval(row: Score, interval: Interval) -> Score:
    """Rounded, so that machines whose last digits differ agree."""
    low, high, error = (
        None if number is None else round(number, 6)
        for number in (interval.low, interval.high, interval.standard_error)
    )
    known = {
        "clusters": interval.clusters,
        "n_clusters": interval.n_clusters,
        "reason": interval.reason,
    }
    return replace(row, low=low, high=high, standard_error=error, **known)


def setting_scores(
    setting: Setting, table: pd.DataFrame, schema: LabelSchema, seed: int
) -> list[Score]:
    """Rows of one setting and seed, without intervals; `table`: its predictions."""
    trained = set(table["trained"].iloc[0])
    places = [place for place, name in enumerate(schema.classes) if name in trained]

    def note(part: ClipPredictions) -> str | None:
        tested, predictable = (
            [schema.classes[place] for place in found] for found in (part.scored, places)
        )
        return "; ".join(_notes(tested, predictable)) or None

    def rows(
        part: ClipPredictions,
        pooling: str | None,
        values: dict[str, float | None],
        said: str | None,
    ) -> list[Score]:
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
                out_of_label_space=part.out_of_label_space(places),
                seed=seed,
                note=said,
            )
            for metric, value in values.items()
        ]

    marked = table[[bool((np.asarray(reference) == 1).any()) for reference in table["reference"]]]
    scored: list[Score] = []
    for clips, evaluate in (
        (table, lambda part: part.paper_metrics(schema)),
        (marked, ClipPredictions.standard_metrics),
    ):
        if clips.empty:
            continue
        parts = [test_set(one, corpus) for corpus, one in clips.groupby("corpus")]
        whole, values = test_set(clips, None), [evaluate(part) for part in parts]
        said = "; ".join(f"{part.corpus}: {note(part)}" for part in parts if note(part)) or None
        scored += rows(
            whole,
            "mean",
            {name: _mean(value[name] for value in values) for name in values[0]},
            said,
        )
        scored += rows(whole, "pooled", evaluate(whole), note(whole))
        scored += [
            score
            for part, value in zip(parts, values, strict=True)
            for score in rows(part, None, value, note(part))
        ]
        if clips is marked:
            scored += [
                score
                for part in (whole, *parts)
                for score in rows(
                    part, None if part.corpus else "pooled", part.by_label(schema), note(part)
                )
            ]
    return scored


def _notes(tested: Sequence[str], predictable: Sequence[str]) -> Iterable[str]:
    """Of one class in a test set, which every guess of it gets right, or that can be predicted at
    all."""
    if len(tested) == 1:
        yield f"one class in the test set: {tested[0]}"
    if len(predictable) == 1:
        yield f"one class can be predicted: {predictable[0]}"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
