"""Short clips of noise."""

import numpy as np

# 0.02 s to 3 s, some of them equal
SAMPLES = (320, 16_000, 401, 4_000, 16_000, 23_456, 48_000, 31_999, 16_000, 7_001)


def noise(n_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


CLIPS = [noise(n_samples, seed) for seed, n_samples in enumerate(SAMPLES)]
