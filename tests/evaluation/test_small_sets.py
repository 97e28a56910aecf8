"""What makes a number say little stands beside it: test clips heard in training, one class, few
clips under a limit."""

import hashlib
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import soundfile

from bimotion.analysis import compare
from bimotion.analysis import report as reporting
from bimotion.analysis.paper_tables import paper_tables
from bimotion.data import labelled, rosters, splits
from bimotion.data.selection import select
from bimotion.data.source import CorpusSource
from bimotion.evaluation import equal_samples
from bimotion.evaluation import plan as planning
from bimotion.evaluation import run as runner
from bimotion.evaluation.job import Target
from bimotion.evaluation.task import TaskSpec
from bimotion.io import files
from bimotion.io.progress import Progress
from bimotion.protocol import labels
from bimotion.protocol.cells import Cell
from bimotion.protocol.settings import Setting
from bimotion.results import record, rescoring
from bimotion.results.duplicates import Duplicates

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


def stems(part: str, native: str) -> list[str]:
    parts = rosters.load("csed")["paper"]
    return sorted(
        clip.removeprefix("csed/") for clip in parts.index[parts == part] if f"/{native}" in clip
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """CSED where seven test clips were heard in training, two of them under another label."""
    folder = tmp_path_factory.mktemp("corpora")
    nat, neg, pos = (
        {part: stems(part, name) for part in ("train", "validation", "test")} for name in BLOCKS
    )
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
    asked = {
        "data_dir": root,
        "only": ["csed"],
        "protocol": "in-group",
        "cells": ["zho_eld"],
        "allow_missing": True,
    }
    return runner.evaluate("bimotion/majority", output=output, **asked | options)


def reported(folder) -> str:
    [run] = compare.load([folder])
    return reporting.report_of(run, folder).markdown(folder)


def test_test_clips_heard_in_training_are_counted_and_told(root, tmp_path):
    result = evaluated(root, tmp_path)
    assert result.duplicates == [Duplicates("zho_eld", "zho_eld", "csed", 400, 7, 2)]
    assert record.load(result.folder(tmp_path) / "result.json") == result
    said = "zho_eld, csed: 7 of 400, 2 of them under another label (trained on zho_eld)"
    assert said in paper_tables(result)
    assert said in reported(result.folder(tmp_path))
    again = evaluated(root, tmp_path / "disjoint", split_rule="disjoint", schema="valence")
    assert (again.duplicates[0].n_duplicated, again.duplicates[0].n_contradicting) == (7, 2)


def test_what_was_seen_is_kept_and_damage_is_noticed(root, tmp_path, monkeypatch):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path))
    chosen = select(CorpusSource.of(root, only=["csed"]), [ZHO_ELD])
    expected = equal_samples.equal_samples(chosen.manifest, chosen.rows, Progress())
    assert len(np.unique(expected)) == 1 + 6
    kept = sorted((tmp_path / "duplicates").glob("*.json"))
    assert [path.name.split(".")[-2] for path in kept] == ["glance", "sha256"]
    decoded = len(json.loads(files.read_sealed(kept[1], print)))
    assert decoded < 30, "most clips were decoded, though a glance tells them apart"
    times = [path.stat().st_mtime_ns for path in kept]
    assert (equal_samples.equal_samples(chosen.manifest, chosen.rows, Progress()) == expected).all()
    assert [path.stat().st_mtime_ns for path in kept] == times
    for path in kept:
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        path.write_bytes(content)
    assert (equal_samples.equal_samples(chosen.manifest, chosen.rows, Progress()) == expected).all()


def test_real_clips_are_counted_as_by_decoding_all_of_them(shared_corpora, tmp_path):
    names = ["csed", "tess"]
    result = evaluated(
        shared_corpora, tmp_path, only=names, protocol="all", cells=None, schema="valence"
    )
    cells = [Cell.parse(name) for name in ("zho_eld", "eng_eld", "eng_adu")]
    rows = select(CorpusSource.of(shared_corpora, only=names, allow_missing=True), cells)
    of_clip = {}
    for corpus, clip, path in rows.rows[["corpus", "id", "path"]].itertuples(index=False):
        samples, _ = soundfile.read(rows.manifest.path(corpus, path), dtype="int16")
        of_clip[clip] = samples.tobytes()
    clips = rows.rows[rows.rows["corpus"] == "csed"].assign(content=rows.rows["id"].map(of_clip))
    test, heard = clips[clips["part"] == "test"], clips[clips["part"] != "test"]
    pairs = test.merge(heard, on="content")
    other = pairs[pairs["native_label_x"] != pairs["native_label_y"]]
    (found,) = [one for one in result.duplicates if (one.train, one.test) == ("zho_eld", "zho_eld")]
    assert found == Duplicates(
        "zho_eld", "zho_eld", "csed", len(test), pairs["id_x"].nunique(), other["id_x"].nunique()
    )
    assert found.n_duplicated > found.n_contradicting > 0
    if result.data.corpora["csed"].complete:
        assert (found.n_test, found.n_duplicated, found.n_contradicting) == (400, 24, 5)


