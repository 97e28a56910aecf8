"""SHA-256 of files that a later command reads back, in `SHA256SUMS` beside them, as
`sha256sum --check` reads it."""

from collections.abc import Iterable
from pathlib import Path

from bimotion.io import files

SUMS_FILE = "SHA256SUMS"
MAX_BYTES = 1024 * 1024  # some dozens of files are listed at the most


def write(folder: Path, names: Iterable[str]) -> None:
    """Write SHA256SUMS of some files of a folder. Remove it before any of them is written anew:
    then a process that is killed leaves files without a checksum, never files that look
    damaged."""
    lines = [f"{files.digest(folder / name)}  {name}\n" for name in names]
    with files.written(folder / SUMS_FILE) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def damage(folder: Path, names: Iterable[str]) -> str | None:
    """The first of some files that is not what was written, in a few words; None: all are, or the
    folder has no SHA256SUMS.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a").write_bytes(b"whole")
    >>> write(folder, ["a"])
    >>> damage(folder, ["a"])
    >>> _ = (folder / "a").write_bytes(b"hole")
    >>> damage(folder, ["a"]).rpartition("/")[2]
    'a: damaged or edited (its SHA-256 is not the one in SHA256SUMS)'
    """
    if (sums := _sums(folder)) is None:
        return None
    for name in names:
        if not (folder / name).is_file():
            return f"{folder / name}: expected it, found nothing"
        if sums.get(name) != files.digest(folder / name):
            return f"{folder / name}: damaged or edited (its SHA-256 is not the one in {SUMS_FILE})"
    return None


def listed(folder: Path) -> list[str]:
    """Names of all files of a folder, for `write`."""
    return sorted(
        path.name for path in folder.iterdir() if path.is_file() and path.name != SUMS_FILE
    )


def damage_of_all(folder: Path, *, required: bool = False) -> str | None:
    """The damage of every file that `SHA256SUMS` names or that is there. `required`: a missing
    SHA256SUMS is damage too."""
    if (sums := _sums(folder)) is None:
        return f"{folder / SUMS_FILE}: expected it, found nothing" if required else None
    return damage(folder, sorted(sums.keys() | set(listed(folder))))


def _sums(folder: Path) -> dict[str, str] | None:
    """File name -> SHA-256 in a folder's SHA256SUMS, of its first MAX_BYTES; None where it has
    none."""
    try:
        with (folder / SUMS_FILE).open("rb") as stream:
            lines = stream.read(MAX_BYTES).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    return {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}
