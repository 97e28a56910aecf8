"""The probe track end to end: any transformers audio model, the whole protocol, on synthetic and on
real clips."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bimotion.data import features, manifest
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import SettingError, UnknownName
from bimotion.evaluation import run
from bimotion.io.progress import Progress
from bimotion.models import encoder as encoders
from bimotion.models import weights
from bimotion.results import record, rescoring
from tests.support import tiny_models

HANGS_S = 600  # never waited for, but where a process hangs
FAMILIES = (
    "wav2vec2-layer",
    "wav2vec2-group",
    "hubert",
    "wavlm",
    "data2vec",
    "whisper",
    "w2v-bert",
    "ast",
)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Synthetic corpora, all cells of all protocols, four clips of each corpus, cell and part."""
    root = tmp_path_factory.mktemp("small")

    def group(clip):
        return clip.corpus, clip.voice.language, clip.voice.age_years >= 60, clip.part

    clips = sorted(layouts.plan(), key=group)
    layouts.lay(root, [clip for _, found in groupby(clips, group) for clip in list(found)[:4]])
    return root


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return lambda family: tiny_models.build(family, folder / family)


def evaluated(model, root, output, **options):
    result = run.evaluate(str(model), data_dir=root, output=output, allow_missing=True, **options)
    return result, result.folder(output)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_probed(family, models, small, tmp_path):
    """One over the whole protocol, the others in-group: what is trained on what does not hang on
    the family."""
    protocol, n_settings, n_sets = ("all", 36, 13) if family == FAMILIES[0] else ("in-group", 4, 4)
    result, folder = evaluated(models(family), small, tmp_path, protocol=protocol)
    assert result.skipped == []
    assert (
        len(
            {
                (score.method, score.transfer, score.test, tuple(score.train))
                for score in result.scores
            }
        )
        == n_settings
    )
    assert result.track == "probe"
    assert result.model.options["head"] == "layers"
    assert result.model.options["trust_remote_code"] is False
    recorded, again = rescoring.rescore(folder)
    assert recorded == again == result
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert predictions["train"].nunique() == n_sets
    assert np.isfinite(np.stack(predictions["probabilities"])).all()


def test_seeds_cells_limit_and_head_are_recorded(models, small, tmp_path):
    options = {
        "seeds": [2, 0],
        "cells": ["eng_eld"],
        "limit": 3,
        "head": "logistic",
        "protocol": "inference",
    }
    result, _ = evaluated(models("wav2vec2-layer"), small, tmp_path, **options)
    assert (result.seeds, result.limit, result.protocol.cells) == ([0, 2], 3, ["eng_eld"])
    assert {score.seed for score in result.scores} == {0, 2}
    assert {score.test for score in result.scores} == {"eng_eld"}
    assert not result.data.complete
    assert result.data.corpora["tess"].left_out["beyond the limit of 3"] > 0
    assert result.headline("in-group", "inference", "eng_eld") is not None


def test_features_are_extracted_once(models, small, tmp_path, monkeypatch):
    model = models("hubert")
    evaluated(model, small, tmp_path / "a", protocol="in-group")

    def refuse(*args):
        raise AssertionError("extracted again")

    monkeypatch.setattr(encoders.Encoder, "encode_groups", refuse)
    evaluated(model, small, tmp_path / "b", schema="valence", protocol="inference")
    evaluated(
        model, small, tmp_path / "c", split_rule="disjoint", seeds=[1], protocol="augmentation"
    )


def test_a_limit_encodes_only_its_clips_and_the_rest_later(models, small, tmp_path, monkeypatch):
    counted, encode_groups = [], encoders.Encoder.encode_groups

    def counting(self, groups):
        groups = list(groups)
        counted.extend(len(waveform) for waveforms in groups for waveform in waveforms)
        return encode_groups(self, groups)

    monkeypatch.setattr(encoders.Encoder, "encode_groups", counting)
    model = models("unispeech-sat")
    result, _ = evaluated(model, small, tmp_path / "limited", limit=2, protocol="in-group")
    n_limited = sum(corpus.n_utterances for corpus in result.data.corpora.values())
    assert len(counted) == n_limited
    result, _ = evaluated(model, small, tmp_path / "whole", protocol="in-group")
    n_whole = sum(corpus.n_utterances for corpus in result.data.corpora.values())
    assert len(counted) == n_whole > n_limited  # what the limit let through is not encoded again


