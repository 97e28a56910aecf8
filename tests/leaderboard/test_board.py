"""The board: numbers from predictions, flags, ranks of verified entries, its JSON and schema."""

import dataclasses
import json
import time

import pandas as pd
import pytest

from bimotion.io import files
from bimotion.io.records import from_json
from bimotion.leaderboard import admission, board, ranking, scored
from bimotion.leaderboard.board import Board
from bimotion.leaderboard.published_rows import published_rows
from bimotion.models.baselines import BASELINES
from bimotion.protocol import settings as protocol
from bimotion.protocol.labels import schema_named
from bimotion.protocol.published import PUBLISHED
from bimotion.results import record as results
from bimotion.results import rescoring
from bimotion.results.record import DataUsed, ModelUsed, ProtocolUsed
from bimotion.results.statistics.gaps import gaps
from tests.support import submissions
from tests.support.boards import only, rewrite

CELLS = ("eng_eld", "eng_adu", "zho_eld", "zho_adu")


@pytest.fixture(scope="module")
def by_model(built):
    return {entry.model: entry for entry in built.entries}


def test_numbers_of_a_real_run_are_those_of_its_result(by_model, folder):
    entry = by_model["bimotion/random"]
    scores = results.load(folder / entry.id / "result.json").scores
    assert len(entry.scores) == len(protocol.settings("inference")) == 16
    same = ("train", "n_utterances", "n_speakers", "n_speaker_unknown", "untrained", "clusters")
    for row in entry.scores:
        of_setting = [
            score
            for score in scores
            if (score.transfer, score.method, score.test, score.metric)
            == (row.transfer, row.method, row.test, "weighted_f1")
        ]
        (score,) = [score for score in of_setting if score.pooling == "mean"]
        assert row.value == pytest.approx(score.value, abs=5.1e-5)
        assert (row.low, row.high) == pytest.approx((score.low, score.high), abs=5.1e-5)
        assert [getattr(row, name) for name in same] == [getattr(score, name) for name in same]
        by_corpus = {score.corpus: score.value for score in of_setting if score.corpus}
        assert row.corpora == pytest.approx(by_corpus, abs=5.1e-5)
        assert (row.calibration_error is not None) == (row.transfer == "in-group")


def test_a_headline_is_the_mean_over_the_four_cells(built):
    kinds = {f"{name}/inference" for name in ("in-group", *protocol.CROSS)}
    for entry in built.entries:
        assert set(entry.headline) == kinds
        for name, number in entry.headline.items():
            values = [row.value for row in entry.scores if f"{row.transfer}/{row.method}" == name]
            assert len(values) == 4
            assert number.value == pytest.approx(sum(values) / 4, abs=1e-4)
            assert number.low < number.high
            assert number.low <= number.value <= number.high


def test_gaps_are_those_of_the_statistics(by_model, folder):
    entry = by_model["org/tiny"]
    result, table = rescoring.read(folder / entry.id, agreeing=False)
    settings = rescoring.settings_of(result)
    expected = gaps(table, settings, schema_named("emotion"))
    assert [(gap.kind, gap.of) for gap in entry.gaps] == [(gap.kind, gap.of) for gap in expected]
    values = [gap.interval.value for gap in expected]
    assert [gap.value for gap in entry.gaps] == pytest.approx(values, abs=5.1e-5)


def test_several_seeds_are_one_number(root, whole_tree):
    source = submissions.Source(submissions.run_of(whole_tree), keep=40)
    run = source.write(root, "lab/seeds", 0.4, 0)
    single = scored.score(run, "single").entry
    _, table = rescoring.read(run, agreeing=False)
    twice = pd.concat([table.assign(seed=seed) for seed in (0, 1)])
    twice.to_parquet(run / "predictions.parquet", index=False)
    assert "expected predictions of seeds [0]" in _verified(root, run)
    rewrite(run, seeds=[0, 1])
    entry = _verified(root, run)
    assert entry.seeds == [0, 1]
    for name in ("value", "n_utterances"):
        values = ([getattr(row, name) for row in rows.scores] for rows in (entry, single))
        assert next(values) == next(values)


