"""Seconds of each adaptation method on noise of the size of a corpus: python benchmarks/adaptation.py [CLIPS] [METHOD ...]

As many source as target clips, 1024 features, 4 classes, one process; transductive, one seed. The last column scales to 62
000 clips on both sides: neighbours grow with the square, all else with the clips at most (networks train 600 steps at most,
whatever the size).
"""

import sys
import time

import numpy as np

from bimotion.adaptation import METHODS, methods_named
from bimotion.adaptation.method import Clips, Source, transductive

DIM, N_CLASSES, FULL = 1024, 4, 62_000


def clips(n: int, seed: int) -> tuple[Clips, np.ndarray]:
    """Clips of four weakly separated classes, ten speakers, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, n)
    centres = 0.15 * np.random.default_rng(0).normal(size=(N_CLASSES, DIM))
    features = (rng.normal(size=(n, DIM), scale=1.0) + centres[labels] + 0.3 * seed).astype(np.float32)
    return Clips(features, [f"corpus{seed}"] * n, [f"corpus{seed}/{row % 10}" for row in range(n)]), labels


def growth(name: str, n: int) -> float:
    """Time at FULL over time at n clips, at most."""
    return (FULL / n) ** (2 if name == "lame" else 1)


def main(n: int = 20_000, names: list[str] | None = None) -> None:
    """Print one line a method."""
    known, labels = clips(n, 0)
    target, truth = clips(n, 1)
    reference = np.eye(N_CLASSES, dtype=np.int8)[labels]
    print(f"{n} source and {n} target clips, {DIM} features")
    print(f"| method | s | s at {FULL} | accuracy |\n|---|---|---|---|")
    for method in methods_named(names or METHODS):
        source = Source(known, reference)  # a new one: nothing fitted before
        start = time.perf_counter()
        probabilities = transductive(method, source, target, seed=0)
        spent = time.perf_counter() - start
        right = (probabilities.argmax(axis=1) == truth).mean()
        print(f"| {method.name} | {spent:.1f} | {spent * growth(method.name, n):.0f} | {right:.3f} |", flush=True)


if __name__ == "__main__":
    main(int((sys.argv[1:2] or ["20000"])[0]), sys.argv[2:])
