"""Runs under split rule `folds`: every clip of a column is predicted once for each training set and
seed, by a training that never heard its speaker."""

import dataclasses

import pandas as pd
import pytest

from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation import plan as planning
from bimotion.evaluation import run as runner
from bimotion.evaluation.presets import PRESETS
from bimotion.evaluation.task import TaskSpec
from bimotion.io.progress import Progress
from bimotion.protocol.cells import Cell
from bimotion.protocol.settings import Setting
from bimotion.results import predictions, rescoring
from tests.support.command_line import run_main

# whose speakers a fold keeps apart
SPEAKERS_APART = ("crema_d", "esd", "iemocap", "yuemotion")
ASKED = {"protocol": "inference", "seeds": (0, 1)}


@pytest.fixture(scope="module")
def finished(synth_root, tmp_path_factory):
    output = tmp_path_factory.mktemp("folds")
    result = runner.evaluate("bimotion/random", data_dir=synth_root, output=output, **ASKED)
    return result, result.folder(output)


def test_evaluate_alone_is_the_benchmark(finished):
    result, _ = finished
    assert (result.split.rule, result.split.folds, result.schema.name) == ("folds", 5, "valence")
    assert result.skipped == []


def test_a_column_has_the_same_clips_everywhere_once_each(finished):
    result, folder = finished
    table = pd.read_parquet(folder / "predictions.parquet")
    columns = {}
    for (train, seed, cell), rows in table.groupby(["train", "seed", "cell"]):
        assert rows["id"].is_unique, (train, seed)
        columns.setdefault(cell, set()).add(tuple(sorted(rows["id"])))
    assert all(len(of_cell) == 1 for of_cell in columns.values())
    assert table.groupby("id")["fold"].nunique().max() == 1
    assert {(fit.train, fit.seed, fit.fold) for fit in result.fits} == {
        (train, seed, fold)
        for train in table["train"].unique()
        for seed in (0, 1)
        for fold in range(5)
    }
    for fit in result.fits:
        of_fit = (table["train"] == fit.train) & (table["seed"] == fit.seed)
        assert fit.n_test == (of_fit & (table["fold"] == fit.fold)).sum()
        assert fit.n_validation > 0


def test_scores_are_those_of_all_folds_together_and_are_computed_again(finished):
    result, folder = finished
    _, again = rescoring.rescore(folder)
    assert again.scores == result.scores
    tested = pd.read_parquet(folder / "predictions.parquet").drop_duplicates(["id", "cell"])
    whole = {s.test: s.n_utterances for s in result.scores if s.pooling == "pooled"}
    assert whole == tested["cell"].value_counts().to_dict()


@pytest.fixture(scope="module")
def planned(synth_root):
    source = CorpusSource.of(synth_root)
    return planning.plan(TaskSpec.of(), source, Progress(), adapts="transductive")


def test_parts_of_a_fold_are_apart_for_every_training_set(planned):
    labelled, plan = planned
    table = labelled.table
    words = table["id"].where(table["corpus"] != "tess", table["sentence"])
    sentences = table["corpus"] == "esd"
    for training in plan.training_sets:
        heard = table.index.isin([*training.train, *training.validation])
        tested = table.index.isin(training.test)
        assert not (heard & tested).any()
        apart = table["corpus"].isin(SPEAKERS_APART)
        speakers = [set(table.loc[rows & apart, "speaker"]) for rows in (heard, tested)]
        assert not speakers[0] & speakers[1]
        assert not set(words[heard]) & set(words[tested])
        sentences_of = [set(table.loc[rows & sentences, "sentence"]) for rows in (heard, tested)]
        assert not sentences_of[0] & sentences_of[1]
        for target in training.targets:  # adaptation hears its own fold, whole
            assert set(target.test) <= set(target.unlabelled)


def test_some_folds_are_the_first_ones_and_another_question(synth_root, finished, tmp_path):
    whole, folder = finished
    first = runner.evaluate(
        "bimotion/random", data_dir=synth_root, output=tmp_path, folds=2, **ASKED
    )
    assert first.key != whole.key
    assert first.split == dataclasses.replace(whole.split, folds=2)
    table, of_first = (
        pd.read_parquet(path / "predictions.parquet") for path in (folder, first.folder(tmp_path))
    )
    expected = table[table["fold"] < 2]
    key = ["train", "seed", "id"]
    assert of_first[key].sort_values(key).values.tolist() == (
        expected[key].sort_values(key).values.tolist()
    )


@pytest.mark.parametrize("one_fold", [False, True])
def test_one_fold_needs_no_clips_of_the_others(shared_corpora, one_fold):
    """The one real clip of CREMA-D here trains in three of the five folds."""
    source = CorpusSource.of(shared_corpora, only=["crema_d", "csed"], allow_missing=True)
    adults, elders = Cell.parse("eng_adu"), Cell.parse("zho_eld")
    crossing = Setting("cross-all", "inference", (adults,), elders)
    _, plan = planning.planned([crossing], TaskSpec.of(), source, Progress(), one_fold=one_fold)
    if one_fold:
        assert [(job.fold, len(job.train)) for job in plan.training_sets] == [(0, 1)]
    else:
        assert plan.skipped[0].reason == "no training clips in eng_adu in fold 2"


def test_folds_are_refused_where_there_are_none():
    for asked in ({"split_rule": "paper", "folds": 1}, {"folds": 0}, {"folds": 6}):
        with pytest.raises(SettingError, match=r"^folds: expected "):
            TaskSpec.of(**asked)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_options_override(name, synth_root, tmp_path):
    asked = {"data_dir": synth_root, "only": "csed", "cells": "zho_eld", "output": tmp_path}
    preset = PRESETS[name]
    result = runner.evaluate("bimotion/majority", preset=name, protocol="in-group", **asked)
    assert (result.split.rule, result.schema.name) == (preset.split_rule, preset.schema)
    other = runner.evaluate(
        "bimotion/majority",
        preset=name,
        protocol="in-group",
        split_rule="disjoint",
        schema="valence",
        **asked,
    )
    assert (other.split.rule, other.schema.name) == ("disjoint", "valence")


def test_both_schemas_give_two_results(monkeypatch, synth_root, tmp_path):
    words = f"evaluate -m bimotion/majority --corpora {synth_root} --only csed --schema both"
    words += f" --protocol in-group --cells zho_eld --folds 1 -o {tmp_path}"
    code, output, errors = run_main(monkeypatch, words.split())
    assert code == 0, errors
    results = [rescoring.read_result(path) for path in sorted(tmp_path.glob("*/*/"))]
    assert {result.schema.name for result in results} == {"valence", "emotion"}
    assert "split folds-1" in output


def test_predictions_of_version_1_are_read_as_one_fold(finished, tmp_path):
    table = predictions.read(finished[1] / "predictions.parquet").drop_columns("fold")
    predictions.pq.write_table(table.replace_schema_metadata(None), tmp_path / "old.parquet")
    read = predictions.read(tmp_path / "old.parquet")
    assert read.column_names == predictions.SHAPE.names
    assert set(read["fold"].to_pylist()) == {0}
