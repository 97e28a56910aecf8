"""The history of a pull request: all of it would stay in that of the board, so it may hold no more
than one submission needs."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from bimotion.errors import printable
from bimotion.leaderboard import git

MAX_COMMITS = 100
"""Of a request: all of them would stay in the history of the board."""
MAX_COMMIT_BYTES = 2**16
"""Of one commit: its message, and a line a parent."""
MAX_OBJECTS = 1000
"""Commits, trees and files of a request: one of MAX_COMMITS has some 600."""
SLACK_BYTES = 2**12
"""By which the trees of a commit may be larger than those of the base: what a submission adds are a
few names."""


def why_long_history(repository: Path, base: str, head: str) -> str | None:
    """Say that a request brings more commits, or larger ones, than one submission needs."""
    words = ("rev-list", f"--max-count={MAX_COMMITS + 1}", f"{base}..{head}")
    commits = git.ask(repository, *words).split()
    if len(commits) > MAX_COMMITS:
        return f"expected at most {MAX_COMMITS} commits, found more: squash the commits"
    sizes = git.sizes(repository, commits, "commit")
    largest = max(sizes, key=sizes.__getitem__, default=None)
    if largest is not None and sizes[largest] > MAX_COMMIT_BYTES:
        return (
            f"commit {largest:.12}: expected at most {MAX_COMMIT_BYTES} bytes of message and "
            f"parents, found {sizes[largest]}: squash the commits under a shorter message"
        )
    return None


def paths_of_history(repository: Path, base: str, head: str) -> set[str]:
    """All paths that a commit which the base has not changes; of a merge those that are as in none
    of its parents, so that a base merged into the request is no change of the request's."""
    words = ("log", "-z", "--no-renames", "--name-only", "--format=", "-c", "--root")
    words += ("--no-show-signature", "--ignore-submodules=none", f"{base}..{head}")
    return {path for path in git.ask(repository, *words).split("\0") if path}


def objects(repository: Path, base: str, head: str) -> list[tuple[str, str]]:
    """Each object that the request brings, and the first path that it lies at ("": a commit, or its
    root)."""
    listed = git.ask(repository, "rev-list", "--objects", f"{base}..{head}").split("\n")
    return [(name, path) for name, _, path in (line.partition(" ") for line in listed) if name]


def replaced(brought: Iterable[tuple[str, str]], blobs: Mapping[str, str]) -> list[str]:
    """Those of some paths under which an earlier commit has another file than `blobs`."""
    return [path for blob, path in brought if path in blobs and blob not in blobs.values()]


def why_large_trees(
    repository: Path,
    bases: Collection[str],
    n_commits: int,
    folders: Collection[str],
    brought: Collection[tuple[str, str]],
) -> str | None:
    """Say that the trees of a request hold more than its paths tell: git lists no path for a folder
    that holds only its empty tree, and a mode can be written with any number of zeros before it.

    Args:
        repository: a clone.
        bases: commits that the request may have the other entries of a folder from.
        n_commits: of the request. Each may write every one of `folders` anew, on a large board
            some 100 KB.
        folders: above the new files, that the bases may have already.
        brought: what `objects` lists.
    """
    if len(brought) > MAX_OBJECTS:
        return (
            f"expected at most {MAX_OBJECTS} commits, trees and files in the history, found "
            f"{len(brought)}: squash the commits"
        )
    paths = dict(brought)
    sizes = git.sizes(repository, paths, "tree")
    if empty := [paths[name] or "/" for name, size in sizes.items() if size == 0]:
        return (
            f"{printable(min(empty)[:200])}: expected files, found an empty folder, which no path "
            "tells of: commit files only"
        )
    sizes_there = [
        max(git.size_at(repository, commit, folder) for commit in bases) for folder in folders
    ]
    max_bytes = n_commits * (sum(sizes_there) + SLACK_BYTES)
    if sum(sizes.values()) > max_bytes:
        return (
            f"expected at most {max_bytes} bytes of trees in the history, found "
            f"{sum(sizes.values())}: squash the commits, and commit files only"
        )
    return None
