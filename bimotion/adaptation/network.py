"""The network that all trained methods share, and the one loop that trains it.

Frozen features -> standardised -> at most 256 principal axes -> linear 256 -> ReLU -> linear 128 ->
unit length, f; logits = 10 f W + b. One network, one optimizer and one schedule for all. Most
methods add a loss on the target to the cross-entropy on the source; shot (which smooths the
source's labels and then trains the encoder on the target only) and nnpm (whose source loss gives
way to its target loss) have losses of their own. No test ever chooses a step: training ends when
the schedule does.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.standardising import GroupMoments

HIDDEN, WIDTH, LOGIT_SCALE = 256, 128, 10.0
MAX_AXES = HIDDEN
"""The first layer looks along as many directions; training on thousands of features takes four
times as long, to no use."""
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Schedule:
    """The length of a training: 20 passes over the source, but at least `min_steps` and at most
    `max_steps` minibatches.

    >>> Schedule().steps(600), Schedule().steps(1500), Schedule().steps(62000)
    (100, 240, 300)
    """

    min_steps: int = 100
    max_steps: int = 300
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2

    def steps(self, n: int) -> int:
        """Minibatches for a source of n clips."""
        return int(np.clip(20 * -(-n // self.batch_size), self.min_steps, self.max_steps))


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: steps are too small to share, on a busy machine sharing them takes
    twenty times as long, and sums then do not hang on the number of cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Network:
    """Encoder and linear classifier; its weights depend on the seed alone, and torch's global
    generator is left as it was."""

    def __init__(self, dim: int, n_classes: int, seed: int):
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = torch.nn.Sequential(
                torch.nn.Linear(dim, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, WIDTH)
            )
            self.classifier = torch.nn.Linear(WIDTH, n_classes)

    def parameters(self) -> list:
        """All weights, those of modules that a method has added too."""
        return [weight for module in vars(self).values() for weight in module.parameters()]

    def embed(self, inputs):
        """f, unit length, shape (n, WIDTH)."""
        from torch.nn.functional import normalize

        return normalize(self.encoder(inputs), dim=1)

    def logits(self, embedded):
        """Logits, shape (n, n_classes), of f."""
        return self.classifier(LOGIT_SCALE * embedded)

    def embedded(self, inputs):
        """f of all rows, tensor (n, WIDTH), without gradients, a block at a time."""
        import torch

        with torch.no_grad():
            return torch.cat([self.embed(block) for block in inputs.split(BLOCK_ROWS)])

    def probabilities(self, inputs) -> np.ndarray:
        """float64, shape (n, n_classes), of inputs, tensor (n, dim)."""
        import torch

        with torch.no_grad():
            return self.logits(self.embedded(inputs)).double().softmax(dim=1).numpy()


class Inputs:
    """The inputs of a network: standardised features of a source and a target, on the principal
    axes of the source (of the source, so that they hold no target).

    Args:
        by_corpus: each corpus with its own unlabelled moments, which is batch normalisation with
            statistics per domain (Li et al. 2016, arXiv 1603.04779) in the limit of one batch;
            otherwise all with the source's.
    """

    def __init__(self, source: Source, target: Clips, *, by_corpus: bool):
        import torch

        by = "corpus" if by_corpus else None
        if by not in source.standardised:
            moments = GroupMoments(source.clips, by)
            features = moments(source.clips)
            axes = principal_axes(features)
            source.standardised[by] = moments, axes, features @ axes
        self.moments, self.axes, features = source.standardised[by]
        if by_corpus:
            self.moments = GroupMoments(target, by)
        self.source, self.labels = torch.from_numpy(features), torch.from_numpy(source.labels)
        self.target = self.of_clips(target)

    def of_clips(self, clips: Clips):
        """Inputs of clips of the target, tensor (n, axes)."""
        import torch

        return torch.from_numpy(self.moments(clips) @ self.axes)

    def minibatches(self, size: int, seed: int) -> tuple[Iterator, Iterator]:
        """Row numbers of the source's and of the target's minibatches, without end."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        return _rows(len(self.source), size, generator), _rows(len(self.target), size, generator)


