"""Source-filter synthesis of speech-like clips whose emotional structure is known in advance.

No recording and no text-to-speech is involved: a glottal pulse train and noise pass through formant
resonators (the cascade synthesiser of Klatt 1980, JASA 67:971). Emotion is a point in a
six-dimensional cue space (`CUES`). Language and age group turn that space by known angles
(`cue_rotation`), so a classifier trained in one group meets the same emotions elsewhere in the
space of another: far away across languages, nearby across ages.

The directions of `EMOTION_CUES` follow the reviews of Juslin & Laukka 2003 (Psychol. Bull. 129:770)
and Scherer 2003 (Speech Commun. 40:227); "lip spread" follows Tartter 1980 (Percept. Psychophys.
27:24: smiling raises the formants). All sizes, angles, vowels and tones are round design values,
not measurements: nothing learnt from these clips is a finding about people.
"""

import hashlib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

import numpy as np
from scipy.signal import lfilter, sosfilt

SALT = "1"  # of every random draw: with another one all clips are others
CHAO_SEMITONES, CHAO_MIDDLE = 0.9, 3


@dataclass(frozen=True)
class Language:
    """The sound of a language; voices.toml says what each number is."""

    angle_deg: float
    syllables_per_s: float
    stress_contrast: float
    tunes: np.ndarray
    vowels_hz: list[list[float]]

    @classmethod
    def read(cls, facts: dict) -> "Language":
        """Make a language of its section in voices.toml; tones become semitones around Chao's 3."""
        if "tones" in facts:
            tunes = CHAO_SEMITONES * (np.array(facts.pop("tones")) - CHAO_MIDDLE)
        else:
            tunes = np.array(facts.pop("tunes"))
        return cls(tunes=tunes, **facts)


_DESIGN = tomllib.loads(resources.files(__package__).joinpath("voices.toml").read_text("utf-8"))
CUES = ("pitch level", "pitch range", "energy", "tempo", "brightness", "lip spread")
EMOTION_CUES: dict[str, list[float]] = _DESIGN["emotions"]
LANGUAGES = {name: Language.read(facts) for name, facts in _DESIGN["languages"].items()}

# What one unit of each cue does to the sound, in the order of CUES.
PITCH_SEMITONES = 3.0
RANGE_LOG = 0.5
ENERGY_DB = 4.5
TEMPO_LOG = 0.18
BRIGHTNESS_OCTAVES = 1.0
LIP_SPREAD_LOG = 0.08
CUE_NOISE = 0.42  # sd of each cue between utterances of one emotion, in cue units
INTENSITY_NOISE_LOG = 0.15  # sd of the log strength with which an emotion is expressed
VAGUE_EMOTIONS, VAGUE_NOISE_FACTOR = ("other", "unknown"), 1.8

# Pairs of cues turned into one another. Age and language use different pairs so that their angles
# do not cancel.
LANGUAGE_PLANES = ((0, 3), (4, 1), (5, 2))
ELDERLY_ANGLE_DEG, ELDERLY_PLANES = 36.0, ((0, 1), (2, 4), (3, 5))
ELDERLY_FROM_YEARS = 60
ELDERLY_RATE, ELDERLY_JITTER, ELDERLY_BREATH, ELDERLY_EMOTION = 0.87, 2.5, 1.5, 0.9  # factors
ELDERLY_PITCH_SEMITONES = {"f": -1.5, "m": 0.7}

BASE_PITCH_HZ, TRACT_SCALE = {"f": 200.0, "m": 118.0}, {"f": 1.14, "m": 1.0}
SPEAKER_PITCH_SEMITONES = 1.5
SPEAKER_TRACT_LOG = 0.03
SPEAKER_RATE_LOG = 0.06
SPEAKER_TILT_OCTAVES = 0.3
# sd of a personal shift of each of F3-F5, which carry identity more than vowel
SPEAKER_COLOUR_LOG = 0.05
SPEAKER_LEVEL_DB, SPEAKER_ROUGHNESS_LOG = 1.0, 0.2
BASE_JITTER, SHIMMER_PER_JITTER, BASE_BREATH, BREATH_LOG_PER_BRIGHTNESS = 0.006, 5.0, 0.04, -0.3
BASE_TILT_HZ, BASE_LEVEL_DB, OPEN_QUOTIENT = 1100.0, -27.0, 0.6

