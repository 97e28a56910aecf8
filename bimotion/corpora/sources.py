"""The places where the files of a corpus can be had, as data on its card; `bimotion data download`
reads them.

No server says what a file is called here: names come from the corpus's card and from the lists of
bimotion/data/published.
"""

from dataclasses import dataclass, field

GIGABYTE = 1024**3


@dataclass(frozen=True)
class Bounds:
    """The most that an archive may hold."""

    max_files: int = 10_000
    max_bytes: int = 4 * GIGABYTE
    """Unpacked, with what is not taken."""
    max_file_bytes: int = 32 * 1024**2
    """Of each file that is taken."""


@dataclass(frozen=True)
class Files:
    """The published files one by one, each pinned by its SHA-256: those of the corpus's list in
    bimotion/data/published."""

    addresses: tuple[str, ...]
    """With the path of a file behind it, each is its address; tried in this order."""
    suffixes: frozenset[str] = frozenset()
    """Of the files that are had here; empty: all."""


@dataclass(frozen=True)
class Archive:
    """A zip or tar whose clips are laid out as they lie in it."""

    name: str
    """Of the file on a mirror: `female.zip`."""
    addresses: tuple[str, ...]
    suffixes: frozenset[str]
    """Of the files in it that are taken."""
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True)
class Dataverse:
    """The published files in a Dataverse, which lists their addresses."""

    server: str
    """`https://...`, without a path."""
    doi: str


@dataclass(frozen=True)
class HubDataset:
    """Some files of a dataset repository of the Hugging Face Hub, at the commit that `main` is when
    a download begins; the Hub states their checksums."""

    repository: str
    files: tuple[str, ...]
    max_bytes: int = GIGABYTE
    """Of each."""


@dataclass(frozen=True)
class Form:
    """The way to what only its authors give: steps for a person, then the archive that they
    send."""

    steps: tuple[str, ...]
    suffixes: frozenset[str]
    """Of the files in the archive that are taken."""
    bounds: Bounds = field(default_factory=Bounds)
    folder: str | None = None
    """Sub-folder for them, where labels of the corpus can be had without the form."""


Source = Files | Archive | Dataverse | HubDataset


def github(repository: str, commit: str, *, lfs: bool = False) -> str:
    """The address before paths of files of a GitHub repository at a commit.

    >>> github("org/name", "0123")
    'https://raw.githubusercontent.com/org/name/0123/'
    """
    host = "media.githubusercontent.com/media" if lfs else "raw.githubusercontent.com"
    return f"https://{host}/{repository}/{commit}/"
