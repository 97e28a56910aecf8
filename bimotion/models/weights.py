"""Where a model's weights come from: a folder or the Hugging Face Hub, safetensors only, every failure in one line."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bimotion.errors import ModelError, SettingError, some
from bimotion.models import config_bounds

_CONVERT = "pickled weights can run code: convert them, model.save_pretrained(folder) on a machine that may run them"


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and how to run it.

    model: a local folder or an id on the Hugging Face Hub; revision: there: branch, tag or commit; device: cuda if there is
    one, else cpu; batch_seconds: audio in one batch, padding included (None: 80 on a CPU, 800 on a GPU).

    >>> ModelSpec("microsoft/wavlm-large", revision="main").trust_remote_code
    False
    """

    model: str
    revision: str | None = None
    trust_remote_code: bool = False
    device: str | None = None
    batch_seconds: float | None = None

    @property
    def name(self) -> str:
        """Hub id or folder name: where a folder lies is nobody's business."""
        folder = Path(self.model).expanduser()
        return folder.resolve().name if folder.is_dir() else self.model


@dataclass(frozen=True)
class Opened:
    """A loaded model, in evaluation mode, on the CPU.

    unset      names of its tensors that the weights do not hold (or hold in another shape): random numbers
    rate       Hz that its feature extractor takes
    revision   commit on the Hub, None for a folder;  fingerprint: as of `identity`
    """

    model: object
    extractor: object
    rate: int
    unset: frozenset[str]
    revision: str | None
    fingerprint: str


def opened(spec: ModelSpec, automatic: str, purpose: str, change: Callable[[object], None] = lambda config: None) -> Opened:
    """A model by one of transformers' Auto classes, named `automatic`; `change` may alter its configuration before.

    Raises ModelError for what cannot be had, is no audio model, is broken or needs `trust_remote_code`, a line each.
    """
    import torch
    import transformers

    path, revision, fingerprint = _located(spec)
    options = {"revision": revision or "main", "trust_remote_code": spec.trust_remote_code}
    with explained(spec.model, "a configuration that transformers knows"):
        config = transformers.AutoConfig.from_pretrained(path, **options)
    with explained(spec.model, f"an audio model with a preprocessor_config.json; this one is {config.model_type!r}"):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(path, **options)
        rate = int(extractor.sampling_rate)
    mapping = getattr(transformers, automatic)._model_mapping
    if type(config) not in mapping and not spec.trust_remote_code:
        raise ModelError(f"{spec.model}: expected {purpose}, which transformers does not have for {config.model_type!r}")
    change(config)
    with explained(spec.model, "a configuration of which a model can be made"):
        config_bounds.check_model(path, revision, config, getattr(transformers, automatic))
    options |= {"config": config, "use_safetensors": True, "dtype": torch.float32}
    with explained(spec.model, "weights that can be read and that fit the configuration"):
        model, report = getattr(transformers, automatic).from_pretrained(
            path, output_loading_info=True, ignore_mismatched_sizes=True, **options
        )
    unset = {*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])}
    unset = frozenset(name for name in unset if "masked_spec" not in name)  # that is for training only
    return Opened(model.eval(), extractor, rate, unset, revision, fingerprint)


def device_of(name: str | None) -> str:
    """A device that works: the one named, else the GPU of this process, else the CPU; raises SettingError."""
    import torch

    if name is None:
        on_cpu = not torch.cuda.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1")
        name = "cpu" if on_cpu else f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(f"device {name!r} cannot be used: {line(error)}") from None
    return name


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of whatever kind, is full."""
    kinds = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return kinds or any(words in str(error) for words in ("out of memory", "allocate memory"))


def line(error: BaseException) -> str:
    """The first sentence of a message, which is all that a user can use of it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]


@contextmanager
def explained(model: str, expected: str) -> Iterator[None]:
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
        found = f"no *.safetensors; {_CONVERT}" if "`safetensors`" in str(error) else line(error)
        raise ModelError(f"{model}: expected {expected}, found: {found}") from error
    finally:
        library.set_verbosity(level)
        (library.enable_progress_bar if bars else library.disable_progress_bar)()


def identity(spec: ModelSpec) -> tuple[str | None, str]:
    """Commit on the Hub (None for a folder) and a fingerprint, 32 hex digits, of weights, configuration, preprocessing and,
    where it may run, code; raises ModelError."""
    _, revision, fingerprint = _located(spec)
    return revision, fingerprint


def _located(spec: ModelSpec) -> tuple[str, str | None, str]:
    """What `from_pretrained` takes, the commit (None for a folder), and the fingerprint."""
    folder = Path(spec.model).expanduser()
    if spec.model and folder.is_dir():
        config_bounds.check_files(str(folder), None)
        return str(folder), None, _digest([*_checked(spec, folder), *_settings(folder)])
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
        text = next((text for kind, text in found.items() if isinstance(error, kind)), line(error))
        raise ModelError(f"{spec.model}: {text}") from error
    config_bounds.check_files(spec.model, commit)
    return spec.model, commit, _digest([spec.model, commit])


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _settings(folder: Path) -> list[str]:
    """Configuration and preprocessing of a folder, but for what changes with its place and the release that wrote it."""
    found = []
    for name in ("config.json", "preprocessor_config.json"):
        try:
            content = json.loads((folder / name).read_text())
        except (OSError, ValueError, RecursionError):  # said in full when the model is loaded
            continue
        dropped = ("_name_or_path", "transformers_version")
        found.append(json.dumps({key: content[key] for key in sorted(content) if key not in dropped}))
    return found


def _checked(spec: ModelSpec, folder: Path) -> list[str]:
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
            raise ModelError(f"{path}: expected safetensors, found a broken file: {line(error)}") from error
    code = sorted(folder.glob("*.py")) if spec.trust_remote_code else []
    return [hashlib.sha256(np.memmap(path, np.uint8, "r")).hexdigest() for path in [*weights, *code]]
