"""A shorter window than the model's own: the encoder applied by hand with its positions cut, a clip
that hangs on no neighbour, another identity, and whatever cannot be asked for."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation.tracks.track import clips_in_memory
from bimotion.io import audio
from bimotion.models.classifier import Classifier
from bimotion.models.encoder import load
from bimotion.models.spec import ModelSpec
from bimotion.models.windows import Window
from tests.support import tiny_families, tiny_models
from tests.support.short_clips import CLIPS, noise

FAMILIES = ("whisper", "ast")


def spec(folder, window="model"):
    return ModelSpec(str(folder), device="cpu", window=window)


def statistics(states):
    return np.concatenate([states.mean(axis=1), states.std(axis=1)], axis=-1)


def whisper_by_hand(folder, waveform, n):
    """Hidden states, shape (n_layers, n, dim), of the first n positions of Whisper's encoder."""
    from transformers import AutoModel, WhisperFeatureExtractor

    encoder = AutoModel.from_pretrained(folder, dtype=torch.float32).eval().encoder
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    made = extractor(waveform, sampling_rate=16_000, return_tensors="pt")["input_features"]
    gelu = torch.nn.functional.gelu
    with torch.no_grad():
        heard = gelu(encoder.conv2(gelu(encoder.conv1(made[:, :, : 2 * n]))))
        states = [heard.transpose(1, 2) + encoder.embed_positions.weight[:n]]
        for layer in encoder.layers:
            states.append(layer(states[-1], None))
        states[-1] = encoder.layer_norm(states[-1])
    return torch.cat(states).double().numpy()


def ast_by_hand(folder, waveform, n):
    """Hidden states, shape (n_layers, 2 * n, dim), of both rows of the first n columns of patches;
    19 are AST's own here."""
    from transformers import AutoFeatureExtractor, AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    values = extractor(waveform, sampling_rate=16_000, return_tensors="pt")["input_values"]
    parts = model.embeddings
    tokens = torch.cat([parts.cls_token, parts.distillation_token], 1)
    positions = parts.position_embeddings
    rows = [positions[:, 2 + 19 * row : 2 + 19 * row + n] for row in range(2)]
    with torch.no_grad():
        patches = parts.patch_embeddings(values[:, : 16 + 10 * (n - 1)])
        states = [torch.cat([tokens, patches], 1) + torch.cat([positions[:, :2], *rows], 1)]
        for layer in model.layers:
            states.append(layer(states[-1]))
        states[-1] = model.layernorm(states[-1])
    return torch.cat(states).double().numpy()[:, 2:]


