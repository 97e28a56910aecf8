"""Rows of numbers on disk, in blocks of rows that are checked when they are read; each row is made
when it is first asked for.

A block is one safetensors file: `numbers` (its rows, one after the other), `lengths` (int64), and
in its metadata, as JSON: what the rows are of, their ids, the SHA-256 of the file that each was
made from, and that of the block itself, taken while 64 zeros stood in its place.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd

from bimotion.errors import StorageError
from bimotion.io import files
from bimotion.io.progress import Progress

BLOCK_ROWS = 32
UNUSED_S = 24 * 3600
"""An earlier state of a corpus stays so long after it was last opened: another run may be at work
with it."""
_UNSIGNED = b"0" * 64
_MAX_HEADER_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024


class Row(NamedTuple):
    """Numbers of one row, and the SHA-256 of the file that they were made from."""

    numbers: np.ndarray
    source: str


class Extent(NamedTuple):
    """The extent of a row in its block file: offset in bytes, and how many numbers it has."""

    start: int
    length: int
    source: str


Block = dict[int, Extent]
"""Index of a row in its store -> where it lies in the block file."""
MakeRows = Callable[[np.ndarray], Iterable[Row]]
"""Indices of rows -> those rows, in that order, one at a time."""


_elsewhere: Callable[[str], bytes | None] | None = None


def receive_blocks(send: Callable[[str], bytes | None]) -> None:
    """Ask for blocks that this machine's cache lacks, or that lack a row, in this process from now
    on. `send`: name of a file below the cache -> its content, None where there is none."""
    global _elsewhere
    _elsewhere = send


class Damaged(Exception):
    """A block that is not what was written."""


class Store:
    """Rows of clips in a folder, some dozens a file, each file written whole and checked once a
    process. What is damaged counts as missing; a process that is killed loses at most a block.

    Args:
        folder: Of this store only.
        identity: What the rows are of; a file that says another is not believed.
        ids: Names of all rows that there can be; a row's index is its number in this list.
        dtype: Of the numbers.
        together: So many rows, neighbours in `order`, are always made together: a row can depend on
            its neighbours, but never on which rows were asked for, or made before.
        order: Indices, neighbours first; None: as they are.

    Example:
        >>> import tempfile
        >>> store = Store(Path(tempfile.mkdtemp()) / "a", "doubled", ["x", "y"], np.float16)
        >>> store.fill(np.array([1]), lambda indices: [Row(np.full(2, i), "") for i in indices],
        ...     Progress(), "a")
        >>> store.row(1).tolist(), store.missing(np.array([0, 1])).tolist()
        ([1.0, 1.0], [0])
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        ids: Sequence[str],
        dtype: np.typing.DTypeLike,
        *,
        together: int = 1,
        order: np.ndarray | None = None,
    ):
        self.folder, self.ids, self.dtype = folder, list(ids), np.dtype(dtype)
        self.together = together
        self.size = max(together, BLOCK_ROWS // together * together)
        self.order = np.arange(len(self.ids)) if order is None else np.asarray(order)
        self.rank = np.argsort(self.order)
        self.index_of = {name: index for index, name in enumerate(self.ids)}
        layout = hashlib.sha256("\n".join(self.ids[index] for index in self.order).encode())
        self.identity = (
            f"{identity}, {self.dtype}, {together} of {self.size} together, {layout.hexdigest()}"
        )
        self._blocks: dict[int, tuple[tuple, Block]] = {}  # what was checked, with its signature
        self._damage: list[str] = []

    def __getstate__(self) -> dict:
        """Sent to another process, it is in the cache of that process."""
        folder = self.folder.absolute()
        if folder.is_relative_to(cache := files.cache_dir().absolute()):
            folder = folder.relative_to(cache)
        return vars(self) | {"folder": folder}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state | {"folder": files.cache_dir() / state["folder"]})

    def missing(self, indices: np.ndarray) -> np.ndarray:
        """Return those of some rows that are not done, each once, in the order given."""
        return pd.unique(indices[self.lengths(indices) == 0])

    def lengths(self, indices: np.ndarray) -> np.ndarray:
        """Count the numbers of some rows (0: not done), int64, shape (len(indices),)."""
        numbers = (self.rank[indices] // self.size).tolist()
        blocks = {number: self._block(number) for number in dict.fromkeys(numbers)}
        extents = (
            blocks[number].get(index)
            for number, index in zip(numbers, np.asarray(indices).tolist(), strict=True)
        )
        return np.array([extent.length if extent else 0 for extent in extents], np.int64)

    def fill(self, indices: np.ndarray, make: MakeRows, progress: Progress, label: str) -> None:
        """Make what is missing of some rows (`filling`); `make` is given whole groups of `together`
        rows, in `order`. Raises what `make` raises; ValueError for an empty row; StorageError."""
        with self.filling(indices, progress, label) as todo, ExitStack() as stack:
            if len(todo):
                made = make(todo)
                if hasattr(made, "close"):  # now, not when whoever holds an error lets go of it
                    stack.callback(made.close)
                self.write(todo, progress.track(made, len(todo), label))

    @contextmanager
    def filling(self, indices: np.ndarray, progress: Progress, label: str) -> Iterator[np.ndarray]:
        """Give what is to be made, and written inside the block, of some rows: whole groups, in
        `order`. Waits for another process that fills this store, and takes what that made. Raises
        StorageError."""
        with suppress(OSError):
            os.utime(self.folder)
        if not len(self.missing(indices)):
            yield self.order[:0]
            return
        with ExitStack() as stack:
            with progress.task(f"{label}: waiting for another process"):
                stack.enter_context(files.locked(self.folder / "lock"))
            missing = self.missing(indices)
            if self._damage:
                more = f" and {len(self._damage) - 1} more" if len(self._damage) > 1 else ""
                progress.say(f"{self._damage[0]}{more}: damaged in the cache, made again")
                self._damage.clear()
            yield self._whole_groups(missing)
        if len(lost := self.missing(indices)):
            raise StorageError(
                f"{self.folder}: expected to read back what was written, found {len(lost)} "
                "clips damaged or gone"
            )

    def row(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read numbers start:stop of a row (None: to its end); StorageError where it is missing."""
        # Positioned reads, not a mapping, whose pages stay in the process's resident memory once
        # they were read: fitting a head on 246 MB of features took 256 MB so, and 15 MB this way.
        # And readers that are forked share no position.
        number = int(self.rank[index]) // self.size
        for is_stale in (False, True):
            if is_stale:  # a block grows where it comes from
                self._receive(self._path(number), again=True)
            with self._opened(number) as (stream, block):
                if extent := block.get(int(index)):
                    end = extent.length if stop is None else min(stop, extent.length)
                    numbers = np.empty(end - start, self.dtype)
                    stream.seek(extent.start + start * self.dtype.itemsize)
                    if stream.readinto(numbers.view(np.uint8)) == numbers.nbytes:
                        return numbers
        raise StorageError(
            f"{self._path(number)}: expected {self.ids[index]} in it, found it removed or "
            "damaged: run it again"
        )

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.safetensors"

    def _whole_groups(self, indices: np.ndarray) -> np.ndarray:
        """All rows of the groups that some rows are in, in `order`."""
        groups = np.unique(self.rank[indices] // self.together)
        ranks = (groups[:, None] * self.together + np.arange(self.together)).ravel()
        return self.order[ranks[ranks < len(self.ids)]]

    def write(self, indices: np.ndarray, rows: Iterable[Row]) -> None:
        """Write rows, a block at a time; if making them ends early, those of the last block too,
        unless that would break up a group."""
        fresh: dict[int, Row] = {}
        numbers = self.rank[indices] // self.size
        ends_block = np.append(numbers[1:] != numbers[:-1], True)
        try:
            for index, row, is_last in zip(indices.tolist(), rows, ends_block, strict=True):
                fresh[index] = row
                if is_last:
                    done, fresh = fresh, {}
                    self._write(done)
        finally:
            if fresh and self.together == 1:
                self._write(fresh)

    def _write(self, fresh: dict[int, Row]) -> None:
        """Write rows of one block, with those that it has already."""
        from safetensors.numpy import save

        number = int(self.rank[next(iter(fresh))]) // self.size
        extents = self._block(number).items()
        kept = {index: Row(self.row(index), extent.source) for index, extent in extents}
        rows = dict(sorted((kept | fresh).items()))
        if empty := [index for index, row in rows.items() if not np.size(row.numbers)]:
            raise ValueError(f"{self.ids[empty[0]]}: expected at least one number, found none")
        numbers = [np.ravel(row.numbers).astype(self.dtype) for row in rows.values()]
        facts = {
            "sha256": _UNSIGNED.decode(),
            "identity": f"{self.identity}, block {number}",
            "ids": [self.ids[index] for index in rows],
            "sources": [row.source for row in rows.values()],
        }
        lengths = np.array([len(row) for row in numbers], np.int64)
        tensors = {"numbers": np.concatenate(numbers), "lengths": lengths}
        # one entry of metadata: the order of several is by chance
        content = save(tensors, {"block": json.dumps(facts)})
        checksum = hashlib.sha256(content).hexdigest().encode()
        with files.written(self._path(number)) as temporary:
            temporary.write_bytes(content.replace(_UNSIGNED, checksum, 1))

    def _block(self, number: int) -> Block:
        with self._opened(number) as (_, block):
            return block

    def _receive(self, path: Path, *, again: bool = False) -> None:
        """Write a block that another machine has, if this process knows one (`receive_blocks`);
        `again`: in place of the one that is here."""
        cache = files.cache_dir()
        if _elsewhere is None or not path.is_relative_to(cache):
            return
        if again or not path.exists():
            content = _elsewhere(path.relative_to(cache).as_posix())
            if content is not None:
                with files.written(path) as temporary:
                    temporary.write_bytes(content)

    @contextmanager
    def _opened(self, number: int) -> Iterator[tuple[BinaryIO | None, Block]]:
        """A block's file and what it has, checked whenever it is another file than last time.

        Nothing that is given changes later: where another process replaces the block meanwhile,
        this thread goes on with the file that it has open.
        """
        self._receive(self._path(number))
        try:
            stream = self._path(number).open("rb", buffering=0)
        except FileNotFoundError:
            yield None, {}
            return
        except OSError as error:
            raise StorageError(
                f"{self._path(number)}: expected a file of this cache, found: "
                f"{error.strerror}; remove it, then run it again"
            ) from None
        with stream:
            status = os.fstat(stream.fileno())
            signature = (status.st_ino, status.st_size, status.st_mtime_ns)
            known, block = self._blocks.get(number, (None, {}))
            if known != signature:
                block = self._checked(number, stream)
                self._blocks[number] = signature, block
            yield stream, block

    def _checked(self, number: int, stream: BinaryIO) -> Block:
        """The rows of a block: none where it is damaged, which is noted."""
        try:
            identity, extents = _read(stream, self.dtype.itemsize)
            if identity != f"{self.identity}, block {number}":
                raise Damaged("it holds something else")
        except Damaged as error:
            self._damage.append(f"{self._path(number)} ({error})")
            return {}
        return {self.index_of[name]: extent for name, extent in extents.items()}


def _read(stream: BinaryIO, itemsize: int) -> tuple[str, dict[str, Extent]]:
    """The identity of a block, and where the rows of its ids lie; raises Damaged. Numbers are
    hashed in chunks: a block of long clips has hundreds of megabytes."""
    beginning = stream.read(8)
    start = 8 + int.from_bytes(beginning, "little")
    if start > _MAX_HEADER_BYTES:
        raise Damaged("cut short or overwritten")
    try:
        beginning += stream.read(start - 8)
        header = json.loads(beginning[8:])
        facts = json.loads(header["__metadata__"]["block"])
        digest = hashlib.sha256(beginning.replace(facts["sha256"].encode(), _UNSIGNED, 1))
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
        is_whole = digest.hexdigest() == facts["sha256"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Damaged("cut short or overwritten") from None
    if not is_whole:
        raise Damaged("its checksum differs")
    offsets = {name: start + header[name]["data_offsets"][0] for name in ("numbers", "lengths")}
    stream.seek(offsets["lengths"])
    lengths = np.frombuffer(stream.read(8 * len(facts["ids"])), "<i8")
    starts = offsets["numbers"] + (np.cumsum(lengths) - lengths) * itemsize
    extents = map(Extent, starts.tolist(), lengths.tolist(), facts["sources"])
    return facts["identity"], dict(zip(facts["ids"], extents, strict=True))


def sources(corpus: str, state: str) -> dict[str, set[str]]:
    """Collect the SHA-256 of the files that features and samples in the cache were made from.

    Args:
        corpus: Its name.
        state: Of the corpus (`Manifest.states`).

    Returns:
        Id of a clip -> SHA-256 of its files; what is damaged is left out.
    """
    digests: dict[str, set[str]] = {}
    for path in files.cache_dir().glob(f"*/*/{corpus}-{state}/*.safetensors"):
        with suppress(OSError, Damaged), path.open("rb") as stream:
            for name, extent in _read(stream, 1)[1].items():
                digests.setdefault(name, set()).add(extent.source)
    return digests
