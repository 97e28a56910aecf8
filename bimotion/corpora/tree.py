"""A folder on the user's disk, scanned once: names, sizes and times of its files. Read-only,
always."""

import csv
import hashlib
import os
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bimotion.errors import CorpusMalformed, some

MAX_TEXT_BYTES = 8 * 1024 * 1024  # the largest table of any corpus here, CREMA-D's votes, has 4 MB
MAX_LINES = 100_000
MAX_LINE_LENGTH = 10_000
MAX_FIELDS = 100  # of a line of CSV


class File(NamedTuple):
    """One file: POSIX path below the tree's root, bare name, name without extension, extension in
    lower case with its dot."""

    path: str
    name: str
    stem: str
    suffix: str
    n_bytes: int
    mtime_ns: int


class Tree:
    """Files below a folder, sorted by path. Hidden files (`.DS_Store`, `._clip.wav`) and hidden
    folders are no part of it.

    Symbolic links are followed, each real folder once and never upwards, so that links to a shared
    disk work and loops end.

    >>> import tempfile
    >>> Tree(Path(tempfile.mkdtemp())).files
    ()
    """

    def __init__(self, root: Path):
        self.root = root
        self.files: tuple[File, ...] = tuple(sorted(_scan(root)))

    @cached_property
    def signature(self) -> str:
        """Changes when any file is added, removed, resized or rewritten; 16 hex digits."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(
                f"{file.path}\0{file.n_bytes}\0{file.mtime_ns}\n".encode("utf-8", "surrogateescape")
            )
        return digest.hexdigest()[:16]

    def text(self, file: File) -> str:
        """Content of a text file of the tree; raises CorpusMalformed when it cannot be read, or is
        no text of sane size."""
        where = self.root / file.path
        if file.n_bytes > MAX_TEXT_BYTES:
            raise CorpusMalformed(
                f"{where}: expected a text file, found {file.n_bytes} bytes; is it the right file?"
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

    def lines(self, file: File) -> list[str]:
        """Lines of a text file; raises CorpusMalformed as `text` does, and for more or longer ones
        than any corpus has."""
        where, text = self.root / file.path, self.text(file)
        # before each becomes an object
        n_ends = text.count("\n") + text.count("\r") - text.count("\r\n")
        if (n_lines := n_ends + (text[-1:] not in ("", "\n", "\r"))) > MAX_LINES:
            raise CorpusMalformed(
                f"{where}: expected at most {MAX_LINES} lines, found {n_lines}; is it the right "
                "file?"
            )
        # splitlines() ends lines at a Latin-1 byte 0x85 too
        found = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if long := next(
            (number for number, line in enumerate(found, start=1) if len(line) > MAX_LINE_LENGTH),
            None,
        ):
            raise CorpusMalformed(
                f"{where}:{long}: expected at most {MAX_LINE_LENGTH} characters a line, found "
                f"{len(found[long - 1])}; copy the file again"
            )
        return found

    def csv_rows(self, file: File) -> list[tuple[int, dict[str, str]]]:
        """Rows of a CSV file with a header line, without blanks around fields, each with the number
        of its line; raises CorpusMalformed."""
        where = self.root / file.path
        # else a quote that is never closed takes in all lines below it
        reader = csv.reader(self.lines(file), strict=True)
        try:
            header = [field.strip() for field in next(reader, [])]
            if len(header) > MAX_FIELDS or len(set(header)) < len(header):
                raise CorpusMalformed(
                    f"{where}:1: expected at most {MAX_FIELDS} columns, each once, found "
                    f"{some(header)}"
                )
            rows = []
            for fields in reader:
                if len(fields) > max(len(header), 1):
                    raise CorpusMalformed(
                        f"{where}:{reader.line_num}: expected {len(header)} fields, found "
                        f"{len(fields)}; copy the file again"
                    )
                if any(fields := [field.strip() for field in fields]):
                    rows.append((reader.line_num, dict(zip(header, fields, strict=False))))
            return rows
        except csv.Error as error:
            raise CorpusMalformed(
                f"{where}: expected a CSV file, found: {error}; copy it again"
            ) from None


def _scan(root: Path) -> Iterator[File]:
    above = [os.stat(folder) for folder in root.resolve().parents]
    pending, seen = [("", os.fspath(root))], {(status.st_dev, status.st_ino) for status in above}
    while pending:
        prefix, folder = pending.pop()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            entries = os.scandir(folder)
        except OSError as error:
            raise CorpusMalformed(
                f"{folder}: expected a folder that can be read, found: {error.strerror}"
            ) from None
        with entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    status = entry.stat()
                # a link to nowhere or to itself: not a file, so its clip will be missing
                except OSError:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    pending.append((f"{prefix}{entry.name}/", entry.path))
                elif stat.S_ISREG(status.st_mode):
                    stem, extension = os.path.splitext(entry.name)
                    yield File(
                        prefix + entry.name,
                        entry.name,
                        stem,
                        extension.lower(),
                        status.st_size,
                        status.st_mtime_ns,
                    )
