"""The files in the folder of a run, and their names: the one place that knows."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from bimotion.errors import FolderInUse
from bimotion.io import checksums, files
from bimotion.results import record
from bimotion.results.predictions import save
from bimotion.results.record import PARTS_FOLDER, PREDICTIONS_FILE, RESULT_FILE, Result

KEPT_FILES = (RESULT_FILE, PREDICTIONS_FILE)
"""Of a finished run, which are read back."""
_CHECKPOINTS, _BEST = "checkpoints", "best"


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, finished or not: result.json, predictions.parquet, SHA256SUMS;
    `checkpoints`: a folder a training set, seed and fold, with what the track leaves there; until
    it is finished `unfinished`: predictions of the jobs that are done.

    >>> RunFolder(Path("run")).best_checkpoint("eng_adu", 0).as_posix()
    'run/checkpoints/eng_adu-0/best'
    >>> RunFolder(Path("run")).checkpoint("eng_adu", 0, fold=3).as_posix()
    'run/checkpoints/eng_adu-0-fold3'
    """

    path: Path

    @property
    def result(self) -> Path:
        """The record."""
        return self.path / RESULT_FILE

    @property
    def predictions(self) -> Path:
        """The table of predictions."""
        return self.path / PREDICTIONS_FILE

    @property
    def is_unfinished(self) -> bool:
        """A run was begun, or begun again, and did not come to its end."""
        return (self.path / PARTS_FOLDER).exists()

    def checkpoint(self, training_set: str, seed: int, fold: int = 0) -> Path:
        """Folder of what one training leaves."""
        return self.path / _CHECKPOINTS / _name(training_set, seed, fold)

    def best_checkpoint(self, training_set: str, seed: int, fold: int = 0) -> Path:
        """Folder of the model that one training chose."""
        return self.checkpoint(training_set, seed, fold) / _BEST

    def part(self, training_set: str, seed: int, fold: int = 0) -> Path:
        """Predictions of one training, until the run is finished."""
        return self.path / PARTS_FOLDER / f"{_name(training_set, seed, fold)}.part"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Made, and for this process only; raises FolderInUse where another one works in it."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / ".lock", timeout=0):
                yield
        except Timeout:
            raise FolderInUse(
                f"{self.path}: another process is working on this very run; wait for it, or "
                "use another --output"
            ) from None

    def begin(self, inputs: bytes, *, overwrite: bool, say: Callable[[str], None]) -> None:
        """Parts of a run over the same `inputs` stay; parts and checkpoints of others, or of half a
        run that is not wanted, go."""
        parts = self.path / PARTS_FOLDER
        parts.mkdir(exist_ok=True)
        if overwrite or files.read_sealed(parts / "inputs", say) != inputs:
            files.remove_others(parts, keep=())
            shutil.rmtree(self.path / _CHECKPOINTS, ignore_errors=True)
            files.write_sealed(parts / "inputs", inputs)

    def finish(self) -> None:
        """Remove the parts."""
        files.remove_others(self.path / PARTS_FOLDER, keep=())
        (self.path / PARTS_FOLDER).rmdir()

    def damage(self) -> str | None:
        """The file of a finished run that is not what was written, and why; None: all are."""
        return checksums.damage(self.path, KEPT_FILES)

    def load(self) -> Result:
        """The result; raises RecordError."""
        return record.load(self.result)

    def save_predictions(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Write the predictions; returns them as the file has them, to its last digit."""
        (self.path / checksums.SUMS_FILE).unlink(missing_ok=True)
        with files.written(self.predictions) as temporary:
            save(predictions, temporary)
        return pd.read_parquet(self.predictions)

    def save_result(self, result: Result) -> None:
        """Write the record, and what both files hold."""
        (self.path / checksums.SUMS_FILE).unlink(missing_ok=True)
        result.save(self.path)
        checksums.write(self.path, KEPT_FILES)


def _name(training_set: str, seed: int, fold: int) -> str:
    return f"{training_set}-{seed}" + (f"-fold{fold}" if fold else "")
