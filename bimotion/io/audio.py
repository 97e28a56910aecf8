"""The only reader of samples: header facts without decoding, decoding to mono 16 kHz, FLAC
encoding."""

import hashlib
import io
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from bimotion.errors import AudioError, MissingExtra
from bimotion.io.versions import CACHE_VERSION

SAMPLE_RATE_HZ = 16_000
SYNTHETIC_COMMENT = "SYNTHETIC: made by formulas, not speech of people"
SILENCE_PEAK = 1e-4  # -80 dB of full scale
VIDEO_SUFFIXES = frozenset({".mp4", ".m4a", ".mov"})
POINTER = b"version https://git-lfs"
MAX_CLIP_S = 1200.0
MAX_FRAMES = 1 << 26  # 256 MB as float32: 23 minutes at 48 kHz
MAX_CHANNELS = 32
RATES_HZ = (1_000, 384_000)
_BLOCK_FRAMES = 1 << 20
# containers that say how many samples they hold
_EXACT = frozenset({"WAV", "WAVEX", "AIFF", "FLAC"})
_UNKNOWN_RIFF_SIZES = frozenset({8, 8 + 0xFFFFFFFF})  # written by programs that stream to a pipe


@dataclass(frozen=True, slots=True)
class Header:
    """The facts that a sound file states of itself; numbers are 0 where there is a problem."""

    n_frames: int
    """Samples per channel."""
    sample_rate_hz: int
    n_channels: int
    container: str
    problem: str | None = None
    """A kind of Finding that makes it unusable."""
    detail: str = ""
    synthetic: bool = False
    """It bears the comment that `write_synthetic` leaves."""

    @property
    def duration_s(self) -> float:
        return self.n_frames / self.sample_rate_hz if self.sample_rate_hz else 0.0


def header(path: Path) -> Header:
    """Length and rate of a sound file, without decoding it; never raises for what is in the file.

    >>> import tempfile
    >>> empty = Path(tempfile.mkdtemp()) / "a.wav"
    >>> empty.touch()
    >>> header(empty).problem
    'empty'
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
            n_bytes = stream.seek(0, io.SEEK_END)
    except OSError as error:
        return _broken("unreadable", error.strerror or "cannot be opened")
    if not n_bytes:
        return _broken("empty", "0 bytes")
    if start.startswith(POINTER):
        return _broken("pointer", f"{n_bytes} bytes of text")
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return _video_header(path)
    n_stated = int.from_bytes(start[4:8], "little") + 8
    if start[:4] == b"RIFF" and n_stated not in _UNKNOWN_RIFF_SIZES and n_stated > n_bytes + 1:
        return _broken("truncated", f"header announces {n_stated} bytes, found {n_bytes}")
    import soundfile

    try:
        with soundfile.SoundFile(native(path)) as sound:
            if not sound.frames:
                return _broken("empty", "no samples")
            if reason := _implausible(sound.frames, sound.samplerate, sound.channels):
                return _broken("unreadable", reason)
            synthetic = sound.comment == SYNTHETIC_COMMENT
            return Header(
                sound.frames, sound.samplerate, sound.channels, sound.format, synthetic=synthetic
            )
    except (soundfile.LibsndfileError, RuntimeError) as error:
        return _broken("unreadable", str(error).partition(": ")[2] or str(error))


def native(path: Path) -> str | bytes:
    """A path as soundfile opens it: names that are not UTF-8 are legal on Unix, where it takes them
    as bytes only."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


def _broken(problem: str, detail: str) -> Header:
    return Header(0, 0, 0, "", problem, detail)


def _implausible(n_frames: int, rate_hz: int, n_channels: int) -> str | None:
    """The reason why a file that states these numbers is no clip of speech; None: it may be one.
    Whatever is made of a clip takes memory by these numbers."""
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        return f"expected a rate of {RATES_HZ[0]} to {RATES_HZ[1]} Hz, found {rate_hz}"
    if not 1 <= n_channels <= MAX_CHANNELS:
        return f"expected 1 to {MAX_CHANNELS} channels, found {n_channels}"
    if n_frames > (most := min(MAX_FRAMES, MAX_CLIP_S * rate_hz)):
        return (
            f"expected a clip of at most {most / rate_hz:.0f} s, found one that says "
            f"{n_frames / rate_hz:.0f} s"
        )
    return None


def _av():
    try:
        import av
    except ImportError:
        raise MissingExtra("av", "video", "reading the sound of mp4 files") from None
    return av


def _video_header(path: Path) -> Header:
    try:
        with _opened(path) as (container, stream):
            if stream.duration is not None and stream.time_base:
                seconds = stream.duration * stream.time_base
            else:
                seconds = Fraction(container.duration or 0, _av().time_base)
            n_frames = round(seconds * stream.rate)
            if n_frames <= 0:
                return _broken("empty", "no samples")
            if reason := _implausible(n_frames, stream.rate, stream.channels):
                return _broken("unreadable", reason)
            return Header(n_frames, stream.rate, stream.channels, "MP4")
    except AudioError as error:
        return _broken("unreadable", str(error).removeprefix(f"{path}: "))


