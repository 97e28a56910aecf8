"""The part of a model that hears, known by what each of its parts takes: no list of models, no
guess by their names.

Of an encoder the model itself; of encoder-decoder models and audio language models the audio
encoder within.
"""

import inspect
from collections.abc import Iterator, Mapping

from bimotion.errors import ModelError

VALUES = ("input_values", "input_features", "audio_mel", "audio_input_features")
"""Names, in transformers, of the argument that holds waveforms or spectrograms."""
_OTHERS = ("input_ids", "labels", "pixel_values", "pixel_values_videos", "inputs")
"""Arguments of models that take text or pictures too, of heads and of wrappers: their encoder is
deeper."""
_CODES = ("audio_codes", "n_quantizers", "num_quantizers", "bandwidth", "noise_sequence")
"""Arguments of codecs and vocoders."""
WRAP = "wrap it as an object with encode(waveforms, sample_rate_hz)"


def audio_part(model, name: str):
    """The outermost module within `model` (itself included) that takes audio and nothing else.

    name: of the model, for errors. Raises ModelError for a codec, a vocoder, and a model without
    such a part.
    """
    parts = [(part, parameters(part)) for part in _outermost_first(model)]
    for part, taken in parts:
        takes_audio = any(value in taken for value in VALUES) or (
            part is model and model.main_input_name in VALUES
        )
        if takes_audio and (
            "Tokenizer" in type(part).__name__ or any(code in taken for code in _CODES)
        ):
            raise ModelError(
                f"{name}: expected a speech encoder, found {type(part).__name__}, a codec or "
                f"vocoder: {WRAP}"
            )
        if takes_audio and not any(
            other in _OTHERS or other.startswith("decoder_") for other in taken
        ):
            return part
    for part, taken in parts:  # Granite Speech and Phi-4 call their spectrograms so
        if next(iter(taken), None) == "hidden_states" and "audio" in _modalities(part):
            return part
    kind = type(model).__name__
    raise ModelError(
        f"{name}: expected an audio model, found {kind}, no part of which takes audio "
        f"({VALUES[0]}, {VALUES[1]})"
    )


def parameters(module) -> Mapping[str, inspect.Parameter]:
    """The parameters of a module's forward, by name."""
    return inspect.signature(module.forward).parameters


def _outermost_first(model) -> Iterator[object]:
    from transformers import PreTrainedModel

    level = [model]
    while level:
        yield from (module for module in level if isinstance(module, PreTrainedModel))
        level = [child for module in level for child in module.children()]


def _modalities(part) -> tuple[str, ...]:
    modalities = getattr(part, "input_modalities", None) or ()
    return (modalities,) if isinstance(modalities, str) else tuple(modalities)
