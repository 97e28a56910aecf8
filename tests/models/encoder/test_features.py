"""Every family of encoders gives the hidden states of plain transformers, and no value depends on
its neighbours in a batch."""

import json
import logging
import subprocess
import sys

import numpy as np
import pytest
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


@pytest.fixture(scope="module")
def encoder(folder):
    """Family -> its encoder."""
    loaded = {}

    def get(family):
        if family not in loaded:
            loaded[family] = load(ModelSpec(str(folder(family)), device="cpu"))
        return loaded[family]

    return get


def by_hand(folder, waveform, first=0, n_frames=None):
    """Hidden states of one clip by plain transformers, shape (n_layers, frames, dim), last layer =
    the model's output."""
    from transformers import AutoFeatureExtractor, AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    model = model.get_encoder() if model.config.is_encoder_decoder else model
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    with torch.no_grad():
        output = model(
            **{
                k: v
                for k, v in extractor(waveform, sampling_rate=16_000, return_tensors="pt").items()
                if k.startswith("input")
            },
            output_hidden_states=True,
        )
    states = [*output.hidden_states[:-1], output.last_hidden_state]
    return np.stack([state[0].double().numpy() for state in states])[
        :, first : n_frames and first + n_frames
    ]


def statistics(states):
    return np.concatenate([states.mean(axis=1), states.std(axis=1)], axis=-1)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_mean_and_deviation_of_every_hidden_state(family, encoder):
    features = encoder(family).encode(CLIPS)
    assert features.dtype == np.float32
    assert features.shape == (len(CLIPS), 3, 2 * 16)
    assert (encoder(family).n_layers, encoder(family).dim, encoder(family).sample_rate_hz) == (
        3,
        16,
        16_000,
    )
    assert np.isfinite(features).all()
    assert (features[..., 16:] >= 0).all()
    assert features[1:, -1].std(axis=0).max() > 1e-6  # clips differ
    assert encoder(family).revision is None
    assert encoder(family).trusted_remote_code is False


@pytest.mark.parametrize("family", FAMILIES)
def test_no_value_depends_on_the_batch(family, encoder):
    assert encoder(family).largest_difference(CLIPS) < (1e-4 if family in PADDED else 1e-5)
    equal = [noise(12_345, seed) for seed in range(4)]
    assert encoder(family).largest_difference(equal) < 1e-5


@pytest.mark.parametrize("family", PADDED)
def test_padded_families_do_pad(family, encoder, monkeypatch):
    batches = []
    statistics_of = encoder(family)._statistics
    monkeypatch.setattr(
        encoder(family),
        "_statistics",
        lambda windows: batches.append(len(windows)) or statistics_of(windows),
    )
    encoder(family).encode(CLIPS)
    assert batches == [len(CLIPS)]


@pytest.mark.parametrize("family", FAMILIES)
def test_order_does_not_matter(family, encoder):
    places = np.random.default_rng(1).permutation(len(CLIPS))
    shuffled = encoder(family).encode([CLIPS[place] for place in places])
    np.testing.assert_allclose(shuffled, encoder(family).encode(CLIPS)[places], atol=1e-5)


def test_nothing_in_nothing_out(encoder):
    assert encoder("hubert").encode([]).shape == (0, 3, 32)
    assert encoder("hubert").largest_difference([]) == 0


@pytest.mark.parametrize(
    "family",
    [
        "wav2vec2-layer",
        "wav2vec2-group",
        "hubert",
        "wavlm",
        "data2vec",
        "unispeech-sat",
        "wav2vec2-conformer",
    ],
)
def test_statistics_are_those_of_plain_transformers(family, folder, encoder):
    clips = [CLIPS[1], CLIPS[5], CLIPS[6]]  # together, so that two of them are padded
    expected = np.stack([statistics(by_hand(folder(family), clip)) for clip in clips])
    np.testing.assert_allclose(encoder(family).encode(clips), expected, atol=2e-5)


def test_w2v_bert_is_that_of_plain_transformers(folder, encoder):
    # 98 spectra: 49 frames, none of them padding
    expected = statistics(by_hand(folder("w2v-bert"), CLIPS[1]))
    np.testing.assert_allclose(
        encoder("w2v-bert").encode([CLIPS[6], CLIPS[1]])[1], expected, atol=2e-5
    )


def test_mean_and_deviation_are_the_literal_ones(folder, encoder):
    states = by_hand(folder("wav2vec2-layer"), CLIPS[1])[1]
    mean = [sum(frame[unit] for frame in states) / len(states) for unit in range(16)]
    variance = [
        sum((frame[unit] - mean[unit]) ** 2 for frame in states) / len(states) for unit in range(16)
    ]
    expected = [*mean, *(value**0.5 for value in variance)]
    np.testing.assert_allclose(
        encoder("wav2vec2-layer").encode([CLIPS[1]])[0, 1], expected, atol=1e-5
    )


