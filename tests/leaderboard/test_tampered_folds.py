"""Submissions of the benchmark's cross-validation: an honest one is verified; clips in another
fold, in two or in none, and folds that were not run, are refused."""

import numpy as np
import pandas as pd
import pytest

from tests.support.drafts import check_refused, rows, verdicts_of

FOLD_AND_CLASSES = ["fold", "trained"]


@pytest.fixture(scope="module")
def folds_run(evaluated):
    return evaluated(cells=["eng_eld"], split_rule="folds", schema="valence")


def moved(fold):
    """The first clip of fold 1, in another."""

    def change(table):
        table.loc[table.index[table["fold"] == 1][0], "fold"] = fold
        return table

    return rows(change)


def trained_on_less(table):
    """In one fold."""
    lists = [["neutral"] if fold == 2 else names for fold, names in table[FOLD_AND_CLASSES].values]
    return table.assign(trained=lists)


def twice(table):
    return pd.concat([table, table.iloc[[0]].assign(fold=(table["fold"].iloc[0] + 1) % 5)])


def with_folds(value, rescored=False):
    """Another number of folds; `rescored`: with predictions and scores of so many only."""

    def tamper(draft):
        draft.result["split"]["folds"] = value
        if rescored:
            draft.table = draft.table[draft.table["fold"] < value].reset_index(drop=True)
            draft.rescored()

    return tamper


def fit_elsewhere(draft):
    draft.result["fits"][0]["fold"] = 4


TAMPERED = {
    "a clip in another fold": (moved(2), "fold: expected 1, found 2"),
    "a fold beyond all": (moved(100), "fold: expected 1, found 100"),
    "a clip in two folds": (rows(twice), "each clip once, found twice"),
    "a fold left out": (rows(lambda t: t[t["fold"] != 3]), "all test clips, missing"),
    "all in one fold": (rows(lambda t: t.assign(fold=np.int8(0))), "fold: expected"),
    "fewer folds said than sent": (with_folds(2), "fits: expected 2 rows, found 5"),
    "fewer folds sent than fits": (with_folds(2, True), "fits: expected 2 rows, found 5"),
    "no folds": (with_folds(None), "split.folds: expected 1 to 5, found None"),
    "folds without end": (with_folds(10**12), "folds: expected less than or equal to 5, found"),
    "a fit in another fold": (fit_elsewhere, "fits[0].fold: expected 0, found 4"),
    "trained on less in one fold": (rows(trained_on_less), "eng_eld: trained: expected positive|"),
    "untouched": (lambda draft: None, None),
}


@pytest.fixture(scope="module")
def verdicts(folds_run, known, tmp_path_factory):
    return verdicts_of(TAMPERED, folds_run, known, tmp_path_factory)


@pytest.mark.parametrize("name", [name for name in TAMPERED if name != "untouched"])
def test_tampered_folds_are_refused_with_their_reason(name, verdicts):
    check_refused(verdicts[name], TAMPERED[name][1])


def test_an_untouched_cross_validation_is_verified(verdicts):
    assert verdicts["untouched"].problems == []
