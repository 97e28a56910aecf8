"""Submissions without labels: predictions only, whose labels whoever verifies fills in from the
answer key.

They may be published where a corpus's licence lets nobody publish labels, and they are all that a
hidden test takes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from bimotion.corpora import CORPORA
from bimotion.errors import some
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.leaderboard.assignments import parts_by_fold
from bimotion.leaderboard.submission import OF_LABELS
from bimotion.protocol.labels import LabelSchema
from bimotion.results import predictions, rescoring
from bimotion.results.predictions import LABELS
from bimotion.results.record import PREDICTIONS_FILE, Result


def problems(result: Result) -> Iterator[str]:
    """Yield what a result says that it could not know without labels."""
    for name in OF_LABELS:
        if n := len(getattr(result, name)):
            yield f"{name}: expected none beside predictions without labels, found {n} rows"


def filled(table: pa.Table, schema: LabelSchema, answer_key: AnswerKey) -> pa.Table:
    """Predictions with the labels that participants have been given: in a hidden test not the true
    ones. Clips that the answer key lacks get no label: `verify` refuses them."""
    clips = table["id"].to_pandas()
    emotions = answer_key.table["emotions"].reindex(clips.unique())
    is_known = emotions.index.isin(answer_key.table.index)
    nothing = np.full(len(schema.classes), -1, np.int8)
    references = {
        clip: _reference(clip, names, schema) if known else nothing
        for (clip, names), known in zip(emotions.items(), is_known, strict=True)
    }
    return _with_labels(table, [references[clip] for clip in clips])


def scored(path: Path, result: Result, answer_key: AnswerKey) -> pd.DataFrame:
    """The predictions of a submission without labels, in whose rows nothing is wrong, with the
    labels that count; of a hidden test those that the host alone has, without clips that have no
    class by them."""
    schema = rescoring.schema_of(result)
    table = filled(predictions.read(path / PREDICTIONS_FILE), schema, answer_key)
    return with_true_labels(table, schema, answer_key).to_pandas()


def with_true_labels(table: pa.Table, schema: LabelSchema, answer_key: AnswerKey) -> pa.Table:
    """Filled predictions with the labels of the hidden test, if it is one."""
    if answer_key.hidden is None:
        return table
    clips = table["id"].to_pandas()
    emotions = answer_key.hidden.emotions.reindex(clips.unique())
    references = {
        clip: _reference(clip, names, schema)
        for clip, names in emotions.items()
        if schema.left_out(_names(names), _annotated(clip)) is None
    }
    table = table.filter(pa.array(clips.isin(references)))
    return _with_labels(table, [references[clip] for clip in table["id"].to_pylist()])


def why_not_hidden(result: Result, answer_key: AnswerKey) -> str | None:
    """Say why a run cannot be one of a hidden test: its split trains on clips whose labels are held
    back, on whatever was given out in their place; None: it can."""
    rule, table = result.split.rule, answer_key.table
    true = answer_key.hidden.emotions.reindex(table.index)
    held_back = answer_key.splits[rule][table["emotions"] != true]
    trained = set()
    for parts in parts_by_fold(held_back, rule):
        trained.update(held_back.index[np.isin(parts, ["train", "validation"])])
    if not trained:
        return None
    return (
        f"split.rule: expected a split that only tests the clips of the hidden test, found {rule}, "
        f"which trains on {some(sorted(trained))}"
    )


def _with_labels(table: pa.Table, references: list[np.ndarray]) -> pa.Table:
    labels = pa.array(references, predictions.SHAPE.field(LABELS).type)
    without = table.drop_columns(LABELS) if predictions.has_labels(table) else table
    return without.append_column(LABELS, labels).select(predictions.SHAPE.names)


def _reference(clip: str, emotions: str, schema: LabelSchema) -> np.ndarray:
    return schema.reference(_names(emotions), _annotated(clip))


def _names(emotions: str) -> list[str]:
    return [name for name in emotions.split("+") if name]


def _annotated(clip: str) -> tuple[str, ...]:
    """Emotions that the corpus of a clip annotates."""
    return CORPORA[clip.partition("/")[0]].card.emotions
