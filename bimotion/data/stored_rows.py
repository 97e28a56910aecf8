"""Rows of clips from the cache (cache.py), which are made where they are missing: in this process
and its children, or wherever an engine makes them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.data.cache import UNUSED_S, Row, Store
from bimotion.data.manifest import Manifest
from bimotion.io import files
from bimotion.io.prefetch import cancelled_quietly
from bimotion.io.progress import Progress
from bimotion.io.versions import CACHE_VERSION


@dataclass(frozen=True)
class StoredRows:
    """Rows of a table, on disk: row number -> store, and index in it."""

    stores: tuple[Store, ...]
    store_of: np.ndarray
    index_of: np.ndarray

    def row(self, number: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read numbers start:stop of a row (None: to its end)."""
        return self.stores[self.store_of[number]].row(self.index_of[number], start, stop)

    def lengths(self) -> np.ndarray:
        """Count the numbers of every row, int64, shape (n_rows,)."""
        lengths = np.empty(len(self.store_of), np.int64)
        for number, store in enumerate(self.stores):
            mine = self.store_of == number
            lengths[mine] = store.lengths(self.index_of[mine])
        return lengths


Part = tuple[pd.DataFrame, list[Path]]
"""Clips of a corpus (rows of manifest.table), and their files."""
Make = Callable[[pd.DataFrame, list[Path]], Iterable[Row]]
"""A part -> its rows, in order."""
Spread = Callable[[Make, list[Part], int], Iterator[Row]]
"""`make`, parts and how many clips must be made together -> the rows of all parts, in order."""


def here(make: Make, parts: list[Part], together: int) -> Iterator[Row]:
    """Make the rows in this process, or in such as `make` starts."""
    for clips, paths in parts:
        yield from make(clips, paths)


@dataclass(frozen=True)
class Maker:
    """The way to make rows of one kind."""

    make: Make
    dtype: np.typing.DTypeLike
    """Of the numbers, on disk."""
    label: str
    """Of the work, for progress."""
    together: int = 1
    """So many clips, of lengths alike, are always made together."""


def stored_rows(
    folder: str,
    manifest: Manifest,
    table: pd.DataFrame,
    maker: Maker,
    progress: Progress,
    spread: Spread = here,
) -> StoredRows:
    """Rows of the clips of a table from the cache, where each corpus has a store of its own; what
    is missing is made.

    Args:
        folder: Below the cache. What it holds of earlier states of a corpus is removed.
        manifest: Of the corpora.
        table: A part of manifest.table, index 0, 1, ...
        maker: Of the rows.
        progress: Shows how far it is.
        spread: The processes, of this machine or others, that make them.
    """
    stores, store_of = [], np.empty(len(table), np.int32)
    index_of = np.empty(len(table), np.int64)
    with ExitStack() as stack:
        parts, todo = [], []
        for corpus, rows in table.groupby("corpus", sort=True):
            clips = manifest.table[manifest.table["corpus"] == corpus]
            store = _store(folder, corpus, manifest.states[corpus], clips, maker)
            indices = pd.Series(np.arange(len(clips)), clips["id"])[rows["id"]].to_numpy()
            named = f"{maker.label}: {corpus}"
            if len(missing := stack.enter_context(store.filling(indices, progress, named))):
                chosen = clips.iloc[missing]
                paths = list(map(manifest.path, chosen["corpus"], chosen["path"]))
                parts.append((chosen, paths))
                todo.append((store, missing, named))
            store_of[rows.index], index_of[rows.index] = len(stores), indices
            stores.append(store)
        if parts:
            made = spread(maker.make, parts, maker.together)
            stack.callback(made.close)
            for store, missing, named in todo:
                n = len(missing)
                store.write(missing, progress.track(islice(made, n), n, named))
    return StoredRows(tuple(stores), store_of, index_of)


def _store(folder: str, corpus: str, state: str, clips: pd.DataFrame, maker: Maker) -> Store:
    """The store of a corpus; what there is of earlier states is removed."""
    longest_first = np.argsort(-clips["duration_s"].to_numpy(), kind="stable")
    store = Store(
        files.cache_dir() / folder / f"{corpus}-{state}",
        f"{CACHE_VERSION} {folder} {corpus} {state}",
        clips["id"].tolist(),
        maker.dtype,
        together=maker.together,
        order=None if maker.together == 1 else longest_first,
    )
    # of the corpus's folder: copies elsewhere keep what is theirs
    pattern = f"{corpus}-{state.partition('-')[0]}-*"
    files.remove_others(store.folder.parent, [store.folder], pattern, UNUSED_S)
    return store


def in_processes(
    make: Callable[[Sequence], list[Row]], items: Sequence, n_at_once: int
) -> Iterator[Row]:
    """Rows of items, in order, made `n_at_once` items a call in as many processes as there are
    cores."""
    from joblib import Parallel, cpu_count, delayed

    tasks = [items[start : start + n_at_once] for start in range(0, len(items), n_at_once)]
    workers = min(cpu_count(), len(tasks))
    with Parallel(n_jobs=workers, return_as="generator") as parallel:
        # left to itself it goes on while results wait in memory
        for start in range(0, len(tasks), 4 * workers):
            calls = (delayed(make)(task) for task in tasks[start : start + 4 * workers])
            for rows in cancelled_quietly(parallel(calls)):
                yield from rows
