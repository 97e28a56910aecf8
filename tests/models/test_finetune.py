"""Fine-tuning of tiny random models on tones whose pitch is their class. Run as a program, this
file is the other process."""

import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bimotion.errors import SettingError
from bimotion.io.progress import Progress
from bimotion.models import encoder, training
from bimotion.models import inputs as intakes
from bimotion.models.classifier import Classifier, Clips
from bimotion.models.finetune import finetune
from bimotion.models.parallel import Ranks
from bimotion.models.training import FinetuneOptions, masked_loss
from bimotion.models.weights import ModelError, ModelSpec
from tests.support import ending, tiny_models

CLASSES = ("low", "middle", "high")
HERTZ = (200, 600, 1800)
HANGS_S = 600  # never waited for, but where a process hangs
QUICK = FinetuneOptions(epochs=2, learning_rate=1e-3)


@dataclass(frozen=True)
class Labelled:
    """Clips and what they are."""

    n: int
    waveform: Callable[[int], np.ndarray]
    n_samples: np.ndarray
    reference: np.ndarray

    @property
    def clips(self) -> Clips:
        return Clips(self.waveform, self.n_samples)


def tones(
    n: int, seed: int = 0, *, masks: bool = True, longest: int = 16_000, delay_s: float = 0.0
) -> Labelled:
    """Clip i is a noisy tone of class i % 3; with masks, every other clip leaves one of its absent
    classes unannotated."""
    generator = np.random.default_rng(seed)
    n_samples = generator.integers(4_000, longest, n)
    truth = np.arange(n) % 3
    waveforms = [
        (
            0.3 * np.sin(2 * np.pi * HERTZ[c] * np.arange(k) / 16_000)
            + 0.02 * generator.standard_normal(k)
        ).astype(np.float32)
        for c, k in zip(truth, n_samples, strict=True)
    ]
    reference = np.eye(3, dtype=np.int8)[truth]
    if masks:
        reference[np.arange(n)[1::2], (truth[1::2] + 1) % 3] = -1

    def waveform(i: int) -> np.ndarray:
        time.sleep(delay_s)
        return waveforms[i]

    return Labelled(n, waveform, n_samples, reference)


def subset(clips: Labelled, places) -> Labelled:
    places = list(places)
    return Labelled(
        len(places),
        lambda k: clips.waveform(places[k]),
        clips.n_samples[places],
        clips.reference[places],
    )


def train(
    model,
    folder,
    *,
    clips=None,
    validation=None,
    classes=CLASSES,
    exclusive=False,
    seed=0,
    options=QUICK,
    progress=None,
    device="cpu",
):
    """Fine-tune on some clips, watching others: the checkpoint."""
    parts = [part for part in (clips or tones(21), validation) if part is not None]
    n, total = parts[0].n, sum(part.n for part in parts)

    def waveform(i: int) -> np.ndarray:
        return parts[0].waveform(i) if i < n else parts[1].waveform(i - n)

    whole = Clips(waveform, np.concatenate([part.n_samples for part in parts]), "tones")
    reference = np.concatenate([part.reference for part in parts])
    return finetune(
        ModelSpec(str(model), device=device),
        whole,
        reference,
        np.arange(n),
        np.arange(n, total),
        classes=classes,
        exclusive=exclusive,
        seed=seed,
        options=options,
        folder=folder,
        ranks=Ranks(device),
        progress=progress or Progress(),
    )


def predict(checkpoint, labelled, *, exclusive=None, batch_seconds=None) -> np.ndarray:
    """Probabilities of a checkpoint."""
    spec = ModelSpec(str(checkpoint), device="cpu", batch_seconds=batch_seconds)
    return Classifier(spec).probabilities(labelled.clips, exclusive=exclusive)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def history(folder: Path) -> list[dict]:
    return json.loads((folder / "training.json").read_text())["history"]


