"""Git that ends before it is asked, such as at its bound of memory: said, without a traceback."""

import os
import subprocess

from bimotion.leaderboard import pull_request


class Late(subprocess.Popen):
    """Git that is gone before anything is written to its standard input."""

    def __init__(self, words, **options):
        super().__init__(words, **options)
        if "cat-file" in words:
            self.kill()
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


def test_git_that_dies_before_it_reads_is_named(tmp_path, monkeypatch):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("commit", "-q", "--allow-empty", "-m", "board")
    git("checkout", "-q", "-b", "request")
    (tmp_path / "file").write_text("new")
    git("add", "-A")
    git("commit", "-q", "-m", "request")
    assert len(pull_request.problems(tmp_path, "main", "request")) == 1
    monkeypatch.setattr(subprocess, "Popen", Late)
    [line] = pull_request.problems(tmp_path, "main", "request")
    assert "a change that git cannot list in 512 MiB of memory" in line
