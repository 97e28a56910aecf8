"""Frozen speech encoders: any audio model that `transformers` loads, as mean and deviation of each
of its hidden states.

Batch size changes no value (inputs.py). Of clips that are cut into windows the frames of all
windows count.

Source: every hidden state as a feature, SUPERB (arXiv 2105.01051).
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bimotion.errors import ClipError, ModelError, some
from bimotion.io.audio import SAMPLE_RATE_HZ
from bimotion.io.prefetch import ahead
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.audio_part import WRAP, audio_part
from bimotion.models.failures import first_sentence, out_of_memory
from bimotion.models.inputs import Features, ModelInputs, batch_seconds
from bimotion.models.invariance import largest_difference
from bimotion.models.spec import ModelSpec
from bimotion.models.weights import Opened, device_of, opened, placed, sent
from bimotion.models.windows import SILENCE_S, heard_s

CLIPS_ON_A_GPU = 128
"""That are encoded together there; elsewhere each clip is encoded alone, which takes no longer:
nothing is padded."""
AUTOMATIC = ("AutoModel", "AutoModelForSpeechSeq2Seq", "AutoModelForMultimodalLM")
"""Classes of transformers that may load a model with an audio encoder, the first that knows its
configuration."""
# which takes no question about what it loaded
_THINKERS = {"qwen2_5_omni": "Qwen2_5OmniForConditionalGeneration"}
_WITHOUT_EARS = ("speecht5",)  # AutoModel leaves out what makes hidden states of a waveform
_NOT_FINITE = "expected finite hidden states, found NaN or infinity"

_log = logging.getLogger(__name__)


def load(spec: ModelSpec) -> "Encoder":
    """Load the encoder of a model; of whatever else hears: its audio encoder (audio_part.py).

    Raises:
        ModelError: A model that cannot be had, is no audio model, is broken or needs
            `trust_remote_code`, in a line each.
        SettingError: A device, batch size or window that cannot be.

    Example (downloads 1.3 GB)::

        encoder = load(ModelSpec("microsoft/wavlm-large"))
        encoder.encode([audio.decode(path)])[0, -1, : encoder.dim]     # mean of the last layer over
        the clip's frames
    """
    device = device_of(spec.device)

    def change(config) -> None:
        config.add_adapter = False  # it would shorten the last hidden state, for a decoder
        if getattr(config, "enable_audio_output", False):  # the voice of Qwen omni
            config.enable_audio_output = False
        if whole := _THINKERS.get(config.model_type):
            raise ModelError(
                f"{spec.model}: expected the part of {config.model_type} that hears, found the "
                f"whole: transformers.{whole}.from_pretrained(...).thinker.save_pretrained(folder),"
                " preprocessor_config.json beside it"
            )

    loaded = opened(
        spec, _classes, "a speech encoder", change, lambda model: audio_part(model, spec.model)
    )
    module = audio_part(loaded.model, spec.model)
    named = loaded.model.state_dict(keep_vars=True)
    own = {id(tensor) for tensor in module.state_dict(keep_vars=True).values()}
    if missing := sorted(name for name in loaded.unset if id(named.get(name)) in own):
        raise ModelError(
            f"{spec.model}: expected all weights of {type(module).__name__}, found {len(missing)} "
            f"of {len(own)} tensors missing or of another shape, such as {missing[0]}"
        )
    return Encoder(spec, loaded, placed(module, spec.model, device).requires_grad_(False))


def _loaded_again(spec: ModelSpec, fingerprint: str) -> "Encoder":
    return sent(load, spec, fingerprint)


def _classes(config) -> Sequence[str]:
    return AUTOMATIC[1:] if config.model_type in _WITHOUT_EARS else AUTOMATIC


class Encoder:
    """A frozen encoder. Attributes:

    name: Hub id or folder name; revision: commit on the Hub, None for a folder; fingerprint:
    changes whenever a feature could (weights, configuration, preprocessing, window, precision,
    NUMBERS_VERSION), not with the name of a folder; n_layers: hidden states, the first layer's
    input included; dim: size of each; sample_rate_hz: what the model hears (waveforms always come
    at 16 kHz); n_parameters; trusted_remote_code: code from the model's repository was allowed to
    run; device.
    """

    version = NUMBERS_VERSION

    def __init__(self, spec: ModelSpec, loaded: Opened, module):
        origin, extractor = loaded.origin, loaded.extractor
        placed_on = {"revision": origin.revision, "device": module.device.type}
        self._spec = replace(spec.from_anywhere(), **placed_on)
        self.name, self.revision = spec.name, origin.revision
        self.trusted_remote_code = spec.trust_remote_code
        self.weights_format = origin.weights_format
        self._module, self.device = module, module.device
        self._on_gpu = module.device.type == "cuda"
        self._inputs = ModelInputs(module, module, extractor, loaded.rate, spec)
        self.sample_rate_hz = loaded.rate
        self._batch_seconds = batch_seconds(spec, module.device)
        self.n_parameters = sum(part.numel() for part in module.parameters())
        config = module.config.to_dict() | {"_name_or_path": "", "transformers_version": ""}
        preprocessing = (type(extractor).__name__, extractor.to_dict())
        parts = (NUMBERS_VERSION, origin.fingerprint, config, *preprocessing, self._on_gpu)
        if self.window != "model":  # the features of the model's own keep their name
            parts += (("window", self.window, SILENCE_S),)
        content = json.dumps(parts, sort_keys=True, default=str).encode()
        self.fingerprint = hashlib.sha256(content).hexdigest()[:32]
        n_samples = max(loaded.rate, self._inputs.shortest)
        noise = 0.1 * np.random.default_rng(0).standard_normal(n_samples).astype(np.float32)
        _, means, variances = self._statistics(self._prepared([noise]).features)
        if not (np.isfinite(means).all() and np.isfinite(variances).all()):
            raise ModelError(f"{self.name}: {_NOT_FINITE}: are its weights broken?")
        _, self.n_layers, self.dim = means.shape

    def __reduce__(self) -> tuple:
        """Sent to another process, it is loaded there: weights do not travel."""
        return _loaded_again, (self._spec, self.fingerprint)

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
        return self._inputs.longest / self.sample_rate_hz

    @property
    def window(self) -> str | float:
        """The part of its own window that it hears (windows.py)."""
        return self._inputs.window_choice

    def heard_s(self, seconds: float) -> float:
        """Seconds that it hears of a clip, with the silence that fills a window."""
        return heard_s([seconds], self._inputs.window)

    @property
    def padding(self) -> str:
        """The way in which clips of several lengths share a batch."""
        return self._inputs.padding

    @property
    def together(self) -> int:
        """Clips that are encoded together, always the same ones."""
        return CLIPS_ON_A_GPU if self._on_gpu else 1

    def encode(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Mean and population standard deviation, over true frames, of every hidden state; the last
        is the model's output. Give some hundred clips at a time: similar lengths are batched.

        Args:
            waveforms: Mono float32 at 16 kHz, shape (n_samples,) each, any lengths, any order.

        Returns:
            float32, shape (n_clips, n_layers, 2 * dim), means first.

        Raises:
            AudioError: Something that is no clip.
            ModelError: The model fails.
        """
        return next(self.encode_groups([waveforms]))

    def encode_groups(self, groups: Iterable[Sequence[np.ndarray]]) -> Iterator[np.ndarray]:
        """`encode` of each group in turn; the extractor works on the next one, in a thread, while
        the model computes."""
        for prepared in ahead(self._prepared, groups, n=1):
            yield self._encoded(prepared)

    def _prepared(self, waveforms: Sequence[np.ndarray]) -> "_Prepared":
        """The windows of clips, longest first, as the extractor makes them."""
        cuts = [self._inputs.windows(waveform) for waveform in waveforms]
        windows = [window for cut in cuts for window in cut]
        order = sorted(range(len(windows)), key=lambda k: -len(windows[k]))
        try:
            features = [self._inputs.features(windows[k]) for k in order]
        except Exception as error:
            raise self._refused(error) from error
        clips = np.array([clip for clip, cut in enumerate(cuts) for _ in cut], int)
        return _Prepared(waveforms, clips[np.array(order, int)], features)

    def _encoded(self, prepared: "_Prepared") -> np.ndarray:
        """Features of clips, window by window and these put together."""
        inputs = self._inputs
        lengths = [inputs.heard(window.n_samples) for window in prepared.features]
        n, done = len(lengths), 0
        counts = np.zeros((n, self.n_layers, 1), np.float32)
        means, variances = np.zeros((2, n, self.n_layers, self.dim), np.float32)
        while done < n:
            cost_s = lengths[done] / self.sample_rate_hz
            size = 1 if inputs.alone else max(1, int(self._batch_seconds / cost_s))
            if not inputs.mixes_lengths:
                size = min(size, lengths[done:].count(lengths[done]))
            batch = slice(done, min(done + size, n))
            try:
                statistics = self._statistics(prepared.features[batch])
            except MemoryError:
                size = batch.stop - done
                if size == 1:
                    raise ModelError(
                        f"{self.name}: {cost_s:.1f} s of audio do not fit into memory "
                        f"({self.device})"
                    ) from None
                self._batch_seconds = size * cost_s / 2
                shown = f"now with batches of {self._batch_seconds:.1f} s"
                _log.warning("%s: out of memory, %s", self.name, shown)
                continue
            counts[batch], means[batch], variances[batch] = statistics
            done = batch.stop
        sound = np.isfinite(means).all(axis=(1, 2)) & np.isfinite(variances).all(axis=(1, 2))
        if not sound.all():
            raise self._not_finite(prepared.waveforms, int(prepared.clips[~sound].min()))
        return self._joined(prepared, counts, means, variances)

    def _joined(
        self, prepared: "_Prepared", counts: np.ndarray, means: np.ndarray, variances: np.ndarray
    ) -> np.ndarray:
        """Mean and deviation over the frames of all windows of a clip, from those of each."""
        n_clips = len(prepared.waveforms)
        features = np.empty((n_clips, self.n_layers, 2 * self.dim), dtype=np.float32)
        features[prepared.clips] = np.concatenate([means, np.sqrt(variances)], axis=-1)
        n_windows = np.bincount(prepared.clips, minlength=n_clips)
        for clip in np.flatnonzero(n_windows > 1):
            own = np.flatnonzero(prepared.clips == clip)  # in their order: the sort is stable
            share = counts[own].astype(np.float64) / counts[own].sum(axis=0, dtype=np.float64)
            mean = (share * means[own]).sum(axis=0)
            variance = (share * (variances[own] + (means[own] - mean) ** 2)).sum(axis=0)
            features[clip] = np.concatenate([mean, np.sqrt(variance)], axis=-1)
        return features

    def _not_finite(self, waveforms: Sequence[np.ndarray], clip: int) -> ClipError:
        waveform = np.asarray(waveforms[clip])
        kind = "not silent" if waveform.any() else "all zeros"
        seconds = len(waveform) / SAMPLE_RATE_HZ
        return ClipError(self.name, clip, f"{_NOT_FINITE} ({seconds:.2f} s, {kind})")

    def _refused(self, error: Exception) -> ModelError:
        reason = first_sentence(error)
        return ModelError(f"{self.name}: expected hidden states of a clip, found: {reason}")

    def largest_difference(self, waveforms: Sequence[np.ndarray]) -> float:
        """Largest absolute difference between the features of clips encoded together and each of
        them alone."""
        together = self.encode(waveforms)
        return largest_difference(self.name, together, lambda i: self.encode([waveforms[i]]))

    def _statistics(self, features: Sequence[Features]) -> tuple[np.ndarray, ...]:
        """True frames (n, n_layers, 1), means and variances (n, n_layers, dim) of one batch, for
        each hidden state, float32. Raises MemoryError, of whatever kind of memory."""
        import torch

        inputs, options = self._inputs, {"output_hidden_states": True, "return_dict": True}
        try:
            with torch.inference_mode():
                batch = inputs.batch_on(self.device, features)
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self._on_gpu):
                    output = inputs.run(self._module, batch, self.device, **options)
                states = self._states(output)
                last = getattr(output, "last_hidden_state", None)
                if last is not None and last.shape[-2:] == states[-1].shape[-2:]:
                    # it is after the last norm, which not all releases put among the others
                    states[-1] = last.reshape(states[-1].shape)
                pooled = (_pooled(state, inputs.sound(state)) for state in states)
                parts = zip(*pooled, strict=True)
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
        kind, states = type(self._module).__name__, getattr(output, "hidden_states", None)
        if not states:
            raise ModelError(
                f"{self.name}: expected hidden states of every layer, {kind} gives none: {WRAP}"
            )
        if states[0].dim() == 2:  # the windows' frames in a row, without a batch
            self._inputs.alone = True
            states = [state[None] for state in states]
        dim = states[0].shape[-1]
        if len(states) > 1 and states[-1].shape[-1] != dim:
            states = states[:-1]  # the last is in the size of a language model
        if any(state.dim() != 3 or state.shape[-1] != dim for state in states):
            shapes = some(str(tuple(state.shape)) for state in states)
            raise ModelError(
                f"{self.name}: expected hidden states of one size, {kind} gives {shapes}: {WRAP}"
            )
        return list(states)


@dataclass(frozen=True)
class _Prepared:
    """Clips before the model: their windows, longest first."""

    waveforms: Sequence[np.ndarray]
    clips: np.ndarray
    """Number of the clip that each window is of."""
    features: list[Features]


def _pooled(state, mask):
    """Frames (n, 1), mean and variance (n, dim) of hidden states (n, frames, dim) under a mask (n,
    frames)."""
    state, mask = state.float(), mask[:, :, None].float()
    count = mask.sum(1)
    mean = (state * mask).sum(1) / count
    return count, mean, (((state - mean[:, None]) * mask) ** 2).sum(1) / count
