"""A folder on the user's disk, scanned once: names, sizes and times of its files. Read-only,
always."""

import csv
import hashlib
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bimotion.errors import CorpusMalformed, some

SOUND_SUFFIXES = frozenset({".wav", ".flac", ".aif", ".aiff", ".mp3", ".ogg"})
MAX_TEXT_BYTES = 8 * 1024 * 1024  # the largest table of any corpus here, CREMA-D's votes, has 4 MB
MAX_LINES = 100_000
MAX_LINE_LENGTH = 10_000
MAX_FIELDS = 100  # of a line of CSV


class File(NamedTuple):
    """One file of a tree."""

    path: str
    """POSIX path below the tree's root."""
    name: str
    stem: str
    suffix: str
    """Extension in lower case, with its dot."""
    n_bytes: int
    mtime_ns: int


class Tree:
    """Files below a folder, sorted by path. Hidden files (`.DS_Store`, `._clip.wav`) and hidden
    folders are no part of it.

    Symbolic links are followed, each real folder once and never upwards, so that links to a shared
    disk work and loops end. A folder below the root keeps its own path, whatever links to it.

    Raises:
        CorpusMalformed: for a folder that cannot be read.

    >>> import tempfile
    >>> Tree(Path(tempfile.mkdtemp())).files
    ()
    """

    def __init__(self, root: Path):
        self.root = root
        self.files: tuple[File, ...] = tuple(sorted(_scan(root)))

    @cached_property
    def sounds(self) -> tuple[File, ...]:
        """Those that hold sound, by their suffix."""
        return tuple(file for file in self.files if file.suffix in SOUND_SUFFIXES)

    @cached_property
    def signature(self) -> str:
        """Changes when any file is added, removed, resized or rewritten; 16 hex digits."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(
                f"{file.path}\0{file.n_bytes}\0{file.mtime_ns}\n".encode("utf-8", "surrogateescape")
            )
        return digest.hexdigest()[:16]

    def named(self, grammar: re.Pattern[str]) -> dict[str, list[File]]:
        """Name in lower case -> every file of that name, of a grammar."""
        files: dict[str, list[File]] = {}
        for file in self.files:
            if grammar.fullmatch(file.name):
                files.setdefault(file.name.lower(), []).append(file)
        return files

    def text(self, file: File) -> str:
        """Content of a text file of the tree; raises CorpusMalformed when it cannot be read, or is
        no text of sane size."""
        where = self.root / file.path
        if file.n_bytes > MAX_TEXT_BYTES:
            raise CorpusMalformed(
                f"{where}: expected a text file, found {file.n_bytes} bytes: another file?"
            )
        try:
            content = where.read_bytes()
        except OSError as error:
            raise CorpusMalformed(
                f"{where}: expected a file that can be read, found: {error.strerror}"
            ) from None
        if b"\0" in content[:4096]:
            raise CorpusMalformed(f"{where}: expected text, found binary data; copy the file again")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return content.decode("latin-1")

    def text_if_any(self, file: File) -> str:
        """The content of a file that may be of any corpus; empty where it is no text."""
        try:
            return self.text(file)
        except CorpusMalformed:
            return ""

    def lines(self, file: File) -> Iterator[tuple[str, str]]:
        """Lines of a text file, each with where it stands (path and number, for messages); raises
        CorpusMalformed as `text` does, and for more or longer ones than any corpus has."""
        where = self.root / file.path
        # splitlines() ends lines at a Latin-1 byte 0x85 too
        text = self.text(file).replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
        # before each becomes an object
        if (n_lines := text.count("\n") + 1) > MAX_LINES:
            raise CorpusMalformed(
                f"{where}: expected at most {MAX_LINES} lines, found {n_lines}: another file?"
            )
        for number, line in enumerate(text.split("\n"), start=1):
            if len(line) > MAX_LINE_LENGTH:
                raise CorpusMalformed(
                    f"{where}:{number}: expected at most {MAX_LINE_LENGTH} characters a line, "
                    f"found {len(line)}; copy the file again"
                )
            yield f"{where}:{number}", line

    def csv_rows(
        self, file: File, *, may_be_empty: bool = False
    ) -> Iterator[tuple[str, dict[str, str]]]:
        """Rows of a CSV file with a header line, without blanks around fields, each with where it
        ends; raises CorpusMalformed, also where there is none, unless it `may_be_empty`."""
        where = self.root / file.path
        # strict: else a quote that is never closed takes in all lines below it
        reader = csv.reader((line for _, line in self.lines(file)), strict=True)
        try:
            header = [field.strip() for field in next(reader, [])]
            if len(header) > MAX_FIELDS or len(set(header)) < len(header):
                raise CorpusMalformed(
                    f"{where}:1: expected at most {MAX_FIELDS} columns, each once, found "
                    f"{some(header)}"
                )
            has_rows = may_be_empty
            for row in reader:
                fields = [field.strip() for field in row]
                if len(fields) > max(len(header), 1):
                    raise CorpusMalformed(
                        f"{where}:{reader.line_num}: expected {len(header)} fields, found "
                        f"{len(fields)}; copy the file again"
                    )
                if any(fields):
                    has_rows = True
                    yield f"{where}:{reader.line_num}", dict(zip(header, fields, strict=False))
            if not has_rows:
                raise CorpusMalformed(
                    f"{where}: expected rows below a line of column names, found none; copy the "
                    "file again"
                )
        except csv.Error as error:
            raise CorpusMalformed(
                f"{where}: expected a CSV file, found: {error}; copy it again"
            ) from None


def _scan(root: Path) -> Iterator[File]:
    seen = {_identity(folder) for folder in Path(os.path.realpath(root)).parents}
    folders: list[tuple[str, str]] = [(os.fspath(root), "")]
    links: deque[tuple[str, str]] = deque()
    while folders or links:
        # links last: a clip has the path of its own folder, on every file system
        folder, prefix = folders.pop() if folders else links.popleft()
        for entry in _entries(folder, seen):
            name = entry.name
            if name.startswith("."):
                continue
            try:
                # once: os.walk asks of each file what it is, and we of its size
                status = entry.stat()
            except OSError as error:
                if entry.is_dir(follow_symlinks=False):
                    raise _unreadable(entry.path, error) from None
                continue  # a link to nowhere or to itself: no file, so its clip will be missing
            if stat.S_ISDIR(status.st_mode):
                (links if entry.is_symlink() else folders).append((entry.path, f"{prefix}{name}/"))
            elif stat.S_ISREG(status.st_mode):
                stem, dot, suffix = name.rpartition(".")
                yield File(
                    path=prefix + name,
                    name=name,
                    stem=stem if dot else name,
                    suffix=(dot + suffix).lower() if dot else "",
                    n_bytes=status.st_size,
                    mtime_ns=status.st_mtime_ns,
                )


def _entries(folder: str, seen: set[tuple[int, int]]) -> list[os.DirEntry]:
    """Entries of a folder, by name; none where it is among those seen, to which it is
    added."""
    try:
        if (identity := _identity(folder)) in seen:
            return []
        seen.add(identity)
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder, error) from None


def _unreadable(folder: str, error: OSError) -> CorpusMalformed:
    return CorpusMalformed(f"{folder}: expected a folder that can be read, found: {error.strerror}")


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