def limited(root, limit, seed=0):
    chosen = select(CorpusSource.of(root, only=["csed"]), [ZHO_ELD], split_seed=seed)
    return labelled.prepare(chosen, labels.schema_named("emotion"), limit)


def test_a_limit_takes_every_class_in_proportion_in_the_order_of_the_split(root):
    whole, smaller = limited(root, None), set()
    classes = dict(zip(whole.table["id"], whole.table["native_label"], strict=True))
    for limit in (1, 2, 3, 4, 7, 50, 199, 1000):
        found = limited(root, limit)
        ids = set(found.table["id"])
        assert smaller <= ids, "a larger limit takes clips away"
        smaller = ids
        for part, rows in found.table.groupby("part"):
            everyone = whole.table[whole.table["part"] == part]
            assert len(rows) == min(limit, len(everyone))
            counts, of = Counter(rows["native_label"]), Counter(everyone["native_label"])
            assert len(counts) == min(limit, 3)
            for name, n in counts.items():
                assert abs(n - len(rows) * of[name] / len(everyone)) <= 1
                mine = sorted(
                    everyone["id"][everyone["native_label"] == name],
                    key=lambda clip: splits.hash_of(clip, 0),
                )
                assert set(rows["id"][rows["native_label"] == name]) == set(mine[:n])
        assert found.left_out["csed"][f"beyond the limit of {limit}"] == len(classes) - len(ids)
    assert set(limited(root, 7, seed=1).table["id"]) != set(limited(root, 7).table["id"])


def test_clips_without_a_class_use_up_no_place_of_a_limit(synth_root):
    chosen = select(CorpusSource.of(synth_root, only=["esd"]), [Cell.parse("eng_adu")])
    schema = labels.schema_named("valence")  # surprise has none
    whole, found = labelled.prepare(chosen, schema), labelled.prepare(chosen, schema, 5)
    assert Counter(found.table["part"]) == {
        part: min(5, n) for part, n in Counter(whole.table["part"]).items()
    }


def test_one_class_is_said_beside_its_number(root, tmp_path):
    result = evaluated(root, tmp_path, limit=1)
    (tested,) = {name for score in result.scores for name in score.classes}
    (guessed,) = {
        name
        for fit in result.fits
        for name in (fit.note or "").partition("training: ")[2].split(";")[:1]
    }
    note = f"one class in the test set: {tested}; one class can be predicted: {guessed}"
    for score in result.scores:
        assert score.note == (f"csed: {note}" if score.pooling == "mean" else note)
    assert "one class in validation: " in result.fits[0].note
    assert "(one class)" in paper_tables(result)
    assert f"in-group -> zho_eld, csed: {note}" in paper_tables(result)
    _, again = rescoring.rescore(result.folder(tmp_path))
    assert again == result
    report = reported(result.folder(tmp_path))
    assert report.count(note) > 2, "a caveat only, not beside the numbers"
    several = evaluated(root, tmp_path, limit=3)
    assert {score.note for score in several.scores} | {fit.note for fit in several.fits} == {None}
    assert "one class" not in paper_tables(several)
    command = [
        sys.executable,
        "-m",
        "bimotion",
        "evaluate",
        "--model",
        "bimotion/majority",
        "--limit",
        "1",
    ]
    command += [
        "--corpora",
        root,
        "--only",
        "csed",
        "--protocol",
        "in-group",
        "--cells",
        "zho_eld",
        "--output",
        tmp_path,
    ]
    shown = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True).stdout
    assert "(one class)" in " ".join(shown.split())


def test_training_sets_differ_in_what_they_heard(root):
    request = (
        TaskSpec.of(protocol="inference"),
        CorpusSource.of(root, only=("csed",), allow_missing=True),
    )
    found, plan = planning.plan(*request, Progress())
    counted = equal_samples.counted(found, plan, Progress())
    assert [(one.train, one.n_duplicated) for one in counted] == [
        (one.name, 7) for one in plan.training_sets
    ]
    _, untrained = planning.plan(*request, Progress(), trains=False)
    assert equal_samples.counted(found, untrained, Progress()) == []


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
    table = pd.DataFrame({"corpus": ["elderreact", "elderreact"]})
    clips = labelled.LabelledClips(
        None, labels.SCHEMAS["valence"], table, np.array([tested, heard], np.int8), {}
    )
    setting = Setting("in-group", "inference", (Cell.parse("eng_eld"),), Cell.parse("eng_eld"))
    training = planning.TrainingSet(
        "eng_eld", [setting], np.array([1]), np.zeros(0, int), (Target(np.array([0]), None),)
    )
    [found] = equal_samples._of_training_set(training, clips, np.array([5, 5]))
    assert (found.n_test, found.n_duplicated, found.n_contradicting) == (1, 1, int(contradicts))
