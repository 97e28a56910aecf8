"""Features of clips: extracted once in parallel, kept on disk in blocks of clips, read back row by
row."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from bimotion.data.cache import Row, Store, corpus_stores
from bimotion.data.manifest import Manifest
from bimotion.errors import ClipError
from bimotion.io import audio, files
from bimotion.io.prefetch import ahead, cancelled_quietly
from bimotion.io.progress import Progress

Encode = Callable[[np.ndarray], np.ndarray]
CLIPS_A_TASK = 32


def features(
    name: str, encode: Encode, manifest: Manifest, table: pd.DataFrame, progress: Progress
) -> np.ndarray:
    """Features of the rows of `table` (a part of manifest.table, index 0, 1, ...), float32, shape
    (len(table), n_features).

    `name` must change whenever `encode` gives other numbers: it is the name of the cache. Only rows
    that no earlier call extracted are. Raises AudioError for a file that cannot be decoded.
    """
    found: list[np.ndarray | None] = [None] * len(table)
    of = f"{name.replace('/', '__')}-{audio.version()}"
    for part in corpus_stores("features", of, manifest, table, np.float32):
        make = partial(_encoded, encode, manifest, part.clips)
        part.store.fill(part.places, make, progress, f"{name}: {part.corpus}")
        for number, place in zip(part.numbers, part.places, strict=True):
            found[number] = part.store.row(place)
    return np.stack(found)


def _encoded(
    encode: Encode, manifest: Manifest, clips: pd.DataFrame, places: np.ndarray
) -> Iterator[Row]:
    from joblib import Parallel, cpu_count, delayed

    rows = clips.iloc[places]
    paths = [manifest.path(*place) for place in zip(rows["corpus"], rows["path"], strict=True)]
    tasks = [paths[start : start + CLIPS_A_TASK] for start in range(0, len(paths), CLIPS_A_TASK)]
    workers = min(cpu_count(), len(tasks))
    results = Parallel(n_jobs=workers, return_as="generator")(
        delayed(_encode_all)(encode, task) for task in tasks
    )
    for made in cancelled_quietly(results):
        yield from made


def _encode_all(encode: Encode, paths: Sequence[Path]) -> list[Row]:
    return [Row(encode(audio.decode(path)), files.digest(path)) for path in paths]


class LayerEncoder(Protocol):
    """What layer_features needs of an encoder (models/encoder.py). `together`: so many clips,
    always the same ones, are encoded together, for a neighbour in a batch moves the last digits of
    a clip's features."""

    name: str
    fingerprint: str
    n_layers: int
    n_features: int
    together: int

    def encode(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Pooled features, float32, shape (n_clips, n_layers, n_features)."""


@dataclass(frozen=True)
class LayerTable:
    """Pooled layers of the rows of a table, on disk: row number -> (store, place in it). `shape`:
    (n_layers, 2 * dim)."""

    stores: tuple[Store, ...]
    store_of: np.ndarray
    place_of: np.ndarray
    shape: tuple[int, int]

    def take(self, numbers: np.ndarray) -> "LayerRows":
        """Some rows, still on disk."""
        return LayerRows(self, np.asarray(numbers))

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """float32, shape (len(numbers), n_layers, 2 * dim)."""
        return self._read(numbers, 0, self.shape[0]).reshape(-1, *self.shape)

    def layer(self, numbers: np.ndarray, layer: int) -> np.ndarray:
        """One layer of some rows, float32, shape (len(numbers), 2 * dim); nothing else is read."""
        return self._read(numbers, layer, layer + 1)

    def _read(self, numbers: np.ndarray, first: int, end: int) -> np.ndarray:
        found = np.empty((len(numbers), (end - first) * self.shape[1]), np.float32)
        stores, places = self.store_of[numbers], self.place_of[numbers]
        for number in np.lexsort((places, stores)):  # reading forwards is what disks are good at
            found[number] = self.stores[stores[number]].row(
                places[number], first * self.shape[1], end * self.shape[1]
            )
        return found


@dataclass(frozen=True)
class LayerRows:
    """Some rows of a LayerTable, which are read when they are asked for."""

    table: LayerTable
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, int, int]:
        """n, n_layers, n_features."""
        return len(self.numbers), *self.table.shape

    def rows(self, places: np.ndarray) -> np.ndarray:
        """float32, shape (len(places), n_layers, n_features)."""
        return self.table.rows(self.numbers[places])

    def layer(self, layer: int) -> np.ndarray:
        """One layer of all rows, float32, shape (n, n_features)."""
        return self.table.layer(self.numbers, layer)


def layer_features(
    encoder: LayerEncoder, manifest: Manifest, table: pd.DataFrame, progress: Progress
) -> LayerTable:
    """Pooled layers of the rows of `table` (a part of manifest.table, index 0, 1, ...): float16 on
    disk, read on demand.

    Only rows that no earlier call extracted are encoded (and their neighbours, where an encoder
    takes several clips together), and what was, stays when the process is killed. What a clip's
    features are does not hang on what was asked for or extracted before. Memory does not grow with
    the corpora. Raises AudioError.
    """
    shape = (encoder.n_layers, encoder.n_features)
    stores, store_of, place_of = [], np.empty(len(table), np.int32), np.empty(len(table), np.int64)
    of = f"{encoder.fingerprint}-{audio.version()}"
    for part in corpus_stores(
        "features", of, manifest, table, np.float16, together=encoder.together
    ):
        make = partial(_pooled, encoder, manifest, part.clips)
        part.store.fill(part.places, make, progress, f"{encoder.name}: {part.corpus}")
        store_of[part.numbers], place_of[part.numbers] = len(stores), part.places
        stores.append(part.store)
    return LayerTable(tuple(stores), store_of, place_of, shape)


def _pooled(
    encoder: LayerEncoder, manifest: Manifest, clips: pd.DataFrame, places: np.ndarray
) -> Iterator[Row]:
    """Features of some places, whole groups of encoder.together, decoded in threads ahead of the
    encoder."""
    from joblib import cpu_count

    rows = clips.iloc[places]
    paths = [manifest.path(*place) for place in zip(rows["corpus"], rows["path"], strict=True)]
    decoded, start = (
        ahead(_decoded, paths, n=max(CLIPS_A_TASK, 2 * encoder.together), workers=cpu_count()),
        0,
    )
    groups: deque = deque()

    def waveforms() -> Iterator[list[np.ndarray]]:
        while group := list(islice(decoded, encoder.together)):
            groups.append(group)
            yield [waveform for waveform, _ in group]

    many = getattr(encoder, "encode_groups", None) or partial(map, encoder.encode)
    try:
        for made in many(waveforms()):
            group = groups.popleft()
            start += len(group)
            made = np.clip(made, -65504, 65504)
            yield from (Row(row, source) for row, (_, source) in zip(made, group, strict=True))
    except ClipError as error:
        raise error.named(rows["id"].iloc[start + error.index]) from error


def _decoded(path: Path) -> tuple[np.ndarray, str]:
    return audio.decode(path), files.digest(path)
