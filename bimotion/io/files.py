"""Derived files: their folders, and how they are written: to a temporary name, then renamed. What
is read back is checked.

A process that is killed leaves its temporary files. Their names say whose they are, and a lock that
ends with the process says whether they are still being written: whoever writes beside them next
removes those that nobody holds.
"""

import hashlib
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EEXIST, EFBIG, EIO, EISDIR, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path

from bimotion.errors import FolderInUse, SettingError, StorageError

try:
    import fcntl
except ImportError:  # Windows has no such locks: there, leftovers stay
    fcntl = None

_log = logging.getLogger(__name__)
_MARK = ".bimotion-"
_LEFTOVER = re.compile(rf"\..*{re.escape(_MARK)}[a-z0-9_]{{8}}(\.[^.]*)?", re.DOTALL)
_MAX_NAME = 50
"""Characters of the target that a temporary name repeats: with all of it, it could be longer than
names may be."""
_SEAL = b"bimotion sealed 1 sha256 "
_REFUSED = {ENOSPC, EDQUOT, EFBIG, EROFS, EACCES, EPERM, EEXIST, ENOTDIR, EISDIR, EIO}


def cache_dir() -> Path:
    """`BIMOTION_CACHE`, else `bimotion` in `XDG_CACHE_HOME`, else `~/.cache/bimotion`. Safe to
    delete: all of it is made again (rows of datasets made from a YueMotion archive point into
    it)."""
    if named := os.environ.get("BIMOTION_CACHE"):
        return Path(named).expanduser()
    # the specification ignores what is no absolute path
    shared = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(shared) if os.path.isabs(shared) else Path.home() / ".cache") / "bimotion"


@contextmanager
def storing(target: Path) -> Iterator[None]:
    """Raise StorageError, naming `target` and what to do in one line, where the disk is full or may
    not be written."""
    try:
        yield
    except OSError as error:
        is_elsewhere = False  # a file that is read meanwhile, such as a clip
        if isinstance(error.filename, str | bytes):
            named = Path(os.fsdecode(error.filename)).absolute()
            is_elsewhere = not named.is_relative_to(nearest_existing(target.absolute().parent))
        if error.errno not in _REFUSED or is_elsewhere:
            raise
        in_cache = target.absolute().is_relative_to(cache_dir().absolute())
        advice = "set BIMOTION_CACHE to another folder" if in_cache else "choose another folder"
        raise StorageError(
            f"{target}: expected to use it, found: {os.strerror(error.errno)}; make room or "
            f"give permission, or {advice}"
        ) from error


def nearest_existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next((part for part in (path, *path.parents) if part.exists()), path)


def require_writable(folder: Path) -> None:
    """Raise SettingError, before any work, where files could not be written into a folder that may
    not exist yet."""
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError:
        raise SettingError(
            f"expected a folder whose name is UTF-8 text, as Parquet files need, found {folder}"
        ) from None
    nearest = nearest_existing(folder)
    if nearest.exists() and not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise SettingError(f"expected a folder for results that can be written, found {nearest}")


@contextmanager
def written(target: Path, *, private: bool = False) -> Iterator[Path]:
    """A temporary path beside `target`, which takes its name only if the block ends well;
    `private`: that only its owner can read. Raises StorageError.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with written(target) as temporary:
    ...     _ = temporary.write_text("whole", encoding="utf-8")
    >>> target.read_text(encoding="utf-8")
    'whole'
    """
    with storing(target), _temporary(target) as temporary:
        yield temporary
        if not private:  # mkstemp makes files that only their owner can read
            temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)


@contextmanager
def folder_written(target: Path) -> Iterator[Path]:
    """A new temporary folder beside `target`, which takes its name only if the block ends well and
    fills it. Raises StorageError."""
    with storing(target), _temporary(target, is_folder=True) as temporary:
        yield temporary
        if any(temporary.iterdir()):
            temporary.chmod(0o777 & ~_umask())
            temporary.rename(target)