class Heard(Progress):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder of a tiny encoder without a head, by family."""
    made: dict[str, Path] = {}

    def of(family: str) -> Path:
        if family not in made:
            wider = "init_std" if family == "whisper" else "initializer_range"
            made[family] = tiny_models.build(
                family, tmp_path_factory.mktemp(family), **{wider: 0.1}
            )
        return made[family]

    return of


@pytest.fixture(scope="module")
def learned(models, tmp_path_factory):
    """A checkpoint (group norm in the encoder) that has learned the tones."""
    options = FinetuneOptions(epochs=4, learning_rate=1e-2)
    folder = tmp_path_factory.mktemp("learned")
    return train(
        models("wav2vec2-group"), folder, clips=tones(90), validation=tones(15, 1), options=options
    )


def test_learns_an_easy_task_with_masked_labels(learned):
    test = tones(60, seed=2)
    found = predict(learned, test)
    assert found.shape == (60, 3)
    assert found.dtype == np.float32
    assert (found.argmax(axis=1) == np.arange(60) % 3).mean() > 0.9
    losses = [entry["validation_loss"] for entry in history(learned)]
    assert losses[-1] < losses[0] / 3


def test_the_checkpoint_is_a_plain_one(learned):
    import torch
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    model, extractor = (
        AutoModelForAudioClassification.from_pretrained(learned),
        AutoFeatureExtractor.from_pretrained(learned),
    )
    assert model.config.id2label == dict(enumerate(CLASSES))
    assert model.config.label2id == {name: place for place, name in enumerate(CLASSES)}
    assert model.config.problem_type == "multi_label_classification"
    test = tones(5, seed=3)
    with torch.inference_mode():
        alone = [
            model.eval()(**extractor(test.waveform(i), sampling_rate=16_000, return_tensors="pt"))
            .logits.sigmoid()[0]
            .numpy()
            for i in range(5)
        ]
    np.testing.assert_allclose(predict(learned, test), alone, atol=1e-6)
    assert sorted(path.name for path in learned.parent.iterdir() if path.name != ".lock") == [
        "best",
        "run.json",
    ]
    assert not [
        path for path in learned.parent.rglob("*") if path.suffix in (".bin", ".pt", ".pth", ".pkl")
    ]


def test_exclusive_classes(models, tmp_path):
    clips = tones(60, masks=False, longest=9_000)
    options = FinetuneOptions(epochs=4, learning_rate=1e-2)
    best = train(models("wav2vec2-layer"), tmp_path, clips=clips, exclusive=True, options=options)
    assert (
        json.loads((best / "config.json").read_text())["problem_type"]
        == "single_label_classification"
    )
    found = predict(best, tones(30, seed=2))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert (found.argmax(axis=1) == np.arange(30) % 3).mean() > 0.9
    odds = (p := predict(best, tones(3), exclusive=False).astype(float)) / (1 - p)
    np.testing.assert_allclose(
        odds / odds.sum(axis=1, keepdims=True), predict(best, tones(3)), atol=1e-4
    )


@pytest.mark.parametrize("exclusive", [False, True])
def test_loss_is_the_literal_one(exclusive):
    import torch

    generator = np.random.default_rng(0)
    logits = generator.standard_normal((40, 5))
    reference = np.where(generator.random((40, 5)) < 0.3, -1, 0)
    reference[np.arange(40), np.arange(40) % 5] = 1
    expected = []
    for row, labels in zip(logits, reference, strict=True):
        known = [k for k in range(5) if labels[k] != -1]
        if exclusive:
            expected.append(
                -np.log(np.exp(row[labels == 1][0]) / sum(np.exp(row[k]) for k in known))
            )
        else:
            p = 1 / (1 + np.exp(-row))
            expected.append(
                -sum(np.log(p[k]) if labels[k] else np.log(1 - p[k]) for k in known) / len(known)
            )
    tensor = torch.tensor(logits, requires_grad=True)
    found = masked_loss(tensor, torch.tensor(reference), exclusive=exclusive)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-12)
    found.mean().backward()
    assert (tensor.grad.numpy()[reference == -1] == 0).all()
    assert (tensor.grad.numpy()[reference != -1] != 0).all()


def test_a_class_without_a_positive_training_clip_is_never_guessed(models, tmp_path):
    clips, validation = tones(21, masks=False), tones(9, 1, masks=False)
    clips.reference[clips.reference[:, 2] == 1] = [1, 0, -1]
    best = train(models("wav2vec2-layer"), tmp_path, clips=clips, validation=validation)
    assert predict(best, validation)[:, 2].max() < 1e-12
    assert history(best)[-1]["validation_loss"] < 2  # -30 does not count


@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_batches_change_no_value(family, models, tmp_path):
    """Of any family, after a single step of training."""
    best = train(
        models(family),
        tmp_path,
        clips=tones(4, longest=8_000),
        options=FinetuneOptions(epochs=1, learning_rate=1e-2),
    )
    test = tones(5, seed=4, longest=12_000)
    alone = np.concatenate([predict(best, subset(test, [i])) for i in range(5)])
    assert alone.std(axis=0).max() > 5e-4
    for batch_seconds in (1.6, 100.0):
        np.testing.assert_allclose(
            predict(best, test, batch_seconds=batch_seconds), alone, atol=1e-6
        )


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
    against.reference[:] = np.where(
        against.reference == -1, -1, np.roll(np.eye(3, dtype=np.int8)[np.arange(9) % 3], 1, axis=1)
    )
    options = FinetuneOptions(epochs=9, patience=2, learning_rate=1e-2)
    best = train(
        models("wav2vec2-layer"), tmp_path, clips=tones(30), validation=against, options=options
    )
    kept = json.loads((best / "training.json").read_text())
    losses = [entry["validation_loss"] for entry in kept["history"]]
    assert len(losses) == kept["best_epoch"] + 2 < 9
    assert min(losses) == losses[kept["best_epoch"] - 1]
    p = predict(best, against).astype(float)
    cross = -np.where(against.reference == 1, np.log(p), np.log(1 - p))
    annotated = against.reference != -1
    assert np.mean((cross * annotated).sum(axis=1) / annotated.sum(axis=1)) == pytest.approx(
        min(losses), abs=1e-5
    )


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
    with pytest.raises(
        SettingError, match="holds another run, with another seed: choose another folder"
    ):
        train(models("wav2vec2-layer"), tmp_path, seed=1)


def test_same_seed_same_bytes_other_seed_other_bytes(models, tmp_path):
    made = [
        train(models("wav2vec2-layer"), tmp_path / str(k), seed=seed)
        for k, seed in enumerate((0, 0, 1))
    ]
    assert weights(made[0]) == weights(made[1]) != weights(made[2])


def worker(*arguments: str, launcher: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *launcher, __file__, *map(str, arguments)]


def started(command: list[str]) -> subprocess.Popen:
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_killed_and_run_again_is_bit_identical(models, tmp_path):
    options = FinetuneOptions(epochs=4, learning_rate=1e-3)
    whole = train(
        models("wav2vec2-group"), tmp_path / "whole", validation=tones(6, 1), options=options
    )
    killed = tmp_path / "killed"
    process = started(worker("slow", models("wav2vec2-group"), killed))
    try:
        limit = time.monotonic() + HANGS_S
        while not (killed / "state-0002").exists():
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < limit
            time.sleep(0.01)
        with pytest.raises(SettingError, match="another process is training here: wait for it"):
            train(models("wav2vec2-group"), killed, validation=tones(6, 1), options=options)
        time.sleep(0.3)
    finally:
        process.kill()
        process.wait()
    assert not (killed / "best").exists()
    (killed / ".state-0003.half").mkdir()
    heard = Heard()
    resumed = train(
        models("wav2vec2-group"), killed, validation=tones(6, 1), options=options, progress=heard
    )
    assert "going on after epoch 2" in heard.lines[0] or "going on after epoch 3" in heard.lines[0]
    assert weights(resumed) == weights(whole)
    assert (resumed / "training.json").read_text() == (whole / "training.json").read_text()
    assert predict(resumed, tones(6, 2)).tobytes() == predict(whole, tones(6, 2)).tobytes()
    assert sorted(path.name for path in killed.iterdir() if path.name != ".lock") == [
        "best",
        "run.json",
    ]


def test_states_are_not_pickled_and_errors_leave_a_state_to_go_on_from(models, tmp_path):
    clips, reads = tones(21), itertools.count()

    def waveform(i):
        if next(reads) > 30:
            raise RuntimeError("the disk is gone")
        return clips.waveform(i)

    broken = Labelled(21, waveform, clips.n_samples, clips.reference)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        train(models("wav2vec2-layer"), tmp_path / "a", clips=broken)
    suffixes = {
        path.suffix
        for path in (tmp_path / "a").rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    assert suffixes == {".json", ".safetensors", ""}  # SHA256SUMS has none
    assert weights(train(models("wav2vec2-layer"), tmp_path / "a")) == weights(
        train(models("wav2vec2-layer"), tmp_path / "b")
    )


def test_two_processes_compute_what_one_does(models, tmp_path):
    """Dropout, layer drop and SpecAugment on; batches of 5 over 21 clips, so one step has a single
    clip.

    Attention ignores the bias of its keys: their gradient is rounding alone, which AdamW blows up
    to the learning rate.
    """
    from safetensors.numpy import load_file

    families = ("wav2vec2-group", "wavlm", "ast")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # not `accelerate launch --num_processes 2 --cpu`: without MPI that starts one process, and says
    # nothing
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port))
    sources = [models(family) for family in families]
    process = started(worker("both", tmp_path, *sources, launcher=launcher))
    output, _ = process.communicate(timeout=HANGS_S)
    assert process.returncode == 0, output
    # threads left
    assert {path.name: path.read_text() for path in tmp_path.glob("of 2-*")} == {
        "of 2-0": "",
        "of 2-1": "",
    }
    for source in sources:
        two, one = tmp_path / source.name / "best", both(source, tmp_path / "one" / source.name)
        start, a, b = (
            load_file(source / "model.safetensors"),
            *(load_file(f / "model.safetensors") for f in (one, two)),
        )
        differences = {name: np.abs(a[name] - b[name]).max() for name in a}
        assert {
            name: d
            for name, d in differences.items()
            if d > 1e-5 and not name.endswith(("k_proj.bias", "key.bias"))
        } == {}
        assert max(differences.values()) < 1e-3
        np.testing.assert_allclose(predict(two, tones(4, 2)), predict(one, tones(4, 2)), atol=1e-5)
        assert (
            max(
                np.abs(a[name] - start[name.split(".", 1)[1]]).max()
                for name in a
                if name.split(".", 1)[1] in start
            )
            > 1e-3
        )
        for x, y in zip(history(one), history(two), strict=True):
            assert x == pytest.approx(y, abs=1e-5)


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


def test_spec_augment_belongs_to_the_clip(models):
    """A clip's masks do not depend on its batch; evaluation has none."""
    source = tiny_models.build(
        "wav2vec2-layer",
        models("wav2vec2-layer").parent / "augmented",
        n_labels=3,
        mask_time_prob=0.5,
    )
    classifier = Classifier(ModelSpec(str(source), device="cpu"))
    body = classifier.model.wav2vec2
    import torch

    def now(lengths, seeds):
        features = [classifier.intake.features(np.ones(length, np.float32)) for length in lengths]
        classifier.intake.now, classifier.spec_augment.seeds = (
            classifier.intake.batch(features),
            seeds,
        )

    now([16_000, 12_000], [(0, 1, 0, 0), (0, 1, 1, 0)])
    hidden = torch.ones(2, 49, 16)
    assert body.eval()._mask_hidden_states(hidden) is hidden
    classifier.model.train()
    both = body._mask_hidden_states(hidden)
    masked = (both != 1).all(dim=2)
    assert 5 < masked.sum() < 80
    assert not masked[1, 37:].any()
    now([12_000], [(0, 1, 1, 0)])
    assert torch.equal(body._mask_hidden_states(hidden[1:]), both[1:])