def test_stored_features_are_the_encoders(models, small):
    encoder = encoders.load(weights.ModelSpec(str(models("wavlm"))))
    found = manifest.build(CorpusSource.of(small, only=["tess"]))
    table = features.layer_features(encoder, found, found.table, Progress())
    numbers = np.array([7, 0, 3])
    from bimotion.io import audio

    waveforms = [
        audio.decode(found.path("tess", found.table["path"][number])) for number in numbers
    ]
    # float16 on disk
    assert table.rows(numbers) == pytest.approx(encoder.encode(waveforms), rel=2e-3, abs=2e-3)


def test_a_killed_run_goes_on_to_the_same_bytes(models, small, tmp_path):
    model = models("wav2vec2-layer")
    _, whole = evaluated(model, small, tmp_path / "whole", protocol="inference")
    command = [
        sys.executable,
        "-m",
        "bimotion",
        "evaluate",
        "-m",
        model,
        "--corpora",
        small,
        "--allow-missing",
    ]
    command += ["--protocol", "inference"]
    process = subprocess.Popen(
        [*map(str, command), "-o", str(tmp_path / "killed")],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + HANGS_S
    while (
        not (done := list((tmp_path / "killed").rglob("unfinished/[!.]*.part")))
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert done
    (folder,) = {path.parents[1] for path in done}
    assert not (folder / "result.json").exists()
    _, resumed = evaluated(model, small, tmp_path / "killed", protocol="inference")
    assert resumed == folder
    assert (resumed / "predictions.parquet").read_bytes() == (
        whole / "predictions.parquet"
    ).read_bytes()
    assert record.load(resumed / "result.json").scores == record.load(whole / "result.json").scores
    assert not (folder / "unfinished").exists()


def test_two_processes_on_one_run_are_told(models, small, tmp_path):
    from filelock import FileLock

    model = models("wav2vec2-layer")
    _, folder = evaluated(model, small, tmp_path, protocol="in-group")
    (folder / "result.json").unlink()
    with (
        FileLock(folder / ".lock"),
        pytest.raises(SettingError, match="another process is working on this very run"),
    ):
        evaluated(model, small, tmp_path, protocol="in-group")


def test_tampered_scores_are_found(models, small, tmp_path):
    _, folder = evaluated(models("wav2vec2-layer"), small, tmp_path, protocol="in-group")
    content = json.loads((folder / "result.json").read_text())
    content["scores"][0]["value"] = 0.987654
    (folder / "result.json").write_text(json.dumps(content))
    done = subprocess.run(
        [sys.executable, "-m", "bimotion", "score", str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "the recorded scores differ" in done.stderr


def test_scoring_again_loads_no_torch(models, small, tmp_path):
    _, folder = evaluated(models("wav2vec2-layer"), small, tmp_path, protocol="in-group")
    code = (
        "import sys; from pathlib import Path; from bimotion.results import rescoring; "
        f"rescoring.rescore(Path({str(folder)!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_dry_run_shows_nine_and_four_training_sets(small):
    command = [
        sys.executable,
        "-m",
        "bimotion",
        "evaluate",
        "-m",
        "any/model",
        "--corpora",
        small,
        "--allow-missing",
        "--dry-run",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "13 distinct training sets serve 36 settings; 0 skipped" in done.stdout


def test_real_clips_go_through(models, shared_corpora, tmp_path):
    result, _ = evaluated(models("wav2vec2-layer"), shared_corpora, tmp_path, protocol="in-group")
    assert {score.test for score in result.scores} == {"eng_eld", "eng_adu", "zho_eld"}
    assert not result.data.synthetic


def test_bad_names_are_told(small, tmp_path):
    with pytest.raises(UnknownName, match="unknown head"):
        evaluated("bimotion/prosody", small, tmp_path, head="transformer")
    with pytest.raises(encoders.ModelError):
        evaluated(tmp_path / "nothing", small, tmp_path)
    with pytest.raises(UnknownName, match="unknown cell 'eng_old'"):
        evaluated("bimotion/majority", small, tmp_path, cells=["eng_old"])
