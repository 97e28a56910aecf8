"""Features of clips: extracted once in parallel, kept on disk in blocks of clips, read back row by
row."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd

from bimotion.data.cache import Row
from bimotion.data.manifest import Manifest
from bimotion.data.stored_rows import (
    Maker,
    Spread,
    StoredRows,
    here,
    in_processes,
    stored_rows,
)
from bimotion.errors import ClipError
from bimotion.io import audio, files
from bimotion.io.prefetch import ahead
from bimotion.io.progress import Progress

Encode = Callable[[np.ndarray], np.ndarray]
CLIPS_A_TASK = 32
MAX_FLOAT16 = 65504


class Decoded(NamedTuple):
    """A clip that is decoded."""

    waveform: np.ndarray
    """Mono float32 at 16 kHz."""
    source: str
    """SHA-256 of its file."""


def decoded(clip: Path | Decoded) -> Decoded:
    """Decode a file, unless that was done where the file is. Raises AudioError."""
    if isinstance(clip, Decoded):
        return clip
    return Decoded(audio.decode(clip), files.digest(clip))


def features(
    name: str,
    encode: Encode,
    manifest: Manifest,
    table: pd.DataFrame,
    progress: Progress,
    spread: Spread = here,
) -> np.ndarray:
    """Features of the rows of a table; only rows that no earlier call extracted are.

    Args:
        name: Must change whenever `encode` gives other numbers: it is the name of the cache.
        encode: Mono float32 waveform at 16 kHz -> float32, shape (n_features,).
        manifest: Of the corpora.
        table: A part of manifest.table, index 0, 1, ...
        progress: Shows how far it is.
        spread: The processes, of this machine or others, that run `encode`.

    Returns:
        float32, shape (len(table), n_features).

    Raises:
        AudioError: A file cannot be decoded.
    """
    folder = f"features/{name.replace('/', '__')}-{audio.version()}"
    maker = Maker(partial(_encoded, encode), np.float32, name)
    stored = stored_rows(folder, manifest, table, maker, progress, spread)
    return np.stack([stored.row(number) for number in range(len(table))])


def _encoded(encode: Encode, clips: pd.DataFrame, paths: list[Path]) -> Iterator[Row]:
    return in_processes(partial(_encode_all, encode), paths, CLIPS_A_TASK)


def _encode_all(encode: Encode, paths: Sequence[Path | Decoded]) -> list[Row]:
    return [Row(encode(clip.waveform), clip.source) for clip in map(decoded, paths)]


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
    encoder: LayerEncoder,
    manifest: Manifest,
    table: pd.DataFrame,
    progress: Progress,
    spread: Spread = here,
) -> LayerTable:
    """Pooled layers of the rows of `table` (a part of manifest.table, index 0, 1, ...): float16 on
    disk, read on demand.

    Only rows that no earlier call extracted are encoded (and their neighbours, where an encoder
    takes several clips together), and what was, stays when the process is killed. A clip's features
    do not depend on what was asked for or extracted before. Memory does not grow with the corpora.
    Raises AudioError.
    """
    folder = f"features/{encoder.fingerprint}-{audio.version()}"
    maker = Maker(partial(_pooled, encoder), np.float16, encoder.name, encoder.together)
    stored = stored_rows(folder, manifest, table, maker, progress, spread)
    return LayerTable(stored, (encoder.n_layers, encoder.n_features))


def _pooled(
    encoder: LayerEncoder, clips: pd.DataFrame, paths: Sequence[Path | Decoded]
) -> Iterator[Row]:
    """Features of clips, whole groups of encoder.together, decoded in threads ahead of the
    encoder."""
    from joblib import cpu_count

    n_ahead = max(CLIPS_A_TASK, 2 * encoder.together)
    waiting = ahead(decoded, paths, n=n_ahead, workers=cpu_count())
    groups: deque = deque()

    def waveforms() -> Iterator[list[np.ndarray]]:
        while group := list(islice(waiting, encoder.together)):
            groups.append(group)
            yield [clip.waveform for clip in group]

    encode_groups = getattr(encoder, "encode_groups", None) or partial(map, encoder.encode)
    n_done = 0
    try:
        for encoded in encode_groups(waveforms()):
            group = groups.popleft()
            n_done += len(group)
            encoded = np.clip(encoded, -MAX_FLOAT16, MAX_FLOAT16)
            yield from (Row(row, clip.source) for row, clip in zip(encoded, group, strict=True))
    except ClipError as error:
        raise error.named(clips["id"].iloc[n_done + error.index]) from error
