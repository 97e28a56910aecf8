"""Classical prosodic and spectral functionals of one clip: what a learned encoder has to beat.

One short-time Fourier transform (Hann window of 40 ms, a frame each 10 ms, 1024 points) serves everything: its power gives
the spectral descriptors, and the inverse transform of that power the autocorrelation that pitch is read from. The first and
last audible frame bound what is described, so leading and trailing digital silence does not count.

Sources: the descriptors and functionals follow eGeMAPS (Eyben et al. 2016, doi 10.1109/TAFFC.2015.2457417), formants left
out; pitch is the autocorrelation divided by that of the window (Boersma 1993, Proc. IFA 17), searched twice, the second time
within the range that the speaker used (De Looze & Hirst 2008, Speech Prosody); loudness is the power law with exponent 0.3
(Stevens 1957, doi 10.1037/h0046162); its modulation spectrum follows Houtgast & Steeneken 1985 (doi 10.1121/1.392224).

Gain: no number depends on it. Power is divided by its mean, so a clip and the same clip at a tenth of its amplitude get the
same features up to rounding; how near the microphone was is a fact of the corpus. A clip below -100 dBFS RMS is silence.

Neutral values: without a voiced frame F0 is 31 semitones above 27.5 Hz (165 Hz, between adult men and women), its spreads
and slopes are 0, and descriptors of voiced frames are taken over all audible ones. So every number is finite, always.

>>> tone = np.sign(np.sin(2 * np.pi * 220 * np.arange(16_000) / SAMPLE_RATE_HZ)).astype(np.float32)
>>> features = dict(zip(FEATURE_NAMES, functionals(tone), strict=True))
>>> round(float(features["f0_semitone_mean"]))  # 220 Hz is three octaves above 27.5 Hz
36
"""

from functools import cache
from typing import NamedTuple

import numpy as np

VERSION = "1"
"""Changes whenever any number moves, so that cached features are not mixed."""

SAMPLE_RATE_HZ = 16_000
"""The only sample rate that `functionals` understands."""

_FRAMES_PER_S = 100
_HOP = SAMPLE_RATE_HZ // _FRAMES_PER_S
_WINDOW = 640
_FFT = 1024
_BIN_HZ = SAMPLE_RATE_HZ / _FFT
_BINS = _FFT // 2 + 1
_MEL_BANDS = 40
_CEPSTRA = 12
_SILENT_RMS = 1e-5
_POWER_FLOOR = 1e-7  # of the mean power: -70 dB keeps digital zeros from deciding means of logarithms
_AUDIBLE_DB = 40.0  # below the loud frames (95th percentile)
_VOICED_DB = 30.0
_VOICED_PERIODICITY = 0.6
_OCTAVE_COST = 0.02  # periodicity a candidate loses for each octave below the highest pitch
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 600.0
_NEUTRAL_SEMITONE = 31.0
_LARGEST_STEP = 3.0  # semitones a frame; what is larger is an octave error, not intonation
_MODULATION_HZ = (0, 2, 4, 8, 16, 50)

_SPECTRAL = (
    "centroid_khz", "bandwidth_khz", "alpha_ratio_db", "hammarberg_db", "slope_0_500", "slope_500_1500", "flatness", "flux",
    "hnr_db", "h1_h2_db", "h1_a3_db",
)  # fmt: skip
_SPREAD = ("mean", "std", "p20", "p50", "p80", "range")
_F0 = (*_SPREAD, "p3", "p97", "rise", "fall", "step", "delta_std", "skew", "trend", "final_third", "peak_position")
_LOUDNESS = (*_SPREAD, "rise", "fall", "delta_std", "skew", "peak_position", "peaks_per_s")
_LEVEL = ("range", "voiced_mean", "voiced_std", "voiced_skew", "voiced_trend")
_TEMPO = (
    "jitter", "shimmer_db", "voiced_ratio", "voiced_segments_per_s", "voiced_s_mean", "voiced_s_std", "gap_s_mean", "gap_s_std",
    "pause_ratio", "log_duration",
)  # fmt: skip

