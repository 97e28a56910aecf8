"""SHOT: the source's classifier is frozen, and its encoder trained on the target alone to fit it.

Source: Liang, Hu and Feng, "Do we really need to access the source data? Source hypothesis transfer
for unsupervised domain adaptation", ICML 2020, arXiv 2002.08546: label-smoothed source training,
information maximisation (its L_IM: small entropy of each prediction, large entropy of their mean),
pseudo labels from cosine centroids weighted by predictions, then from the centroids of those labels
once more, weighted 0.3. Its batch normalisation is re-estimated on the target: here, moments by
corpus. The large entropy of the mean assumes a target with balanced classes.
"""

from dataclasses import dataclass

from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.network import (
    DEFAULT,
    Inputs,
    Network,
    Schedule,
    minibatches,
    one_thread,
    trained,
)

STEPS_A_ROUND = 30  # between two estimates of the pseudo labels
SMOOTHING = 0.1


def pseudo_labels(embedded, probabilities):
    """Class of the nearest centroid, int64 tensor (n,), from unit features (n, d) and probabilities
    (n, n_classes)."""
    from torch.nn.functional import normalize, one_hot

    weights = probabilities
    for _ in range(2):
        centroids = normalize(weights.T @ embedded, dim=1)
        found = (embedded @ centroids.T).argmax(dim=1)
        weights = one_hot(found, probabilities.shape[1]).to(embedded.dtype)
    return found


def information(logits):
    """Mean entropy of predictions less the entropy of their mean, a scalar."""
    p = logits.softmax(dim=1)
    mean = p.mean(dim=0)
    return (mean * mean.clamp(min=1e-8).log()).sum() - (p * p.clamp(min=1e-8).log()).sum(
        dim=1
    ).mean()


@dataclass(frozen=True)
class Shot(Method):
    """`pseudo_weight`: of the cross-entropy against pseudo labels (the paper's beta)."""

    pseudo_weight: float = 0.3
    schedule: Schedule = DEFAULT
    slower: float = 0.3
    """Learning rate on the target over that on the source."""

    @one_thread()
    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        import torch

        inputs = Inputs.of(source, target, by_corpus=True)
        network = Network(inputs.source.shape[1], source.n_trained, seed)
        trained(network, inputs, source.labels, self.schedule, seed, smoothing=SMOOTHING)
        generator = torch.Generator().manual_seed(seed + 1)
        optimizer = torch.optim.AdamW(
            network.encoder.parameters(),
            lr=self.slower * self.schedule.learning_rate,
            weight_decay=self.schedule.weight_decay,
        )
        xt = torch.from_numpy(inputs.target)
        batches = minibatches(len(xt), self.schedule.batch_size, generator)
        for step in range(self.schedule.steps(len(xt)) // 2):
            if step % STEPS_A_ROUND == 0:
                embedded = network.embedded(inputs.target)
                with torch.no_grad():
                    pseudo = pseudo_labels(embedded, network.logits(embedded).softmax(dim=1))
            rows = next(batches)
            logits = network.logits(network.embed(xt[rows]))
            loss = information(logits) + self.pseudo_weight * torch.nn.functional.cross_entropy(
                logits, pseudo[rows]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return lambda clips: network.probabilities(inputs.of_clips(clips))


METHODS = (Shot("shot", "SHOT (Liang et al. 2020)", "shot", seeded=True, order_free=False),)
