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

from bimotion.data.cache import Row, StoredRows, in_processes, stored_rows
from bimotion.data.manifest import Manifest
from bimotion.errors import ClipError
from bimotion.io import audio, files
from bimotion.io.prefetch import ahead
from bimotion.io.progress import Progress

Encode = Callable[[np.ndarray], np.ndarray]
CLIPS_A_TASK = 32
MAX_FLOAT16 = 65504


def features(
    name: str, encode: Encode, manifest: Manifest, table: pd.DataFrame, progress: Progress
) -> np.ndarray:
    """Features of the rows of a table; only rows that no earlier call extracted are.

    Args:
        name: Must change whenever `encode` gives other numbers: it is the name of the cache.
        encode: Mono float32 waveform at 16 kHz -> float32, shape (n_features,).
        manifest: Of the corpora.
        table: A part of manifest.table, index 0, 1, ...
        progress: Shows how far it is.

    Returns:
        float32, shape (len(table), n_features).

    Raises:
        AudioError: A file cannot be decoded.
    """
    folder = f"features/{name.replace('/', '__')}-{audio.version()}"
    make = partial(_encoded, encode)
    stored = stored_rows(folder, manifest, table, make, progress, dtype=np.float32, label=name)
    return np.stack([stored.row(number) for number in range(len(table))])


def _encoded(encode: Encode, clips: pd.DataFrame, paths: list[Path]) -> Iterator[Row]:
    return in_processes(partial(_encode_all, encode), paths, CLIPS_A_TASK)


def _encode_all(encode: Encode, paths: Sequence[Path]) -> list[Row]:
    return [Row(encode(audio.decode(path)), files.digest(path)) for path in paths]


class LayerEncoder(Protocol):
    """The encoder that layer_features needs (models/encoder.py)."""

    name: str
    fingerprint: str
    n_layers: int
    n_features: int
    together: int
    """So many clips, always the same ones, are encoded together: a neighbour in a batch moves the
    last digits of a clip's features."""

    def encode(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Pooled features, float32, shape (n_clips, n_layers, n_features)."""


@dataclass(frozen=True)
class LayerTable:
    """Pooled layers of the rows of a table, on disk."""

    stored: StoredRows
    shape: tuple[int, int]
    """n_layers, n_features."""

    def take(self, numbers: np.ndarray) -> "LayerRows":
        """Choose some rows, still on disk."""
        return LayerRows(self, np.asarray(numbers))

    def layer(self, numbers: np.ndarray, layer: int) -> np.ndarray:
        """Read one layer of some rows and nothing else, float32, shape (len(numbers),
        n_features)."""
        n_features = self.shape[1]
        read = np.empty((len(numbers), n_features), np.float32)
        # reading forwards is what disks are good at
        for i in np.lexsort((self.stored.index_of[numbers], self.stored.store_of[numbers])):
            read[i] = self.stored.row(numbers[i], layer * n_features, (layer + 1) * n_features)
        return read


@dataclass(frozen=True)
class LayerRows:
    """Some rows of a LayerTable, which are read when they are asked for."""

    table: LayerTable
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of all rows: n, n_layers, n_features."""
        return len(self.numbers), *self.table.shape

    def layer(self, layer: int, places: np.ndarray | None = None) -> np.ndarray:
        """Read one layer of some of these rows (None: of all), float32, shape (len(places),
        n_features)."""
        numbers = self.numbers if places is None else self.numbers[places]
        return self.table.layer(numbers, layer)


def layer_features(
    encoder: LayerEncoder, manifest: Manifest, table: pd.DataFrame, progress: Progress
) -> LayerTable:
    """Pooled layers of the rows of `table` (a part of manifest.table, index 0, 1, ...): float16 on
    disk, read on demand.

    Only rows that no earlier call extracted are encoded (and their neighbours, where an encoder
    takes several clips together), and what was, stays when the process is killed. A clip's features
    do not depend on what was asked for or extracted before. Memory does not grow with the corpora.
    Raises AudioError.
    """
    stored = stored_rows(
        f"features/{encoder.fingerprint}-{audio.version()}",
        manifest,
        table,
        partial(_pooled, encoder),
        progress,
        dtype=np.float16,
        label=encoder.name,
        together=encoder.together,
    )
    return LayerTable(stored, (encoder.n_layers, encoder.n_features))


def _pooled(encoder: LayerEncoder, clips: pd.DataFrame, paths: list[Path]) -> Iterator[Row]:
    """Features of clips, whole groups of encoder.together, decoded in threads ahead of the
    encoder."""
    from joblib import cpu_count

    n_ahead = max(CLIPS_A_TASK, 2 * encoder.together)
    decoded = ahead(_decoded, paths, n=n_ahead, workers=cpu_count())
    groups: deque = deque()

    def waveforms() -> Iterator[list[np.ndarray]]:
        while group := list(islice(decoded, encoder.together)):
            groups.append(group)
            yield [waveform for waveform, _ in group]

    encode_groups = getattr(encoder, "encode_groups", None) or partial(map, encoder.encode)
    n_done = 0
    try:
        for encoded in encode_groups(waveforms()):
            group = groups.popleft()
            n_done += len(group)
            encoded = np.clip(encoded, -MAX_FLOAT16, MAX_FLOAT16)
            yield from (Row(row, source) for row, (_, source) in zip(encoded, group, strict=True))
    except ClipError as error:
        raise error.named(clips["id"].iloc[n_done + error.index]) from error


def _decoded(path: Path) -> tuple[np.ndarray, str]:
    return audio.decode(path), files.digest(path)
