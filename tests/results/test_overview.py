"""The overview of a folder of results: what it orders, and what it excludes."""

import dataclasses
import json

import pytest

from bimotion.io.versions import NUMBERS_VERSION
from bimotion.results import overview
from bimotion.results.record import DataUsed, ModelUsed, SplitUsed
from tests.support.small_records import CREMA_D, SCORE, SPEC, result_of

CELLS = ("eng_eld", "eng_adu", "zho_eld", "zho_adu")
WHOLE = {"crema_d": dataclasses.replace(CREMA_D, complete=True)}
SYNTHETIC = {"crema_d": dataclasses.replace(CREMA_D, synthetic=True)}


def saved(folder, model, values, seed=0, corpora=None):
    """A result of a model below a folder, with an in-group score for each cell; returns its
    spec."""
    spec = dataclasses.replace(SPEC, model=ModelUsed(model, "1"), seeds=[seed])
    rows = [dataclasses.replace(SCORE, test=cell, value=value) for cell, value in values.items()]
    result_of(
        rows, spec, data=DataUsed.of(spec.data_fingerprint, corpora or {"crema_d": CREMA_D})
    ).save(folder / model.replace("/", "__") / spec.key)
    return spec


def board_of(folder):
    return json.loads(overview.collect(folder).read_text(encoding="utf-8"))


def test_board_is_ordered_by_mean_in_group(tmp_path):
    saved(tmp_path, "a/low", dict(zip(CELLS, (0.2, 0.3, 0.2, 0.3), strict=True)))
    saved(tmp_path, "b/high", dict(zip(CELLS, (0.9, 0.6, 0.9, 0.6), strict=True)))
    saved(tmp_path, "c/easy", dict.fromkeys(CELLS[:3], 1.0))
    saved(tmp_path, "d/none", {"eng_eld": None})
    board = board_of(tmp_path)
    assert [(entry["model"], entry["mean_in_group"]) for entry in board["entries"]] == [
        ("b/high", pytest.approx(0.75)),
        ("a/low", 0.25),
        ("c/easy", None),
        ("d/none", None),
    ]
    del board["entries"]
    assert board == {"leaderboard_version": 3, "metric": "weighted_f1", "excluded": []}


def test_only_comparable_entries_are_ordered_together(tmp_path):
    asked = [("paper", 0.2), ("disjoint", 0.1), ("paper", 0.9), ("disjoint", 0.3)]
    for number, (rule, value) in enumerate(asked):
        spec = dataclasses.replace(SPEC, split=SplitUsed(rule, 0, NUMBERS_VERSION), seeds=[number])
        rows = [dataclasses.replace(SCORE, test=cell, value=value) for cell in CELLS]
        result_of(rows, spec).save(tmp_path / "m" / spec.key)
    assert [
        (entry["split_rule"], round(entry["mean_in_group"], 6))
        for entry in board_of(tmp_path)["entries"]
    ] == [("disjoint", 0.3), ("disjoint", 0.1), ("paper", 0.9), ("paper", 0.2)]


def test_equal_entries_are_ordered_by_model_and_key(tmp_path):
    specs = [
        dataclasses.replace(SPEC, model=ModelUsed(model, "1"), seeds=[seed])
        for model in ("a", "b")
        for seed in (0, 1, 2)
    ]
    specs.sort(key=lambda spec: (spec.model.name, spec.key))
    for folder, spec in zip("fedcba", specs, strict=True):  # folders in the opposite order
        result_of(spec=spec).save(tmp_path / "any" / folder)
    assert [(entry["model"], entry["key"]) for entry in board_of(tmp_path)["entries"]] == [
        (s.model.name, s.key) for s in specs
    ]


def test_entry_says_what_was_run(tmp_path):
    spec = saved(tmp_path, "bimotion/test", {"eng_eld": 0.5})
    assert board_of(tmp_path)["entries"] == [
        {
            "model": "bimotion/test",
            "key": spec.key,
            "result": f"bimotion__test/{spec.key}/result.json",
            "track": "probe",
            "adapt": None,
            "split_rule": "paper",
            "schema": "emotion",
            "protocol": "all",
            "cells": None,
            "seeds": [0],
            "limit": None,
            "data_fingerprint": "0123456789ab",
            "complete": False,
            "mean_in_group": None,
            "scores": {"in-group/inference": {"eng_eld": 0.5}},
        }
    ]


def test_entry_has_every_setting_that_was_run(tmp_path):
    expected = {
        "in-group/inference": {"eng_eld": 0.5},
        "cross-age/inference": {"eng_eld": 0.25},
        "cross-all/augmentation": {"eng_eld": 0.75},
    }
    rows = [
        dataclasses.replace(SCORE, transfer=transfer, method=method, value=scores["eng_eld"])
        for (transfer, _, method), scores in (
            (name.partition("/"), scores) for name, scores in expected.items()
        )
    ]
    result_of(rows).save(tmp_path / "m" / "k")
    assert [entry["scores"] for entry in board_of(tmp_path)["entries"]] == [expected]


def test_synthetic_results_are_excluded_with_the_reason(tmp_path):
    saved(tmp_path, "a/real", {"eng_eld": 0.1}, corpora=WHOLE)
    saved(tmp_path, "b/synthetic", {"eng_eld": 0.9}, corpora=SYNTHETIC)
    board = board_of(tmp_path)
    assert [(entry["model"], entry["complete"]) for entry in board["entries"]] == [("a/real", True)]
    [excluded] = board["excluded"]
    assert excluded["model"] == "b/synthetic"
    assert excluded["scores"] == {"in-group/inference": {"eng_eld": 0.9}}
    assert excluded["reason"].startswith("synthetic data")


def test_board_has_the_same_bytes_each_time_and_in_any_order_of_arrival(tmp_path):
    models = {"a": 0.3, "b": 0.7, "c": 0.7, "d": None}
    for name, order in (("one", list(models)), ("two", list(models)[::-1])):
        for model in order:
            saved(
                tmp_path / name,
                model,
                {"eng_eld": models[model]},
                corpora=SYNTHETIC if model == "a" else None,
            )
    first = overview.collect(tmp_path / "one").read_bytes()
    assert overview.collect(tmp_path / "one").read_bytes() == first
    assert overview.collect(tmp_path / "two").read_bytes() == first


def test_board_takes_results_two_folders_down_only(tmp_path):
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "b" / "c"):
        result_of().save(folder)
    board = board_of(tmp_path)
    assert (board["entries"], board["excluded"]) == ([], [])


def test_a_broken_result_is_excluded_with_the_reason(tmp_path):
    saved(tmp_path, "a", {"eng_eld": 0.5})
    broken = tmp_path / "b" / "key" / "result.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{}")
    board = board_of(tmp_path)
    assert [entry["model"] for entry in board["entries"]] == ["a"]
    (excluded,) = board["excluded"]
    assert excluded["result"] == "b/key/result.json"
    assert f"{broken}: result.schema_version: expected" in excluded["reason"]
