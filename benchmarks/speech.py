"""What the speed benchmarks share: models of a size with random weights, and noise as long as the
corpora's clips."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SIZES = {
    "tiny": {
        "hidden_size": 64,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "conv_dim": (32,) * 7,
    },
    "base": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
    "large": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
    },
}
"""Of wav2vec 2.0; "large" is the architecture of XLSR-53 (317 M parameters)."""


def saved_model(size: str) -> str:
    """Folder of a random wav2vec 2.0 with a layer-normed encoder, as XLSR-53."""
    import torch
    import transformers
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        **SIZES[size],
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        conv_bias=True,
        mask_time_prob=0.05,
        layerdrop=0.0,
    )
    folder = Path(tempfile.mkdtemp(prefix="bimotion-benchmark-"))
    Wav2Vec2Model(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=True, do_normalize=True).save_pretrained(folder)
    return str(folder)


def noise(n: int, seed: int = 0) -> list[np.ndarray]:
    """Clips of 16 kHz noise: 3.1 s on average, 95 % below 5.7 s, as in the corpora."""
    generator = np.random.default_rng(seed)
    seconds = np.clip(generator.lognormal(np.log(2.88), 0.41, n), 0.6, 30)
    return [
        (0.1 * generator.standard_normal(round(16_000 * s))).astype(np.float32) for s in seconds
    ]


def synchronised(device: str) -> None:
    """Wait for the device."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()


class Timed:
    """Seconds spent in a module's own forward (and, after `backward`, that), by a clock: for CPUs,
    where calls wait."""

    def __init__(self, module):
        self.seconds, self.forward = 0.0, module.forward
        module.forward = self

    def __call__(self, *args, **options):
        start = time.perf_counter()
        try:
            return self.forward(*args, **options)
        finally:
            self.seconds += time.perf_counter() - start


def show_limit(rate: float, call: Callable[[], object], n_clips: int, device: str) -> None:
    """Print by how much `rate`, in clips a second, stays below the device's arithmetic, and the
    operators that take the time; `call` does the same with n_clips clips."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    work = counter.get_total_flops() / n_clips
    limit = arithmetic_limit(device)
    print(
        f"\n{work / 1e9:.3g} GFLOP a clip, as torch counts them; a large matrix product runs at "
        f"{limit / 1e12:.3g} TFLOP/s: at most {limit / work:.0f} clips/s, of which "
        f"{rate / (limit / work):.1%}"
    )
    show_where_time_goes(call, device)


def arithmetic_limit(device: str, repeats: int = 10) -> float:
    """Floating point operations a second of a large matrix product, in bfloat16 on a GPU, in
    float32 elsewhere."""
    import torch

    on_gpu = device.startswith("cuda")
    size, dtype = (8192, torch.bfloat16) if on_gpu else (1024, torch.float32)
    a = torch.randn(size, size, device=device, dtype=dtype)
    a @ a
    synchronised(device)
    start = time.perf_counter()
    for _ in range(repeats):
        a @ a
    synchronised(device)
    return 2 * size**3 * repeats / (time.perf_counter() - start)


def show_where_time_goes(call: Callable[[], object], device: str, n_rows: int = 12) -> None:
    """Print the operators that take most of a call's time on the device, and the share of the time
    in which a GPU was idle."""
    from torch.profiler import ProfilerActivity, profile

    on_gpu = device.startswith("cuda")
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    start = time.perf_counter()
    with profile(activities=activities, acc_events=True) as profiled:
        call()
        synchronised(device)
    wall = time.perf_counter() - start
    kind = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    events = sorted(profiled.key_averages(), key=lambda event: -getattr(event, kind))
    busy = sum(getattr(event, kind) for event in events) / 1e6
    print("\n| operator | share of the time |\n|---|---|")
    for event in events[:n_rows]:
        print(f"| `{event.key[:60]}` | {getattr(event, kind) / 1e6 / busy:.1%} |")
    if on_gpu:
        print(
            f"\nUnder the profiler the GPU was idle for {max(1 - busy / wall, 0):.0%} of the time."
        )
