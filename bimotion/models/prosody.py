"""Classical prosodic and spectral functionals of one clip: what a learned encoder has to beat.

One short-time Fourier transform (Hann window of 40 ms, a frame each 10 ms) serves everything: its
power gives the spectral descriptors, and the transform of that power the autocorrelation that pitch
is read from. Digital silence before and after the sound does not count; room noise does.

Sources: descriptors and functionals follow eGeMAPS (Eyben et al. 2016, doi
10.1109/TAFFC.2015.2457417), no formants; pitch is the autocorrelation divided by that of the window
(Boersma 1993, Proc. IFA 17), searched twice, the second time within the range that the speaker used
(De Looze & Hirst 2008, Speech Prosody); loudness is the power law with exponent 0.3 (Stevens 1957,
doi 10.1037/h0046162), its modulation spectrum as in Houtgast & Steeneken 1985 (10.1121/1.392224).

Gain: no number depends on it. Power is divided by its mean, so a clip and the same clip at a tenth
of its amplitude get the same features up to rounding; how near the microphone was is a fact of the
corpus. Below -100 dBFS RMS: silence.

Neutral values: without a voiced frame F0 is 31 semitones above 27.5 Hz (165 Hz, between adult men
and women), its spreads and slopes are 0, and descriptors of voiced frames are taken over audible
ones. So every number is finite.

>>> tone = np.sign(np.sin(2 * np.pi * 220 * np.arange(16_000) / SAMPLE_RATE_HZ)).astype(np.float32)
>>> features = dict(zip(FEATURE_NAMES, functionals(tone), strict=True))
>>> round(float(features["f0_semitone_mean"]))  # 220 Hz is three octaves above 27.5 Hz
36
"""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

SAMPLE_RATE_HZ = 16_000
"""The only sample rate that `functionals` understands."""

_FRAMES_PER_S = 100
_HOP = SAMPLE_RATE_HZ // _FRAMES_PER_S
_WINDOW = 640
_FFT = 1024
# frames transformed at once: touching fresh memory takes longer than the transform itself
_BLOCK = 24
_BIN_HZ = SAMPLE_RATE_HZ / _FFT
_BINS = _FFT // 2 + 1
_MEL_BANDS = 40
_LOWEST_MEL_HZ = 20
_CEPSTRA = 12
_SILENT_RMS = 1e-5
# of the mean power: -70 dB keeps digital zeros from deciding means of logarithms
_POWER_FLOOR = 1e-7
_AUDIBLE_DB = 40.0  # this and the next two: below the loudest frame
_VOICED_DB = 30.0
_TRIMMED_DB = 60.0  # takes digital silence away and leaves room noise
_VOICED_PERIODICITY = 0.6
_OCTAVE_COST = 0.02  # periodicity a candidate loses for each octave below the highest pitch
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 600.0
_PITCH_BAND_HZ = 2500.0
_LAGS_PER_S = SAMPLE_RATE_HZ // 2  # enough for that band
_NEUTRAL_SEMITONE = 31.0
_LARGEST_STEP = 3.0  # semitones a frame; what is larger is an octave error, not intonation
_MODULATION_HZ = (0, 2, 4, 8, 16, 50)

_TRACKS = """
level_db centroid_khz bandwidth_khz alpha_ratio_db hammarberg_db flatness flux hnr_db h1_h2_db
h1_a3_db
"""
_SPREAD = ("mean", "std", "p20", "p50", "p80", "range")
_F0 = (*_SPREAD, "rise", "fall", "delta_std", "trend", "peak_position")
_LOUDNESS = (*_SPREAD, "rise", "fall", "delta_std", "peak_position", "peaks_per_s")
_TEMPO = """
voiced_ratio voiced_segments_per_s voiced_s_mean voiced_s_std gap_s_mean gap_s_std pause_ratio
log_duration
"""

FEATURE_NAMES: tuple[str, ...] = (
    *(f"f0_semitone_{name}" for name in _F0),
    *(f"loudness_{name}" for name in _LOUDNESS),
    *(f"loudness_modulation_{low}_{high}hz" for low, high in pairwise(_MODULATION_HZ)),
    *_TEMPO.split(),
    *(f"{track}_{name}" for name in ("mean", "std", "delta_std") for track in _TRACKS.split()),
    *(f"mfcc{order}_{name}" for name in ("mean", "delta_std") for order in range(1, _CEPSTRA + 1)),
)
"""What the D numbers are, in order. Tracks and MFCCs: `mean`, `std` over voiced frames, `delta_std`
over audible ones. `f0_semitone` counts from 27.5 Hz, `level_db` (A-weighted) and `loudness` from
the clip's mean power; `range` is p80 - p20; `rise`, `fall` and `trend` are per second;
`peak_position` runs from 0 to 1; gaps are between voicings."""


