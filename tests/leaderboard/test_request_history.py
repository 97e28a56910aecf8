"""Pull requests of many or large commits, and pointers of Git LFS in place of files."""

import subprocess

import pytest

from bimotion.leaderboard import request_history
from bimotion.leaderboard.pull_request import FOLDER
from bimotion.leaderboard.submission import FILES
from tests.leaderboard.test_pull_request import NEW, Clone

PREDICTIONS = f"{NEW}/predictions.parquet"


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def with_empty_commits(clone, number):
    """The request with so many empty commits on top, made in one go."""
    clone.commit()
    head = clone.git("rev-parse", "HEAD")
    stream = b"".join(
        b"commit refs/heads/request\ncommitter a <a@b> 1 +0000\ndata 0\n"
        + (f"from {head}\n".encode() if index == 0 else b"")
        for index in range(number)
    )
    clone.git("fast-import", "--quiet", "--force", input=stream)


def test_a_few_commits_are_no_matter(clone):
    with_empty_commits(clone, request_history.MAX_COMMITS - 1)
    assert clone.problems() == []


@pytest.mark.parametrize("number", [request_history.MAX_COMMITS, 20_000])
def test_thousands_of_empty_commits_are_refused(clone, number):
    with_empty_commits(clone, number)
    assert clone.problems() == [
        f"expected at most {request_history.MAX_COMMITS} commits, found more: squash the commits"
    ]


def test_a_commit_of_megabytes_is_refused(clone):
    clone.git("add", "-A")
    clone.git("commit", "-q", "-F", "-", input=b"x" * 3_000_000)
    [line] = clone.problems()
    assert "expected at most 65536 bytes of message and parents, found 3000" in line


def put_on_top(clone, root):
    """A commit of that tree on top of the request."""
    head = clone.git("commit-tree", root, "-p", "request", "-m", "more")
    clone.git("update-ref", "refs/heads/request", head)


def test_trees_that_name_only_the_empty_tree_are_refused(clone):
    """No path tells of them, and all of them would stay in the history."""
    clone.commit()
    empty = clone.git("mktree", input=b"")
    text = "".join(f"040000 tree {empty}\t{number:0200}\n" for number in range(5000))
    large = clone.git("mktree", input=text.encode())
    listed = clone.git("ls-tree", "request") + f"\n040000 tree {large}\tzz\n"
    put_on_top(clone, clone.git("mktree", input=listed.encode()))
    [line] = clone.problems()
    assert line.endswith(
        "0: expected files, found an empty folder, which no path tells of: commit files only"
    )


def test_trees_of_more_bytes_than_their_paths_need_are_refused(clone):
    clone.commit()
    done = subprocess.run(
        ["git", "cat-file", "tree", "request^{tree}"], cwd=clone.root, check=True, capture_output=1
    )
    words = ("hash-object", "-w", "-t", "tree", "--literally", "--stdin")
    put_on_top(clone, clone.git(*words, input=b"0" * 100_000 + done.stdout))
    [line] = clone.problems()
    assert "bytes of trees in the history, found 10" in line


def test_a_name_longer_than_a_command_takes_is_refused(clone):
    clone.git("add", "-A")
    blob = clone.git("rev-parse", "main:README.md")
    text = f"100644 {blob}\t{FOLDER}/lab__{'x' * 200_000}/0123456789ab/result.json\n"
    clone.git("update-index", "--add", "--index-info", input=text.encode())
    clone.git("commit", "-q", "-m", "long")
    assert any("expected a path of at most 1000 characters" in line for line in clone.problems())


def test_each_commit_to_a_large_board_may_write_its_folder_anew(clone):
    """The tree of 3000 models' submissions takes some 130 KB."""
    clone.git("checkout", "-q", "main")
    blob = clone.git("rev-parse", "main:README.md")
    text = "".join(
        f"100644 {blob}\t{FOLDER}/org__model{number}/aaaaaaaaaaaa/{name}\n"
        for number in range(3000)
        for name in FILES
    )
    clone.git("update-index", "--add", "--index-info", input=text.encode())
    clone.git("commit", "-q", "-m", "large")
    clone.git("checkout", "-q", "-B", "request")
    for name in FILES:
        clone.git("add", f"{NEW}/{name}")
        clone.git("commit", "-q", "-m", name)
    assert clone.problems() == []


def pointer(size):
    oid = "0" * 64
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"


def with_attributes(clone, files):
    """The base with other .gitattributes, and the request on top of it."""
    clone.git("stash", "-q", "-u")
    clone.git("checkout", "-q", "main")
    clone.write(files)
    clone.git("-c", "filter.lfs.clean=", "add", *files)
    clone.git("commit", "-q", "-m", "lfs")
    clone.git("checkout", "-q", "-B", "request")
    clone.git("stash", "pop", "-q")


LFS = "filter=lfs diff=lfs merge=lfs -text\n"
OTHER_RULES = {  # .gitattributes of the base, none of which keeps predictions in Git LFS
    "none": None,
    "pictures": {".gitattributes": f"*.png {LFS}"},
    "another folder": {".gitattributes": f"docs/*.parquet {LFS}"},
    "taken back below": {
        ".gitattributes": f"*.parquet {LFS}",
        f"{FOLDER}/.gitattributes": "*.parquet !filter\n",
    },
}


@pytest.mark.parametrize("name", OTHER_RULES)
def test_a_pointer_of_git_lfs_is_called_so(clone, name):
    if OTHER_RULES[name]:
        with_attributes(clone, OTHER_RULES[name])
    clone.write({PREDICTIONS: pointer(1000)})
    clone.commit()
    assert clone.problems() == [
        f"{PREDICTIONS}: expected the file, found a Git LFS pointer: this repository does not keep "
        "this file in Git LFS (.gitattributes), so commit the file itself"
    ]


@pytest.mark.parametrize(
    ("size", "expected"), [(1000, None), (10**14, str(10**14)), (0, "0"), ("x", "no size")]
)
def test_where_files_are_kept_in_git_lfs_the_size_of_the_file_counts(clone, size, expected):
    """On the Hub every Parquet file is one."""
    with_attributes(clone, {".gitattributes": f"*.parquet {LFS}"})
    clone.write({PREDICTIONS: pointer(size)})
    clone.commit()
    lines = clone.problems()
    if expected is None:
        assert lines == []
    else:
        assert lines[0].endswith(f"bytes, found {expected}")
        assert lines[0].startswith(f"{PREDICTIONS}: expected a Git LFS pointer to 1 to ")
