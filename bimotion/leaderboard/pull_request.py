"""A pull request to a board's repository: one new submission, and nothing else.

Looked at from outside, by git's own listing of both commits: no file of it is written to the disk,
none is opened (but for up to 1 KiB, which may be a pointer of Git LFS), and no code, filter or
setting of it is run. What it brings is checked by
`bimotion leaderboard verify` afterwards.

A repository of a few KB can name millions of files (trees that hold one tree many times over): git
works in bounded memory and time, and what it lists is read up to a bound.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bimotion.errors import SettingError, printable
from bimotion.leaderboard import lookalikes
from bimotion.leaderboard.admission import RESERVED, is_reserved, organisation_of
from bimotion.leaderboard.receipt import LFS_POINTER, MAX_SUBMITTED_BYTES
from bimotion.leaderboard.submission import FILES

FOLDER = "leaderboard/submissions"
"""Of submissions, below the root of the repository."""
MAX_PATHS = 1000
"""Changed paths that are looked at: far more than the three that are right."""
MAX_LINES = 20
MAX_COMMITS = 100
"""Of a request: all of them would stay in the history of the board."""
MAX_COMMIT_BYTES = 2**16
"""Of one commit: its message, and a line a parent."""
MAX_POINTER_BYTES = 1024
"""As Git LFS has it."""
PLAIN_FILE = "100644"
_RUN_KEY = re.compile("[0-9a-f]{12}")
_POINTER_SIZE = re.compile(r"^size ([0-9]{1,15})$", re.MULTILINE)
MAX_LISTED_BYTES = 4 * 1024 * 1024
"""Of git's answer to one question: far more than that of MAX_PATHS paths."""
MAX_GIT_BYTES = 512 * 1024 * 1024
"""Memory of git; macOS cannot limit it."""
_GIT = ("git", "--no-replace-objects", "-c", "core.quotePath=false")
# packs are mapped piece by piece: a large repository fits into the memory of a small one
_GIT += ("-c", "core.packedGitWindowSize=16m", "-c", "core.packedGitLimit=128m")
_WAIT_S = 60


class _TooMuch(Exception):
    """Git would have to list more than any submission has."""


@dataclass(frozen=True)
class Change:
    """A path that differs between two commits."""

    path: str
    kind: str
    """Of git: A (new), M (changed), D (removed), T (another type)."""
    mode: str
    """Of the new file, such as 100644; 000000 where it is removed."""
    size: int | None
    """Bytes; None: no file."""
    blob: str
    """Object of the new file; zeros where it is removed."""


def problems(
    repository: Path, base: str, head: str, *, folder: str = FOLDER, baseline: bool = False
) -> list[str]:
    """Say why a pull request is not one new submission and nothing else; none: it is.

    Args:
        repository: A clone that has both commits.
        base: Commit, branch or tag that it would be merged into.
        head: Its last commit.
        folder: Of submissions, below the root.
        baseline: The keeper's own pull request: a baseline is allowed.

    Raises:
        SettingError: For no repository, commits that are not in it, and histories without a common
            beginning.

    Example::

        problems(Path("."), "origin/main", "FETCH_HEAD")
    """
    try:
        lines = _lines(repository, base, head, folder.strip("/"), baseline)
    except _TooMuch as error:
        lines = [f"expected the {len(FILES)} files of one submission, found {error}"]
    more = len(lines) - MAX_LINES
    return lines[:MAX_LINES] + ([f"and {more} more"] if more > 0 else [])


def _lines(repository: Path, base: str, head: str, folder: str, is_baseline: bool) -> list[str]:
    base, head = (_commit(repository, name) for name in (base, head))
    common = _git(repository, "merge-base", base, head, allowed=(0, 1)).strip()
    if not common:
        raise SettingError(
            f"{head:.12}: expected a history that began in {base:.12}, found none (a shallow clone "
            "has not all of it: git fetch --unshallow)"
        )
    if reason := _why_long_history(repository, base, head):
        return [reason]
    return list(_problems(repository, base, common, head, folder, is_baseline))


def _why_long_history(repository: Path, base: str, head: str) -> str | None:
    """Say that a request brings more commits, or larger ones, than one submission needs."""
    words = ("rev-list", f"--max-count={MAX_COMMITS + 1}", f"{base}..{head}")
    commits = _git(repository, *words).split()
    if len(commits) > MAX_COMMITS:
        return f"expected at most {MAX_COMMITS} commits, found more: squash the commits"
    sizes = _sizes(repository, commits, "commit")
    largest = max(sizes, key=sizes.__getitem__, default=None)
    if largest is not None and sizes[largest] > MAX_COMMIT_BYTES:
        return (
            f"commit {largest:.12}: expected at most {MAX_COMMIT_BYTES} bytes of message and "
            f"parents, found {sizes[largest]}: squash the commits under a shorter message"
        )
    return None


