"""A repository of the stand-in Hub."""

import hashlib
from dataclasses import dataclass, field

LFS_FROM_BYTES = 1000  # other than text


@dataclass
class Repository:
    """A repository of a dataset or a model: revision -> path -> content."""

    private: bool
    revisions: dict[str, dict[str, bytes]] = field(
        default_factory=lambda: {"main": {".gitattributes": b"*.parquet lfs"}}
    )
    proposals: list[dict] = field(default_factory=list)
    commits: list[dict] = field(default_factory=list)

    @property
    def sha(self) -> str:
        """The commit of `main`."""
        return hashlib.sha1(str(len(self.commits)).encode()).hexdigest()


def git_hash(content: bytes) -> str:
    """Name of a blob in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_lfs(path: str, content: bytes) -> bool:
    """The rule of `.gitattributes` of a new dataset repository has it, with a lower limit."""
    return path.endswith(".parquet") or (len(content) > LFS_FROM_BYTES and b"\0" in content)
