"""Archives of clips, unpacked within bounds: what an archive declares is never believed."""

import bz2
import gzip
import lzma
import re
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from bimotion.errors import CorpusMalformed
from bimotion.io.audio import POINTER

MAX_CLIPS = 10_000
MAX_MEMBERS = 4 * MAX_CLIPS
MAX_CLIP_BYTES = 32 * 1024 * 1024
MAX_BYTES = 4 * 1024**3
# speech packs to a third; an archive that unpacks to far more is none of speech
MAX_FOLD, FREE_BYTES = 50, 64 * 1024 * 1024
MAX_HEADER_BYTES = 1024 * 1024  # of what stands between two files of a tar
_OPENERS = {b"BZh": bz2.open, b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open}
_BROKEN = (
    tarfile.TarError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    zlib.error,
    lzma.LZMAError,
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
            target.write_bytes(reader.extractfile(member).read())
        bounded.allowed = MAX_HEADER_BYTES
