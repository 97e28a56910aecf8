"""NNPM, a reconstruction from the abstract: pseudo multilabels of target clips from their
neighbours in a memory of the source.

Source of the idea: Li, Yan and Wang, "Unsupervised cross-lingual speech emotion recognition using
pseudo multilabel", arXiv 2108.08663 (2021). Its abstract says: a network with an external memory
that stores source features; for each target clip a pseudo multilabel from the similarities between
memory and clip. Its code was never released. Everything else here (the network, the memory's size
and update, the threshold, both losses, the schedule) is ours or its relatives' (ECN, MMCL, MAR),
and no figure of ours is the paper's.

Encoder: network.py on features standardised by corpus. After 5 of 20 epochs on the source alone,
the memory (memory.py) is filled with encoded source clips. Then, for a target clip, the votes q of
its neighbours in the memory give the multilabel {c : q_c >= 1.5 / K}; it counts where max q >= 0.5
and it is not empty. Loss = (1 - l) cross-entropy of the source + l target loss, l rising to 0.3:

- variant C (classes): cross-entropy between the head's output and the multilabel, its classes
  equally likely;
- variant H (slots): 5 mean (1 - s)^2 over the candidates of those classes + mean (1 + s)^2 over the
  hardest 5 % of the other classes' slots, candidates or not: of three or four classes nearly each
  has some candidate, and few slots would be left.

Limits: it trusts neighbours, so classes must already lie near their like after standardising by
corpus; a wrong vote confirms itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bimotion.adaptation.memory import Memory, Neighbours
from bimotion.adaptation.network import (
    Inputs,
    Network,
    NetworkMethod,
    Training,
    minimise,
    source_loss,
)

EPOCHS, WARM_UP = 20, 5
MAX_WEIGHT = 0.3  # of the target loss
MIN_VOTE = 0.5  # of the first class, for a clip to count
MEMBER = 1.5  # times an equal share of the votes makes a class one of the multilabel's
HARDEST = 0.05  # share of the other classes' slots that are pushed away
VOTING_ROWS = 512


def multilabels(votes, *, several: bool):
    """The classes that a clip is given, bool (n, n_classes), and the clips that are given any, bool
    (n,), from votes (n, n_classes).

    >>> import torch
    >>> votes = torch.tensor([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3]])
    >>> [part.tolist() for part in multilabels(votes, several=True)]
    [[[True, True, False], [False, False, False]], [True, False]]
    """
    from torch.nn.functional import one_hot

    n_classes = votes.shape[1]
    first = one_hot(votes.argmax(dim=1), n_classes).bool()
    chosen = votes >= MEMBER / n_classes if several else first
    kept = (votes.max(dim=1).values >= MIN_VOTE) & chosen.any(dim=1)
    return chosen & kept[:, None], kept


def class_loss(logits, chosen):
    """Variant C: cross-entropy against the chosen classes, equally likely; scalar, of clips that
    have any."""
    wanted = chosen / chosen.sum(dim=1, keepdim=True)
    return -(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean()


def slot_loss(neighbours: Neighbours, chosen, labels):
    """Variant H: pull candidates of the chosen classes, push the hardest slots of the others;
    scalar, of clips that have any."""
    import torch

    s, candidates = neighbours.similarities, neighbours.slots
    with torch.no_grad():  # which slots count; the loss looks at those only, a tenth of the memory
        positive = neighbours.within & chosen.gather(1, labels[candidates])
        belongs = chosen[:, labels]
        n_hard = (HARDEST * (~belongs).sum(dim=1)).int().clamp(min=1)
        hardest = s.masked_fill(belongs, -1.0).topk(int(n_hard.max()), dim=1).indices
        hard = (torch.arange(hardest.shape[1]) < n_hard[:, None]) & ~belongs.gather(1, hardest)
        n_positive = positive.sum(dim=1).clamp(min=1)
    pull = ((1 - s.gather(1, candidates)).square() * positive).sum(dim=1) / n_positive
    push = ((1 + s.gather(1, hardest)).square() * hard).sum(dim=1) / n_hard
    return (5 * pull + push).mean()


@dataclass(frozen=True)
class Nnpm(NetworkMethod):
    """A variant or ablation of the reconstruction."""

    variant: Literal["C", "H"] = "C"
    prior_correction: bool = True
    """Votes are divided by the memory's class shares."""
    several: bool = True
    """Multilabels, not the first class only."""
    memory_update: bool = True
    """The memory follows the encoder, keeping 0.5 * epoch / epochs of itself."""
    training: bool = True
    """With a target loss; otherwise the network is trained on the source only, and the votes of the
    memory are the predictions."""
    by_corpus: bool = True
    order_free: bool = False

    def trained(self, network: Network, inputs: Inputs, training: Training, seed: int):
        memory = Memory(inputs.labels, network.classifier.out_features, seed)
        losses = self.memory_losses(network, inputs, memory, training.steps, seed)
        for _ in minimise(losses, network.parameters(), training.rate):
            pass
        if self.training:
            return network.probabilities
        memory.fill(network.embedded(inputs.source[memory.rows]))

        def voted(inputs) -> np.ndarray:
            blocks = network.embedded(inputs).split(VOTING_ROWS)
            votes = [self._neighbours(memory, block).votes.double().numpy() for block in blocks]
            return np.concatenate([block / block.sum(axis=1, keepdims=True) for block in votes])

        return voted

    def memory_losses(
        self, network: Network, inputs: Inputs, memory: Memory, steps: int, seed: int
    ) -> Iterator:
        """The loss of each step; without `training` those of the source only."""
        source_rows, target_rows = inputs.minibatches(self.schedule.batch_size, seed)
        for epoch in range(EPOCHS):
            weight = MAX_WEIGHT * max(0, epoch + 1 - WARM_UP) / (EPOCHS - WARM_UP)
            if not self.training:
                weight = 0.0
            elif epoch == WARM_UP:
                memory.fill(network.embedded(inputs.source[memory.rows]))
            elif epoch > WARM_UP:
                memory.estimate()
            for _ in range(steps // EPOCHS):
                rows = next(source_rows)
                embedded = network.embed(inputs.source[rows])
                loss = (1 - weight) * source_loss(network, embedded, inputs.labels[rows])
                if weight:
                    target = network.embed(inputs.target[next(target_rows)])
                    loss = loss + weight * self.memory_loss(network, memory, target)
                yield loss
                if weight and self.memory_update:
                    memory.update(rows, embedded, keep=0.5 * epoch / EPOCHS)

    def memory_loss(self, network: Network, memory: Memory, embedded):
        """The loss of a target minibatch, f (b, WIDTH), of clips that the memory gives a class."""
        neighbours = self._neighbours(memory, embedded)
        chosen, kept = multilabels(neighbours.votes, several=self.several)
        if not kept.any():
            return embedded.sum() * 0.0
        if self.variant == "C":
            return class_loss(network.logits(embedded[kept]), chosen[kept])
        of_kept = Neighbours(*(part[kept] for part in neighbours))
        return slot_loss(of_kept, chosen[kept], memory.labels)

    def _neighbours(self, memory: Memory, embedded) -> Neighbours:
        return memory.neighbours(embedded, prior_correction=self.prior_correction)


def _method(name: str, what: str, **options) -> Nnpm:
    return Nnpm(name, f"NNPM, reconstruction: {what}", "nnpm", **options)


METHODS = (
    _method("nnpm-c", "variant C (classes)"),
    _method("nnpm-h", "variant H (slots)", variant="H"),
    _method(
        "nnpm-vote",
        "vote of the memory, no training on the target",
        training=False,
        order_free=True,
    ),
    _method("nnpm-c-no-prior", "variant C without prior correction", prior_correction=False),
    _method("nnpm-c-top-1", "variant C, one pseudo label instead of several", several=False),
    _method("nnpm-c-fixed-memory", "variant C without memory update", memory_update=False),
    _method("nnpm-c-source-norm", "variant C without statistics per domain", by_corpus=False),
)
"""The reconstruction in its two variants, and what each of its parts is worth."""
