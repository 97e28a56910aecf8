"""The only reader of samples: header facts without decoding, decoding to mono 16 kHz, FLAC encoding."""

import hashlib
import io
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from bimotion.errors import AudioError, MissingExtra

AUDIO_VERSION = "1"  # of decoding and resampling; with libsndfile's own in every cache key
SAMPLE_RATE_HZ = 16_000
SYNTHETIC_COMMENT = "SYNTHETIC: made by formulas, not speech of people"
SILENCE_PEAK = 1e-4  # -80 dB of full scale
VIDEO_SUFFIXES = frozenset({".mp4", ".m4a", ".mov"})
POINTER = b"version https://git-lfs"
_UNKNOWN_RIFF_SIZES = frozenset({0, 0xFFFFFFFF})  # written by programs that stream to a pipe


@dataclass(frozen=True, slots=True)
class Header:
    """What a sound file says of itself. `problem`: a kind of Finding that makes it unusable, or None. `synthetic`: it bears
    the comment that `write_synthetic` leaves.

    n_frames (samples per channel), sample_rate_hz and n_channels are 0 where there is a problem.
    """

    n_frames: int
    sample_rate_hz: int
    n_channels: int
    container: str
    problem: str | None = None
    detail: str = ""
    synthetic: bool = False

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
    riff_bytes = int.from_bytes(start[4:8], "little")
    if start[:4] == b"RIFF" and riff_bytes not in _UNKNOWN_RIFF_SIZES and riff_bytes + 8 > n_bytes + 1:
        return _broken("truncated", f"header announces {riff_bytes + 8} bytes, found {n_bytes}")
    import soundfile

    try:
        with soundfile.SoundFile(_native(path)) as sound:
            if not sound.frames:
                return _broken("empty", "no samples")
            synthetic = sound.comment == SYNTHETIC_COMMENT
            return Header(sound.frames, sound.samplerate, sound.channels, sound.format, synthetic=synthetic)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        return _broken("unreadable", str(error).partition(": ")[2] or str(error))


def _native(path: Path) -> str | bytes:
    """As libsndfile's binding opens it: names that are not UTF-8 are legal on Unix, where it takes them as bytes only."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


def _broken(problem: str, detail: str) -> Header:
    return Header(0, 0, 0, "", problem, detail)


def _av():
    try:
        import av
    except ImportError:
        raise MissingExtra("av", "video", "reading the sound of mp4 files") from None
    return av


def _video_header(path: Path) -> Header:
    av = _av()
    try:
        with av.open(path) as container:
            if not container.streams.audio:
                return _broken("unreadable", "video without sound")
            stream = container.streams.audio[0]
            if stream.duration is not None:
                seconds = stream.duration * stream.time_base
            else:
                seconds = Fraction(container.duration or 0, av.time_base)
            rate = stream.rate
            n_frames = round(seconds * rate)
            if not n_frames:
                return _broken("empty", "no samples")
            return Header(n_frames, rate, stream.channels, "MP4")
    except av.error.FFmpegError as error:
        return _broken("unreadable", str(error))


def read(source: Path | bytes) -> tuple[np.ndarray, int]:
    """Samples of a file or of its bytes: float32 in [-1, 1], shape (n_frames,), mono by mean over channels; and Hz.

    Raises AudioError with the path and what was found.
    """
    if isinstance(source, Path) and source.suffix.lower() in VIDEO_SUFFIXES:
        samples, rate = _read_video(source)
    else:
        import soundfile

        try:
            stream = io.BytesIO(source) if isinstance(source, bytes) else _native(source)
            samples, rate = soundfile.read(stream, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
            raise AudioError(f"{_name(source)}: expected sound, found: {error}") from None
        samples = samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]
    if not len(samples):
        raise AudioError(f"{_name(source)}: expected sound, found no samples")
    if not np.isfinite(samples).all():
        raise AudioError(f"{_name(source)}: expected finite samples, found NaN or infinity")
    return samples, rate


def _name(source: Path | bytes) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else str(source)


def _read_video(path: Path) -> tuple[np.ndarray, int]:
    av = _av()
    try:
        with av.open(path) as container:
            rate = container.streams.audio[0].rate
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
            blocks = [
                block.to_ndarray()[0] for frame in (*container.decode(audio=0), None) for block in resampler.resample(frame)
            ]
    except (av.error.FFmpegError, IndexError) as error:
        raise AudioError(f"{path}: expected a video with sound, found: {error}") from None
    return np.concatenate(blocks or [np.zeros(0, np.float32)]), rate


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
    """What decoded samples depend on: this module and the decoder library."""
    import soundfile

    return f"{AUDIO_VERSION}-{soundfile.__libsndfile_version__}"


def write_synthetic(path: Path, waveform: np.ndarray, sample_rate_hz: int) -> None:
    """Write a mono 16-bit wav whose header says that it is synthetic, wherever it is copied to."""
    import soundfile

    with soundfile.SoundFile(_native(path), "w", sample_rate_hz, 1, subtype="PCM_16", format="WAV") as sound:
        sound.comment = SYNTHETIC_COMMENT
        sound.write(waveform)


def flac_bytes(waveform: np.ndarray) -> bytes:
    """A 16 kHz mono waveform, shape (n_samples,), as 16-bit FLAC."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(waveform, -1, 1), SAMPLE_RATE_HZ, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Content:
    """What only decoding can tell: peak in [0, 1], and a hash of the samples (16-bit) that ignores container and header."""

    peak: float
    sha256: str


def content(path: Path) -> Content:
    """Peak and sample hash of a sound file; raises AudioError."""
    samples, _ = read(path)
    pcm = np.round(samples * 32767).astype("<i2")
    return Content(float(np.abs(samples).max()), hashlib.sha256(pcm.tobytes()).hexdigest())