@pytest.mark.parametrize(
    ("window", "n_samples", "n"),
    [
        ("clip", 100, 52),  # with a second of silence: 2 ** 14 samples, of 320 a position
        ("clip", 8_000, 79),
        ("clip", 16_000, 100),  # its own window
        (1.5, 100, 75),
        (1.5, 8_000, 79),  # the clip and a second are longer
        (0.001, 8_000, 79),
    ],
)
def test_whisper_hears_the_first_positions(window, n_samples, n, folder):
    states = whisper_by_hand(folder("whisper"), noise(n_samples), n)[:, : -(-n_samples // 320)]
    features = load(spec(folder("whisper"), window)).encode([noise(n_samples)])[0]
    np.testing.assert_allclose(features, statistics(states), atol=1e-5)


# a patch is 16 spectra wide, the next begins 10 later; 2 ** 14.625 samples hold 156.4 spectra
@pytest.mark.parametrize(("window", "n"), [("clip", 16), (1.8, 18), (0.3, 16)])
def test_ast_hears_the_first_columns_of_patches(window, n, folder):
    states = ast_by_hand(folder("ast"), noise(8_000), n).reshape(3, 2, n, 16)
    true = [column for column in range(n) if column * 10 + 8 < 48]  # of 48 spectra, by the centre
    expected = statistics(states[:, :, true].reshape(3, -1, 16))
    features = load(spec(folder("ast"), window)).encode([noise(8_000)])[0]
    np.testing.assert_allclose(features, expected, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("window", ["clip", 1])
def test_a_clip_hangs_on_no_neighbour(family, window, folder, monkeypatch):
    model, batches = load(spec(folder(family), window)), []
    run = model._inputs.run

    def watched(module, batch, device, **options):
        batches.append({model._inputs.heard(int(n)) for n in batch.n_samples})
        return run(module, batch, device, **options)

    monkeypatch.setattr(model._inputs, "run", watched)
    features = model.encode(CLIPS)  # one of them longer than the model's own window
    assert {len(lengths) for lengths in batches} == {1}
    assert len(batches) < len(CLIPS)
    for clip, row in zip(CLIPS, features, strict=True):
        np.testing.assert_allclose(model.encode([clip])[0], row, atol=1e-5)
    own = load(spec(folder(family))).encode(CLIPS)
    np.testing.assert_allclose(features[:, 0], own[:, 0], atol=1e-5)
    assert np.abs(features[:, 1:] - own[:, 1:]).max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_every_window_has_its_identity_and_the_models_own_the_one_of_before(family, folder):
    own = load(spec(folder(family)))
    whole = load(spec(folder(family), own.window_s))
    assert (own.window, whole.window, whole.fingerprint) == ("model", "model", own.fingerprint)
    np.testing.assert_array_equal(whole.encode(CLIPS), own.encode(CLIPS))
    shorter = [load(spec(folder(family), window)) for window in ("clip", "1", 1.0, 1.5)]
    assert [model.window for model in shorter] == ["clip", 1.0, 1.0, 1.5]
    assert len({own.fingerprint, *(model.fingerprint for model in shorter)}) == 4
    assert shorter[1].fingerprint == shorter[2].fingerprint
    assert "a window of its length and 1 s of silence, rounded up, of at" in shorter[0].padding
    assert own.heard_s(0.5) == own.window_s
    assert shorter[0].heard_s(0.5) == {"whisper": 1.58, "ast": 1.675}[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_classifier_hears_it_too(family, tmp_path):
    model = tiny_models.build(family, tmp_path / family, n_labels=3)
    classifier, clips = Classifier(spec(model, "clip")), clips_in_memory(CLIPS)
    assert classifier.largest_difference(clips) < 1e-6
    clip_row, own = (
        of.table(clips_in_memory([noise(8_000)]))[0].numpy()
        for of in (classifier, Classifier(spec(model)))
    )
    assert np.abs(clip_row - own).max() > 1e-6
    if family == "whisper":
        from transformers import AutoModelForAudioClassification

        head = AutoModelForAudioClassification.from_pretrained(model)
        last = torch.tensor(whisper_by_hand(model, noise(8_000), 79)[-1], dtype=torch.float32)
        expected = head.classifier(head.projector(last).mean(0)).detach()
        np.testing.assert_allclose(clip_row, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "window", "message"),
    [
        ("hubert", "clip", "expected model, for it hears each clip as long as it is, found clip"),
        ("w2v-bert", 5, "expected model, for it hears each clip as long as it is, found 5"),
        ("whisper", 2.1, "expected model, clip or seconds up to its own 2, found 2.1"),
        ("ast", 10, r"expected model, clip or seconds up to its own 2\.055, found 10"),
    ],
)
def test_a_window_that_the_model_cannot_hear_is_refused(family, window, message, copy):
    model = copy(family)
    (model / "model.safetensors").write_bytes(b"")  # before its weights are read
    with pytest.raises(SettingError, match=rf"^{model}: window: {message}$"):
        load(spec(model, window))


def test_a_window_that_cannot_be_cut_is_refused(tmp_path):
    model = tiny_families.build("qwen2_audio_encoder", tmp_path / "m")
    with pytest.raises(SettingError, match="expected model, for only the windows of Whisper and A"):
        load(spec(model, "clip"))


@pytest.mark.parametrize("window", ["half", "", 0, -1, math.nan, "inf", 601, True, None, ["clip"]])
def test_what_is_no_window_is_refused(window):
    with pytest.raises(SettingError, match=r"^window: expected model, clip, or seconds above 0 a"):
        ModelSpec("m", window=window)


WINDOWS = st.builds(
    lambda first, step, n, least: Window(
        "", own=first + step * (n - 1), rate=16_000, first=first, step=step, least=min(least, n)
    ),
    *(st.integers(1, 5_000), st.integers(1, 5_000), st.integers(1, 1_500), st.integers(1, 1_500)),
)


@given(WINDOWS, st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_a_window_holds_its_clip_and_silence_and_is_one_of_few(window, parts):
    lengths = sorted(round(part * window.own) for part in parts)
    heard = [window.samples(n) for n in lengths]
    assert heard == sorted(heard)
    for n, n_heard in zip(lengths, heard, strict=True):
        positions = window.positions(n)
        assert min(n + 16_000, window.own) <= n_heard <= window.own
        assert window.least <= positions <= window.n_positions
        assert n_heard == min(window.own, window.first + (positions - 1) * window.step)
        assert window.samples(n_heard) >= n_heard
        if positions > window.least:  # a ninth above the two, and a position at most
            assert n_heard <= 1.0906 * (n + 16_000) + 1 + max(window.step, window.first)


@given(st.integers(1, 480_000))
def test_a_clip_fills_one_of_few_windows_of_whisper(n_samples):
    window = Window("clip", own=480_000, rate=16_000, first=320, step=320, least=1)
    assert window.positions(n_samples) in LENGTHS
    assert len(LENGTHS) <= 40


LENGTHS = {min(1500, math.ceil(math.ceil(2 ** (k / 8) - 1e-6) / 320)) for k in range(112, 153)}
"""Positions of powers of 2 ** (1 / 8) samples, from a second (2 ** 14) on."""


def test_a_real_whisper_hears_the_first_positions_of_a_real_clip(real_models, shared_corpora):
    csed = manifest.build(CorpusSource.of(shared_corpora, only=["csed"]))
    waveform = audio.decode(csed.path("csed", csed.table["path"].iloc[0]))
    model = load(spec(real_models / "whisper-tiny.en", "clip"))
    n = model._inputs.window.positions(len(waveform))
    assert len(waveform) / 320 + 50 <= n < 300
    states = whisper_by_hand(real_models / "whisper-tiny.en", waveform, n)
    expected = statistics(states[:, : -(-len(waveform) // 320)])
    features = model.encode([waveform])[0]
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)
    own = load(spec(real_models / "whisper-tiny.en")).encode([waveform])[0]
    change = np.linalg.norm(features - own, axis=1) / np.linalg.norm(own, axis=1)
    assert change[0] < 1e-5
    assert change[-1] > 0.05


def test_silence_keeps_the_vast_frame_of_whisper_base_out_of_speech(real_models, shared_corpora):
    csed = manifest.build(CorpusSource.of(shared_corpora, only=["csed"]))
    path = csed.table.set_index("id").at["csed/Nat_female_25", "path"]
    waveform = audio.decode(csed.path("csed", path))
    true = -(-len(waveform) // 320)
    window = load(spec(real_models / "whisper-base-encoder", "clip"))._inputs.window
    norms = [
        np.linalg.norm(whisper_by_hand(real_models / "whisper-base-encoder", waveform, n), axis=-1)
        for n in (true, window.positions(len(waveform)))
    ]
    largest = [of_frames[4, :true].max() for of_frames in norms]
    assert largest[0] > 400
    assert largest[1] < 40
    assert norms[1][4, true:].max() > 400  # now in the silence
