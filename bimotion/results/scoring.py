"""From predictions to scores: a pure function of the predictions table, without torch, the same to
the digit anywhere.

Predictions, one row a training set, seed and test clip: `train` (Setting.training_set), `seed`,
`fold` (in which the clip was tested; all folds are scored together), `id`, `cell`, `corpus`,
`speaker` (or null), `probabilities` and `reference` (both lists over the schema's classes;
reference 1, 0, or -1 not annotated), `trained` (classes that can be predicted: with a positive
training clip, or an output of a zero-shot model).

Each (cell, corpus) test set is scored on its own, over its own corpus's classes, as the paper's
code does, and label by label where clips have several labels or none (clip_predictions.py); every
number gets its interval (statistics/spread.py).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import ClipPredictions, test_set
from bimotion.results.metrics import RANKING_METRICS
from bimotion.results.score import Score
from bimotion.results.statistics import from_predictions
from bimotion.results.statistics.estimate import pooled_likeness
from bimotion.results.statistics.interval import Interval
from bimotion.results.statistics.spread import Likeness, Spread

MetricGroup = tuple[ClipPredictions, Callable[[ClipPredictions], dict[str, float | None]]]


OF_THIS_CHECKPOINT = "of this checkpoint: another seed is not in the interval"


def scores(
    predictions: pd.DataFrame,
    settings: Iterable[Setting],
    schema: LabelSchema,
    *,
    is_seeded: bool = False,
) -> list[Score]:
    """Rows of every setting and seed whose training set stands in the predictions, each with its
    interval. How alike clips of one speaker are is carried over, metric by metric, from all
    settings whose test speakers are known to those where they are not.

    Args:
        is_seeded: The predictions depend on the seed (RunSpec.is_seeded): an interval of one seed
            says so.
    """
    rows: list[tuple[Score, str, Spread]] = []
    for setting, tables in from_predictions.tables_by_seed(predictions, settings):
        for table in tables:
            part, seed = test_set(table, schema), int(table["seed"].iloc[0])
            estimates = from_predictions.estimates_of(table, part, schema, ranked=True)
            for row in setting_scores(setting, part, trained_in(table), schema, seed):
                metric = numbered(row.metric, schema)
                spread = estimates[row.corpus or row.pooling, metric].spread
                rows.append((row, metric, spread))
    likeness = likeness_of(
        (row.corpus or row.pooling, metric, spread) for row, metric, spread in rows
    )
    intervals = [
        spread.with_likeness(carried(likeness, metric)).interval() for _, metric, spread in rows
    ]
    reason = OF_THIS_CHECKPOINT if is_seeded else None
    return [
        _with_interval(row, interval, reason)
        for (row, _, _), interval in zip(rows, intervals, strict=True)
    ]


def likeness_of(spreads: Iterable[tuple[str, str, Spread]]) -> dict[str, Likeness]:
    """Metric -> the likeness of one speaker's clips over all corpora of a run.

    Args:
        spreads: (corpus, or `mean`, or `pooled`; metric; its spread), of all settings and seeds.
    """
    of_corpora = defaultdict(list)
    for where, metric, spread in spreads:
        if where not in (from_predictions.MEAN, from_predictions.POOLED):
            of_corpora[metric].append(spread)
    return {metric: pooled_likeness(known) for metric, known in of_corpora.items()}


def carried(likeness: dict[str, Likeness], metric: str) -> Likeness:
    """The likeness in a metric; that in weighted F1 where no corpus of known speakers has it."""
    own = likeness.get(metric, Likeness())
    return own if own.is_seen else likeness.get("weighted_f1", own)


def numbered(metric: str, schema: LabelSchema) -> str:
    """A metric as statistics name it: that of a class by its number.

    >>> from bimotion.protocol.labels import SCHEMAS
    >>> numbered("f1_neutral", SCHEMAS["valence"]), numbered("macro_f1", SCHEMAS["valence"])
    ('f1_1', 'macro_f1')
    """
    kind, _, name = metric.partition("_")
    is_of_class = kind in ("f1", *RANKING_METRICS) and name in schema.classes
    return f"{kind}_{schema.classes.index(name)}" if is_of_class else metric


def _with_interval(row: Score, interval: Interval, also: str | None) -> Score:
    """Rounded, so that machines whose last digits differ agree; `also`: a reason more."""
    names = ("low", "high", "standard_error")
    numbers = {name: getattr(interval, name) for name in names}
    rounded = {
        name: None if number is None else round(number, 6) for name, number in numbers.items()
    }
    people = {"clusters": interval.clusters, "n_clusters": interval.n_clusters}
    reason = "; ".join(filter(None, (interval.explanation, also))) or None
    return replace(row, **rounded, **people, reason=reason)


def trained_in(table: pd.DataFrame) -> set[str]:
    """The classes that can be predicted, in any fold."""
    return set(np.concatenate(table["trained"].to_numpy()).tolist())


def setting_scores(
    setting: Setting,
    clips: ClipPredictions,
    trained: set[str],
    schema: LabelSchema,
    seed: int,
) -> list[Score]:
    """Rows of one setting and seed, without intervals.

    Args:
        setting: that was run.
        clips: its predictions.
        trained: classes that can be predicted.
        schema: its classes.
        seed: of the run.
    """
    predictable = [number for number, name in enumerate(schema.classes) if name in trained]
    rows: list[Score] = []
    for part, pooling, values, note in _values(clips, schema, predictable):
        classes = [schema.classes[number] for number in part.scored]
        of_part = {
            "corpus": part.corpus,
            "n_utterances": part.n_utterances,
            "n_speakers": part.n_speakers,
            "n_speaker_unknown": part.n_speaker_unknown,
            "classes": classes,
            "untrained": [name for name in classes if name not in trained],
            "out_of_label_space": part.out_of_label_space(predictable),
        }
        rows += [
            Score(
                transfer=setting.transfer,
                method=setting.method,
                train=list(setting.train_names),
                test=str(setting.test),
                pooling=pooling,
                metric=metric,
                value=value,
                seed=seed,
                note=note,
                **of_part,
            )
            for metric, value in values.items()
        ]
    return rows


def _values(
    clips: ClipPredictions, schema: LabelSchema, predictable: list[int]
) -> Iterator[tuple[ClipPredictions, str | None, dict[str, float | None], str | None]]:
    """Test set, pooling, values by metric, and note, in the order of the rows."""
    for whole, metrics_of in metric_groups(clips, schema):
        if not whole.n_utterances:
            continue
        parts = list(whole.by_corpus.values())
        missing = [name for name in clips.by_corpus if name not in whole.by_corpus]
        left_out = [f"{corpus}: left out, clips have several classes or none" for corpus in missing]
        notes = {part.corpus: _note(part, schema, predictable) for part in [whole, *parts]}
        noted = [f"{part.corpus}: {notes[part.corpus]}" for part in parts if notes[part.corpus]]
        values = [metrics_of(part) for part in parts]
        if all(numbered(name, schema) == name for name in values[0]):  # not of classes
            means = {metric: _mean([row[metric] for row in values]) for metric in values[0]}
            yield whole, "mean", means, "; ".join(noted + left_out) or None
        of_whole = [notes[None], *left_out] if notes[None] else left_out
        yield whole, "pooled", metrics_of(whole), "; ".join(of_whole) or None
        for part, row in zip(parts, values, strict=True):
            yield part, None, row, notes[part.corpus]


def metric_groups(clips: ClipPredictions, schema: LabelSchema) -> list[MetricGroup]:
    """Clips of a test cell, and the metrics that are of them: weighted F1 of all, macro F1 of those
    that count in it, recall and accuracy of corpora with one class a clip, and each class."""
    marked = clips.with_class(schema)
    is_own = marked.label_by_label
    one_label = marked.some(~is_own) if is_own.any() else marked
    return [
        (clips, lambda part: part.headline_metrics(schema)),
        (marked, ClipPredictions.macro_f1),
        (one_label, ClipPredictions.one_label_metrics),
        (marked, lambda part: part.by_label(schema)),
    ]


def _note(part: ClipPredictions, schema: LabelSchema, predictable: list[int]) -> str | None:
    """The reason why values say little: one class, which every guess gets right."""
    notes = [
        f"one class {where}: {schema.classes[numbers[0]]}"
        for where, numbers in (("in the test set", part.scored), ("can be predicted", predictable))
        if len(numbers) == 1
    ]
    return "; ".join(notes) or None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
