"""One training and what is predicted with it: what a plan asks of a track, and what comes back."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Target:
    """A test cell: row numbers of the table of labelled clips."""

    test: np.ndarray
    """Test clips."""
    unlabelled: np.ndarray
    """Clips of the cell whose sound, not whose labels, a model may adapt to, ascending: all of
    them, its train part, or none."""


@dataclass(frozen=True)
class TrainingJob:
    """One training under one seed in one fold, and what is predicted with it: row numbers of the
    table of labelled clips."""

    number: int
    """Among the jobs of a run."""
    name: str
    """Of the training set (Setting.training_set)."""
    seed: int
    fold: int
    """Whose clips are tested; 0 without cross-validation."""
    train: np.ndarray
    """Empty where nothing is trained."""
    validation: np.ndarray
    """May be empty."""
    targets: tuple[Target, ...]
    """One for each test cell."""

    @property
    def test(self) -> np.ndarray:
        """Test clips of all cells, target after target."""
        return np.concatenate([target.test for target in self.targets])


@dataclass(frozen=True)
class JobPredictions:
    """The predictions of a job."""

    probabilities: np.ndarray
    """float64 (len(job.test), n_classes)."""
    trained: list[str]
    """Classes with a positive training clip, or an output of a model that is not trained."""
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    """For the record."""