@pytest.mark.parametrize("n_samples", [1, 320, 16_000, 16_001, 32_000])
def test_silence_after_a_clip_is_left_out_of_whispers_statistics(n_samples, folder, encoder):
    n_frames = -(-n_samples // 320)  # 100 frames of 20 ms in this model's window of 2 s
    expected = statistics(by_hand(folder("whisper"), noise(n_samples), 0, n_frames))
    found = encoder("whisper").encode([noise(n_samples), noise(32_000, 1)])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_silence_after_a_clip_and_class_tokens_are_left_out_of_asts_statistics(folder, encoder):
    # two rows of 19 patches, one a 0.1 s
    states = by_hand(folder("ast"), CLIPS[1])[:, 2:].reshape(3, 2, 19, 16)
    # 98 spectra in 1 s; centres of patches 16 wide
    true = [column for column in range(19) if column * 10 + 8 < 98]
    expected = statistics(states[:, :, true].reshape(3, -1, 16))
    np.testing.assert_allclose(encoder("ast").encode([CLIPS[1]])[0], expected, atol=1e-5)


@pytest.mark.parametrize("family", ["wav2vec2-group", "whisper", "ast", "w2v-bert"])
def test_long_clips_are_windowed_and_nothing_is_cut(family, encoder, monkeypatch):
    if family in ("wav2vec2-group", "w2v-bert"):
        monkeypatch.setattr(encoder(family)._inputs, "longest", 32_000)
    longest = encoder(family)._inputs.longest
    clip = noise(2 * longest + 2 * 5_120)
    parts = np.array_split(clip, 3)
    seen, statistics_of = [], encoder(family)._statistics
    monkeypatch.setattr(
        encoder(family),
        "_statistics",
        lambda windows: seen.append(statistics_of(windows)) or seen[-1],
    )
    for part in parts:
        encoder(family).encode([part])
    counts, means, variances = (
        np.concatenate(column).astype(float) for column in zip(*seen, strict=True)
    )
    mean = (counts * means).sum(axis=0) / counts.sum(axis=0)
    square = (counts * (variances + means**2)).sum(axis=0) / counts.sum(axis=0)
    expected = np.concatenate([mean, np.sqrt(square - mean**2)], axis=-1)
    np.testing.assert_allclose(encoder(family).encode([CLIPS[0], clip])[1], expected, atol=1e-5)
    changed = clip.copy()
    changed[-5_000:] = 0
    assert np.abs(encoder(family).encode([changed])[0] - expected).max() > 1e-4


def test_long_clips_pool_the_frames_of_all_windows(folder, encoder, monkeypatch):
    monkeypatch.setattr(encoder("wav2vec2-layer")._inputs, "longest", 20_000)
    clip = noise(50_000)
    states = np.concatenate(
        [by_hand(folder("wav2vec2-layer"), part) for part in np.array_split(clip, 3)], axis=1
    )
    np.testing.assert_allclose(
        encoder("wav2vec2-layer").encode([clip])[0], statistics(states), atol=1e-5
    )


def test_clips_too_short_for_a_frame_are_filled_with_zeros(encoder):
    for family in FAMILIES:
        short = encoder(family)._inputs.shortest
        pair = encoder(family).encode(
            [
                noise(short)[: short // 2],
                np.pad(noise(short)[: short // 2], (0, short - short // 2)),
            ]
        )
        # by rounding, however many threads there are
        np.testing.assert_allclose(pair[0], pair[1], atol=1e-5)
        assert np.isfinite(
            encoder(family).encode([np.zeros(0, np.float32), np.zeros(16_000, np.float32)])
        ).all()


def test_another_sample_rate_of_the_model_is_resampled_to(copy, encoder):
    import soxr

    changed = copy()
    path = changed / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sampling_rate": 8_000}))
    at_8_khz = load(ModelSpec(str(changed), device="cpu"))
    assert at_8_khz.sample_rate_hz == 8_000
    half = soxr.resample(CLIPS[1], 16_000, 8_000, quality="HQ")
    np.testing.assert_allclose(
        at_8_khz.encode([CLIPS[1]]), encoder("wav2vec2-layer").encode([half]), atol=1e-6
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_classifiers_give_their_encoder(family, tmp_path):
    model = tiny_models.build(family, tmp_path / family, id2label={0: "angry", 1: "happy"})
    assert "ngry" in (model / "config.json").read_text()
    assert load(ModelSpec(str(model), device="cpu")).encode(CLIPS[:2]).shape == (2, 3, 32)


def test_hubert_with_a_batch_norm_before_its_positions_is_not_padded(tmp_path):
    model = load(
        ModelSpec(
            str(tiny_models.build("hubert", tmp_path / "m", conv_pos_batch_norm=True)), device="cpu"
        )
    )
    assert model.largest_difference(CLIPS) < 1e-5
    assert not model._inputs.mixes_lengths


def test_an_adapter_for_a_decoder_is_left_out(tmp_path):
    model = tiny_models.build(
        "wav2vec2-layer", tmp_path / "m", add_adapter=True, output_hidden_size=16
    )
    assert load(ModelSpec(str(model), device="cpu")).largest_difference(CLIPS) < 1e-4


def test_fingerprint_changes_with_weights_and_preprocessing_and_not_with_the_folder(copy, encoder):
    def fingerprint(folder):
        return load(ModelSpec(str(folder), device="cpu")).fingerprint

    reference = encoder("wav2vec2-layer").fingerprint
    assert fingerprint(copy(name="elsewhere")) == reference
    assert (
        load(ModelSpec(str(copy(name="b")), device="cpu", batch_seconds=1)).fingerprint == reference
    )
    found = {reference}
    weights = copy(name="weights")
    tensors = load_file(weights / "model.safetensors")
    tensors["encoder.layer_norm.bias"] = tensors["encoder.layer_norm.bias"] + np.float32(1e-3)
    save_file(tensors, weights / "model.safetensors", metadata={"format": "pt"})
    found.add(fingerprint(weights))
    for name, change in [
        ("preprocessor_config.json", {"do_normalize": False}),
        ("config.json", {"layer_norm_eps": 1e-3}),
    ]:
        changed = copy(name=name)
        path = changed / name
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
        found.add(fingerprint(changed))
    assert len(found) == 4


def test_batches_are_packed_by_seconds_and_longest_first(folder, monkeypatch):
    model = load(ModelSpec(str(folder("wav2vec2-group")), device="cpu", batch_seconds=4))
    seen, statistics_of = [], model._statistics
    monkeypatch.setattr(
        model,
        "_statistics",
        lambda windows: seen.append([w.n_samples for w in windows]) or statistics_of(windows),
    )
    model.encode(CLIPS)
    assert [length for batch in seen for length in batch] == sorted(
        (max(400, n) for n in SAMPLES), reverse=True
    )
    assert len(seen) > 3
    assert all(len(batch) * batch[0] <= 4 * 16_000 for batch in seen)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA"),
        RuntimeError("[...] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_halves_the_packing_and_goes_on(error, folder, encoder, monkeypatch, caplog):
    model = load(ModelSpec(str(folder("wav2vec2-group")), device="cpu"))
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


def test_bad_clips_are_named(encoder):
    for bad in (np.zeros((2, 100), np.float32), np.array([np.nan], np.float32)):
        with pytest.raises(AudioError, match="expected a mono clip of finite samples"):
            encoder("hubert").encode([bad])


def test_a_clip_that_becomes_nan_is_blamed_and_not_the_weights(copy):
    loud = np.full(16_000, 3e38, np.float32)
    folder = copy("wav2vec2-group")
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"do_normalize": False}))
    with pytest.raises(
        ClipError,
        match=r"copy: clip 2: expected finite hidden states, found NaN or infinity \(1.00 s",
    ):
        load(ModelSpec(str(folder), device="cpu")).encode(
            [noise(48_000), noise(8_000), loud, noise(16_000)]
        )
    head = tiny_models.build("wav2vec2-group", folder.parent / "head", n_labels=2)
    (head / "preprocessor_config.json").write_text(path.read_text())
    with pytest.raises(
        ClipError, match=r"head: clip 1: expected finite logits, found NaN or infinity"
    ):
        Classifier(ModelSpec(str(head), device="cpu")).probabilities(
            clips_in_memory([noise(8_000), loud, noise(16_000)])
        )


def test_import_loads_neither_torch_nor_transformers():
    program = (
        "import sys, bimotion.models.encoder; print({'torch', 'transformers', 'soundfile'} & "
        "set(sys.modules))"
    )
    environment = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "set()"


def test_groups_give_what_each_gives_alone_and_errors_come_in_their_place(encoder):
    model, groups = encoder("wav2vec2-layer"), [CLIPS[:2], CLIPS[2:5], CLIPS[1:2]]
    for group, found in zip(groups, model.encode_groups(iter(groups)), strict=True):
        np.testing.assert_array_equal(found, model.encode(group))
    many = model.encode_groups([CLIPS[:1], [np.full(16_000, np.nan, np.float32)], CLIPS[:1]])
    assert next(many).shape == (1, model.n_layers, 2 * model.dim)
    with pytest.raises(AudioError):
        next(many)


def test_loading_prints_nothing(folder, capfd, tmp_path):
    load(
        ModelSpec(str(tiny_models.build("wavlm", tmp_path / "m", n_labels=2)), device="cpu")
    ).encode(CLIPS)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_gpu_gives_nearly_the_same(family, folder, encoder):
    on_gpu = load(ModelSpec(str(folder(family)), device="cuda"))
    assert on_gpu.fingerprint != encoder(family).fingerprint
    np.testing.assert_allclose(on_gpu.encode(CLIPS), encoder(family).encode(CLIPS), atol=0.1)


def test_version_is_part_of_the_fingerprint(folder, encoder, monkeypatch):
    before = encoder("hubert").fingerprint
    monkeypatch.setattr(encoders, "NUMBERS_VERSION", "0")
    assert load(ModelSpec(str(folder("hubert")), device="cpu")).fingerprint != before
