"""CORAL: source features take the target's covariance and mean, then a classifier is trained on
them.

Source: Sun, Feng and Saenko, "Return of frustratingly easy domain adaptation", AAAI 2016, arXiv
1511.05547, algorithm 1: x' = x C_source^(-1/2) C_target^(1/2). Theirs adds the identity to
covariances; ours shrinks them (Ledoit and Wolf, J. Multivariate Analysis 88 (2004)), which matters
where there are fewer clips than features. It undoes a shift of total covariance, up to a rotation
that it cannot see; other class shares in the target are taken for such a shift.
"""

from dataclasses import dataclass

import numpy as np

from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.standardising import Moments


def covariance(features: np.ndarray) -> np.ndarray:
    """Shrunk covariance, float64 (dim, dim), of features, float32 (n, dim); of a single clip the
    identity."""
    from sklearn.covariance import ledoit_wolf

    return ledoit_wolf(features)[0] if len(features) > 1 else np.eye(features.shape[1])


def power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric positive definite matrix.

    >>> power(np.diag([4.0, 9.0]), 0.5).round(12).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, values.max() * 1e-7) ** exponent) @ vectors.T


@dataclass(frozen=True)
class Coral(Method):
    """Logistic regression on the recoloured source."""

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        if "whitened" not in source.kept:
            # shrinkage towards one variance needs features of one scale
            moments = Moments.of(source.clips.features)
            whitening = power(covariance(moments.applied(source.clips.features)), -0.5)
            source.kept["whitened"] = moments, whitening
        moments, whitening = source.kept["whitened"]
        unlabelled = moments.applied(target.features)
        mean = unlabelled.mean(axis=0, dtype=np.float64).astype(np.float32)
        recolour = (whitening @ power(covariance(unlabelled), 0.5)).astype(np.float32)
        head = source.fitted(lambda clips: moments.applied(clips.features) @ recolour + mean)
        return lambda clips: head.predict(moments.applied(clips.features))


METHODS = (Coral("coral", "CORAL (Sun et al. 2016)", "coral"),)
