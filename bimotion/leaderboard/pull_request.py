"""A pull request to a board's repository: one new submission, and nothing else.

Looked at from outside, by git's own listing of both commits: no file of it is written to the disk,
none is opened (but for up to 1 KiB, which may be a pointer of Git LFS), and no code, filter or
setting of it is run. What it brings is checked by
`bimotion leaderboard verify` afterwards.

A repository of a few KB can name millions of files (trees that hold one tree many times over): git
works in bounded memory and time, and what it lists is read up to a bound.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bimotion.errors import SettingError, printable
from bimotion.leaderboard import git, lookalikes, request_history
from bimotion.leaderboard.admission import RESERVED, is_reserved, organisation_of
from bimotion.leaderboard.receipt import LFS_POINTER, MAX_SUBMITTED_BYTES
from bimotion.leaderboard.submission import FILES

FOLDER = "leaderboard/submissions"
"""Of submissions, below the root of the repository."""
MAX_PATHS = 1000
"""Changed paths that are looked at: far more than the three that are right."""
MAX_PATH = 1000
"""Characters: git is asked about a path, and no command takes one of 128 KiB."""
MAX_LINES = 20
MAX_POINTER_BYTES = 1024
"""As Git LFS has it."""
PLAIN_FILE = "100644"
_RUN_KEY = re.compile("[0-9a-f]{12}")
_POINTER_SIZE = re.compile(r"^size ([0-9]{1,15})$", re.MULTILINE)


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
    except git.TooMuch as error:
        lines = [f"expected the {len(FILES)} files of one submission, found {error}"]
    more = len(lines) - MAX_LINES
    return lines[:MAX_LINES] + ([f"and {more} more"] if more > 0 else [])


def _lines(repository: Path, base: str, head: str, folder: str, is_baseline: bool) -> list[str]:
    base, head = (git.commit(repository, name) for name in (base, head))
    common = git.ask(repository, "merge-base", base, head, allowed=(0, 1)).strip()
    if not common:
        raise SettingError(
            f"{head:.12}: expected a history that began in {base:.12}, found none (a shallow clone "
            "has not all of it: git fetch --unshallow)"
        )
    if reason := request_history.why_long_history(repository, base, head):
        return [reason]
    return list(_problems(repository, base, common, head, folder, is_baseline))


def submission_of(repository: Path, base: str, head: str, *, folder: str = FOLDER) -> str:
    """The submission that a pull request without problems adds:
    `<organisation>__<model>/<run key>`.

    Raises:
        SettingError: As `problems`, and for none.

    Example::

        submission_of(Path("."), "origin/main", "FETCH_HEAD").partition("__")[0]    # whose it is
    """
    base, head = (git.commit(repository, name) for name in (base, head))
    common = git.ask(repository, "merge-base", base, head, allowed=(0, 1)).strip()
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
    yield from _history_problems(repository, (base, common), head, changes, folder)


def _history_problems(
    repository: Path, bases: tuple[str, str], head: str, changes: list[Change], folder: str
) -> Iterator[str]:
    """Problems of what earlier commits bring; `bases`: the base, and where the request left it."""
    base, blobs = bases[0], {change.path: change.blob for change in changes}
    passing = request_history.paths_of_history(repository, base, head) - blobs.keys()
    if passing:
        yield (
            f"{_shown(min(passing))}: brought by one commit and taken back by another, so it would "
            f"stay in the history ({len(passing)} such): squash the commits"
        )
    brought = request_history.objects(repository, base, head)
    if replaced := request_history.replaced(brought, blobs):
        yield (
            f"{_shown(min(replaced))}: brought otherwise by an earlier commit, which would stay in "
            f"the history ({len(replaced)} such): squash the commits"
        )
    n_commits = int(git.ask(repository, "rev-list", "--count", f"{base}..{head}"))
    right = [change for change in changes if _why_not(change, folder) is None]
    models = {PurePosixPath(change.path).parents[1] for change in right}
    above = {*PurePosixPath(f"{folder}/x").parents, *(models if len(models) == 1 else ())}
    folders = ["" if path == PurePosixPath() else str(path) for path in above]
    if reason := request_history.why_large_trees(repository, bases, n_commits, folders, brought):
        yield reason


def _why_not(change: Change, folder: str) -> str | None:
    """The reason that a change is no new file of a submission."""
    if len(change.path) > MAX_PATH:
        return f"expected a path of at most {MAX_PATH} characters, found {len(change.path)}"
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
    if run_key in git.names(repository, base, submission.rpartition("/")[0]):
        yield f"{shown}: expected a new run, found it in {base:.12} already"
    there = set(git.names(repository, base, "/".join(above)))
    if similar := lookalikes.mistaken({*there, named}).get(named):
        yield f"{shown}: its name can be mistaken for {', '.join(map(_shown, similar))}"


def _why_no_content(repository: Path, base: str, change: Change) -> str | None:
    """Say that a file is a pointer of Git LFS where the base keeps no file of this path there, or
    one to a file of a wrong size."""
    if change.size > MAX_POINTER_BYTES:
        return None
    text = git.ask(repository, "cat-file", "blob", change.blob)
    if not text.startswith(LFS_POINTER.decode()):
        return None
    if git.attribute(repository, base, change.path, "filter") != "lfs":
        return (
            "expected the file, found a Git LFS pointer: this repository does not keep this file "
            "in Git LFS (.gitattributes), so commit the file itself"
        )
    stated = _POINTER_SIZE.search(text)
    max_bytes = MAX_SUBMITTED_BYTES[PurePosixPath(change.path).name]
    if stated is None or not 0 < int(stated[1]) <= max_bytes:
        shown = "no size" if stated is None else stated[1]
        return f"expected a Git LFS pointer to 1 to {max_bytes} bytes, found {shown}"
    return None


def _shown(text: str) -> str:
    return printable(text if len(text) <= 200 else f"{text[:200]}...")


def _changes(repository: Path, common: str, head: str) -> list[Change]:
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index")
    words += ("--ignore-submodules=none", common, head)  # whatever the settings of the clone
    fields = git.ask(repository, *words).split("\0")[:-1]
    described = [words.split(" ") for words in fields[::2]]
    # of more nobody asks for the size
    sizes = git.sizes(repository, [blob for _, _, _, blob, _ in described[:MAX_PATHS]])
    return [
        Change(path, kind[:1], mode, sizes.get(blob), blob)
        for (_, mode, _, blob, kind), path in zip(described, fields[1::2], strict=True)
    ]
