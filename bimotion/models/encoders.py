"""Frozen speech encoders: any audio model that `transformers` loads, as mean and deviation of each of its hidden states.

Batch size changes no value. What padding does to a model is read from its configuration:

wav2vec 2.0 and kin   padded under a mask; where padding leaks all the same (the group norm over time of "base" models,
                      data2vec's positional convolutions, the conformer's) its frames are taken out there too: exact
w2v-BERT 2.0          padded under its own mask
Whisper, AST          silence up to a fixed window, whatever the batch; its frames, and AST's class tokens, do not count
all others            only clips with the same number of samples share a batch (SEW, HuBERT with a positional batch norm)

Clips longer than the window (Whisper's 30 s, AST's spectrogram, 30 s for others) are cut into equal parts without overlap,
and the frames of all of them count. Clips too short for one frame are filled with zeros.

Sources: padding under a group norm, huggingface/transformers#21534 and facebookresearch/fairseq#3227; Whisper's window,
huggingface/transformers#25744; every hidden state as a feature, SUPERB (arXiv 2105.01051).
"""

import hashlib
import inspect
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bimotion.audio import SAMPLE_RATE_HZ
from bimotion.errors import AudioError, BimotionError, SettingError, some

ENCODER_VERSION = "1"
"""Changes whenever any number moves, so that cached features are not mixed."""

_BATCH_S, _GPU_BATCH_S = 80.0, 800.0
_WINDOW_S, _SHORTEST_S = 30.0, 0.1  # of models that do not say
_FRAME_S, _HOP_S = 0.025, 0.01  # of Kaldi's spectrograms
_BUCKETS_PER_S = 4  # on a GPU every new length costs the set-up of its convolutions
_PADDABLE = (
    "wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio", "wav2vec2-conformer", "wav2vec2-bert",
)  # fmt: skip
_CONVERT = "pickled weights can run code: convert them, model.save_pretrained(folder) on a machine that may run them"
_log = logging.getLogger(__name__)


class ModelError(BimotionError):
    """A model that cannot be had, or that is no speech encoder."""


@dataclass(frozen=True)
class EncoderSpec:
    """Which model, and how to run it.

    model: a local folder or an id on the Hugging Face Hub; revision: there: branch, tag or commit; device: cuda if there is
    one, else cpu; batch_seconds: audio in one batch, padding included (None: 80 on a CPU, 800 on a GPU).

    >>> EncoderSpec("microsoft/wavlm-large", revision="main").trust_remote_code
    False
    """

    model: str
    revision: str | None = None
    trust_remote_code: bool = False
    device: str | None = None
    batch_seconds: float | None = None


def load(spec: EncoderSpec) -> "Encoder":
    """The encoder of a model, ready to run; of encoder-decoder models the encoder alone. Weights: safetensors only.

    Raises ModelError for what cannot be had, is no audio model, is broken or needs `trust_remote_code`, a line each;
    SettingError for a device or batch size that cannot be.

    Example (downloads 1.3 GB)::

        encoder = load(EncoderSpec("microsoft/wavlm-large"))
        encoder.encode([audio.decode(path)])[0, -1, : encoder.dim]     # mean of the last layer over the clip's frames
    """
    import torch
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

    device = spec.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(f"device {device!r} cannot be used: {_line(error)}") from None
    if spec.batch_seconds is not None and not spec.batch_seconds > 0:
        raise SettingError(f"batch_seconds: expected more than 0, found {spec.batch_seconds}")
    path, revision, weights = _located(spec)
    options = {"revision": revision or "main", "trust_remote_code": spec.trust_remote_code}
    with _explained(spec.model, "a configuration that transformers knows"):
        config = AutoConfig.from_pretrained(path, **options)
    with _explained(spec.model, f"an audio model with a preprocessor_config.json; this one is {config.model_type!r}"):
        extractor = AutoFeatureExtractor.from_pretrained(path, **options)
        rate = int(extractor.sampling_rate)
    config.add_adapter = False  # it would shorten the last hidden state, for a decoder
    options |= {"config": config, "use_safetensors": True, "dtype": torch.float32}
    with _explained(spec.model, "weights that can be read and that fit the configuration"):
        model, report = AutoModel.from_pretrained(path, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    module = model.get_encoder() if config.is_encoder_decoder else model
    module = getattr(model, "speech_encoder", module)
    named, own = model.state_dict(keep_vars=True), {id(tensor) for tensor in module.state_dict(keep_vars=True).values()}
    unset = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}  # they would be random numbers
    lost = sorted(n for n in unset if id(named.get(n)) in own and "masked_spec" not in n)  # that is for training only
    if lost:
        found = f"{len(lost)} of {len(own)} tensors missing or of another shape, such as {lost[0]}"
        raise ModelError(f"{spec.model}: expected all weights of {type(module).__name__}, found {found}")
    with _explained(spec.model, f"room in the memory of {device}"):
        return Encoder(spec, revision, weights, module.to(device).eval().requires_grad_(False), extractor, rate)