def test_seeds_that_are_copies_of_one_count_as_one(root, whole_tree):
    source = submissions.Source(submissions.run_of(whole_tree), keep=40)
    run = source.write(root, "lab/seeds", 0.4, 0, seeds=[0, 1, 2], track="finetune")
    once = rescoring.read(run, agreeing=False)[1]
    for shares, n in (((1, 1, 1), 1), ((1, 0.9995, 0.5), 2), ((1, 0.9, 0.5), 3)):
        tables = [
            once.assign(seed=seed, probabilities=[share * row for row in once["probabilities"]])
            for seed, share in enumerate(shares)
        ]
        pd.concat(tables).to_parquet(run / "predictions.parquet", index=False)
        few_seeds = scored.score(run, "seeds").entry.flags.few_seeds
        reason = f"ranked from 3 seeds on, found {n} with predictions of their own"
        assert few_seeds is None if n == 3 else few_seeds.endswith(reason)


def _verified(root, run, **options):
    submissions.verify(run)
    return only(root, **options)


def test_flags(by_model):
    names = ("lab/dirty", "lab/base", "org/tiny", "bimotion/random")
    flags = [by_model[name].flags for name in names]
    dirty, base, tiny, _ = flags
    assert dirty.contaminated == {"eng_adu": ["esd", "iemocap"], "zho_adu": ["esd"]}
    assert base.contaminated == tiny.contaminated == tiny.incomplete == {}
    declared = [by_model[name].trained_on for name in names[:3]]
    assert declared == ["IEMOCAP, ESD", "nothing", None]
    assert tiny.assumed_age == {
        "eng_adu": ["esd", "iemocap"],
        "eng_eld": ["elderreact"],
        "zho_adu": ["esd"],
        "zho_eld": ["csed"],
    }
    assert set(tiny.shared_speakers) == {"csed", "elderreact", "tess"}
    assert (tiny.status, tiny.status_reason) == ("reproduced", None)
    assert (dirty.status, dirty.status_reason) == ("recomputed", "nobody has run it again")
    baseline, claimed = (by_model[name].flags for name in ("bimotion/majority", "lab/unverified"))
    assert (baseline.status, baseline.status_reason) == ("reproduced", None)
    assert (claimed.status, claimed.status_reason) == ("claimed", "not verified")
    assert [flag.baseline for flag in flags] == [False, False, False, True]
    assert [flag.undeclared for flag in flags] == [False, False, True, False]
    assert [flag.same_predictions for flag in flags] == [[]] * 4
    assert set(admission.BASELINES) == set(BASELINES)


def test_ages_of_actors_that_come_later_are_taken_up(alone, root, whole_tree, monkeypatch):
    def corpora() -> set[str]:
        return {result.corpus for result in only(root).ages}

    monkeypatch.delenv("BIMOTION_CORPORA", raising=False)
    # the entry with ages is kept for nobody else
    monkeypatch.setenv("BIMOTION_CACHE", str(root.parent / "cache"))
    alone()
    assert "crema_d" not in corpora()
    monkeypatch.setenv("BIMOTION_CORPORA", str(whole_tree))
    assert "crema_d" in corpora()
    monkeypatch.delenv("BIMOTION_CORPORA")
    assert "crema_d" in corpora()


def test_an_incomplete_run_is_for_practice_only_and_says_so(alone, root):
    run = alone()
    data = results.load(run / "result.json").data
    csed = dataclasses.replace(data.corpora["csed"], n_found=600, complete=False)
    rewrite(run, data=DataUsed.of(data.fingerprint, data.corpora | {"csed": csed}))
    assert _verified(root, run, practice=True).flags.incomplete == {"csed": "600 of 652"}
    assert only(root) == "incomplete corpora: csed (600 of 652 clips)"


