"""A model from a folder or the Hugging Face Hub, loaded without running code of its files; every
failure is one line."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from bimotion.errors import ModelError, SettingError
from bimotion.models import config_bounds, weight_files
from bimotion.models.failures import explained, first_sentence
from bimotion.models.sources import Folder, source_of
from bimotion.models.spec import ModelSpec
from bimotion.models.windows import window_of

_CAN_BE_MADE = "a configuration of which a model can be made"
_sent: WeakValueDictionary[tuple, object] = WeakValueDictionary()


@dataclass(frozen=True)
class Origin:
    """The files that a model is loaded from."""

    path: str
    """Taken by `from_pretrained`."""
    revision: str | None
    """Commit on the Hub, None for a folder."""
    fingerprint: str
    """32 hex digits, of every file that loading can open."""
    weights_format: str
    """`safetensors` or `pytorch`."""
    n_bytes: int
    """Of the weights."""


@dataclass(frozen=True)
class Opened:
    """A loaded model, in evaluation mode, on the CPU."""

    model: object
    extractor: object
    rate: int
    """Hz that its feature extractor takes."""
    unset: frozenset[str]
    """Names of its tensors that the weights do not hold (or hold in another shape): random
    numbers."""
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    """Names of those that the weights hold in another shape -> that shape, and the model's."""
    origin: Origin


class ModelFiles:
    """The files of a model, whose settings are within bounds; weights are not fetched before
    `origin` is asked for. Raises ModelError."""

    def __init__(self, spec: ModelSpec):
        self.spec, self.source = spec, source_of(spec)
        config_bounds.check_files(spec.model, self.source.fetch)
        self.choice = weight_files.chosen(
            spec.model, self.source, require_safetensors=spec.require_safetensors
        )

    def settings(
        self, automatic: Callable[[object], Sequence[str]], purpose: str
    ) -> "ModelSettings":
        """Settings of the model, and the first of transformers' Auto classes that has it.

        Raises ModelError for a model that no Auto class has, or that is no audio model.
        """
        import transformers

        name, options = self.spec.model, _options(self.spec, self.source.revision)
        config, extractor, rate = _configured(name, self.source.path, options)
        classes = [getattr(transformers, kind) for kind in automatic(config)]
        known = [kind for kind in classes if type(config) in kind._model_mapping]
        if not known and not self.spec.trust_remote_code:
            raise ModelError(
                f"{name}: expected {purpose}, which transformers does not have for "
                f"{config.model_type!r}"
            )
        return ModelSettings(config, extractor, rate, (known or classes)[0], bool(known), options)

    def origin(self) -> Origin:
        """The weights, fetched and checked. Raises ModelError."""
        spec, source, choice = self.spec, self.source, self.choice
        paths = weight_files.fetched(spec.model, source, choice)
        parts = [spec.model, source.revision]
        if isinstance(source, Folder):
            parts = weight_files.content_hashes(
                source.folder, choice, paths, with_code=spec.trust_remote_code
            )
        fingerprint = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
        n_bytes = sum(path.stat().st_size for path in paths)
        return Origin(source.path, source.revision, fingerprint, choice.format, n_bytes)


@dataclass(frozen=True)
class ModelSettings:
    """The settings of a model, before its weights are fetched."""

    config: object
    extractor: object
    rate: int
    """Hz that its feature extractor takes."""
    auto_class: type
    """Of transformers, that loads it."""
    is_known: bool
    """transformers itself has the model, which needs no code of its own."""
    options: dict[str, object]
    """Given to `from_pretrained` beside."""


def opened(
    spec: ModelSpec,
    automatic: Callable[[object], Sequence[str]],
    purpose: str,
    change: Callable[[object], None] = lambda config: None,
    examine: Callable[[object], object] = lambda model: None,
) -> Opened:
    """Load a model, by the first of transformers' Auto classes that has it.

    Args:
        spec: The model.
        automatic: Names of the classes, of a configuration.
        purpose: The kind of model that is wanted, for messages.
        change: May alter the configuration before.
        examine: Is given the model without its weights (on torch's `meta` device) and raises
            ModelError where these need not even be fetched.

    Raises:
        ModelError: A model that cannot be had, is no audio model, is broken or needs
            `trust_remote_code`, in a line each.
        SettingError: A window that it cannot hear.
    """
    model_files = ModelFiles(spec)
    settings = model_files.settings(automatic, purpose)
    if spec.window != "model":  # before weights are fetched for nothing
        window_of(spec, settings.config, settings.extractor, settings.rate)
    change(settings.config)
    skeleton = _skeleton(spec.model, settings) if settings.is_known else None
    if skeleton is not None:  # code of its own is run once only
        with explained(spec.model, _CAN_BE_MADE):
            examine(skeleton)
    origin = model_files.origin()
    if skeleton is not None:
        config_bounds.check_size(spec.model, origin.n_bytes, skeleton)
    return _loaded(spec, origin, settings)


