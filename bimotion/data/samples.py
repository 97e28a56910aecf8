"""Clips as samples: decoded once in parallel, kept on disk as 16-bit numbers in blocks of clips,
read a clip at a time."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.data.cache import Row, Store, corpus_stores
from bimotion.data.manifest import Manifest
from bimotion.errors import AudioError
from bimotion.io import audio, files
from bimotion.io.prefetch import cancelled_quietly
from bimotion.io.progress import Progress

FULL_SCALE = 32767
CLIPS_A_TASK = 8  # a minute of sound is 2 MB, and some tasks' wait in memory
SLACK, SLACK_S = 1.1, 0.5  # codecs and resamplers add a little to what headers say


@dataclass(frozen=True)
class Samples:
    """16 kHz mono waveforms of the rows of a table, on disk: row number -> (store, place in it).

    n_samples      length of each row, int64, shape (n_rows,)
    fingerprint    sha256 of what the samples hang on: decoder, state of the corpora's folders, ids
    """

    stores: tuple[Store, ...]
    store_of: np.ndarray
    place_of: np.ndarray
    n_samples: np.ndarray
    fingerprint: str

    def waveform(self, row: int) -> np.ndarray:
        """float32 in [-1, 1], shape (n_samples[row],)."""
        return self.stores[self.store_of[row]].row(self.place_of[row]).astype(
            np.float32
        ) / np.float32(FULL_SCALE)


def samples(manifest: Manifest, table: pd.DataFrame, progress: Progress) -> Samples:
    """Waveforms of the rows of `table` (a part of manifest.table, index 0, 1, ...); only what no
    earlier call decoded is.

    Raises AudioError for a file that cannot be decoded, or that holds more than its header says;
    what was decoded before stays.
    """
    version = audio.version()
    stores, store_of, place_of = [], np.empty(len(table), np.int32), np.empty(len(table), np.int64)
    n_samples = np.empty(len(table), np.int64)
    digest = hashlib.sha256(f"{version}\n".encode())
    for part in corpus_stores("samples", version, manifest, table, np.int16):
        make = partial(_decoded, manifest, part.clips)
        part.store.fill(part.places, make, progress, f"decoding: {part.corpus}")
        store_of[part.numbers], place_of[part.numbers] = len(stores), part.places
        n_samples[part.numbers] = part.store.lengths(part.places)
        stores.append(part.store)
        digest.update(f"{part.corpus}\t{manifest.states[part.corpus]}\n".encode())
    digest.update("\n".join(table["id"]).encode())
    return Samples(tuple(stores), store_of, place_of, n_samples, digest.hexdigest())


def _decoded(manifest: Manifest, clips: pd.DataFrame, places: np.ndarray) -> Iterator[Row]:
    from joblib import Parallel, cpu_count, delayed

    rows = clips.iloc[places]
    paths = [manifest.path(*place) for place in zip(rows["corpus"], rows["path"], strict=True)]
    starts = range(0, len(paths), CLIPS_A_TASK)
    seconds = rows["duration_s"].to_numpy()
    tasks = [
        (paths[start : start + CLIPS_A_TASK], seconds[start : start + CLIPS_A_TASK])
        for start in starts
    ]
    workers = min(cpu_count(), len(tasks))
    with Parallel(n_jobs=workers, return_as="generator") as parallel:
        # left to itself it decodes on while results wait in memory
        for start in range(0, len(tasks), 4 * workers):
            results = parallel(delayed(_pcm)(*task) for task in tasks[start : start + 4 * workers])
            for found in cancelled_quietly(results):
                yield from found


def _pcm(paths: Sequence[Path], seconds: np.ndarray) -> list[Row]:
    found = []
    for path, expected in zip(paths, seconds, strict=True):
        waveform = audio.decode(path)
        n_s = len(waveform) / audio.SAMPLE_RATE_HZ
        if n_s > expected * SLACK + SLACK_S:
            raise AudioError(
                f"{path}: header and content differ: expected about {expected:.2f} s, found "
                f"{n_s:.2f} s"
            )
        pcm = np.rint(np.clip(waveform, -1, 1) * FULL_SCALE).astype(np.int16)
        found.append(Row(pcm, files.digest(path)))
    return found
