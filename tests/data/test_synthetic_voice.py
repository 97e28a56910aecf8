"""The synthetic voice is repeatable, stays within bounds, and differs between emotions, ages,
languages and speakers."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bimotion.data.synthetic import voice as module
from bimotion.data.synthetic.voice import EMOTION_CUES, LANGUAGES, Voice, utter
from bimotion.protocol.labels import EMOTIONS

ADULT = Voice("1001", "eng", 35, "m")
ELDER = replace(ADULT, age_years=70)
KEYS = [f"clip-{i}" for i in range(16)]
GROUPS = list(itertools.product(LANGUAGES, (False, True)))


def angle_deg(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.rad2deg(np.arccos(np.clip(np.trace(first @ second.T) / len(first), -1, 1))))


def loud_frames(clip: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(clip.astype(float), 800)[::160]
    power = np.mean(frames**2, axis=1)
    return frames[power >= np.median(power)]


def pitch_and_periodicity(clip: np.ndarray) -> tuple[float, float]:
    """Median pitch in Hz and mean height of the autocorrelation peak, for a 16 kHz clip."""
    window = np.hanning(800)
    power, of_window = (
        np.abs(np.fft.rfft(frames, 2048)) ** 2 for frames in (loud_frames(clip) * window, window)
    )
    correlation = np.fft.irfft(power)[:, :267] / np.fft.irfft(of_window)[:267]
    searched = correlation[:, 40:] / correlation[:, :1]
    pitch = np.median(16_000 / (40 + searched.argmax(axis=1)))
    return float(pitch), float(searched.max(axis=1).mean())


def pitch(voice: Voice, emotion: str = "neutral") -> float:
    """Mean pitch of a voice over all keys."""
    return np.mean([pitch_and_periodicity(utter(voice, emotion, key=key))[0] for key in KEYS])


def rms(clip: np.ndarray) -> float:
    return float(np.sqrt(np.mean(clip.astype(float) ** 2)))


def test_there_are_cues_of_every_emotion() -> None:
    assert set(EMOTION_CUES) == set(EMOTIONS)


def test_same_arguments_give_the_same_bytes() -> None:
    again = utter(replace(ADULT), ("fear",), key="a").tobytes()
    assert utter(ADULT, "fear", key="a").tobytes() == again


@pytest.mark.parametrize(
    "other",
    [
        {"key": "b"},
        {"seed": 1},
        {"emotion": "sadness"},
        {"voice": replace(ADULT, speaker="1002")},
        {"voice": replace(ADULT, gender="f")},
        {"voice": replace(ADULT, language="zho")},
        {"voice": ELDER},
    ],
)
def test_every_argument_changes_the_clip(other: dict) -> None:
    base = {"voice": ADULT, "emotion": "angry", "key": "a", "seed": 0}
    assert not np.array_equal(utter(**base), utter(**base | other))


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("language", LANGUAGES)
def test_clips_are_finite_bounded_and_of_speech_length(language: str, rate: int) -> None:
    for age, gender, emotion in itertools.product((20, 85), "fm", EMOTION_CUES):
        voice = Voice(f"{gender}{age}", language, age, gender)
        clip = utter(voice, emotion, key=f"{emotion}/{age}", sample_rate_hz=rate)
        assert (clip.dtype, clip.ndim) == (np.float32, 1)
        assert np.isfinite(clip).all()
        assert 0.03 < np.abs(clip).max() <= 0.99
        assert 0.7 <= clip.size / rate <= 2.5
        assert max(abs(clip[0]), abs(clip[-1])) < 1e-6


def test_shouting_is_held_below_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BASE_LEVEL_DB", 0.0)
    assert 0.9 < np.abs(utter(ADULT, "angry", key="a")).max() <= 0.99


def test_prosody_does_not_depend_on_the_sample_rate() -> None:
    low, high = (
        utter(ADULT, "happiness", key="a", sample_rate_hz=rate) for rate in (16_000, 44_100)
    )
    assert low.size / 16_000 == pytest.approx(high.size / 44_100, abs=1e-4)
    assert rms(low) == pytest.approx(rms(high), rel=0.02)


REFUSED = {
    r"expected emotion to be one of sadness, .*unknown; found 'rage'": {
        "emotion": ("angry", "rage")
    },
    r"expected language to be one of eng, yue, zho, deu, fas, urd; found 'fra'": {
        "language": "fra"
    },
    r"expected gender to be one of f, m; found 'x'": {"gender": "x"},
    r"at least 16000 Hz, found 8000": {"sample_rate_hz": 8_000},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_spoken_is_refused(message: str) -> None:
    asked = {"emotion": "angry", "sample_rate_hz": 16_000, "language": "eng", "gender": "f"}
    asked |= REFUSED[message]
    with pytest.raises(ValueError, match=message):
        utter(Voice("s", asked.pop("language"), 30, asked.pop("gender")), key="a", **asked)


def test_no_emotion_sounds_neutral() -> None:
    assert np.array_equal(utter(ADULT, (), key="a"), utter(ADULT, "neutral", key="a"))


def test_several_emotions_lie_between_them() -> None:
    levels = [
        np.mean([rms(utter(ADULT, e, key=k)) for k in KEYS])
        for e in ("sadness", ("sadness", "angry"), "angry")
    ]
    assert levels[0] < levels[1] < levels[2]


def test_anger_is_louder_and_higher_than_sadness_in_english() -> None:
    angry, sad = (
        np.mean([rms(utter(ADULT, emotion, key=key)) for key in KEYS])
        for emotion in ("angry", "sadness")
    )
    assert angry > 2 * sad
    assert pitch(ADULT, "angry") > 1.15 * pitch(ADULT, "sadness")


@pytest.mark.parametrize("language", LANGUAGES)
def test_elders_speak_slower_and_less_regularly(language: str) -> None:
    adult, elder = (
        [utter(replace(voice, language=language), "neutral", key=key) for key in KEYS]
        for voice in (ADULT, ELDER)
    )
    assert np.mean([clip.size for clip in elder]) > 1.05 * np.mean([clip.size for clip in adult])
    regular = [
        np.mean([pitch_and_periodicity(clip)[1] for clip in clips]) for clips in (adult, elder)
    ]
    assert regular[0] > regular[1] + 0.01


@pytest.mark.parametrize(("gender", "direction"), [("f", -1), ("m", 1)])
def test_women_sound_lower_and_men_higher_with_age(gender: str, direction: int) -> None:
    adult, elder = (pitch(replace(voice, gender=gender)) for voice in (ADULT, ELDER))
    assert direction * (elder - adult) > 0


def test_sixty_is_elderly() -> None:
    assert [replace(ADULT, age_years=age).elderly for age in (59, 60)] == [False, True]


def test_groups_turn_the_cues_and_languages_further_than_ages() -> None:
    turns = {group: module.cue_rotation(*group) for group in GROUPS}
    assert np.allclose(turns["eng", False], np.eye(6))
    assert all(np.allclose(turn @ turn.T, np.eye(6)) for turn in turns.values())
    between_ages = [angle_deg(turns[name, False], turns[name, True]) for name in LANGUAGES]
    from_english = [
        angle_deg(turns["eng", old], turns[other, old])
        for old in (False, True)
        for other in ("yue", "zho")
    ]
    assert min(from_english) > max(between_ages) + 10
    assert min(between_ages) > 10
    eng, yue, zho = (turns[language, False] for language in ("eng", "yue", "zho"))
    assert angle_deg(yue, zho) < angle_deg(yue, eng) < angle_deg(zho, eng)


def test_one_speaker_sounds_more_alike_than_two() -> None:
    speakers = [replace(ADULT, speaker=f"s{i}") for i in range(6)]
    spectra = np.array(
        [
            [mean_spectrum(utter(v, "neutral", key=f"{v.speaker}{k}")) for k in KEYS]
            for v in speakers
        ]
    )
    enrolled, heard = spectra[:, ::2].mean(axis=1), spectra[:, 1::2]
    distance = np.linalg.norm(heard[:, :, None] - enrolled, axis=-1)
    is_own = distance.argmin(axis=-1) == np.arange(len(speakers))[:, None]
    assert np.mean(is_own) > 2 / len(speakers)


def mean_spectrum(clip: np.ndarray) -> np.ndarray:
    """Log power in 40 bands of 200 Hz, averaged over loud frames and freed of level."""
    power = np.abs(np.fft.rfft(loud_frames(clip) * np.hanning(800))) ** 2
    bands = np.log(power[:, :400].reshape(len(power), 40, 10).sum(axis=2)).mean(axis=0)
    return bands - bands.mean()
