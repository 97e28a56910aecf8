"""One training and what is predicted with it: what a plan asks of a track, and what comes back."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Target:
    """What is predicted in one test cell: numbers of rows of the table of labelled clips.

    test         test clips
    unlabelled   clips of the cell whose sound, not whose labels, a model may adapt to, ascending:
                 all of them, its train part, or none
    """

    test: np.ndarray
    unlabelled: np.ndarray


@dataclass(frozen=True)
class TrainingJob:
    """One training under one seed, and what is predicted with it: numbers of rows of the table of
    labelled clips.

    number    among the jobs of a run
    name      of the training set (Setting.training_set); `validation` may be empty, `train` too
              where nothing is trained
    targets   one for each test cell
    """

    number: int
    name: str
    seed: int
    train: np.ndarray
    validation: np.ndarray
    targets: tuple[Target, ...]

    @property
    def test(self) -> np.ndarray:
        """Test clips of all cells, target after target."""
        return np.concatenate([target.test for target in self.targets])


@dataclass(frozen=True)
class JobPredictions:
    """Of a job: probabilities, float64 (len(job.test), n_classes); classes that can be predicted;
    facts for the record."""

    probabilities: np.ndarray
    trained: list[str]
    facts: dict[str, str | int | float | bool | None] = field(default_factory=dict)
