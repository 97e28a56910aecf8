"""Which files a model is loaded from: weights as transformers would take them, and everything else
that changes what it does.

Safetensors come first; pickled weights (pytorch_model.bin) are read by torch's `weights_only`
loader, which makes tensors and runs no code. Every other form is refused, with what can be done
about it.
"""

import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bimotion.errors import ModelError, some
from bimotion.io import files
from bimotion.io.audio import POINTER

SAFETENSORS, PYTORCH = "safetensors", "pytorch"
NAMES = {SAFETENSORS: "model.safetensors", PYTORCH: "pytorch_model.bin"}
MAX_INDEX_BYTES = 16 * 1024 * 1024
MAX_SHARDS = 2000
ADAPTER = "adapter_config.json"
MERGE = (
    "merge it first: peft's "
    "AutoPeftModel.from_pretrained(...).merge_and_unload().save_pretrained(folder)"
)
FOREIGN = {  # last part of a file's name -> what it is, what to do
    ".onnx": ("an ONNX export", "give the model that it was exported from"),
    "hyperparams.yaml": (
        "a SpeechBrain model",
        "wrap it as an object with encode() (see the README)",
    ),
    ".nemo": ("a NeMo model", "wrap it as an object with encode() (see the README)"),
    ".ckpt": (
        "a checkpoint of another framework",
        "wrap it as an object with encode() (see the README)",
    ),
    ".gguf": ("quantised GGUF weights", "give the model that they were made from"),
    ".h5": (
        "TensorFlow weights",
        "convert them to PyTorch with a release of transformers before 5",
    ),
    ".msgpack": ("Flax weights", "convert them to PyTorch with a release of transformers before 5"),
    ".pth": (
        "PyTorch weights outside of transformers",
        "wrap the model as an object with encode() (see the README)",
    ),
    ".pt": (
        "PyTorch weights outside of transformers",
        "wrap the model as an object with encode() (see the README)",
    ),
}
# JSON files beside a model that loading it for audio never opens (a test watches)
NOT_LOADED = frozenset(
    {
        "added_tokens.json",
        "all_results.json",
        "eval_results.json",
        "merges.json",
        "normalizer.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "train_results.json",
        "trainer_state.json",
        "training.json",
        "vocab.json",
    }
)
# change with the place, and with the release that wrote a file
NOT_CONTENT = ("_name_or_path", "transformers_version")


@dataclass(frozen=True)
class WeightFiles:
    """Files that hold a model's weights; `format`: `safetensors` or `pytorch`; `index`: of shards,
    or None."""

    format: str
    paths: tuple[Path, ...]
    index: Path | None = None


@dataclass(frozen=True)
class Choice:
    """Which files weights are to be loaded from, by name, before any of them is fetched."""

    format: str
    names: tuple[str, ...]
    index: Path | None = None


class Source(Protocol):
    """Where a model's files are."""

    def fetch(self, name: str) -> Path | None:
        """A file (of the Hub: downloaded), or None where there is none."""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""


@dataclass(frozen=True)
class Folder:
    """Files of a model in a folder."""

    path: Path

    def fetch(self, name: str) -> Path | None:
        return self.path / name if self.has(name) else None

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()


def chosen(
    model: str, source: Source, present: Iterable[str], *, require_safetensors: bool = False
) -> Choice:
    """Files that transformers would take the weights from, in its own order of preference.

    Args:
        model: Name for messages.
        source: Of it only settings and indexes are fetched.
        present: Names of files that are there, as far as known: for the reason of a refusal.
        require_safetensors: Refuse pickled weights, though no code of theirs would run.

    Raises:
        ModelError: An adapter, no weights, weights of a form that is not loaded, an index that
        names files elsewhere.
    """
    if source.fetch(ADAPTER) is not None:
        raise ModelError(f"{model}: holds an adapter ({ADAPTER}), not a whole model: {MERGE}")
    explicit = _explicit(model, source.fetch("config.json"))
    candidates = [(SAFETENSORS, explicit)] if explicit else list(NAMES.items())
    for form, name in candidates:
        index_name = name if name.endswith(".index.json") else f"{name}.index.json"
        is_whole = name != index_name and source.has(name)
        index = None if is_whole else source.fetch(index_name)
        if not is_whole and index is None:
            continue
        if form == PYTORCH and require_safetensors:
            raise ModelError(
                f"{model}: expected weights as safetensors (--require-safetensors), found {name}"
            )
        return Choice(form, (name,) if is_whole else _shards(model, index), index)
    raise ModelError(
        f"{model}: expected weights as {' or '.join(NAMES.values())}, found "
        f"{foreign(list(present))}"
    )