# F4 and F5 are shared by all vowels.
UPPER_FORMANTS_HZ = (3500.0, 4400.0)
BANDWIDTHS_HZ = np.array([80.0, 100.0, 140.0, 200.0, 260.0])
FRICTION_HZ, FRICTION_BANDWIDTH_HZ, FRICTION = (2_500.0, 6_000.0), np.array([900.0]), 0.12
DECLINATION_SEMITONES, PITCH_WOBBLE_SEMITONES = 3.0, 0.4
SYLLABLES, FINAL_LENGTHENING, PAUSE_CHANCE = (4, 8), 1.4, 0.3
EDGE_S, SHORTEST_S, LONGEST_S = 0.05, 0.7, 2.5
PEAK, NOISE_FLOOR, LOWEST_RATE_HZ = 0.95, 3e-4, 16_000


@dataclass(frozen=True)
class Voice:
    """One speaker. Pitch, tract length, rate, jitter and tilt follow from these fields and a hash
    of `speaker`.

    >>> Voice("1001", "eng", 51, "m").elderly
    False
    """

    speaker: str
    language: str
    age_years: int
    gender: str

    def __post_init__(self) -> None:
        _require("language", self.language, LANGUAGES)
        _require("gender", self.gender, BASE_PITCH_HZ)

    @property
    def elderly(self) -> bool:
        """True from 60 years on."""
        return self.age_years >= ELDERLY_FROM_YEARS


@dataclass(frozen=True)
class _Sound:
    """The acoustic settings of one utterance, after speaker, age and emotion."""

    pitch_hz: float
    pitch_range: float
    level_db: float
    syllables_per_s: float
    tilt_hz: float
    formant_scales: np.ndarray
    jitter: float
    breath: float


@dataclass(frozen=True)
class _Score:
    """One row a syllable: start, vowel start and end in s (n, 3); pitch at start, middle and end of
    the vowel (n, 3)."""

    times_s: np.ndarray
    semitones: np.ndarray
    vowels_hz: np.ndarray
    friction_hz: np.ndarray
    loudness: np.ndarray


def utter(
    voice: Voice,
    emotion: str | tuple[str, ...],
    *,
    key: str,
    sample_rate_hz: int = 16_000,
    seed: int = 0,
) -> np.ndarray:
    """Speak one utterance: mono float32, shape (samples,), within [-0.95, 0.95], 0.7 to 2.5 s.

    Several emotions are averaged and none sounds neutral. All chance comes from sha256 of
    `SALT`, `seed` and `key`: equal arguments give equal clips, and one key in two emotions
    differs by the emotion alone.

    >>> clip = utter(Voice("1001", "eng", 51, "m"), "angry", key="crema-d/1001_DFA_ANG_XX")
    >>> clip.dtype, 0.7 <= clip.size / 16_000 <= 2.5
    (dtype('float32'), True)
    """
    emotions = (emotion,) if isinstance(emotion, str) else tuple(emotion)
    for name in emotions:
        _require("emotion", name, EMOTION_CUES)
    if sample_rate_hz < LOWEST_RATE_HZ:
        raise ValueError(
            f"expected a sample rate of at least {LOWEST_RATE_HZ} Hz, found {sample_rate_hz}"
        )
    # The score is drawn apart from the noise, so prosody is the same at every sample rate.
    score_rng, noise_rng = _rng(SALT, seed, key).spawn(2)
    sound = _sound(voice, _cues(voice, emotions or ("neutral",), score_rng))
    return _render(_score(voice.language, sound, score_rng), sound, sample_rate_hz, noise_rng)


def cue_rotation(language: str, elderly: bool) -> np.ndarray:
    """Orthogonal (6, 6) matrix from the cues of `EMOTION_CUES` to those voiced in a group; adult
    English is identity.

    Each factor turns every vector by the same angle, that of the language or `ELDERLY_ANGLE_DEG`.

    >>> round(float(np.trace(cue_rotation("zho", False)) / 6),
    ...     3) == round(float(np.cos(np.deg2rad(75))), 3)
    True
    """
    _require("language", language, LANGUAGES)
    by_age = _turn(ELDERLY_ANGLE_DEG if elderly else 0.0, ELDERLY_PLANES)
    return by_age @ _turn(LANGUAGES[language].angle_deg, LANGUAGE_PLANES)


