"""A model under a track: what is trained with some clips and gives class probabilities of
others."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np

from bimotion.data.labelled import LabelledClips
from bimotion.data.samples import samples
from bimotion.data.stored_rows import Spread, here
from bimotion.errors import ClipError, SettingError
from bimotion.evaluation.job import JobPredictions, TrainingJob
from bimotion.io.progress import Progress
from bimotion.models.classifier import Clips
from bimotion.models.spec import ModelSpec
from bimotion.models.windows import SILENCE_S
from bimotion.protocol.labels import LabelSchema
from bimotion.results.record import AdaptUsed, ModelUsed

Load = Callable[[Callable[[ModelSpec], object], ModelSpec], object]
"""From the function that loads a kind of model, and a model: the model, which runs can share."""


def loaded_anew(load: Callable[[ModelSpec], object], spec: ModelSpec) -> object:
    """The model, loaded for this run only."""
    return load(spec)


class Track(ABC):
    """The use of a model, with the options of that use: base of one frozen dataclass a file."""

    name: ClassVar[str]
    """As the record has it."""
    keywords: ClassVar[tuple[str, ...]] = ()
    """Those of `bimotion.evaluate` that it takes, and no other track."""
    trains: ClassVar[bool] = True
    """Whether jobs have training clips."""
    takes_any_encoder: ClassVar[bool] = False
    """Also baselines and objects of the user's."""
    takes_window: ClassVar[bool] = True
    """A model can hear a shorter window than its own."""
    takes_several_processes: ClassVar[bool] = False
    """Several processes can run it at a time."""

    @classmethod
    def of(cls, **keywords: object) -> "Track":
        """The track of the keywords of `bimotion.evaluate`."""
        return cls(**keywords)

    @classmethod
    def recorded(cls, used: ModelUsed) -> "Track":
        """The track with the options of a finished run, from its record."""
        raise SettingError(f"expected a run that trains, found track {cls.name}")

    @abstractmethod
    def runner(self, spec: ModelSpec, schema: LabelSchema) -> "Runner":
        """A model under this track. Raises UnknownName, ModelError, SettingError."""


class Runner(ABC):
    """A model under a track."""

    name: str
    adapt: AdaptUsed | None = None
    """How it is adapted, if it is."""
    seeded: bool = True
    """Whether predictions depend on the seed."""
    n_parameters: int | None = None
    """Of the model, None where it means nothing."""
    save_checkpoints = False
    """What jobs leave in their folders stays."""
    uses_device = True
    """Jobs run the model, on its device; else they are done with what `open` made. Sent to another
    process, it loads the model for its first job, not before: what runs there until then lets its
    own go first."""
    leaves_files = False
    """Jobs keep files in their folders, from which a job that was broken off goes on."""
    follower = False
    """This process only trains along (models/distributed.py)."""
    labelled: LabelledClips
    progress: Progress
    positions: np.ndarray
    """Row of the table of labelled clips -> its number among the rows that it was opened for, or
    -1."""

    @property
    @abstractmethod
    def used(self) -> ModelUsed:
        """The model as the record has it."""

    @property
    def device(self) -> str:
        """The device that it runs on."""
        return "cpu"

    def open(
        self,
        labelled: LabelledClips,
        rows: np.ndarray,
        progress: Progress,
        spread: Spread = here,
    ) -> None:
        """Make ready what all jobs share: `rows` are those that any of them names; `spread`: the
        processes that make features."""
        self.labelled, self.progress = labelled, progress
        self.positions = np.full(len(labelled.table), -1)
        self.positions[rows] = np.arange(len(rows))
        self.prepare(rows, spread)

    def prepare(self, rows: np.ndarray, spread: Spread) -> None:  # noqa: B027
        """Make what the jobs of this very track share, of the rows that it is opened for."""

    @abstractmethod
    def run(self, job: TrainingJob, folder: Path) -> JobPredictions:
        """Train and predict; `folder`: where the job may keep what it goes on from, and what it
        leaves for the user."""

    def embeddings(
        self, job: TrainingJob, rows: np.ndarray, folder: Path, checkpoint: Path | None = None
    ) -> np.ndarray:
        """Features before the last linear layer of what the job trains, float32 (len(rows), dim).

        `rows`: of the table of labelled clips, among those opened; `folder`: as of `run`;
        `checkpoint`: what a finished training of this very job kept, used instead of training.

        Raises SettingError for what has no features, or trains nothing.
        """
        raise SettingError(
            f"{self.used.name}, track {self.name}: expected a model with features that is "
            "trained, found none"
        )

    def clip_vectors(self, rows: np.ndarray, facts: dict) -> np.ndarray | None:
        """One vector a clip of what a probe's head sees, float32 (len(rows), n_features); `facts`:
        of a training of it. None: there are no features."""
        return None

    def follow(self, jobs: list[TrainingJob], folder_of: Callable[[TrainingJob], Path]) -> None:  # noqa: B027
        """Train along with the first process until it closes, in a follower that is open. Only
        tracks with followers do."""

    def close(self) -> None:  # noqa: B027
        """No job follows."""

    def largest_difference(self, waveforms: list[np.ndarray]) -> float | None:
        """Between clips in one batch and each of them alone, in features or logits; None: there are
        no batches."""
        return None

    def trained(self, job: TrainingJob) -> list[str]:
        """Classes with a positive training clip."""
        positive = (self.labelled.reference[job.train] == 1).any(axis=0)
        return [
            name for name, has in zip(self.labelled.schema.classes, positive, strict=True) if has
        ]


