"""Submissions without labels: predictions only, scored by whoever has the answer key, with the
numbers that they would have with labels."""

import dataclasses
import io
import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from bimotion.leaderboard import (
    board,
    entry_cache,
    every_eval,
    labels_file,
    receipt,
    receiving,
    submission,
    verify,
)
from bimotion.leaderboard.reproduction import Agreement
from bimotion.protocol.labels import scored_schema
from bimotion.results import predictions, record
from tests.support.drafts import PREDICTIONS, RESULT
from tests.support.hidden_tests import sent

UNDECLARED = {"contact": None, "trained_on": None}


def named(folder):
    return f"{folder.parent.name}/{folder.name}"


def received(folder, known):
    """The verdict and the content of entry.npz."""
    [verdict] = receiving.receive(folder.parents[1], [named(folder)], known)
    receipts = receipt.folder_for(folder.parents[1])
    held = receipt.load(receipts, named(folder))
    return verdict, held and receipt.entry(receipts, named(folder), held)


def members(content):
    """The content of entry.npz, but for the key of the files that it is of."""
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name].tobytes() for name in archive}
    facts = json.loads(arrays.pop("facts"))
    return arrays, {name: facts[name] for name in facts.keys() - {"key", "ages"}}


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Another machine: nothing is in its cache."""
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "elsewhere"))


def test_nothing_that_is_made_from_labels_travels(run, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", labels=False, **UNDECLARED)
    with_labels = submission.pack(run, tmp_path / "others", **UNDECLARED)
    assert named(folder) == named(with_labels)
    table, whole = (pq.read_table(each / PREDICTIONS) for each in (folder, with_labels))
    assert table.schema.equals(predictions.WITHOUT_LABELS)
    assert table.equals(whole.drop_columns("reference"))
    result, full = (record.load(each / RESULT) for each in (folder, with_labels))
    assert (result.scores, result.human, result.duplicates) == ([], [], [])
    assert full.scores
    kept = {name: getattr(full, name) for name in ("scores", "human", "duplicates")}
    assert dataclasses.replace(result, **kept) == full


@pytest.mark.parametrize(
    ("asked", "seed"),
    [({"cells": ["eng_eld"]}, 1), ({"split_rule": "disjoint", "schema": "valence"}, 2)],
    ids=str,
)
def test_numbers_are_those_of_the_same_submission_with_labels(
    asked, seed, evaluated, known, tmp_path
):
    """To the byte of what a board keeps of it."""

    def noise(table):
        numbers = np.random.default_rng(seed).dirichlet(np.ones(13), len(table))
        n_classes = len(table["reference"].iloc[0])
        numbers = numbers[:, :n_classes] / numbers[:, :n_classes].sum(axis=1, keepdims=True)
        return table.assign(probabilities=list(numbers.astype(np.float32)))

    run = evaluated(**asked)
    without = sent(run, tmp_path / "a" / "submissions", "lab/model", change=noise)
    verdict, entry = received(without, known)
    assert verdict.problems == []
    assert [line for line in verdict.warnings if "entry.npz" in line]
    scores = verdict.result.scores
    whole = sent(
        run, tmp_path / "b" / "submissions", "lab/model", change=noise, labels=True, scores=scores
    )
    of_whole, entry_of_whole = received(whole, known)
    assert of_whole.problems == []
    assert of_whole.result.scores == scores
    assert members(entry) == members(entry_of_whole)
    [row], [row_of_whole] = (board.build(each.parents[1]).entries for each in (without, whole))
    assert row == row_of_whole
    assert row.flags.status == "recomputed"


def test_a_board_needs_the_receipt_and_no_labels(run, known, tmp_path, elsewhere):
    folder = sent(run, tmp_path / "submissions", "lab/model")
    [excluded] = board.build(folder.parents[1]).excluded
    assert excluded.reason.endswith(
        "predictions without labels, which only an answer key can "
        "score: verify it again (`bimotion leaderboard verify`)"
    )
    _, content = received(folder, known)
    [entry] = board.build(folder.parents[1]).entries
    assert entry.scores[0].value is not None
    # other ages at hand make no other entry of it
    assert entry_cache.load(receipt.digests(folder), content).entry.scores == entry.scores
    path = receipt.folder_for(folder.parents[1]) / named(folder) / "entry.npz"
    for damaged in (content[:-9], b"", None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        built = board.build(folder.parents[1])
        assert built.entries == []
        assert "verify it again" in built.excluded[0].reason
    shutil.rmtree(path.parents[2])
    assert "verify it again" in board.build(folder.parents[1]).excluded[0].reason


def other_clip(table):
    """A clip of training in place of one of the test."""
    names = table["id"].copy()
    names.iloc[0] = "tess/OAF_back_angry" if names.iloc[0] != "tess/OAF_back_angry" else "tess/x"
    return table.assign(id=names)


def test_it_is_run_again_and_exported_as_any_other_but_for_its_clips(run, known, tmp_path):
    folder = sent(run, tmp_path / "submissions", "lab/model")
    received(folder, known)
    submitted = receiving.received(folder.parents[1], named(folder))
    again = predictions.read(run / PREDICTIONS).to_pandas()
    schema = scored_schema("emotion", "paper")
    agreement = Agreement.of(submitted.predictions, again, schema)
    assert (agreement.n_predictions, agreement.right_there_only) == (len(again), 0)
    built = board.build(folder.parents[1])
    [made] = every_eval.write(built, folder.parents[1], tmp_path / "out")
    assert (made.clips, made.reason) == (None, "its predictions hold no labels")


def below_0(row):
    """Numbers that sum to 1, two of them out of range."""
    return np.array([-1, 2, *np.zeros(len(row) - 2)], np.float32)


SPOILT = {
    "a clip twice": (
        lambda table: pd.concat([table, table.iloc[:1]]),
        "each clip once, found twice",
    ),
    "a clip missing": (lambda table: table.iloc[1:], "all test clips, missing"),
    "another clip": (other_clip, "all test clips, missing"),
    "not in [0, 1]": (
        lambda table: table.assign(probabilities=[below_0(row) for row in table["probabilities"]]),
        "finite numbers from 0 to 1",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_other_clips_and_numbers_are_refused(name, run, known, tmp_path):
    change, message = SPOILT[name]
    folder = sent(run, tmp_path / "submissions", "lab/model", change=change)
    verdict = verify.verify(folder, known)
    assert any(message in line for line in verdict.problems), verdict.problems
    assert verdict.result is None


def test_scores_beside_predictions_without_labels_are_refused(run, known, tmp_path):
    folder = sent(run, tmp_path / "submissions", "lab/model")
    whole = sent(run, tmp_path / "others", "lab/model", labels=True)
    for name in (RESULT, PREDICTIONS):
        mixed = tmp_path / name / "submissions" / folder.parent.name / folder.name
        shutil.copytree(folder, mixed)
        shutil.copy(whole / name, mixed)
        statement = json.loads((mixed / "submission.json").read_text())
        statement["fingerprints"] = {
            each: receipt.digests(mixed)[each] for each in (PREDICTIONS, RESULT)
        }
        statement = json.dumps(statement, indent=1, ensure_ascii=False) + "\n"
        (mixed / "submission.json").write_text(statement)
        verdict = verify.verify(mixed, known)
        expected = "scores: expected none" if name == RESULT else "scores: expected"
        assert any(expected in line for line in verdict.problems), verdict.problems


def test_a_labels_file_without_all_labels_checks_nothing_and_withdraws_nothing(
    evaluated, known, tmp_path
):
    folder = sent(evaluated(), tmp_path / "submissions", "lab/model")
    assert received(folder, known)[0].ok
    file = labels_file.load(labels_file.export(known, tmp_path / "labels.json.gz"))
    verdict, entry = received(folder, file)
    assert verdict.problems == [
        "result.json: cannot be checked: the answer key has no labels of esd, iemocap, and the "
        "predictions hold none: verify with the corpora"
    ]
    assert entry is not None
