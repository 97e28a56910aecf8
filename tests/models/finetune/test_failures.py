"""Losses, memory and settings that cannot be end in one line with advice."""

import numpy as np
import pytest
import torch

from bimotion.errors import ModelError, SettingError
from bimotion.models import encoder
from bimotion.models.classifier import Classifier
from bimotion.models.recipe import FinetuneOptions
from bimotion.models.spec import ModelSpec
from tests.support import tiny_models
from tests.support.tone_training import Heard, Labelled, history, predict, subset, tones, train


def test_loss_that_is_not_finite(models, tmp_path):
    source = tiny_models.overflowing(models("wav2vec2-layer"), tmp_path / "source")
    with pytest.raises(
        SettingError,
        match=r"training loss is not finite in epoch 1, step \d: try a lower learning rate",
    ):
        train(source, tmp_path / "run", options=FinetuneOptions(epochs=2))
    assert not list((tmp_path / "run").glob("state-*"))


@pytest.fixture
def full(monkeypatch):
    """Makes a method raise what a full GPU does."""

    def raise_in(owner, name):
        def out_of_memory(self, *args, **options):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        monkeypatch.setattr(owner, name, out_of_memory)

    return raise_in


def test_an_optimizer_that_does_not_fit_ends_in_a_line_with_advice(models, tmp_path, full):
    """Its moments take twice the memory of the weights, so that smaller batches are no help."""
    full(torch.optim.AdamW, "step")
    message = r"step 1: the optimizer does not fit into the memory of cpu: .*--lora-rank"
    with pytest.raises(SettingError, match=message) as caught:
        train(models("ast"), tmp_path / "full")
    assert "\n" not in str(caught.value)


def test_a_model_that_does_not_fit_is_told_in_a_line(models, tmp_path, full):
    full(torch.nn.Module, "to")
    message = r"expected room in the memory of cpu, found: CUDA out of memory$"
    with pytest.raises(ModelError, match=message):
        encoder.load(ModelSpec(str(models("ast")), device="cpu"))
    with pytest.raises(ModelError, match=message):
        train(models("ast"), tmp_path / "full")


@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="no GPU")
def test_a_gpu_without_a_number_trains(models, tmp_path):
    assert history(train(models("ast"), tmp_path / "gpu", device="cuda"))


def test_out_of_memory_halves_the_batch_and_goes_on(models, tmp_path, monkeypatch, full):
    logits = Classifier.logits

    def small(self, batch):
        if len(batch.n_true) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits(self, batch)

    quiet = FinetuneOptions(epochs=1, learning_rate=1e-3, dropout=0.0)
    still, heard = tiny_models.build("ast", tmp_path / "ast"), Heard()
    options = {"validation": tones(6, 1), "options": quiet}
    whole = train(still, tmp_path / "whole", **options)
    monkeypatch.setattr(Classifier, "logits", small)
    halved = train(still, tmp_path / "halved", progress=heard, **options)
    for size in (4, 2):
        assert [line for line in heard.lines if f"going on with {size} clips at once" in line]
    assert history(halved)[0] == pytest.approx(history(whole)[0], abs=1e-5)
    assert predict(halved, tones(9, 2)) == pytest.approx(predict(whole, tones(9, 2)), abs=1e-4)
    full(Classifier, "logits")
    message = "epoch 1, step 1: not even one clip fits into the memory of cpu"
    with pytest.raises(SettingError, match=message):
        train(still, tmp_path / "none", options=quiet)


def test_what_cannot_be_done_is_said_in_a_line(models, tmp_path):
    source, clips = models("wav2vec2-layer"), tones(6)
    text = tmp_path / "text"
    text.mkdir()
    (text / "tokenizer.json").write_text("{}")
    unlabelled = Labelled(6, clips.waveform, clips.n_samples, np.full((6, 3), -1, np.int8))
    nothing = r"training clip 0: expected an annotated class, found none \(6 such clips\)"
    columns = "expected a reference over 2 classes, found 3"
    cases = [
        (ModelError, "nowhere", lambda: train(tmp_path / "nowhere", tmp_path / "a")),
        (ModelError, "text", lambda: train(text, tmp_path / "b")),
        (ModelError, "expected a head that was trained in", lambda: predict(source, clips)),
        (SettingError, "no training", lambda: train(source, tmp_path, clips=subset(clips, []))),
        (SettingError, columns, lambda: train(source, tmp_path, classes=("a", "b"))),
        (SettingError, nothing, lambda: train(source, tmp_path, clips=unlabelled)),
        (SettingError, "'abacus' cannot be used", lambda: train(source, tmp_path, device="abacus")),
        (SettingError, "epochs: expected a whole number", lambda: FinetuneOptions(epochs=0)),
    ]
    for kind, message, call in cases:
        with pytest.raises(kind, match=message):
            call()