def test_plan_takes_each_clip_once_and_similar_lengths_together():
    n_samples = np.random.default_rng(0).integers(8_000, 96_000, 1001)
    plan = training.plan(n_samples, 8, 0, 1)
    assert sorted(np.concatenate(plan).tolist()) == list(range(1001))
    assert max(map(len, plan)) == 8
    assert len(plan) == 126
    filled = sum(n_samples[ids].sum() for ids in plan) / sum(
        n_samples[ids].max() * len(ids) for ids in plan
    )
    assert filled > 0.85
    assert [ids.tolist() for ids in training.plan(n_samples, 8, 0, 1)] == [
        ids.tolist() for ids in plan
    ]
    assert [ids.tolist() for ids in training.plan(n_samples, 8, 0, 2)] != [
        ids.tolist() for ids in plan
    ]
    buckets = {intakes.bucket(n) for n in range(8_000, 480_000, 100)}
    assert len(buckets) < 50
    assert all(n <= intakes.bucket(n) <= 1.1 * n for n in range(400, 50_000, 7))


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


def both(source: Path, folder: Path) -> Path:
    """What one process and two must agree on."""
    options = FinetuneOptions(epochs=3, batch_size=5, learning_rate=1e-3)
    # some batches: a share for each
    return train(source, folder, validation=tones(60, 1), options=options)


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    if kind == "slow":
        slow, options = tones(21, delay_s=0.03), FinetuneOptions(epochs=4, learning_rate=1e-3)
        train(arguments[0], Path(arguments[1]), clips=slow, validation=tones(6, 1), options=options)
    else:
        ending.report(f"{arguments[0]}/of {os.environ['WORLD_SIZE']}")
        for source in arguments[1:]:
            both(Path(source), Path(arguments[0]) / Path(source).name)