class FeatureRunner(Runner):
    """A runner whose jobs train a head on frozen features of clips, which can have another use
    too."""

    name = "probe"
    uses_device = False
    head: type
    """Class of the head (models/heads.py, models/layer_heads.py)."""

    @property
    def seeded(self) -> bool:
        return self.head.seeded

    @abstractmethod
    def features(self, rows: np.ndarray):
        """Features of rows of the table of labelled clips, as the head takes them."""

    def held_out(self, job: TrainingJob):
        """Features and reference of the validation clips of a job, or None."""
        if not len(job.validation):
            return None
        return self.features(job.validation), self.labelled.reference[job.validation]

    def fitted(self, job: TrainingJob):
        """A head that the job has trained."""
        fitted = self.head()
        fitted.fit(
            self.features(job.train),
            self.labelled.reference[job.train],
            exclusive=self.labelled.schema.exclusive,
            seed=job.seed,
            validation=self.held_out(job),
        )
        return fitted

    def run(self, job: TrainingJob, folder: Path) -> JobPredictions:
        head = self.fitted(job)
        probabilities = head.predict(self.features(job.test))
        return JobPredictions(probabilities, self.trained(job), getattr(head, "facts", {}))

    def embeddings(
        self, job: TrainingJob, rows: np.ndarray, folder: Path, checkpoint: Path | None = None
    ) -> np.ndarray:
        if not hasattr(self.head, "embed"):
            return super().embeddings(job, rows, folder)
        return self.fitted(job).embed(self.features(rows))

    @abstractmethod
    def clip_features(
        self, job: TrainingJob
    ) -> tuple[Callable[[np.ndarray], np.ndarray], dict[str, str | int | float | bool | None]]:
        """A function from rows of the table of labelled clips to one vector a clip, float32, shape
        (len(rows), n_features); and facts for the record. What is chosen is chosen by the job's
        training and validation clips. Raises SettingError."""


def clips_of(labelled: LabelledClips, rows: np.ndarray, progress: Progress) -> Clips:
    """Rows of a table of labelled clips as clips, read from the sample cache."""
    table = labelled.table.loc[rows].reset_index(drop=True)
    stored = samples(labelled.selection.manifest, table, progress)
    return Clips(stored.waveform, stored.n_samples, stored.fingerprint)


def window_used(window: str | float) -> dict[str, str | float]:
    """The options of a record that name the part of its own window that a model heard; none where
    it heard all of it, as in records of before."""
    return {} if window == "model" else {"window": window, "window_silence_s": SILENCE_S}


@contextmanager
def clips_named(ids: Sequence[str]) -> Iterator[None]:
    """Name the clip that a model fails on by its id. `ids`: of the clips that it is given, in that
    order.

    >>> with clips_named(["csed/a", "csed/b"]):
    ...     raise ClipError("wavlm", 1, "found NaN")
    Traceback (most recent call last):
    bimotion.errors.ModelError: wavlm: csed/b: found NaN
    """
    try:
        yield
    except ClipError as error:
        raise error.named(ids[error.index]) from error


def clips_in_memory(waveforms: list[np.ndarray]) -> Clips:
    """A few clips that are decoded already."""
    return Clips(waveforms.__getitem__, np.array([len(waveform) for waveform in waveforms]))