def _turn(angle_deg: float, planes: tuple[tuple[int, int], ...]) -> np.ndarray:
    angle = np.deg2rad(angle_deg)
    matrix = np.eye(len(CUES)) * np.cos(angle)
    for first, second in planes:
        matrix[second, first], matrix[first, second] = np.sin(angle), -np.sin(angle)
    return matrix


def _require(what: str, name: str, expected: Iterable[str]) -> None:
    if name not in expected:
        raise ValueError(f"expected {what} to be one of {', '.join(expected)}; found {name!r}")


def _rng(*parts: object) -> np.random.Generator:
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def _cues(voice: Voice, emotions: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    centre = cue_rotation(voice.language, voice.elderly) @ np.mean(
        [EMOTION_CUES[name] for name in emotions], axis=0
    )
    strength = np.exp(INTENSITY_NOISE_LOG * rng.standard_normal()) * (
        ELDERLY_EMOTION if voice.elderly else 1.0
    )
    spread = CUE_NOISE * np.mean(
        [VAGUE_NOISE_FACTOR if name in VAGUE_EMOTIONS else 1.0 for name in emotions]
    )
    return strength * centre + spread * rng.standard_normal(len(CUES))


def _sound(voice: Voice, cues: np.ndarray) -> _Sound:
    pitch, pitch_range, energy, tempo, brightness, lip_spread = cues
    own_pitch, own_tract, own_rate, own_tilt, own_level, rough, *colour = _rng(
        SALT, "speaker", voice.speaker
    ).standard_normal(9)
    aged_pitch = ELDERLY_PITCH_SEMITONES[voice.gender] if voice.elderly else 0.0
    aged_rate, aged_jitter, aged_breath = (
        (ELDERLY_RATE, ELDERLY_JITTER, ELDERLY_BREATH) if voice.elderly else (1, 1, 1)
    )
    semitones = SPEAKER_PITCH_SEMITONES * own_pitch + PITCH_SEMITONES * pitch + aged_pitch
    roughness = SPEAKER_ROUGHNESS_LOG * rough
    tract = SPEAKER_TRACT_LOG * own_tract + LIP_SPREAD_LOG * lip_spread
    return _Sound(
        pitch_hz=BASE_PITCH_HZ[voice.gender] * 2 ** (semitones / 12),
        pitch_range=np.exp(RANGE_LOG * pitch_range),
        level_db=BASE_LEVEL_DB + SPEAKER_LEVEL_DB * own_level + ENERGY_DB * energy,
        syllables_per_s=aged_rate
        * LANGUAGES[voice.language].syllables_per_s
        * np.exp(SPEAKER_RATE_LOG * own_rate + TEMPO_LOG * tempo),
        tilt_hz=BASE_TILT_HZ
        * 2 ** (SPEAKER_TILT_OCTAVES * own_tilt + BRIGHTNESS_OCTAVES * brightness),
        formant_scales=TRACT_SCALE[voice.gender]
        * np.exp(tract + SPEAKER_COLOUR_LOG * np.array([0, 0, *colour])),
        jitter=aged_jitter * BASE_JITTER * np.exp(roughness),
        breath=aged_breath
        * BASE_BREATH
        * np.exp(roughness + BREATH_LOG_PER_BRIGHTNESS * brightness),
    )


def _score(name: str, sound: _Sound, rng: np.random.Generator) -> _Score:
    language = LANGUAGES[name]
    count = int(rng.integers(*SYLLABLES))
    stressed = (np.arange(count) + rng.integers(2)) % 2
    weight = 1 + language.stress_contrast * (2 * stressed - 1)
    lengths = weight + 0.08 * rng.uniform(-1, 1, count)
    lengths[-1] *= FINAL_LENGTHENING
    pauses = np.zeros(count)
    pauses[count // 2] = rng.uniform(0.3, 0.8) * (rng.random() < PAUSE_CHANCE)
    ends = np.cumsum(pauses + lengths)
    starts = ends - lengths
    vowels = starts + lengths * rng.uniform(0.15, 0.35, count)
    span_s = np.clip(
        ends[-1] / sound.syllables_per_s, SHORTEST_S - 2 * EDGE_S, LONGEST_S - 2 * EDGE_S
    )
    drawn = rng.integers(len(language.tunes), size=count)
    tunes = language.tunes[stressed if name == "eng" else drawn]
    fall = DECLINATION_SEMITONES * (0.5 - np.linspace(0, 1, 3 * count)).reshape(count, 3)
    wobble = PITCH_WOBBLE_SEMITONES * rng.standard_normal((count, 3))
    return _Score(
        times_s=EDGE_S + span_s / ends[-1] * np.stack([starts, vowels, ends], axis=1),
        semitones=sound.pitch_range * (tunes - tunes.mean() + fall) + wobble,
        vowels_hz=np.array(
            [(*vowel, *UPPER_FORMANTS_HZ) for vowel in rng.choice(language.vowels_hz, size=count)]
        ),
        friction_hz=rng.uniform(*FRICTION_HZ, (count, 1)),
        loudness=weight,
    )


def _render(score: _Score, sound: _Sound, rate: int, rng: np.random.Generator) -> np.ndarray:
    out = np.zeros(round((score.times_s[-1, 2] + EDGE_S) * rate))
    # White noise is scaled with the bandwidth so that it is equally loud within speech at every
    # rate.
    noise = np.sqrt(rate / LOWEST_RATE_HZ) * rng.standard_normal(out.size)
    source = _source(score, sound, rate, noise, rng)
    tail = np.zeros(int(0.8 * EDGE_S * rate))
    for i, (start, vowel, end) in enumerate(np.round(score.times_s * rate).astype(int)):
        formants = _resonators(sound.formant_scales * score.vowels_hz[i], BANDWIDTHS_HZ, rate)
        voiced = score.loudness[i] * source[vowel:end] * _swell(end - vowel)
        out[vowel : end + tail.size] += sosfilt(formants, np.append(voiced, tail))
        friction = _resonators(score.friction_hz[i], FRICTION_BANDWIDTH_HZ, rate)
        out[start:vowel] += FRICTION * sosfilt(friction, noise[start:vowel] * _swell(vowel - start))
    return _finish(out, noise, sound.level_db)


def _source(
    score: _Score, sound: _Sound, rate: int, noise: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Glottal flow derivative (KLGLOTT88 pulse, Klatt & Klatt 1990, JASA 87:820) with tilt, jitter,
    shimmer, breath."""
    vowels_s, ends_s = score.times_s[:, 1], score.times_s[:, 2]
    targets_s = np.stack([vowels_s, (vowels_s + ends_s) / 2, ends_s], axis=1)
    semitones = np.interp(np.arange(noise.size) / rate, targets_s.ravel(), score.semitones.ravel())
    step = sound.pitch_hz / rate * np.exp2(semitones / 12)
    cycle = np.cumsum(step).astype(int)
    jitter, shimmer = sound.jitter * rng.standard_normal((2, cycle[-1] + 1))
    opened = (np.cumsum(step * (1 + jitter)[cycle]) % 1) / OPEN_QUOTIENT
    pulses = (
        np.where(opened < 1, opened * (2 - 3 * opened), 0)
        * (1 + SHIMMER_PER_JITTER * shimmer)[cycle]
    )
    pole = np.exp(-2 * np.pi * sound.tilt_hz / rate)
    return lfilter([1 - pole], [1, -pole], pulses) + sound.breath * noise * np.where(
        opened < 1, 1.0, 0.3
    )


def _swell(count: int) -> np.ndarray:
    return np.minimum(1, 3 * np.sin(np.pi * (np.arange(count) + 0.5) / count) ** 2)


def _resonators(centres_hz: np.ndarray, bandwidths_hz: np.ndarray, rate: int) -> np.ndarray:
    """Second-order sections, shape (resonators, 6), each with unit gain at 0 Hz (Klatt 1980)."""
    radius = np.exp(-np.pi * bandwidths_hz / rate)
    sections = np.zeros((centres_hz.size, 6))
    sections[:, 3] = 1
    sections[:, 4] = -2 * radius * np.cos(2 * np.pi * centres_hz / rate)
    sections[:, 5] = radius**2
    sections[:, 0] = sections[:, 3:].sum(axis=1)
    return sections


def _finish(out: np.ndarray, noise: np.ndarray, level_db: float) -> np.ndarray:
    """Bring the clip to its level over a constant noise floor, below the peak, with faded edges."""
    out = out * (10 ** (level_db / 20) / np.sqrt(np.mean(out**2))) + NOISE_FLOOR * noise
    out *= PEAK / max(PEAK, np.abs(out).max())
    return (out * np.minimum(1, 50 * np.sin(np.pi * np.linspace(0, 1, out.size)))).astype(
        np.float32
    )