class _Frames(NamedTuple):
    power: np.ndarray  # (frames, 513), mean 1
    mel: np.ndarray  # (40, frames)
    # (6, frames): all, A-weighted, 50-1000 Hz, 1-5 kHz, first and second moment in kHz
    sums: np.ndarray
    level_db: np.ndarray  # (frames,), of all power, 0 in the loudest frame


class _Pitch(NamedTuple):
    hz: np.ndarray  # (frames,), meaningful where voiced
    periodicity: np.ndarray  # (frames,), autocorrelation at one period
    voiced: np.ndarray  # (frames,) bool


def functionals(waveform: np.ndarray) -> np.ndarray:
    """Return the features of one clip: mono float32 in [-1, 1] at 16 kHz, shape (samples,) ->
    float32, shape (D,).

    Any length will do, 0 included. Names, units and neutral values: `FEATURE_NAMES` and the
    module's docstring.

    >>> functionals(np.zeros(0, np.float32)).shape == (len(FEATURE_NAMES),)
    True
    """
    from scipy.fft import dct

    frames = _frames(_checked(waveform))
    pitch = _pitch(frames)
    audible = frames.level_db >= -_AUDIBLE_DB
    described = pitch.voiced if pitch.voiced.any() else audible
    log_mel = np.log(frames.mel)
    tracks = _tracks(frames, pitch, log_mel)
    values = (
        *_f0(pitch),
        *_loudness((frames.mel ** np.float32(0.3)).mean(axis=0, dtype=np.float64)),
        *_tempo(pitch.voiced, audible),
        *_summary(tracks, described, audible, with_std=True),
        *_summary(
            dct(log_mel, axis=0, norm="ortho")[1 : _CEPSTRA + 1], described, audible, with_std=False
        ),
    )
    return np.array(values, dtype=np.float32)


