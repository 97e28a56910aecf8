"""Prosodic functionals: finite on anything, right where the answer is known, moving in the right
direction."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bimotion.io import audio
from bimotion.models import prosody
from bimotion.models.prosody import FEATURE_NAMES, SAMPLE_RATE_HZ, functionals


def features(waveform):
    return dict(zip(FEATURE_NAMES, functionals(waveform), strict=True))


def noise(n_samples=SAMPLE_RATE_HZ, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def buzz(hz, seconds=1.0, tilt_db_per_octave=6.0):
    """Harmonic sound of a constant or a changing pitch; `hz` is a number or one value a sample."""
    n_samples = int(seconds * SAMPLE_RATE_HZ)
    hz = np.broadcast_to(np.asarray(hz, dtype=float), n_samples)
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE_HZ
    orders = np.arange(1, int(7000 / hz.max()) + 1)[:, None]
    weights = 10 ** (-tilt_db_per_octave * np.log2(orders) / 20)
    sound = (weights * np.cos(orders * phase)).cumsum(axis=0)[-1]  # added one after the other
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def syllables(per_s, seconds=2.0):
    """Voiced bursts in faint noise, each as long as the gap after it."""
    t = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return buzz(150, seconds) * ((t * per_s) % 1 < 0.5) + 0.02 * noise(len(t))


def speech():
    """Rising and falling pitch in bursts over faint noise: something for every feature."""
    t = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    voice = buzz(180 * 2 ** (0.4 * np.sin(2 * np.pi * 0.8 * t)), 2.0)
    burst = np.maximum(0, np.sin(2 * np.pi * (1.5 * t + 0.7 * t**2)))
    return (voice * burst + 0.01 * noise(len(t))).astype(np.float32)


SIGNALS = {
    "speech": speech(),
    "syllables": syllables(3),
    "noise": noise(),
    "octave": buzz(120 * 2 ** np.linspace(0, 1, SAMPLE_RATE_HZ)),
}
GOLDEN = json.loads((Path(__file__).with_name("prosody_librosa.json")).read_text())
SQUARE = np.sign(np.sin(2 * np.pi * 130 * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ) + 1e-9)
IMPULSE = np.eye(1, SAMPLE_RATE_HZ, 8000)[0]
HOSTILE = {
    "empty": np.zeros(0),
    "one sample": np.ones(1),
    "two samples": np.array([1.0, -1.0]),
    "shorter than a frame": noise(300),
    "barely longer than a frame": noise(641),
    "silence": np.zeros(SAMPLE_RATE_HZ),
    "constant": np.full(SAMPLE_RATE_HZ, 0.3),
    "full scale constant": -np.ones(SAMPLE_RATE_HZ),
    "full scale square": SQUARE,
    "clipped": np.clip(30 * speech(), -1, 1),
    "white noise": noise(),
    "faint": noise() * 1e-30,
    "impulse": IMPULSE,
    "impulse at the start": IMPULSE[8000:],
    "impulse at the end": IMPULSE[:8001],
    "voice at the end": np.append(np.zeros(SAMPLE_RATE_HZ), buzz(200, 0.03)),
    "pure tone": 0.5 * np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("waveform", HOSTILE.values(), ids=HOSTILE)
def test_every_number_is_finite_on_hostile_input(waveform):
    values = functionals(waveform.astype(np.float32))
    assert (values.shape, values.dtype) == ((len(FEATURE_NAMES),), np.float32)
    assert [n for n, v in zip(FEATURE_NAMES, values, strict=True) if not np.isfinite(v)] == []


def test_mel_bands_and_a_weighting_are_those_of_librosa():
    hz = np.arange(513) * SAMPLE_RATE_HZ / 1024
    bank, a_weight = prosody._mel_bank(hz), prosody._a_weight(hz)
    tables = {
        "mel_sums": bank.sum(axis=1),
        "mel_centres_hz": bank @ hz / bank.sum(axis=1),
        "mel_at_1_khz": bank[:, 64],
        "a_weight_every_16th_bin": a_weight[::16],
    }
    for name, values in tables.items():
        np.testing.assert_allclose(values, GOLDEN[name], rtol=1e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", SIGNALS)
def test_features_are_those_made_with_librosa(name):
    np.testing.assert_allclose(
        functionals(SIGNALS[name]), GOLDEN["features"][name], rtol=1e-6, atol=1e-6
    )


def test_features_of_real_clips_are_those_made_with_librosa(shared_corpora):
    for path, values in GOLDEN["real"].items():
        of_clip = functionals(audio.decode(shared_corpora / path))
        np.testing.assert_allclose(of_clip, values, rtol=1e-6, atol=1e-6, err_msg=path)


def test_every_feature_has_a_name_and_responds_to_speech():
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)
    assert 80 <= len(FEATURE_NAMES) <= 250
    assert {name for name, value in features(speech()).items() if value == 0} == set()


def semitone(hz):
    return pytest.approx(12 * np.log2(hz / 27.5), abs=0.5)


@pytest.mark.parametrize("hz", [100, 150, 220, 350])
def test_f0_of_a_pulse_train_is_right_within_half_a_semitone(hz):
    at = np.round(np.arange(0, 1, 1 / hz) * SAMPLE_RATE_HZ).astype(int)
    pulses = np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)
    pulses[at[at < SAMPLE_RATE_HZ]] = 0.8
    values = features(pulses)
    for name in ("mean", "p20", "p50", "p80"):
        assert values[f"f0_semitone_{name}"] == semitone(hz)
    assert values["voiced_ratio"] > 0.9


@pytest.mark.parametrize("hz", [80, 120, 240, 480])
@pytest.mark.parametrize("tilt_db_per_octave", [3, 12])
def test_f0_does_not_jump_an_octave_with_voice_quality_or_noise(hz, tilt_db_per_octave):
    values = features(buzz(hz, 1.0, tilt_db_per_octave) + 0.1 * noise())
    assert values["f0_semitone_mean"] == semitone(hz)
    assert values["f0_semitone_std"] < 1


def test_without_voice_f0_is_the_documented_neutral_value():
    neutral = dict.fromkeys(("mean", "p20", "p50", "p80"), 31)
    neutral |= dict.fromkeys(("std", "range", "rise", "fall", "delta_std", "trend"), 0)
    for waveform in (noise(), np.zeros(SAMPLE_RATE_HZ, dtype=np.float32)):
        values = features(waveform)
        assert values["voiced_ratio"] == 0
        assert {name: values[f"f0_semitone_{name}"] for name in neutral} == neutral


def test_a_voicing_lasts_three_frames_at_least():
    mask = np.array([*map(int, "1101110101111")], dtype=bool)
    kept = prosody._without_short_runs(mask).astype(int)
    assert "".join(map(str, kept)) == "0001110001111"


def test_pitch_slopes_are_in_semitones_a_second():
    octave_in_a_second = 2 ** (np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ)
    up, down = features(buzz(120 * octave_in_a_second)), features(buzz(240 / octave_in_a_second))
    for name in ("trend", "rise"):
        assert up[f"f0_semitone_{name}"] == pytest.approx(12, abs=1)
    for name in ("trend", "fall"):
        assert down[f"f0_semitone_{name}"] == pytest.approx(-12, abs=1)
    assert up["f0_semitone_peak_position"] > 0.9 > 0.1 > down["f0_semitone_peak_position"]
    assert up["f0_semitone_range"] == pytest.approx(0.6 * 12, abs=1)


def test_faster_syllables_raise_the_rates_and_shorten_the_voicings():
    slow, fast = features(syllables(2)), features(syllables(5))
    assert slow["voiced_segments_per_s"] == pytest.approx(2, abs=0.3)
    assert fast["voiced_segments_per_s"] == pytest.approx(5, abs=0.5)
    assert slow["voiced_s_mean"] == pytest.approx(0.25, abs=0.05)
    assert fast["voiced_s_mean"] < 0.6 * slow["voiced_s_mean"]
    assert fast["gap_s_mean"] < 0.6 * slow["gap_s_mean"]
    assert fast["loudness_modulation_4_8hz"] > slow["loudness_modulation_4_8hz"] + 0.5
    assert slow["loudness_modulation_0_2hz"] > fast["loudness_modulation_0_2hz"]


@pytest.mark.parametrize("per_s", [2, 5, 8])
def test_loudness_peaks_are_counted(per_s):
    t = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    swells = buzz(200, 2.0) * np.sin(np.pi * per_s * t) ** 2
    assert features(swells.astype(np.float32))["loudness_peaks_per_s"] == pytest.approx(
        per_s, abs=0.6
    )


def test_pauses_and_duration_are_measured():
    quiet = 1e-3 * noise(SAMPLE_RATE_HZ // 2)
    paused = features(np.concatenate([buzz(150), quiet, buzz(150)]))
    assert paused["pause_ratio"] == pytest.approx(1 / 5, abs=0.03)
    assert paused["gap_s_mean"] == pytest.approx(0.5, abs=0.05)
    assert paused["voiced_s_mean"] == pytest.approx(1, abs=0.05)
    assert paused["log_duration"] == pytest.approx(np.log(2.5), abs=0.02)
    assert features(buzz(150))["pause_ratio"] == 0


def test_steeper_spectrum_moves_the_balance_to_low_frequencies():
    bright, dark = (features(buzz(150, 1, tilt) + 0.01 * noise()) for tilt in (3, 12))
    for name in ("alpha_ratio_db", "hammarberg_db", "h1_h2_db", "h1_a3_db"):
        assert dark[f"{name}_mean"] > bright[f"{name}_mean"] + 3, name
    for name in ("centroid_khz", "bandwidth_khz"):
        assert dark[f"{name}_mean"] < 0.7 * bright[f"{name}_mean"], name
    assert dark["mfcc1_mean"] > bright["mfcc1_mean"] + 1
    assert features(buzz(200, 1, 12))["h1_h2_db_mean"] == pytest.approx(12, abs=1.5)


def test_noise_in_the_voice_lowers_the_harmonics_to_noise_ratio():
    ratios = [features(buzz(150) + level * noise())["hnr_db_mean"] for level in (0, 0.1, 0.4)]
    assert ratios[0] > ratios[1] + 3 > ratios[2] + 6


def test_swelling_sound_is_louder_where_it_swells():
    ramp = np.linspace(0.05, 1, SAMPLE_RATE_HZ, dtype=np.float32)
    swelling, fading, steady = (
        features(buzz(150) * shape) for shape in (ramp, ramp[::-1], np.ones_like(ramp))
    )
    assert swelling["loudness_peak_position"] > 0.8 > 0.2 > fading["loudness_peak_position"]
    for name in ("loudness_range", "loudness_std", "level_db_std"):
        assert swelling[name] > 3 * steady[name], name
    assert swelling["loudness_rise"] > 0 > fading["loudness_fall"]


def test_louder_part_moves_the_loudness_percentiles():
    uneven = syllables(2)
    uneven[SAMPLE_RATE_HZ:] *= 0.2
    even, uneven = features(syllables(2)), features(uneven)
    assert uneven["loudness_range"] > even["loudness_range"]
    assert uneven["level_db_std"] > 3 + even["level_db_std"]


def test_no_feature_depends_on_gain():
    reference = functionals(speech())
    np.testing.assert_array_equal(functionals(speech() / 1024), reference)
    for gain in (0.001, 0.1, 3):
        np.testing.assert_allclose(functionals(gain * speech()), reference, rtol=1e-3, atol=1e-3)


def test_offset_and_surrounding_digital_silence_do_not_count():
    reference, offset = features(speech()), functionals(speech() + 0.2)
    np.testing.assert_allclose(offset, list(reference.values()), rtol=1e-2, atol=1e-2)
    rim = np.zeros(2 * SAMPLE_RATE_HZ, dtype=np.float32)
    padded = features(np.concatenate([rim, speech(), rim]))
    names = "f0_semitone_mean voiced_ratio loudness_mean level_db_mean log_duration mfcc1_mean"
    for name in names.split():
        assert padded[name] == pytest.approx(reference[name], rel=0.03, abs=0.03), name


def test_same_bytes_whatever_came_before_and_whatever_the_memory_layout():
    waveform = speech()
    first = functionals(waveform).tobytes()
    functionals(noise(50_000))
    assert functionals(waveform).tobytes() == first
    assert functionals(np.repeat(waveform, 2)[::2]).tobytes() == first
    assert functionals(np.append(np.float32(0), waveform)[1:]).tobytes() == first
    np.testing.assert_array_equal(waveform, speech())  # it is not changed


@pytest.mark.parametrize("threads", ["1", "4"])
def test_same_bytes_with_any_number_of_threads_in_a_new_process(threads):
    program = (
        "import sys, numpy as np; from bimotion.models.prosody import functionals; "
        "sys.stdout.write(functionals(np.frombuffer(sys.stdin.buffer.read(), "
        "np.float32)).tobytes().hex())"
    )
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = dict.fromkeys(variables, threads)
    environment["PYTHONPATH"] = ":".join(filter(None, sys.path))
    command, clip = [sys.executable, "-c", program], speech().tobytes()
    done = subprocess.run(command, input=clip, capture_output=True, check=True, env=environment)
    assert bytes.fromhex(done.stdout.decode()) == functionals(speech()).tobytes()


@pytest.mark.parametrize(
    "waveform", [np.zeros((2, 100)), np.array(0.5), np.array([0, np.nan]), np.array([0, np.inf])]
)
def test_what_is_no_mono_clip_is_refused(waveform):
    with pytest.raises(ValueError, match="expected"):
        functionals(waveform.astype(np.float32))