class Encoder:
    """A frozen encoder. Attributes:

    name: as given; revision: commit on the Hub, None for a folder; fingerprint: changes whenever a feature could (weights,
    configuration, preprocessing, precision, ENCODER_VERSION), not with the name of a folder; n_layers: hidden states, the
    first layer's input included; dim: size of each; sample_rate_hz: what the model hears (waveforms always come at 16 kHz);
    trusted_remote_code: whether code from the model's repository was allowed to run; device: where it runs.
    """

    def __init__(self, spec: EncoderSpec, revision: str | None, weights: object, module, extractor, rate: int):
        self.name, self.revision, self.trusted_remote_code = spec.model, revision, spec.trust_remote_code
        self._module, self.device, self._intake = module, module.device, _Intake(module, extractor, rate)
        self.sample_rate_hz, self._on_gpu = rate, module.device.type == "cuda"
        self._batch_seconds = spec.batch_seconds or (_GPU_BATCH_S if self._on_gpu else _BATCH_S)
        config = module.config.to_dict() | {"_name_or_path": "", "transformers_version": ""}
        parts = (ENCODER_VERSION, weights, config, type(extractor).__name__, extractor.to_dict(), self._on_gpu)
        self.fingerprint = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]
        _, self.n_layers, self.dim = self._statistics([np.zeros(self._intake.shortest, np.float32)])[1].shape

    def encode(self, waveforms: Sequence[np.ndarray]) -> np.ndarray:
        """Mean and population standard deviation, over true frames, of every hidden state; the last is the model's output.

        waveforms: mono float32 at 16 kHz, shape (n_samples,) each, any lengths. Returns float32, shape
        (n_clips, n_layers, 2 * dim), means first. Give some hundred clips at a time: their order does not matter, and
        similar lengths are batched. Raises AudioError for what is no clip, ModelError if the model fails.
        """
        cuts = [self._windows(waveform) for waveform in waveforms]
        windows = [window for cut in cuts for window in cut]
        counts = np.zeros((len(windows), self.n_layers, 1))
        means, variances = np.zeros((2, len(windows), self.n_layers, self.dim))
        left = sorted(range(len(windows)), key=lambda place: -len(windows[place]))
        while left:
            longest = len(windows[left[0]])
            alike = left if self._intake.mixes_lengths else [place for place in left if len(windows[place]) == longest]
            cost_s = (self._intake.longest if self._intake.fixed else longest) / self.sample_rate_hz
            batch = alike[: max(1, int(self._batch_seconds / cost_s))]
            try:
                counts[batch], means[batch], variances[batch] = self._statistics([windows[place] for place in batch])
                left = left[len(batch) :]
            except MemoryError:
                if len(batch) == 1:
                    raise ModelError(f"{self.name}: {cost_s:.1f} s of audio do not fit into memory ({self.device})") from None
                self._batch_seconds = len(batch) * cost_s / 2
                _log.warning("%s: out of memory, now with batches of %.1f s", self.name, self._batch_seconds)
        features, stop = np.empty((len(cuts), self.n_layers, 2 * self.dim), dtype=np.float32), 0
        for row, cut in zip(features, cuts, strict=True):
            own = slice(stop, stop := stop + len(cut))
            share = counts[own] / counts[own].sum(axis=0)
            mean = (share * means[own]).sum(axis=0)
            variance = (share * (variances[own] + (means[own] - mean) ** 2)).sum(axis=0)
            row[:] = np.concatenate([mean, np.sqrt(variance)], axis=-1)
        return features

    def largest_difference(self, waveforms: Sequence[np.ndarray]) -> float:
        """Largest absolute difference between the features of clips encoded together and each of them alone."""
        together = self.encode(waveforms)
        alone = (self.encode([waveform])[0] for waveform in waveforms)
        return max((float(np.abs(a - b).max()) for a, b in zip(alone, together, strict=True)), default=0.0)

    def _windows(self, waveform: np.ndarray) -> list[np.ndarray]:
        """A clip at the model's rate, in as few windows as will do, their lengths equal to one sample."""
        waveform = np.asarray(waveform, dtype=np.float32)
        if waveform.ndim != 1 or not np.isfinite(waveform).all():
            raise AudioError(f"expected a mono clip of finite samples, found shape {waveform.shape}")
        if self.sample_rate_hz != SAMPLE_RATE_HZ:
            import soxr

            waveform = soxr.resample(waveform, SAMPLE_RATE_HZ, self.sample_rate_hz, quality="HQ")
        cut = np.array_split(waveform, max(1, -(-len(waveform) // self._intake.longest)))
        return [np.pad(window, (0, max(0, self._intake.shortest - len(window)))) for window in cut]

    def _statistics(self, windows: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Of one batch, per hidden state: true frames (n, n_layers, 1), means and variances (n, n_layers, dim), float64.
        Raises MemoryError, of whatever kind of memory."""
        import torch

        try:
            with torch.inference_mode(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask")  # WavLM's own affair
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self._on_gpu):
                    inputs = {name: value.to(self.device) for name, value in self._intake.tensors(windows).items()}
                    output = self._module(**inputs, output_hidden_states=True, return_dict=True)
                states = list(output.hidden_states)
                if output.last_hidden_state.shape == states[-1].shape:
                    states[-1] = output.last_hidden_state  # after the last norm, which not all releases put among the others
                parts = zip(*(_pooled(state, self._intake.sound(state)) for state in states), strict=True)
                counts, means, variances = (torch.stack(part, 1).cpu().double().numpy() for part in parts)
        except Exception as error:
            if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error):
                raise MemoryError("out of memory") from None
            raise ModelError(f"{self.name}: expected hidden states of one size, found: {_line(error)}") from error
        if not (np.isfinite(means).all() and np.isfinite(variances).all()):
            raise ModelError(f"{self.name}: expected finite hidden states, found NaN or infinity: are its weights broken?")
        return counts, means, variances


def _pooled(state, mask):
    """Of hidden states (n, frames, dim) under a mask (n, frames): frames (n, 1), mean and variance (n, dim)."""
    state, mask = state.float(), mask[:, :, None].float()
    count = mask.sum(1)
    mean = (state * mask).sum(1) / count
    return count, mean, (((state - mean[:, None]) * mask) ** 2).sum(1) / count


class _Intake:
    """What a model takes, and which of its frames are sound, not padding. longest, shortest: samples of a window; fixed: the
    model sees windows of one size; mixes_lengths: whether windows of different lengths may share a batch."""

    def __init__(self, module, extractor, rate: int):
        config, on_gpu = module.config, module.device.type == "cuda"
        self.extractor, self.config, self.rate = extractor, config, rate
        self.takes_mask = "attention_mask" in inspect.signature(module.forward).parameters
        self.frame, self.hop = round(_FRAME_S * rate), round(_HOP_S * rate)
        self.longest, self.shortest = round(_WINDOW_S * rate), round(_SHORTEST_S * rate)
        self.patches = config.model_type == "audio-spectrogram-transformer"
        self.fixed = self.patches or hasattr(extractor, "nb_max_frames")
        self.convolutions = []
        if self.patches:
            self.longest, self.shortest = (config.max_length - 1) * self.hop + self.frame, self.frame
        elif self.fixed:
            self.longest, self.shortest = int(extractor.n_samples), 1
        elif type(extractor).__name__ == "SeamlessM4TFeatureExtractor":
            self.shortest = self.frame + (max(extractor.stride, 2) - 1) * self.hop  # a variance needs two spectra
        elif module.main_input_name == "input_values" and hasattr(config, "conv_kernel"):
            self.convolutions = list(zip(config.conv_kernel, config.conv_stride, strict=True))
            self.shortest = getattr(config, "squeeze_factor", 1)
            for kernel, stride in reversed(self.convolutions):
                self.shortest = (self.shortest - 1) * stride + kernel
        paddable = config.model_type in _PADDABLE and type(module).__module__.startswith("transformers.models.")
        self.mixes_lengths = self.fixed or (paddable and not getattr(config, "conv_pos_batch_norm", False))
        self.bucket = rate // _BUCKETS_PER_S if on_gpu and self.mixes_lengths and self.convolutions else 1
        if self.mixes_lengths and self.convolutions:
            _stop_leaks(module, self)

    def tensors(self, windows: Sequence[np.ndarray]) -> dict:
        """The model's arguments for one batch. Each window goes through the extractor alone: no neighbour can change it."""
        import torch

        rows = [self.extractor(window, sampling_rate=self.rate, return_tensors="np") for window in windows]
        name = "input_values" if "input_values" in rows[0] else "input_features"
        values = [np.asarray(row[name][0], dtype=np.float32) for row in rows]
        masked = "attention_mask" in rows[0] and not self.fixed
        true = [int(row["attention_mask"][0].sum()) if masked else len(value) for row, value in zip(rows, values, strict=True)]
        n = -(-max(len(value) for value in values) // self.bucket) * self.bucket
        batch = np.zeros((len(values), n, *values[0].shape[1:]), dtype=np.float32)
        for row, value in zip(batch, values, strict=True):
            row[: len(value)] = value
        self.lengths = torch.tensor([len(window) for window in windows])
        self.true, self.n, self.padded = torch.tensor(true), n, min(true) < n
        inputs = {name: torch.from_numpy(batch)}
        return inputs | {"attention_mask": _first(self.true, n).long()} if self.padded and self.takes_mask else inputs

    def sound(self, state):
        """Bool (n, frames): which frames of a hidden state (n, frames, dim) are sound, for the windows given last. AST: two
        class tokens, then row by row the patches of a spectrogram; those count whose centre is within the clip."""
        import torch

        n_frames = state.shape[1]
        if self.patches:
            n_columns = (self.config.max_length - self.config.patch_size) // self.config.time_stride + 1
            centres = torch.arange(n_columns) * self.config.time_stride + self.config.patch_size // 2
            spectra = 1 + (self.lengths - self.frame) // self.hop
            columns = _first((centres < spectra[:, None]).sum(1).clamp(min=1), n_columns)
            return torch.nn.functional.pad(columns.repeat(1, (n_frames - 2) // n_columns), (2, 0)).to(state.device)
        if self.fixed:
            counts = -(-self.lengths * n_frames // self.longest)  # frames whose centre is within the clip
        elif self.convolutions and self.padded:
            counts = self.n_frames()
        else:
            counts = -(-self.true * n_frames // self.n)
        return _first(counts.clamp(min=1).to(state.device), n_frames)

    def n_frames(self, depth: int | None = None):
        """True frames of each window after so many of the convolutions (None: all)."""
        counts = self.true
        for kernel, stride in self.convolutions[:depth]:
            counts = (counts - kernel) // stride + 1
        return counts


def _stop_leaks(module, intake: _Intake) -> None:
    """Keep padding out of layers that mix frames and take no mask; nothing changes for a clip without padding."""

    def silenced(state):
        return state * _first(intake.n_frames().to(state.device), state.shape[-1])[:, None] if intake.padded else state

    norm = getattr(module.feature_extractor.conv_layers[0], "layer_norm", None)
    if type(norm).__name__ == "GroupNorm":
        norm.forward = partial(_normed, norm, intake)
    for part in module.modules():
        if type(part).__name__ == "Data2VecAudioPositionalConvLayer":
            part.register_forward_hook(lambda _, args, state: silenced(state))
        elif type(part).__name__ == "Wav2Vec2ConformerConvolutionModule":
            part.depthwise_conv.register_forward_pre_hook(lambda _, args: (silenced(args[0]),))


def _normed(norm, intake: _Intake, state):
    """A group norm of one channel a group, its moments over true frames only; in place: no tensor here is larger."""
    state = state.float()
    true = _first(intake.n_frames(1).to(state.device), state.shape[-1])[:, None]
    count = true.sum(-1, keepdim=True)
    state *= true
    state -= state.sum(-1, keepdim=True) / count
    state *= true
    state *= norm.weight[:, None] / (state.norm(dim=-1, keepdim=True) ** 2 / count + norm.eps).sqrt()
    state += norm.bias[:, None]
    return state


def _first(counts, n: int):
    """Bool (len(counts), n): the first so many of each row."""
    return counts.new_ones(n).cumsum(0) <= counts[:, None]


def _line(error: BaseException) -> str:
    """The first sentence of a message, which is all that a user can use of it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]


@contextmanager
def _explained(model: str, expected: str) -> Iterator[None]:
    """Whatever a library raises becomes one line; nothing that it prints is needed, for what matters is checked here."""
    from transformers.utils import logging as library

    level, bars = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity_error()
    library.disable_progress_bar()
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise ModelError(f"{model}: has code of its own, which runs only with --trust-remote-code") from error
        found = f"no *.safetensors; {_CONVERT}" if "`safetensors`" in str(error) else _line(error)
        raise ModelError(f"{model}: expected {expected}, found: {found}") from error
    finally:
        library.set_verbosity(level)
        (library.enable_progress_bar if bars else library.disable_progress_bar)()


def _located(spec: EncoderSpec) -> tuple[str, str | None, object]:
    """What `from_pretrained` takes, the commit (None for a folder), and what identifies the weights."""
    folder = Path(spec.model).expanduser()
    if spec.model and folder.is_dir():
        return str(folder), None, _checked(spec, folder)
    if not spec.model or spec.model.startswith((".", "~", "/")) or spec.model.count("/") > 1:
        raise ModelError(f"{spec.model!r}: expected a folder or an id on the Hugging Face Hub, found no such folder")
    from huggingface_hub import errors, hf_hub_download

    try:
        commit = Path(hf_hub_download(spec.model, "config.json", revision=spec.revision)).parent.name
    except Exception as error:
        found = {  # the particular before the general
            errors.GatedRepoError: "is gated: accept its terms on its page on the Hub, then `hf auth login`",
            errors.RepositoryNotFoundError: "no such folder, no such model on the Hub (a private one: `hf auth login`)",
            errors.RevisionNotFoundError: f"no revision {spec.revision!r} on the Hub",
            errors.LocalEntryNotFoundError: "no such folder, not in the cache, and no network to the Hub (or HF_HUB_OFFLINE)",
            errors.EntryNotFoundError: "expected config.json of a model, which its repository on the Hub does not have",
        }
        text = next((text for kind, text in found.items() if isinstance(error, kind)), _line(error))
        raise ModelError(f"{spec.model}: {text}") from error
    return spec.model, commit, commit


def _checked(spec: EncoderSpec, folder: Path) -> list[str]:
    """Hashes of a folder's weights, and of its code where that may run."""
    from safetensors import SafetensorError, safe_open

    if spec.revision is not None:
        raise ModelError(f"{spec.model}: is a folder, and revision {spec.revision!r} means nothing there")
    present = sorted(path.name for path in folder.iterdir())
    if "config.json" not in present:
        tokenizer = any(name.startswith(("tokenizer", "vocab")) for name in present)
        kind = "only a tokenizer" if tokenizer else some(present) or "nothing"
        raise ModelError(f"{spec.model}: expected config.json of a model, found {kind}")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        found = some(name for name in present if name.endswith((".bin", ".pt", ".pth", ".h5", ".msgpack"))) or "none"
        raise ModelError(f"{spec.model}: expected weights as *.safetensors, found {found}; {_CONVERT}")
    for path in weights:
        try:
            safe_open(path, "np").keys()
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path}: expected safetensors, found a broken file: {_line(error)}") from error
    code = sorted(folder.glob("*.py")) if spec.trust_remote_code else []
    return [hashlib.sha256(np.memmap(path, np.uint8, "r")).hexdigest() for path in [*weights, *code]]
