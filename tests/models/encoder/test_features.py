"""Every family of encoders gives the hidden states of plain transformers, and no value depends on
its neighbours in a batch."""

import json
import logging
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import soxr
import torch
from safetensors.numpy import load_file, save_file

from bimotion.errors import AudioError, ClipError, ModelError
from bimotion.evaluation.tracks.track import clips_in_memory
from bimotion.models import encoder as encoders
from bimotion.models.classifier import Classifier
from bimotion.models.encoder import load
from bimotion.models.spec import ModelSpec
from tests.support import tiny_models
from tests.support.short_clips import CLIPS, SAMPLES, noise

FAMILIES = sorted(tiny_models.FAMILIES)
PADDED = [family for family in FAMILIES if family not in ("sew", "whisper", "ast")]
WAV2VEC = [family for family in PADDED if family != "w2v-bert"]


def loaded(folder, **options):
    return load(ModelSpec(str(folder), device="cpu", **options))


@pytest.fixture(scope="module")
def encoder(folder):
    """Family -> its encoder."""
    return cache(lambda family: loaded(folder(family)))


@pytest.fixture
def watched(monkeypatch):
    """Lists for an encoder: the batches that go through it, and their statistics."""

    def watch(model):
        batches, results, statistics_of = [], [], model._statistics

        def statistics(windows):
            batches.append([window.n_samples for window in windows])
            results.append(statistics_of(windows))
            return results[-1]

        monkeypatch.setattr(model, "_statistics", statistics)
        return batches, results

    return watch


def by_hand(folder, waveform, first=0, n_frames=None):
    """Hidden states of one clip by plain transformers, shape (n_layers, frames, dim), last layer =
    the model's output."""
    from transformers import AutoFeatureExtractor, AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    inputs = extractor(waveform, sampling_rate=16_000, return_tensors="pt")
    inputs = {name: value for name, value in inputs.items() if name.startswith("input")}
    with torch.no_grad():
        output = model(**inputs, output_hidden_states=True)
    states = [*output.hidden_states[:-1], output.last_hidden_state]
    states = np.stack([state[0].double().numpy() for state in states])
    return states[:, first : n_frames and first + n_frames]


def statistics(states):
    return np.concatenate([states.mean(axis=1), states.std(axis=1)], axis=-1)


