"""Where derived files go, and how they are written: to a temporary name, then renamed.

A process that is killed leaves its temporary files. Their names say whose they are, and a lock that ends with the process says
whether they are still being written: whoever writes beside them next removes those that nobody holds.
"""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bimotion.errors import SettingError

try:
    import fcntl
except ImportError:  # Windows has no such locks: there, leftovers stay
    fcntl = None

_MARK = ".bimotion-"
_LEFTOVER = re.compile(rf"\..*{re.escape(_MARK)}[a-z0-9_]{{8}}(\.[^.]*)?", re.DOTALL)
_MAX_NAME = 50
"""Characters of the target that a temporary name repeats: with all of it, it could be longer than names may be."""


def cache_dir() -> Path:
    """`BIMOTION_CACHE`, else `~/.cache/bimotion`. Safe to delete: all of it is made again (rows of datasets made from a
    YueMotion archive point into it)."""
    return Path(os.environ.get("BIMOTION_CACHE") or Path.home() / ".cache" / "bimotion")


def require_writable(folder: Path) -> None:
    """Raise SettingError, before any work, where files could not be written into a folder that may not exist yet."""
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError:
        raise SettingError(f"expected a folder whose name is UTF-8 text, as Parquet files need, found {folder}") from None
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir() or not os.access(place, os.W_OK):
                raise SettingError(f"expected a folder for results that can be written, found {place}")
            return


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
    with _temporary(target, _new_file) as temporary:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner can read
        temporary.replace(target)


@contextmanager
def folder_written(target: Path) -> Iterator[Path]:
    """A new temporary folder beside `target`, which takes its name only if the block ends well and fills it."""
    with _temporary(target, _new_folder) as temporary:
        yield temporary
        if any(temporary.iterdir()):
            temporary.chmod(0o777 & ~_umask())
            temporary.rename(target)


def remove_folder(folder: Path) -> None:
    """Remove a folder. Wherever this process is killed, no part of it stands under its name: the whole, or nothing."""
    temporary = folder.with_name(f"{_prefix(folder)}{secrets.token_hex(4)}")
    folder.rename(temporary)
    shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` whose process was killed; those of a running process stay."""
    found: list[Path] = []
    with suppress(OSError), os.scandir(folder) as entries:
        found += [Path(entry.path) for entry in entries if _LEFTOVER.fullmatch(entry.name)]
    for path in found:
        if (descriptor := _locked(path, wait=False)) is not None:
            _remove(path)
            os.close(descriptor)


@contextmanager
def _temporary(target: Path, make: Callable[[Path], Path]) -> Iterator[Path]:
    """A new file or folder beside `target`, locked inside the block and removed after it, if it still has this name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target.parent)
    while True:
        temporary = make(target)
        descriptor = _locked(temporary, wait=True)
        if temporary.exists():
            break
        if descriptor is not None:
            os.close(descriptor)  # another process took it for a leftover before it was locked
    try:
        yield temporary
    finally:
        _remove(temporary)
        if descriptor is not None:
            os.close(descriptor)


def _new_file(target: Path) -> Path:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target), suffix=target.suffix)
    os.close(handle)
    return Path(name)


def _new_folder(target: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target)))


def _prefix(target: Path) -> str:
    return f".{target.name[:_MAX_NAME]}{_MARK}"


def _locked(path: Path, *, wait: bool) -> int | None:
    """Descriptor of a file or folder whose lock this process now holds; None where another process holds it (or, with `wait`,
    where the file system knows no locks)."""
    if fcntl is None:
        return None
    try:
        access = os.O_RDONLY if path.is_dir() else os.O_RDWR  # network file systems lock only what may be written
        descriptor = os.open(path, access | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


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
