"""The probe track end to end, on synthetic clips: what is kept, resumed, read back, refused."""

import json
import shutil

import numpy as np
import pytest
from filelock import FileLock

from bimotion.data import features, manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import ModelError, SettingError, UnknownName
from bimotion.io import audio
from bimotion.io.progress import Progress
from bimotion.models import encoder as encoders
from bimotion.models.spec import ModelSpec
from bimotion.results import record
from tests.support.command_line import run_main, run_python
from tests.support.small_runs import evaluated, killed_at, words

HUBERT = "hubert"


@pytest.fixture(scope="module")
def finished(models, small, tmp_path_factory):
    """A run in-group of a tiny model: result and folder."""
    return evaluated(models(HUBERT), small, tmp_path_factory.mktemp("run"), protocol="in-group")


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of that run, below tmp_path."""
    original = finished[1]
    return shutil.copytree(original, tmp_path / original.parent.name / original.name)


def test_seed_cells_limit_and_head_are_recorded(models, small, tmp_path):
    options = {"seeds": [2], "cells": ["eng_eld"], "limit": 1}
    result, _ = evaluated(models(HUBERT), small, tmp_path, protocol="inference", **options)
    assert (result.seeds, result.limit, result.protocol.cells) == ([2], 1, ["eng_eld"])
    assert result.model.options["head"] == "logistic"
    for fit in result.fits:
        assert list(fit.facts) == ["layer", "C", "iterations", "converged", "chosen_by"]
        assert fit.facts["converged"]
    assert {score.seed for score in result.scores} == {2}
    assert {score.test for score in result.scores} == {"eng_eld"}
    assert not result.data.complete
    assert result.data.corpora["tess"].left_out["beyond the limit of 1"] > 0
    assert result.headline("in-group", "inference", "eng_eld") is not None


@pytest.fixture
def encoded(monkeypatch) -> list:
    """Every waveform that an encoder is given from now on."""
    waveforms, encode_groups = [], encoders.Encoder.encode_groups

    def counting(self, groups):
        groups = [list(group) for group in groups]
        waveforms.extend(waveform for group in groups for waveform in group)
        return encode_groups(self, groups)

    monkeypatch.setattr(encoders.Encoder, "encode_groups", counting)
    return waveforms


def test_features_are_extracted_once(finished, models, small, tmp_path, encoded):
    model = models(HUBERT)
    evaluated(model, small, tmp_path, schema="valence", protocol="inference", cells=["eng_adu"])
    asked = {"split_rule": "disjoint", "protocol": "in-group"}
    evaluated(model, small, tmp_path, **asked)
    assert encoded == []


def test_a_limit_encodes_only_its_clips_and_the_rest_later(models, small, tmp_path, encoded):
    counts = []
    for limit in (1, None):
        asked = {"limit": limit, "protocol": "in-group"}
        result, _ = evaluated(models("unispeech-sat"), small, tmp_path, **asked)
        counts.append(sum(corpus.n_utterances for corpus in result.data.corpora.values()))
        assert len(encoded) == counts[-1]  # what the limit let through is not encoded again
    assert counts[0] < counts[1]


def test_stored_features_are_the_encoders(models, small):
    encoder = encoders.load(ModelSpec(models("wavlm")))
    corpora = manifest.build(CorpusSource.of(small, only=["tess"]))
    table = features.layer_features(encoder, corpora, corpora.table, Progress())
    rows = np.array([7, 0, 3])
    waveforms = [audio.decode(corpora.path("tess", corpora.table["path"][row])) for row in rows]
    # float16 on disk
    layers = [table.layer(rows, layer) for layer in range(table.shape[0])]
    expected = encoder.encode(waveforms)
    assert np.stack(layers, axis=1) == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_a_killed_run_goes_on_to_the_same_bytes(models, finished, small, tmp_path):
    result, whole = finished
    killed = tmp_path / whole.parent.name / whole.name
    asked = words(models(HUBERT), small, tmp_path)
    killed_at(killed, "unfinished/[!.]*.part", asked)
    assert not (killed / "result.json").exists()
    again, resumed = evaluated(models(HUBERT), small, tmp_path, protocol="in-group")
    assert resumed == killed
    predictions = "predictions.parquet"
    assert (resumed / predictions).read_bytes() == (whole / predictions).read_bytes()
    assert again.scores == record.load(whole / "result.json").scores == result.scores
    assert not (killed / "unfinished").exists()


def test_two_processes_on_one_run_are_told(models, small, folder, tmp_path):
    (folder / "result.json").unlink()
    with (
        FileLock(folder / ".lock"),
        pytest.raises(SettingError, match="another process is working on this very run"),
    ):
        evaluated(models(HUBERT), small, tmp_path, protocol="in-group")


def test_tampered_scores_are_noticed(folder, monkeypatch):
    content = json.loads((folder / "result.json").read_text())
    true = content["scores"][0]["value"]
    content["scores"][0]["value"] = 0.987654
    content["scores"][1]["standard_error"] = 0.25  # the value is right
    (folder / "result.json").write_text(json.dumps(content))
    code, _, errors = run_main(monkeypatch, ["score", folder])
    assert code == 1
    assert "2 recorded scores differ from those of the predictions: in-group inference: " in errors
    assert f" 0.987654, computed {true}; in-group inference: " in errors
    assert errors.count(", computed ") == 1


def test_scoring_again_loads_no_torch(finished):
    code = (
        "import sys; from pathlib import Path; from bimotion.results import rescoring; "
        f"rescoring.rescore(Path({str(finished[1])!r})); print('torch' in sys.modules)"
    )
    assert run_python(code).stdout.strip() == "False"


def test_dry_run_shows_nine_and_four_training_sets(small, monkeypatch):
    asked = ["evaluate", "-m", "any/model", "--corpora", small, "--allow-missing", "--dry-run"]
    asked += ["--preset", "paper", "--protocol", "all"]
    code, shown, errors = run_main(monkeypatch, asked)
    assert code == 0, errors
    assert "13 distinct training sets serve 36 settings cost:" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("error", "model", "options", "message"),
    [
        (SettingError, "bimotion/prosody", {"head": "layers"}, "evaluate: no keyword 'head'"),
        (SettingError, "bimotion/prosody", {"seeds": [0, 1]}, "expected one seed, for nothing is"),
        (ModelError, "/no/such/folder", {}, "no such folder"),
        (UnknownName, "bimotion/majority", {"cells": ["eng_old"]}, "unknown cell 'eng_old'"),
        (UnknownName, "bimotion/prosodie", {}, "expected one of bimotion/prosody"),
    ],
)
def test_what_cannot_be_run_is_refused_and_leaves_nothing(
    error, model, options, message, small, tmp_path
):
    with pytest.raises(error, match=message):
        evaluated(model, small, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
