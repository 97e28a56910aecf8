"""Feature extraction: clips a second of `bimotion.models.encoder` beside the paper's evaluation
loop, in one run.

    python benchmarks/embed.py
    python benchmarks/embed.py --size large --clips 4000
    python benchmarks/embed.py --model FOLDER --clips 32 --window model clip

First a tiny model on a CPU, and the harness's own share of the time; then XLSR-53's architecture,
where there is a GPU; then a real model, such as Whisper, with its own window and a shorter one.
Below the table: how near this comes to what the device's arithmetic allows, and the operators that
take the time.

The paper's loop (HLTCHKUST/elderly_ser, Hugging Face Trainer): batches of 2 in the order of the
files, padded to the longer or to the model's window, fp16 autocast (on GPUs), every hidden state
computed. Noise as long as the corpora's clips; weights are random but those of `--model`.
"""

import argparse
import inspect
import time
from pathlib import Path

import numpy as np
import speech
import torch
from transformers import AutoFeatureExtractor, AutoModel

from bimotion.models import encoder as encoders
from bimotion.models.spec import ModelSpec


def papers(folder: str, clips: list[np.ndarray], device: str) -> float:
    """Clips a second."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).to(device).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    padding = {} if hasattr(extractor, "nb_max_frames") else {"padding": True}
    start = time.perf_counter()
    with (
        torch.inference_mode(),
        torch.autocast(device.split(":")[0], torch.float16, enabled=device.startswith("cuda")),
    ):
        for first in range(0, len(clips), 2):
            made = extractor(
                clips[first : first + 2], sampling_rate=16_000, return_tensors="pt", **padding
            ).to(device)
            states = model(**made, output_hidden_states=True).hidden_states
            torch.stack([state.mean(1) for state in states], 1).float().cpu()
    return len(clips) / (time.perf_counter() - start)


def ours(
    folder: str, clips: list[np.ndarray], device: str, window: str = "model"
) -> tuple[float, float]:
    """Clips a second, in groups as `evaluate` makes them; share of the time outside of the model's
    forward (on CPUs)."""
    encoder = encoders.load(ModelSpec(folder, device=device, window=window))
    timed = speech.Timed(encoder._module)
    size = encoder.together if device.startswith("cuda") else 512
    ordered = sorted(clips, key=len, reverse=True)
    start = time.perf_counter()
    for _ in encoder.encode_groups(
        ordered[first : first + size] for first in range(0, len(clips), size)
    ):
        pass
    seconds = time.perf_counter() - start
    return len(clips) / seconds, 1 - timed.seconds / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__).splitlines()[0])
    parser.add_argument("--size", choices=speech.SIZES, default="tiny")
    parser.add_argument("--model", help="folder of a real model, in place of --size")
    parser.add_argument("--window", nargs="+", default=["model"], help="as of bimotion evaluate")
    parser.add_argument("--clips", type=int, default=512)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    folder, clips = options.model or speech.saved_model(options.size), speech.noise(options.clips)
    n_first = 4 if options.model else 64
    for measure in (papers, ours):  # what a first call sets up is not the measure of either
        measure(folder, clips[:n_first], options.device)
    theirs = papers(folder, clips, options.device)
    name = Path(folder).name if options.model else f"wav2vec 2.0 {options.size}"
    print(f"{name}, {len(clips)} clips of 3.1 s on average, {options.device}\n")
    print("| | clips/s | ratio | outside of the model's forward |\n|---|---|---|---|")
    print(f"| the paper's loop: batches of 2 | {theirs:.2f} | | |")
    for window in options.window:
        rate, outside = ours(folder, clips, options.device, window)
        share = f"{outside:.1%} of the time" if options.device == "cpu" else "not measured"
        label = "bimotion" if window == "model" else f"bimotion, window {window}"
        print(f"| {label} | {rate:.2f} | {rate / theirs:.2f} | {share} |")
    few = clips[: 16 if options.model else 128]
    window = options.window[-1]
    speech.show_limit(
        rate, lambda: ours(folder, few, options.device, window), len(few), options.device
    )


if __name__ == "__main__":
    main()
