"""Pull requests of many or large commits, and pointers of Git LFS in place of files."""

import pytest

from bimotion.leaderboard import pull_request
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
    with_empty_commits(clone, pull_request.MAX_COMMITS - 1)
    assert clone.problems() == []


@pytest.mark.parametrize("number", [pull_request.MAX_COMMITS, 20_000])
def test_thousands_of_empty_commits_are_refused(clone, number):
    with_empty_commits(clone, number)
    assert clone.problems() == [
        f"expected at most {pull_request.MAX_COMMITS} commits, found more: squash the commits"
    ]


def test_a_commit_of_megabytes_is_refused(clone):
    clone.git("add", "-A")
    clone.git("commit", "-q", "-F", "-", input=b"x" * 3_000_000)
    [line] = clone.problems()
    assert "expected at most 65536 bytes of message and parents, found 3000" in line


def pointer(size):
    oid = "0" * 64
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n"


def test_a_pointer_of_git_lfs_is_called_so(clone):
    clone.write({PREDICTIONS: pointer(1000)})
    clone.commit()
    assert clone.problems() == [
        f"{PREDICTIONS}: expected the file, found a Git LFS pointer: no file of this repository is "
        "kept in Git LFS (.gitattributes), so commit the file itself"
    ]


@pytest.mark.parametrize(
    ("size", "expected"), [(1000, None), (10**14, str(10**14)), (0, "0"), ("x", "no size")]
)
def test_where_files_are_kept_in_git_lfs_the_size_of_the_file_counts(clone, size, expected):
    """On the Hub every Parquet file is one."""
    clone.git("stash", "-q", "-u")
    clone.git("checkout", "-q", "main")
    clone.write({".gitattributes": "*.parquet filter=lfs diff=lfs merge=lfs -text\n"})
    clone.git("-c", "filter.lfs.clean=", "add", ".gitattributes")
    clone.git("commit", "-q", "-m", "lfs")
    clone.git("checkout", "-q", "-B", "request")
    clone.git("stash", "pop", "-q")
    clone.write({PREDICTIONS: pointer(size)})
    clone.commit()
    lines = clone.problems()
    if expected is None:
        assert lines == []
    else:
        assert lines[0].endswith(f"bytes, found {expected}")
        assert lines[0].startswith(f"{PREDICTIONS}: expected a Git LFS pointer to 1 to ")
