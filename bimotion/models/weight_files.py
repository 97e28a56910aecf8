"""The files that a model is loaded from: weights as transformers would take them, and everything
else that changes what it does.

Safetensors come first; pickled weights (pytorch_model.bin) are read by torch's `weights_only`
loader, which makes tensors and runs no code. Every other form is refused, with what can be done
about it.
"""

import json
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bimotion.errors import ModelError, some
from bimotion.io import files
from bimotion.io.audio import POINTER
from bimotion.models import legacy_pickle
from bimotion.models.failures import first_sentence

SAFETENSORS, PYTORCH = "safetensors", "pytorch"
NAMES = {SAFETENSORS: "model.safetensors", PYTORCH: "pytorch_model.bin"}
MAX_SAFETENSORS_HEADER_BYTES = 32 * 1024 * 1024
MAX_INDEX_BYTES = 16 * 1024 * 1024
MAX_SHARDS = 2000
ADAPTER = "adapter_config.json"
MERGE = (
    "merge it first: peft's "
    "AutoPeftModel.from_pretrained(...).merge_and_unload().save_pretrained(folder)"
)
_WRAP = "wrap it as an object with encode() (see the README)"
_CONVERT = "convert them to PyTorch with a release of transformers before 5"
_OUTSIDE = f"PyTorch weights outside of transformers: {_WRAP}"
FOREIGN = {  # last part of a file's name -> what it is, what to do
    ".onnx": "an ONNX export: give the model that it was exported from",
    "hyperparams.yaml": f"a SpeechBrain model: {_WRAP}",
    ".nemo": f"a NeMo model: {_WRAP}",
    ".ckpt": f"a checkpoint of another framework: {_WRAP}",
    ".gguf": "quantised GGUF weights: give the model that they were made from",
    ".h5": f"TensorFlow weights: {_CONVERT}",
    ".msgpack": f"Flax weights: {_CONVERT}",
    ".pth": _OUTSIDE,
    ".pt": _OUTSIDE,
}
NOT_LOADED = """
added_tokens all_results eval_results merges normalizer special_tokens_map tokenizer
tokenizer_config train_results trainer_state training vocab
"""
"""JSON files beside a model, without `.json`, that loading it for audio never opens (a test
watches)."""
# change with the place, and with the release that wrote a file
NOT_CONTENT = ("_name_or_path", "transformers_version")


class Source(Protocol):
    """The place where a model's files are (sources.py)."""

    path: str
    """Taken by `from_pretrained`."""
    revision: str | None
    """Commit on the Hub, None for a folder."""
    names: Iterable[str]
    """Files that are there, as far as known: for the reason of a refusal."""

    def fetch(self, name: str) -> Path | None:
        """A file (of the Hub: downloaded), or None where there is none."""

    def has(self, name: str) -> bool:
        """True where there is such a file."""


@dataclass(frozen=True)
class Choice:
    """The files that weights are loaded from, before any of them is fetched."""

    format: str
    """`safetensors` or `pytorch`."""
    names: tuple[str, ...]
    """File names."""
    index: Path | None = None
    """Of shards."""


def chosen(model: str, source: Source, *, require_safetensors: bool = False) -> Choice:
    """Choose the files that transformers would take the weights from, in its own order of
    preference.

    Args:
        model: Name for messages.
        source: Of it only settings and indexes are fetched.
        require_safetensors: Refuse pickled weights, though no code of theirs would run.

    Raises:
        ModelError: An adapter, no weights, weights of a form that is not loaded, an index that
            names files elsewhere.
    """
    if source.fetch(ADAPTER) is not None:
        raise ModelError(f"{model}: holds an adapter ({ADAPTER}), not a whole model: {MERGE}")
    for form, name in _candidates(model, source.fetch("config.json")).items():
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
        f"{model}: expected weights as {' or '.join(NAMES.values())}, found {foreign(source.names)}"
    )


def fetched(model: str, source: Source, choice: Choice) -> tuple[Path, ...]:
    """The files of a choice; raises ModelError for one that is missing, or that does not hold what
    it declares."""
    paths = []
    for name in choice.names:
        if (path := source.fetch(name)) is None:
            why = f"{choice.index.name} names {name}" if choice.index else f"expected {name}"
            raise ModelError(f"{model}: {why}, which is missing")
        _check(path, choice.format)
        paths.append(path)
    return tuple(paths)


def is_complete(model: str, folder: Path) -> bool:
    """Tell a folder with the settings and the weights of an audio model, every shard of them.
    Raises ModelError for an index that is broken."""
    names = {path.name for path in folder.iterdir() if path.is_file()}
    if not names & {"preprocessor_config.json", "processor_config.json"}:
        return False
    for name in _candidates(model, folder / "config.json").values():
        index_name = name if name.endswith(".index.json") else f"{name}.index.json"
        if name != index_name and name in names:
            return True
        if index_name in names and names.issuperset(_shards(model, folder / index_name)):
            return True
    return False


def foreign(present: Iterable[str]) -> str:
    """The kind of a model's files, where they are not what can be loaded, and what to do."""
    present = sorted(present)
    for end, advice in FOREIGN.items():
        if any(name.lower().endswith(end) for name in present):
            return advice
    return "none" + (f" among {some(present)}" if present else "")


