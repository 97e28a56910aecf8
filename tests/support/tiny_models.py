"""Tiny random models of every speech family, saved as their authors save theirs: config,
safetensors, feature extractor.

Two layers, 16 wide, some thousand
parameters, seeded.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

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


class Family(NamedTuple):
    """The parts that transformers needs to make a model of a family."""

    name: str
    """Of its classes, before `Config` and `Model`."""
    config: dict
    extractor: str = "Wav2Vec2"
    extractor_options: dict | None = None
    head: str = "ForSequenceClassification"


GROUP = WAVEFORM | {"feat_extract_norm": "group"}
LAYER = WAVEFORM | {"feat_extract_norm": "layer", "conv_bias": True}
SEW = {"conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2)}
WHISPER = (
    {"d_model": 16, "encoder_layers": 2, "decoder_layers": 1}
    | {f"{part}_attention_heads": 2 for part in ("encoder", "decoder")}
    | {f"{part}_ffn_dim": 32 for part in ("encoder", "decoder")}
    | {"num_mel_bins": N_MELS, "vocab_size": 8}
    | {"max_source_positions": 50 * WHISPER_S, "max_target_positions": 8}
    | {"decoder_start_token_id": 1, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
)
BERT_INPUT = {"feature_projection_input_dim": 2 * N_MELS}
AST = {"num_mel_bins": N_MELS, "max_length": AST_FRAMES}
MASKED = {"return_attention_mask": True}
NORMAL = {"do_normalize": True}
FAMILIES = {
    "wav2vec2-layer": Family(
        "Wav2Vec2", LAYER | {"do_stable_layer_norm": True}, extractor_options=NORMAL | MASKED
    ),
    "wav2vec2-group": Family(
        "Wav2Vec2", GROUP, extractor_options=NORMAL | {"return_attention_mask": False}
    ),
    "hubert": Family("Hubert", GROUP),
    "wavlm": Family("WavLM", GROUP),
    "unispeech-sat": Family("UniSpeechSat", WAVEFORM),
    "sew": Family("SEW", WAVEFORM | SEW),
    "data2vec": Family(
        "Data2VecAudio",
        WAVEFORM | {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 5},
        extractor_options=MASKED,
    ),
    "wav2vec2-conformer": Family("Wav2Vec2Conformer", LAYER | CONFORMER, extractor_options=MASKED),
    "w2v-bert": Family(
        "Wav2Vec2Bert",
        CONFORMER | BERT_INPUT,
        "SeamlessM4T",
        {"feature_size": N_MELS, "num_mel_bins": N_MELS},
    ),
    "whisper": Family(
        "Whisper",
        WHISPER,
        "Whisper",
        {"feature_size": N_MELS, "chunk_length": WHISPER_S},
        head="ForAudioClassification",
    ),
    "ast": Family("AST", TRANSFORMER | AST, "AST", AST, head="ForAudioClassification"),
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
    made = FAMILIES[family]
    labels = {} if family == "ast" else {"classifier_proj_size": 16}
    if id2label or n_labels:
        id2label = id2label or {number: f"LABEL_{number}" for number in range(n_labels)}
        label2id = {label: number for number, label in id2label.items()}
        labels |= {"id2label": id2label, "label2id": label2id}
    config = getattr(transformers, f"{made.name}Config")(**(made.config | labels | changes))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, f"{made.name}{made.head if id2label else 'Model'}")(config)
    model.save_pretrained(folder)
    extractor = getattr(transformers, f"{made.extractor}FeatureExtractor")
    extractor(**(made.extractor_options or {})).save_pretrained(folder)
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
