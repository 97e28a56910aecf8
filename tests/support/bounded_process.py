"""Hostile twins are read in processes of bounded memory, and must end in one line."""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from bimotion.io import sandbox

LIMITS = sandbox.Limits(memory_bytes=768 << 20, cpu_s=120)  # 1 GiB with what the libraries hold
OUR_LIMIT, OUR_DEFECT = "reading it takes", "cannot be read: "  # as sandbox says it


def refusals(reader: str, folders: Iterable[Path]) -> list[str]:
    """The line with which each folder is refused.

    Args:
        reader: `module:function` of what reads a folder.
        folders: Each is read in a process of its own.
    """
    folders = list(folders)
    ended = sandbox.call(reader, [str(folder) for folder in folders], LIMITS)
    for folder, end in zip(folders, ended, strict=True):
        assert end.problem, f"{folder.name} was read"
        assert "\n" not in end.problem, (folder.name, end)
        assert not end.problem.startswith((OUR_LIMIT, OUR_DEFECT)), (folder.name, end)
    return [end.problem for end in ended]


def taken_over(answers: str) -> int:
    """A reader that a file has taken over: it gives answers of its own for all files. The id of
    its process."""
    os.write(1, answers.encode())
    return os.getpid()


def slow(folder: str) -> None:
    """A reader that tells its process in `started` and lives to write `ended` unless it is
    stopped."""
    (Path(folder) / "started.partial").write_text(str(os.getpid()), encoding="ascii")
    (Path(folder) / "started.partial").rename(Path(folder) / "started")
    time.sleep(20)
    (Path(folder) / "ended").touch()
