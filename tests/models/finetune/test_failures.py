"""Losses, memory and settings that cannot be end in one line with advice."""

import subprocess
import sys

import numpy as np
import pytest

from bimotion.errors import ModelError, SettingError
from bimotion.models import encoder
from bimotion.models.classifier import Classifier
from bimotion.models.spec import ModelSpec
from bimotion.models.training import FinetuneOptions
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


def test_an_optimizer_that_does_not_fit_ends_in_a_line_with_advice(models, tmp_path, monkeypatch):
    """Its moments take twice the memory of the weights, so that smaller batches are no help."""
    import torch

    def full(self, *args, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(torch.optim.AdamW, "step", full)
    with pytest.raises(
        SettingError,
        match=r"step 1: the optimizer does not fit into the memory of cpu: .*--lora-rank",
    ) as caught:
        train(models("ast"), tmp_path / "full")
    assert "\n" not in str(caught.value)


def test_a_model_that_does_not_fit_is_told_in_a_line(models, tmp_path, monkeypatch):
    import torch

    def full(self, *args, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    for load in (
        lambda: encoder.load(ModelSpec(str(models("ast")), device="cpu")),
        lambda: train(models("ast"), tmp_path / "full"),
    ):
        with pytest.raises(
            ModelError, match=r"expected room in the memory of cpu, found: CUDA out of memory$"
        ):
            load()


@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="no GPU")
def test_a_gpu_without_a_number_trains(models, tmp_path):
    assert history(train(models("ast"), tmp_path / "gpu", device="cuda"))


def test_out_of_memory_halves_the_batch_and_goes_on(models, tmp_path, monkeypatch):
    import torch

    logits = Classifier.logits

    def small(self, batch, *rest):
        if len(batch.n_true) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits(self, batch, *rest)

    quiet = FinetuneOptions(epochs=1, learning_rate=1e-3, dropout=0.0)
    still = tiny_models.build("ast", tmp_path / "ast")
    whole = train(still, tmp_path / "whole", validation=tones(6, 1), options=quiet)
    monkeypatch.setattr(Classifier, "logits", small)
    heard = Heard()
    halved = train(
        still, tmp_path / "halved", validation=tones(6, 1), options=quiet, progress=heard
    )
    said = [line for line in heard.lines if "out of memory" in line]
    assert [line for line in said if "going on with 4 clips at once" in line]
    assert [line for line in said if "going on with 2 clips at once" in line]
    assert history(halved)[0] == pytest.approx(history(whole)[0], abs=1e-5)
    assert predict(halved, tones(9, 2)) == pytest.approx(predict(whole, tones(9, 2)), abs=1e-4)

    def none(self, batch, *rest):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Classifier, "logits", none)
    with pytest.raises(
        SettingError, match="epoch 1, step 1: not even one clip fits into the memory of cpu"
    ):
        train(still, tmp_path / "none", options=quiet)


def test_what_cannot_be_done_is_said_in_a_line(models, tmp_path):
    source, clips = models("wav2vec2-layer"), tones(6)
    with pytest.raises(ModelError, match="nowhere"):
        train(tmp_path / "nowhere", tmp_path / "a")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="text"):
        train(tmp_path / "text", tmp_path / "b")
    with pytest.raises(
        ModelError,
        match=r"expected a head that was trained in .*, found none for (projector|classifier)",
    ):
        predict(source, clips)
    with pytest.raises(SettingError, match="no training clips"):
        train(source, tmp_path / "c", clips=subset(clips, []))
    with pytest.raises(SettingError, match="expected a reference over 2 classes, found 3"):
        train(source, tmp_path / "d", clips=clips, classes=("a", "b"))
    nothing = Labelled(6, clips.waveform, clips.n_samples, np.full((6, 3), -1, np.int8))
    with pytest.raises(
        SettingError,
        match=r"training clip 0: expected an annotated class, found none \(6 such clips\)",
    ):
        train(source, tmp_path / "e", clips=nothing)
    with pytest.raises(SettingError, match="device 'abacus' cannot be used"):
        train(source, tmp_path / "f", device="abacus")
    with pytest.raises(
        SettingError, match="epochs: expected a whole number from 1 to 10000, found 0"
    ):
        train(source, tmp_path / "g", options=FinetuneOptions(epochs=0))


def test_importing_it_loads_nothing_heavy():
    code = (
        "import sys, bimotion.models.finetune; print(*{'torch', 'transformers', 'accelerate', "
        "'peft'} & set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == ""
    )
