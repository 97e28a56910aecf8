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

from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.standardising import groups

ITERATIONS, CLIPS_A_CLASS = 50, 4


@dataclass(frozen=True, eq=False)
class Mixture:
    """One speaker's clusters: `centroids` (n_classes, n_classes), `variance`, `shares`
    (n_classes,)."""

    centroids: np.ndarray
    variance: float
    shares: np.ndarray

    def responsibilities(self, places: np.ndarray) -> np.ndarray:
        """Probability of each cluster, (n, n_classes), for centred log-posteriors of that shape."""
        distances = ((places[:, None, :] - self.centroids) ** 2).sum(axis=2)
        logits = np.log(self.shares) - distances / (2 * self.variance)
        found = np.exp(logits - logits.max(axis=1, keepdims=True))
        return found / found.sum(axis=1, keepdims=True)


def centred(posteriors: np.ndarray) -> np.ndarray:
    """Log-posteriors less their mean over the classes: what a linear classifier says before the
    softmax."""
    logs = np.log(np.maximum(posteriors, 1e-12))
    return logs - logs.mean(axis=1, keepdims=True)


def mixture(posteriors: np.ndarray) -> Mixture:
    """Fitted to one speaker's posteriors, (n, n_classes)."""
    places, n_classes = centred(posteriors), posteriors.shape[1]
    weights = np.maximum(posteriors, 1e-12)
    # a class that the source hardly sees still begins with a centroid
    weights = weights / weights.sum(axis=0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    for _ in range(ITERATIONS):
        mass = weights.sum(axis=0) + 1e-9
        centroids = weights.T @ places / mass[:, None]
        distances = ((places[:, None, :] - centroids) ** 2).sum(axis=2)
        variance = max(float((weights * distances).mean()), 1e-9)
        found = Mixture(centroids, variance, (mass / mass.sum() + 1 / n_classes) / 2)
        before, weights = weights, found.responsibilities(places)
        if np.abs(weights - before).max() < 1e-6:
            break
    return found


@dataclass(frozen=True)
class SpeakerClusters(Method):
    """Mixtures of the speakers that were adapted to; other speakers keep the source's
    posteriors."""

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        posteriors, fewest = source.head.predict(target.features), CLIPS_A_CLASS * source.n_trained
        known = {
            (corpus, speaker): mixture(posteriors[rows])
            for corpus, speaker, rows in groups(target, speakers=True)
            if speaker is not None and len(rows) >= fewest
        }

        def predict(clips: Clips) -> np.ndarray:
            found = source.head.predict(clips.features)
            for corpus, speaker, rows in groups(clips, speakers=True):
                if (corpus, speaker) in known:
                    found[rows] = known[corpus, speaker].responsibilities(centred(found[rows]))
            return found

        return predict


METHODS = (
    SpeakerClusters(
        "speaker-clusters",
        "Clusters of a speaker's clips (reconstruction, after Lachut 2025)",
        "speaker-clusters",
    ),
)
