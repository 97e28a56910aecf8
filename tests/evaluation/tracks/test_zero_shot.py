"""Classifiers as they are: label maps, the paper's checkpoints, what is no classifier."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from bimotion.errors import SettingError
from bimotion.evaluation.tracks.track import clips_in_memory
from bimotion.evaluation.tracks.zero_shot import ZeroShot
from bimotion.models.spec import ModelSpec
from bimotion.models.weights import ModelError
from bimotion.protocol.labels import EMOTIONS, SCHEMAS
from tests.support.small_runs import FOUR, evaluated


@pytest.mark.parametrize("protocol", ["in-group", "distance"])
def test_protocols_of_zero_shot(protocol, models, small, tmp_path):
    model = models("hubert", FOUR)
    result, _ = evaluated(model, small, tmp_path, track="zero-shot", protocol=protocol)
    assert len({score.test for score in result.scores}) == {"distance": 3}.get(protocol, 4)


def test_label_map_file(models, small, tmp_path):
    unnamed = models("wavlm", {0: "LABEL_0", 1: "LABEL_1"})
    asked = {"track": "zero-shot", "protocol": "in-group"}
    with pytest.raises(
        SettingError,
        match=r"expected outputs with names, found 'LABEL_0', 'LABEL_1'; write a JSON file",
    ):
        evaluated(unnamed, small, tmp_path, **asked)
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"LABEL_0": "happiness", "LABEL_1": None}))
    result, _ = evaluated(unnamed, small, tmp_path, label_map=file, **asked)
    options = result.model.options
    assert (options["label_map"], options["unmapped"]) == ("file", "LABEL_1")
    untrained = {
        tuple(score.untrained)
        for score in result.scores
        if score.corpus == "tess" and score.metric == "uar"
    }
    assert untrained != {()}


@pytest.fixture
def elderly_checkpoint(models, tmp_path, monkeypatch):
    """A tiny model as the paper's, in a cache as the Hub fills it: 13 unnamed sigmoid outputs, and
    an architecture that transformers does not have."""
    name = "SER-wav2vec2-large-xlsr-53-eng-zho-elderly"
    unnamed = {number: f"LABEL_{number}" for number in range(13)}
    snapshot = tmp_path / "hub" / f"models--CAiRE--{name}" / "snapshots" / ("0" * 40)
    shutil.copytree(models("wav2vec2-layer", unnamed), snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    config = json.loads((snapshot / "config.json").read_text())
    config["architectures"] = ["Wav2Vec2ForMultilabelSequenceClassification"]
    (snapshot / "config.json").write_text(json.dumps(config | {"problem_type": None}))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return f"CAiRE/{name}"


def test_the_papers_own_checkpoints_are_read(elderly_checkpoint, small, tmp_path):
    asked = {"track": "zero-shot", "protocol": "in-group"}
    result, folder = evaluated(elderly_checkpoint, small, tmp_path / "out", **asked)
    assert (result.model.name, result.model.revision) == (elderly_checkpoint, "0" * 40)
    options = result.model.options
    assert (options["label_map"], options["unmapped"]) == ("built-in", "")
    assert options["softmax"] is False
    assert (options["raw_amplitude"], options["whole_clips"]) == (True, True)
    assert options["outputs"].startswith("LABEL_0=sadness; LABEL_1=fear; LABEL_2=angry")
    probabilities = np.stack(pd.read_parquet(folder / "predictions.parquet")["probabilities"])
    assert probabilities.shape[1] == 13
    # sigmoids of a model that knows nothing, not a softmax
    assert (probabilities.sum(axis=1) > 2).all()


@pytest.mark.parametrize("is_copy", [False, True])
def test_the_papers_own_checkpoints_hear_the_amplitude_that_they_were_trained_on(
    is_copy, elderly_checkpoint, tmp_path
):
    """Their feature extractor would scale it; a copy is known by its architecture."""
    (snapshot,) = (tmp_path / "hub").glob("*/snapshots/*")
    clip = (0.02 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    file, names = tmp_path / "map.json", (f"LABEL_{output}" for output in range(13))
    file.write_text(json.dumps(dict(zip(names, EMOTIONS, strict=True))))
    model = str(shutil.copytree(snapshot, tmp_path / "copy")) if is_copy else elderly_checkpoint
    track = ZeroShot(file if is_copy else None)
    runner = track.runner(ModelSpec(model, device="cpu"), SCHEMAS["emotion"])
    assert runner.used.options["raw_amplitude"] is True
    classifier = runner.classifier
    predicted = classifier.probabilities(clips_in_memory([clip]), exclusive=runner.softmax)[0]
    scaled = (clip - clip.mean()) / clip.std()
    with torch.inference_mode():
        raw, other = (
            classifier.model(torch.tensor(samples)[None]).logits.sigmoid()[0].numpy()
            for samples in (clip, scaled)
        )
    np.testing.assert_allclose(predicted, raw, atol=1e-6)
    assert np.abs(predicted - other).max() > 1e-5


def test_models_without_a_trained_head_are_no_classifiers(models, small, tmp_path):
    with pytest.raises(
        ModelError, match="expected a head that was trained in HubertForSequenceClassification"
    ):
        evaluated(models("hubert"), small, tmp_path, track="zero-shot")
    with pytest.raises(
        SettingError, match="track finetune: expected a Hub id or a folder, found bimotion/prosody"
    ):
        evaluated("bimotion/prosody", small, tmp_path, track="finetune")
