"""Where derived files go, and how they are written: to a temporary name, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_dir() -> Path:
    """`BIMOTION_CACHE`, else `~/.cache/bimotion`. Safe to delete: all of it is made again (rows of datasets made from a
    YueMotion archive point into it)."""
    return Path(os.environ.get("BIMOTION_CACHE") or Path.home() / ".cache" / "bimotion")


@contextmanager
def written(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, which takes its name only if the block ends well.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with written(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written(target: Path) -> Iterator[Path]:
    """A new temporary folder beside `target`, which takes its name only if the block ends well and fills it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield temporary
        if any(temporary.iterdir()):
            temporary.chmod(0o777 & ~_umask())
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_others(folder: Path, keep: Iterable[Path], pattern: str = "*") -> None:
    """Remove what `folder` holds of earlier states: everything of the pattern but `keep`. Missing files are no error."""
    for path in set(folder.glob(pattern)) - set(keep):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
