"""A speaker's clips grouped into clusters of emotions at inference, each clip labelled with its
cluster.

Source of the idea: Lachut, "Inference-only speaker adaptation improves cross-lingual speech emotion
recognition", PolEval 2025 Workshop, whose greedy cluster assignment forms centroids of emotions
among a speaker's utterances. Only its abstract was at hand, so this is a reconstruction; the
clustering is ours: for each speaker, EM of a mixture with one spherical Gaussian a class and a
shared variance over the source's centred log-posteriors, begun from the posteriors scaled to equal
weight a class, with mixture weights held halfway to uniform. It repairs a bias towards some classes
that a speaker brings along; it assumes that each speaker has all classes and splits one into
several where not. Clips of unknown speakers, or of speakers with fewer than 4 clips a class, keep
the source's posteriors.
"""

from dataclasses import dataclass

import numpy as np

from bimotion.adaptation.label_shift import Mixture, centred
from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.standardising import groups

ITERATIONS, TOLERANCE = 50, 1e-6
CLIPS_A_CLASS = 4


def mixture(posteriors: np.ndarray) -> Mixture:
    """The mixture fitted to one speaker's posteriors, (n, n_classes)."""
    from scipy.spatial.distance import cdist

    points, n_classes = centred(posteriors), posteriors.shape[1]
    weights = np.maximum(posteriors, 1e-12)
    # a class that the source hardly sees still begins with a centroid
    weights = weights / weights.sum(axis=0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    for _ in range(ITERATIONS):
        mass = weights.sum(axis=0) + 1e-9
        centroids = weights.T @ points / mass[:, None]
        variance = max(float((weights * cdist(points, centroids, "sqeuclidean")).mean()), 1e-9)
        fitted = Mixture(centroids, variance, (mass / mass.sum() + 1 / n_classes) / 2)
        before, weights = weights, fitted.responsibilities(points)
        if np.abs(weights - before).max() < TOLERANCE:
            break
    return fitted


@dataclass(frozen=True)
class SpeakerClusters(Method):
    """Mixtures of the speakers that were adapted to; other speakers keep the source's
    posteriors."""

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        posteriors = source.head.predict(target.features)
        mixtures = {
            group: mixture(posteriors[rows])
            for group, rows in groups(target, "speaker").items()
            if group[1] is not None and len(rows) >= CLIPS_A_CLASS * source.n_trained
        }

        def predict(clips: Clips) -> np.ndarray:
            predicted = source.head.predict(clips.features)
            for group, rows in groups(clips, "speaker").items():
                if group in mixtures:
                    points = centred(predicted[rows])
                    predicted[rows] = mixtures[group].responsibilities(points)
            return predicted

        return predict


METHODS = (
    SpeakerClusters(
        "speaker-clusters",
        "Clusters of a speaker's clips (reconstruction, after Lachut 2025)",
        "speaker-clusters",
    ),
)