def test_ranks_are_of_reproduced_entries_of_one_class(built, by_model):
    ranked = [entry for entry in built.entries if entry.ranking]
    below = built.entries[len(ranked) :]
    for entries in (ranked, below):
        values = [entry.base.value for entry in entries]
        assert values == sorted(values, reverse=True)
    places = [(entry.ranking.rank, entry.ranking.of) for entry in ranked]
    assert places == [(n, 5) for n in range(1, 6)]
    assert [entry.model for entry in below] == ["lab/unverified", "lab/dirty", "bimotion/random"]
    assert "found 1" in by_model["bimotion/random"].flags.few_seeds
    places = {entry.model: entry.recomputed_ranking for entry in built.entries}
    assert places.pop("lab/unverified") is places.pop("bimotion/random") is None
    of_recomputed = [(rank.rank, rank.of) for rank in places.values()]
    assert of_recomputed == [(n, 6) for n in (1, 2, 4, 5, 6, 3)]
    large, twin = by_model["lab/large"].ranking, by_model["lab/large-twin"].ranking
    assert (large.tie_group, twin.tie_group, large.low, twin.low) == (1, 1, 1, 1)
    assert by_model["org/tiny"].ranking.tie_group > 1
    (group,) = built.comparable
    assert (group.n_entries, group.n_ranked) == (8, 5)
    assert group.n_recomputed == 6
    assert (group.split_rule, group.protocol) == ("disjoint", "inference")


@pytest.mark.parametrize(
    "changes",
    [
        {"track": "finetune"},
        {"split": results.SplitUsed("disjoint", 3, "2")},
        {"split": results.SplitUsed("disjoint", 0, "1")},
        {"split": results.SplitUsed("folds", 0, "2", 1)},
        {"protocol": ProtocolUsed("in-group", "1")},
        {"protocol": ProtocolUsed("inference", "1", ["eng_eld"])},
        {"data": "other"},
    ],
    ids=str,
)
def test_other_questions_are_not_compared(changes, folder, by_model):
    result = results.load(folder / by_model["org/tiny"].id / "result.json")
    if changes == {"data": "other"}:
        changes = {"data": dataclasses.replace(result.data, fingerprint="0" * 16)}
    ours = scored.comparable(result)
    assert scored.comparable(dataclasses.replace(result, **changes)) != ours
    for same in ({"seeds": [4]}, {"model": ModelUsed("x", "2")}, {"n_parameters": 1}):
        assert scored.comparable(dataclasses.replace(result, **same)) == ours


def test_an_entry_without_all_cells_has_no_mean_and_no_rank(root, whole_tree):
    source = submissions.Source(submissions.run_of(whole_tree), keep=40)
    cells = ["eng_adu", "eng_eld"]
    run = source.write(root, "lab/part", 0.4, protocol=ProtocolUsed("inference", "1", cells))
    entry = _verified(root, run)
    assert (entry.base, entry.headline, entry.ranking) == (None, {}, None)
    assert {row.test for row in entry.scores} == set(cells)


def test_published_rows_are_the_printed_numbers():
    (paper,) = published_rows()
    assert len(paper.scores) == 36
    # the mean of its row; 57.34 is printed
    assert paper.headline["cross-lingual/augmentation"] == 0.6984
    values = {
        (score.transfer, score.method, score.test): score.value
        for score in paper.scores
        if score.method != "distance"
    }
    for (transfer, method), row in PUBLISHED.items():
        for cell, percent in zip(CELLS, row, strict=True):
            assert values[transfer, method, cell] == pytest.approx(percent / 100, abs=1e-9)
    distance = [score for score in paper.scores if score.method == "distance"]
    three = {score.test: score.value for score in distance if len(score.train) == 3}
    assert three == {"yue_adu": 0.4759, "eng_adu": 0.9261, "zho_adu": 0.9375}


def test_the_file_is_read_back(built, tmp_path):
    text = built.save(tmp_path).read_text(encoding="ascii")
    assert json.loads(text) == dataclasses.asdict(built)
    assert from_json(Board, text, "board") == built
    assert json.loads((tmp_path / "board.schema.json").read_text()) == board.json_schema()


