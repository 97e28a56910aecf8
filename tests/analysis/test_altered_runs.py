"""A run whose predictions are not those of its record is refused, whatever its checksums say."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bimotion.errors import RecordError
from bimotion.io import checksums
from bimotion.results import rescoring
from bimotion.results.predictions import save
from bimotion.results.run_folder import KEPT_FILES

ASKED = {"rule": "folds", "cells": ("yue_eld",), "protocol": "cantonese"}


def first(column, value):
    """Another value in the first row of a column."""
    return lambda t: t.assign(**{column: [value, *t[column].iloc[1:]]})


def every(column, value):
    return lambda t: t.assign(**{column: [value] * len(t)})


def numbers(column, value):
    return lambda t: t.assign(**{column: [np.full(3, value, values.dtype) for values in t[column]]})


def in_two_folds(table):
    return pd.concat([table, table.iloc[:1].assign(fold=np.int8(4))])


ROWS = {
    "a fold left out": (lambda t: t[t["fold"] != 2], "fold 2: expected "),
    "a fold beyond all": (
        first("fold", np.int8(99)),
        "fold 0: expected 30 clips, as its record",
    ),
    "a clip in two folds": (in_two_folds, "fold 4: expected "),
    "a clip twice, another not": (lambda t: t.iloc[[0, 0, *range(2, len(t))]], "found 1 again"),
    "no rows": (lambda t: t.iloc[:0], "as its record says, found 0"),
    "another seed": (every("seed", 5), "seed 0, fold 0: expected "),
    "no numbers": (numbers("probabilities", np.nan), "expected numbers from 0 to 1, found nan"),
    "no shares": (numbers("probabilities", np.inf), "expected numbers from 0 to 1, found inf"),
    "no marks": (numbers("reference", 7), "reference: expected numbers from -1 to 1, found 7"),
    "another class": (every("trained", ["x"]), "trained: expected those of its record, found 'x'"),
    "another cell": (every("cell", "x_y"), "train and cell: expected those of its record, found"),
    "another corpus": (every("corpus", "<b>"), "corpus: expected those of its record, found '<b>'"),
}
RECORDS = {
    "seeds twice": (lambda r: {"seeds": [0, 0]}, "expected trainings with each of its seeds, onc"),
    "no seeds": (lambda r: {"seeds": []}, "expected trainings with each of its seeds, once; its"),
    "fewer folds": (lambda r: {"split": replace(r.split, folds=1)}, "in folds below 1, found"),
    "no trainings": (lambda r: {"fits": []}, "expected trainings with each of its seeds, once"),
    "classes in another order": (
        lambda r: {"schema": replace(r.schema, classes=r.schema.classes[::-1])},
        "expected classes positive, neutral, negative, found negative, neutral, positive",
    ),
}


@pytest.fixture
def folder(folders, tmp_path):
    """A copy of a run over five folds."""
    return shutil.copytree(folders("random", **ASKED), tmp_path / "run")


def check_refused(folder, expected):
    checksums.write(folder, KEPT_FILES)
    with pytest.raises(RecordError) as refused:
        rescoring.read(folder)
    assert f"{folder}/predictions.parquet: " in str(refused.value)
    assert expected in str(refused.value)


@pytest.mark.parametrize("name", list(ROWS))
def test_predictions_that_a_record_does_not_say_are_refused(name, folder):
    change, expected = ROWS[name]
    save(change(rescoring.read(folder)[1]), folder / "predictions.parquet")
    check_refused(folder, expected)


@pytest.mark.parametrize("name", list(RECORDS))
def test_a_record_that_its_predictions_do_not_answer_is_refused(name, folder):
    change, expected = RECORDS[name]
    result = rescoring.read(folder)[0]
    result = replace(result, **change(result))
    replace(result, key=result.spec.key).save(folder)
    check_refused(folder, expected)
