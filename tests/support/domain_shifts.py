"""A source and a target that differ in one stated way: four classes in correlated features, ten
speakers each."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm

from bimotion.adaptation.method import Clips, Source
from bimotion.results.metrics import uar

N_CLASSES, DIM = 4, 100
SHIFTS = {
    "no shift": (),
    "mean + scale": ("scaled",),
    "mean + scale + priors": ("scaled", "priors"),
    "class means moved": ("moved",),
    "rotation + mean": ("rotated",),
    "priors only": ("priors",),
}
"""Name -> what is done to the target. Priors: 70, 15, 10 and 5 % in place of 25 % each."""


@dataclass(frozen=True)
class Shifted:
    """A source, a target, and the target's classes, which no method is given."""

    source: Source
    target: Clips
    truth: np.ndarray

    def uar(self, probabilities: np.ndarray) -> float:
        """Unweighted average recall of the target, %."""
        return 100 * uar(self.truth, probabilities.argmax(axis=1), range(N_CLASSES))

    def swapped(self) -> "Shifted":
        """Source and target changed over."""
        source = Source(self.target, np.eye(N_CLASSES, dtype=np.int8)[self.truth])
        return Shifted(source, self.source.clips, self.source.labels)


def shifted(shift: str, seed: int, n_source: int = 600, n_target: int = 700) -> Shifted:
    """One draw under one of SHIFTS; a fifth of the source is its validation part."""
    rng, changes = np.random.default_rng(seed), SHIFTS[shift]
    spread = np.exp(np.linspace(0.8, -1.5, DIM))
    spread /= np.sqrt((spread**2).mean())
    turn = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    centres = 3 * rng.normal(size=(N_CLASSES, DIM)) * spread / np.sqrt(DIM)
    skewed, equal = rng.permutation([0.7, 0.15, 0.1, 0.05]), np.full(N_CLASSES, 1 / N_CLASSES)

    def drawn(corpus: str, n: int, shares: np.ndarray, centres: np.ndarray):
        labels, speakers = rng.choice(N_CLASSES, n, p=shares), rng.integers(0, 10, n)
        noise = rng.normal(size=(n, DIM)) + 0.4 * rng.normal(size=(10, DIM))[speakers]
        return (
            (centres[labels] + noise * spread) @ turn,
            labels,
            [f"{corpus}/{s}" for s in speakers],
        )

    features, labels, speakers = drawn("a", n_source, equal, centres)
    clips = Clips(features.astype(np.float32), ["a"] * n_source, speakers)
    source = Source(clips, np.eye(N_CLASSES, dtype=np.int8)[labels])
    if "moved" in changes:
        towards = np.roll(centres, 1, axis=0) - centres
        centres = centres + 0.18 * towards * rng.uniform(0.5, 1.8, (N_CLASSES, 1))
        centres += rng.normal(size=(N_CLASSES, DIM)) * spread * np.sqrt(2 / DIM)
    shares = skewed if "priors" in changes else equal
    features, truth, speakers = drawn("b", n_target, shares, centres)
    if "scaled" in changes:
        features *= rng.uniform(0.6, 1.6, DIM)
    if "rotated" in changes:
        turned = 0.35 * rng.normal(size=(DIM, DIM)) / np.sqrt(DIM)
        features = features @ expm(turned - turned.T)
    if "scaled" in changes or "rotated" in changes:
        features += rng.normal(0, 0.5, DIM)
    return Shifted(source, Clips(features.astype(np.float32), ["b"] * n_target, speakers), truth)
