"""LAME: the source's posteriors, moved so that neighbouring target clips agree.

Source: Boudiaf et al., "Parameter-free online test-time adaptation", CVPR 2022, arXiv 2201.05718,
objective and its concave-convex update: minimise
sum_i KL(z_i || q_i) - 1/2 sum_ij w_ij z_i.z_j, by z_i <- softmax(log q_i + sum_j w_ij z_j), with w
the affinity of k nearest neighbours (by cosine, on at most 256 principal axes of the source; k = 5,
made symmetric, as that update's bound asks; with 1/2 a fixed point is where the gradient is 0).
Written from the formulas. Theirs runs batch by batch; ours takes all clips that are predicted
together, so their order is irrelevant, and there is no inductive form. It sharpens what the source
believes: where that is mostly wrong in a neighbourhood, it becomes entirely wrong.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.special import softmax

from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.neighbours import nearest
from bimotion.adaptation.network import Inputs

ITERATIONS, TOLERANCE = 100, 1e-6


def agreed(posteriors: np.ndarray, affinity) -> np.ndarray:
    """The posteriors, (n, n_classes), when the update stands still; `affinity`: sparse, symmetric,
    (n, n).

    >>> from scipy.sparse import csr_array
    >>> posteriors = np.array([[0.9, 0.1], [0.4, 0.6]])
    >>> agreed(posteriors, csr_array([[0, 1], [1, 0]])).argmax(axis=1).tolist()
    [0, 0]
    """
    unary = np.log(np.maximum(posteriors, 1e-12))
    for _ in range(ITERATIONS):
        before, posteriors = posteriors, softmax(unary + affinity @ posteriors, axis=1)
        if np.abs(posteriors - before).max() < TOLERANCE:
            break
    return posteriors


@dataclass(frozen=True)
class Lame(Method):
    """The source's posteriors after that update."""

    k: int = 5
    """Neighbours of a clip."""
    version: str = "2"

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        inputs = Inputs(source, target, by_corpus=False)

        def predict(clips: Clips) -> np.ndarray:
            neighbours = nearest(inputs.of_clips(clips), self.k)
            n, k = neighbours.shape
            rows = np.repeat(np.arange(n), k)
            directed = csr_array((np.ones(n * k), (rows, neighbours.ravel())), shape=(n, n))
            return agreed(source.head.predict(clips.features), (directed + directed.T) / 2)

        return predict


METHODS = (Lame("lame", "LAME (Boudiaf et al. 2022)", "lame", inductive=False),)
