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

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bimotion.adaptation.memory import Memory, Neighbours, slots
from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.network import DEFAULT, Inputs, Network, Schedule, minibatches, one_thread

EPOCHS, WARM_UP = 20, 5
LARGEST_WEIGHT, SUREST, MEMBER = 0.3, 0.5, 1.5
HARDEST = 0.05


def multilabels(votes, *, several: bool):
    """Which classes a clip is given, bool (n, n_classes), and which clips are given any, bool (n,),
    from votes (n, n_classes).

    >>> import torch
    >>> [part.tolist() for part in multilabels(torch.tensor([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3]]),
    ...     several=True)]
    [[[True, True, False], [False, False, False]], [True, False]]
    """
    from torch.nn.functional import one_hot

    n_classes = votes.shape[1]
    chosen = (
        votes >= MEMBER / n_classes if several else one_hot(votes.argmax(dim=1), n_classes).bool()
    )
    kept = (votes.max(dim=1).values >= SUREST) & chosen.any(dim=1)
    return chosen & kept[:, None], kept


def class_loss(logits, chosen):
    """Variant C: cross-entropy against the chosen classes, equally likely; scalar, of clips that
    have any."""
    wanted = chosen / chosen.sum(dim=1, keepdim=True)
    return -(wanted * logits.log_softmax(dim=1)).sum(dim=1).mean()


def slot_loss(found: Neighbours, chosen, labels):
    """Variant H: pull candidates of the chosen classes, push the hardest slots of the others;
    scalar, of clips that have any."""
    import torch

    s = found.similarities
    with torch.no_grad():  # which slots count; the loss looks at those alone, a tenth of the memory
        positive = found.within & chosen.gather(1, labels[found.places])
        belongs = chosen[:, labels]
        n_hard = (HARDEST * (~belongs).sum(dim=1)).int().clamp(min=1)
        hardest = s.masked_fill(belongs, -1.0).topk(int(n_hard.max()), dim=1).indices
        hard = (torch.arange(hardest.shape[1]) < n_hard[:, None]) & ~belongs.gather(1, hardest)
    pull = ((1 - s.gather(1, found.places)).square() * positive).sum(dim=1) / positive.sum(
        dim=1
    ).clamp(min=1)
    push = ((1 + s.gather(1, hardest)).square() * hard).sum(dim=1) / n_hard
    return (5 * pull + push).mean()


@dataclass(frozen=True)
class Nnpm(Method):
    """A variant or ablation of the reconstruction.

    `variant`: C or H. `prior_correction`: votes are divided by the memory's class shares.
    `several`: multilabels, not the top class alone. `memory_update`: the memory follows the
    encoder, keeping 0.5 * epoch / epochs of itself. `training`: with a target loss; otherwise the
    votes of the warmed-up memory are the predictions. `by_corpus`: statistics of each domain, not
    the source's.
    """

    variant: Literal["C", "H"] = "C"
    prior_correction: bool = True
    several: bool = True
    memory_update: bool = True
    training: bool = True
    by_corpus: bool = True
    schedule: Schedule = DEFAULT

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        inputs = Inputs.of(source, target, by_corpus=self.by_corpus)
        network = Network(inputs.source.shape[1], source.n_trained, seed)
        memory = self._train(network, inputs, source, seed)
        if self.training:
            return lambda clips: network.probabilities(inputs.of_clips(clips))

        @one_thread()
        def vote(clips: Clips) -> np.ndarray:
            blocks = network.embedded(inputs.of_clips(clips)).split(512)
            votes = [
                memory.neighbours(block, prior_correction=self.prior_correction)
                .votes.double()
                .numpy()
                for block in blocks
            ]
            return np.concatenate([block / block.sum(axis=1, keepdims=True) for block in votes])

        return vote

    @one_thread()
    def _train(self, network: Network, inputs: Inputs, source: Source, seed: int) -> Memory:
        """Train in place; the memory as it is at the end."""
        import torch

        generator, schedule = torch.Generator().manual_seed(seed), self.schedule
        xs, xt, ys = (
            torch.from_numpy(array) for array in (inputs.source, inputs.target, source.labels)
        )
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        of_source = minibatches(len(xs), schedule.batch_size, generator)
        of_target = minibatches(len(xt), schedule.batch_size, generator)
        for epoch in range(EPOCHS):
            if epoch == WARM_UP:
                rows = slots(source.labels, source.n_trained, seed)
                memory = Memory(
                    network.embedded(inputs.source[rows]), ys[rows], rows, len(xs), source.n_trained
                )
                if not self.training:
                    memory.estimate()
                    break
            if epoch >= WARM_UP:
                memory.estimate()
            weight = LARGEST_WEIGHT * max(0, epoch + 1 - WARM_UP) / (EPOCHS - WARM_UP)
            for _ in range(schedule.steps(len(xs)) // EPOCHS):
                rows = next(of_source)
                fs = network.embed(xs[rows])
                loss = (1 - weight) * torch.nn.functional.cross_entropy(
                    network.logits(fs), ys[rows]
                )
                if weight:
                    loss = loss + weight * self._target_loss(
                        network, memory, network.embed(xt[next(of_target)])
                    )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if weight and self.memory_update:
                    memory.update(rows, fs, keep=0.5 * epoch / EPOCHS)
        return memory

    def _target_loss(self, network: Network, memory: Memory, embedded):
        found = memory.neighbours(embedded, prior_correction=self.prior_correction)
        chosen, kept = multilabels(found.votes, several=self.several)
        if not kept.any():
            return embedded.sum() * 0.0
        if self.variant == "C":
            return class_loss(network.logits(embedded[kept]), chosen[kept])
        return slot_loss(
            Neighbours(*(part[kept] for part in vars(found).values())), chosen[kept], memory.labels
        )


def _method(name: str, what: str, *, order_free: bool = False, **settings) -> Nnpm:
    return Nnpm(
        name,
        f"NNPM, reconstruction: {what}",
        "nnpm",
        seeded=True,
        order_free=order_free,
        **settings,
    )


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
