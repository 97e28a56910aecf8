"""Facts that only reading every clip can tell: peak and hash of its samples, shape in time. Kept in
the cache, a corpus at a time.

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
COLUMNS = ("peak", "sha256", "problem", "n_samples", "is_constant", *SHAPE, "file")
TOLERANCE = 0.02
"""Of each number of a shape: 16-bit numbers at a fortieth of the gain move them by less than
0.01."""
ALIKE = 0.99
"""The normalised correlation from which on two clips are one recording: of speech said twice it is
below 0.6."""
MAX_CANDIDATES = 2_000


def inspect(manifest: Manifest, corpus: str, progress: Progress) -> pd.DataFrame:
    """Listen to every clip of a corpus, unless that was done before.

    Returns:
        A row a clip, index: utterance id; columns of COLUMNS: `peak` in [0, 1], `problem` a text or
        null, `file` the SHA-256 of the file's bytes. The other columns are null where decoding
        failed, those of SHAPE also where nothing sounds.
    """
    target = _target(manifest, corpus)
    content = files.read_sealed(target, progress.say)
    if content is None:
        from joblib import cpu_count

        rows = manifest.table[manifest.table["corpus"] == corpus]
        paths = [manifest.path(corpus, path) for path in rows["path"]]
        with ThreadPoolExecutor(cpu_count()) as pool:
            work = pool.map(_content, paths)
            facts = list(progress.track(work, len(paths), f"listening to {corpus}"))
        table = pd.DataFrame(facts, index=pd.Index(rows["id"], name="id"), columns=list(COLUMNS))
        content = table.to_parquet()
        files.write_sealed(target, content)
    return pd.read_parquet(io.BytesIO(content))


def inspected(manifest: Manifest, corpus: str) -> pd.DataFrame | None:
    """The table that `inspect` made of these very files before; None where nobody has listened to
    them."""
    content = files.read_sealed(_target(manifest, corpus), log.warning)
    return None if content is None else pd.read_parquet(io.BytesIO(content))


def _target(manifest: Manifest, corpus: str) -> Path:
    name = f"{audio.version()}-{corpus}-{manifest.states[corpus]}.kept"
    return files.cache_dir() / "inspection" / name


def _content(path: Path) -> dict[str, object]:
    facts = {}
    with suppress(OSError):  # which decoding says
        facts["file"] = files.digest(path)
    try:
        samples, rate_hz = audio.read(path)
    except AudioError as error:
        return facts | {"problem": str(error)}
    content = audio.content_of(samples)
    return (
        facts
        | {"peak": content.peak, "sha256": content.sha256, "n_samples": len(samples)}
        | {"is_constant": bool(np.ptp(samples) == 0)}
        | dict(zip(SHAPE, _shape(samples, rate_hz), strict=False))
    )


def _shape(samples: np.ndarray, rate_hz: int) -> tuple[float, ...]:
    """Measure the shape of a clip: spread of its energy around its centre in time (s), skewness,
    kurtosis; energy of its differences, of that of its samples. Empty where nothing sounds."""
    samples = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    energy = samples**2
    total = energy.sum()
    if total <= len(samples) * audio.SILENCE_PEAK**2:
        return ()
    times = np.arange(len(samples)) / rate_hz
    times -= (times * energy).sum() / total
    spread = np.sqrt((times**2 * energy).sum() / total)
    if spread == 0:
        return ()
    skewness, kurtosis = (
        float((times**power * energy).sum() / total / spread**power) for power in (3, 4)
    )
    return float(spread), skewness, kurtosis, float((np.diff(samples) ** 2).sum() / total)


def near_equal(
    manifest: Manifest, corpus: str, heard: pd.DataFrame, progress: Progress
) -> list[tuple[str, str, str]]:
    """Pairs of clips that are one recording but for gain, an offset or a shift in time: both ids,
    and how they differ. Kept in the cache.

    Args:
        manifest: Of the corpora.
        corpus: Its name.
        heard: Made by `inspect`, without clips of equal samples (but one of each).
        progress: Shows how far it is.
    """
    target = _target(manifest, corpus).with_suffix(".pairs.kept")
    content = files.read_sealed(target, progress.say)
    if content is None:
        rows = manifest.table.set_index("id")
        candidates = _candidates(corpus, heard.dropna(subset=list(SHAPE)))
        label = f"comparing clips of {corpus}"
        tracked = progress.track(candidates, len(candidates), label, unit="pairs")
        compared = [(*pair, _difference(manifest, rows.loc[list(pair)])) for pair in tracked]
        content = json.dumps([pair for pair in compared if pair[2]]).encode()
        files.write_sealed(target, content)
    return [tuple(pair) for pair in json.loads(content)]


def _candidates(corpus: str, shapes: pd.DataFrame) -> list[tuple[str, str]]:
    """Pairs of clips of like shape: the likest MAX_CANDIDATES, sorted by their ids."""
    from scipy.spatial import cKDTree

    if len(shapes) < 2:
        return []
    logs = {"spread_s": np.log(shapes["spread_s"]), "kurtosis": np.log(shapes["kurtosis"])}
    logs |= {"brightness": np.log(shapes["brightness"]), "skewness": shapes["skewness"] / 4}
    scaled = np.column_stack([logs[name] for name in SHAPE])
    pairs = cKDTree(scaled).query_pairs(TOLERANCE, p=np.inf, output_type="ndarray")
    if len(pairs) > MAX_CANDIDATES:
        message = "%s: %d pairs of clips of like shape, compared are the likest %d"
        log.warning(message, corpus, len(pairs), MAX_CANDIDATES)
    distances = np.abs(scaled[pairs[:, 0]] - scaled[pairs[:, 1]]).max(axis=1)
    nearest = np.argsort(distances, kind="stable")[:MAX_CANDIDATES]
    return sorted(tuple(sorted(shapes.index[pair])) for pair in pairs[nearest])


def _difference(manifest: Manifest, pair: pd.DataFrame) -> str | None:
    """The gain and the shift between two clips that are one recording; None: they are two."""
    if pair["sample_rate_hz"].nunique() > 1:
        return None
    paths = map(manifest.path, pair["corpus"], pair["path"])
    correlation, gain, lag = _compared(*(audio.read(path)[0] for path in paths))
    shift = lag / pair["sample_rate_hz"].iloc[0]
    is_one = correlation >= ALIKE
    return f"gain {20 * np.log10(gain):+.1f} dB, shift {shift:+.3f} s" if is_one else None


def _compared(first: np.ndarray, second: np.ndarray) -> tuple[float, float, int]:
    """Largest normalised correlation of two clips over all shifts, and there the gain of the
    second, and how many samples later it is."""
    from scipy.signal import correlate

    first, second = (
        wave.astype(np.float64) - wave.mean(dtype=np.float64) for wave in (first, second)
    )
    norms = [float(np.sqrt((wave**2).sum())) for wave in (first, second)]
    products = correlate(second, first, method="fft")
    peak = int(np.abs(products).argmax())
    correlation = float(abs(products[peak]) / (norms[0] * norms[1]))
    return correlation, norms[1] / norms[0], peak - (len(first) - 1)