def submission_of(repository: Path, base: str, head: str, *, folder: str = FOLDER) -> str:
    """The submission that a pull request without problems adds:
    `<organisation>__<model>/<run key>`.

    Raises:
        SettingError: As `problems`, and for none.

    Example::

        submission_of(Path("."), "origin/main", "FETCH_HEAD").partition("__")[0]    # whose it is
    """
    base, head = (_commit(repository, name) for name in (base, head))
    common = _git(repository, "merge-base", base, head, allowed=(0, 1)).strip()
    for change in _changes(repository, common, head) if common else ():
        if _why_not(change, folder.strip("/")) is None:
            return "/".join(PurePosixPath(change.path).parts[-3:-1])
    raise SettingError(f"{head:.12}: expected one new submission, found none")


def _problems(
    repository: Path, base: str, common: str, head: str, folder: str, is_baseline: bool
) -> Iterator[str]:
    changes = _changes(repository, common, head)
    if not changes:
        yield "expected one new submission, found no change"
    if len(changes) > MAX_PATHS:
        yield f"expected the {len(FILES)} files of one submission, found {len(changes)} changed"
        return
    submissions: dict[str, dict[str, Change]] = {}
    for change in changes:
        if (reason := _why_not(change, folder)) is None:
            path = PurePosixPath(change.path)
            submissions.setdefault(path.parent.as_posix(), {})[path.name] = change
        else:
            yield f"{_shown(change.path)}: {reason}"
    if len(submissions) > 1:
        listed = ", ".join(map(_shown, submissions))
        yield f"expected one submission, found {len(submissions)}: {listed}"
    for submission, files in submissions.items():
        yield from _submission_problems(repository, base, submission, files, is_baseline)
    passing = _paths_of_history(repository, base, head) - {change.path for change in changes}
    if passing:
        yield (
            f"{_shown(min(passing))}: brought by one commit and taken back by another, so it would "
            f"stay in the history ({len(passing)} such): squash the commits"
        )
    blobs = {change.path: change.blob for change in changes}
    if replaced := _replaced_in_history(repository, base, head, blobs):
        yield (
            f"{_shown(min(replaced))}: brought otherwise by an earlier commit, which would stay in "
            f"the history ({len(replaced)} such): squash the commits"
        )


def _why_not(change: Change, folder: str) -> str | None:
    """The reason that a change is no new file of a submission."""
    path = PurePosixPath(change.path)
    is_below = str(path).startswith(f"{folder}/") and ".." not in path.parts
    # git lists `a/./b` as it stands in a tree, which nobody could check out
    is_plain = str(path) == change.path
    if not is_plain or not is_below or len(path.relative_to(folder).parts) != 3:
        return f"expected files of a new submission, {folder}/ORG__MODEL/RUN-KEY/, only"
    if change.kind != "A":
        kinds = {"M": "changed", "D": "removed", "T": "of another type now"}
        return f"expected a new file, found it {kinds.get(change.kind, change.kind)}"
    if path.name not in FILES:
        return f"expected {', '.join(FILES)} only"
    if change.mode != PLAIN_FILE:
        return f"expected a plain file (mode {PLAIN_FILE}), found mode {change.mode}"
    if not 0 < (change.size or 0) <= MAX_SUBMITTED_BYTES[path.name]:
        return f"expected 1 to {MAX_SUBMITTED_BYTES[path.name]} bytes, found {change.size}"
    return None


def _submission_problems(
    repository: Path, base: str, submission: str, files: Mapping[str, Change], is_baseline: bool
) -> Iterator[str]:
    """Problems of the name of a new submission, and of files that it lacks."""
    shown = _shown(submission)
    if missing := sorted(set(FILES) - set(files)):
        yield f"{shown}: expected {', '.join(FILES)}, missing {', '.join(missing)}"
    for change in files.values():
        if reason := _why_no_content(repository, base, change):
            yield f"{_shown(change.path)}: {reason}"
    *above, named, run_key = submission.split("/")
    if not _RUN_KEY.fullmatch(run_key):
        yield f"{shown}: expected a run key, 12 of 0-9 and a-f, found {_shown(run_key)}"
    organisation, _, model = named.partition("__")
    try:
        organisation_of(model, organisation)
    except SettingError as error:
        yield f"{shown}: {printable(str(error))}"
        return
    if is_reserved(organisation) and not is_baseline:
        yield f"{shown}: {RESERVED} is reserved for the baselines of the board's keeper"
    if run_key in _names(repository, base, submission.rpartition("/")[0]):
        yield f"{shown}: expected a new run, found it in {base:.12} already"
    there = set(_names(repository, base, "/".join(above)))
    if similar := lookalikes.mistaken({*there, named}).get(named):
        yield f"{shown}: its name can be mistaken for {', '.join(map(_shown, similar))}"


