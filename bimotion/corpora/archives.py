"""Archives of clips, unpacked within bounds: what an archive declares is never believed."""

import bz2
import functools
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from bimotion.corpora.sources import Bounds
from bimotion.errors import CorpusMalformed
from bimotion.io.audio import POINTER
from bimotion.io.files import storing

MAX_CLIPS = 10_000
MAX_MEMBERS = 4 * MAX_CLIPS
MAX_CLIP_BYTES = 32 * 1024 * 1024
MAX_BYTES = 4 * 1024**3
# speech packs to a third; an archive that unpacks to far more is none of speech
MAX_FOLD, FREE_BYTES = 50, 64 * 1024 * 1024
MAX_HEADER_BYTES = 1024 * 1024  # of what stands between two files of a tar
MAX_DIRECTORY_BYTES = 16 * 1024 * 1024  # of a zip; that of 35 000 clips has a third of it
_OPENERS = {b"BZh": bz2.open, b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open}
_OTHERS = {b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7-Zip archive"}
_BY_HAND = "unpack it by hand and give its folder a place below the corpora root"
_BROKEN = (
    tarfile.TarError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,  # of zipfile: a packing that it does not know
    RuntimeError,  # of zipfile: encrypted
)


class ClipFolder:
    """A folder `data` that takes the clips of an archive, within bounds."""

    def __init__(self, archive: Path, n_packed: int, into: Path):
        self.archive, self.folder = archive, into / "data"
        self.n_clips = self.n_bytes = 0
        self.max_bytes = min(MAX_BYTES, FREE_BYTES + MAX_FOLD * n_packed)

    def admit(self, name: str, n_bytes: int) -> Path:
        """The path for a clip of a size. The name is taken bare: no folder of an archive is
        followed.

        Raises:
            CorpusMalformed: Too many, too large or repeated clips.
        """
        self.n_clips, self.n_bytes = self.n_clips + 1, self.n_bytes + n_bytes
        target = self.folder / PurePosixPath(name).name
        if self.n_clips > MAX_CLIPS or self.n_bytes > self.max_bytes or n_bytes > MAX_CLIP_BYTES:
            raise CorpusMalformed(
                f"{self.archive}: expected at most {MAX_CLIPS} clips of {MAX_CLIP_BYTES} "
                f"bytes, {self.max_bytes} in all, found more at {name}: not the corpus's"
            )
        if target.exists():
            raise CorpusMalformed(
                f"{self.archive}: expected each clip once, found {target.name} twice"
            )
        self.folder.mkdir(exist_ok=True)
        return target


class _BoundedStream:
    """The unpacked bytes of an archive for tarfile, which believes every size that it reads: no
    further than `max_bytes`, and no more than `allowed` between two files."""

    def __init__(self, archive: Path, stream: BinaryIO, max_bytes: int):
        self.archive, self.stream, self.max_bytes = archive, stream, max_bytes
        self.allowed, self.tell = MAX_HEADER_BYTES, stream.tell

    def read(self, n_bytes: int = -1) -> bytes:
        self.allowed -= n_bytes
        if n_bytes < 0 or self.allowed < 0:
            raise CorpusMalformed(
                f"{self.archive}: expected a tar of wavs, found a header of more than "
                f"{MAX_HEADER_BYTES} bytes"
            )
        return self.stream.read(n_bytes)

    def seek(self, offset: int) -> int:
        if offset > self.max_bytes:
            raise CorpusMalformed(
                f"{self.archive}: expected at most {self.max_bytes} bytes unpacked, found "
                "more: not the corpus's"
            )
        return self.stream.seek(offset)


def unpack_tar(archive: Path, into: Path, grammar: re.Pattern[str]) -> bool:
    """Write the clips of a tar, packed or not, whose stems match a grammar, into `into/data`.

    Returns:
        Whether there were any.

    Raises:
        CorpusMalformed: No tar, a damaged one, or one that unpacks to more than any corpus has.
    """
    clips = ClipFolder(archive, archive.stat().st_size, into)
    try:
        with _decompressed(archive) as stream:
            _unpack(stream, clips, grammar)
    except _BROKEN as error:
        damage = " ".join(str(error).split())
        raise CorpusMalformed(
            f"{archive}: expected a tar of wavs, found: {damage}; download it again"
        ) from None
    return clips.n_clips > 0


def _decompressed(archive: Path) -> BinaryIO:
    with archive.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(POINTER):
        raise CorpusMalformed(
            f"{archive}: expected an archive, found a git-lfs pointer: run `git lfs pull` in its "
            "folder"
        )
    if other := next((kind for magic, kind in _OTHERS.items() if start.startswith(magic)), None):
        raise CorpusMalformed(f"{archive}: expected a zip or tar, found {other}: {_BY_HAND}")
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), open)
    return opener(archive, "rb")


def _unpack(stream: BinaryIO, clips: ClipFolder, grammar: re.Pattern[str]) -> None:
    max_bytes = clips.max_bytes + MAX_MEMBERS * tarfile.RECORDSIZE // 10
    bounded = _BoundedStream(clips.archive, stream, max_bytes)
    reader = tarfile.open(fileobj=bounded, mode="r:")  # noqa: SIM115  (the caller closes `stream`)
    for number, member in enumerate(reader, start=1):
        if number > MAX_MEMBERS:
            raise CorpusMalformed(
                f"{clips.archive}: expected a tar of wavs, found more than {MAX_MEMBERS} files"
            )
        if member.isfile() and grammar.fullmatch(PurePosixPath(member.name).stem):
            target = clips.admit(member.name, member.size)
            bounded.allowed = member.size + MAX_HEADER_BYTES
            content = reader.extractfile(member).read()
            with storing(target):
                target.write_bytes(content)
        bounded.allowed = MAX_HEADER_BYTES


