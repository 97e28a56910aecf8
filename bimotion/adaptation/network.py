"""The network that all trained methods share, and the one loop that trains it.

Frozen features -> standardised -> at most 256 principal axes -> linear 256 -> ReLU -> linear 128 ->
unit length, f; logits = 10 f W + b; or without the hidden layer. One network, one optimizer and one
training for all, whose width, rate and number of steps are those with the smallest loss on the
source's validation clips when it is trained on the source only. Most methods add a loss on the
target to the cross-entropy on the source, whose labels are smoothed by 0.1; shot (which then trains
the encoder on the target only) and nnpm (whose source loss gives way to its target loss) have
losses of their own. No target clip ever chooses anything.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from bimotion.adaptation.label_shift import matched_moments, matched_source
from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.standardising import GroupMoments

HIDDEN, WIDTH, LOGIT_SCALE, SMOOTHING = 256, 128, 10.0, 0.1
MAX_AXES = HIDDEN
"""The first layer looks along as many directions; training on thousands of features takes four
times as long, to no use."""
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class Schedule:
    """The trainings to choose from."""

    min_steps: int = 100
    """With labels smoothed, fewer are never much better, and the methods need some to adapt in."""
    max_steps: int = 300
    checked_every: int = 20
    """Steps between two looks at the validation clips."""
    patience: int = 4
    """Looks without a smaller loss, after which a training ends."""
    batch_size: int = 128
    options: tuple[tuple[int, float], ...] = (
        (0, 1e-3),
        (0, 3e-4),
        (HIDDEN, 1e-3),
        (HIDDEN, 3e-4),
    )
    """Width of the first layer (0: there is none) and learning rate. The first, without validation
    clips."""


class Training(NamedTuple):
    """The choice of one training."""

    hidden: int
    rate: float
    steps: int


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

    def __init__(self, dim: int, n_classes: int, seed: int, hidden: int = HIDDEN):
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            first = [torch.nn.Linear(dim, hidden), torch.nn.ReLU()] if hidden else []
            self.encoder = torch.nn.Sequential(*first, torch.nn.Linear(hidden or dim, WIDTH))
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
        by_corpus: each corpus with its own unlabelled moments at the source's class shares
            (label_shift.py), which is batch normalisation with statistics per domain (Li et al.
            2016, arXiv 1603.04779) in the limit of one batch; otherwise all with the source's.
    """

    def __init__(self, source: Source, target: Clips, *, by_corpus: bool):
        import torch

        if by_corpus not in source.kept:
            source.kept[by_corpus] = _inputs_of_source(source, by_corpus)
        self.moments, self.axes, features, validation = source.kept[by_corpus]
        if by_corpus:
            self.moments = matched_moments(source, target)
        self.source, self.labels = torch.from_numpy(features), torch.from_numpy(source.labels)
        self.validation = validation
        self.adapted_to = target
        self.target = torch.from_numpy(self.moments(target) @ self.axes)

    def of_clips(self, clips: Clips):
        """Inputs of clips of the target, tensor (n, axes)."""
        import torch

        if clips is self.adapted_to:
            return self.target
        return torch.from_numpy(self.moments(clips) @ self.axes)

    def minibatches(self, size: int, seed: int) -> tuple[Iterator, Iterator]:
        """Row numbers of the source's and of the target's minibatches, without end."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        return _rows(len(self.source), size, generator), _rows(len(self.target), size, generator)


def _inputs_of_source(source: Source, by_corpus: bool) -> tuple:
    """Moments, axes, inputs of the source, inputs and labels of its validation clips (tensors, or
    None)."""
    import torch

    matched = matched_source(source).moments if by_corpus else None
    moments = matched or GroupMoments(source.clips, None)
    features, validation = moments(source.clips), None
    axes = principal_axes(features)
    if source.held_out is not None:
        clips, labels = source.held_out
        validation = torch.from_numpy(moments(clips) @ axes), torch.from_numpy(labels)
    return moments, axes, features @ axes, validation


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


def minimise(losses: Iterable, weights: Iterable, rate: float) -> Iterator[int]:
    """Take an AdamW step down each loss, a scalar tensor; the next one is computed when the step is
    done. Yields the number of steps taken, after each."""
    import torch

    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=1e-2)
    for steps, loss in enumerate(losses, start=1):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield steps


def chosen_training(inputs: Inputs, n_classes: int, schedule: Schedule) -> Training:
    """The option and step of the smallest cross-entropy on the source's validation clips."""
    if inputs.validation is None:
        return Training(*schedule.options[0], schedule.min_steps)
    return min(_best_step(inputs, n_classes, schedule, *option) for option in schedule.options)[1]