def fetched(model: str, source: Source, choice: Choice) -> WeightFiles:
    """The files of a choice; raises ModelError for one that is missing, or is plainly something
    else."""
    paths = []
    for name in choice.names:
        if (path := source.fetch(name)) is None:
            why = f"{choice.index.name} names {name}" if choice.index else f"expected {name}"
            raise ModelError(f"{model}: {why}, which is missing")
        _check_kind(path, choice.format)
        paths.append(path)
    return WeightFiles(choice.format, tuple(paths), choice.index)


def foreign(present: Iterable[str]) -> str:
    """What a model's files are, where they are not what can be loaded, and what to do."""
    present = sorted(present)
    for end, (kind, advice) in FOREIGN.items():
        if any(name.lower().endswith(end) for name in present):
            return f"{kind}: {advice}"
    return "none" + (f" among {some(present)}" if present else "")


def _explicit(model: str, config: Path | None) -> str | None:
    """The file that a configuration names for its weights, if it does; raises ModelError for one
    outside of the model."""
    try:
        content = json.loads(config.read_bytes()) if config else {}
    except (OSError, ValueError):  # said where the configuration is read
        return None
    name = content.get("transformers_weights") if isinstance(content, dict) else None
    if name is None:
        return None
    if (
        not isinstance(name, str)
        or _is_elsewhere(name)
        or not name.endswith((".safetensors", ".safetensors.index.json"))
    ):
        raise ModelError(
            f"{model}: config.json: transformers_weights: expected a *.safetensors beside it, "
            f"found {name!r:.80}"
        )
    return name


def _shards(model: str, index: Path) -> tuple[str, ...]:
    if (n_bytes := index.stat().st_size) > MAX_INDEX_BYTES:
        raise ModelError(
            f"{model}: {index.name}: expected at most {MAX_INDEX_BYTES} bytes, found {n_bytes}"
        )
    try:
        names = sorted({*json.loads(index.read_bytes())["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelError(
            f"{model}: {index.name}: expected a weight_map of tensors to files, found something "
            "else"
        ) from None
    if not 0 < len(names) <= MAX_SHARDS:
        raise ModelError(
            f"{model}: {index.name}: expected 1 to {MAX_SHARDS} files, found {len(names)}"
        )
    end = index.name.removesuffix(".index.json").rpartition(".")[2]
    for name in names:
        if not isinstance(name, str) or _is_elsewhere(name) or not name.endswith(f".{end}"):
            raise ModelError(
                f"{model}: {index.name}: expected names of *.{end} files beside it, found "
                f"{name!r:.80}"
            )
    return tuple(names)


def _check_kind(path: Path, form: str) -> None:
    """Raise ModelError for what stands in the place of weights after a download that went wrong."""
    with path.open("rb") as stream:
        start = stream.read(512)
    is_zip = start.startswith(b"PK\x03\x04")
    found = None
    if start.startswith(POINTER):
        found = "a git-lfs pointer: run `git lfs pull` in its folder"
    elif not start:
        found = "an empty file: download it again"
    elif start.lstrip().startswith(b"<"):
        found = "a web page: download it again"
    elif form == PYTORCH and is_zip and not zipfile.is_zipfile(path):
        found = "a file that is cut short: download it again"
    elif form == PYTORCH and not is_zip and not start.startswith(b"\x80"):  # a pickle
        found = (
            "neither a zip nor a pickle of torch: download it again, or ask its authors for "
            "safetensors"
        )
    if found:
        raise ModelError(f"{path}: expected weights, found {found}")


def _is_elsewhere(name: str) -> bool:
    return name in ("", ".", "..") or any(mark in name for mark in ("/", "\\", "\0", ":"))


def content_hashes(folder: Path, weights: WeightFiles, *, with_code: bool) -> list[str]:
    """What loading a folder can open, as hashes: weights and every JSON file but NOT_LOADED; where
    code may run, all files.

    A file that nobody thought of is in by default: a change there gives another identity, never a
    stale result.
    """
    found = [files.digest(path) for path in weights.paths]
    if with_code:  # which may open whatever lies there
        others = sorted(
            path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts
        )
        found += [
            f"{path.relative_to(folder).as_posix()} {files.digest(path)}"
            for path in others
            if path not in weights.paths
        ]
    others = {f"{name}.index.json" for name in NAMES.values()} - {
        weights.index and weights.index.name
    }
    for path in sorted(folder.glob("*.json")):
        # a folder, a pipe or a broken link is never read
        if path.name not in NOT_LOADED | others and path.is_file():
            found.append(f"{path.name} {_settings(path)}")  # what a setting means hangs on its file
    return found


def _settings(path: Path) -> str:
    """A JSON file without what means nothing, in one order; one that is broken, or too large for
    settings, as its bytes are (loading says what is wrong)."""
    if path.stat().st_size > MAX_INDEX_BYTES:
        return files.digest(path)
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            return json.dumps(content, sort_keys=True)
        return json.dumps({key: content[key] for key in sorted(content) if key not in NOT_CONTENT})
    except (ValueError, RecursionError):
        return files.digest(path)
