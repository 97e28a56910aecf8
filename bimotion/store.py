"""Rows of numbers on disk that are filled when they are first asked for, each once, whatever stops in between."""

import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from bimotion import files
from bimotion.manifest import Manifest
from bimotion.progress import Progress

Make = Callable[[np.ndarray], Iterable[np.ndarray]]
"""Places of rows -> those rows, in that order, one at a time."""


class Store:
    """Rows one after the other in a sparse file, and beside it how many numbers of each row are there (0: not done yet).

    path     the data, flat .npy; `path`.filled.npy, int64 (n_rows, 2): each row's room, and how much of it is filled
    room     most numbers that each row may have, shape (n_rows,); disk is taken only by what is filled
    dtype    of the data

    What is found at `path` with other room or dtype is made anew. A row is marked filled only after its numbers were
    handed to the system, so a process that is killed leaves no row that is marked and wrong (a machine that loses power may).

    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()) / "a.npy", room=np.array([2, 3]), dtype=np.float16)
    >>> store.fill(np.array([1]), lambda places: [np.full(2, place) for place in places], Progress(), "a")
    >>> store.row(1).tolist(), store.missing(np.array([0, 1])).tolist()
    ([1.0, 1.0], [0])
    """

    def __init__(self, path: Path, room: np.ndarray, dtype: np.typing.DTypeLike):
        self.path, self.room, self.dtype = path, np.asarray(room, np.int64), np.dtype(dtype)
        self.starts = np.cumsum(self.room) - self.room
        self.marks_path = path.with_name(f"{path.name}.filled.npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.opening.lock"):  # not the lock of filling, which may be held for hours
            opened = self._opened() or self._made_anew()
        descriptor, self._offset, self._marks = opened
        weakref.finalize(self, os.close, descriptor)
        self._descriptor = descriptor

    def __reduce__(self):
        return Store, (self.path, self.room, self.dtype)  # a descriptor means nothing in another process

    @property
    def files(self) -> list[Path]:
        """Everything on disk that belongs to it."""
        return [self.path, self.marks_path, Path(f"{self.path}.opening.lock"), Path(f"{self.path}.lock")]

    @property
    def filled(self) -> np.ndarray:
        """Numbers that each row has by now (0: not done), int64, shape (n_rows,)."""
        return self._marks[:, 1]

    def missing(self, places: np.ndarray) -> np.ndarray:
        """Those of some rows that are not done, each once, in the order given."""
        return pd.unique(places[self.filled[places] == 0])

    def fill(self, places: np.ndarray, make: Make, progress: Progress, label: str) -> None:
        """Make what is missing of some rows; waits for another process that fills this store, and takes what that made.

        Raises what `make` raises; the rows that it gave until then stay. ValueError for a row that is empty or has no room.
        """
        if not len(self.missing(places)):
            return
        lock = FileLock(f"{self.path}.lock")
        with progress.task(f"{label}: waiting for another process"):
            lock.acquire()
        try:
            if len(missing := self.missing(places)):
                rows = progress.track(make(missing), len(missing), label)
                for place, row in zip(missing, rows, strict=True):
                    self._write(place, row)
        finally:
            lock.release()

    def row(self, place: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Numbers start:stop of a row (None: to its end), in an array of its own. KeyError for a row that is not done."""
        # Positioned reads, not a mapping, whose pages stay in the process's resident memory once they were read: fitting
        # a head on 246 MB of features took 256 MB so, and 15 MB this way. And readers that are forked
        # share no position.
        filled = int(self.filled[place])
        if not filled:
            raise KeyError(f"{self.path}: row {place} is not filled")
        numbers = np.empty((filled if stop is None else min(stop, filled)) - start, self.dtype)
        offset = self._offset + (int(self.starts[place]) + start) * self.dtype.itemsize
        if os.preadv(self._descriptor, [numbers.view(np.uint8)], offset) != numbers.nbytes:
            raise OSError(f"{self.path}: ends before row {place} does")
        return numbers

    def _write(self, place: int, row: np.ndarray) -> None:
        row = np.ascontiguousarray(row, self.dtype)
        if not 0 < row.size <= self.room[place]:
            raise ValueError(f"row {place}: expected 1 to {self.room[place]} numbers, found {row.size}")
        left, offset = memoryview(row.reshape(-1).view(np.uint8)), self._offset + int(self.starts[place]) * self.dtype.itemsize
        while left:
            written = os.pwrite(self._descriptor, left, offset)
            left, offset = left[written:], offset + written
        self._marks[place, 1] = row.size

    def _opened(self) -> tuple[int, int, np.ndarray] | None:
        try:
            data = np.load(self.path, mmap_mode="r", allow_pickle=False)
            marks = np.load(self.marks_path, mmap_mode="r+", allow_pickle=False)
        except (FileNotFoundError, ValueError, EOFError):  # not there, no .npy, cut short
            return None
        fits = (data.shape, data.dtype) == ((self.room.sum(),), self.dtype)
        if not fits or marks.shape != (len(self.room), 2) or (marks[:, 0] != self.room).any():
            return None
        return os.open(self.path, os.O_RDWR), data.offset, marks

    def _made_anew(self) -> tuple[int, int, np.ndarray]:
        self.marks_path.unlink(missing_ok=True)  # first: no mark may ever stand beside data that it is not of
        with files.written(self.path) as temporary:
            np.lib.format.open_memmap(temporary, mode="w+", dtype=self.dtype, shape=(int(self.room.sum()),))
        with files.written(self.marks_path) as temporary:
            np.save(temporary, np.stack([self.room, np.zeros_like(self.room)], axis=1))
        return self._opened()


@dataclass(frozen=True)
class CorpusRows:
    """The rows of a table that are of one corpus, and the store that has room for all of that corpus.

    clips      the corpus's part of the manifest's table: a row each of the store
    numbers    row numbers in the table
    places     the same rows in `clips` and in the store
    """

    corpus: str
    clips: pd.DataFrame
    store: Store
    numbers: np.ndarray
    places: np.ndarray


def corpus_stores(
    folder: Path,
    manifest: Manifest,
    table: pd.DataFrame,
    room: Callable[[pd.DataFrame], np.ndarray],
    dtype: np.typing.DTypeLike,
) -> Iterator[CorpusRows]:
    """A store for each corpus of a table (a part of manifest.table, index 0, 1, ...), in the order of their names.

    `room`: rows of manifest.table -> the room of each. What the folder holds of earlier states of a corpus is removed.
    """
    for corpus, rows in table.groupby("corpus", sort=True):
        clips, state = manifest.table[manifest.table["corpus"] == corpus], manifest.states[corpus]
        store = Store(folder / f"{corpus}-{state}.npy", room(clips), dtype)
        place = state.partition("-")[0]  # of the corpus's folder: copies elsewhere keep what is theirs
        files.remove_others(folder, keep=store.files, pattern=f"{corpus}-{place}-*")
        places = pd.Series(np.arange(len(clips)), index=clips["id"])[rows["id"]]
        yield CorpusRows(str(corpus), clips, store, rows.index.to_numpy(), places.to_numpy())
