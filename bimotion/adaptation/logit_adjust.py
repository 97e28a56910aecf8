"""Correction of the source's posteriors for other shares of the classes: p'(c|x) ~ p(c|x) *
target(c) / source(c).

Source: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori
probabilities", Neural Computation 14 (2002), eqs. 2.4 (correction) and 2.9 (EM). `uniform` takes
equal target shares, `em` estimates them from the unlabelled target; the true shares are never used:
that would be an oracle. EM is consistent only where p(x|c) is the same in both domains and the
posteriors are calibrated; under a shift of features it may drop classes.
"""

from dataclasses import dataclass

import numpy as np

from bimotion.adaptation.method import Clips, Method, Predictor, Source

ITERATIONS, TOLERANCE = 1000, 1e-8


def em_shares(posteriors: np.ndarray, source_shares: np.ndarray) -> np.ndarray:
    """Shares of the classes in the target, float64 (n_classes,), from the source's posteriors, (n,
    n_classes): eq. 2.9.

    >>> em_shares(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), np.array([0.5,
    ...     0.5])).tolist()
    [0.75, 0.25]
    """
    shares = source_shares
    for _ in range(ITERATIONS):
        before, shares = shares, adjusted(posteriors, shares / source_shares).mean(axis=0)
        if np.abs(shares - before).max() < TOLERANCE:
            break
    return shares


def adjusted(posteriors: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Posteriors times target over source shares, rows summing to 1 again: eq. 2.4."""
    weighted = posteriors * ratio
    total = weighted.sum(axis=1, keepdims=True)
    return np.divide(weighted, total, out=posteriors.copy(), where=total > 0)


@dataclass(frozen=True)
class LogitAdjustment(Method):
    """The source's posteriors, corrected for the target's shares of the classes."""

    em: bool = True
    """Target shares by EM; otherwise equal."""

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        shares = np.full(source.n_trained, 1 / source.n_trained)
        if self.em:
            shares = em_shares(source.head.predict(target.features), source.shares)
        return lambda clips: adjusted(source.head.predict(clips.features), shares / source.shares)


METHODS = (
    LogitAdjustment(
        "logit-adjust-uniform",
        "Logit adjustment, uniform prior",
        "logit-adjust",
        target_seen=False,
        em=False,
    ),
    LogitAdjustment(
        "logit-adjust-em", "Logit adjustment, prior by EM (Saerens et al. 2002)", "logit-adjust"
    ),
)
