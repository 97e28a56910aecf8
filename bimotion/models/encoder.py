"""Frozen speech encoders: any audio model that `transformers` loads, as mean and deviation of each
of its hidden states.

Batch size changes no value (inputs.py). Of clips that are cut into windows the frames of all
windows count.

Source: every hidden state as a feature, SUPERB (arXiv 2105.01051).
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bimotion.errors import ClipError, some
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.io.prefetch import ahead
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.audio_part import WRAP, audio_part
from bimotion.models.inputs import BATCH_S, GPU_BATCH_S, Features, Intake
from bimotion.models.invariance import largest_difference
from bimotion.models.weights import (
    ModelError,
    ModelSpec,
    Opened,
    device_of,
    line,
    opened,
    out_of_memory,
    placed,
)

"""Changes whenever any number moves, so that cached features are not mixed."""

CLIPS_ON_A_GPU = 128
"""That are encoded together there; elsewhere each clip is encoded alone, which takes no longer:
nothing is padded."""
AUTOMATIC = ("AutoModel", "AutoModelForSpeechSeq2Seq", "AutoModelForMultimodalLM")
"""Classes of transformers that may load a model with an audio encoder, the first that knows its
configuration."""
# which takes no question about what it loaded
_THINKERS = {"qwen2_5_omni": "Qwen2_5OmniForConditionalGeneration"}
_WITHOUT_EARS = ("speecht5",)  # AutoModel leaves out what makes hidden states of a waveform

_log = logging.getLogger(__name__)


def load(spec: ModelSpec) -> "Encoder":
    """The encoder of a model, ready to run; of whatever else hears: its audio encoder
    (audio_part.py).

    Raises ModelError for what cannot be had, is no audio model, is broken or needs
    `trust_remote_code`, a line each; SettingError for a device or batch size that cannot be.

    Example (downloads 1.3 GB)::

        encoder = load(ModelSpec("microsoft/wavlm-large"))
        encoder.encode([audio.decode(path)])[0, -1, : encoder.dim]     # mean of the last layer over
        the clip's frames
    """
    device = device_of(spec.device)

    def change(config) -> None:
        _without_extras(config)
        if whole := _THINKERS.get(config.model_type):
            how = (
                f"transformers.{whole}.from_pretrained(...).thinker.save_pretrained(folder), "
                "preprocessor_config.json beside it"
            )
            raise ModelError(
                f"{spec.model}: expected the part of {config.model_type} that hears, found the "
                f"whole: {how}"
            )

    found = opened(
        spec, _classes, "a speech encoder", change, lambda model: audio_part(model, spec.model)
    )
    module = audio_part(found.model, spec.model)
    named = found.model.state_dict(keep_vars=True)
    own = {id(tensor) for tensor in module.state_dict(keep_vars=True).values()}
    if lost := sorted(name for name in found.unset if id(named.get(name)) in own):
        text = f"{len(lost)} of {len(own)} tensors missing or of another shape, such as {lost[0]}"
        raise ModelError(
            f"{spec.model}: expected all weights of {type(module).__name__}, found {text}"
        )
    return Encoder(spec, found, placed(module, spec.model, device).requires_grad_(False))


def _classes(config) -> Sequence[str]:
    return AUTOMATIC[1:] if config.model_type in _WITHOUT_EARS else AUTOMATIC


def _without_extras(config) -> None:
    config.add_adapter = False  # it would shorten the last hidden state, for a decoder
    if getattr(config, "enable_audio_output", False):  # the voice of Qwen omni
        config.enable_audio_output = False


class Encoder:
    """A frozen encoder. Attributes:

    name: Hub id or folder name; revision: commit on the Hub, None for a folder; fingerprint:
    changes whenever a feature could (weights, configuration, preprocessing, precision,
    NUMBERS_VERSION), not with the name of a folder; n_layers: hidden states, the first layer's
    input included; dim: size of each; sample_rate_hz: what the model hears (waveforms always come
    at 16 kHz); n_parameters; trusted_remote_code: whether code from the model's repository was
    allowed to run; device.
    """

    def __init__(self, spec: ModelSpec, found: Opened, module):
        self.name, self.revision, self.trusted_remote_code = (
            spec.name,
            found.origin.revision,
            spec.trust_remote_code,
        )
        self.weights_format = found.origin.weights.format
        self.version, self._module, self.device = NUMBERS_VERSION, module, module.device
        self._intake = Intake(module, module, found.extractor, found.rate)
        self.sample_rate_hz, self._on_gpu = found.rate, module.device.type == "cuda"
        self._batch_seconds = spec.batch_seconds or (GPU_BATCH_S if self._on_gpu else BATCH_S)
        self.n_parameters = sum(part.numel() for part in module.parameters())
        config = module.config.to_dict() | {"_name_or_path": "", "transformers_version": ""}
        kind = type(found.extractor).__name__
        parts = (
            NUMBERS_VERSION,
            found.origin.fingerprint,
            config,
            kind,
            found.extractor.to_dict(),
            self._on_gpu,
        )
        self.fingerprint = hashlib.sha256(
            json.dumps(parts, sort_keys=True, default=str).encode()
        ).hexdigest()[:32]
        noise = 0.1 * np.random.default_rng(0).standard_normal(
            max(found.rate, self._intake.shortest)
        ).astype(np.float32)
        _, self.n_layers, self.dim = self._probed(noise).shape

    @property
    def n_features(self) -> int:
        """Numbers of each layer: means and deviations."""
        return 2 * self.dim

    @property
    def family(self) -> str:
        """Type of the configuration of the part that hears, as transformers names it."""
        return str(self._module.config.model_type)

    @property
    def part(self) -> str:
        """Class of the part that hears."""
        return type(self._module).__name__

    @property
    def window_s(self) -> float:
        """Longest audio that it hears at once."""
        return self._intake.longest / self.sample_rate_hz

    @property
    def has_fixed_window(self) -> bool:
        """Whether every clip fills a window of `window_s`."""
        return self._intake.fixed

    @property
    def padding(self) -> str:
        """How clips of several lengths share a batch."""
        return self._intake.padding

    @property
    def together(self) -> int:
        """Clips that are encoded together, always the same ones."""
        return CLIPS_ON_A_GPU if self._on_gpu else 1

    def encode(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Mean and population standard deviation, over true frames, of every hidden state; the last
        is the model's output.

        waveforms: mono float32 at 16 kHz, shape (n_samples,) each, any lengths. Returns float32,
        shape (n_clips, n_layers, 2 * dim), means first. Give some hundred clips at a time: their
        order does not matter, and similar lengths are batched. Raises AudioError for what is no
        clip, ModelError if the model fails.
        """
        return next(self.encode_groups([waveforms]))

    def encode_groups(self, groups: Iterable[Sequence[np.ndarray]]) -> Iterator[np.ndarray]:
        """`encode` of each group in turn; the extractor works on the next one, in a thread, while
        the model computes."""
        for prepared in ahead(self._prepared, groups, n=1):
            yield self._encoded(prepared)

    def _prepared(self, waveforms: Sequence[np.ndarray]) -> "_Prepared":
        """The windows of clips, longest first, as the extractor makes them."""
        cuts = [self._intake.windows(waveform) for waveform in waveforms]
        windows = [window for cut in cuts for window in cut]
        order = sorted(range(len(windows)), key=lambda place: -len(windows[place]))
        try:
            features = [self._intake.features(windows[place]) for place in order]
        except Exception as error:
            raise self._refused(error) from error
        return _Prepared(
            waveforms, np.array([len(cut) for cut in cuts], int), np.array(order, int), features
        )

    def _encoded(self, prepared: "_Prepared") -> np.ndarray:
        """Features of clips, window by window and these put together."""
        lengths = [one.n_samples for one in prepared.features]
        n, done = len(lengths), 0
        counts = np.zeros((n, self.n_layers, 1), np.float32)
        means, variances = np.zeros((2, n, self.n_layers, self.dim), np.float32)
        while done < n:
            cost_s = (
                self._intake.longest if self._intake.fixed else lengths[done]
            ) / self.sample_rate_hz
            size = 1 if self._intake.alone else max(1, int(self._batch_seconds / cost_s))
            if not self._intake.mixes_lengths:
                size = min(size, lengths[done:].count(lengths[done]))
            batch = slice(done, min(done + size, n))
            try:
                counts[batch], means[batch], variances[batch] = self._statistics(
                    prepared.features[batch]
                )
                done = batch.stop
            except MemoryError:
                if batch.stop - done == 1:
                    raise ModelError(
                        f"{self.name}: {cost_s:.1f} s of audio do not fit into memory "
                        f"({self.device})"
                    ) from None
                self._batch_seconds = (batch.stop - done) * cost_s / 2
                _log.warning(
                    "%s: out of memory, now with batches of %.1f s", self.name, self._batch_seconds
                )
        sound = np.isfinite(means).all(axis=(1, 2)) & np.isfinite(variances).all(axis=(1, 2))
        if not sound.all():
            raise self._not_finite(prepared, int(prepared.order[~sound].min()))
        return self._joined(prepared, counts, means, variances)

    def _joined(
        self, prepared: "_Prepared", counts: np.ndarray, means: np.ndarray, variances: np.ndarray
    ) -> np.ndarray:
        """Mean and deviation over the frames of all windows of a clip, from those of each."""
        features = np.empty(
            (len(prepared.n_windows), self.n_layers, 2 * self.dim), dtype=np.float32
        )
        rank, stops = np.argsort(prepared.order), np.cumsum(prepared.n_windows)
        single = prepared.n_windows == 1
        own = rank[stops[single] - 1]
        features[single, :, : self.dim], features[single, :, self.dim :] = (
            means[own],
            np.sqrt(variances[own]),
        )
        for clip in np.flatnonzero(~single):
            own = rank[stops[clip] - prepared.n_windows[clip] : stops[clip]]
            share = counts[own].astype(np.float64) / counts[own].sum(axis=0, dtype=np.float64)
            mean = (share * means[own]).sum(axis=0)
            variance = (share * (variances[own] + (means[own] - mean) ** 2)).sum(axis=0)
            features[clip] = np.concatenate([mean, np.sqrt(variance)], axis=-1)
        return features

    def _probed(self, noise: np.ndarray) -> np.ndarray:
        """Means of the hidden states of some noise, shape (1, n_layers, dim)."""
        _, means, variances = self._statistics(self._prepared([noise]).features)
        if not (np.isfinite(means).all() and np.isfinite(variances).all()):
            raise ModelError(
                f"{self.name}: expected finite hidden states, found NaN or infinity: are its "
                "weights broken?"
            )
        return means

    def _not_finite(self, prepared: "_Prepared", window: int) -> ClipError:
        """What is said of the clip that a window belongs to."""
        place = int(np.searchsorted(np.cumsum(prepared.n_windows), window, side="right"))
        waveform = np.asarray(prepared.waveforms[place])
        kind = f"{len(waveform) / SAMPLE_RATE_HZ:.2f} s, " + (
            "all zeros" if not waveform.any() else "not silent"
        )
        return ClipError(
            self.name, place, f"expected finite hidden states, found NaN or infinity ({kind})"
        )

    def _refused(self, error: Exception) -> ModelError:
        return ModelError(f"{self.name}: expected hidden states of a clip, found: {line(error)}")

    def largest_difference(self, waveforms: Sequence[np.ndarray]) -> float:
        """Largest absolute difference between the features of clips encoded together and each of
        them alone."""
        together = self.encode(waveforms)
        return largest_difference(
            self.name, together, lambda place: self.encode([waveforms[place]])
        )

    def _statistics(self, features: Sequence[Features]) -> tuple[np.ndarray, ...]:
        """Of one batch, per hidden state: true frames (n, n_layers, 1), means and variances (n,
        n_layers, dim), float32. Raises MemoryError, of whatever kind of memory."""
        import torch

        try:
            with torch.inference_mode(), warnings.catch_warnings():
                # WavLM's own affair
                warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")
                batch = self._intake.batch(
                    features, self._intake.room(features) if self._on_gpu else 0
                )
                self._intake.now = batch
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self._on_gpu):
                    output = self._module(
                        **batch.to(self.device), output_hidden_states=True, return_dict=True
                    )
                states = self._states(output)
                last = getattr(output, "last_hidden_state", None)
                if last is not None and last.shape[-2:] == states[-1].shape[-2:]:
                    # it is after the last norm, which not all releases put among the others
                    states[-1] = last.reshape(states[-1].shape)
                parts = zip(
                    *(_pooled(state, self._intake.sound(state)) for state in states), strict=True
                )
                counts, means, variances = (torch.stack(part, 1).cpu().numpy() for part in parts)
        except ModelError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise MemoryError("out of memory") from None
            raise self._refused(error) from error
        return counts, means, variances

    def _states(self, output) -> list:
        """Hidden states of an output, each (n, frames, dim); raises ModelError where there are none
        of one size."""
        kind = type(self._module).__name__
        states = getattr(output, "hidden_states", None)
        if not states:
            raise ModelError(
                f"{self.name}: expected hidden states of every layer, {kind} gives none: {WRAP}"
            )
        if states[0].dim() == 2:  # the windows' frames in a row, without a batch
            self._intake.alone = True
            states = [state[None] for state in states]
        if len(states) > 1 and states[-1].shape[-1] != states[0].shape[-1]:
            states = states[:-1]  # the last is in the size of a language model
        if any(state.dim() != 3 or state.shape[-1] != states[0].shape[-1] for state in states):
            shapes = some(str(tuple(state.shape)) for state in states)
            raise ModelError(
                f"{self.name}: expected hidden states of one size, {kind} gives {shapes}: {WRAP}"
            )
        return list(states)


@dataclass(frozen=True)
class _Prepared:
    """Clips before the model: their windows, longest first. order: place of each among the windows
    clip by clip."""

    waveforms: Sequence[np.ndarray]
    n_windows: np.ndarray
    order: np.ndarray
    features: list[Features]


def _pooled(state, mask):
    """Of hidden states (n, frames, dim) under a mask (n, frames): frames (n, 1), mean and variance
    (n, dim)."""
    state, mask = state.float(), mask[:, :, None].float()
    count = mask.sum(1)
    mean = (state * mask).sum(1) / count
    return count, mean, (((state - mean[:, None]) * mask) ** 2).sum(1) / count
