"""Predictions that are changed, and scores that follow, are refused with their reason."""

import os
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bimotion.results import predictions
from tests.support.drafts import (
    PREDICTIONS,
    afterwards,
    check_refused,
    in_shape,
    number,
    oversize,
    rewritten,
    rows,
    save_rows,
    swapped_label,
    verdicts_of,
)


def cell(column, row, value):
    """Another value in one row of the predictions."""

    def tamper(draft):
        values = draft.table[column].tolist()
        values[row] = value(values[row]) if callable(value) else value
        draft.table[column] = values

    return tamper


def shaped(change):
    """Predictions of another shape."""

    def tamper(draft):
        draft.table = change(in_shape(draft.table))

    return tamper


def swapped_probabilities(draft):
    first, second, *rest = draft.table["probabilities"]
    draft.table["probabilities"] = [second, first, *rest]


def labels_after_predictions(draft):
    """Every label moved to where the model is right, and the scores made anew: all of a piece, and
    all wrong."""
    draft.table["reference"] = [
        np.where(labels == -1, -1, np.arange(13) == np.where(labels == -1, -1, guess).argmax())
        for guess, labels in zip(
            draft.table["probabilities"], draft.table["reference"], strict=True
        )
    ]
    draft.rescored()
    scores = draft.result["scores"]
    assert {score["value"] for score in scores if score["metric"] == "accuracy"} == {1.0}


def train_clip(table):
    extra = table.iloc[[0]].assign(id="crema_d/1009_DFA_ANG_XX")
    return pd.concat([table, extra], ignore_index=True)


def seeds_promised(draft):
    draft.result["seeds"] = [0, 1]
    draft.result["fits"] = [fit | {"seed": seed} for fit in draft.result["fits"] for seed in (0, 1)]


def footer_of(n_bytes):
    return lambda data: data[:-8] + n_bytes.to_bytes(4, "little") + data[-4:]


def bytes_of(change):
    return afterwards(rewritten(PREDICTIONS, change))


def column(index, make):
    """Another column in place of one, made of the table."""
    return shaped(lambda table: table.set_column(index, table.schema.names[index], make(table)))


def bomb(folder):
    """One text of 1 MiB for every row: a few KB of file, a good 5 GB of columns."""
    n_rows = pq.read_metadata(folder / PREDICTIONS).num_rows
    save_rows(folder / PREDICTIONS, n_rows, "x" * 2**20)


def many_groups(folder):
    table = pq.read_table(folder / PREDICTIONS)
    pq.write_table(table, folder / PREDICTIONS, row_group_size=1)


class Trap:
    def __reduce__(self):
        return os.system, ("touch /tmp/bimotion-was-here",)


