"""Every family of the installed transformers that may hear: it runs, or it is refused in one right
line."""

import importlib.util

import numpy as np
import pytest

from bimotion.errors import ClipError, ModelError
from bimotion.models.encoder import load
from bimotion.models.spec import ModelSpec
from tests.support import tiny_families

PARTS = {  # class of the part that hears -> types of configuration
    "ASTModel": "audio-spectrogram-transformer",
    "AudioFlamingo3Encoder": "audioflamingo3 audioflamingo3_encoder musicflamingo",
    "Data2VecAudioModel": "data2vec-audio",
    "Gemma4AudioModel": "embedding_gemma2 gemma4 gemma4_audio",
    "GlmAsrEncoder": "glmasr glmasr_encoder",
    "HubertModel": "hubert",
    "LasrEncoder": "lasr_ctc lasr_encoder",
    "MimiEncoderModel": "mimi_encoder",
    "MoonshineEncoder": "moonshine",
    "MoonshineStreamingEncoder": "moonshine_streaming",
    "MossTranscribeDiarizeAudioModel": "moss_transcribe_diarize moss_transcribe_diarize_audio",
    "Nemotron3DiarizationAudioModel": "nemotron3_diarization_audio",
    "Nemotron3DiarizationModel": "nemotron3_diarization",
    "Nemotron3_5TranscribeAsrAudioModel": "nemotron3_5_transcribe_asr_audio",
    "NemotronAsrStreamingEncoder": "nemotron3_5_asr nemotron_asr_streaming "
    "nemotron_asr_streaming_encoder",
    "ParakeetEncoder": "canary cohere_asr parakeet_ctc parakeet_encoder parakeet_rnnt parakeet_tdt",
    "PeAudioEncoder": "pe_audio pe_audio_encoder",
    "Qwen2AudioEncoder": "qwen2_audio qwen2_audio_encoder",
    "Qwen2_5OmniAudioEncoder": "qwen2_5_omni_thinker",
    "Qwen3ASREncoder": "qwen3_asr qwen3_asr_encoder",
    "Qwen3OmniMoeAudioEncoder": "qwen3_omni_moe qwen3_omni_moe_thinker",
    "SEWDModel": "sew-d",
    "SEWModel": "sew",
    "SeamlessM4TSpeechEncoder": "seamless_m4t",
    "SeamlessM4Tv2SpeechEncoder": "seamless_m4t_v2",
    "Speech2TextEncoder": "speech_to_text",
    "SpeechT5EncoderWithSpeechPrenet": "speecht5",
    "UniSpeechModel": "unispeech",
    "UniSpeechSatModel": "unispeech-sat",
    "VoxtralEncoder": "voxtral voxtral_encoder",
    "VoxtralRealtimeEncoder": "voxtral_realtime voxtral_realtime_encoder",
    "Wav2Vec2BertModel": "wav2vec2-bert",
    "Wav2Vec2ConformerModel": "wav2vec2-conformer",
    "Wav2Vec2Model": "speech-encoder-decoder wav2vec2",
    "WavLMModel": "wavlm",
    "WhisperEncoder": "whisper",
}
RUNS = {family: part for part, names in PARTS.items() for family in names.split()}
CODEC = (
    r"expected a speech encoder, found \w+, a codec or vocoder: wrap it as an object with encode\("
)
DEAF = r"expected an audio model, found \w+, no part of which takes audio"
WITHOUT_STATES = (
    r"expected hidden states of every layer, \w+ gives none: wrap it as an object with encode\("
)
SIZES = r"expected hidden states of one size, \w+ gives .*: wrap it as an object with encode\("
MULTIPLE = (
    r"expected hidden states of a clip, found: The number of spectrogram frames \(\d+\) must be a "
    r"multiple of"
)
ARGUMENT = (
    r"expected hidden states of a clip, found: Dots3NoteAudioModel.forward\(\) missing .* "
    r"'chunk_sample_lengths'"
)
THINKER = (
    r"expected the part of qwen2_5_omni that hears, found the whole: .*thinker.save_pretrained"
)
LIBRARIES = ("torchaudio", "timm", "essentia", "librosa")
LIBRARY = rf"requires (the )?({'|'.join(LIBRARIES)}) library"
BROKEN = r"expected a configuration of which a model can be made, found: "
BEFORE_WEIGHTS = {  # refused by configuration and feature extractor
    CODEC: "csm dac encodec mimi pocket_tts_audio_tokenizer pocket_tts_audio_tokenizer_encoder "
    "univnet vibevoice vibevoice_acoustic_tokenizer vibevoice_acoustic_tokenizer_decoder "
    "vibevoice_acoustic_tokenizer_encoder xcodec",
    DEAF: "clvp dia gemma4_unified gemma4_vision gradium_phonon_tts inkling_mm_model "
    "kyutai_speech_to_text mimi_decoder moshi nemotron3_5_transcribe_word_timestamp "
    "nemotron_h_omni pocket_tts pocket_tts_audio_tokenizer_decoder vibevoice_asr",
    THINKER: "qwen2_5_omni",
    BROKEN: "musicgen",  # by transformers itself
    LIBRARY: "fun_asr_nano fun_asr_nano_encoder gemma3n granite_speech granite_speech5_ctc "
    "granite_speech5_encoder granite_speech_plus higgs_audio_v2_tokenizer musicgen_melody "
    "neucodec pe_audio_video pe_audio_video_encoder pop2piano xcodec2",
}
BY_A_CLIP = {  # refused by what a second of noise gives
    SIZES: "clap muse_spark muse_spark_audio",
    WITHOUT_STATES: "gemma3n_audio phi4_multimodal",
    ARGUMENT: "dots3_note",
    MULTIPLE: "nemo_speechlm nemotron3_5_transcribe_audio",
}
REFUSED = {
    family: reason
    for reason, names in (BEFORE_WEIGHTS | BY_A_CLIP).items()
    for family in names.split()
}