def changed(folder, name, **values):
    """The folder, with other values in one of its JSON files."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_the_same_whatever_the_batch_and_the_order(family, encoder, watched):
    model = encoder(family)
    batches, _ = watched(model)
    features = model.encode(CLIPS)
    assert (len(batches) == 1) == (family not in ("sew",)), "padded families do pad"
    assert features.dtype == np.float32
    assert features.shape == (len(CLIPS), 3, 2 * 16)
    assert (model.n_layers, model.dim, model.sample_rate_hz) == (3, 16, 16_000)
    assert np.isfinite(features).all()
    assert (features[..., 16:] >= 0).all()
    assert features[1:, -1].std(axis=0).max() > 1e-6  # clips differ
    assert (model.revision, model.trusted_remote_code) == (None, False)
    assert model.largest_difference(CLIPS) < (1e-4 if family in PADDED else 1e-5)
    assert model.largest_difference([noise(12_345, seed) for seed in range(4)]) < 1e-5
    order = np.random.default_rng(1).permutation(len(CLIPS))
    shuffled = model.encode([CLIPS[i] for i in order])
    np.testing.assert_allclose(shuffled, features[order], atol=1e-5)


def test_nothing_in_nothing_out(encoder):
    assert encoder("hubert").encode([]).shape == (0, 3, 32)
    assert encoder("hubert").largest_difference([]) == 0


@pytest.mark.parametrize("family", WAV2VEC)
def test_statistics_are_those_of_plain_transformers(family, folder, encoder):
    clips = [CLIPS[1], CLIPS[5], CLIPS[6]]  # together, so that two of them are padded
    expected = np.stack([statistics(by_hand(folder(family), clip)) for clip in clips])
    np.testing.assert_allclose(encoder(family).encode(clips), expected, atol=2e-5)


def test_w2v_bert_is_that_of_plain_transformers(folder, encoder):
    # 98 spectra: 49 frames, none of them padding
    expected = statistics(by_hand(folder("w2v-bert"), CLIPS[1]))
    features = encoder("w2v-bert").encode([CLIPS[6], CLIPS[1]])
    np.testing.assert_allclose(features[1], expected, atol=2e-5)


def test_mean_and_deviation_are_the_literal_ones(folder, encoder):
    states = by_hand(folder("wav2vec2-layer"), CLIPS[1])[1]
    n, units = len(states), range(16)
    mean = [sum(frame[unit] for frame in states) / n for unit in units]
    variance = [sum((frame[unit] - mean[unit]) ** 2 for frame in states) / n for unit in units]
    features = encoder("wav2vec2-layer").encode([CLIPS[1]])[0, 1]
    np.testing.assert_allclose(features, [*mean, *(v**0.5 for v in variance)], atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 320, 16_001, 32_000])
def test_silence_after_a_clip_is_left_out_of_whispers_statistics(n_samples, folder, encoder):
    n_frames = -(-n_samples // 320)  # 100 frames of 20 ms in this model's window of 2 s
    expected = statistics(by_hand(folder("whisper"), noise(n_samples), 0, n_frames))
    features = encoder("whisper").encode([noise(n_samples), noise(32_000, 1)])[0]
    np.testing.assert_allclose(features, expected, atol=1e-5)


def test_silence_after_a_clip_and_class_tokens_are_left_out_of_asts_statistics(folder, encoder):
    # two rows of 19 patches, one a 0.1 s
    states = by_hand(folder("ast"), CLIPS[1])[:, 2:].reshape(3, 2, 19, 16)
    # 98 spectra in 1 s; centres of patches 16 wide
    true = [column for column in range(19) if column * 10 + 8 < 98]
    expected = statistics(states[:, :, true].reshape(3, -1, 16))
    np.testing.assert_allclose(encoder("ast").encode([CLIPS[1]])[0], expected, atol=1e-5)


@pytest.mark.parametrize("family", ["wav2vec2-group", "whisper", "ast", "w2v-bert"])
def test_long_clips_are_windowed_and_nothing_is_cut(family, encoder, monkeypatch, watched):
    if family in ("wav2vec2-group", "w2v-bert"):
        monkeypatch.setattr(encoder(family)._inputs, "longest", 32_000)
    clip = noise(2 * encoder(family)._inputs.longest + 2 * 5_120)
    _, results = watched(encoder(family))
    for part in np.array_split(clip, 3):
        encoder(family).encode([part])
    columns = zip(*results, strict=True)
    counts, means, variances = (np.concatenate(column).astype(float) for column in columns)
    mean = (counts * means).sum(axis=0) / counts.sum(axis=0)
    square = (counts * (variances + means**2)).sum(axis=0) / counts.sum(axis=0)
    expected = np.concatenate([mean, np.sqrt(square - mean**2)], axis=-1)
    np.testing.assert_allclose(encoder(family).encode([CLIPS[0], clip])[1], expected, atol=1e-5)
    clip[-5_000:] = 0
    assert np.abs(encoder(family).encode([clip])[0] - expected).max() > 1e-4


def test_long_clips_pool_the_frames_of_all_windows(folder, encoder, monkeypatch):
    monkeypatch.setattr(encoder("wav2vec2-layer")._inputs, "longest", 20_000)
    clip = noise(50_000)
    windows = [by_hand(folder("wav2vec2-layer"), part) for part in np.array_split(clip, 3)]
    expected = statistics(np.concatenate(windows, axis=1))
    np.testing.assert_allclose(encoder("wav2vec2-layer").encode([clip])[0], expected, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_clips_too_short_for_a_frame_are_filled_with_zeros(family, encoder):
    model, n = encoder(family), encoder(family)._inputs.shortest
    short = noise(n)[: n // 2]
    pair = model.encode([short, np.pad(short, (0, n - n // 2))])
    # by rounding, however many threads there are
    np.testing.assert_allclose(pair[0], pair[1], atol=1e-5)
    silence = model.encode([np.zeros(0, np.float32), np.zeros(16_000, np.float32)])
    assert np.isfinite(silence).all()


def test_another_sample_rate_of_the_model_is_resampled_to(copy, encoder):
    at_8_khz = loaded(changed(copy(), "preprocessor_config.json", sampling_rate=8_000))
    assert at_8_khz.sample_rate_hz == 8_000
    half = soxr.resample(CLIPS[1], 16_000, 8_000, quality="HQ")
    expected = encoder("wav2vec2-layer").encode([half])
    np.testing.assert_allclose(at_8_khz.encode([CLIPS[1]]), expected, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_classifiers_give_their_encoder_and_loading_prints_nothing(family, tmp_path, capfd):
    model = tiny_models.build(family, tmp_path / family, id2label={0: "angry", 1: "happy"})
    assert "ngry" in (model / "config.json").read_text()
    capfd.readouterr()
    assert loaded(model).encode(CLIPS[:2]).shape == (2, 3, 32)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("family", "changes", "mixes"),
    [
        ("hubert", {"conv_pos_batch_norm": True}, False),
        ("wav2vec2-layer", {"add_adapter": True, "output_hidden_size": 16}, True),
    ],
    ids=["a batch norm before its positions", "an adapter for a decoder"],
)
def test_variants_change_no_value_with_the_batch(family, changes, mixes, tmp_path):
    model = loaded(tiny_models.build(family, tmp_path / "m", **changes))
    assert model.largest_difference(CLIPS) < (1e-4 if mixes else 1e-5)
    assert model._inputs.mixes_lengths == mixes


def test_fingerprint_changes_with_whatever_could_change_a_feature(copy, encoder, monkeypatch):
    reference = encoder("wav2vec2-layer").fingerprint
    assert loaded(copy(name="elsewhere"), batch_seconds=1).fingerprint == reference
    weights = copy(name="weights")
    tensors = load_file(weights / "model.safetensors")
    tensors["encoder.layer_norm.bias"] = tensors["encoder.layer_norm.bias"] + np.float32(1e-3)
    save_file(tensors, weights / "model.safetensors", metadata={"format": "pt"})
    variants = [
        weights,
        changed(copy(name="extractor"), "preprocessor_config.json", do_normalize=False),
        changed(copy(name="config"), "config.json", layer_norm_eps=1e-3),
    ]
    fingerprints = {reference, *(loaded(other).fingerprint for other in variants)}
    monkeypatch.setattr(encoders, "NUMBERS_VERSION", "0")
    fingerprints.add(loaded(copy(name="version")).fingerprint)
    assert len(fingerprints) == 5


def test_batches_are_packed_by_seconds_and_longest_first(folder, watched):
    model = loaded(folder("wav2vec2-group"), batch_seconds=4)
    batches, _ = watched(model)
    model.encode(CLIPS)
    expected = sorted((max(400, n) for n in SAMPLES), reverse=True)
    assert [n_samples for batch in batches for n_samples in batch] == expected
    assert len(batches) > 3
    assert all(len(batch) * batch[0] <= 4 * 16_000 for batch in batches)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA"),
        RuntimeError("[...] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_halves_the_packing_and_goes_on(error, folder, encoder, monkeypatch, caplog):
    model = loaded(folder("wav2vec2-group"))
    forward = model._module.forward

    def limited(input_values, **options):
        if input_values.numel() > 60_000:
            raise error
        return forward(input_values, **options)

    monkeypatch.setattr(model._module, "forward", limited)
    with caplog.at_level(logging.WARNING):
        features = model.encode(CLIPS)
    np.testing.assert_allclose(features, encoder("wav2vec2-group").encode(CLIPS), atol=1e-5)
    assert "out of memory" in caplog.text
    with pytest.raises(ModelError, match=r"5\.0 s of audio do not fit into memory"):
        model.encode([noise(80_000)])


def test_a_clip_that_becomes_nan_is_blamed_and_not_the_weights(copy):
    loud = np.full(16_000, 3e38, np.float32)
    folder = changed(copy("wav2vec2-group"), "preprocessor_config.json", do_normalize=False)
    message = r"copy: clip 2: expected finite hidden states, found NaN or infinity \(1.00 s"
    with pytest.raises(ClipError, match=message):
        loaded(folder).encode([noise(48_000), noise(8_000), loud, noise(16_000)])
    head = tiny_models.build("wav2vec2-group", folder.parent / "head", n_labels=2)
    changed(head, "preprocessor_config.json", do_normalize=False)
    clips = clips_in_memory([noise(8_000), loud, noise(16_000)])
    message = r"head: clip 1: expected finite logits, found NaN or infinity"
    with pytest.raises(ClipError, match=message):
        Classifier(ModelSpec(str(head), device="cpu")).probabilities(clips)


@pytest.mark.parametrize("module", ["encoder", "finetune", "classifier", "prosody"])
def test_import_loads_neither_torch_nor_transformers(module):
    heavy = {"torch", "transformers", "soundfile", "accelerate", "peft", "scipy", "pandas"}
    program = f"import sys, bimotion.models.{module}; print({heavy} & set(sys.modules))"
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "set()"


def test_groups_give_what_each_gives_alone_and_errors_come_in_their_place(encoder):
    model, groups = encoder("wav2vec2-layer"), [CLIPS[:2], CLIPS[2:5], CLIPS[1:2]]
    for group, features in zip(groups, model.encode_groups(iter(groups)), strict=True):
        np.testing.assert_array_equal(features, model.encode(group))
    for bad in (np.zeros((2, 100), np.float32), np.full(16_000, np.nan, np.float32)):
        many = model.encode_groups([CLIPS[:1], [bad], CLIPS[:1]])
        assert next(many).shape == (1, model.n_layers, 2 * model.dim)
        with pytest.raises(AudioError, match="expected a mono clip of finite samples"):
            next(many)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_gives_nearly_the_same(family, folder, encoder):
    on_gpu = load(ModelSpec(str(folder(family)), device="cuda"))
    assert on_gpu.fingerprint != encoder(family).fingerprint
    np.testing.assert_allclose(on_gpu.encode(CLIPS), encoder(family).encode(CLIPS), atol=0.1)
