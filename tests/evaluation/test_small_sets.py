"""Reasons why a number says little stand beside it: test clips heard in training, one class, few
clips under a limit."""

import hashlib
import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import soundfile

from bimotion.analysis import report as reporting
from bimotion.analysis.paper_tables import paper_tables
from bimotion.analysis.runs import load as load_runs
from bimotion.data import labelled, rosters, splits
from bimotion.data.selection import select
from bimotion.data.source import CorpusSource
from bimotion.evaluation import equal_samples
from bimotion.evaluation import plan as planning
from bimotion.evaluation.job import Target
from bimotion.io import files
from bimotion.io.progress import Progress
from bimotion.protocol import labels
from bimotion.protocol.cells import Cell
from bimotion.protocol.settings import Setting
from bimotion.results import record, rescoring
from bimotion.results.duplicates import Duplicates
from tests.support import small_runs
from tests.support.command_line import run_main
from tests.support.small_runs import paper_task

BLOCKS = {"Nat": "Natural", "Neg": "Negative", "Pos": "Positive"}
ZHO_ELD = Cell.parse("zho_eld")
RATE_HZ, N_FRAMES = 44100, 1000


def sound(seed: str) -> np.ndarray:
    """16-bit samples that hang on a text, all of one length."""
    number = int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16)
    return np.random.default_rng(number).integers(-16000, 16000, N_FRAMES, dtype=np.int16)


def lay(root, contents: dict[str, np.ndarray | tuple]) -> None:
    """CSED with all its names; `contents`: clip -> samples, and the arguments of soundfile.write
    where they are others."""
    for clip in rosters.load("csed").index:
        stem = clip.removeprefix("csed/")
        samples, options = contents.get(stem, sound(stem)), {"subtype": "PCM_16", "format": "WAV"}
        if isinstance(samples, tuple):
            samples, options = samples[0], options | samples[1]
        path = root / "CSED" / "Training Data (wav)" / BLOCKS[stem[:3].title()] / f"{stem}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE_HZ, **options)


def stems(native: str) -> dict[str, list[str]]:
    """Part -> names of the clips of a block."""
    parts = rosters.load("csed")["paper"]
    names = [clip for clip in sorted(parts.index) if f"/{native}" in clip]
    return {
        part: [clip.removeprefix("csed/") for clip in names if parts[clip] == part]
        for part in ("train", "validation", "test")
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """CSED where seven test clips were heard in training, two of them under another label."""
    folder = tmp_path_factory.mktemp("corpora")
    nat, neg, pos = map(stems, BLOCKS)
    seen = sound(nat["train"][0])
    same_middle = np.concatenate([-seen[:100], seen[100:]])
    stereo = np.stack([sound(neg["train"][2])] * 2, axis=1)
    contents = {
        nat["test"][0]: seen,
        nat["test"][1]: seen,  # two of one training clip
        nat["test"][2]: sound(nat["validation"][0]),
        neg["test"][0]: (sound(neg["train"][0]).astype(np.int32) << 16, {"subtype": "PCM_24"}),
        neg["test"][1]: (stereo, {"format": "FLAC"}),
        pos["test"][0]: sound(nat["train"][1]),
        pos["test"][1]: sound(neg["validation"][1]),
        pos["test"][2]: same_middle,  # not equal, though a glance says so
        nat["test"][3]: np.zeros(N_FRAMES, np.int16),
        nat["test"][4]: np.zeros(N_FRAMES, np.int16),  # equal to each other only
        neg["test"][2]: sound(neg["train"][1])[:-1],
        neg["train"][3]: sound(pos["train"][0]),  # equal in training only
    }
    lay(folder, contents)
    return folder


def evaluated(root, output, **options):
    asked = {"only": ["csed"], "protocol": "in-group", "cells": ["zho_eld"]} | options
    return small_runs.evaluated("bimotion/majority", root, output, **asked)


def reported(folder) -> str:
    [run] = load_runs([folder])
    return reporting.report_of(run, folder).markdown(folder)


def test_test_clips_heard_in_training_are_counted_and_told(root, tmp_path):
    result, folder = evaluated(root, tmp_path)
    assert result.duplicates == [Duplicates("zho_eld", "zho_eld", "csed", 400, 7, 2)]
    assert record.load(folder / "result.json") == result
    line = "zho_eld, csed: 7 of 400, 2 of them under another label (trained on zho_eld)"
    assert line in paper_tables(result)
    assert line in reported(folder)
    again, _ = evaluated(root, tmp_path, split_rule="disjoint", schema="valence")
    assert again.duplicates == [Duplicates("zho_eld", "zho_eld", "csed", 400, 7, 2)]


def test_digests_are_kept_and_damage_is_noticed(root, tmp_path, monkeypatch):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path))
    chosen = select(CorpusSource.of(root, only=["csed"]), [ZHO_ELD], split_rule="paper")

    def numbers():
        return equal_samples.equal_samples(chosen.manifest, chosen.rows, Progress())

    expected = numbers()
    assert len(np.unique(expected)) == 1 + 6
    kept = sorted((tmp_path / "duplicates").glob("*.json"))
    assert [path.name.split(".")[-2] for path in kept] == ["glance", "sha256"]
    n_decoded = len(json.loads(files.read_sealed(kept[1], print)))
    assert n_decoded < 30, "most clips were decoded, though a glance tells them apart"
    times = [path.stat().st_mtime_ns for path in kept]
    np.testing.assert_array_equal(numbers(), expected)
    assert [path.stat().st_mtime_ns for path in kept] == times
    for path in kept:
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        path.write_bytes(content)
    np.testing.assert_array_equal(numbers(), expected)


