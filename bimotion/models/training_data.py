"""The clips of one training set, and the order in which training takes them."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from bimotion.errors import SettingError
from bimotion.models.classifier import Clips
from bimotion.models.losses import learnable


@dataclass(frozen=True)
class TrainingData:
    """The clips of one training set and what they are. Raises SettingError where there is nothing
    to learn from."""

    clips: Clips
    """Of the whole run."""
    reference: np.ndarray
    """int8 (len(clips), n_classes): 1 present, 0 absent, -1 not annotated."""
    train: np.ndarray
    """Numbers of the training clips."""
    validation: np.ndarray
    """Numbers of the validation clips; may be empty."""
    classes: tuple[str, ...]
    """Names of the columns of `reference`."""
    exclusive: bool
    """Each clip has exactly one class."""

    def __post_init__(self):
        if (n_columns := self.reference.shape[1]) != len(self.classes):
            raise SettingError(
                f"expected a reference over {len(self.classes)} classes, found {n_columns}"
            )
        if not len(self.train):
            raise SettingError("no training clips")
        empty = np.flatnonzero(~learnable(self.reference[self.train], self.exclusive))
        if len(empty):
            what = "exactly one class" if self.exclusive else "an annotated class"
            raise SettingError(
                f"training clip {empty[0]}: expected {what}, found none ({len(empty)} such clips)"
            )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that training sees of it."""
        digest = sha256(self.clips.fingerprint.encode())
        for numbers in (self.train, self.validation, self.clips.n_samples):
            digest.update(np.ascontiguousarray(numbers, "<i8").tobytes())
        digest.update(np.ascontiguousarray(self.reference, "i1").tobytes())
        return digest.hexdigest()


def plan(
    n_samples: np.ndarray, size: int, seed: int, epoch: int, *, similar_lengths: bool = True
) -> list[np.ndarray]:
    """Clips of each step: at random, but of similar length within a step if that is asked for;
    every clip once.

    >>> [step.tolist() for step in plan(np.ones(5), 2, 0, 1, similar_lengths=False)]
    [[1, 4], [3, 0], [2]]
    """
    generator = np.random.default_rng((seed, epoch))
    order, steps = generator.permutation(len(n_samples)), []
    if not similar_lengths:
        return chunks(order, size)
    wanted = n_samples * generator.uniform(0.9, 1.1, len(n_samples))
    for block in chunks(order, 64 * size):
        steps += chunks(block[np.argsort(wanted[block], kind="stable")], size)
    return [steps[number] for number in generator.permutation(len(steps))]


def chunks(items, size: int) -> list:
    """Parts of some items, of one size but for the last."""
    return [items[start : start + size] for start in range(0, len(items), size)]
