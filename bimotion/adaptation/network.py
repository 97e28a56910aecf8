"""The network that all trained methods share, and training it on the source with a loss on the
target beside it.

Frozen features -> standardised -> at most 256 principal axes -> linear 256 -> ReLU -> linear 128 ->
unit length, f; logits = 10 f W + b. One network, one optimizer and one schedule for all; beside
their target losses, shot (which smooths the source's labels and then trains the encoder alone) and
nnpm (whose source loss gives way to its target loss) differ in what their files say. No test ever
chooses a step: training ends when the schedule does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from bimotion.adaptation.method import Clips, Predictor, Source
from bimotion.adaptation.standardising import GroupMoments, moments

HIDDEN, WIDTH, LOGIT_SCALE = 256, 128, 10.0
MOST_AXES = HIDDEN
"""The first layer looks along as many directions; training on thousands of features takes four
times as long, to no use."""


@dataclass(frozen=True)
class Schedule:
    """How long to train: 20 passes over the source, but at least `fewest_steps` and at most
    `most_steps` minibatches.

    >>> Schedule().steps(600), Schedule().steps(1500), Schedule().steps(62000)
    (100, 240, 300)
    """

    fewest_steps: int = 100
    most_steps: int = 300
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2

    def steps(self, n: int) -> int:
        """Minibatches for a source of n clips."""
        return int(np.clip(20 * -(-n // self.batch_size), self.fewest_steps, self.most_steps))


DEFAULT = Schedule()


@contextmanager
def one_thread():
    """Within it, torch uses one thread: steps are too small to share, on a busy machine sharing
    them takes twenty times as long, and sums then do not hang on the number of cores."""
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
        """All weights."""
        return [*self.encoder.parameters(), *self.classifier.parameters()]

    def embed(self, inputs):
        """f, unit length, shape (n, WIDTH)."""
        from torch.nn.functional import normalize

        return normalize(self.encoder(inputs), dim=1)

    def logits(self, embedded):
        """Shape (n, n_classes)."""
        return self.classifier(LOGIT_SCALE * embedded)

    @one_thread()
    def embedded(self, inputs: np.ndarray):
        """f of all rows, without gradients, a block at a time; tensor (n, WIDTH)."""
        import torch

        with torch.no_grad():
            return torch.cat([self.embed(block) for block in torch.from_numpy(inputs).split(4096)])

    @one_thread()
    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """float64, shape (n, n_classes), of standardised features."""
        import torch

        with torch.no_grad():
            return self.logits(self.embedded(inputs)).double().softmax(dim=1).numpy()


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a network sees of the source, of the target, and how target clips become that:
    standardised features, on the first MOST_AXES principal axes of the source where they are more
    (of the source, so that it holds no target).

    `by_corpus`: each corpus with its own unlabelled moments, which is batch normalisation with
    statistics per domain (Li et al. 2016, arXiv 1603.04779) in the limit of one batch; otherwise
    all with the source's.
    """

    source: np.ndarray
    target: np.ndarray
    of_clips: Callable[[Clips], np.ndarray]

    @classmethod
    def of(cls, source: Source, target: Clips, *, by_corpus: bool) -> "Inputs":
        """Of a source and a target."""
        if ("inputs", by_corpus) not in source.made:
            scaled = (
                GroupMoments(source.clips, speakers=False)
                if by_corpus
                else moments(source.clips.features).of_clips
            )
            standardised = scaled(source.clips)
            axes = principal_axes(standardised)
            source.made["inputs", by_corpus] = (
                scaled,
                axes,
                standardised if axes is None else standardised @ axes,
            )
        scaled, axes, seen = source.made["inputs", by_corpus]
        if by_corpus:
            scaled = GroupMoments(target, speakers=False)

        def of_clips(clips: Clips) -> np.ndarray:
            return scaled(clips) if axes is None else scaled(clips) @ axes

        return cls(seen, of_clips(target), of_clips)


def principal_axes(standardised: np.ndarray) -> np.ndarray | None:
    """The first MOST_AXES principal axes of features of mean 0, float32, shape (dim, axes), fewer
    where there are no more; None where the features are no more than that. Each axis points to
    where its largest component is positive.

    >>> found = principal_axes(np.eye(300, dtype=np.float32) * np.arange(300, 0, -1,
    ...     dtype=np.float32))
    >>> found.shape, bool(np.allclose(found, np.eye(300)[:, :256]))
    ((300, 256), True)
    """
    n, dim = standardised.shape
    if dim <= MOST_AXES:
        return None
    values, vectors = np.linalg.eigh((standardised.T @ standardised).astype(np.float64) / n)
    kept = vectors[:, ::-1][:, :MOST_AXES][:, values[::-1][:MOST_AXES] > 1e-9 * values[-1]]
    largest = kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])]
    return np.ascontiguousarray(kept * np.sign(largest), np.float32)


def minibatches(n: int, size: int, generator) -> Iterator:
    """Row numbers, tensors of min(size, n), without end: every pass in another order, what does not
    fill a batch left out."""
    import torch

    while True:
        order = torch.randperm(n, generator=generator)
        for start in range(0, n - n % min(size, n), min(size, n)):
            yield order[start : start + size]


TargetLoss = Callable[..., object]
"""(progress in [0, 1), source f, target f, target logits) -> a scalar tensor, added to the source's
cross-entropy."""


@one_thread()
def trained(
    network: Network,
    inputs: Inputs,
    labels: np.ndarray,
    schedule: Schedule,
    seed: int,
    target_loss: TargetLoss | None = None,
    extra: list | None = None,
    smoothing: float = 0.0,
) -> None:
    """Train in place: cross-entropy on the source (labels smoothed) plus `target_loss`; `extra`:
    its own weights."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    xs, xt, ys = (torch.from_numpy(array) for array in (inputs.source, inputs.target, labels))
    optimizer = torch.optim.AdamW(
        [*network.parameters(), *(extra or [])],
        lr=schedule.learning_rate,
        weight_decay=schedule.weight_decay,
    )
    of_source = minibatches(len(xs), schedule.batch_size, generator)
    of_target = minibatches(len(xt), schedule.batch_size, generator)
    steps = schedule.steps(len(xs))
    for step in range(steps):
        rows = next(of_source)
        fs = network.embed(xs[rows])
        loss = torch.nn.functional.cross_entropy(
            network.logits(fs), ys[rows], label_smoothing=smoothing
        )
        if target_loss is not None:
            ft = network.embed(xt[next(of_target)])
            loss = loss + target_loss(step / steps, fs, ft, network.logits(ft))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def aligned(
    source: Source,
    target: Clips,
    target_loss: TargetLoss | None,
    schedule: Schedule,
    seed: int,
    *,
    by_corpus: bool = False,
    extra: list | None = None,
) -> Predictor:
    """A network trained on the source with a loss on the target, as a predictor."""
    inputs = Inputs.of(source, target, by_corpus=by_corpus)
    network = Network(inputs.source.shape[1], source.n_trained, seed)
    trained(network, inputs, source.labels, schedule, seed, target_loss, extra)
    return lambda clips: network.probabilities(inputs.of_clips(clips))


def ramp(progress: float) -> float:
    """From 0 to 1 over the training: 2 / (1 + exp(-10 progress)) - 1 (Ganin and Lempitsky 2015).

    >>> ramp(0.0), round(ramp(1.0), 3)
    (0.0, 1.0)
    """
    return float(2 / (1 + np.exp(-10 * progress)) - 1)