def test_real_clips_are_counted_as_by_decoding_all_of_them(shared_corpora, tmp_path):
    result, _ = evaluated(shared_corpora, tmp_path)
    source = CorpusSource.of(shared_corpora, only=["csed"], allow_missing=True)
    chosen = select(source, [ZHO_ELD], split_rule="paper")
    paths = [chosen.manifest.path("csed", path) for path in chosen.rows["path"]]
    contents = [soundfile.read(path, dtype="int16")[0].tobytes() for path in paths]
    clips = chosen.rows.assign(content=contents)
    is_test = clips["part"] == "test"
    pairs = clips[is_test].merge(clips[~is_test], on="content")
    other = pairs[pairs["native_label_x"] != pairs["native_label_y"]]
    counts = (is_test.sum(), pairs["id_x"].nunique(), other["id_x"].nunique())
    (duplicates,) = result.duplicates
    assert duplicates == Duplicates("zho_eld", "zho_eld", "csed", *map(int, counts))
    assert duplicates.n_duplicated > duplicates.n_contradicting > 0
    if result.data.corpora["csed"].complete:
        assert counts == (400, 24, 5)


def limited(root, limit, seed=0):
    chosen = select(
        CorpusSource.of(root, only=["csed"]), [ZHO_ELD], split_rule="paper", split_seed=seed
    )
    return labelled.prepare(chosen, labels.schema_named("emotion"), limit)


def test_a_limit_takes_every_class_in_proportion_in_the_order_of_the_split(root):
    whole, smaller = limited(root, None), set()
    for limit in (1, 2, 3, 4, 7, 50, 199, 1000):
        clips = limited(root, limit)
        ids = set(clips.table["id"])
        assert smaller <= ids, "a larger limit takes clips away"
        smaller = ids
        for part, rows in clips.table.groupby("part"):
            everyone = whole.table[whole.table["part"] == part]
            assert len(rows) == min(limit, len(everyone))
            counts, of = Counter(rows["native_label"]), Counter(everyone["native_label"])
            assert len(counts) == min(limit, 3)
            for name, n in counts.items():
                assert abs(n - len(rows) * of[name] / len(everyone)) <= 1
                members = everyone["id"][everyone["native_label"] == name]
                ordered = sorted(members, key=lambda clip: splits.hash_of(clip, 0))
                assert set(rows["id"][rows["native_label"] == name]) == set(ordered[:n])
        n_left_out = clips.left_out["csed"][f"beyond the limit of {limit}"]
        assert n_left_out == len(whole.table) - len(ids)
    assert set(limited(root, 7, seed=1).table["id"]) != set(limited(root, 7).table["id"])


