"""Rows of numbers on disk, in blocks of rows that are checked when they are read; each row is made
when it is first asked for.

A block is one safetensors file: `numbers` (the rows it has, one after the other), `lengths`
(int64), and in its metadata, as JSON: what the rows are of (`identity`), their ids, the SHA-256 of
the file that each was made from, and one over all of this.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd

from bimotion.data.manifest import Manifest
from bimotion.errors import StorageError
from bimotion.io import files
from bimotion.io.progress import Progress
from bimotion.io.versions import CACHE_VERSION

BLOCK_ROWS = 32
UNUSED_S = 24 * 3600
"""An earlier state of a corpus stays so long after it was last opened: another run may be at work
with it."""
_MAX_HEADER_BYTES = 16 * 2**20


class Row(NamedTuple):
    """Numbers of one row, and the SHA-256 of the file that they were made from."""

    numbers: np.ndarray
    source: str


class Held(NamedTuple):
    """A row in a block file: offset in bytes, numbers, and the SHA-256 of the file that they were
    made from."""

    start: int
    length: int
    source: str


Rows = dict[int, Held]
"""What a block has, by place."""
_NONE = Held(0, 0, "")


Make = Callable[[np.ndarray], Iterable[Row]]
"""Places of rows -> those rows, in that order, one at a time."""


class Damaged(Exception):
    """A block that is not what was written."""


class Store:
    """Rows of clips in a folder, some dozens a file. They are written whole, renamed, and checked
    once a process and file.

    folder     of this store only;  identity: of what the rows are: a file that says another is not
               believed
    ids        of all rows that there can be, in the order of their places
    together   so many rows, neighbours in `order`, are always made together: what a row is can hang
               on its neighbours, but never on which rows were asked for, or made before
    order      places, neighbours first (None: as they are)

    What is damaged counts as not made. A process that is killed leaves no row that is wrong, and
    loses at most a block.

    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()) / "a", "doubled", ["x", "y"], np.float16)
    >>> store.fill(np.array([1]), lambda places: [Row(np.full(2, place), "") for place in places],
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
        order=None,
    ):
        self.folder, self.ids, self.dtype, self.together = (
            folder,
            list(ids),
            np.dtype(dtype),
            together,
        )
        self.size = max(together, BLOCK_ROWS // together * together)
        self.order = np.arange(len(self.ids)) if order is None else np.asarray(order)
        self.rank = np.argsort(self.order)
        layout = hashlib.sha256(
            "\n".join(self.ids[place] for place in self.order).encode()
        ).hexdigest()
        self.identity = f"{identity}, {self.dtype}, {together} of {self.size} together, {layout}"
        # what was checked: signature of the file, and what it has
        self._blocks: dict[int, tuple[tuple, Rows]] = {}
        self._damage: list[str] = []

    def missing(self, places: np.ndarray) -> np.ndarray:
        """Those of some rows that are not done, each once, in the order given."""
        return pd.unique(places[self.lengths(places) == 0])

    def lengths(self, places: np.ndarray) -> np.ndarray:
        """Numbers that each of some rows has (0: not done), int64, shape (len(places),)."""
        numbers = (self.rank[places] // self.size).tolist()
        blocks = {number: self._rows(number) for number in dict.fromkeys(numbers)}
        found = (
            blocks[number].get(place, _NONE).length
            for number, place in zip(numbers, np.asarray(places).tolist(), strict=True)
        )
        return np.fromiter(found, np.int64, len(numbers))

    def fill(self, places: np.ndarray, make: Make, progress: Progress, label: str) -> None:
        """Make what is missing of some rows; waits for another process that fills this store, and
        takes what that made.

        `make` is given whole groups of `together` rows, in `order`. Raises what `make` raises;
        ValueError for an empty row; StorageError.
        """
        with contextlib.suppress(OSError):
            os.utime(self.folder)
        if not len(self.missing(places)):
            return
        with contextlib.ExitStack() as stack:
            with progress.task(f"{label}: waiting for another process"):
                stack.enter_context(files.locked(self.folder / "lock"))
            missing = self.missing(places)
            if self._damage:
                more = f" and {len(self._damage) - 1} more" if len(self._damage) > 1 else ""
                progress.say(f"{self._damage[0]}{more}: damaged in the cache, made again")
                self._damage.clear()
            todo = self._whole_groups(missing)
            made = make(todo) if len(todo) else ()
            if hasattr(made, "close"):
                stack.callback(made.close)  # now, not when whoever looks at an error lets go of it
            self._fill(todo, progress.track(made, len(todo), label))
        if len(lost := self.missing(places)):
            raise StorageError(
                f"{self.folder}: expected to read back what was written, found {len(lost)} "
                "clips damaged or gone"
            )

    def row(self, place: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Numbers start:stop of a row (None: to its end), in an array of its own. StorageError for
        a row that is not there."""
        # Positioned reads, not a mapping, whose pages stay in the process's resident memory once
        # they were read: fitting
        # a head on 246 MB of features took 256 MB so, and 15 MB this way. And readers that are
        # forked share no position.
        number = int(self.rank[place]) // self.size
        try:
            with self._open(number) as stream:
                if held := self._checked(number, stream).get(int(place)):
                    numbers = np.empty(
                        (held.length if stop is None else min(stop, held.length)) - start,
                        self.dtype,
                    )
                    stream.seek(held.start + start * self.dtype.itemsize)
                    if stream.readinto(numbers.view(np.uint8)) == numbers.nbytes:
                        return numbers
        except FileNotFoundError:
            pass
        raise StorageError(
            f"{self._path(number)}: expected {self.ids[place]} in it, found it removed or "
            "damaged: run it again"
        )

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.safetensors"

    def _whole_groups(self, places: np.ndarray) -> np.ndarray:
        """All rows of the groups of some, in `order`."""
        groups = np.unique(self.rank[places] // self.together)
        ranks = (groups[:, None] * self.together + np.arange(self.together)).ravel()
        return self.order[ranks[ranks < len(self.ids)]]

    def _fill(self, places: np.ndarray, rows: Iterable[Row]) -> None:
        """Write rows, a block at a time; if making them ends early, those of the last block that
        are whole groups too."""
        fresh: dict[int, Row] = {}
        numbers = (self.rank[places] // self.size).tolist()
        try:
            for i, (place, row) in enumerate(zip(places.tolist(), rows, strict=True)):
                fresh[place] = row
                if i + 1 == len(places) or numbers[i + 1] != numbers[i]:
                    done, fresh = fresh, {}
                    self._write(numbers[i], done)
        finally:
            if fresh and self.together == 1:
                self._write(int(self.rank[next(iter(fresh))]) // self.size, fresh)

    def _write(self, number: int, fresh: dict[int, Row]) -> None:
        from safetensors.numpy import save

        kept = {
            place: Row(self.row(place), held.source) for place, held in self._rows(number).items()
        }
        rows = dict(sorted((kept | fresh).items()))
        if empty := [place for place, row in rows.items() if not np.size(row.numbers)]:
            raise ValueError(f"{self.ids[empty[0]]}: expected at least one number, found none")
        tensors = {
            "numbers": np.concatenate(
                [np.ravel(row.numbers).astype(self.dtype) for row in rows.values()]
            ),
            "lengths": np.array([np.size(row.numbers) for row in rows.values()], np.int64),
        }
        facts = {
            "identity": self.identity,
            "ids": [self.ids[place] for place in rows],
            "sources": [row.source for row in rows.values()],
        }
        # one entry: the order of several is by chance
        content = save(tensors, {"block": json.dumps(facts)})
        size = int.from_bytes(content[:8], "little")
        checksum = _checksum(facts, json.loads(content[8 : 8 + size]), [content[8 + size :]])
        with files.written(self._path(number)) as temporary:
            temporary.write_bytes(
                save(tensors, {"block": json.dumps(facts | {"sha256": checksum})})
            )

    def _places(self, number: int) -> dict[str, int]:
        """Id -> place, of what a block may hold."""
        return {
            self.ids[place]: place
            for place in self.order[number * self.size : (number + 1) * self.size].tolist()
        }

    def _open(self, number: int) -> BinaryIO:
        """A block file; raises FileNotFoundError, and StorageError where something else stands in
        its place."""
        try:
            return self._path(number).open("rb", buffering=0)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StorageError(
                f"{self._path(number)}: expected a file of this cache, found: "
                f"{error.strerror}; remove it, then run it again"
            ) from None

    def _rows(self, number: int) -> Rows:
        """What a block has, by place."""
        try:
            with self._open(number) as stream:
                return self._checked(number, stream)
        except FileNotFoundError:
            return {}

    def _checked(self, number: int, stream: BinaryIO) -> Rows:
        """What an open block file has; its content is checked whenever it is another file than the
        one checked last.

        Nothing that is returned changes later: another thread may find the block replaced
        meanwhile, and this one goes on with the file that it has open.
        """
        status = os.fstat(stream.fileno())
        signature = (status.st_ino, status.st_size, status.st_mtime_ns)
        known, rows = self._blocks.get(number, (None, {}))
        if known != signature:
            rows = self._whole(number, stream, status.st_size)
            self._blocks[number] = signature, rows
        return rows

    def _whole(self, number: int, stream: BinaryIO, n_bytes: int) -> Rows:
        """What a block file has: nothing, where it is damaged."""
        places = self._places(number)
        try:
            found = _read(stream, n_bytes, self.identity, self.dtype)
            if not found.keys() <= places.keys():
                raise Damaged("it holds other clips")
        except Damaged as error:
            self._damage.append(f"{self._path(number)} ({error})")
            return {}
        return {places[name]: held for name, held in found.items()}


def sources(corpus: str, state: str) -> dict[str, set[str]]:
    """SHA-256 of the files that features and samples in the cache were made from, by the clip's id:
    of a corpus in one state (manifest.states), whatever they are features of. What is damaged is
    left out."""
    found: dict[str, set[str]] = {}
    for path in files.cache_dir().glob(f"*/*/{corpus}-{state}/*.safetensors"):
        with contextlib.suppress(OSError, Damaged), path.open("rb", buffering=0) as stream:
            for name, held in _read(
                stream, os.fstat(stream.fileno()).st_size, None, np.dtype(np.uint8)
            ).items():
                found.setdefault(name, set()).add(held.source)
    return found


def _read(stream: BinaryIO, n_bytes: int, identity: str | None, dtype: np.dtype) -> dict[str, Held]:
    """Id -> what is held, of the rows of a block file; raises Damaged. `identity`: None: any."""
    size = int.from_bytes(stream.read(8), "little")
    if not 0 < size <= min(n_bytes, _MAX_HEADER_BYTES):
        raise Damaged("cut short or overwritten")
    try:
        header = json.loads(stream.read(size))
        facts = json.loads(header["__metadata__"]["block"])
        checksum, ids, sources = facts.pop("sha256"), facts["ids"], facts["sources"]
        offsets = {
            name: 8 + size + header[name]["data_offsets"][0] for name in ("numbers", "lengths")
        }
        if _checksum(facts, header, iter(lambda: stream.read(2**20), b"")) != checksum:
            raise Damaged("its checksum differs")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Damaged("its header cannot be read") from None
    if identity not in (None, facts["identity"]):
        raise Damaged("it holds something else")
    stream.seek(offsets["lengths"])
    lengths = np.frombuffer(stream.read(8 * len(ids)), "<i8")
    starts = offsets["numbers"] + (np.cumsum(lengths) - lengths) * dtype.itemsize
    held = zip(starts.tolist(), lengths.tolist(), sources, strict=True)
    return {name: Held(*one) for name, one in zip(ids, held, strict=True)}


def _checksum(facts: dict, header: dict, data: Iterable[bytes]) -> str:
    """Over everything that a block says and holds."""
    tensors = {name: header[name] for name in ("numbers", "lengths")}
    found = hashlib.sha256(json.dumps([facts, tensors], sort_keys=True).encode())
    for chunk in data:
        found.update(chunk)
    return found.hexdigest()


@dataclass(frozen=True)
class CorpusRows:
    """The rows of a table that are of one corpus, and the store that has room for all of that
    corpus.

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
    kind: str,
    of: str,
    manifest: Manifest,
    table: pd.DataFrame,
    dtype: np.typing.DTypeLike,
    *,
    together: int = 1,
) -> Iterator[CorpusRows]:
    """A store for each corpus of a table (a part of manifest.table, index 0, 1, ...), in the order
    of their names.

    They lie in the cache, in the folders `kind` and `of`. Of several rows made together the lengths
    of the clips are alike. What the folder holds of earlier states of a corpus, or of earlier
    versions of this format, is removed.
    """
    base = files.cache_dir() / kind
    for path in base.glob("*/*.npy*"):  # as long as there was a sparse file a corpus
        with contextlib.suppress(OSError):
            path.unlink()
    for corpus, rows in table.groupby("corpus", sort=True):
        clips, state = manifest.table[manifest.table["corpus"] == corpus], manifest.states[corpus]
        folder = base / of / f"{corpus}-{state}"
        order = (
            None if together == 1 else np.argsort(-clips["duration_s"].to_numpy(), kind="stable")
        )
        identity = f"{CACHE_VERSION} {kind} {of} {corpus} {state}"
        store = Store(folder, identity, clips["id"].tolist(), dtype, together=together, order=order)
        # of the corpus's folder: copies elsewhere keep what is theirs
        place = state.partition("-")[0]
        files.remove_others(
            folder.parent, keep=[folder], pattern=f"{corpus}-{place}-*", unused_s=UNUSED_S
        )
        places = pd.Series(np.arange(len(clips)), index=clips["id"])[rows["id"]]
        yield CorpusRows(str(corpus), clips, store, rows.index.to_numpy(), places.to_numpy())