def test_a_large_board_is_written_over_the_last_one(built, tmp_path):
    many = dataclasses.replace(built, entries=built.entries * 20)
    assert many.save(tmp_path).stat().st_size > 10_000
    assert many.save(tmp_path).read_text(encoding="ascii") == many.to_json()


def test_the_file_keeps_its_schema(built, root):
    jsonschema = pytest.importorskip("jsonschema")
    schema, content = board.json_schema(), json.loads(built.to_json())
    jsonschema.Draft202012Validator.check_schema(schema)
    reader = jsonschema.Draft202012Validator(schema)
    assert list(reader.iter_errors(content)) == []
    assert list(reader.iter_errors(json.loads(board.build(root).to_json()))) == []
    content["entries"][1]["ranking"]["rank"] = "first"
    content["entries"][1]["flags"].pop("status")
    content["entries"][2]["note"] = ""
    places = {".".join(map(str, error.absolute_path)) for error in reader.iter_errors(content)}
    assert places == {"entries.1.ranking", "entries.1.flags", "entries.2"}


FIELDS_OF_A_SETTING = {
    "split_seed",
    "schema",
    "protocol",
    "cells",
    "data_fingerprint",
    "split_rule",
}


def test_every_record_and_field_is_documented():
    for name, record in {"Board": board.json_schema(), **board.json_schema()["$defs"]}.items():
        assert record["description"], name
        silent = {f for f, schema in record["properties"].items() if not schema.get("description")}
        allowed = {"RankingClass": FIELDS_OF_A_SETTING, "Printed": {"method", "train", "test"}}
        assert silent <= allowed.get(name, set()), name


def test_the_same_submissions_give_the_same_bytes_with_and_without_a_cache(
    alone, root, built, folder, monkeypatch
):
    assert board.build(folder).to_json() == built.to_json()
    alone()
    before = board.build(root).to_json()
    monkeypatch.setenv("BIMOTION_CACHE", str(root.parent / "cache"))
    assert board.build(root).to_json() == before
    (kept,) = (files.cache_dir() / "board").iterdir()
    kept.write_bytes(kept.read_bytes()[:2000])
    assert board.build(root).to_json() == before


def test_many_submissions_are_computed_in_parallel_and_once(whole_tree, root):
    """Made again from what was kept in a time that a thousand can afford
    (benchmarks/leaderboard.py)."""
    source = submissions.Source(submissions.run_of(whole_tree), keep=60)
    english = ProtocolUsed("in-group", "1", ["eng_adu", "eng_eld"])
    for number in range(12):
        asked = ProtocolUsed("in-group", "1") if number % 4 == 0 else english
        source.write(root, f"lab/model-{number}", 0.2 + number / 30, number, protocol=asked)
    started = time.perf_counter()
    first = board.build(root)
    computed_s = time.perf_counter() - started
    assert [group.n_entries for group in first.comparable] == [3, 9]
    ranks = [entry.recomputed_ranking.rank for entry in first.entries if entry.recomputed_ranking]
    assert sorted(ranks) == [1, 2, 3]
    assert {entry.ranking for entry in first.entries} == {None}
    started = time.perf_counter()
    assert board.build(root).to_json() == first.to_json()
    assert time.perf_counter() - started < computed_s / 3  # about a tenth of it


def test_the_page_opens_on_the_benchmark_whatever_has_more_entries():
    benchmark = ranking.RankingClass(
        id="b",
        track="probe",
        split_rule="folds",
        split_seed=0,
        schema="valence",
        protocol="all",
        cells=None,
        data_fingerprint="0",
        n_entries=1,
        n_ranked=0,
        n_recomputed=0,
    )
    more = {"n_entries": 9, "n_ranked": 9}
    part = dataclasses.replace(benchmark, id="p", protocol="in-group", **more)
    cell = dataclasses.replace(benchmark, id="c", cells=["eng_eld"], **more)
    paper = dataclasses.replace(benchmark, id="d", split_rule="paper", **more)
    classes = sorted([paper, cell, part, benchmark], key=ranking._class_order)
    assert [group.id for group in classes] == ["b", "c", "p", "d"]
