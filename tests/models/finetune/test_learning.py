"""Fine-tuning learns tones whose pitch is their class, and leaves a plain checkpoint."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from bimotion.errors import SettingError
from bimotion.models.losses import log_loss, masked_loss
from bimotion.models.recipe import FinetuneOptions
from tests.support import tiny_models
from tests.support.tone_training import (
    CLASSES,
    Labelled,
    history,
    predict,
    subset,
    tones,
    train,
    weights,
)


@pytest.fixture(scope="module")
def learned(models, tmp_path_factory):
    """A checkpoint (group norm in the encoder) that has learned the tones."""
    options = FinetuneOptions(epochs=4, learning_rate=1e-2)
    folder = tmp_path_factory.mktemp("learned")
    return train(
        models("wav2vec2-group"), folder, clips=tones(90), validation=tones(15, 1), options=options
    )


def test_learns_an_easy_task_with_masked_labels(learned):
    probabilities = predict(learned, tones(60, seed=2))
    assert (probabilities.shape, probabilities.dtype) == ((60, 3), np.float32)
    assert (probabilities.argmax(axis=1) == np.arange(60) % 3).mean() > 0.9
    losses = [entry["validation_loss"] for entry in history(learned)]
    assert losses[-1] < losses[0] / 3


def test_the_checkpoint_is_a_plain_one(learned):
    model = AutoModelForAudioClassification.from_pretrained(learned).eval()
    extractor = AutoFeatureExtractor.from_pretrained(learned)
    assert model.config.id2label == dict(enumerate(CLASSES))
    assert model.config.label2id == {name: output for output, name in enumerate(CLASSES)}
    assert model.config.problem_type == "multi_label_classification"
    test = tones(5, seed=3)
    clips = [test.waveform(i) for i in range(5)]
    made = [extractor(clip, sampling_rate=16_000, return_tensors="pt") for clip in clips]
    with torch.inference_mode():
        expected = [model(**inputs).logits.sigmoid()[0].numpy() for inputs in made]
    np.testing.assert_allclose(predict(learned, test), expected, atol=1e-6)
    paths = [path for path in learned.parent.iterdir() if path.name != ".lock"]
    assert sorted(path.name for path in paths) == ["best", "run.json"]
    pickles = (".bin", ".pt", ".pth", ".pkl")
    assert not [path for path in learned.parent.rglob("*") if path.suffix in pickles]


def test_exclusive_classes(models, tmp_path):
    clips = tones(60, masks=False, longest=9_000)
    options = FinetuneOptions(epochs=4, learning_rate=1e-2)
    best = train(models("wav2vec2-layer"), tmp_path, clips=clips, exclusive=True, options=options)
    config = json.loads((best / "config.json").read_text())
    assert config["problem_type"] == "single_label_classification"
    probabilities = predict(best, tones(30, seed=2))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert (probabilities.argmax(axis=1) == np.arange(30) % 3).mean() > 0.9
    odds = (p := predict(best, tones(3), exclusive=False).astype(float)) / (1 - p)
    shares = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, predict(best, tones(3)), atol=1e-4)


@pytest.mark.parametrize("exclusive", [False, True])
def test_loss_is_the_literal_one(exclusive):
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((40, 5))
    reference = np.where(generator.random((40, 5)) < 0.3, -1, 0)
    reference[np.arange(40), np.arange(40) % 5] = 1
    expected = []
    for row, labels in zip(logits, reference, strict=True):
        known = [k for k in range(5) if labels[k] != -1]
        p = 1 / (1 + np.exp(-row))
        losses = [-np.log(p[k] if labels[k] else 1 - p[k]) for k in known]
        softmax = np.exp(row[labels == 1][0]) / sum(np.exp(row[k]) for k in known)
        expected.append(-np.log(softmax) if exclusive else sum(losses) / len(known))
    tensor = torch.tensor(logits, requires_grad=True)
    losses = masked_loss(tensor, torch.tensor(reference), exclusive=exclusive)
    np.testing.assert_allclose(losses.detach(), expected, rtol=1e-12)
    losses.mean().backward()
    assert ((tensor.grad.numpy() == 0) == (reference == -1)).all()


def test_a_class_without_a_positive_training_clip_is_never_guessed(models, tmp_path):
    clips, validation = tones(21, masks=False), tones(9, 1, masks=False)
    clips.reference[clips.reference[:, 2] == 1] = [1, 0, -1]
    best = train(models("wav2vec2-layer"), tmp_path, clips=clips, validation=validation)
    assert predict(best, validation)[:, 2].max() < 1e-12
    assert history(best)[-1]["validation_loss"] < 2  # -30 does not count


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_batches_change_no_value(family, models, tmp_path):
    """A single step of training, of any family."""
    options = FinetuneOptions(epochs=1, learning_rate=1e-2)
    best = train(models(family), tmp_path, clips=tones(4, longest=8_000), options=options)
    test = tones(5, seed=4, longest=12_000)
    alone = np.concatenate([predict(best, subset(test, [i])) for i in range(5)])
    assert alone.std(axis=0).max() > 5e-4
    for batch_seconds in (1.6, 100.0):
        together = predict(best, test, batch_seconds=batch_seconds)
        np.testing.assert_allclose(together, alone, atol=1e-6)


def test_clips_longer_than_the_window_are_not_cut(models, tmp_path):
    best = train(models("whisper"), tmp_path, clips=tones(9, longest=80_000))
    long = tones(2, seed=5, longest=80_000)
    long.n_samples[:] = 64_000
    samples = [np.concatenate([long.waveform(i % 2)] * 20)[:64_000] for i in range(2)]
    long = Labelled(2, samples.__getitem__, long.n_samples, long.reference)
    halves = [samples[i][k : k + 32_000] for i in range(2) for k in (0, 32_000)]
    parts = Labelled(4, halves.__getitem__, np.full(4, 32_000), np.zeros((4, 3), np.int8))

    def logits(p):
        return np.log(p.astype(float) / (1 - p))

    expected = logits(predict(best, parts)).reshape(2, 2, 3).mean(axis=1)
    np.testing.assert_allclose(logits(predict(best, long)), expected, atol=1e-5)


def test_early_stopping_keeps_the_best_epoch(models, tmp_path):
    against = tones(9, 1)  # right labels in training, wrong ones here: the loss rises
    wrong = np.roll(np.eye(3, dtype=np.int8)[np.arange(9) % 3], 1, axis=1)
    against.reference[:] = np.where(against.reference == -1, -1, wrong)
    options = FinetuneOptions(epochs=9, patience=2, learning_rate=1e-2)
    source = models("wav2vec2-layer")
    best = train(source, tmp_path, clips=tones(30), validation=against, options=options)
    kept = json.loads((best / "training.json").read_text())
    losses = [entry["validation_loss"] for entry in kept["history"]]
    assert len(losses) == kept["best_epoch"] + 2 < 9
    assert min(losses) == losses[kept["best_epoch"] - 1]
    loss = log_loss(predict(best, against).astype(float), against.reference, exclusive=False)
    assert loss == pytest.approx(min(losses), abs=1e-5)


def test_without_validation_the_last_epoch_is_kept_and_a_finished_folder_is_left_alone(
    models, tmp_path
):
    best = train(models("wav2vec2-layer"), tmp_path)
    kept = json.loads((best / "training.json").read_text())
    assert (kept["best_epoch"], kept["chosen_by"]) == (2, "last epoch: no validation clips")
    assert kept["options"]["learning_rate"] == 1e-3
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    clips = tones(21)
    silent = Labelled(21, lambda i: pytest.fail("read again"), clips.n_samples, clips.reference)
    assert train(models("wav2vec2-layer"), tmp_path, clips=silent) == best
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    message = "holds another run, with another seed: choose another folder"
    with pytest.raises(SettingError, match=message):
        train(models("wav2vec2-layer"), tmp_path, seed=1)


def test_same_seed_same_bytes_other_seed_other_bytes(models, tmp_path):
    source, seeds = models("wav2vec2-layer"), (0, 0, 1)
    made = [train(source, tmp_path / str(k), seed=seed) for k, seed in enumerate(seeds)]
    assert weights(made[0]) == weights(made[1]) != weights(made[2])
