"""Inputs of a speech model, and which of its frames are sound and not padding. Batch size changes
no value.

What padding does to a model is read from its configuration:

wav2vec 2.0 and kin   padded under a mask; where padding leaks all the same (the group norm over
                      time of "base" models, data2vec's positional convolutions, the conformer's)
                      its frames are taken out there too: exact
w2v-BERT 2.0          padded under its own mask
Whisper, AST          silence up to a fixed window, whatever the batch; its frames, and AST's class
                      tokens, do not count (also the audio encoders of Qwen2-Audio, Voxtral and
                      others that hear through Whisper's spectrogram); or, where the user asks for
                      it, up to a shorter window (windows.py), and only clips of one such length
                      share a batch
Qwen omni             one window at a time, for its frames come without a batch
all others            only clips with the same number of samples share a batch (SEW, HuBERT with a
                      positional batch norm)

Clips longer than the window (Whisper's 30 s, AST's spectrogram, 30 s for others, 120 s where a
checkpoint was trained on whole clips) are cut into equal parts without overlap. Clips too short for
one frame are filled with zeros.

Sources: padding under a group norm, huggingface/transformers#21534 and
facebookresearch/fairseq#3227; Whisper's window, huggingface/transformers#25744.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from bimotion.errors import AudioError
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.models.audio_part import VALUES, parameters
from bimotion.models.spec import ModelSpec
from bimotion.models.windows import (
    AST,
    FRAME_S,
    HOP_S,
    bucket,
    extracted,
    positions_cut,
    values_name,
    window_of,
)

BATCH_S, GPU_BATCH_S = 80.0, 800.0
"""Audio in one batch where nothing is trained, seconds, padding included."""
_WINDOW_S, _SHORTEST_S = 30.0, 0.1  # of models that do not say
_WHOLE_S = 120.0  # over any clip of our corpora (34 s); attention takes memory by its square
_PADDABLE = """
wav2vec2 hubert wavlm unispeech unispeech-sat data2vec-audio wav2vec2-conformer wav2vec2-bert
"""
_MASKS = """
attention_mask input_features_mask feature_attention_mask audio_mel_mask padding_mask mask
"""


@dataclass(frozen=True)
class Features:
    """One window as the model's own extractor makes it."""

    values: np.ndarray
    """Where lengths are mixed, time first."""
    n: int
    """Steps in time of the values, as far as the extractor says."""
    n_true: int
    """Those that are no padding of its own."""
    n_samples: int
    """Of the window."""
    positions: int | None = None
    """Positions in time that the model hears of its own window; None: all, or it has none."""


@dataclass(frozen=True)
class Batch:
    """Windows that go through the model together, on the host."""

    inputs: dict
    """Arguments of the model by name."""
    n_samples: object
    """Of each window."""
    n_true: object
    """Of each window, of `n`."""
    n: int
    """Steps in time, with padding."""
    padded: bool
    """True where there is padding."""
    positions: int | None = None
    """As of its Features."""

    def to(self, device) -> dict:
        """The arguments on a device, without waiting for it."""
        pinned = device.type == "cuda"
        return {
            name: (value.pin_memory() if pinned else value).to(device, non_blocking=True)
            for name, value in self.inputs.items()
        }


def batch_seconds(spec: ModelSpec, device) -> float:
    """Audio in one batch, padding included."""
    return spec.batch_seconds or (GPU_BATCH_S if device.type == "cuda" else BATCH_S)


