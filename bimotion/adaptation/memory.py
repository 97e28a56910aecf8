"""The source memory of nnpm.py, a reconstruction: features of source clips with their labels, and
the vote of a clip's neighbours in it."""

from dataclasses import dataclass

import numpy as np

MOST_SLOTS, FEWEST_CANDIDATES, LARGEST_SHARE = 2048, 10, 0.05
CLIPS_A_CLASS = 256
"""At most, of which the similarity of two clips of one class is estimated."""


def slots(labels: np.ndarray, n_classes: int, seed: int, most: int = MOST_SLOTS) -> np.ndarray:
    """Row numbers of the source clips in the memory, ascending: at most `most`, and of no class
    more than its equal part.

    >>> slots(np.array([0, 0, 0, 0, 1]), 2, seed=0, most=4).size
    3
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    return np.sort(
        np.concatenate(
            [order[labels[order] == place][: most // n_classes] for place in range(n_classes)]
        )
    )


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Of b clips among N slots. `similarities`: (b, N). `places`: candidates' slots, int64 (b,
    largest k), of which only those `within`, bool of that shape, count. `votes`: (b, n_classes),
    rows sum to 1.
    """

    similarities: object
    places: object
    within: object
    votes: object


class Memory:
    """`features`: unit rows, tensor (N, d); `labels`: int64 tensor (N,); `rows`: which source clips
    they are, of `n_source`."""

    def __init__(self, features, labels, rows: np.ndarray, n_source: int, n_classes: int):
        import torch

        self.features, self.labels = features.clone(), labels
        self.one_hot = torch.nn.functional.one_hot(labels, n_classes).float()
        self.shares = self.one_hot.mean(dim=0)
        self.slot = torch.full((n_source,), -1)
        self.slot[torch.from_numpy(rows)] = torch.arange(len(rows))
        self.threshold = 0.0

    def estimate(self) -> None:
        """`threshold`: the median similarity of two clips of one class."""
        import torch

        found = []
        for place in range(len(self.shares)):
            own = self.features[self.labels == place]
            own = own[:: -(-len(own) // CLIPS_A_CLASS)]
            first, second = torch.triu_indices(len(own), len(own), offset=1)
            found.append((own @ own.T)[first, second])
        pairs = torch.cat(found)
        self.threshold = float(pairs.median()) if len(pairs) else 0.0

    def update(self, rows, embedded, keep: float) -> None:
        """Slots of a source batch move to its features: M <- unit(keep M + (1 - keep) f). Rows
        without a slot change nothing."""
        from torch.nn.functional import normalize

        slot = self.slot[rows]
        held = slot >= 0
        moved = keep * self.features[slot[held]] + (1 - keep) * embedded.detach()[held]
        self.features[slot[held]] = normalize(moved, dim=1)

    def neighbours(self, embedded, *, prior_correction: bool) -> Neighbours:
        """Candidates: the k most similar slots, k = clip(#{s > threshold}, 10, 5 % of the slots).
        Vote of a class: the sum of its candidates' max(s, 0), divided by its share of the memory
        (`prior_correction`), normalised."""
        import torch

        similarities = embedded @ self.features.T
        n = len(self.labels)
        fewest = min(FEWEST_CANDIDATES, n)
        with torch.no_grad():
            k = (
                (similarities > self.threshold)
                .sum(dim=1)
                .clamp(fewest, max(fewest, int(LARGEST_SHARE * n)))
            )
            values, places = similarities.topk(int(k.max()), dim=1)
            within = torch.arange(values.shape[1]) < k[:, None]
            votes = torch.zeros(len(embedded), len(self.shares))
            votes.scatter_add_(1, self.labels[places], values.clamp(min=0) * within)
            if prior_correction:
                votes = votes / self.shares
            total = votes.sum(dim=1, keepdim=True)
            votes = torch.where(total > 0, votes / total.clamp(min=1e-12), 1 / len(self.shares))
        return Neighbours(similarities, places, within, votes)
