"""Features of clips: extracted once in parallel, kept on disk a corpus at a time, read back memory-mapped."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from bimotion import audio, files
from bimotion.lookahead import ahead
from bimotion.manifest import Manifest
from bimotion.progress import Progress
from bimotion.store import Store, corpus_stores

Encode = Callable[[np.ndarray], np.ndarray]
CLIPS_A_TASK, CLIPS_ON_A_GPU = 32, 512


def features(name: str, encode: Encode, manifest: Manifest, table: pd.DataFrame, progress: Progress) -> np.ndarray:
    """Features of the rows of `table` (a part of manifest.table), float32, shape (len(table), n_features).

    `name` must change whenever `encode` gives other numbers: it is the name of the cache. Whole corpora are extracted.
    Raises AudioError for a file that cannot be decoded.
    """
    blocks = []
    for corpus, rows in table.groupby("corpus", sort=False):
        whole = manifest.table[manifest.table["corpus"] == corpus]
        folder = files.cache_dir() / "features" / f"{name.replace('/', '__')}-{audio.version()}"
        target = folder / f"{corpus}-{manifest.states[corpus]}.npy"
        paths = [manifest.path(corpus, path) for path in whole["path"]]
        cached = _cached(target, encode, paths, f"{name}: {corpus}", progress)
        places = pd.Series(np.arange(len(whole)), index=whole["id"])[rows["id"]]
        blocks.append(pd.DataFrame(cached[places.to_numpy()], index=rows.index))
    return pd.concat(blocks).loc[table.index].to_numpy(dtype=np.float32)


def _cached(target: Path, encode: Encode, paths: Sequence[Path], label: str, progress: Progress) -> np.ndarray:
    if not target.exists():
        vectors = list(progress.track(_encoded(encode, paths), len(paths), label))
        with files.written(target) as temporary:
            np.save(temporary, np.stack(vectors))
        place = target.stem.rpartition("-")[0].rpartition("-")[0]
        files.remove_others(target.parent, keep=[target], pattern=f"{place}-*")
    return np.load(target, mmap_mode="r", allow_pickle=False)


def _encoded(encode: Encode, paths: Sequence[Path]) -> Iterator[np.ndarray]:
    from joblib import Parallel, cpu_count, delayed

    tasks = [paths[start : start + CLIPS_A_TASK] for start in range(0, len(paths), CLIPS_A_TASK)]
    workers = min(cpu_count(), len(tasks))
    for vectors in Parallel(n_jobs=workers, return_as="generator")(delayed(_encode_all)(encode, task) for task in tasks):
        yield from vectors


def _encode_all(encode: Encode, paths: Sequence[Path]) -> list[np.ndarray]:
    return [encode(audio.decode(path)) for path in paths]


class LayerEncoder(Protocol):
    """What layer_features needs of an encoder (models/encoders.py)."""

    name: str
    fingerprint: str
    n_layers: int
    n_features: int
    device: object

    def encode(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Pooled features, float32, shape (n_clips, n_layers, n_features)."""


@dataclass(frozen=True)
class LayerTable:
    """Pooled layers of the rows of a table, on disk: row number -> (store, place in it). `shape`: (n_layers, 2 * dim)."""

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
            found[number] = self.stores[stores[number]].row(places[number], first * self.shape[1], end * self.shape[1])
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


def layer_features(encoder: LayerEncoder, manifest: Manifest, table: pd.DataFrame, progress: Progress) -> LayerTable:
    """Pooled layers of the rows of `table` (a part of manifest.table, index 0, 1, ...): float16 on disk, read on demand.

    Only rows that no earlier call extracted are encoded, and what was, stays when the process is killed. Memory does not
    grow with the corpora: clips are decoded, encoded and written a few at a time, longest together. Raises AudioError.
    """
    folder = files.cache_dir() / "features" / f"{encoder.fingerprint}-{audio.version()}"
    shape = (encoder.n_layers, encoder.n_features)
    stores, store_of, place_of = [], np.empty(len(table), np.int32), np.empty(len(table), np.int64)
    for part in corpus_stores(folder, manifest, table, lambda clips: np.full(len(clips), np.prod(shape)), np.float16):
        longest_first = np.argsort(-part.clips["duration_s"].to_numpy()[part.places], kind="stable")
        make = partial(_pooled, encoder, manifest, part.clips)
        part.store.fill(part.places[longest_first], make, progress, f"{encoder.name}: {part.corpus}")
        store_of[part.numbers], place_of[part.numbers] = len(stores), part.places
        stores.append(part.store)
    return LayerTable(tuple(stores), store_of, place_of, shape)


def _pooled(encoder: LayerEncoder, manifest: Manifest, clips: pd.DataFrame, places: np.ndarray) -> Iterator[np.ndarray]:
    """Features of some places, decoded in threads ahead of the encoder."""
    from joblib import cpu_count

    rows = clips.iloc[places]
    paths = [manifest.path(*place) for place in zip(rows["corpus"], rows["path"], strict=True)]
    size = CLIPS_ON_A_GPU if "cuda" in str(encoder.device) else CLIPS_A_TASK
    waveforms = ahead(audio.decode, paths, n=2 * size, workers=cpu_count())
    while block := list(islice(waveforms, size)):
        yield from np.clip(encoder.encode(block), -65504, 65504)