FEATURE_NAMES: tuple[str, ...] = (
    *(f"f0_semitone_{name}" for name in _F0),
    *(f"loudness_{name}" for name in _LOUDNESS),
    *(f"loudness_modulation_{low}_{high}hz" for low, high in zip(_MODULATION_HZ, _MODULATION_HZ[1:], strict=False)),
    *(f"level_db_{name}" for name in _LEVEL),
    *_TEMPO,
    *(f"{track}_{name}" for name in ("mean", "std", "delta_std") for track in _SPECTRAL),
    *(f"mfcc{order}_{name}" for name in ("mean", "delta_std") for order in range(1, _CEPSTRA + 1)),
)
"""What each of the D numbers is, in order. Spectral tracks and MFCCs: `mean` and `std` over voiced frames, `delta_std` over
audible ones. `f0_semitone` counts from 27.5 Hz; `rise`, `fall` and `trend` are per second, positions from 0 to 1, `range`
is p80 - p20, `step` the median change from frame to frame, `final_third` the last third's mean less the first third's."""


class _Tables(NamedTuple):
    window: np.ndarray  # (640,)
    bands: object  # sparse (40 mel bands + 6 sums, 513)
    window_autocorrelation: np.ndarray  # (512,), 1 at lag 0


class _Frames(NamedTuple):
    power: np.ndarray  # (frames, 513), mean 1
    mel: np.ndarray  # (40, frames)
    sums: np.ndarray  # (6, frames): all, A-weighted, 50-1000 Hz, 1-5 kHz, first and second moment in kHz
    level_db: np.ndarray  # (frames,), of the clip's mean power
    audible: np.ndarray  # (frames,) bool


class _Pitch(NamedTuple):
    hz: np.ndarray  # (frames,), meaningful where voiced
    periodicity: np.ndarray  # (frames,), autocorrelation at one period
    voiced: np.ndarray  # (frames,) bool


def functionals(waveform: np.ndarray) -> np.ndarray:
    """Return the features of one clip: mono float32 in [-1, 1] at 16 kHz, shape (samples,) -> float32, shape (D,).

    Any length will do, 0 included. Names, units and neutral values: `FEATURE_NAMES` and the module's docstring.

    >>> functionals(np.zeros(0, np.float32)).shape == (len(FEATURE_NAMES),)
    True
    """
    frames = _frames(_checked(waveform))
    pitch = _pitch(frames.power, frames.level_db)
    described = pitch.voiced if pitch.voiced.any() else frames.audible
    level_db = _decibel(frames.sums[1])
    log_mel = np.log(frames.mel)
    values = (
        *_f0(pitch),
        *_loudness((frames.mel ** np.float32(0.3)).mean(axis=0, dtype=np.float64)),
        *_level(level_db, described),
        *_tempo(pitch, level_db, frames.audible),
        *_summary(_spectral(frames, pitch, log_mel), described, frames.audible, with_std=True),
        *_summary(_cepstra(log_mel), described, frames.audible, with_std=False),
    )
    return np.array(values, dtype=np.float32)


