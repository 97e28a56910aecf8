"""A model from a folder or the Hugging Face Hub, loaded without running code of its files; every
failure is one line."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bimotion.errors import ModelError, SettingError, some
from bimotion.models import config_bounds, weight_files
from bimotion.models.spec import ModelSpec
from bimotion.models.weight_files import WeightFiles

_CODE = (
    "more than tensors: its pickle would run code, which is never done; ask its authors for "
    "safetensors"
)


@dataclass(frozen=True)
class Opened:
    """A loaded model, in evaluation mode, on the CPU.

    unset      names of its tensors that the weights do not hold (or hold in another shape): random
               numbers
    rate       Hz that its feature extractor takes
    mismatched names of those that the weights hold in another shape -> that shape, and the model's
    origin     where it came from
    """

    model: object
    extractor: object
    rate: int
    unset: frozenset[str]
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    origin: "Origin"


@dataclass(frozen=True)
class Origin:
    """Where a model is loaded from.

    path          what `from_pretrained` takes
    revision      commit on the Hub, None for a folder
    fingerprint   32 hex digits, of every file that loading can open
    weights       the files that hold its weights
    """

    path: str
    revision: str | None
    fingerprint: str
    weights: WeightFiles


def opened(
    spec: ModelSpec,
    automatic: Callable[[object], Sequence[str]],
    purpose: str,
    change: Callable[[object], None] = lambda config: None,
    examine: Callable[[object], object] = lambda model: None,
) -> Opened:
    """A model, by the first of transformers' Auto classes that has it.

    automatic: names of the classes, of a configuration; change: may alter the configuration before;
    examine: is given the model without its weights (on torch's `meta` device) and raises ModelError
    where these need not even be read.

    Raises ModelError for what cannot be had, is no audio model, is broken or needs
    `trust_remote_code`, a line each.
    """
    examined: Examined | None = None
    skeleton = None

    def look(path: str, revision: str | None) -> None:
        nonlocal examined, skeleton
        examined = examined_configuration(spec, path, revision, automatic, purpose)
        change(examined.config)
        skeleton = _skeleton(spec.model, examined)
        if skeleton is not None:
            with explained(spec.model, _FIT_FOR_A_MODEL):
                examine(skeleton)

    origin = located(spec, look)
    config_bounds.check_weights(spec.model, origin.weights.paths, skeleton)
    return _loaded(spec, origin, examined)


_FIT_FOR_A_MODEL = "a configuration of which a model can be made"


@dataclass(frozen=True)
class Examined:
    """What a model's settings say, before its weights are fetched.

    rate        Hz that its feature extractor takes
    auto_class  of transformers, that loads it
    options     what `from_pretrained` is given beside
    """

    config: object
    extractor: object
    rate: int
    auto_class: type
    options: dict[str, object]

    @property
    def is_known(self) -> bool:
        """Whether transformers itself has the model, which needs no code of its own."""
        return type(self.config) in self.auto_class._model_mapping


def examined_configuration(
    spec: ModelSpec,
    path: str,
    revision: str | None,
    automatic: Callable[[object], Sequence[str]],
    purpose: str,
) -> Examined:
    """Settings of a model at `path`, and the first of transformers' Auto classes that has it.

    Raises ModelError for a model that no Auto class has, or that is no audio model.
    """
    import transformers

    options = {"revision": revision or "main", "trust_remote_code": spec.trust_remote_code}
    config, extractor, rate = _configured(spec.model, path, options)
    classes = [getattr(transformers, name) for name in automatic(config)]
    auto_class = next((one for one in classes if type(config) in one._model_mapping), classes[0])
    if type(config) not in auto_class._model_mapping and not spec.trust_remote_code:
        raise ModelError(
            f"{spec.model}: expected {purpose}, which transformers does not have for "
            f"{config.model_type!r}"
        )
    return Examined(config, extractor, rate, auto_class, options)


def _skeleton(model: str, examined: Examined):
    """The model without its weights, on torch's `meta` device; None for code of its own, which is
    run once only."""
    import torch

    if not examined.is_known:
        return None
    with explained(model, _FIT_FOR_A_MODEL):
        config_bounds.check_convolutions(model, examined.config)
        # a model without memory draws random numbers too: those that are drawn for a new head must
        # stay the same
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            return examined.auto_class.from_config(examined.config)


def _loaded(spec: ModelSpec, origin: "Origin", examined: Examined) -> Opened:
    import torch

    only_safe = origin.weights.format == weight_files.SAFETENSORS or None
    options = examined.options | {
        "config": examined.config,
        "use_safetensors": only_safe,
        "weights_only": True,
        "dtype": torch.float32,
    }
    with (
        explained(spec.model, "weights that can be read and that fit the configuration"),
        _no_conversion(),
    ):
        model, report = examined.auto_class.from_pretrained(
            origin.path, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    mismatched = {
        name: (tuple(held), tuple(wanted)) for name, held, wanted in report["mismatched_keys"]
    }
    # for training only
    unset = frozenset(
        name for name in {*report["missing_keys"], *mismatched} if "masked_spec" not in name
    )
    return Opened(
        model=model.eval(),
        extractor=examined.extractor,
        rate=examined.rate,
        unset=unset,
        mismatched=mismatched,
        origin=origin,
    )


def _configured(model: str, path: str, options: dict) -> tuple[object, object, int]:
    """Configuration, feature extractor and sampling rate in Hz."""
    import transformers

    with explained(model, "a configuration that transformers knows"):
        config = transformers.AutoConfig.from_pretrained(path, **options)
    with explained(
        model, f"an audio model with a preprocessor_config.json; this one is {config.model_type!r}"
    ):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(path, **options)
        return config, extractor, int(extractor.sampling_rate)


def configured(spec: ModelSpec) -> tuple[object, object, int]:
    """Configuration, feature extractor and sampling rate in Hz of a model, whose weights are not
    fetched; raises ModelError."""
    folder = Path(spec.model).expanduser()
    is_folder = bool(spec.model) and folder.is_dir()
    config_bounds.check_files(str(folder) if is_folder else spec.model, spec.revision)
    options = {"revision": spec.revision or "main", "trust_remote_code": spec.trust_remote_code}
    return _configured(spec.model, str(folder) if is_folder else spec.model, options)


def device_of(name: str | None) -> str:
    """A device that works, with its number: the one named, else the GPU of this process, else the
    CPU; raises SettingError."""
    import torch

    if name is None:
        on_cpu = not torch.cuda.is_available() or os.environ.get(
            "ACCELERATE_USE_CPU", ""
        ).lower() in ("true", "1")
        name = "cpu" if on_cpu else f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        # of "cuda" the number too, which set_device wants
        return str(torch.empty(0, device=name).device)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(f"device {name!r} cannot be used: {line(error)}") from None


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of whatever kind, is full."""
    kinds = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return kinds or any(
        words in str(error) for words in ("out of memory", "allocate memory", "ALLOC_FAILED")
    )


def line(error: BaseException) -> str:
    """The first sentence of a message, which is all that a user can use of it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]


def placed(module, model: str, device):
    """A module on a device; raises ModelError where it does not fit."""
    with explained(model, f"room in the memory of {device}"):
        return module.to(device)


@contextmanager
def explained(model: str, expected: str) -> Iterator[None]:
    """Whatever a library raises becomes one line; nothing that it prints is needed, for what
    matters is checked here."""
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
            raise ModelError(
                f"{model}: has code of its own, which runs only with --trust-remote-code"
            ) from error
        found = _CODE if "weights only load failed" in str(error).lower() else line(error)
        raise ModelError(f"{model}: expected {expected}, found: {found}") from error
    finally:
        library.set_verbosity(level)
        (library.enable_progress_bar if bars else library.disable_progress_bar)()


Look = Callable[[str, str | None], None]
"""Looks at a model's settings (path or id, commit on the Hub), and raises ModelError where its
weights need not be fetched."""


def located(spec: ModelSpec, look: Look = lambda path, revision: None) -> Origin:
    """Where a model lies and what it is made of, before it is loaded (of the Hub: downloaded, but
    only once `look` had nothing against it). Raises ModelError."""
    folder = Path(spec.model).expanduser()
    if spec.model and folder.is_dir():
        return _of_folder(spec, folder, look)
    if not spec.model or spec.model.startswith((".", "~", "/")) or spec.model.count("/") > 1:
        raise ModelError(
            f"{spec.model!r}: expected a folder or an id on the Hugging Face Hub, found no such "
            "folder"
        )
    return _of_hub(spec, look)


def _of_folder(spec: ModelSpec, folder: Path, look: Look) -> Origin:
    from safetensors import SafetensorError, safe_open

    if spec.revision is not None:
        raise ModelError(
            f"{spec.model}: is a folder, and revision {spec.revision!r} means nothing there"
        )
    present = sorted(path.name for path in folder.iterdir())
    if "config.json" not in present and weight_files.ADAPTER not in present:
        raise ModelError(
            f"{spec.model}: expected config.json of a model, found {_instead(folder, present)}"
        )

    config_bounds.check_files(str(folder), None)
    source = weight_files.Folder(folder)
    choice = weight_files.chosen(
        spec.model, source, present, require_safetensors=spec.require_safetensors
    )
    weights = weight_files.fetched(spec.model, source, choice)
    for path in weights.paths if weights.format == weight_files.SAFETENSORS else ():
        try:
            safe_open(path, "np").keys()
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{path}: expected safetensors, found a broken file: {line(error)}"
            ) from error
    look(str(folder), None)
    return Origin(
        path=str(folder),
        revision=None,
        fingerprint=_digest(
            weight_files.content_hashes(folder, weights, with_code=spec.trust_remote_code)
        ),
        weights=weights,
    )


def _instead(folder: Path, present: list[str]) -> str:
    """What a folder holds that has no config.json, and which of its folders, if any, is a model."""
    if inside := [name for name in present if (folder / name / "config.json").is_file()]:
        return f"one in {folder / inside[0]}: pass that folder"
    if any(name.startswith(("tokenizer", "vocab")) for name in present):
        return "only a tokenizer"
    kind = weight_files.foreign(present)
    return (some(present) or "nothing") if kind.startswith("none") else kind


def _of_hub(spec: ModelSpec, look: Look) -> Origin:
    commit = _commit(spec)
    config_bounds.check_files(spec.model, commit)
    source = _Repository(spec, commit)
    choice = weight_files.chosen(
        spec.model, source, _Listing(spec), require_safetensors=spec.require_safetensors
    )
    look(spec.model, commit)
    weights = weight_files.fetched(spec.model, source, choice)
    return Origin(spec.model, commit, _digest([spec.model, commit]), weights)


def _commit(spec: ModelSpec) -> str:
    """Commit of a repository at the revision asked for; raises ModelError where it holds no
    model."""
    from huggingface_hub import errors, hf_hub_download

    try:
        return Path(hf_hub_download(spec.model, "config.json", revision=spec.revision)).parent.name
    except errors.EntryNotFoundError as error:
        present = [] if isinstance(error, errors.LocalEntryNotFoundError) else _listed(spec)
        if weight_files.ADAPTER in present:
            raise ModelError(
                f"{spec.model}: holds an adapter, not a whole model: {weight_files.MERGE}"
            ) from error
        if not (kind := weight_files.foreign(present)).startswith("none"):
            raise ModelError(
                f"{spec.model}: expected config.json of a model, found {kind}"
            ) from error
        raise ModelError(f"{spec.model}: {_why(spec, error)}") from error
    except Exception as error:
        raise ModelError(f"{spec.model}: {_why(spec, error)}") from error


class _Repository:
    """Files of a repository on the Hub, at one commit."""

    def __init__(self, spec: ModelSpec, commit: str):
        self.spec, self.commit = spec, commit

    def fetch(self, name: str) -> Path | None:
        """A file, downloaded; None where the repository lacks it."""
        return self._asked(name, Path)

    def has(self, name: str) -> bool:
        """Whether there is such a file, which is not downloaded."""
        return self._asked(name, bool, dry_run=True) is not None

    def _asked(self, name: str, as_what: Callable, **options):
        from huggingface_hub import errors, hf_hub_download

        spec = self.spec
        try:
            return as_what(hf_hub_download(spec.model, name, revision=self.commit, **options))
        except errors.LocalEntryNotFoundError as error:
            if is_offline():  # what the cache does not have is not there
                return None
            raise ModelError(f"{spec.model}: {name}: {_why(spec, error)}") from error
        except errors.EntryNotFoundError:
            return None
        except Exception as error:
            raise ModelError(f"{spec.model}: {name}: {_why(spec, error)}") from error


def is_offline() -> bool:
    """Whether the Hub may not be asked (HF_HUB_OFFLINE)."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


class _Listing:
    """Names of a repository's files, asked for only where a message needs them."""

    def __init__(self, spec: ModelSpec):
        self.spec = spec

    def __iter__(self) -> Iterator[str]:
        return iter(_listed(self.spec))


def _listed(spec: ModelSpec) -> list[str]:
    from huggingface_hub import list_repo_files

    try:
        return list(list_repo_files(spec.model, revision=spec.revision))
    except Exception:  # the list serves only a message, which is right without it
        return []


def _why(spec: ModelSpec, error: Exception) -> str:
    """Why the Hub does not give a file, for a user."""
    from huggingface_hub import errors

    reasons = {  # the particular before the general
        errors.GatedRepoError: "is gated: accept its terms on its page on the Hub, then `hf "
        "auth login`",
        errors.RepositoryNotFoundError: "no such folder, no such model on the Hub (a private "
        "one: `hf auth login`)",
        errors.RevisionNotFoundError: f"no revision {spec.revision!r} on the Hub",
        errors.LocalEntryNotFoundError: "no such folder, not in the cache, and no network to "
        "the Hub (or HF_HUB_OFFLINE)",
        errors.EntryNotFoundError: "expected config.json of a model, which its repository on "
        "the Hub does not have",
    }
    return next((text for kind, text in reasons.items() if isinstance(error, kind)), line(error))


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@contextmanager
def _no_conversion() -> Iterator[None]:
    """transformers asks the Hub to convert pickled weights, in a thread of its own: nobody asked
    for that."""
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