def _best_step(
    inputs: Inputs, n_classes: int, schedule: Schedule, hidden: int, rate: float
) -> tuple[float, Training]:
    """The smallest validation loss of an option, and its training."""
    import torch

    network = Network(inputs.source.shape[1], n_classes, 0, hidden)
    features, labels = inputs.validation
    best = np.inf, Training(hidden, rate, schedule.min_steps)
    losses = source_losses(network, inputs, schedule.max_steps, schedule.batch_size, seed=0)
    for steps in minimise(losses, network.parameters(), rate):
        if steps < schedule.min_steps or steps % schedule.checked_every:
            continue
        with torch.no_grad():
            logits = network.logits(network.embedded(features))
            loss = float(torch.nn.functional.cross_entropy(logits, labels))
        best = min(best, (loss, Training(hidden, rate, steps)))
        if steps - best[1].steps >= schedule.patience * schedule.checked_every:
            break
    return best


def source_loss(network: Network, embedded, labels):
    """Cross-entropy of f, tensor (n, WIDTH), with smoothed labels."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(network.logits(embedded), labels, label_smoothing=SMOOTHING)


def source_losses(
    network: Network,
    inputs: Inputs,
    steps: int,
    batch_size: int,
    seed: int,
    target_loss: Callable[..., object] | None = None,
) -> Iterator:
    """The loss of each step: that of a source minibatch plus, where there is one, the target loss
    (NetworkMethod.target_loss)."""
    source_rows, target_rows = inputs.minibatches(batch_size, seed)
    for step in range(steps):
        rows = next(source_rows)
        embedded = network.embed(inputs.source[rows])
        loss = source_loss(network, embedded, inputs.labels[rows])
        if target_loss:
            of_target = network.embed(inputs.target[next(target_rows)])
            loss = loss + target_loss(network, step / steps, embedded, of_target)
        yield loss


@dataclass(frozen=True)
class NetworkMethod(Method):
    """A method that trains the network; without a `target_loss` on the source only."""

    schedule: Schedule = Schedule()
    by_corpus: bool = False
    """Features are standardised by corpus beforehand, at the source's class shares."""
    seeded: bool = True
    version: str = "2"

    target_loss: ClassVar[Callable[..., object] | None] = None
    """(network, progress of the training in [0, 1), f of a source minibatch, f of a target
    minibatch) -> a scalar tensor, added to the cross-entropy on the source."""

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        inputs, n_classes = Inputs(source, target, by_corpus=self.by_corpus), source.n_trained
        with one_thread():
            key = self.by_corpus, self.schedule
            if key not in source.learnt:
                source.learnt[key] = chosen_training(inputs, n_classes, self.schedule)
            training = source.learnt[key]
            network = self.network(inputs.source.shape[1], n_classes, seed, training.hidden)
            probabilities = self.trained(network, inputs, training, seed)

        def predict(clips: Clips) -> np.ndarray:
            with one_thread():
                return probabilities(inputs.of_clips(clips))

        return predict

    def network(self, dim: int, n_classes: int, seed: int, hidden: int) -> Network:
        """The network before its training."""
        return Network(dim, n_classes, seed, hidden)

    def trained(
        self, network: Network, inputs: Inputs, training: Training, seed: int
    ) -> Callable[..., np.ndarray]:
        """Train the network in place; the function from inputs, tensor (n, dim), to
        probabilities."""
        losses = self.losses(network, inputs, training.steps, seed)
        for _ in minimise(losses, network.parameters(), training.rate):
            pass
        return network.probabilities

    def losses(self, network: Network, inputs: Inputs, steps: int, seed: int) -> Iterator:
        """The loss of each step."""
        size = self.schedule.batch_size
        return source_losses(network, inputs, steps, size, seed, self.target_loss)


def ramp(progress: float) -> float:
    """Rise from 0 to 1 over the training: 2 / (1 + exp(-10 progress)) - 1 (Ganin and Lempitsky
    2015).

    >>> ramp(0.0), round(ramp(1.0), 3)
    (0.0, 1.0)
    """
    return float(2 / (1 + np.exp(-10 * progress)) - 1)