def test_clips_without_a_class_use_up_no_place_of_a_limit(synth_root):
    source = CorpusSource.of(synth_root, only=["esd"])
    chosen = select(source, [Cell.parse("eng_adu")], split_rule="paper")
    schema = labels.schema_named("valence")  # surprise has none
    whole, limited = (
        Counter(labelled.prepare(chosen, schema, limit).table["part"]) for limit in (None, 5)
    )
    assert limited == {part: min(5, n) for part, n in whole.items()}


def test_one_class_is_told_beside_its_number(root, tmp_path, monkeypatch):
    result, folder = evaluated(root, tmp_path, limit=1)
    (tested,) = {name for score in result.scores for name in score.classes}
    (fit,) = result.fits
    trained, validated = (part.split(": ") for part in fit.note.split("; "))
    assert (trained[0], validated[0]) == ("one class in training", "one class in validation")
    note = f"one class in the test set: {tested}; one class can be predicted: {trained[1]}"
    for score in result.scores:
        assert score.note == (f"csed: {note}" if score.pooling == "mean" else note)
    assert "ᶜ one class is tested" in paper_tables(result)
    assert f"in-group -> zho_eld, csed: {note}" in paper_tables(result)
    assert rescoring.rescore(folder) == (result, result)
    assert reported(folder).count(note) > 2, "a caveat only, not beside the numbers"
    words = ["evaluate", "--model", "bimotion/majority", "--corpora", root, "--only", "csed"]
    words += ["--protocol", "in-group", "--cells", "zho_eld", "--limit", "1", "--output", tmp_path]
    words += ["--split-rule", "paper", "--schema", "emotion"]
    assert "ᶜ one class is tested" in " ".join(run_main(monkeypatch, words)[1].split())


def test_several_classes_need_no_note(root, tmp_path):
    several, _ = evaluated(root, tmp_path, limit=3)
    assert {score.note for score in several.scores} | {fit.note for fit in several.fits} == {None}
    assert "one class" not in paper_tables(several)


def test_training_sets_differ_in_what_they_heard(root):
    task = paper_task(protocol="inference")
    source = CorpusSource.of(root, only=("csed",), allow_missing=True)
    clips, plan = planning.plan(task, source, Progress())
    counted = equal_samples.counted(clips, plan, Progress())
    assert [(duplicates.train, duplicates.n_duplicated) for duplicates in counted] == [
        (training.name, 7) for training in plan.training_sets
    ]
    _, untrained = planning.plan(task, source, Progress(), trains=False)
    assert equal_samples.counted(clips, untrained, Progress()) == []


@pytest.mark.parametrize(
    ("tested", "heard", "contradicts"),
    [
        ([1, 0, 0], [1, 1, 0], True),  # the test clip has fewer labels
        ([1, 1, 0], [1, 0, 0], True),  # or more
        ([1, 0, -1], [1, 0, 1], False),  # a class that one of the corpora does not annotate
        ([1, -1, 0], [1, 0, 0], False),
        ([1, 1, 0], [1, 1, 0], False),
    ],
)
def test_equal_samples_contradict_where_a_class_differs_that_both_annotate(
    tested, heard, contradicts
):
    reference = np.array([tested, heard], np.int8)
    table = pd.DataFrame({"corpus": ["elderreact", "elderreact"]})
    clips = labelled.LabelledClips(None, labels.SCHEMAS["valence"], table, reference, {})
    cell = Cell.parse("eng_eld")
    training = planning.TrainingSet(
        name="eng_eld",
        fold=0,
        settings=[Setting("in-group", "inference", (cell,), cell)],
        train=np.array([1]),
        validation=np.zeros(0, int),
        targets=(Target(np.array([0]), None),),
    )
    [duplicates] = equal_samples._of_training_set(training, clips, np.array([5, 5]))
    assert (duplicates.n_test, duplicates.n_duplicated) == (1, 1)
    assert duplicates.n_contradicting == int(contradicts)