@cache
def _tables() -> tuple[np.ndarray, object, np.ndarray, np.ndarray]:
    """Window; sparse mel bands and sums (46, 513); the window's autocorrelation, 1 at lag 0;
    low-pass for pitch."""
    from scipy.sparse import csr_array

    hz = np.arange(_BINS) * _BIN_HZ
    khz = hz / 1000
    low, high = (hz >= 50) & (hz < 1000), (hz >= 1000) & (hz < 5000)
    sums = [np.ones(_BINS), _a_weight(hz), low, high, khz, khz**2]
    window = np.hanning(_WINDOW + 1)[:-1]
    autocorrelation = np.fft.irfft(np.abs(np.fft.rfft(window, _FFT)) ** 2)[:_BINS]
    # A sparse product, because a dense one goes to BLAS, whose rounding may depend on the number of
    # threads.
    bands = csr_array(np.concatenate([_mel_bank(hz), sums]).astype(np.float32))
    # Without the low-pass a period between two lags has a lower peak than its multiples: an octave
    # error.
    lowpass = np.cos(np.pi / 2 * np.minimum(hz[hz <= _LAGS_PER_S / 2] / _PITCH_BAND_HZ, 1)) ** 2
    correlation_of_window = autocorrelation[:: SAMPLE_RATE_HZ // _LAGS_PER_S] / autocorrelation[0]
    return (
        window.astype(np.float32),
        bands,
        correlation_of_window.astype(np.float32),
        lowpass.astype(np.float32),
    )


def _mel_bank(hz: np.ndarray) -> np.ndarray:
    """Weights of the mel bands at frequencies, shape (40, len(hz)): triangles of height 1, corners
    even on HTK's mel scale."""
    lowest_mel, highest_mel = 2595 * np.log10(
        1 + np.array([_LOWEST_MEL_HZ, SAMPLE_RATE_HZ / 2]) / 700
    )
    corners = 700 * (10 ** (np.linspace(lowest_mel, highest_mel, _MEL_BANDS + 2) / 2595) - 1)
    width = np.diff(corners)[:, None]
    rising = (hz - corners[:-2, None]) / width[:-1]
    falling = (corners[2:, None] - hz) / width[1:]
    return np.maximum(0, np.minimum(rising, falling))


def _a_weight(hz: np.ndarray) -> np.ndarray:
    """A-weighting as a factor of power, 1 at 1 kHz (IEC 61672-1, annex E); shape of `hz`."""
    power = hz**2.0
    poles = np.array([20.598997, 107.65265, 737.86223, 12194.217]) ** 2
    middle = np.sqrt((power + poles[1]) * (power + poles[2]))
    gain = poles[3] * power**2 / ((power + poles[0]) * middle * (power + poles[3]))
    return 10**0.2 * gain**2


def _checked(waveform: np.ndarray) -> np.ndarray:
    samples = np.asarray(waveform, dtype=np.float64)
    if samples.ndim != 1:
        raise ValueError(f"expected a mono waveform of shape (samples,), got shape {samples.shape}")
    samples = np.pad(samples, (0, max(0, _WINDOW - samples.size)))
    if not np.isfinite(samples).all():
        raise ValueError("expected finite samples, got NaN or infinity")
    samples -= samples.mean()
    rms = np.sqrt(np.mean(samples**2))
    return (samples / rms if rms > _SILENT_RMS else np.zeros_like(samples)).astype(np.float32)


def _frames(samples: np.ndarray) -> _Frames:
    from scipy.fft import rfft

    window, bands, *_ = _tables()
    cut = np.lib.stride_tricks.sliding_window_view(np.pad(samples, _WINDOW // 2), _WINDOW)[::_HOP]
    power = np.empty((len(cut), _BINS), dtype=np.float32)
    for block in (slice(start, start + _BLOCK) for start in range(0, len(cut), _BLOCK)):
        spectrum = rfft(cut[block] * window, _FFT, axis=1)
        power[block] = spectrum.real**2 + spectrum.imag**2
    energy = power.sum(axis=1)
    kept = np.flatnonzero(energy >= energy.max() * 10 ** (-_TRIMMED_DB / 10))
    start = min(kept[0], len(energy) - 3)  # three frames at least, so that differences exist
    power = power[start : max(kept[-1] + 1, start + 3)]
    power /= power.mean() + np.float32(1e-20)
    power += np.float32(_POWER_FLOOR)
    projected = bands @ power.T
    mel, sums = projected[:_MEL_BANDS], projected[_MEL_BANDS:]
    level_db = _decibel(sums[0])
    return _Frames(power, mel, sums, level_db - level_db.max())


def _pitch(frames: _Frames) -> _Pitch:
    from scipy.fft import dct

    lags = np.arange(int(_LAGS_PER_S / _HIGHEST_HZ) - 1, int(_LAGS_PER_S / _LOWEST_HZ) + 2)
    around = slice(lags[0] - 1, lags[-1] + 2)
    _, _, correlation_of_window, lowpass = _tables()
    # The transform of a real, even spectrum is its inverse transform, up to a factor.
    raw = dct(frames.power[:, : len(lowpass)] * lowpass, type=1, axis=1)
    correlation = raw[:, around] / (raw[:, :1] * correlation_of_window[around])
    left, centre, right = correlation[:, :-2], correlation[:, 1:-1], correlation[:, 2:]
    is_peak = (centre >= left) & (centre > right)
    shift = (right - left) / np.where(is_peak, 2 * (2 * centre - left - right), np.float32(np.inf))
    height = centre + (right - left) * shift / 4
    hz = _LAGS_PER_S / (lags + shift)
    score = np.where(
        is_peak,
        height - (_OCTAVE_COST * np.log2(lags / lags[0])).astype(np.float32),
        np.float32(-2),
    )
    loud = frames.level_db > -_VOICED_DB
    pitch = _best_peak(hz, height, score, loud)
    if not pitch.voiced.any():
        return pitch
    low_hz, high_hz = _quantiles(pitch.hz[pitch.voiced], 0.25, 0.75) * (0.7, 1.8)
    return _best_peak(
        hz, height, np.where((hz > low_hz) & (hz < high_hz), score, np.float32(-2)), loud
    )


def _best_peak(hz: np.ndarray, height: np.ndarray, score: np.ndarray, loud: np.ndarray) -> _Pitch:
    best = np.arange(len(score)), score.argmax(axis=1)
    voiced = loud & (score[best] > _VOICED_PERIODICITY)
    return _Pitch(hz[best], height[best], _without_short_runs(voiced))


def _tracks(frames: _Frames, pitch: _Pitch, log_mel: np.ndarray) -> np.ndarray:
    """Descriptors by frame, shape (10, frames), in the order of `_TRACKS`."""
    power, (total, a_weighted, low, high, first, second) = frames.power, frames.sums
    centroid = first / total
    shape = np.sqrt(frames.mel)
    shape /= shape.sum(axis=0)
    periodicity = np.clip(pitch.periodicity, 0.01, 0.999)
    h1 = _harmonic_db(power, pitch.hz)
    tracks = (
        _decibel(a_weighted / _BINS),
        centroid,
        np.sqrt(np.maximum(second / total - centroid**2, 0)),
        _decibel(low / high),
        _peak_db(power, 0, 2000) - _peak_db(power, 2000, 5000),
        log_mel.mean(axis=0) - np.log(frames.mel.mean(axis=0)),
        np.sqrt((np.diff(shape, axis=1, prepend=shape[:, :1]) ** 2).sum(axis=0)),
        _decibel(periodicity / (1 - periodicity)),
        h1 - _harmonic_db(power, 2 * pitch.hz),
        h1 - _peak_db(power, 2000, 3500),
    )
    return np.stack(tracks).astype(np.float64)


def _summary(
    tracks: np.ndarray, described: np.ndarray, audible: np.ndarray, with_std: bool
) -> np.ndarray:
    inside = tracks[:, described].astype(np.float64)
    centres = audible[1:-1] if audible[1:-1].any() else slice(None)
    deltas = (tracks[:, 2:] - tracks[:, :-2])[:, centres]
    return np.concatenate(
        [inside.mean(axis=1), *([inside.std(axis=1)] if with_std else []), deltas.std(axis=1)]
    )


def _f0(pitch: _Pitch) -> list[float]:
    at = np.flatnonzero(pitch.voiced)
    if not at.size:
        return [*_spread(np.full(1, _NEUTRAL_SEMITONE)), 0.0, 0.0, 0.0, 0.0, 0.5]
    semitone = 12 * np.log2(pitch.hz / 27.5)
    step = np.diff(semitone)[pitch.voiced[1:] & pitch.voiced[:-1]]
    delta = (semitone[2:] - semitone[:-2])[
        pitch.voiced[2:] & pitch.voiced[1:-1] & pitch.voiced[:-2]
    ]
    seconds = (at - at.mean()) / _FRAMES_PER_S
    return [
        *_spread(semitone[at]),
        *_rise_and_fall(step[np.abs(step) < _LARGEST_STEP]),
        np.clip(delta, -_LARGEST_STEP, _LARGEST_STEP).std(),
        (seconds * semitone[at]).sum() / (seconds**2).sum(),
        at[semitone[at].argmax()] / len(semitone),
    ]


def _loudness(loudness: np.ndarray) -> list[float]:
    log = np.log(loudness)
    smooth = np.convolve(loudness, np.full(5, 0.2), "same")[: len(loudness)]
    inner = smooth[1:-1]
    peaks = (inner > smooth[:-2]) & (inner >= smooth[2:]) & (inner > smooth.mean())
    return [
        *_spread(loudness),
        *_rise_and_fall(np.diff(loudness)),
        (log[2:] - log[:-2]).std(),
        loudness.argmax() / len(loudness),
        peaks.sum() * _FRAMES_PER_S / len(loudness),
        *_modulation(loudness),
    ]


def _modulation(loudness: np.ndarray) -> list[float]:
    points = max(256, 1 << (len(loudness) - 1).bit_length())
    power = np.abs(np.fft.rfft(loudness - loudness.mean(), points)) ** 2
    share = np.cumsum(power) / (power.sum() + 1e-9)
    edges = np.array(_MODULATION_HZ) * points // _FRAMES_PER_S
    return [np.log(share[high] - share[low] + 1e-4) for low, high in pairwise(edges)]


def _tempo(voiced: np.ndarray, audible: np.ndarray) -> list[float]:
    duration_s = len(voiced) / _FRAMES_PER_S
    edges = np.flatnonzero(np.diff(voiced, prepend=False, append=False))
    lengths_s = np.diff(edges) / _FRAMES_PER_S
    return [
        voiced.mean(),
        len(edges) / 2 / duration_s,
        *_mean_and_std(lengths_s[::2]),
        *_mean_and_std(lengths_s[1::2]),
        1 - audible.mean(),
        np.log(duration_s),
    ]


def _decibel(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power)


def _peak_db(power: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    return _decibel(power[:, int(low_hz / _BIN_HZ) : int(high_hz / _BIN_HZ)].max(axis=1))


def _harmonic_db(power: np.ndarray, hz: np.ndarray) -> np.ndarray:
    return _decibel(power[np.arange(len(power)), np.rint(hz / _BIN_HZ).astype(int)])


def _without_short_runs(mask: np.ndarray) -> np.ndarray:
    core = mask[:-2] & mask[1:-1] & mask[2:]
    opened = np.zeros_like(mask)
    for shift in range(3):
        opened[shift : len(mask) - 2 + shift] |= core
    return opened


def _spread(values: np.ndarray) -> list[float]:
    p20, p50, p80 = _quantiles(values, 0.2, 0.5, 0.8)
    return [*_mean_and_std(values), p20, p50, p80, p80 - p20]


def _quantiles(values: np.ndarray, *shares: float) -> np.ndarray:
    # As np.percentile, which takes eight times as long on so few values.
    return np.interp(np.array(shares) * (len(values) - 1), np.arange(len(values)), np.sort(values))


def _mean_and_std(values: np.ndarray) -> list[float]:
    return [values.mean(), values.std()] if values.size else [0.0, 0.0]


def _rise_and_fall(step: np.ndarray) -> list[float]:
    return [_FRAMES_PER_S * _mean_and_std(part)[0] for part in (step[step > 0], step[step < 0])]