def principal_axes(standardised: np.ndarray) -> np.ndarray:
    """The first MAX_AXES principal axes of features of mean 0, float32, shape (dim, axes), fewer
    where there are no more; the features' own axes where they are no more than that. Each axis
    points to where its largest component is positive.

    >>> axes = principal_axes(np.diag(np.arange(300, 0, -1, dtype=np.float32)))
    >>> axes.shape, bool(np.allclose(axes, np.eye(300)[:, :256]))
    ((300, 256), True)
    """
    n, dim = standardised.shape
    if dim <= MAX_AXES:
        return np.eye(dim, dtype=np.float32)
    values, vectors = np.linalg.eigh((standardised.T @ standardised).astype(np.float64) / n)
    kept = vectors[:, ::-1][:, :MAX_AXES][:, values[::-1][:MAX_AXES] > 1e-9 * values[-1]]
    largest = kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])]
    return np.ascontiguousarray(kept * np.sign(largest), np.float32)


def _rows(n: int, size: int, generator) -> Iterator:
    """Row numbers, tensors of min(size, n): every pass in another order, what does not fill a batch
    left out."""
    import torch

    while True:
        order = torch.randperm(n, generator=generator)
        yield from order[: n - n % min(size, n)].split(min(size, n))


def minimise(losses: Iterable, weights: Iterable, schedule: Schedule, rate: float = 1.0) -> None:
    """Take an AdamW step down each loss, a scalar tensor; the next one is computed when the step is
    done. `rate`: factor on the schedule's learning rate."""
    import torch

    optimizer = torch.optim.AdamW(
        weights, lr=rate * schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    for loss in losses:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@dataclass(frozen=True)
class NetworkMethod(Method):
    """A method that trains the network; without a `target_loss` on the source only."""

    schedule: Schedule = Schedule()
    by_corpus: bool = False
    """Features are standardised by corpus beforehand."""
    smoothing: float = 0.0
    """Of the source's labels."""
    seeded: bool = True

    target_loss: ClassVar[Callable[..., object] | None] = None
    """(network, progress of the training in [0, 1), f of a source minibatch, f of a target
    minibatch) -> a scalar tensor, added to the cross-entropy on the source."""

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        inputs = Inputs(source, target, by_corpus=self.by_corpus)
        with one_thread():
            network = self.network(inputs.source.shape[1], source.n_trained, seed)
            probabilities = self.trained(network, inputs, seed)

        def predict(clips: Clips) -> np.ndarray:
            with one_thread():
                return probabilities(inputs.of_clips(clips))

        return predict

    def network(self, dim: int, n_classes: int, seed: int) -> Network:
        """The network before its training."""
        return Network(dim, n_classes, seed)

    def trained(self, network: Network, inputs: Inputs, seed: int) -> Callable[..., np.ndarray]:
        """Train the network in place; the function from inputs, tensor (n, dim), to
        probabilities."""
        minimise(self.losses(network, inputs, seed), network.parameters(), self.schedule)
        return network.probabilities

    def losses(self, network: Network, inputs: Inputs, seed: int) -> Iterator:
        """The loss of each step: cross-entropy on the source plus `target_loss`."""
        from torch.nn.functional import cross_entropy

        source_rows, target_rows = inputs.minibatches(self.schedule.batch_size, seed)
        steps = self.schedule.steps(len(inputs.source))
        for step in range(steps):
            rows = next(source_rows)
            embedded = network.embed(inputs.source[rows])
            logits, labels = network.logits(embedded), inputs.labels[rows]
            loss = cross_entropy(logits, labels, label_smoothing=self.smoothing)
            if self.target_loss:
                of_target = network.embed(inputs.target[next(target_rows)])
                loss = loss + self.target_loss(network, step / steps, embedded, of_target)
            yield loss


def ramp(progress: float) -> float:
    """Rise from 0 to 1 over the training: 2 / (1 + exp(-10 progress)) - 1 (Ganin and Lempitsky
    2015).

    >>> ramp(0.0), round(ramp(1.0), 3)
    (0.0, 1.0)
    """
    return float(2 / (1 + np.exp(-10 * progress)) - 1)
