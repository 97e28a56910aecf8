"""Pull requests to a real git repository: a good one, and hostile ones."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from bimotion.leaderboard import git, pull_request
from bimotion.leaderboard.submission import FILES
from tests.support.command_line import run_here as bimotion

ROOT = Path(__file__).parents[2]
FOLDER = pull_request.FOLDER
NEW = f"{FOLDER}/lab__new/0123456789ab"
NOTHING_ELSE = "expected files of a new submission"


class Clone:
    """A repository with a board, and a branch with one more submission."""

    def __init__(self, root, folder=FOLDER):
        self.root = root
        self.git("init", "-q", "-b", "main")
        self.write(
            {f"{folder}/org__model/aaaaaaaaaaaa/{name}": "old" for name in FILES}
            | {
                f"{folder}/../receipts/org__model/aaaaaaaaaaaa/receipt.json": "{}",
                f"{folder}/../keys/anna.pub": "ssh-ed25519 AAAA",
                "bimotion/code.py": "",
                "README.md": "",
            }
        )
        self.commit("board")
        self.git("checkout", "-q", "-b", "request")
        self.write({f"{NEW.replace(FOLDER, folder)}/{name}": "new" for name in FILES})

    def git(self, *words, **options):
        who = {
            f"GIT_{kind}_{what}": "a@b"
            for kind in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        environment = os.environ | who | {"GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            ["git", *words],
            cwd=self.root,
            env=environment,
            check=True,
            capture_output=True,
            **options,
        )
        return done.stdout.decode().strip()

    def write(self, files):
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def commit(self, message="request"):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def index(self, mode, path, content=b"x"):
        """Stage a path with any mode, whatever the disk has."""
        blob = self.git("hash-object", "-w", "--stdin", input=content)
        blob = self.git("rev-parse", "HEAD") if mode == "160000" else blob
        self.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")

    def problems(self, base="main", head="request", **options):
        return pull_request.problems(self.root, base, head, **options)


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def test_one_new_submission_passes(clone):
    clone.commit()
    assert clone.problems() == []
    done = bimotion("leaderboard", "check-pr", "main", "request", "--repository", clone.root)
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        "one new submission: now `bimotion leaderboard verify`",
    )


def test_what_the_base_has_got_since_is_no_matter(clone):
    clone.commit()
    clone.git("checkout", "-q", "main")
    clone.write({"README.md": "newer"})
    clone.commit("newer")
    assert clone.problems() == []


def test_the_base_merged_into_the_request_is_no_change_of_it(clone):
    base_merged(clone)
    clone.commit("merge")
    assert clone.problems() == []


def test_a_folder_of_the_clone_is_the_clone(clone):
    clone.commit()
    assert pull_request.problems(clone.root / "leaderboard", "main", "request") == []
    moved(f"{FOLDER}/0rg__Model/0123456789ab")(clone)
    clone.commit()
    (clone.root / "sub").mkdir()
    lines = pull_request.problems(clone.root / "sub", "main", "request")
    assert any("can be mistaken for org__model" in line for line in lines)


def test_a_run_that_the_base_has_got_since(clone):
    clone.commit()
    clone.git("checkout", "-q", "main")
    clone.write({f"{NEW}/{name}": "other" for name in FILES})
    clone.commit("another's")
    (line,) = clone.problems()
    assert f"{NEW}: expected a new run, found it in" in line


def test_another_run_of_a_model_that_is_there(clone):
    clone.git("rm", "-q", "-r", "--cached", "--ignore-unmatch", NEW)
    (clone.root / NEW).rename(clone.root / FOLDER / "org__model" / "bbbbbbbbbbbb")
    clone.commit()
    assert clone.problems() == []


def changed(name, text="x"):
    return lambda clone: clone.write({name: text})


def removed(name):
    return lambda clone: (clone.root / name).unlink()


def moved(to):
    def move(clone):
        (clone.root / to).parent.mkdir(parents=True, exist_ok=True)
        (clone.root / NEW).rename(clone.root / to)

    return move


def staged(mode, path, content=b"x"):
    def stage(clone):
        clone.git("add", "-A")
        if (clone.root / path).exists():
            (clone.root / path).unlink()
        clone.index(mode, path, content)
        clone.git("commit", "-q", "-m", "staged")
        clone.commit = lambda: None

    return stage


def taken_back(clone):
    clone.write({"corpus/voice.wav": "audio"})
    clone.commit("with audio")
    (clone.root / "corpus/voice.wav").unlink()


def larger_before(clone):
    """The record was another file in an earlier commit, such as a large one."""
    clone.write({f"{NEW}/result.json": "audio"})
    clone.commit("large")
    clone.write({f"{NEW}/result.json": "new"})


def two_names_in_one(clone):
    """A path with a line break, made of two that are allowed, brought and taken back."""
    path = f"{NEW}/result.json\n{NEW}/submission.json"
    clone.git("add", "-A")
    clone.git("commit", "-q", "-m", "good")
    clone.index("100644", path)
    clone.git("commit", "-q", "-m", "bad")
    clone.git("rm", "-q", "--cached", path)


def base_merged(clone, message="newer"):
    """The base, which went on, merged into the request."""
    clone.commit()
    clone.git("checkout", "-q", "main")
    clone.write({"README.md": message})
    clone.commit(message)
    clone.git("checkout", "-q", "request")
    clone.git("merge", "-q", "--no-commit", "main")


def brought_by_a_merge(clone):
    base_merged(clone)
    clone.write({"corpus/voice.wav": "audio"})
    clone.commit("merge")
    (clone.root / "corpus/voice.wav").unlink()


def from_elsewhere(clone):
    clone.git("checkout", "-q", "--orphan", "elsewhere")
    clone.commit("elsewhere")
    clone.git("branch", "-f", "request")


RECEIPTS = "leaderboard/receipts"
ANOTHERS = f"{RECEIPTS}/org__model/aaaaaaaaaaaa"
HOSTILE = {  # what is done beside the new submission -> what is said of it
    "its own receipt": (changed(f"{RECEIPTS}/lab__new/0123456789ab/receipt.json"), NOTHING_ELSE),
    "another's receipt": (changed(f"{ANOTHERS}/receipt.json"), NOTHING_ELSE),
    "another's receipt removed": (removed(f"{ANOTHERS}/receipt.json"), NOTHING_ELSE),
    "another's signature": (changed(f"{ANOTHERS}/receipt.json.sig"), NOTHING_ELSE),
    "a key of its own": (changed("leaderboard/keys/eve.pub"), NOTHING_ELSE),
    "a maintainer's key": (changed("leaderboard/keys/anna.pub"), NOTHING_ELSE),
    "a maintainer's key removed": (removed("leaderboard/keys/anna.pub"), NOTHING_ELSE),
    "a key among submissions": (changed(f"{FOLDER}/keys/eve.pub"), NOTHING_ELSE),
    "another's entry": (
        changed(f"{FOLDER}/org__model/aaaaaaaaaaaa/result.json"),
        "expected a new file, found it changed",
    ),
    "another's entry removed": (
        removed(f"{FOLDER}/org__model/aaaaaaaaaaaa/result.json"),
        "found it removed",
    ),
    "two submissions": (
        changed(f"{FOLDER}/lab__other/cccccccccccc/result.json"),
        "expected one submission, found 2",
    ),
    "code": (changed("bimotion/code.py"), NOTHING_ELSE),
    "a workflow": (changed(".github/workflows/tests.yml"), NOTHING_ELSE),
    "attributes": (changed(f"{FOLDER}/.gitattributes"), NOTHING_ELSE),
    "a fourth file": (
        changed(f"{NEW}/verified.json"),
        "expected predictions.parquet, result.json, submission.json only",
    ),
    "a folder inside": (changed(f"{NEW}/deep/result.json"), NOTHING_ELSE),
    "a file missing": (removed(f"{NEW}/submission.json"), "missing submission.json"),
    "an empty file": (
        changed(f"{NEW}/submission.json", ""),
        "expected 1 to 1048576 bytes, found 0",
    ),
    "a statement too large": (
        changed(f"{NEW}/submission.json", "x" * (2**20 + 1)),
        "found 1048577",
    ),
    "a link": (staged("120000", f"{NEW}/result.json", b"/etc/passwd"), "found mode 120000"),
    "a program": (staged("100755", f"{NEW}/result.json"), "found mode 100755"),
    "a submodule": (staged("160000", f"{NEW}/result.json"), "found mode 160000"),
    "the keeper's name": (
        moved(f"{FOLDER}/bimotion__prosody/0123456789ab"),
        "bimotion is reserved",
    ),
    "a look-alike of the keeper's": (
        moved(f"{FOLDER}/b1motion__x/0123456789ab"),
        "bimotion is reserved",
    ),
    "a look-alike of another": (
        moved(f"{FOLDER}/0rg__Model/0123456789ab"),
        "can be mistaken for org__model",
    ),
    "Cyrillic letters": (moved(f"{FOLDER}/оrg__model/0123456789ab"), "expected letters, digits"),
    "a name that turns": (moved(f"{FOLDER}/lab__mo\u202edel/0123456789ab"), "expected a name"),
    "no organisation": (moved(f"{FOLDER}/model/0123456789ab"), "expected"),
    "taken back": (taken_back, "brought by one commit and taken back by another"),
    "taken back after a merge": (brought_by_a_merge, "corpus/voice.wav: brought by one commit"),
    "a line break taken back": (two_names_in_one, "brought by one commit and taken back"),
    "another file before": (larger_before, "result.json: brought otherwise by an earlier commit"),
    "a run key in capitals": (
        moved(f"{FOLDER}/org__model/AAAAAAAAAAAA"),
        "expected a run key, 12 of 0-9 and a-f",
    ),
    "a run key that turns": (moved(f"{FOLDER}/lab__new/0123\u202e456789"), "expected a run key"),
    "a run key with a line break": (moved(f"{FOLDER}/lab__new/0123\n4567"), "expected a run key"),
    "nothing": (
        lambda clone: clone.git("clean", "-fdq"),
        "expected one new submission, found no change",
    ),
}


@pytest.mark.parametrize(("change", "reason"), HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_pull_requests_are_refused(clone, change, reason):
    change(clone)
    clone.commit()
    lines = clone.problems()
    assert any(reason in line for line in lines), lines
    assert all(line.isprintable() for line in lines)
    done = bimotion("leaderboard", "check-pr", "main", "request", "--repository", clone.root)
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "REFUSED")


def test_a_keeper_may_add_a_baseline(clone):
    moved(f"{FOLDER}/bimotion__prosody/0123456789ab")(clone)
    clone.commit()
    assert clone.problems(baseline=True) == []


def test_many_changes_are_one_line(clone):
    clone.write({f"spam/{number}": "" for number in range(pull_request.MAX_PATHS)})
    clone.commit()
    (line,) = clone.problems()
    assert line == "expected the 3 files of one submission, found 1003 changed"


def bomb(clone, depth, width=10):
    """A tree that names one file width ** depth times over, in a few objects of a few bytes."""
    blob = clone.git("hash-object", "-w", "--stdin", input=b"x")
    kind, held = "100644 blob", blob
    for _ in range(depth):
        text = "".join(f"{kind} {held}\t{number}\n" for number in range(width))
        kind, held = "040000 tree", clone.git("mktree", input=text.encode())
    return held


def committed(clone, tree, parent):
    """A commit of that tree beside what the request brings, on top of another."""
    clone.git("read-tree", parent)
    clone.git("add", "-A")
    root = clone.git("write-tree")
    listed = clone.git("ls-tree", root) + f"\n040000 tree {tree}\tzz\n"
    return clone.git(
        "commit-tree", clone.git("mktree", input=listed.encode()), "-p", parent, "-m", "bomb"
    )


@pytest.mark.parametrize(
    ("depth", "is_taken_back", "reason"),
    [
        (7, False, "found a change that git cannot list in 512 MiB of memory and 60 s"),
        (7, True, "found a change that git cannot list in 512 MiB of memory and 60 s"),
        (5, False, "found a change whose list is longer than 4 MiB"),
        (5, True, "brought by one commit and taken back by another"),
    ],
)
def test_a_few_trees_that_name_millions_of_files(clone, depth, is_taken_back, reason):
    head = committed(clone, bomb(clone, depth), "main")
    if is_taken_back:
        root = clone.git("write-tree")
        head = clone.git("commit-tree", root, "-p", head, "-m", "clean")
    clone.git("update-ref", "refs/heads/request", head)
    assert sum(path.stat().st_size for path in clone.root.rglob(".git/objects/*/*")) < 20_000
    (line,) = clone.problems()
    assert reason in line
    done = bimotion("leaderboard", "check-pr", "main", "request", "--repository", clone.root)
    assert (done.returncode, done.stdout.splitlines()) == (1, ["REFUSED", f"  {line}"])
    assert done.stderr == ""


def test_git_takes_no_more_memory_than_its_bound(clone):
    """Measured, not only refused: the largest process that the check started."""
    head = committed(clone, bomb(clone, 7), "main")
    program = (
        "import resource, sys; from pathlib import Path; "
        "from bimotion.leaderboard import pull_request as p; "
        "p.problems(Path(sys.argv[1]), 'main', sys.argv[2]); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, clone.root, head], capture_output=True, check=True
    )
    assert int(done.stdout) <= git.MAX_GIT_BYTES


def test_settings_of_the_clone_run_nothing(clone, tmp_path):
    """A filter, an external diff or a hook that the clone was given is not run."""
    clone.write({".git/info/attributes": "* filter=evil diff=evil\n"})
    ran = tmp_path / "ran"
    for name in ("filter.evil.smudge", "diff.evil.textconv", "diff.evil.command", "diff.external"):
        clone.git("config", name, f"touch {ran}; cat")
    clone.git("-c", "filter.evil.smudge=", "add", "-A")
    clone.git("commit", "-q", "-m", "request")
    assert clone.problems() == []
    assert not ran.exists()


def test_what_is_no_commit_is_named(clone):
    clone.commit()
    for head in ("nowhere", "--help", "main:README.md"):
        done = bimotion("leaderboard", "check-pr", "main", "--repository", clone.root, "--", head)
        assert done.returncode == 2
        assert "expected a commit, found none by the name" in done.stderr
    from_elsewhere(clone)
    done = bimotion("leaderboard", "check-pr", "main", "request", "--repository", clone.root)
    assert (done.returncode, "expected a history that began in" in done.stderr) == (2, True)


def test_the_webhook_answers_with_what_git_lists(tmp_path):
    webhook = runpy.run_path(str(ROOT / "docs" / "webhook.py"))
    clone = Clone(tmp_path, webhook["FOLDER"])
    clone.commit()
    clone.git("update-ref", "refs/pr/7", "HEAD")
    head = clone.git("rev-parse", "--short=12", "HEAD")
    assert webhook["answer"](str(tmp_path), 7).startswith(f"Commit {head}: one new submission")
    clone.write({"README.md": "mine"})
    clone.commit()
    clone.git("update-ref", "refs/pr/8", "HEAD")
    assert "README.md: expected files of a new submission" in webhook["answer"](str(tmp_path), 8)
    from_elsewhere(clone)
    clone.git("update-ref", "refs/pr/9", "HEAD")
    assert "expected a history that began in" in webhook["answer"](str(tmp_path), 9)
