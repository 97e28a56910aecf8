"""Tiny random models of every speech family, saved as their authors save theirs: config,
safetensors, feature extractor.

Tests load this file by its path (their imports are by file). Two layers, 16 wide, some thousand
parameters, seeded.
"""

import shutil
from pathlib import Path

import numpy as np

TRANSFORMER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
WAVEFORM = TRANSFORMER | {
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
}
CONFORMER = TRANSFORMER | {"conv_depthwise_kernel_size": 5, "vocab_size": 8}
N_MELS = 32
WHISPER_S, AST_FRAMES = 2, 204

# family: class before "Config" and "Model", class of the classifier, configuration, extractor, its
# options
FAMILIES = {
    "wav2vec2-layer": (
        "Wav2Vec2",
        "ForSequenceClassification",
        WAVEFORM | {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
        "Wav2Vec2",
        {"do_normalize": True, "return_attention_mask": True},
    ),
    "wav2vec2-group": (
        "Wav2Vec2",
        "ForSequenceClassification",
        WAVEFORM | {"feat_extract_norm": "group"},
        "Wav2Vec2",
        {"do_normalize": True, "return_attention_mask": False},
    ),
    "hubert": (
        "Hubert",
        "ForSequenceClassification",
        WAVEFORM | {"feat_extract_norm": "group"},
        "Wav2Vec2",
        {},
    ),
    "wavlm": (
        "WavLM",
        "ForSequenceClassification",
        WAVEFORM | {"feat_extract_norm": "group"},
        "Wav2Vec2",
        {},
    ),
    "unispeech-sat": ("UniSpeechSat", "ForSequenceClassification", WAVEFORM, "Wav2Vec2", {}),
    "sew": (
        "SEW",
        "ForSequenceClassification",
        WAVEFORM | {"conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2)},
        "Wav2Vec2",
        {},
    ),
    "data2vec": (
        "Data2VecAudio",
        "ForSequenceClassification",
        WAVEFORM | {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 5},
        "Wav2Vec2",
        {"return_attention_mask": True},
    ),
    "wav2vec2-conformer": (
        "Wav2Vec2Conformer",
        "ForSequenceClassification",
        WAVEFORM | CONFORMER | {"feat_extract_norm": "layer", "conv_bias": True},
        "Wav2Vec2",
        {"return_attention_mask": True},
    ),
    "w2v-bert": (
        "Wav2Vec2Bert",
        "ForSequenceClassification",
        CONFORMER | {"feature_projection_input_dim": 2 * N_MELS},
        "SeamlessM4T",
        {"feature_size": N_MELS, "num_mel_bins": N_MELS},
    ),
    "whisper": (
        "Whisper",
        "ForAudioClassification",
        {
            "d_model": 16,
            "encoder_layers": 2,
            "decoder_layers": 1,
            "num_mel_bins": N_MELS,
            "vocab_size": 8,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32,
            "max_source_positions": 50 * WHISPER_S,
            "max_target_positions": 8,
            "decoder_start_token_id": 1,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        "Whisper",
        {"feature_size": N_MELS, "chunk_length": WHISPER_S},
    ),
    "ast": (
        "AST",
        "ForAudioClassification",
        TRANSFORMER | {"num_mel_bins": N_MELS, "max_length": AST_FRAMES},
        "AST",
        {"num_mel_bins": N_MELS, "max_length": AST_FRAMES},
    ),
}


def build(
    family: str,
    folder: Path,
    n_labels: int | None = None,
    id2label: dict[int, str] | None = None,
    seed: int = 0,
    **changes,
) -> Path:
    """Save a tiny random model of a family and return its folder.

    n_labels or id2label: with a classification head (one of them will do). changes: of the
    configuration. The Whisper of this file hears windows of 2 s and the AST windows of 2.05 s, not
    30 s and 10 s.
    """
    import torch
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    name, head, options, extractor, extractor_options = FAMILIES[family]
    labels = {} if family == "ast" else {"classifier_proj_size": 16}
    if id2label or n_labels:
        id2label = id2label or {place: f"LABEL_{place}" for place in range(n_labels)}
        labels |= {
            "id2label": id2label,
            "label2id": {label: place for place, label in id2label.items()},
        }
    config = getattr(transformers, f"{name}Config")(**(options | labels | changes))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, f"{name}{head if id2label else 'Model'}")(config)
    model.save_pretrained(folder)
    getattr(transformers, f"{extractor}FeatureExtractor")(**extractor_options).save_pretrained(
        folder
    )
    return Path(folder)


def overflowing(source: Path, folder: Path) -> Path:
    """A copy of a model of this file whose hidden states are too large for single precision: no
    loss of it is finite."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(source, folder)
    tensors = load_file(folder / "model.safetensors")
    name = next(name for name in sorted(tensors) if name.endswith("output_dense.weight"))
    save_file(
        tensors | {name: np.sign(tensors[name]) * np.float32(1e38)},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    return folder
