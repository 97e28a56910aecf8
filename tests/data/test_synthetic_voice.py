"""The synthetic voice is repeatable, stays within bounds, and differs between emotions, ages,
languages and speakers."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from bimotion.data.synthetic import voice as module
from bimotion.data.synthetic.voice import EMOTION_CUES, Voice, utter

ADULT = Voice("1001", "eng", 35, "m")
ELDER = replace(ADULT, age_years=70)
KEYS = [f"clip-{i}" for i in range(24)]
GROUPS = list(itertools.product(("eng", "yue", "zho"), (False, True)))


def angle_deg(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.rad2deg(np.arccos(np.clip(np.trace(first @ second.T) / len(first), -1, 1))))


def loud_frames(clip: np.ndarray) -> np.ndarray:
    frames = np.lib.stride_tricks.sliding_window_view(clip.astype(float), 800)[::160]
    power = np.mean(frames**2, axis=1)
    return frames[power >= np.median(power)]


def pitch_and_periodicity(clip: np.ndarray) -> tuple[float, float]:
    """Median pitch in Hz and mean height of the autocorrelation peak, for a 16 kHz clip."""
    frames = loud_frames(clip) * np.hanning(800)
    spectrum = np.abs(np.fft.rfft(frames, 2048)) ** 2
    correlation = (
        np.fft.irfft(spectrum)[:, :267]
        / np.fft.irfft(np.abs(np.fft.rfft(np.hanning(800), 2048)) ** 2)[:267]
    )
    searched = correlation[:, 40:] / correlation[:, :1]
    return float(np.median(16_000 / (40 + searched.argmax(axis=1)))), float(
        searched.max(axis=1).mean()
    )


def rms(clip: np.ndarray) -> float:
    return float(np.sqrt(np.mean(clip.astype(float) ** 2)))


def test_names_thirteen_emotions_once() -> None:
    expected = {
        "sadness",
        "fear",
        "angry",
        "happiness",
        "disgust",
        "neutral",
        "surprise",
        "positive",
        "negative",
        "excitement",
        "frustrated",
        "other",
        "unknown",
    }
    assert len(EMOTION_CUES) == 13
    assert set(EMOTION_CUES) == expected


def test_same_arguments_give_the_same_bytes() -> None:
    assert (
        utter(ADULT, "fear", key="a").tobytes()
        == utter(replace(ADULT), ("fear",), key="a").tobytes()
    )


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


@pytest.mark.parametrize("rate", [16_000, 24_414, 44_100])
@pytest.mark.parametrize("language", ["eng", "zho", "yue", "deu", "fas", "urd"])
def test_clips_are_finite_bounded_and_of_speech_length(language: str, rate: int) -> None:
    for age, gender, emotion in itertools.product((20, 85), "fm", EMOTION_CUES):
        voice = Voice(f"{gender}{age}", language, age, gender)
        clip = utter(voice, emotion, key=f"{emotion}/{age}", sample_rate_hz=rate)
        assert clip.dtype == np.float32
        assert clip.ndim == 1
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


def test_unknown_emotion_says_what_is_expected() -> None:
    with pytest.raises(
        ValueError, match=r"expected emotion to be one of sadness, .*unknown; found 'rage'"
    ):
        utter(ADULT, ("angry", "rage"), key="a")


def test_unknown_language_says_what_is_expected() -> None:
    with pytest.raises(
        ValueError,
        match=r"expected language to be one of eng, yue, zho, deu, fas, urd; found 'fra'",
    ):
        Voice("s", "fra", 30, "f")


def test_unknown_gender_says_what_is_expected() -> None:
    with pytest.raises(ValueError, match=r"expected gender to be one of f, m; found 'x'"):
        Voice("s", "eng", 30, "x")


def test_low_sample_rate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least 16000 Hz, found 8000"):
        utter(ADULT, "angry", key="a", sample_rate_hz=8_000)


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
        [utter(ADULT, emotion, key=key) for key in KEYS] for emotion in ("angry", "sadness")
    )
    assert np.mean([rms(clip) for clip in angry]) > 2 * np.mean([rms(clip) for clip in sad])
    pitch = [np.mean([pitch_and_periodicity(clip)[0] for clip in clips]) for clips in (angry, sad)]
    assert pitch[0] > 1.15 * pitch[1]


@pytest.mark.parametrize("language", ["eng", "zho", "yue", "deu", "fas", "urd"])
def test_elders_speak_slower_and_less_regularly(language: str) -> None:
    adult, elder = (
        [utter(replace(v, language=language), "neutral", key=key) for key in KEYS]
        for v in (ADULT, ELDER)
    )
    assert np.mean([clip.size for clip in elder]) > 1.05 * np.mean([clip.size for clip in adult])
    regular = [
        np.mean([pitch_and_periodicity(clip)[1] for clip in clips]) for clips in (adult, elder)
    ]
    assert regular[0] > regular[1] + 0.01


def test_women_sound_lower_and_men_higher_with_age() -> None:
    for gender, direction in (("f", -1), ("m", 1)):
        adult, elder = (
            np.mean(
                [
                    pitch_and_periodicity(utter(replace(v, gender=gender), "neutral", key=key))[0]
                    for key in KEYS
                ]
            )
            for v in (ADULT, ELDER)
        )
        assert direction * (elder - adult) > 0


def test_sixty_is_elderly() -> None:
    assert [replace(ADULT, age_years=age).elderly for age in (59, 60)] == [False, True]


def test_english_adults_voice_the_cues_as_tabled_and_all_groups_only_turn_them() -> None:
    assert np.allclose(module.cue_rotation("eng", False), np.eye(6))
    for language, elderly in GROUPS:
        turn = module.cue_rotation(language, elderly)
        assert np.allclose(turn @ turn.T, np.eye(6))


def test_languages_turn_the_cues_further_than_ages_do() -> None:
    turns = {group: module.cue_rotation(*group) for group in GROUPS}
    between_ages = [
        angle_deg(turns[language, False], turns[language, True])
        for language in ("eng", "yue", "zho")
    ]
    from_english = [
        angle_deg(turns["eng", old], turns[other, old])
        for old in (False, True)
        for other in ("yue", "zho")
    ]
    assert min(from_english) > max(between_ages) + 10
    assert min(between_ages) > 10


def test_cantonese_lies_nearer_to_mandarin_than_to_english() -> None:
    eng, yue, zho = (module.cue_rotation(language, False) for language in ("eng", "yue", "zho"))
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
    assert np.mean(distance.argmin(axis=-1) == np.arange(len(speakers))[:, None]) > 2 / len(
        speakers
    )


def mean_spectrum(clip: np.ndarray) -> np.ndarray:
    """Log power in 40 bands of 200 Hz, averaged over loud frames and freed of level."""
    power = np.abs(np.fft.rfft(loud_frames(clip) * np.hanning(800))) ** 2
    bands = np.log(power[:, :400].reshape(len(power), 40, 10).sum(axis=2)).mean(axis=0)
    return bands - bands.mean()
