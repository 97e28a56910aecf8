"""Features of clips: extracted once in parallel, kept on disk a corpus at a time, read back memory-mapped."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from bimotion import audio, files
from bimotion.manifest import Manifest
from bimotion.progress import Progress

Encode = Callable[[np.ndarray], np.ndarray]
CLIPS_A_TASK = 32


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
    from joblib import Parallel, delayed

    tasks = [paths[start : start + CLIPS_A_TASK] for start in range(0, len(paths), CLIPS_A_TASK)]
    workers = min(os.cpu_count() or 1, len(tasks))
    for vectors in Parallel(n_jobs=workers, return_as="generator")(delayed(_encode_all)(encode, task) for task in tasks):
        yield from vectors


def _encode_all(encode: Encode, paths: Sequence[Path]) -> list[np.ndarray]:
    return [encode(audio.decode(path)) for path in paths]


class LayerEncoder(Protocol):
    """What layer_features needs of an encoder (models/encoders.py)."""

    name: str
    fingerprint: str
    n_layers: int
    dim: int

    def encode(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Pooled features, float32, shape (n_clips, n_layers, 2 * dim)."""


@dataclass(frozen=True)
class LayerTable:
    """Pooled layers of the rows of a table, on disk: row number -> (memory-mapped file, place in it)."""

    files: tuple[np.ndarray, ...]
    file_of: np.ndarray
    place_of: np.ndarray

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """float32, shape (len(numbers), n_layers, 2 * dim)."""
        found = np.empty((len(numbers), *self.files[0].shape[1:]), np.float32)
        for number, file in enumerate(self.files):
            mine = np.flatnonzero(self.file_of[numbers] == number)
            order = np.argsort(self.place_of[numbers[mine]])  # reading forwards is what disks are good at
            found[mine[order]] = file[self.place_of[numbers[mine[order]]]]
        return found


def layer_features(encoder: LayerEncoder, manifest: Manifest, table: pd.DataFrame, progress: Progress) -> LayerTable:
    """Pooled layers of all clips of the table's corpora, extracted once (float16 on disk, a corpus a file), read on demand.

    Memory does not grow with the corpora: clips are decoded, encoded and written a few at a time, longest together.
    """
    folder = files.cache_dir() / "features" / f"{encoder.fingerprint}-{audio.version()}"
    maps, file_of, place_of = [], np.empty(len(table), np.int32), np.empty(len(table), np.int64)
    for number, (corpus, rows) in enumerate(table.groupby("corpus", sort=True)):
        whole = manifest.table[manifest.table["corpus"] == corpus]
        target = folder / f"{corpus}-{manifest.states[corpus]}.npy"
        if not target.exists():
            _extract(encoder, manifest, whole, target, f"{encoder.name}: {corpus}", progress)
        maps.append(np.load(target, mmap_mode="r", allow_pickle=False))
        places = pd.Series(np.arange(len(whole)), index=whole["id"])
        file_of[rows.index], place_of[rows.index] = number, places[rows["id"]].to_numpy()
    return LayerTable(tuple(maps), file_of, place_of)


def _extract(
    encoder: LayerEncoder, manifest: Manifest, whole: pd.DataFrame, target: Path, label: str, progress: Progress
) -> None:
    order = np.argsort(-whole["duration_s"].to_numpy(), kind="stable")
    starts = range(0, len(order), CLIPS_A_TASK)
    with files.written(target) as temporary:
        shape = (len(whole), encoder.n_layers, 2 * encoder.dim)
        stored = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        for start in progress.track(starts, len(starts), label):
            places = order[start : start + CLIPS_A_TASK]
            rows = whole.iloc[places]
            waveforms = [audio.decode(manifest.path(*place)) for place in zip(rows["corpus"], rows["path"], strict=True)]
            stored[places] = np.clip(encoder.encode(waveforms), -65504, 65504)
        stored.flush()
