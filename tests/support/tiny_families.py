"""Tiny random models of every family that the installed transformers can load and that may hear,
built by rule.

A default configuration is shrunk by the names of its numbers; only what the rules cannot know is
said family by family.
"""

import inspect
import json
import re
from pathlib import Path

# classes of transformers that may load a model with an audio encoder -> its list of what each loads
MAPPINGS = {
    "AutoModel": "MODEL_MAPPING_NAMES",
    "AutoModelForSpeechSeq2Seq": "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
    "AutoModelForMultimodalLM": "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
}
AUDIO_INPUTS = {"input_values", "input_features", "audio_mel"}
VOCABULARY = 300
WINDOW_S = 2
"""Of models that hear through Whisper's spectrogram, whose real ones hear 30 s."""
RULES = (  # name of a number in a configuration -> the most it may be
    (r".*vocab(ulary)?_size(_\w+)?", VOCABULARY),
    (r"num_(conv|feat_extract|codebook)\w*|.*_index", None),
    (r"(num_|n_)?(\w+_)?(layers|layer|depth|blocks)", 1),
    (r".*num_(global_)?key_value_heads|.*(attention_|_)heads|n_heads?", 2),
    (r".*head_dim|dim_head", 8),
    (r".*intermediate_(size|dim)|.*ffn_(dim|hidden_size)|d_ff|max_source_positions_text", 32),
    (
        r"hidden_size|d_model|.*hidden_dim|output_dim|proj(ection)?_dim|decoder_hidden_size|(audio|projector)_hidden_size",
        16,
    ),
    (
        r"encoder_hidden_size|downsample_hidden_size|num_filters|\w*conv_channels|cross_attention_dim",
        16,
    ),
    (r"upsample_initial_channel", 64),
    (r"max_source_positions", 50 * WINDOW_S),
    (r"num_(local_)?experts|n_routed_experts", 2),
    (r"num_experts_per_tok|top_k_experts", 1),
)
SHORTER = r"layer_types|mlp_layer_types|.*layer_indices"
NARROWER = {"conv_dim": 8, "tdnn_dim": 8, "depths": 1}


def shrunk(content: dict) -> dict:
    """A configuration with small numbers; token ids stay within the vocabulary."""
    small = {}
    for name, value in content.items():
        if isinstance(value, dict) and name != "per_layer_config":
            value = shrunk(value)
        elif isinstance(value, list) and re.fullmatch(SHORTER, name):
            value = value[:1]
        elif isinstance(value, list) and name in NARROWER:
            value = [NARROWER[name]] * len(value)
        elif type(value) is int:
            most = next((most for pattern, most in RULES if re.fullmatch(pattern, name)), None)
            value = (
                min(value, most or value) if not name.endswith("_id") else value % (VOCABULARY - 1)
            )
        small[name] = None if name == "per_layer_config" else value
    return small


CHANGES = {  # what a family needs beside the rules; (name): the configuration of that type, shrunk
    "dots3_note": {
        "audio_config": {"adapter_input_size": 16, "adapter_out_dim": 16},
        "vision_config": {"adapter_in_dim": 16, "adapter_out_dim": 16},
    },
    "embedding_gemma2": {"audio_config": "gemma4_audio"},
    "gemma4": {"audio_config": "gemma4_audio"},
    "moonshine_streaming": {"num_key_value_heads": 2, "num_attention_heads": 2},
    "muse_spark": {
        "audio_config": {
            "num_hidden_layers": 4,
            "hidden_sizes": [8, 8, 16, 32],
            "out_hidden_size": 16,
        }
    },
    "muse_spark_audio": {"num_hidden_layers": 4, "hidden_sizes": [8, 8, 16, 32]},
    "phi4_multimodal": {
        "audio_config": dict.fromkeys(
            ("nemo_conv_channels", "ext_pw_out_channel", "depthwise_separable_out_channel"), 16
        )
    },
    "pe_audio": {"audio_config": {"dac_config": {"encoder_hidden_size": 2}}},
    "pe_audio_encoder": {"dac_config": {"encoder_hidden_size": 2}},
    "qwen3_omni_moe": {"enable_audio_output": False},
}
# beginning of a type without a list entry of its own, or whose entry is not what its checkpoints
# hold
EXTRACTORS = {
    "gemma3n": "Gemma3nAudio",
    "gemma4": "Gemma4Audio",
    "moonshine": "Wav2Vec2",
    "nemotron3": "NemotronAsrStreaming",
    "speech-encoder-decoder": "Wav2Vec2",
    "wav2vec2-bert": "SeamlessM4T",
}
OPTIONS = {"clap": {"truncation": "rand_trunc", "padding": "repeatpad"}}
WINDOWED = "Whisper|Qwen3ASR|Moss"
LOADED_BY = {"speecht5": "AutoModelForSpeechSeq2Seq"}


