"""The source memory of nnpm.py, a reconstruction: features of source clips with their labels, and
the vote of a clip's neighbours in it."""

from typing import NamedTuple

import numpy as np

MAX_SLOTS, MIN_CANDIDATES, MAX_SHARE = 512, 10, 0.05
CLIPS_A_CLASS = 256
"""At most, of which the similarity of two clips of one class is estimated."""


def slots(labels: np.ndarray, n_classes: int, seed: int, n_slots: int) -> np.ndarray:
    """Row numbers of the source clips in the memory, ascending: at most `n_slots`, and of no class
    more than its equal part.

    >>> slots(np.array([0, 0, 0, 0, 1]), 2, seed=0, n_slots=4).size
    3
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = [order[labels[order] == label][: n_slots // n_classes] for label in range(n_classes)]
    return np.sort(np.concatenate(chosen))


class Neighbours(NamedTuple):
    """The neighbours of b clips among N slots, tensors."""

    similarities: object
    """Cosines, (b, N)."""
    slots: object
    """Slots of the candidates, int64 (b, largest k)."""
    within: object
    """Candidates that count, bool of that shape: each clip has a k of its own."""
    votes: object
    """Of the classes, (b, n_classes), rows sum to 1."""


class Memory:
    """A memory of some source clips; `fill` it before anything else.

    Args:
        labels: of all source clips, int64 tensor (n,).
        n_classes: of the source.
        seed: which clips have a slot.
        n_slots: at most.
    """

    def __init__(self, labels, n_classes: int, seed: int, n_slots: int = MAX_SLOTS):
        import torch

        self.rows = torch.from_numpy(slots(labels.numpy(), n_classes, seed, n_slots))
        self.labels = labels[self.rows]
        self.shares = torch.bincount(self.labels, minlength=n_classes) / len(self.rows)
        self.slot = torch.full((len(labels),), -1)
        self.slot[self.rows] = torch.arange(len(self.rows))

    def fill(self, features) -> None:
        """Put in features, unit rows, tensor (N, d)."""
        self.features = features.clone()
        self.estimate()

    def estimate(self) -> None:
        """Set `threshold`, the median similarity of two clips of one class."""
        import torch

        similarities = []
        for label in range(len(self.shares)):
            own = self.features[self.labels == label]
            own = own[:: -(-len(own) // CLIPS_A_CLASS)]
            first, second = torch.triu_indices(len(own), len(own), offset=1)
            similarities.append((own @ own.T)[first, second])
        pairs = torch.cat(similarities)
        self.threshold = float(pairs.median()) if len(pairs) else 0.0

    def update(self, rows, embedded, keep: float) -> None:
        """Move slots of a source batch to its features: M <- unit(keep M + (1 - keep) f). Rows
        without a slot change nothing."""
        from torch.nn.functional import normalize

        slot = self.slot[rows]
        held = slot >= 0
        moved = keep * self.features[slot[held]] + (1 - keep) * embedded.detach()[held]
        self.features[slot[held]] = normalize(moved, dim=1)

    def neighbours(self, embedded, *, prior_correction: bool) -> Neighbours:
        """The candidates and their votes.

        Candidates are the k most similar slots, k = clip(#{s > threshold}, 10, 5 % of the slots).
        The vote of a class is the sum of its candidates' max(s, 0), divided by its share of the
        memory (`prior_correction`), normalised.
        """
        import torch

        similarities = embedded @ self.features.T
        n = len(self.labels)
        smallest = min(MIN_CANDIDATES, n)
        largest = max(smallest, int(MAX_SHARE * n))
        with torch.no_grad():
            k = (similarities > self.threshold).sum(dim=1).clamp(smallest, largest)
            values, candidates = similarities.topk(int(k.max()), dim=1)
            within = torch.arange(values.shape[1]) < k[:, None]
            votes = torch.zeros(len(embedded), len(self.shares))
            votes.scatter_add_(1, self.labels[candidates], values.clamp(min=0) * within)
            if prior_correction:
                votes = votes / self.shares
            total = votes.sum(dim=1, keepdim=True)
            votes = torch.where(total > 0, votes / total.clamp(min=1e-12), 1 / len(self.shares))
        return Neighbours(similarities, candidates, within, votes)
