"""Accumulation, frozen layers, LoRA, SpecAugment and the order of clips."""

import numpy as np
import pytest

from bimotion.errors import SettingError
from bimotion.models import inputs as intakes
from bimotion.models.classifier import Classifier
from bimotion.models.recipe import FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.models.training_data import plan
from tests.support import tiny_models
from tests.support.tone_training import history, predict, tones, train


def test_gradient_accumulation_is_a_larger_batch(models, tmp_path):
    made = [
        train(
            models("ast"),
            tmp_path / f"{size}x{n}",
            options=FinetuneOptions(1e-3, 0.0, 1, batch_size=size, gradient_accumulation=n),
        )
        for size, n in ((4, 2), (8, 1), (4, 1))
    ]
    losses = [history(folder)[0]["train_loss"] for folder in made]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    a, b, c = (predict(folder, tones(6, 2)) for folder in made)
    np.testing.assert_allclose(a, b, atol=1e-5)
    assert np.abs(a - c).max() > 1e-3


def test_frozen_feature_encoder_and_lora(models, tmp_path):
    from safetensors.numpy import load_file
    from transformers import AutoModelForAudioClassification

    source = models("wav2vec2-layer")
    before = load_file(source / "model.safetensors")

    def changed(best):
        after = load_file(best / "model.safetensors")
        return {
            name for name in before if not np.array_equal(before[name], after[f"wav2vec2.{name}"])
        }

    frozen = train(
        source, tmp_path / "frozen", options=FinetuneOptions(epochs=1, freeze_feature_encoder=True)
    )
    assert changed(frozen)
    assert not any(name.startswith("feature_extractor") for name in changed(frozen))
    with pytest.raises(SettingError, match="no convolutional feature encoder to freeze"):
        train(models("ast"), tmp_path / "ast", options=FinetuneOptions(freeze_feature_encoder=True))
    pytest.importorskip("peft")
    options = FinetuneOptions(epochs=2, lora_rank=2, learning_rate=1e-2)
    low = train(source, tmp_path / "lora", options=options, validation=tones(6, 1))
    assert (
        type(AutoModelForAudioClassification.from_pretrained(low)).__name__
        == "Wav2Vec2ForSequenceClassification"
    )
    assert changed(low)
    assert not any(
        "conv" in name or "norm" in name or name.endswith("bias") for name in changed(low)
    )


def test_spec_augment_is_the_models_own_and_spares_short_clips(tmp_path):
    import torch

    source = tiny_models.build("wav2vec2-layer", tmp_path, n_labels=3, mask_time_prob=0.5)
    body = Classifier(ModelSpec(str(source), device="cpu")).model.wav2vec2
    hidden = torch.ones(2, 49, 16)
    assert torch.equal(body.eval()._mask_hidden_states(hidden.clone()), hidden)
    body.train()
    assert 5 < (body._mask_hidden_states(hidden.clone()) != 1).all(dim=2).sum() < 80
    short = torch.ones(2, 9, 16)  # a mask is 10 frames long
    assert torch.equal(body._mask_hidden_states(short.clone()), short)


def test_plan_takes_each_clip_once_and_similar_lengths_together():
    n_samples = np.random.default_rng(0).integers(8_000, 96_000, 1001)
    steps = plan(n_samples, 8, 0, 1)
    assert sorted(np.concatenate(steps).tolist()) == list(range(1001))
    assert max(map(len, steps)) == 8
    assert len(steps) == 126
    filled = sum(n_samples[ids].sum() for ids in steps) / sum(
        n_samples[ids].max() * len(ids) for ids in steps
    )
    assert filled > 0.85
    assert [ids.tolist() for ids in plan(n_samples, 8, 0, 1)] == [ids.tolist() for ids in steps]
    assert [ids.tolist() for ids in plan(n_samples, 8, 0, 2)] != [ids.tolist() for ids in steps]
    buckets = {intakes.bucket(n) for n in range(8_000, 480_000, 100)}
    assert len(buckets) < 50
    assert all(n <= intakes.bucket(n) <= 1.1 * n for n in range(400, 50_000, 7))
