"""What the speed benchmarks share: models of a size with random weights, and noise as long as the
corpora's clips."""

import tempfile
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
        import time

        start = time.perf_counter()
        try:
            return self.forward(*args, **options)
        finally:
            self.seconds += time.perf_counter() - start