class ModelInputs:
    """The rules by which clips become inputs of a model. `module`: what is called; `body`: its
    encoder, with the configuration and the layers that leak; `spec`: with the window asked for.

    longest, shortest: samples of a window, at `rate`; window: what the model hears of its own
    one, if it has one;
    whole_clips: it hears clips whole, as its extractor or `hear` says;
    mixes_lengths: windows of different lengths may share a batch; alone: only one window at a time;
    now: the batch that the model is seeing.
    """

    def __init__(self, module, body, extractor, rate: int, spec: ModelSpec):
        self.body, self.config = body, (config := body.config)
        self.extractor, self.rate, self.now = extractor, rate, None
        taken = parameters(module)
        names = (name for name in (*VALUES, "hidden_states") if name in taken)
        self.input_name = next(names, extractor.model_input_names[0])
        self.mask_name = next((name for name in _MASKS.split() if name in taken), None)
        mask = taken.get(self.mask_name)
        self.needs_mask = mask is not None and mask.default is mask.empty
        self.takes_lengths = self.alone = "feature_lens" in taken
        self.frame, self.hop = round(FRAME_S * rate), round(HOP_S * rate)
        self.longest, self.shortest = round(_WINDOW_S * rate), round(_SHORTEST_S * rate)
        self.patches = config.model_type == AST
        self.window = window_of(spec, config, extractor, rate)
        self.whole_clips, self.convolutions = False, []
        if self.window:
            self.longest, self.shortest = self.window.own, self.frame if self.patches else 1
        elif type(extractor).__name__ == "SeamlessM4TFeatureExtractor":
            # a variance needs two spectra
            self.shortest = self.frame + (max(extractor.stride, 2) - 1) * self.hop
        elif body.main_input_name == "input_values" and hasattr(config, "conv_kernel"):
            self.convolutions = list(zip(config.conv_kernel, config.conv_stride, strict=True))
            self.shortest = getattr(config, "squeeze_factor", 1)
            for kernel, stride in reversed(self.convolutions):
                self.shortest = (self.shortest - 1) * stride + kernel
        of_transformers = type(body).__module__.startswith("transformers.models.")
        has_batch_norm = getattr(config, "conv_pos_batch_norm", False)
        paddable = config.model_type in _PADDABLE.split() and of_transformers and not has_batch_norm
        self.mixes_lengths = self.window.is_whole if self.window else paddable
        if self.mixes_lengths and self.convolutions:
            _stop_leaks(body, self)
        self.hear(whole_clips=getattr(extractor, "whole_clips", None) is True)

    def hear(self, *, raw_amplitude: bool = False, whole_clips: bool | None = None) -> None:
        """Hear clips as the paper's code does, where that is asked for. A checkpoint that is saved
        says both in its preprocessor_config.json.

        `raw_amplitude`: a waveform is not scaled to mean 0 and variance 1. `whole_clips`: no clip
        is cut up to two minutes, unless the model has a window of its own; None: as it is.
        """
        if raw_amplitude and self._hears_waveforms:
            self.extractor.do_normalize = False
        if whole_clips is None or self.window or whole_clips == self.whole_clips:
            return
        self.whole_clips = self.extractor.whole_clips = whole_clips
        self.longest = round((_WHOLE_S if whole_clips else _WINDOW_S) * self.rate)

    @property
    def window_choice(self) -> str | float:
        """The part that it hears of its own window, if it has one; `model`: all that it can."""
        return self.window.choice if self.window else "model"

    @property
    def _hears_waveforms(self) -> bool:
        # others scale spectra, by constants
        return type(self.extractor).__name__ == "Wav2Vec2FeatureExtractor"

    @property
    def raw_amplitude(self) -> bool:
        """Waveforms go in as they are decoded."""
        return self._hears_waveforms and not self.extractor.do_normalize

    @property
    def padding(self) -> str:
        """The way in which clips of several lengths share a batch, in words."""
        if self.window:
            rest = "one at a time" if self.alone else "of which the frames of the clip count"
            return f"each clip fills {self.window.in_words}, {rest}"
        if self.alone:
            return "one clip at a time"
        if self.mixes_lengths:
            return "clips of any lengths share a batch, padded under a mask"
        return "only clips of one length share a batch: nothing is padded"

    def resampled(self, waveform: np.ndarray) -> np.ndarray:
        """A clip at the model's rate, float32; raises AudioError for what is none."""
        waveform = np.asarray(waveform, dtype=np.float32)
        if waveform.ndim != 1 or not np.isfinite(waveform).all():
            raise AudioError(
                f"expected a mono clip of finite samples, found shape {waveform.shape}"
            )
        if self.rate != SAMPLE_RATE_HZ:
            import soxr

            waveform = soxr.resample(waveform, SAMPLE_RATE_HZ, self.rate, quality="HQ")
        return waveform

    def windows(self, waveform: np.ndarray, n_windows: int | None = None) -> list[np.ndarray]:
        """A clip at the model's rate, in as few windows as will do (or so many), their lengths
        equal to one sample."""
        waveform = self.resampled(waveform)
        return [
            self._filled(window)
            for window in np.array_split(waveform, n_windows or self.n_windows(len(waveform)))
        ]

    def n_windows(self, n_samples: int) -> int:
        """Windows of a clip of so many samples at the model's rate."""
        return max(1, -(-n_samples // self.longest))

    def _filled(self, window: np.ndarray) -> np.ndarray:
        return np.pad(window, (0, max(0, self.shortest - len(window))))

    def features(self, window: np.ndarray) -> Features:
        """One window, alone through the extractor: no neighbour can change it."""
        window = self._filled(window)
        # a mask of a fixed window, where the model takes one
        masks_window = self.takes_lengths or self.mask_name == "input_features_mask"
        options = {"return_attention_mask": True} if masks_window else {}
        if self.window and not self.window.is_whole:
            return self._beginning(window)
        made = extracted(self.extractor, window, self.rate, **options)
        values = np.asarray(made[values_name(self.extractor, made)][0], dtype=np.float32)
        mask = next((made[name][0] for name in _MASKS.split() if name in made), None)
        is_known = mask is not None and (masks_window or not self.window)
        # a mask of samples beside spectra tells nothing
        if not is_known or len(mask) > max(values.shape):
            return Features(values, len(values), len(values), len(window))
        return Features(values, len(mask), int(mask.sum()), len(window))

    def _beginning(self, window: np.ndarray) -> Features:
        """One window up to the position that is heard of it: the beginning of what the extractor
        makes of the model's own window."""
        n, positions = len(window), self.window.positions(len(window))
        n_samples = self.window.samples(n)
        options, is_cut = {}, positions < self.window.n_positions
        if not self.patches and is_cut:  # 30 s of spectrogram take longer than a small encoder
            spare = 2 * self.extractor.n_fft  # no frame that is kept sees its end
            options["max_length"] = min(n_samples + spare, self.longest)
        made = extracted(self.extractor, window, self.rate, **options)
        values = np.asarray(made[values_name(self.extractor, made)][0], dtype=np.float32)
        if is_cut and self.patches:
            values = values[: (n_samples - self.frame) // self.hop + 1]
        elif is_cut:
            values = values[:, : n_samples // self.extractor.hop_length]
        return Features(values, len(values), len(values), n, positions if is_cut else None)

    def batch(self, features: Sequence[Features], room: int = 0) -> Batch:
        """Windows padded to `room`, or to the longest of them if that is more."""
        import torch

        n = max(room, *(window.n for window in features))
        longest = max(room, *(len(window.values) for window in features))
        values = np.zeros((len(features), longest, *features[0].values.shape[1:]), dtype=np.float32)
        for row, window in zip(values, features, strict=True):
            row[: len(window.values)] = window.values
        true = torch.tensor([window.n_true for window in features])
        padded = int(true.min()) < n
        inputs = {self.input_name: torch.from_numpy(values)}
        if self.takes_lengths:  # Qwen omni: spectra of all windows in a row, without a batch
            inputs = {
                self.input_name: inputs[self.input_name][0, :, : int(true[0])],
                "feature_lens": true,
            }
        elif self.mask_name and (padded or self.needs_mask):
            sound = first(true, n)
            # Gemma's: of padding
            inputs[self.mask_name] = ~sound if self.mask_name == "audio_mel_mask" else sound.long()
        n_samples = torch.tensor([window.n_samples for window in features])
        return Batch(inputs, n_samples, true, n, padded, features[0].positions)

    def batch_on(self, device, features: Sequence[Features]) -> Batch:
        """Windows padded as the device likes it."""
        return self.batch(features, self.room(features) if device.type == "cuda" else 0)

    def run(self, module, batch: Batch, device, **options):
        """The output of the model for a batch."""
        self.now = batch
        with warnings.catch_warnings(), positions_cut(self.body, batch.positions):
            # WavLM's own affair
            warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
            return module(**batch.to(device), **options)

    def room(self, features: Sequence[Features]) -> int:
        """Length of a batch on a GPU, where each new length costs the set-up of its convolutions:
        one of few dozens."""
        longest = max(len(window.values) for window in features)
        return bucket(longest) if self.mixes_lengths and not self.window else longest

    def heard(self, n_samples: int) -> int:
        """Samples that the model hears of a window of so many, silence behind them included."""
        return self.window.samples(n_samples) if self.window else n_samples

    def sound(self, state):
        """Bool (n, frames): which frames of a hidden state (n, frames, dim) are sound, of the batch
        at hand. AST: two class tokens, then row by row the patches of a spectrogram; those count
        whose centre is within the clip."""
        import torch

        n_frames, now = state.shape[1], self.now
        if self.patches:
            patch, stride = self.config.patch_size, self.config.time_stride
            n_columns = now.positions or self.window.n_positions
            centres = torch.arange(n_columns) * stride + patch // 2
            spectra = 1 + (now.n_samples - self.frame) // self.hop
            columns = first((centres < spectra[:, None]).sum(1).clamp(min=1), n_columns)
            patches = columns.repeat(1, (n_frames - 2) // n_columns)
            return torch.nn.functional.pad(patches, (2, 0)).to(state.device)
        if self.alone:
            return state.new_ones(state.shape[:2], dtype=torch.bool)
        if self.window:
            # frames whose centre is within the clip
            heard = self.longest if now.positions is None else now.positions * self.window.step
            counts = -(-now.n_samples * n_frames // heard)
        elif self.convolutions and now.padded:
            counts = self.n_frames()
        else:
            counts = -(-now.n_true * n_frames // now.n)
        return first(counts.clamp(min=1).to(state.device, non_blocking=True), n_frames)

    def n_frames(self, depth: int | None = None):
        """True frames of each window after so many of the convolutions (None: all), on the host."""
        counts = self.now.n_true
        for kernel, stride in self.convolutions[:depth]:
            counts = (counts - kernel) // stride + 1
        return counts


def _stop_leaks(body, inputs: ModelInputs) -> None:
    """Keep padding out of layers that mix frames and take no mask; nothing changes for a clip
    without padding."""

    def silenced(state):
        if not inputs.now.padded:
            return state
        counts = inputs.n_frames().to(state.device, non_blocking=True)
        return state * first(counts, state.shape[-1])[:, None]

    norm = getattr(body.feature_extractor.conv_layers[0], "layer_norm", None)
    if type(norm).__name__ == "GroupNorm":
        norm.forward = partial(_normed, norm, inputs)
    for part in body.modules():
        if type(part).__name__ == "Data2VecAudioPositionalConvLayer":
            part.register_forward_hook(lambda _, args, state: silenced(state))
        elif type(part).__name__ == "Wav2Vec2ConformerConvolutionModule":
            part.depthwise_conv.register_forward_pre_hook(lambda _, args: (silenced(args[0]),))


def _normed(norm, inputs: ModelInputs, state):
    """A group norm of one channel a group, its moments over true frames only."""
    import torch

    if not inputs.now.padded:
        return torch.nn.functional.group_norm(
            state, norm.num_groups, norm.weight, norm.bias, norm.eps
        )
    state = state.float()
    true = first(inputs.n_frames(1).to(state.device, non_blocking=True), state.shape[-1])[:, None]
    count = true.sum(-1, keepdim=True)
    centred = (state - (state * true).sum(-1, keepdim=True) / count) * true
    scale = (centred.square().sum(-1, keepdim=True) / count + norm.eps).rsqrt()
    return centred * (scale * norm.weight[:, None]) + norm.bias[:, None]


def first(counts, n: int):
    """Bool (len(counts), n): the first so many of each row."""
    return counts.new_ones(n).cumsum(0) <= counts[:, None]
