"""SHOT: the source's classifier is frozen, and its encoder trained on the target alone to fit it.

Source: Liang, Hu and Feng, "Do we really need to access the source data? Source hypothesis transfer
for unsupervised domain adaptation", ICML 2020, arXiv 2002.08546: label-smoothed source training,
information maximisation (its L_IM: small entropy of each prediction, large entropy of their mean),
pseudo labels from cosine centroids weighted by predictions, then from the centroids of those labels
once more, weighted 0.3. Its batch normalisation is re-estimated on the target: here, moments by
corpus at the source's class
shares. The large entropy of the mean assumes a target with balanced classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bimotion.adaptation.network import Inputs, Network, NetworkMethod, Training, minimise

STEPS_A_ROUND = 30  # between two estimates of the pseudo labels


def pseudo_labels(embedded, probabilities):
    """The class of the nearest centroid, int64 tensor (n,), from unit features (n, d) and
    probabilities (n, n_classes)."""
    from torch.nn.functional import normalize, one_hot

    weights = probabilities
    for _ in range(2):
        centroids = normalize(weights.T @ embedded, dim=1)
        labels = (embedded @ centroids.T).argmax(dim=1)
        weights = one_hot(labels, probabilities.shape[1]).to(embedded.dtype)
    return labels


def information(logits):
    """The mean entropy of predictions less the entropy of their mean, a scalar."""
    p = logits.softmax(dim=1)
    mean = p.mean(dim=0)
    entropies = (p * p.clamp(min=1e-8).log()).sum(dim=1)
    return (mean * mean.clamp(min=1e-8).log()).sum() - entropies.mean()


@dataclass(frozen=True)
class Shot(NetworkMethod):
    """The network of a smoothed source, whose encoder is then trained on the target."""

    pseudo_weight: float = 0.3
    """Of the cross-entropy against pseudo labels (the paper's beta)."""
    slower: float = 0.3
    """Learning rate on the target over that on the source."""
    by_corpus: bool = True
    order_free: bool = False

    def trained(self, network: Network, inputs: Inputs, training: Training, seed: int):
        probabilities = super().trained(network, inputs, training, seed)
        losses = self.target_losses(network, inputs, training.steps // 2, seed + 1)
        for _ in minimise(losses, network.encoder.parameters(), self.slower * training.rate):
            pass
        return probabilities

    def target_losses(self, network: Network, inputs: Inputs, steps: int, seed: int) -> Iterator:
        """The loss of each step on the target."""
        import torch

        _, target_rows = inputs.minibatches(self.schedule.batch_size, seed)
        for step in range(steps):
            if step % STEPS_A_ROUND == 0:
                embedded = network.embedded(inputs.target)
                with torch.no_grad():
                    pseudo = pseudo_labels(embedded, network.logits(embedded).softmax(dim=1))
            rows = next(target_rows)
            logits = network.logits(network.embed(inputs.target[rows]))
            fit = torch.nn.functional.cross_entropy(logits, pseudo[rows])
            yield information(logits) + self.pseudo_weight * fit


METHODS = (Shot("shot", "SHOT (Liang et al. 2020)", "shot"),)