@pytest.fixture(scope="module")
def hearing():
    return set(tiny_families.hearing())


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models this small are faster without the others."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def noise(n_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def test_every_family_of_the_installed_transformers_is_in_one_list(hearing):
    assert not set(RUNS) & set(REFUSED)
    assert sorted(hearing - {*RUNS, *REFUSED}) == [], (
        "say of each whether it runs (RUNS) or why not (REFUSED)"
    )


@pytest.mark.parametrize("family", RUNS)
def test_a_family_runs(family, hearing, tmp_path):
    if family not in hearing:
        pytest.skip("the installed transformers does not have it")
    encoder = load(ModelSpec(str(tiny_families.build(family, tmp_path / "model")), device="cpu"))
    assert type(encoder._module).__name__ == RUNS[family]
    clips = [noise(4_000, 0), noise(4_000, 1), noise(16_000, 2)]
    features = encoder.encode(clips)
    assert features.shape == (3, encoder.n_layers, 2 * encoder.dim)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(encoder.encode(clips[:1])[0], features[0], atol=1e-4)
    assert np.abs(features[0] - features[1]).max() > 1e-6
    windows = [encoder._inputs.windows(clip)[0] for clip in (clips[0], clips[2])]
    short, long = (
        encoder._statistics(encoder._prepared([window]).features)[0][0] for window in windows
    )
    # of a clip four times as long, more frames: padding to a window does not count
    assert (short < long).all()
    try:
        silence, message = encoder.encode([np.zeros(16_000, np.float32)]), "clip 0: all zeros"
    except ClipError as error:
        silence, message = 0, str(error)
    assert np.isfinite(silence).all()
    assert {"clip 0", "all zeros"} == {part for part in ("clip 0", "all zeros") if part in message}


@pytest.mark.parametrize("family", REFUSED)
def test_a_family_is_refused_in_one_right_line(family, hearing, tmp_path):
    if family not in hearing:
        pytest.skip("the installed transformers does not have it")
    if REFUSED[family] == LIBRARY and (
        here := [name for name in LIBRARIES if importlib.util.find_spec(name)]
    ):
        pytest.skip(f"not refused for a library: {', '.join(here)} is installed")
    late = any(family in names.split() for names in BY_A_CLIP.values())
    folder = (tiny_families.build if late else tiny_families.declare)(family, tmp_path / "model")
    with pytest.raises(ModelError, match=REFUSED[family]) as caught:
        load(ModelSpec(str(folder), device="cpu"))
    assert "\n" not in str(caught.value)