@cache
def _tables() -> _Tables:
    import librosa
    from scipy.sparse import csr_array

    hz = np.arange(_BINS) * _BIN_HZ
    khz = hz / 1000
    mel = librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=_FFT, n_mels=_MEL_BANDS, fmin=20, htk=True, norm=None)
    a_weight = np.append(0.0, 10 ** (librosa.A_weighting(hz[1:]) / 10))
    sums = [np.ones(_BINS), a_weight, (hz >= 50) & (hz < 1000), (hz >= 1000) & (hz < 5000), khz, khz**2]
    window = np.hanning(_WINDOW + 1)[:-1]
    autocorrelation = np.fft.irfft(np.abs(np.fft.rfft(window, _FFT)) ** 2)[: _FFT // 2]
    # A sparse product, because a dense one goes to BLAS, whose rounding may depend on the number of threads.
    bands = csr_array(np.concatenate([mel, sums]).astype(np.float32))
    return _Tables(window.astype(np.float32), bands, (autocorrelation / autocorrelation[0]).astype(np.float32))


def _checked(waveform: np.ndarray) -> np.ndarray:
    samples = np.asarray(waveform, dtype=np.float64)
    if samples.ndim != 1:
        raise ValueError(f"expected a mono waveform of shape (samples,), got shape {samples.shape}")
    samples = np.pad(samples, (0, max(0, _WINDOW - samples.size)))
    samples = samples - samples.mean() if samples.any() else samples
    rms = np.sqrt(np.mean(samples**2))
    if not np.isfinite(rms):
        raise ValueError("expected finite samples, got NaN or infinity")
    return (samples / rms if rms > _SILENT_RMS else np.zeros_like(samples)).astype(np.float32)


def _frames(samples: np.ndarray) -> _Frames:
    from scipy.fft import rfft

    window, bands, _ = _tables()
    cut = np.lib.stride_tricks.sliding_window_view(np.pad(samples, _WINDOW // 2), _WINDOW)[::_HOP]
    spectrum = rfft(cut * window, _FFT, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    energy = power.sum(axis=1)
    loud = np.percentile(energy, 95)
    inside = np.flatnonzero(energy >= loud * 10 ** (-_AUDIBLE_DB / 10))
    start = min(inside[0], len(energy) - 3)  # three frames at least, so that differences exist
    power = power[start : max(inside[-1] + 1, start + 3)]
    power = power / (power.mean() + np.float32(1e-20)) + np.float32(_POWER_FLOOR)
    projected = bands @ power.T
    mel, sums = projected[:_MEL_BANDS], projected[_MEL_BANDS:]
    level_db = _decibel(sums[0] / _BINS)
    return _Frames(power, mel, sums, level_db, level_db >= np.percentile(level_db, 95) - _AUDIBLE_DB)


def _pitch(power: np.ndarray, level_db: np.ndarray) -> _Pitch:
    from scipy.fft import irfft

    lags = np.arange(int(SAMPLE_RATE_HZ / _HIGHEST_HZ) - 1, int(SAMPLE_RATE_HZ / _LOWEST_HZ) + 2)
    around = slice(lags[0] - 1, lags[-1] + 2)
    raw = irfft(power, axis=1)
    correlation = raw[:, around] / (raw[:, :1] * _tables().window_autocorrelation[around])
    middle = correlation[:, 1:-1]
    is_peak = (middle >= correlation[:, :-2]) & (middle > correlation[:, 2:])
    cost = (_OCTAVE_COST * np.log2(lags / lags[0])).astype(np.float32)
    score = np.where(is_peak, middle - cost, np.float32(-2))
    loud = level_db > np.percentile(level_db, 95) - _VOICED_DB
    pitch = _best_peak(correlation, score, lags, loud)
    if not pitch.voiced.any():
        return pitch
    low_hz, high_hz = np.percentile(pitch.hz[pitch.voiced], [25, 75]) * (0.7, 1.8)
    in_range = (lags > SAMPLE_RATE_HZ / high_hz) & (lags < SAMPLE_RATE_HZ / low_hz)
    return _best_peak(correlation, np.where(in_range, score, np.float32(-2)), lags, loud)


def _best_peak(correlation: np.ndarray, score: np.ndarray, lags: np.ndarray, loud: np.ndarray) -> _Pitch:
    rows, best = np.arange(len(score)), score.argmax(axis=1)
    left, centre, right = (correlation[rows, best + offset].astype(np.float64) for offset in range(3))
    curvature = left - 2 * centre + right
    shift = np.clip(np.where(curvature < 0, (left - right) / (2 * np.minimum(curvature, -1e-9)), 0), -0.5, 0.5)
    voiced = _without_short_runs(loud & (score[rows, best] > _VOICED_PERIODICITY))
    return _Pitch(SAMPLE_RATE_HZ / (lags[best] + shift), centre - (left - right) * shift / 4, voiced)


def _spectral(frames: _Frames, pitch: _Pitch, log_mel: np.ndarray) -> np.ndarray:
    total, _, low, high, first, second = frames.sums
    log_power = _decibel(frames.power[:, : int(1500 / _BIN_HZ) + 1])
    centroid = first / total
    shape = np.sqrt(frames.mel)
    shape /= shape.sum(axis=0)
    periodicity = np.clip(pitch.periodicity, 0.01, 0.999)
    h1, h2 = _harmonic_db(frames.power, pitch.hz), _harmonic_db(frames.power, 2 * pitch.hz)
    return np.stack([
        centroid,
        np.sqrt(np.maximum(second / total - centroid**2, 0)),
        _decibel(low / high),
        _peak_db(frames.power, 0, 2000) - _peak_db(frames.power, 2000, 5000),
        _spectral_slope(log_power, 0, 500),
        _spectral_slope(log_power, 500, 1500),
        log_mel.mean(axis=0) - np.log(frames.mel.mean(axis=0)),
        np.sqrt((np.diff(shape, axis=1, prepend=shape[:, :1]) ** 2).sum(axis=0)),
        _decibel(periodicity / (1 - periodicity)),
        h1 - h2,
        h1 - _peak_db(frames.power, 2000, 3500),
    ])  # fmt: skip


def _cepstra(log_mel: np.ndarray) -> np.ndarray:
    from scipy.fft import dct

    return dct(log_mel, axis=0, norm="ortho")[1 : _CEPSTRA + 1]


def _summary(tracks: np.ndarray, described: np.ndarray, audible: np.ndarray, with_std: bool) -> np.ndarray:
    tracks = tracks.astype(np.float64)
    inside = tracks[:, described]
    # The centre frame decides, and one is always audible in the middle unless all sound is at the rim.
    centres = audible[1:-1] if audible[1:-1].any() else slice(None)
    deltas = (tracks[:, 2:] - tracks[:, :-2])[:, centres]
    spread = [inside.std(axis=1)] if with_std else []
    return np.concatenate([inside.mean(axis=1), *spread, deltas.std(axis=1)])


def _f0(pitch: _Pitch) -> list[float]:
    voiced = pitch.voiced
    at = np.flatnonzero(voiced) if voiced.any() else np.zeros(1, dtype=int)
    semitone = 12 * np.log2(pitch.hz / 27.5)
    contour = semitone[at] if voiced.any() else np.full(1, _NEUTRAL_SEMITONE)
    step = _steps(semitone, voiced)
    small = step[np.abs(step) < _LARGEST_STEP]
    wide = (semitone[2:] - semitone[:-2])[voiced[2:] & voiced[1:-1] & voiced[:-2]]
    third = max(1, len(contour) // 3)
    return [
        *_spread(contour),
        *np.percentile(contour, [3, 97]),
        _mean(small[small > 0]) * _FRAMES_PER_S,
        _mean(small[small < 0]) * _FRAMES_PER_S,
        np.median(np.abs(step)) if step.size else 0.0,
        np.clip(wide, -_LARGEST_STEP, _LARGEST_STEP).std() if wide.size else 0.0,
        _skew(contour),
        _trend(at, contour),
        contour[-third:].mean() - contour[:third].mean(),
        at[contour.argmax()] / len(voiced) if voiced.any() else 0.5,
    ]


def _loudness(loudness: np.ndarray) -> list[float]:
    step = np.diff(loudness) * _FRAMES_PER_S
    log = np.log(loudness)
    smooth = np.convolve(loudness, np.full(5, 0.2), "same")[: len(loudness)]
    inner = smooth[1:-1]
    peaks = (inner > smooth[:-2]) & (inner >= smooth[2:]) & (inner > smooth.mean())
    return [
        *_spread(loudness),
        _mean(step[step > 0]),
        _mean(step[step < 0]),
        (log[2:] - log[:-2]).std(),
        _skew(loudness),
        loudness.argmax() / len(loudness),
        peaks.sum() * _FRAMES_PER_S / len(loudness),
        *_modulation(loudness),
    ]


def _modulation(loudness: np.ndarray) -> list[float]:
    points = max(256, 1 << (len(loudness) - 1).bit_length())
    power = np.abs(np.fft.rfft(loudness - loudness.mean(), points)) ** 2
    share = np.cumsum(power) / (power.sum() + 1e-9)
    edges = np.array(_MODULATION_HZ) * points // _FRAMES_PER_S
    return [np.log(share[high] - share[low] + 1e-4) for low, high in zip(edges, edges[1:], strict=False)]


def _level(level_db: np.ndarray, described: np.ndarray) -> list[float]:
    inside = level_db[described].astype(np.float64)
    return [_spread(level_db)[-1], inside.mean(), inside.std(), _skew(inside), _trend(np.flatnonzero(described), inside)]


def _tempo(pitch: _Pitch, level_db: np.ndarray, audible: np.ndarray) -> list[float]:
    duration_s = len(audible) / _FRAMES_PER_S
    starts, ends = _runs(pitch.voiced)
    voiced_s = (ends - starts) / _FRAMES_PER_S
    gap_s = (starts[1:] - ends[:-1]) / _FRAMES_PER_S
    step = np.abs(_steps(12 * np.log2(pitch.hz), pitch.voiced))
    return [
        _mean(step[step < _LARGEST_STEP]),
        _mean(np.abs(_steps(level_db, pitch.voiced))),
        pitch.voiced.mean(),
        len(starts) / duration_s,
        _mean(voiced_s),
        voiced_s.std() if voiced_s.size else 0.0,
        _mean(gap_s),
        gap_s.std() if gap_s.size else 0.0,
        1 - audible.mean(),
        np.log(duration_s),
    ]


def _decibel(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power)


def _peak_db(power: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    return _decibel(power[:, int(low_hz / _BIN_HZ) : int(high_hz / _BIN_HZ)].max(axis=1))


def _harmonic_db(power: np.ndarray, hz: np.ndarray) -> np.ndarray:
    return _decibel(power[np.arange(len(power)), np.rint(hz / _BIN_HZ).astype(int)])


def _spectral_slope(log_power: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    bins = np.arange(int(np.ceil(low_hz / _BIN_HZ)), int(high_hz / _BIN_HZ) + 1)
    khz = (bins - bins.mean()) * _BIN_HZ / 1000
    return (log_power[:, bins] * (khz / (khz**2).sum())).sum(axis=1)


def _steps(track: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    return np.diff(track)[voiced[1:] & voiced[:-1]]


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return edges[::2], edges[1::2]


def _without_short_runs(mask: np.ndarray) -> np.ndarray:
    core = mask[:-2] & mask[1:-1] & mask[2:]
    opened = np.zeros_like(mask)
    for shift in range(3):
        opened[shift : len(mask) - 2 + shift] |= core
    return opened


def _spread(values: np.ndarray) -> list[float]:
    p20, p50, p80 = np.percentile(values, [20, 50, 80])
    return [values.mean(), values.std(), p20, p50, p80, p80 - p20]


def _mean(values: np.ndarray) -> float:
    return values.mean() if values.size else 0.0


def _skew(values: np.ndarray) -> float:
    centred = values - values.mean()
    return (centred**3).mean() / (values.std() ** 3 + 1e-6)


def _trend(at: np.ndarray, values: np.ndarray) -> float:
    seconds = (at - at.mean()) / _FRAMES_PER_S
    return (seconds * values).sum() / max((seconds**2).sum(), 1e-3)
