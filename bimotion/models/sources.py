"""The places where a model's files are: a folder, or a repository of the Hugging Face Hub at one
commit."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from bimotion.errors import ModelError, some
from bimotion.io.addresses import without_passwords
from bimotion.io.hub import hub_not_connected
from bimotion.models import weight_files
from bimotion.models.failures import first_sentence
from bimotion.models.spec import ModelSpec

_log = logging.getLogger(__name__)
_announced: set[tuple[str, str]] = set()
"""Names and commits of models of which this process has said that they are from the cache."""
FETCH = (
    "Where there is a network, `hf download NAME --local-dir FOLDER` fetches a model: copy that "
    "folder here and pass it as the model"
)

ID = (
    "NAME or ORG/NAME, each of 1 to 96 letters, digits, '-', '_' and '.', without '--' and '..', "
    "and without '.git' at its end"
)


class Folder:
    """Files of a model in a folder. Raises ModelError where it holds none."""

    revision = None

    def __init__(self, spec: ModelSpec):
        self.path = str(folder := Path(spec.model).expanduser())
        self.folder, self.names = folder, sorted(path.name for path in folder.iterdir())
        if spec.revision is not None:
            raise ModelError(
                f"{spec.model}: is a folder, and revision {spec.revision!r} means nothing there"
            )
        if not {"config.json", weight_files.ADAPTER} & {*self.names}:
            raise ModelError(
                f"{spec.model}: expected config.json of a model, found {self._instead()}"
            )

    def fetch(self, name: str) -> Path | None:
        """A file; None where there is none."""
        return self.folder / name if self.has(name) else None

    def has(self, name: str) -> bool:
        """True where there is such a file."""
        return (self.folder / name).is_file()

    def _instead(self) -> str:
        """The content of a folder without config.json, and the model in it, if there is one."""
        inside = (name for name in self.names if (self.folder / name / "config.json").is_file())
        if name := next(inside, None):
            return f"one in {self.folder / name}: pass that folder"
        if any(name.startswith(("tokenizer", "vocab")) for name in self.names):
            return "only a tokenizer"
        kind = weight_files.foreign(self.names)
        return (some(self.names) or "nothing") if kind.startswith("none") else kind


class Repository:
    """Files of a repository on the Hub, at one commit. Raises ModelError where it cannot be had or
    holds no model."""

    def __init__(self, spec: ModelSpec):
        from huggingface_hub import errors, hf_hub_download

        self.path, self.name, self.asked = spec.model, spec.model, spec.revision
        self.offline = self._offline()
        """Why the cache is all there is; None: the Hub is asked."""
        self._where = {"local_files_only": self.offline is not None}
        try:
            asked = {"revision": spec.revision, **self._where}
            config = Path(hf_hub_download(spec.model, "config.json", **asked))
        except Exception as error:
            reason, names = self._why(error), []
            if isinstance(error, errors.EntryNotFoundError):
                names = [] if isinstance(error, errors.LocalEntryNotFoundError) else [*self.names]
            if weight_files.ADAPTER in names:
                reason = f"holds an adapter, not a whole model: {weight_files.MERGE}"
            elif not (kind := weight_files.foreign(names)).startswith("none"):
                reason = f"expected config.json of a model, found {kind}"
            raise ModelError(f"{spec.model}: {reason}") from error
        self.revision = config.parent.name
        if self.offline:  # transformers asks the Hub for some files whatever it is told
            self.path = str(config.parent)

    def _offline(self) -> str | None:
        """Say why the cache is all there is: no network to the Hub, or no leave to ask it. Raises
        ModelError where it does not hold the model, SettingError where HF_ENDPOINT is no address.
        """
        from huggingface_hub import constants, try_to_load_from_cache

        if constants.HF_HUB_OFFLINE:
            return "HF_HUB_OFFLINE is set: unset it"
        if (reason := hub_not_connected()) is None:
            return None
        held = try_to_load_from_cache(self.name, "config.json", revision=self.asked)
        if isinstance(held, str):
            self._tell(reason, Path(held).parent.name)
            return reason
        raise ModelError(
            f"{self.name}: expected a folder, a model in the cache, or the Hub within reach; found "
            f"no such folder, nothing in the cache, and no network to the Hub ({reason}). {FETCH}"
        )

    def _tell(self, reason: str, commit: str) -> None:
        """Say once that the cache stands in for the Hub: it may hold an older commit."""
        if (self.name, commit) not in _announced:
            _announced.add((self.name, commit))
            message = "%s: no network to the Hub (%s): taken from the cache, commit %s"
            _log.warning(message, self.name, reason, commit)

    @property
    def names(self) -> Iterator[str]:
        """Names of its files, asked for only where a message needs them."""
        from huggingface_hub import list_repo_files

        with suppress(Exception):  # the message is right without them
            if self.offline:
                yield from sorted(path.name for path in Path(self.path).iterdir())
            else:
                yield from list_repo_files(self.name, revision=self.asked)

    def fetch(self, name: str) -> Path | None:
        """A file, downloaded; None where the repository lacks it."""
        return self._answer(name, Path)

    def has(self, name: str) -> bool:
        """True where there is such a file, which is not downloaded."""
        return self._answer(name, bool, dry_run=True) is not None

    def _answer(self, name: str, as_type: Callable, **options):
        from huggingface_hub import errors, hf_hub_download

        try:
            options |= {"revision": self.revision, **self._where}
            return as_type(hf_hub_download(self.name, name, **options))
        except Exception as error:
            is_local = isinstance(error, errors.LocalEntryNotFoundError)
            if isinstance(error, errors.EntryNotFoundError) and not is_local:
                return None
            reason = self._why(error)
            if is_local and self.offline:
                if self._is_known_to_lack(name):
                    return None
                reason = f"not in the cache, and no network: {self.offline}. {FETCH}"
            raise ModelError(f"{self.name}: {name}: {reason}") from error

    def _is_known_to_lack(self, name: str) -> bool:
        """Tell a file that the repository lacks from one that was never fetched into the cache. The
        Hub's client marks the first where it has asked for it. `hf download` and a copied cache
        have no marks: where settings and weights are there, all is."""
        from huggingface_hub import _CACHED_NO_EXIST, try_to_load_from_cache

        known = try_to_load_from_cache(self.name, name, revision=self.revision)
        return known is _CACHED_NO_EXIST or weight_files.is_complete(self.name, Path(self.path))

    def _why(self, error: Exception) -> str:
        """The reason why the Hub does not give a file, for a user."""
        from huggingface_hub import errors

        reasons = {  # the particular before the general
            errors.GatedRepoError: "is gated: accept its terms on its page on the Hub, then `hf "
            "auth login`",
            errors.RepositoryNotFoundError: "no such folder, no such model on the Hub (a private "
            "one: `hf auth login`)",
            errors.RevisionNotFoundError: f"no revision {self.asked!r} on the Hub",
            errors.LocalEntryNotFoundError: "no such folder, not in the cache, and no network to "
            f"the Hub (or HF_HUB_OFFLINE is set: unset it). {FETCH}",
            errors.EntryNotFoundError: "expected config.json of a model, which its repository on "
            "the Hub does not have",
        }
        texts = (text for kind, text in reasons.items() if isinstance(error, kind))
        return next(texts, None) or without_passwords(first_sentence(error))


def source_of(spec: ModelSpec) -> Folder | Repository:
    """The place where a model's files are; raises ModelError where there is none."""
    if spec.model and Path(spec.model).expanduser().is_dir():
        return Folder(spec)
    if not spec.model or spec.model.startswith((".", "~", "/")) or spec.model.count("/") > 1:
        raise ModelError(
            f"{spec.model!r}: expected a folder or an id on the Hugging Face Hub, found no such "
            "folder"
        )
    if not _is_id(spec.model):  # before the cache or the Hub is asked, which stop at it
        raise ModelError(
            f"{spec.model!r:.200}: expected a folder or an id on the Hugging Face Hub, found no "
            f"such folder, and no id: {ID}"
        )
    return Repository(spec)


def _is_id(name: str) -> bool:
    """Tell an id that a model on the Hub can have."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True
