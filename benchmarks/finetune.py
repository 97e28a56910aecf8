"""Fine-tuning: clips a second of `bimotion.models.finetune` beside a plain loop that follows the
paper's recipe, in one run.

    python benchmarks/finetune.py    # a tiny model on a CPU, and the harness's share of the time
    python benchmarks/finetune.py --size large --clips 4000    # XLSR-53's shape, where a GPU is

The recipe (HLTCHKUST/elderly_ser, Hugging Face Trainer): batches of 8 in random order, padded to
the longest, wav files decoded in every epoch and not scaled, AdamW from 5e-5 linearly to 0 without
decay, dropout 0.1, the loss a mean over clips and labels, gradient norm 1; on GPUs fp16 with
gradient checkpointing. Both loops learn the same 13 labels of the same noise from the same weights
of the body; their losses, a clip, stand beside each other. Below the table: how near this comes to
what the device's arithmetic allows, and the operators that take the time.
"""

import argparse
import inspect
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import speech
import torch
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    get_linear_schedule_with_warmup,
)

from bimotion.io.progress import Progress
from bimotion.models import training
from bimotion.models.classifier import Classifier, Clips
from bimotion.models.distributed import Processes
from bimotion.models.finetune import finetune
from bimotion.models.losses import masked_loss
from bimotion.models.recipe import RECIPES, FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.models.training_data import TrainingData


def papers(
    model: str, files: list[str], reference: np.ndarray, device: str, epochs: int
) -> tuple[float, list[float]]:
    """Clips a second, and the mean loss of each epoch."""
    torch.manual_seed(0)
    options = {
        "num_labels": 13,
        "hidden_dropout": 0.1,
        "attention_dropout": 0.1,
        "feat_proj_dropout": 0.1,
        "final_dropout": 0.1,
    }
    net = AutoModelForAudioClassification.from_pretrained(model, **options).to(device).train()
    extractor = AutoFeatureExtractor.from_pretrained(model, do_normalize=False)
    on_gpu = device.startswith("cuda")
    if on_gpu:
        net.gradient_checkpointing_enable()
    optimizer = torch.optim.AdamW(net.parameters(), lr=5e-5, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, 0, epochs * -(-len(files) // 8))
    scaler, losses = torch.amp.GradScaler(enabled=on_gpu), []
    start = time.perf_counter()
    for _ in range(epochs):
        found = []
        for rows in torch.randperm(len(files)).split(8):
            clips = [soundfile.read(files[row], dtype="float32")[0] for row in rows]
            made = extractor(clips, sampling_rate=16_000, padding=True, return_tensors="pt").to(
                device
            )
            with torch.autocast(device.split(":")[0], torch.float16, enabled=on_gpu):
                logits = net(**made).logits
            loss = masked_loss(
                logits.float(), torch.from_numpy(reference[rows]).to(device), exclusive=False
            ).mean()
            optimizer.zero_grad()
            scaler.scale(loss / 13).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            found.append(loss.item() * len(rows))
        losses.append(sum(found) / len(files))
    return epochs * len(files) / (time.perf_counter() - start), losses


def ours(
    model: str,
    clips: list[np.ndarray],
    reference: np.ndarray,
    device: str,
    recipe: FinetuneOptions,
) -> tuple[float, list[float], float]:
    """Clips a second of the epochs, the mean loss of each, and the share of the time outside of
    forward and backward."""
    spent = {"epochs": 0.0, "model": 0.0}
    epoch, logits, backward = training.Training._train, Classifier.logits, torch.Tensor.backward

    def timed(name, call):
        def wrapper(*args, **more):
            speech.synchronised(device)
            start = time.perf_counter()
            try:
                return call(*args, **more)
            finally:
                speech.synchronised(device) if name == "epochs" else None
                spent[name] += time.perf_counter() - start

        return wrapper

    training.Training._train = timed("epochs", epoch)
    if device == "cpu":
        Classifier.logits, torch.Tensor.backward = timed("model", logits), timed("model", backward)
    table = Clips(clips.__getitem__, np.array([len(clip) for clip in clips]), "noise")
    try:
        with tempfile.TemporaryDirectory() as folder:
            data = TrainingData(
                table,
                reference,
                train=np.arange(len(clips)),
                validation=np.arange(0),
                classes=tuple("abcdefghijklm"),
                exclusive=False,
            )
            best = finetune(
                ModelSpec(model, device=device),
                data,
                recipe,
                seed=0,
                folder=Path(folder),
                processes=Processes(device),
                progress=Progress(),
            )
            history = json.loads((best / "training.json").read_text())["history"]
    finally:
        training.Training._train, Classifier.logits, torch.Tensor.backward = epoch, logits, backward
    rate = recipe.epochs * len(clips) / spent["epochs"]
    divisor = 13 if recipe.loss_over_labels else 1
    losses = [entry["train_loss"] * divisor for entry in history]
    return rate, losses, 1 - spent["model"] / spent["epochs"]


def main() -> None:
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__).splitlines()[0])
    parser.add_argument("--size", choices=speech.SIZES, default="tiny")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--recipe", choices=RECIPES, default="benchmark")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    model, clips = speech.saved_model(options.size), speech.noise(options.clips)
    generator = np.random.default_rng(0)
    reference = np.eye(13, dtype=np.int8)[generator.integers(0, 7, len(clips))]
    reference[:, 7:] = -1
    folder = tempfile.TemporaryDirectory()
    files = [f"{folder.name}/{number}.wav" for number in range(len(clips))]
    for path, clip in zip(files, clips, strict=True):
        soundfile.write(path, clip, 16_000)
    # what a first call sets up is not the measure of either
    papers(model, files[:32], reference, options.device, 1)
    theirs, their_losses = papers(model, files, reference, options.device, options.epochs)
    recipe = FinetuneOptions(epochs=options.epochs, recipe=options.recipe)
    rate, losses, outside = ours(model, clips, reference, options.device, recipe)
    print(
        f"wav2vec 2.0 {options.size}, {len(clips)} clips of 3.1 s on average, batches of 8, "
        f"{options.device}\n"
    )
    print("| | clips/s | loss of each epoch |\n|---|---|---|")
    print(
        f"| the paper's recipe | {theirs:.1f} | "
        f"{' '.join(f'{loss:.4f}' for loss in their_losses)} |"
    )
    shown = " ".join(f"{loss:.4f}" for loss in losses)
    print(f"| bimotion, recipe {options.recipe} | {rate:.1f} | {shown} |")
    print(f"| ratio | {rate / theirs:.2f} | |")
    if options.device == "cpu":
        print(f"\noutside of the model's forward and backward: {outside:.1%} of bimotion's time")
    few, brief = slice(128), FinetuneOptions(epochs=1, recipe=options.recipe)
    speech.show_limit(
        rate,
        lambda: ours(model, clips[few], reference[few], options.device, brief),
        len(clips[few]),
        options.device,
    )


if __name__ == "__main__":
    main()
