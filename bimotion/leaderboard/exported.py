"""The files that the exports of a board wrote into a folder, in a list beside them.

A folder may be a clone of a store that other boards write into as well, under the same names of
folders: only what the list names is ever removed.

<output>/.bimotion-exported.json   {hash of the board: [path below the folder]}
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from bimotion.io import files

LIST_FILE = ".bimotion-exported.json"
MAX_LIST_BYTES = 2**26


def replace_earlier(
    output: Path,
    board: str,
    written: Iterable[Path],
    patterns: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Remove what an earlier export of the same board wrote into a folder and this one did not, and
    list what this one wrote.

    Args:
        output: the folder.
        board: what tells this board, and this kind of export, from others.
        written: files that are there now.
        patterns: what files of such exports are called, below `output`: no other is removed,
            whatever the list says.
        say: hears how many were removed, if any.
    """
    lists = _lists(output / LIST_FILE)
    name = hashlib.sha256(board.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    kept = {path.relative_to(output).as_posix() for path in written}
    gone = set(lists.get(name, ())) - kept
    n_removed = 0
    for path in {path for pattern in patterns for path in output.glob(pattern)}:
        if path.relative_to(output).as_posix() in gone:
            with suppress(OSError):
                path.unlink()
                n_removed += 1
    if n_removed:
        say(f"{output}: removed {n_removed} files of entries that are no longer exported")
    lists[name] = sorted(kept)
    with files.written(output / LIST_FILE) as temporary:
        temporary.write_text(json.dumps(lists, indent=1) + "\n", encoding="utf-8")


def _lists(path: Path) -> dict[str, list[str]]:
    """The lists that are there; none where the file is missing or damaged: then nothing is
    removed."""
    try:
        if path.is_symlink() or path.stat().st_size > MAX_LIST_BYTES:
            return {}
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        name: [path for path in paths if isinstance(path, str)]
        for name, paths in content.items()
        if isinstance(paths, list)
    }
