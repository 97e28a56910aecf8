"""SHA-256 of files that a later command reads back, in `SHA256SUMS` beside them, as
`sha256sum --check` reads it."""

from collections.abc import Iterable
from pathlib import Path

from bimotion.io import files

SUMS_FILE = "SHA256SUMS"
MAX_BYTES = 1024 * 1024  # some dozens of files are listed at the most


def write(folder: Path, names: Iterable[str]) -> None:
    """Say what some files of a folder hold now. Remove the file before any of them is written anew:
    then a process that is killed leaves files that nothing is said of, never files that look
    damaged."""
    lines = [f"{files.digest(folder / name)}  {name}\n" for name in names]
    with files.written(folder / SUMS_FILE) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")


def damage(folder: Path, names: Iterable[str]) -> str | None:
    """Which of some files is not what was written, in a few words; None: all are, or nothing is
    said of this folder.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a").write_bytes(b"whole")
    >>> write(folder, ["a"])
    >>> damage(folder, ["a"])
    >>> _ = (folder / "a").write_bytes(b"hole")
    >>> damage(folder, ["a"]).rpartition("/")[2]
    'a: damaged or edited (its SHA-256 is not the one in SHA256SUMS)'
    """
    if (said := _said(folder)) is None:
        return None
    for name in names:
        if not (folder / name).is_file():
            return f"{folder / name}: expected it, found nothing"
        if said.get(name) != files.digest(folder / name):
            return f"{folder / name}: damaged or edited (its SHA-256 is not the one in {SUMS_FILE})"
    return None


def listed(folder: Path) -> list[str]:
    """Names of all files of a folder, for `write`."""
    return sorted(
        path.name for path in folder.iterdir() if path.is_file() and path.name != SUMS_FILE
    )


def damage_of_all(folder: Path, *, required: bool = False) -> str | None:
    """As `damage`, of every file that `SHA256SUMS` names or that is there. `required`: nothing said
    is damage too."""
    if (said := _said(folder)) is None:
        return f"{folder / SUMS_FILE}: expected it, found nothing" if required else None
    return damage(folder, sorted(said.keys() | set(listed(folder))))


def _said(folder: Path) -> dict[str, str] | None:
    """File name -> SHA-256 in a folder's SHA256SUMS, of its first MAX_BYTES; None where it has
    none."""
    try:
        with (folder / SUMS_FILE).open("rb") as stream:
            lines = stream.read(MAX_BYTES).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    return {name: checksum for checksum, _, name in (line.partition("  ") for line in lines)}
