"""Questions to git about objects of a repository that strangers wrote: bounded in memory, time and
length of the answer.

No file of a commit is written to the disk, and no code, filter or setting of one is run.
"""

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path, PurePosixPath

from bimotion.errors import SettingError, printable

MAX_LISTED_BYTES = 4 * 1024 * 1024
"""Of git's answer to one question: far more than that of a thousand paths."""
MAX_GIT_BYTES = 512 * 1024 * 1024
"""Memory of git; macOS cannot limit it."""
_GIT = ("git", "--no-replace-objects", "-c", "core.quotePath=false")
# packs are mapped piece by piece: a large repository fits into the memory of a small one
_GIT += ("-c", "core.packedGitWindowSize=16m", "-c", "core.packedGitLimit=128m")
_GIT += ("-c", f"core.attributesFile={os.devnull}")
_WAIT_S = 60


class TooMuch(Exception):
    """Git would have to list more than any submission has."""


def ask(
    repository: Path,
    *words: str,
    allowed: tuple[int, ...] = (0,),
    given: bytes = b"",
    index: Path | None = None,
) -> str:
    """The output of a command of git that only reads objects, `given` on its standard input (less
    than a pipe holds), `index` in place of the repository's own; raises SettingError, and TooMuch
    beyond the bounds."""
    # neither settings of the machine nor a variable that points elsewhere
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    kept |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    kept |= {"GIT_INDEX_FILE": str(index)} if index else {}
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [*_GIT, "-C", str(repository), *words],
                stdin=pipe,
                stdout=pipe,
                stderr=errors,
                env=kept,
            )
        except FileNotFoundError:
            raise SettingError("expected git on this machine, found none") from None
        listed = _bounded_answer(process, given)
        errors.seek(0)
        message = errors.read(2000).decode(errors="replace").strip()
    if process.returncode < 0 or "out of memory" in message.lower() or "mmap failed" in message:
        memory = MAX_GIT_BYTES >> 20
        raise TooMuch(f"a change that git cannot list in {memory} MiB of memory and {_WAIT_S} s")
    if process.returncode not in allowed:
        lines = message.splitlines() or ["no message"]
        raise SettingError(f"{repository}: git {words[0]}: {printable(lines[0])}")
    return listed.decode(errors="backslashreplace")


def _bounded_answer(process: subprocess.Popen, given: bytes) -> bytes:
    """The output of a process, in bounded memory and time; raises TooMuch for a longer one."""
    if sys.platform == "linux":
        import resource

        resource.prlimit(process.pid, resource.RLIMIT_AS, (MAX_GIT_BYTES, MAX_GIT_BYTES))
    timer = threading.Timer(_WAIT_S, process.kill)
    timer.start()
    try:
        with process:
            # git may have ended already, such as at its bound of memory
            with suppress(BrokenPipeError):
                process.stdin.write(given)
            with suppress(BrokenPipeError):
                process.stdin.close()
            listed = process.stdout.read(MAX_LISTED_BYTES + 1)
            if len(listed) > MAX_LISTED_BYTES:
                process.kill()
    finally:
        timer.cancel()
    if len(listed) > MAX_LISTED_BYTES:
        raise TooMuch(f"a change whose list is longer than {MAX_LISTED_BYTES >> 20} MiB")
    return listed


def commit(repository: Path, name: str) -> str:
    """The commit that a name means; raises SettingError for none."""
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if there := ask(repository, *words, allowed=(0, 1)).strip():
        return there
    raise SettingError(f"{repository}: expected a commit, found none by the name {name!a:.100}")


def sizes(repository: Path, objects: Collection[str], wanted: str = "blob") -> dict[str, int]:
    """Object -> bytes, of those of a kind that are there: a submodule's commit need not be, nor a
    blob that is removed."""
    asked = "".join(f"{name}\n" for name in set(objects)).encode()
    words = ("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)")
    answers = [line.split(" ") for line in ask(repository, *words, given=asked).splitlines()]
    return {name: int(size) for name, kind, *sizes in answers if kind == wanted for size in sizes}


def size_at(repository: Path, commit: str, path: str) -> int:
    """Bytes of what lies at a path of a commit, such as the tree of a folder; 0: nothing does."""
    answer = ask(repository, "cat-file", "-s", f"{commit}:{path}", allowed=(0, 128))
    return int(answer or 0)


def attribute(repository: Path, commit: str, path: str, name: str) -> str:
    """The value of an attribute of a path by the .gitattributes files of a commit; "unspecified":
    none says it. Asked of an index of these files alone, for git before 2.40 takes no commit."""
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        # paths are read from the top, whichever folder of the clone is given
        top = (f"--git-dir={ask(repository, 'rev-parse', '--absolute-git-dir').strip()}",)
        top += (f"--work-tree={folder}",)
        for parent in PurePosixPath(path).parents:
            rules = str(parent / ".gitattributes")
            words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}:{rules}")
            if blob := ask(repository, *words, allowed=(0, 1)).strip():
                words = ("update-index", "--add", "--cacheinfo", f"100644,{blob},{rules}")
                ask(Path(folder), *top, *words, index=index)
        words = (*top, "check-attr", "-z", "--cached", name, "--", path)
        return ask(Path(folder), *words, index=index).split("\0")[2]


def names(repository: Path, commit: str, folder: str) -> list[str]:
    """Names of what lies in a folder of a commit."""
    listed = ask(repository, "ls-tree", "--full-tree", "-z", "--name-only", commit, f"{folder}/")
    return [path.rpartition("/")[2] for path in listed.split("\0")[:-1]]
