"""The engine of runs: who makes the features of clips, and does the jobs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bimotion.data.cache import Row
from bimotion.data.stored_rows import Make, Part, here
from bimotion.evaluation.job import TrainingJob
from bimotion.evaluation.part import part_of
from bimotion.evaluation.tracks import Runner
from bimotion.models.spec import ModelSpec


@dataclass(frozen=True)
class RunJob:
    """A job of a run, with all that it takes to do it."""

    runner: Runner
    """Open."""
    job: TrainingJob
    folder: Path
    """As of `Runner.run`."""


class Engine(ABC):
    """Processes that work for runs. One list of jobs is done, whatever the engine."""

    name: ClassVar[str]
    shares: ClassVar[bool] = False
    """Jobs of several runs are done at the same time; else one run after the other."""

    def placed(self, spec: ModelSpec) -> ModelSpec:
        """A model on the device that this engine's processes run it on. Raises SettingError."""
        return spec

    @abstractmethod
    def spread(self, make: Make, parts: list[Part], together: int) -> Iterator[Row]:
        """Make rows of clips, as data/stored_rows.py asks for them."""

    @abstractmethod
    def parts(self, jobs: Sequence[RunJob]) -> Iterator[tuple[int, bytes]]:
        """Do jobs: number of each in the list, and its part (part.py), as they are done."""

    def close(self) -> None:  # noqa: B027
        """Give back what was taken for the work."""


class LocalEngine(Engine):
    """This machine, one job after the other in this process."""

    name = "local"

    def spread(self, make: Make, parts: list[Part], together: int) -> Iterator[Row]:
        return here(make, parts, together)

    def parts(self, jobs: Sequence[RunJob]) -> Iterator[tuple[int, bytes]]:
        for number, todo in enumerate(jobs):
            yield number, part_of(todo.runner, todo.job, todo.folder)