MERGED = "crema_d/1016"
RANGE = "finite numbers from 0 to 1, found"
TAMPERED = {
    # predictions, with scores that follow where that helps
    "probabilities of two clips exchanged": (swapped_probabilities, "scores["),
    "label changed": (cell("reference", 0, swapped_label), "labels: expected"),
    "labels after the predictions": (labels_after_predictions, "labels: expected"),
    "label removed": (cell("reference", 0, lambda labels: np.minimum(labels, 0)), "labels: exp"),
    "not annotated": (cell("reference", 0, np.full(13, -1)), "labels: expected"),
    "label out of range": (cell("reference", 0, np.full(13, 5)), "expected labels 1, 0 and -1"),
    "row dropped": (rows(lambda t: t.drop(index=7)), "all test clips, missing: 'crema_d/"),
    "corpus dropped": (rows(lambda t: t[t["corpus"] != "elderreact"]), "missing: 'elderreact/"),
    "row twice": (rows(lambda t: pd.concat([t, t.iloc[[5]]])), "found twice: 'crema_d/"),
    "training clip tested": (rows(train_clip), "split only, found: 'crema_d/1009_DFA_ANG_XX'"),
    "other id": (cell("id", 3, "tess/OAF_none_neutral"), "found: 'tess/OAF_none_neutral'"),
    "other corpus": (cell("corpus", 0, "tess"), "corpus: expected 'crema_d', found 'tess'"),
    "other cell": (cell("cell", 0, "eng_adu"), "cell: expected 'eng_eld', found 'eng_adu'"),
    "speakers merged": (
        rows(lambda t: t.assign(speaker=t["speaker"].where(t["corpus"] != "crema_d", MERGED))),
        f"speaker: expected another, found '{MERGED}'",
    ),
    "speaker invented": (cell("speaker", 449, "elderreact/1"), "speaker: expected None, found 'el"),
    "speaker hidden": (cell("speaker", 0, None), "speaker: expected another, found None"),
    "NaN": (cell("probabilities", 4, number(2, np.nan)), f"{RANGE} nan at"),
    "infinity": (cell("probabilities", 4, number(2, np.inf)), f"{RANGE} inf at"),
    "beyond 1": (cell("probabilities", 4, number(2, 1.5)), f"{RANGE} 1.5 at"),
    "negative": (cell("probabilities", 4, number(12, -0.25)), f"{RANGE} -0.25 at"),
    "class too few": (cell("probabilities", 4, lambda p: p[:-1]), "of 13 classes, found 12"),
    "class too many": (cell("probabilities", 4, lambda p: [*p, 0.5]), "of 13 classes, found 14"),
    "no classes": (cell("reference", 4, []), "column reference: expected one number for each of 1"),
    "a thousand classes": (cell("probabilities", 4, [0.5] * 1000), "expected lists of at most 64"),
    "null for a list": (cell("probabilities", 4, None), "found a null or a longer one"),
    "null in a list": (cell("trained", 4, ["angry", None]), "a value in every row, found 1 nulls"),
    "null for an id": (cell("id", 4, None), "column id: expected a value in every row, found 1"),
    "long text": (cell("train", 4, "x" * 300), "column train: expected texts of at most 256 bytes"),
    "other seed": (rows(lambda t: pd.concat([t, t.assign(seed=1)])), "only, found ('eng_eld', 1)"),
    "seed missing": (seeds_promised, "eng_eld, seed 1: expected predictions of its test clips"),
    "training set renamed": (rows(lambda t: t.assign(train="all")), "eng_eld, seed 0: expected pr"),
    "trained on less": (
        rows(lambda t: t.assign(trained=[["angry"]] * len(t))),
        "eng_eld: trained: expected sadness|",
    ),
    "trained joined into one name": (
        rows(lambda t: t.assign(trained=[["|".join(names)] for names in t["trained"]])),
        "column trained: expected classes of schema emotion, found 'sadness|",
    ),
    "trained differs": (cell("trained", 9, ["angry"]), "eng_eld: trained: expected sadness|"),
    # shape of the predictions
    "text for numbers": (column(5, lambda t: t["seed"].cast(pa.string())), "other: seed: string"),
    "double for float": (
        column(7, lambda t: t["probabilities"].cast(pa.list_(pa.float64()))),
        "other: probabilities: list",
    ),
    "column too many": (shaped(lambda t: t.append_column("note", t["id"])), "other: note"),
    "column missing": (shaped(lambda t: t.drop_columns("speaker")), "other: speaker"),
    "columns in another order": (shaped(lambda t: t.select(t.schema.names[::-1])), "other: order"),
    "nested column": (column(9, lambda t: pa.array([[["a"]]] * len(t))), "other: trained: list<"),
    "no rows": (shaped(lambda t: t.slice(0, 0)), "expected 1 to 2306 rows, found 0"),
    "row groups of one row": (afterwards(many_groups), "expected 1 to 1000 row groups, found 1153"),
    # bytes of the predictions
    "truncated": (bytes_of(lambda data: data[:-100]), "expected Parquet, found a file"),
    "half": (bytes_of(lambda d: d[: len(d) // 2] + d[-8:]), "cannot be read as Parquet"),
    "pickle": (bytes_of(pickle.dumps(Trap())), "expected Parquet, found a file that begins with"),
    "tiny": (bytes_of(b"PAR1"), "expected Parquet, found 4 bytes"),
    "footer of 4 GB": (bytes_of(footer_of(2**32 - 1)), "expected a footer of at most"),
    "footer of nothing": (bytes_of(footer_of(0)), "predictions.parquet: cannot be read as Parquet"),
    "zeros": (bytes_of(lambda d: b"PAR1" + bytes(len(d) - 12) + d[-8:]), "read as Parquet"),
    "oversize": (
        afterwards(oversize(PREDICTIONS, predictions.MAX_BYTES + 1), seal=False),
        "found 536870913",
    ),
    "bomb": (afterwards(bomb), "reading it takes more than 3 GiB of memory"),
}


@pytest.fixture(scope="module")
def verdicts(run, known, tmp_path_factory):
    return verdicts_of(TAMPERED, run, known, tmp_path_factory)


@pytest.mark.parametrize("name", list(TAMPERED))
def test_tampered_predictions_are_refused_with_their_reason(name, verdicts):
    check_refused(verdicts[name], TAMPERED[name][1])