def held(load: Callable[[ModelSpec], object], spec: ModelSpec, fingerprint: str) -> object | None:
    """The model of `sent` that something in this process still holds, or None."""
    return _sent.get((load, spec, fingerprint))


def sent(load: Callable[[ModelSpec], object], spec: ModelSpec, fingerprint: str) -> object:
    """A model in a process that it was sent to: weights do not travel, so it is loaded there, once
    for all that hold it. Raises ModelError for another model than was sent."""
    if (model := held(load, spec, fingerprint)) is None:
        model = load(spec)
        if model.fingerprint != fingerprint:
            raise ModelError(
                f"{spec.model}: expected the model of the process that sent it, found other "
                "weights or another configuration here"
            )
        _sent[load, spec, fingerprint] = model
    return model


def _skeleton(model: str, settings: ModelSettings):
    """The model without its weights, on torch's `meta` device."""
    import torch

    with explained(model, _CAN_BE_MADE):
        config_bounds.check_convolutions(model, settings.config)
        # a model without memory draws random numbers too: those that are drawn for a new head must
        # stay the same
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            return settings.auto_class.from_config(settings.config)


def _loaded(spec: ModelSpec, origin: Origin, settings: ModelSettings) -> Opened:
    import torch

    expected = "weights that can be read and that fit the configuration"
    with explained(spec.model, expected), _no_conversion():
        model, report = settings.auto_class.from_pretrained(
            origin.path,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            config=settings.config,
            use_safetensors=origin.weights_format == weight_files.SAFETENSORS or None,
            weights_only=True,
            dtype=torch.float32,
            **settings.options,
        )
    mismatched = {
        name: (tuple(held), tuple(wanted)) for name, held, wanted in report["mismatched_keys"]
    }
    unset = {*report["missing_keys"], *mismatched}
    return Opened(
        model=model.eval(),
        extractor=settings.extractor,
        rate=settings.rate,
        unset=frozenset(name for name in unset if "masked_spec" not in name),  # only for training
        mismatched=mismatched,
        origin=origin,
    )


def _options(spec: ModelSpec, revision: str | None) -> dict[str, object]:
    return {"revision": revision or "main", "trust_remote_code": spec.trust_remote_code}


def _configured(model: str, path: str, options: dict) -> tuple[object, object, int]:
    """Configuration, feature extractor and sampling rate in Hz."""
    import transformers

    with explained(model, "a configuration that transformers knows"):
        config = transformers.AutoConfig.from_pretrained(path, **options)
    expected = f"an audio model with a preprocessor_config.json; this one is {config.model_type!r}"
    with explained(model, expected):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(path, **options)
        return config, extractor, int(extractor.sampling_rate)


def configured(spec: ModelSpec) -> tuple[object, object, int]:
    """Configuration, feature extractor and sampling rate in Hz of a model, whose weights are not
    fetched; raises ModelError."""
    source = source_of(spec)
    config_bounds.check_files(spec.model, source.fetch)
    return _configured(spec.model, source.path, _options(spec, source.revision))


def device_of(name: str | None) -> str:
    """A device that works, with its number: the one named, else the GPU of this process, else the
    CPU; raises SettingError."""
    import torch

    if name is None:
        forced = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1")
        on_cpu = forced or not torch.cuda.is_available()
        name = "cpu" if on_cpu else f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        # of "cuda" the number too, which set_device wants
        return str(torch.empty(0, device=name).device)
    except (RuntimeError, AssertionError) as error:
        reason = first_sentence(error)
        raise SettingError(f"device {name!r} cannot be used: {reason}") from None


def placed(module, model: str, device):
    """A module on a device; raises ModelError where it does not fit."""
    with explained(model, f"room in the memory of {device}"):
        return module.to(device)


@contextmanager
def _no_conversion() -> Iterator[None]:
    """Keep transformers from asking the Hub, in a thread of its own, to convert pickled weights:
    nobody asked for that."""
    name = "DISABLE_SAFETENSORS_CONVERSION"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
