"""Tables that the package ships, gzipped, and the checksums of their content beside them."""

import gzip
import hashlib
import zlib
from pathlib import Path

from bimotion.errors import RecordError

SUMS = "SHA256SUMS"


def read(path: Path) -> bytes:
    """The content of a shipped file, unpacked where its name ends in .gz; raises RecordError where
    it is not what SHA256SUMS says."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):  # a checksum that is wrong says the same
            content = b""
    if hashlib.sha256(content).hexdigest() != _sums(path.parent).get(path.name):
        raise RecordError(
            f"{path}: content differs from its checksum in {SUMS}; reinstall bimotion"
        )
    return content


def save(path: Path, content: bytes) -> None:
    """Write a gzipped file and its checksum; the same content gives the same file on every
    machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))
    sums = _sums(path.parent) | {path.name: hashlib.sha256(content).hexdigest()}
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (path.parent / SUMS).write_text(lines, encoding="utf-8")


def _sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: digest for digest, name in (line.split() for line in lines)}