def _candidates(model: str, config: Path | None) -> dict[str, str]:
    """The form of weights -> the file that may hold them, the first to be preferred."""
    explicit = _explicit(model, config)
    return {SAFETENSORS: explicit} if explicit else NAMES


def _explicit(model: str, config: Path | None) -> str | None:
    """The file that a configuration names for its weights, if it does; raises ModelError for one
    outside of the model."""
    try:
        content = json.loads(config.read_bytes()) if config else {}
    except (OSError, ValueError):  # told where the configuration is read
        return None
    name = content.get("transformers_weights") if isinstance(content, dict) else None
    ends = (".safetensors", ".safetensors.index.json")
    if name is not None and not _is_beside(name, ends):
        raise ModelError(
            f"{model}: config.json: transformers_weights: expected a *.safetensors beside it, "
            f"found {name!r:.80}"
        )
    return name


def _shards(model: str, index: Path) -> tuple[str, ...]:
    """Names of files that an index lists; raises ModelError for others than files beside it."""
    where = f"{model}: {index.name}: expected"
    if (n_bytes := index.stat().st_size) > MAX_INDEX_BYTES:
        raise ModelError(f"{where} at most {MAX_INDEX_BYTES} bytes, found {n_bytes}")
    try:
        names = sorted({*json.loads(index.read_bytes())["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        reason = "a weight_map of tensors to files, found something else"
        raise ModelError(f"{where} {reason}") from None
    if not 0 < len(names) <= MAX_SHARDS:
        raise ModelError(f"{where} 1 to {MAX_SHARDS} files, found {len(names)}")
    end = index.name.removesuffix(".index.json").rpartition(".")[2]
    if elsewhere := [name for name in names if not _is_beside(name, f".{end}")]:
        raise ModelError(f"{where} names of *.{end} files beside it, found {elsewhere[0]!r:.80}")
    return tuple(names)


def _is_beside(name: object, ends: str | tuple[str, ...]) -> bool:
    """True for the plain name of a file, with one of the ends."""
    is_name = isinstance(name, str) and not any(mark in name for mark in "/\\\0:")
    return is_name and name.endswith(ends)


def _check(path: Path, form: str) -> None:
    """Raise ModelError for a file of weights that holds something else (after a download that went
    wrong), or less than it declares."""
    with path.open("rb") as stream:
        start = stream.read(512)
    reason = None
    if start.startswith(POINTER):
        reason = "a git-lfs pointer: run `git lfs pull` in its folder"
    elif not start:
        reason = "an empty file: download it again"
    elif re.match(rb"\s*<[!?a-zA-Z]", start):
        reason = "a web page: download it again"
    elif form == SAFETENSORS:
        _check_safetensors(path, int.from_bytes(start[:8], "little"))
    # by its first bytes, as torch does: a zip can be put behind anything
    elif start.startswith(b"\x80"):
        legacy_pickle.check(path)
    elif start.startswith(b"PK\x03\x04"):
        is_whole = zipfile.is_zipfile(path)
        reason = _packed(path) if is_whole else "a file that is cut short: download it again"
    else:
        reason = (
            "neither a zip nor a pickle of torch: download it again, or ask its authors for "
            "safetensors"
        )
    if reason:
        raise ModelError(f"{path}: expected weights, found {reason}")


def _check_safetensors(path: Path, header_bytes: int) -> None:
    from safetensors import SafetensorError, safe_open

    most = min(MAX_SAFETENSORS_HEADER_BYTES, path.stat().st_size)
    if header_bytes > most:
        raise ModelError(
            f"{path}: expected safetensors with a header of at most {most} bytes, found a broken "
            f"file, with {header_bytes}"
        )
    try:
        safe_open(path, "np").keys()
    except (SafetensorError, OSError) as error:
        reason = f"expected safetensors, found a broken file: {first_sentence(error)}"
        raise ModelError(f"{path}: {reason}") from error


def _packed(path: Path) -> str | None:
    """The reason to refuse a zip that unpacks to more than it holds: torch stores, it never
    compresses."""
    try:
        with zipfile.ZipFile(path) as archive:
            n_unpacked = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:  # told where it is read
        return None
    n_bytes = path.stat().st_size
    return f"{n_unpacked} bytes packed into {n_bytes}" if n_unpacked > n_bytes else None


def content_hashes(
    folder: Path, choice: Choice, paths: tuple[Path, ...], *, with_code: bool
) -> list[str]:
    """Everything that loading a folder can open, as hashes: weights and every JSON file but
    NOT_LOADED; where code may run, all files.

    A file that nobody thought of is in by default: a change there gives another identity, never a
    stale result.
    """
    hashes = [files.digest(path) for path in paths]
    if with_code:  # which may open whatever lies there
        beside = sorted(path for path in folder.rglob("*") if path.is_file() and path not in paths)
        hashes += [
            f"{path.relative_to(folder).as_posix()} {files.digest(path)}"
            for path in beside
            if ".git" not in path.parts
        ]
    unused = {f"{name}.index.json" for name in NAMES.values()} - {
        choice.index and choice.index.name
    }
    for path in sorted(folder.glob("*.json")):
        # a folder, a pipe or a broken link is never read
        if path.stem not in NOT_LOADED.split() and path.name not in unused and path.is_file():
            # what a setting means hangs on its file
            hashes.append(f"{path.name} {_settings(path)}")
    return hashes


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
