"""Features of clips: extracted once in parallel, kept on disk a corpus at a time, read back memory-mapped."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

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