class _BoundedZip:
    """The bytes of a zip for zipfile, which reads the list of its files at once, however long."""

    def __init__(self, archive: Path, stream: BinaryIO):
        self.archive, self.stream = archive, stream
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, n_bytes: int = -1) -> bytes:
        is_bounded = 0 <= n_bytes <= MAX_DIRECTORY_BYTES
        content = self.stream.read(n_bytes if is_bounded else MAX_DIRECTORY_BYTES + 1)
        if len(content) > MAX_DIRECTORY_BYTES:
            raise CorpusMalformed(
                f"{self.archive}: expected a zip whose list of files has at most "
                f"{MAX_DIRECTORY_BYTES} bytes, found more: not the corpus's"
            )
        return content


class _Member(NamedTuple):
    """A file of an archive."""

    name: str
    n_bytes: int
    is_folder: bool
    is_file: bool
    """Neither: a link, a device."""
    open: Callable[[], BinaryIO]


def unpack(archive: Path, into: Path, suffixes: frozenset[str], bounds: Bounds) -> int:
    """Write the files of a zip or tar that have one of some suffixes into a folder, as they lie in
    it. Hidden files are passed over.

    Returns:
        How many there were.

    Raises:
        CorpusMalformed: Neither zip nor tar, or damaged; links, or paths that lead out of it; more
            than the bounds allow.
        StorageError: The disk is full.
    """
    n_files = 0
    try:
        for member, path in _taken(archive, suffixes, bounds):
            n_files += 1
            _write(archive, member, into / path, bounds)
    except _BROKEN as error:
        damage = " ".join(str(error).split())
        raise CorpusMalformed(
            f"{archive}: expected a zip or tar that can be unpacked, found: {damage}; download it "
            "again"
        ) from None
    return n_files


def unpacked_bytes(archive: Path, suffixes: frozenset[str]) -> int:
    """The bytes that `unpack` will write, as a zip declares them; of a tar, which would have to be
    unpacked to tell, as many as it has itself."""
    try:
        if _is_zip(archive):
            return sum(
                member.n_bytes for member, _ in _taken(archive, suffixes, Bounds(10**6, 2**60))
            )
    except _BROKEN:
        pass  # `unpack` says it
    return archive.stat().st_size


def _is_zip(archive: Path) -> bool:
    with archive.open("rb") as stream:
        return zipfile.is_zipfile(stream)


def _taken(
    archive: Path, suffixes: frozenset[str], bounds: Bounds
) -> Iterator[tuple[_Member, PurePosixPath]]:
    """The files of an archive that are taken, with their paths; raises CorpusMalformed."""
    n_bytes = 0
    max_bytes = min(bounds.max_bytes, FREE_BYTES + MAX_FOLD * archive.stat().st_size)
    members = (_zipped if _is_zip(archive) else _tarred)(archive, bounds)
    for number, member in enumerate(members, start=1):
        path = _inside(archive, member)
        n_bytes += member.n_bytes
        if number > 2 * bounds.max_files or n_bytes > max_bytes:
            raise CorpusMalformed(
                f"{archive}: expected at most {2 * bounds.max_files} files of {max_bytes} bytes, "
                f"found more at {member.name!r:.80}: not the corpus's"
            )
        is_hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
        if member.is_file and not is_hidden and path.suffix.lower() in suffixes:
            yield member, path


def _inside(archive: Path, member: _Member) -> PurePosixPath:
    """The path of a member below the folder that it is unpacked into."""
    path = PurePosixPath(member.name.replace("\\", "/"))
    leads_out = path.is_absolute() or ".." in path.parts or ":" in member.name
    if leads_out or not member.name.isprintable() or not (member.is_file or member.is_folder):
        kind = "a path that leads out of it" if leads_out else "a link or an unprintable name"
        raise CorpusMalformed(
            f"{archive}: expected plain files, found {kind}: {member.name!r:.80}; nothing of it is "
            "laid out"
        )
    return path


def _write(archive: Path, member: _Member, target: Path, bounds: Bounds) -> None:
    if member.n_bytes > bounds.max_file_bytes:
        raise CorpusMalformed(
            f"{archive}: expected files of at most {bounds.max_file_bytes} bytes, found "
            f"{member.n_bytes} at {member.name!r:.80}: not the corpus's"
        )
    with storing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            raise CorpusMalformed(
                f"{archive}: expected each file once, found {member.name!r:.80} twice"
            )
        with member.open() as source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream, 1024 * 1024)


def _zipped(archive: Path, bounds: Bounds) -> Iterator[_Member]:
    with archive.open("rb") as stream, zipfile.ZipFile(_BoundedZip(archive, stream)) as opened:
        for info in opened.infolist():
            if info.flag_bits & 1:
                raise CorpusMalformed(
                    f"{archive}: expected a zip without a password, found one: {_BY_HAND}"
                )
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0: not made on Unix
            is_file = kind in (0, stat.S_IFREG) and not info.is_dir()
            open_member = functools.partial(opened.open, info)
            yield _Member(info.filename, info.file_size, info.is_dir(), is_file, open_member)


def _tarred(archive: Path, bounds: Bounds) -> Iterator[_Member]:
    with _decompressed(archive) as stream:
        max_bytes = bounds.max_bytes + 4 * bounds.max_files * tarfile.BLOCKSIZE
        bounded = _BoundedStream(archive, stream, max_bytes)
        with tarfile.open(fileobj=bounded, mode="r:") as reader:
            for info in reader:
                bounded.allowed = info.size + MAX_HEADER_BYTES
                open_member = functools.partial(reader.extractfile, info)
                yield _Member(info.name, info.size, info.isdir(), info.isreg(), open_member)
                bounded.allowed = MAX_HEADER_BYTES
