"""Every error that a user can cause, as a tree.

BimotionError                 the command line prints it without a traceback and exits with 2
├── UnknownName               a name that is not in a closed list: cell, config, corpus, label,
                              model, rule
├── CorpusError               something about a corpus on disk
│   ├── CorpusNotFound        no folder under the root looks like it
│   ├── CorpusAmbiguous       several folders under the root do
│   ├── CorpusIncomplete      found, but clips are missing or unusable, and `allow_missing` was not
    given
│   └── CorpusMalformed       found, but its label or speaker files cannot be understood
├── AudioError                a file that should hold sound does not
├── ModelError                a model that cannot be had, or that is not of the kind needed
│   └── ClipError             a clip of which it makes NaN or infinity
├── SettingError              a run that cannot be done: no clips to train on, a part that is empty
│   └── FolderInUse           a folder in which another process works
├── LicenceError              an export that a corpus's licence forbids
├── HubError                  the Hugging Face Hub: no token, no permission, no such repository, a
                              broken connection
├── DownloadError             a file of a corpus that cannot be had, or is not the published one
├── StorageError              a disk that is full or may not be written
├── ClusterError              a Ray cluster that is too small or that lost a worker too often, or a
                              node of it that lacks what the work needs
├── RecordError               a result or prediction file that breaks its schema
└── MissingExtra              an optional package is needed; says which to install
"""

from collections.abc import Iterable


class BimotionError(Exception):
    """Base of all errors that say what was expected, what was found, where, and what to do."""


class UnknownName(BimotionError):
    """A name outside a closed list.

    >>> str(UnknownName("cell", "eng_old", ["eng_eld", "eng_adu"]))
    "unknown cell 'eng_old': expected one of eng_eld, eng_adu"
    """

    def __init__(self, kind: str, name: object, expected: Iterable[str]):
        super().__init__(f"unknown {kind} {name!r:.80}: expected one of {', '.join(expected)}")


def known_name(kind: str, name: object, expected: Iterable[str]) -> str:
    """The name, one of a closed list; raises UnknownName, also for what is no name at all.

    >>> known_name("cell", "eng_eld", ["eng_eld", "eng_adu"])
    'eng_eld'
    """
    if not isinstance(name, str) or name not in expected:
        raise UnknownName(kind, name, expected)
    return name


class CorpusError(BimotionError):
    """Something about a corpus on disk."""


class CorpusNotFound(CorpusError):
    """No folder under the root looks like the corpus."""


class CorpusAmbiguous(CorpusError):
    """Several folders under the root look like the corpus."""


class CorpusIncomplete(CorpusError):
    """Clips of a corpus are missing or unusable."""


class CorpusMalformed(CorpusError):
    """A label, speaker or metadata file of a corpus cannot be understood."""


class AudioError(BimotionError):
    """A file that should hold sound does not."""


class ModelError(BimotionError):
    """A model that cannot be had, or that is not of the kind that is needed."""


class ClipError(ModelError):
    """A clip that a model fails on: `index` among those given to it; `named` says its id instead of
    that number.

    >>> str(ClipError("wavlm", 3, "expected finite hidden states, found NaN").named("csed/f1/0007"))
    'wavlm: csed/f1/0007: expected finite hidden states, found NaN'
    """

    def __init__(self, model: str, index: int, reason: str):
        super().__init__(f"{model}: clip {index}: {reason}")
        self.model, self.index, self.reason = model, index, reason

    def named(self, clip_id: str) -> ModelError:
        """The same, about the clip of that id."""
        return ModelError(f"{self.model}: {clip_id}: {self.reason}")


class SettingError(BimotionError):
    """A run that cannot be done as asked."""


class FolderInUse(SettingError):
    """A folder in which another process works."""


class LicenceError(BimotionError):
    """An export that a corpus's licence forbids."""


class HubError(BimotionError):
    """The Hugging Face Hub does not do what it was asked."""


class DownloadError(BimotionError):
    """A file of a corpus cannot be had, or is not the published one."""


class StorageError(BimotionError):
    """A file cannot be written where it belongs, or was lost while in use."""


class ClusterError(BimotionError):
    """A Ray cluster, or a node of it, cannot do the work."""


class RecordError(BimotionError):
    """A result or prediction file that breaks its schema."""


class MissingExtra(BimotionError):
    """An optional dependency is needed."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(
            f"{purpose} needs the package {package!r}: pip install 'bimotion[{extra}]'"
        )


def some(items: Iterable[object], shown: int = 5) -> str:
    """First few items and the total, for messages about many things.

    >>> some(["a", "b", "c"], shown=2)
    'a, b, ... (3 in all)'
    """
    items = [str(item) for item in items]
    head = ", ".join(items[:shown])
    return head if len(items) <= shown else f"{head}, ... ({len(items)} in all)"


def printable(text: str) -> str:
    """Text from strangers for a terminal or a page: whatever would move the cursor, or is no
    character, is replaced.

    >>> printable("a\\x1b[2Kb")
    'a�[2Kb'
    """
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