def _why_no_content(repository: Path, base: str, change: Change) -> str | None:
    """Say that a file is a pointer of Git LFS where the base keeps no such files, or one to a file
    of a wrong size."""
    if change.size > MAX_POINTER_BYTES:
        return None
    text = _git(repository, "cat-file", "blob", change.blob)
    if not text.startswith(LFS_POINTER.decode()):
        return None
    words = ("cat-file", "blob", f"{base}:.gitattributes")
    if "filter=lfs" not in _git(repository, *words, allowed=(0, 128)):
        return (
            "expected the file, found a Git LFS pointer: no file of this repository is kept in "
            "Git LFS (.gitattributes), so commit the file itself"
        )
    stated = _POINTER_SIZE.search(text)
    max_bytes = MAX_SUBMITTED_BYTES[PurePosixPath(change.path).name]
    if stated is None or not 0 < int(stated[1]) <= max_bytes:
        shown = "no size" if stated is None else stated[1]
        return f"expected a Git LFS pointer to 1 to {max_bytes} bytes, found {shown}"
    return None


def _shown(text: str) -> str:
    return printable(text if len(text) <= 200 else f"{text[:200]}...")


# --- git ----------------------------------------------------------------------------------------


def _git(repository: Path, *words: str, allowed: tuple[int, ...] = (0,), given: bytes = b"") -> str:
    """The output of a command of git that only reads objects, `given` on its standard input (less
    than a pipe holds); raises SettingError, and _TooMuch beyond the bounds."""
    # neither settings of the machine nor a variable that points elsewhere
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    kept |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
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
        raise _TooMuch(f"a change that git cannot list in {memory} MiB of memory and {_WAIT_S} s")
    if process.returncode not in allowed:
        lines = message.splitlines() or ["no message"]
        raise SettingError(f"{repository}: git {words[0]}: {printable(lines[0])}")
    return listed.decode(errors="backslashreplace")


def _bounded_answer(process: subprocess.Popen, given: bytes) -> bytes:
    """The output of a process, in bounded memory and time; raises _TooMuch for a longer one."""
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
        raise _TooMuch(f"a change whose list is longer than {MAX_LISTED_BYTES >> 20} MiB")
    return listed


def _commit(repository: Path, name: str) -> str:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit := _git(repository, *words, allowed=(0, 1)).strip():
        return commit
    raise SettingError(f"{repository}: expected a commit, found none by the name {name!a:.100}")


def _changes(repository: Path, common: str, head: str) -> list[Change]:
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index")
    words += ("--ignore-submodules=none", common, head)  # whatever the settings of the clone
    fields = _git(repository, *words).split("\0")[:-1]
    described = [words.split(" ") for words in fields[::2]]
    # of more nobody asks for the size
    sizes = _sizes(repository, [blob for _, _, _, blob, _ in described[:MAX_PATHS]])
    return [
        Change(path, kind[:1], mode, sizes.get(blob), blob)
        for (_, mode, _, blob, kind), path in zip(described, fields[1::2], strict=True)
    ]


def _sizes(repository: Path, objects: Collection[str], wanted: str = "blob") -> dict[str, int]:
    """Object -> bytes, of those of a kind that are there: a submodule's commit need not be, nor a
    blob that is removed."""
    asked = "".join(f"{name}\n" for name in set(objects)).encode()
    words = ("cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)")
    answers = [line.split(" ") for line in _git(repository, *words, given=asked).splitlines()]
    return {name: int(size) for name, kind, *sizes in answers if kind == wanted for size in sizes}


def _names(repository: Path, commit: str, folder: str) -> list[str]:
    """Names of what lies in a folder of a commit."""
    listed = _git(repository, "ls-tree", "--full-tree", "-z", "--name-only", commit, f"{folder}/")
    return [path.rpartition("/")[2] for path in listed.split("\0")[:-1]]


def _paths_of_history(repository: Path, base: str, head: str) -> set[str]:
    """All paths that a commit which the base has not changes; of a merge those that are as in none
    of its parents, so that a base merged into the request is no change of the request's."""
    words = ("log", "-z", "--no-renames", "--name-only", "--format=", "-c", "--root")
    words += ("--no-show-signature", "--ignore-submodules=none", f"{base}..{head}")
    return {path for path in _git(repository, *words).split("\0") if path}


def _replaced_in_history(
    repository: Path, base: str, head: str, blobs: dict[str, str]
) -> list[str]:
    """Those of some paths under which an earlier commit has another file than `blobs`."""
    listed = _git(repository, "rev-list", "--objects", f"{base}..{head}").splitlines()
    objects = (line.partition(" ")[::2] for line in listed)
    return [path for blob, path in objects if path in blobs and blob not in blobs.values()]
