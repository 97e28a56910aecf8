"""A machine without a network: what is in the cache is used, and what is not is said at once."""

import os
import shutil

import pytest

from tests.support.command_line import bimotion_process

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def offline(tmp_path):
    """Runs a command whose Hub does not answer, and that nobody told so; the cache is in
    tmp_path."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {
        "HF_HOME": str(tmp_path),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    return lambda *words: bimotion_process(*words, env=inherited | environment)


def test_a_model_that_is_not_in_the_cache_is_refused_without_one_retry(offline):
    for code, *command in ((1, "check-model"), (2, "evaluate", "--model")):
        done = offline(*command, "org/name")
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        [line] = done.stderr.splitlines()  # the client says a line a retry
        assert line.startswith("bimotion: org/name: expected a folder, a model in the cache, or ")
        assert "no network to the Hub (127.0.0.1:9: " in line
        assert "`hf download NAME --local-dir FOLDER`" in line


@pytest.mark.parametrize("name", ["org/my model", "org/na--me", "org/name.git", "n" * 120])
def test_what_is_no_id_is_one_line(offline, name):
    for code, *command in ((1, "check-model"), (2, "evaluate", "--model")):
        done = offline(*command, name)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        [line] = done.stderr.splitlines()
        expected = f"bimotion: {name!r}: expected a folder or an id on the Hugging Face Hub, found "
        assert line.startswith(expected)
        assert "no such folder, and no id: NAME or ORG/NAME" in line


def test_a_model_in_the_cache_is_used_without_one_retry(offline, folder, tmp_path):
    repository = tmp_path / "hub" / "models--org--name"
    shutil.copytree(folder("hubert"), repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    done = offline("check-model", "org/name")
    assert done.returncode == 0, done.stderr
    assert "Retrying" not in done.stderr
    assert "hubert" in done.stdout