def build(model_type: str, folder: Path, seed: int = 0) -> Path:
    """Save a tiny random model of a type of configuration, with its feature extractor; returns its
    folder."""
    import torch
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.utils import logging

    logging.disable_progress_bar()
    changes = {
        name: shrunk(CONFIG_MAPPING[value]().to_dict()) if isinstance(value, str) else value
        for name, value in CHANGES.get(model_type, {}).items()
    }
    config = CONFIG_MAPPING[model_type].from_dict(
        merged(shrunk(CONFIG_MAPPING[model_type]().to_dict()), changes)
    )
    mapped = [
        name for name in MAPPINGS if type(config) in getattr(transformers, name)._model_mapping
    ]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = getattr(transformers, LOADED_BY.get(model_type) or mapped[0]).from_config(config)
    model.save_pretrained(folder)
    bins = re.search(
        r'"(?:num_mel_bins|input_feat_size|feat_size|mel_bins)": (\d+)',
        json.dumps(config.to_dict()),
    )
    kind = extractor_of(model_type)
    options = (
        {"feature_size": int(bins[1])}
        if bins and re.match(f"{WINDOWED}|Parakeet|Nemotron|Voxtral|Cohere", kind)
        else {}
    )
    options |= {"chunk_length": WINDOW_S} if re.match(WINDOWED, kind) else {}
    getattr(transformers, kind)(**options | OPTIONS.get(model_type, {})).save_pretrained(folder)
    return Path(folder)


def declare(model_type: str, folder: Path) -> Path:
    """Save a type's default configuration with one number for all weights: what is refused before
    these are looked at."""
    import numpy as np
    from safetensors.numpy import save_file
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    CONFIG_MAPPING[model_type]().save_pretrained(folder)
    content = {"feature_extractor_type": extractor_of(model_type), "sampling_rate": 16_000}
    Path(folder, "preprocessor_config.json").write_text(json.dumps(content))
    save_file({"nothing": np.zeros(1, np.float32)}, Path(folder, "model.safetensors"))
    return Path(folder)


def extractor_of(model_type: str) -> str:
    """Class of a type's feature extractor."""
    from transformers.models.auto.feature_extraction_auto import (
        FEATURE_EXTRACTOR_MAPPING_NAMES as ENTRIES,
    )

    own = [name for beginning, name in EXTRACTORS.items() if model_type.startswith(beginning)]
    if model_type in ENTRIES and model_type not in EXTRACTORS:
        return ENTRIES[model_type]
    near = [name for beginning, name in ENTRIES.items() if model_type.startswith(beginning)]
    return f"{own[0]}FeatureExtractor" if own else (near or ["WhisperFeatureExtractor"])[0]


def merged(content: dict, changes: dict) -> dict:
    """The content with changes, dictionaries within merged alike."""
    nested = {
        name: merged(content.get(name) or {}, value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return content | nested


def hearing() -> list[str]:
    """Types of configuration, in transformers' own lists, of models that take audio or have an
    extractor of its features."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES

    return sorted(
        name
        for name in CONFIG_MAPPING_NAMES
        if name in FEATURE_EXTRACTOR_MAPPING_NAMES or any(_hears(model) for model in _classes(name))
    )


def _classes(model_type: str) -> list[type]:
    """The classes that the Auto classes load for a type; nothing is imported whose source never
    speaks of audio."""
    import transformers
    from transformers.models.auto import modeling_auto
    from transformers.models.auto.configuration_auto import model_type_to_module_name

    folder = Path(transformers.__file__).parent / "models" / model_type_to_module_name(model_type)
    if not any(
        "audio" in path.read_text(encoding="utf-8") for path in folder.glob("modeling_*.py")
    ):
        return []
    entries = [getattr(modeling_auto, mapping).get(model_type) for mapping in MAPPINGS.values()]
    names = [
        name for entry in entries for name in ((entry,) if isinstance(entry, str) else entry or ())
    ]
    return [getattr(transformers, name) for name in names if hasattr(transformers, name)]


def _hears(model: type) -> bool:
    declared = [
        getattr(model, name, None) or () for name in ("input_modalities", "main_input_name")
    ]
    words = {word for value in declared for word in ((value,) if isinstance(value, str) else value)}
    takes = (
        inspect.signature(model.forward).parameters
        if callable(getattr(model, "forward", None))
        else {}
    )
    return "audio" in words or bool(AUDIO_INPUTS & {*words, *takes})
