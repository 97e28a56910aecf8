"""Clips as samples: decoded once in parallel, kept on disk as 16-bit numbers in blocks of clips,
read a clip at a time."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.data.cache import Row
from bimotion.data.manifest import Manifest
from bimotion.data.stored_rows import Maker, StoredRows, in_processes, stored_rows
from bimotion.errors import AudioError
from bimotion.io import audio, files
from bimotion.io.progress import Progress

FULL_SCALE = 32767
CLIPS_A_TASK = 8  # a minute of sound is 2 MB, and some tasks' wait in memory
SLACK, SLACK_S = 1.1, 0.5  # codecs and resamplers add a little to what headers say


@dataclass(frozen=True)
class Samples:
    """16 kHz mono waveforms of the rows of a table, on disk."""

    stored: StoredRows
    n_samples: np.ndarray
    """Length of each row, int64, shape (n_rows,)."""
    fingerprint: str
    """SHA-256 of what the samples depend on: decoder, state of the corpora's folders, ids."""

    def waveform(self, row: int) -> np.ndarray:
        """Read a clip: float32 in [-1, 1], shape (n_samples[row],)."""
        return self.stored.row(row).astype(np.float32) / np.float32(FULL_SCALE)


def samples(manifest: Manifest, table: pd.DataFrame, progress: Progress) -> Samples:
    """Waveforms of the rows of `table` (a part of manifest.table, index 0, 1, ...); only what no
    earlier call decoded is.

    Raises:
        AudioError: A file cannot be decoded, or holds more than its header says; what was decoded
            before stays.
    """
    version = audio.version()
    maker = Maker(_decoded, np.int16, "decoding")
    stored = stored_rows(f"samples/{version}", manifest, table, maker, progress)
    states = [f"{name}\t{manifest.states[name]}\n" for name in sorted(table["corpus"].unique())]
    facts = f"{version}\n{''.join(states)}" + "\n".join(table["id"])
    return Samples(stored, stored.lengths(), hashlib.sha256(facts.encode()).hexdigest())


def _decoded(clips: pd.DataFrame, paths: list[Path]) -> Iterator[Row]:
    return in_processes(_pcm, list(zip(paths, clips["duration_s"], strict=True)), CLIPS_A_TASK)


def _pcm(clips: Sequence[tuple[Path, float]]) -> list[Row]:
    rows = []
    for path, expected_s in clips:
        waveform = audio.decode(path)
        n_s = len(waveform) / audio.SAMPLE_RATE_HZ
        if n_s > expected_s * SLACK + SLACK_S:
            raise AudioError(
                f"{path}: header and content differ: expected about {expected_s:.2f} s, found "
                f"{n_s:.2f} s"
            )
        pcm = np.rint(np.clip(waveform, -1, 1) * FULL_SCALE).astype(np.int16)
        rows.append(Row(pcm, files.digest(path)))
    return rows
