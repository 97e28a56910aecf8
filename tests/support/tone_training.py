"""Fine-tuning of tiny random models on tones whose pitch is their class. Run as a program, this
file is the other process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bimotion.io.progress import Progress
from bimotion.models.classifier import Classifier, Clips
from bimotion.models.distributed import Processes
from bimotion.models.finetune import finetune
from bimotion.models.recipe import FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.models.training_data import TrainingData
from tests.support import ending

CLASSES = ("low", "middle", "high")


HERTZ = (200, 600, 1800)


QUICK = FinetuneOptions(epochs=2, learning_rate=1e-3)


STILL = {"layerdrop": 0.0, "activation_dropout": 0.0, "apply_spec_augment": False}
"""Settings of wav2vec 2.0 with which, without dropout, nothing is drawn at random within it."""


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


def train(model, folder, *, clips=None, validation=None, options=QUICK, device="cpu", **named):
    """Fine-tune on some clips, watching others: the checkpoint.

    named: `classes`, `exclusive`, `seed` and `progress`, where they are not the usual ones.
    """
    named = {"classes": CLASSES, "exclusive": False, "seed": 0, "progress": Progress()} | named
    parts = [part for part in (clips or tones(21), validation) if part is not None]
    n, total = parts[0].n, sum(part.n for part in parts)

    def waveform(i: int) -> np.ndarray:
        return parts[0].waveform(i) if i < n else parts[1].waveform(i - n)

    whole = Clips(waveform, np.concatenate([part.n_samples for part in parts]), "tones")
    reference = np.concatenate([part.reference for part in parts])
    training, held_out = np.arange(n), np.arange(n, total)
    return finetune(
        ModelSpec(str(model), device=device),
        TrainingData(whole, reference, training, held_out, named["classes"], named["exclusive"]),
        options,
        seed=named["seed"],
        folder=folder,
        processes=Processes(device),
        progress=named["progress"],
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


def worker(*arguments: str, launcher: tuple[str, ...] = ()) -> list[str]:
    return [sys.executable, *launcher, __file__, *map(str, arguments)]


def started(command: list[str]) -> subprocess.Popen:
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def both(source: Path, folder: Path) -> Path:
    """The training that one process and two must agree on."""
    options = FinetuneOptions(epochs=3, batch_size=5, learning_rate=1e-3, dropout=0.0)
    # some batches: a share for each
    return train(source, folder, validation=tones(24, 1), options=options)


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    if kind == "slow":
        slow, options = tones(21, delay_s=0.03), FinetuneOptions(epochs=4, learning_rate=1e-3)
        train(arguments[0], Path(arguments[1]), clips=slow, validation=tones(6, 1), options=options)
    else:
        ending.report(f"{arguments[0]}/of {os.environ['WORLD_SIZE']}")
        for source in arguments[1:]:
            both(Path(source), Path(arguments[0]) / Path(source).name)
