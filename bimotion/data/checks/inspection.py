"""What only reading every clip can tell: peak and hash of its samples, shape in time. Kept in the
cache, a corpus at a time.

The shape is made so that gain, an offset and a shift in time change it little: what is left when a
clip is made louder, trimmed or padded. Clips of one shape are candidates, which a correlation of
their samples then proves or not.
"""

import io
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.data.manifest import Manifest
from bimotion.errors import AudioError
from bimotion.io import audio, files
from bimotion.io.progress import Progress

log = logging.getLogger(__name__)
SHAPE = ("spread_s", "skewness", "kurtosis", "brightness")
# of each number of a shape: 16-bit numbers at a fortieth of the gain move them by less than 0.01
TOLERANCE = 0.02
# normalised correlation from which on two clips are one recording: of speech said twice it is below
# 0.6
ALIKE = 0.99
MAX_CANDIDATES = 2_000
COLUMNS = ("peak", "sha256", "problem", "n_samples", "is_constant", *SHAPE, "file")


def inspect(manifest: Manifest, corpus: str, progress: Progress) -> pd.DataFrame:
    """A row a clip, index: utterance id; columns of COLUMNS: `peak` in [0, 1], `problem` a text or
    null.

    `file` is the SHA-256 of the file's bytes. The other columns are null where decoding failed,
    those of SHAPE also where nothing sounds.
    """
    target = _place(manifest, corpus)
    content = files.read_sealed(target, progress.say)
    if content is None:
        from joblib import cpu_count

        rows = manifest.table[manifest.table["corpus"] == corpus]
        paths = [manifest.path(corpus, path) for path in rows["path"]]
        with ThreadPoolExecutor(cpu_count()) as pool:
            found = list(
                progress.track(pool.map(_content, paths), len(paths), f"listening to {corpus}")
            )
        table = pd.DataFrame(found, index=pd.Index(rows["id"], name="id"), columns=list(COLUMNS))
        content = table.to_parquet()
        files.write_sealed(target, content)
    return pd.read_parquet(io.BytesIO(content))


def inspected(manifest: Manifest, corpus: str) -> pd.DataFrame | None:
    """What `inspect` found of these very files before; None where nobody has listened to them."""
    content = files.read_sealed(_place(manifest, corpus), log.warning)
    return None if content is None else pd.read_parquet(io.BytesIO(content))


def _place(manifest: Manifest, corpus: str) -> Path:
    name = f"{audio.version()}-{corpus}-{manifest.states[corpus]}.kept"
    return files.cache_dir() / "inspection" / name


def _content(path: Path) -> tuple:
    file = None
    with suppress(OSError):  # which decoding says
        file = files.digest(path)
    try:
        samples, rate = audio.read(path)
    except AudioError as error:
        return None, None, str(error), None, None, *(None for _ in SHAPE), file
    content = audio.content_of(samples)
    return (
        content.peak,
        content.sha256,
        None,
        len(samples),
        bool(np.ptp(samples) == 0),
        *_shape(samples, rate),
        file,
    )


def _shape(samples: np.ndarray, rate_hz: int) -> tuple[float | None, ...]:
    """Of a clip's energy in time: how far it spreads around its centre (s), skewness, kurtosis; of
    its spectrum: the energy of its differences, of that of its samples."""
    samples = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    energy = samples**2
    total = energy.sum()
    if total <= len(samples) * audio.SILENCE_PEAK**2:
        return tuple(None for _ in SHAPE)
    times = np.arange(len(samples)) / rate_hz
    times -= (times * energy).sum() / total
    spread = np.sqrt((times**2 * energy).sum() / total)
    if spread == 0:
        return tuple(None for _ in SHAPE)
    skewness, kurtosis = (
        float((times**power * energy).sum() / total / spread**power) for power in (3, 4)
    )
    return float(spread), skewness, kurtosis, float((np.diff(samples) ** 2).sum() / total)


def near_equal(
    manifest: Manifest, corpus: str, heard: pd.DataFrame, progress: Progress
) -> list[tuple[str, str, str]]:
    """Pairs of clips that are one recording but for gain, an offset or a shift in time: both ids,
    and how they differ. Kept in the cache.

    `heard`: of `inspect`, without clips of equal samples (but one of each).
    """
    target = _place(manifest, corpus).with_suffix(".pairs.kept")
    content = files.read_sealed(target, progress.say)
    if content is None:
        content = json.dumps(_near_equal(manifest, corpus, heard, progress)).encode()
        files.write_sealed(target, content)
    return [tuple(pair) for pair in json.loads(content)]


def _near_equal(
    manifest: Manifest, corpus: str, heard: pd.DataFrame, progress: Progress
) -> list[tuple[str, str, str]]:
    from scipy.spatial import cKDTree

    shapes = heard.dropna(subset=list(SHAPE))
    scaled = np.column_stack(
        [
            np.log(shapes["spread_s"]),
            shapes["skewness"] / 4,
            np.log(shapes["kurtosis"]),
            np.log(shapes["brightness"]),
        ]
    )
    pairs = (
        cKDTree(scaled).query_pairs(TOLERANCE, p=np.inf, output_type="ndarray")
        if len(scaled) > 1
        else np.empty((0, 2), int)
    )
    if len(pairs) > MAX_CANDIDATES:
        log.warning(
            "%s: %d pairs of clips of like shape, compared are the likest %d",
            corpus,
            len(pairs),
            MAX_CANDIDATES,
        )
    nearest = np.argsort(
        np.abs(scaled[pairs[:, 0]] - scaled[pairs[:, 1]]).max(axis=1), kind="stable"
    )[:MAX_CANDIDATES]
    rows = manifest.table.set_index("id")
    found = []
    candidates = sorted(tuple(sorted(shapes.index[pair])) for pair in pairs[nearest])
    label = f"comparing clips of {corpus}"
    for first, second in progress.track(candidates, len(candidates), label, unit="pairs"):
        if rows.at[first, "sample_rate_hz"] != rows.at[second, "sample_rate_hz"]:
            continue
        waves = [
            audio.read(manifest.path(corpus, rows.at[clip, "path"]))[0] for clip in (first, second)
        ]
        correlation, gain, lag = _compared(*waves)
        if correlation >= ALIKE:
            shift = lag / rows.at[first, "sample_rate_hz"]
            found.append(
                (first, second, f"gain {20 * np.log10(gain):+.1f} dB, shift {shift:+.3f} s")
            )
    return found


def _compared(first: np.ndarray, second: np.ndarray) -> tuple[float, float, int]:
    """Largest normalised correlation of two clips over all shifts, and there the gain of the
    second, and how many samples later it is."""
    from scipy.signal import correlate

    first, second = (
        wave.astype(np.float64) - wave.mean(dtype=np.float64) for wave in (first, second)
    )
    norms = [float(np.sqrt((wave**2).sum())) for wave in (first, second)]
    products = correlate(second, first, method="fft")
    place = int(np.abs(products).argmax())
    return (
        float(abs(products[place]) / (norms[0] * norms[1])),
        norms[1] / norms[0],
        place - (len(first) - 1),
    )
