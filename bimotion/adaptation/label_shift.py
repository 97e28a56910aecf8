"""Standardisation by corpus at equal class shares, without target labels (ours).

A corpus's own mean and scale take its class shares for a part of the shift (corpus_norm.py): where
shares differ, classes are moved onto each other. Here clips are weighted so that each corpus has
the class shares of the whole source: source clips by their labels, target clips by an estimate.

The estimate: the logits that the source's classifier gives to target clips (standardised by
corpus, log-posteriors less their mean) are a mixture of one spherical Gaussian a class. Centroids
and variance are those of the source's validation clips; EM estimates the target's class shares, as
Saerens et al. (Neural Computation 14 (2002), eq. 2.9) do, and one offset for all centroids, which
is what unequal shares have moved. A clip weighs sum_c p(c|x) source share / target share.

How far shares may leave the source's is chosen without labels, too: the source's shares count as
(v / 2b)^2 times as many clips as the target has, with v the variance within a class and b what the
target's logits vary beyond it. Where classes hardly stand apart in the target, as where the source
does not carry over, weights become 1 and this is plain corpus normalisation.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from bimotion.adaptation.method import Clips, Source
from bimotion.adaptation.standardising import MIN_CLIPS, GroupMoments, groups
from bimotion.models.heads import LogisticHead

ITERATIONS, TOLERANCE = 200, 1e-5
MIN_HELD_OUT = 3
"""Validation clips of each class; with fewer nothing is estimated, and weights are 1."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Normal clusters of one variance, one a class, in the space of centred log-posteriors."""

    centroids: np.ndarray
    """(n_classes, n_classes)."""
    variance: float
    """Of each coordinate within a cluster."""
    shares: np.ndarray
    """Of the clusters, (n_classes,)."""

    def responsibilities(self, points: np.ndarray) -> np.ndarray:
        """Probability of each cluster, (n, n_classes), for points of that shape."""
        from scipy.spatial.distance import cdist

        distances = cdist(points, self.centroids, "sqeuclidean")
        return softmax(np.log(self.shares) - distances / (2 * self.variance), axis=1)


class Clusters(Mixture):
    """The classes of a source."""

    def weights(self, points: np.ndarray) -> np.ndarray:
        """The weights of the clips of one corpus, (n,), from their logits, (n, n_classes).

        >>> clusters = Clusters(np.array([[2.0, -2.0], [-2.0, 2.0]]), 0.1, np.array([0.5, 0.5]))
        >>> clusters.weights(np.array([[3.0, -1.0]] * 3 + [[-1.0, 3.0]])).round(1).tolist()
        [0.7, 0.7, 0.7, 2.0]
        """
        mean, shares = points.mean(axis=0), self.shares
        beyond = points.var(axis=0).sum() / (len(shares) - 1) - self.variance
        prior = (self.variance / (2 * max(beyond, 1e-6))) ** 2
        offset = mean - shares @ self.centroids
        for _ in range(ITERATIONS):
            moved = Mixture(self.centroids + offset, self.variance, shares)
            members = moved.responsibilities(points)
            of_members = members.mean(axis=0)
            before, shares = shares, (of_members + prior * self.shares) / (1 + prior)
            offset = mean - of_members @ self.centroids
            if np.abs(shares - before).max() < TOLERANCE:
                break
        return members @ (self.shares / np.maximum(shares, 1e-12))


class MatchedSource(NamedTuple):
    """A source standardised by corpus at equal class shares."""

    moments: GroupMoments
    head: LogisticHead
    """Trained on the features so standardised."""
    clusters: Clusters | None
    """None where there are too few validation clips."""


def matched_source(source: Source) -> MatchedSource:
    """Computed once a source."""
    if "matched" not in source.learnt:
        weights, shares = np.empty(len(source.clips)), source.shares
        for rows in groups(source.clips, "corpus").values():
            of_corpus = np.bincount(source.labels[rows], minlength=len(shares)) / len(rows)
            weights[rows] = (shares / np.maximum(of_corpus, 1e-12))[source.labels[rows]]
        moments = GroupMoments(source.clips, "corpus", weights)
        head = source.fitted(moments)
        source.learnt["matched"] = MatchedSource(moments, head, _clusters(source, moments, head))
    return source.learnt["matched"]


def _clusters(source: Source, moments: GroupMoments, head: LogisticHead) -> Clusters | None:
    if source.held_out is None:
        return None
    clips, labels = source.held_out
    counts = np.bincount(labels, minlength=source.n_trained)
    if counts.min() < MIN_HELD_OUT:
        return None
    points, classes = centred(head.predict(moments(clips))), np.eye(source.n_trained)[labels]
    centroids = classes.T @ points / counts[:, None]
    degrees = (len(points) - len(counts)) * (len(counts) - 1)
    variance = max(((points - centroids[labels]) ** 2).sum() / degrees, 1e-6)
    return Clusters(centroids, variance, source.shares)


def matched_moments(source: Source, target: Clips) -> GroupMoments:
    """The target's moments by corpus, its clips weighted to the source's class shares."""
    plain, known = GroupMoments(target, "corpus"), matched_source(source)
    if known.clusters is None:
        return plain
    points, weights = centred(known.head.predict(plain(target))), np.ones(len(target))
    for rows in groups(target, "corpus").values():
        if len(rows) >= MIN_CLIPS:
            weights[rows] = known.clusters.weights(points[rows])
    return GroupMoments(target, "corpus", weights)


def centred(posteriors: np.ndarray) -> np.ndarray:
    """Log-posteriors less their mean over the classes: a linear classifier's output before the
    softmax."""
    logs = np.log(np.maximum(posteriors, 1e-12))
    return logs - logs.mean(axis=1, keepdims=True)
