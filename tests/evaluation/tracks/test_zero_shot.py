"""Classifiers as they are: label maps, the paper's checkpoints, what is no classifier."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from bimotion.errors import SettingError
from bimotion.models.weights import ModelError
from tests.support.small_runs import FOUR, evaluated


@pytest.mark.parametrize("protocol", ["in-group", "inference", "augmentation", "distance"])
def test_protocols_of_zero_shot(protocol, models, small, tmp_path):
    result, _ = evaluated(
        models("hubert", FOUR), small, tmp_path, track="zero-shot", protocol=protocol
    )
    n_tests = {"distance": 3}.get(protocol, 4)
    assert len({score.test for score in result.scores}) == n_tests


def test_label_map_file(models, small, tmp_path):
    unnamed = models("wavlm", {0: "LABEL_0", 1: "LABEL_1"})
    with pytest.raises(
        SettingError,
        match=r"expected outputs with names, found 'LABEL_0', 'LABEL_1'; write a JSON file",
    ):
        evaluated(unnamed, small, tmp_path, track="zero-shot")
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"LABEL_0": "happiness", "LABEL_1": None}))
    result, _ = evaluated(
        unnamed, small, tmp_path, track="zero-shot", label_map=file, protocol="in-group"
    )
    assert (result.model.options["label_map"], result.model.options["unmapped"]) == (
        "file",
        "LABEL_1",
    )
    assert {
        tuple(score.untrained)
        for score in result.scores
        if score.corpus == "tess" and score.metric == "uar"
    } != {()}


def test_the_papers_own_checkpoints_are_read(models, small, tmp_path):
    """In a cache as the Hub fills it: 13 unnamed sigmoid outputs, under an architecture that
    transformers does not have."""
    name = "SER-wav2vec2-large-xlsr-53-eng-zho-elderly"
    unnamed = {place: f"LABEL_{place}" for place in range(13)}
    snapshot = tmp_path / "hub" / f"models--CAiRE--{name}" / "snapshots" / ("0" * 40)
    shutil.copytree(models("wav2vec2-layer", unnamed), snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    config = json.loads((snapshot / "config.json").read_text())
    config |= {
        "architectures": ["Wav2Vec2ForMultilabelSequenceClassification"],
        "problem_type": None,
    }
    (snapshot / "config.json").write_text(json.dumps(config))
    command = [
        sys.executable,
        "-m",
        "bimotion",
        "evaluate",
        "-m",
        f"CAiRE/{name}",
        "--track",
        "zero-shot",
        "--allow-missing",
        "--corpora",
        str(small),
        "-o",
        str(tmp_path / "out"),
        "--protocol",
        "in-group",
        "--json",
    ]
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["model"]["name"] == f"CAiRE/{name}"
    assert result["model"]["revision"] == "0" * 40
    options = result["model"]["options"]
    assert (options["label_map"], options["softmax"], options["unmapped"]) == (
        "built-in",
        False,
        "",
    )
    assert options["outputs"].startswith("LABEL_0=sadness; LABEL_1=fear; LABEL_2=angry")
    (folder,) = (tmp_path / "out").glob("CAiRE__*/*")
    said = np.stack(pd.read_parquet(folder / "predictions.parquet")["probabilities"])
    assert said.shape[1] == 13
    assert (said.sum(axis=1) > 2).all()  # sigmoids of a model that knows nothing, not a softmax


def test_models_without_a_trained_head_are_no_classifiers(models, small, tmp_path):
    with pytest.raises(
        ModelError, match="expected a head that was trained in HubertForSequenceClassification"
    ):
        evaluated(models("hubert"), small, tmp_path, track="zero-shot")
    with pytest.raises(
        SettingError, match="track finetune: expected a Hub id or a folder, found bimotion/prosody"
    ):
        evaluated("bimotion/prosody", small, tmp_path, track="finetune")