def remove_folder(folder: Path) -> None:
    """Remove a folder. Wherever this process is killed, no part of it stands under its name: the
    whole, or nothing."""
    temporary = folder.with_name(f"{_prefix(folder)}{secrets.token_hex(4)}")
    folder.rename(temporary)
    shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders in `folder` whose process was killed; those of a
    running process stay."""
    names: list[str] = []
    with suppress(OSError):
        names = [name for name in os.listdir(folder) if _LEFTOVER.fullmatch(name)]
    for path in map(folder.joinpath, names):
        if (descriptor := _locked(path, wait=False)) is not None:
            _remove(path)
            os.close(descriptor)


@contextmanager
def _temporary(target: Path, *, is_folder: bool = False) -> Iterator[Path]:
    """A new file or folder beside `target`, locked inside the block and removed after it, if it
    still has this name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target.parent)
    while True:
        temporary = _new(target, is_folder)
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


def _new(target: Path, is_folder: bool) -> Path:
    if is_folder:
        return Path(tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target)))
    handle, name = tempfile.mkstemp(target.suffix, _prefix(target), target.parent)
    os.close(handle)
    return Path(name)


def _prefix(target: Path) -> str:
    return f".{target.name[:_MAX_NAME]}{_MARK}"


def _locked(path: Path, *, wait: bool) -> int | None:
    """Descriptor of a file or folder whose lock this process now holds; None where another process
    holds it (or, with `wait`, where the file system knows no locks)."""
    if fcntl is None:
        return None
    try:
        # network file systems lock only what may be written
        access = os.O_RDONLY if path.is_dir() else os.O_RDWR
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


@contextmanager
def locked(path: Path, *, in_use: str | None = None, waiting: str | None = None) -> Iterator[None]:
    """A lock between processes, in a file that is made for it. Where it is held: refused with the
    message `in_use`, or waited for, after a warning with the message `waiting`. Raises
    StorageError, FolderInUse."""
    from filelock import FileLock, Timeout

    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            held = lock.acquire(timeout=-1 if in_use is None and waiting is None else 0)
        except Timeout:
            if in_use is not None:
                raise FolderInUse(in_use) from None
            _log.warning(waiting)
            held = lock.acquire()
    with held:
        yield


def write_sealed(target: Path, content: bytes) -> None:
    """Write a small file with its checksum in front, for `read_sealed`. Raises StorageError."""
    with written(target) as temporary:
        temporary.write_bytes(
            _SEAL + hashlib.sha256(content).hexdigest().encode() + b"\n" + content
        )


def read_sealed(path: Path, say: Callable[[str], None]) -> bytes | None:
    """The content that `write_sealed` wrote; None where there is nothing, or where it is damaged,
    which `say` hears in one line.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a"
    >>> write_sealed(path, b"content")
    >>> read_sealed(path, print)
    b'content'
    >>> with path.open("r+b") as stream:
    ...     _ = stream.seek(-1, os.SEEK_END), stream.write(b"?")
    >>> read_sealed(path, lambda line: print(line.rpartition("/")[2]))
    a: damaged (its checksum differs), made again
    """
    with storing(path):
        try:
            seal, _, content = path.read_bytes().partition(b"\n")
        except (FileNotFoundError, NotADirectoryError):
            return None
    if seal != _SEAL + hashlib.sha256(content).hexdigest().encode():
        say(f"{path}: damaged (its checksum differs), made again")
        return None
    return content


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def remove_others(
    folder: Path, keep: Iterable[Path], pattern: str = "*", unused_s: float = 0
) -> None:
    """Remove what `folder` holds of earlier states: everything of the pattern but `keep` and what
    was changed in the last `unused_s` seconds. What is missing, or may not be removed, is no
    error."""
    for path in set(folder.glob(pattern)) - set(keep):
        with suppress(OSError):
            if not unused_s or time.time() - path.stat().st_mtime >= unused_s:
                _remove(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