@contextmanager
def _opened(path: Path) -> Iterator[tuple]:
    """A video and its first stream of sound; raises AudioError for whatever FFmpeg says against
    it."""
    av = _av()
    try:
        with av.open(path, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise AudioError(f"{path}: expected a video with sound, found none in it")
            stream = container.streams.audio[0]
            # of an unknown codec it has no such attributes
            if not getattr(stream, "rate", None) or not stream.channels:
                raise AudioError(
                    f"{path}: expected sound that FFmpeg can decode, found an unknown codec or no "
                    "rate"
                )
            yield container, stream
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        raise AudioError(
            f"{path}: expected a video with sound, found: {' '.join(str(error).split())}"
        ) from None


def read(source: Path | bytes) -> tuple[np.ndarray, int]:
    """Samples of a file or of its bytes: float32 in [-1, 1], shape (n_frames,), mono by mean over
    channels; and Hz.

    Raises AudioError with the path and what was found.
    """
    is_video = isinstance(source, Path) and source.suffix.lower() in VIDEO_SUFFIXES
    samples, rate = (_read_video if is_video else _read_sound)(source)
    if not len(samples):
        raise AudioError(f"{_name(source)}: expected sound, found no samples")
    if not np.isfinite(samples).all():
        raise AudioError(f"{_name(source)}: expected finite samples, found NaN or infinity")
    return samples, rate


def _read_sound(source: Path | bytes) -> tuple[np.ndarray, int]:
    """Samples as libsndfile reads them, mono, block by block: a header may state more than the file
    holds."""
    import soundfile

    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else native(source)
        with soundfile.SoundFile(file) as sound:
            if reason := _implausible(sound.frames, sound.samplerate, sound.channels):
                raise AudioError(f"{_name(source)}: {reason}")
            blocks, n_read = [np.zeros(0, np.float32)], 0
            # sound.blocks() would repeat old samples where a file ends early
            while n_read < sound.frames:
                block = sound.read(
                    min(_BLOCK_FRAMES, sound.frames), dtype="float32", always_2d=True
                )
                if not len(block):
                    break
                blocks.append(block.mean(axis=1))
                n_read += len(block)
            if n_read < sound.frames and sound.format in _EXACT:
                raise AudioError(
                    f"{_name(source)}: expected {sound.frames} samples, as its header says, found "
                    f"{n_read}"
                )
            return np.concatenate(blocks), sound.samplerate
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise AudioError(f"{_name(source)}: expected sound, found: {error}") from None


def _name(source: Path | bytes) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else str(source)


def _read_video(path: Path) -> tuple[np.ndarray, int]:
    with _opened(path) as (container, stream):
        rate = stream.rate
        if reason := _implausible(0, rate, stream.channels):
            raise AudioError(f"{path}: {reason}")
        resampler = _av().AudioResampler(format="flt", layout="mono", rate=rate)
        blocks, n_frames = [np.zeros(0, np.float32)], 0
        for frame in itertools.chain(container.decode(audio=0), [None]):
            blocks += [block.to_ndarray()[0] for block in resampler.resample(frame)]
            n_frames += frame.samples if frame else 0
            if reason := _implausible(n_frames, rate, 1):
                raise AudioError(f"{path}: {reason}")
    return np.concatenate(blocks), rate


def decode(source: Path | bytes) -> np.ndarray:
    """Mono float32 at 16 kHz, shape (n_samples,); soxr HQ resampling. Raises AudioError.

    Example (any clip of yours)::

        waveform = decode(Path("OAF_back_angry.wav"))
        waveform.shape[0] / 16_000            # seconds
    """
    samples, rate = read(source)
    if rate != SAMPLE_RATE_HZ:
        import soxr

        samples = soxr.resample(samples, rate, SAMPLE_RATE_HZ, quality="HQ")
    return np.ascontiguousarray(samples, dtype=np.float32)


def version() -> str:
    """The version of decoded samples: of this module and of the decoder library."""
    import soundfile

    return f"{CACHE_VERSION}-{soundfile.__libsndfile_version__}"


def write_synthetic(path: Path, waveform: np.ndarray, sample_rate_hz: int) -> None:
    """Write a mono 16-bit wav whose header says that it is synthetic, wherever it is copied to."""
    import soundfile

    buffer = io.BytesIO()  # libsndfile says "System error." of a full disk
    with soundfile.SoundFile(
        buffer, "w", sample_rate_hz, 1, subtype="PCM_16", format="WAV"
    ) as sound:
        sound.comment = SYNTHETIC_COMMENT
        sound.write(waveform)
    path.write_bytes(buffer.getbuffer())


def flac_bytes(waveform: np.ndarray) -> bytes:
    """A 16 kHz mono waveform, shape (n_samples,), as 16-bit FLAC."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(
        buffer, np.clip(waveform, -1, 1), SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16"
    )
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Content:
    """The facts of a clip that only decoding can tell."""

    peak: float
    """In [0, 1]."""
    sha256: str
    """Hash of the samples (16-bit): container and header do not count."""


def content(path: Path) -> Content:
    """Peak and sample hash of a sound file; raises AudioError."""
    return content_of(read(path)[0])


def content_of(samples: np.ndarray) -> Content:
    """Peak and hash of a clip's samples, as `read` gives them."""
    digest, peak = hashlib.sha256(), 0.0
    # of a long clip no second and third copy is made
    for start in range(0, len(samples), _BLOCK_FRAMES):
        block = samples[start : start + _BLOCK_FRAMES]
        digest.update(np.round(block * 32767).astype("<i2").tobytes())
        peak = max(peak, float(np.abs(block).max()))
    return Content(peak, digest.hexdigest())
