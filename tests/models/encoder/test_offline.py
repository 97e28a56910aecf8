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


@pytest.fixture
def cached(folder, tmp_path):
    """A model in the cache, of which nobody has asked for files that it lacks; its folder there."""
    repository = tmp_path / "hub" / "models--org--name"
    shutil.copytree(folder("hubert"), repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return repository / "snapshots" / COMMIT


def test_a_model_in_the_cache_is_used_without_one_retry(offline, cached):
    done = offline("check-model", "org/name")
    assert done.returncode == 0, done.stderr
    assert "Retrying" not in done.stderr
    assert "hubert" in done.stdout
    [line] = [line for line in done.stderr.splitlines() if "network" in line]
    assert line.startswith("org/name: no network to the Hub (127.0.0.1:9: ")
    assert line.endswith(f": taken from the cache, commit {COMMIT}")


@pytest.mark.parametrize("missing", ["model.safetensors", "preprocessor_config.json"])
def test_a_part_of_a_model_in_the_cache_is_no_faulty_repository(offline, cached, missing):
    (cached / missing).unlink()
    done = offline("check-model", "org/name")
    assert (done.returncode, done.stdout) == (1, "")
    line = done.stderr.splitlines()[-1]
    assert "json: not in the cache, and no network: 127.0.0.1:9: " in line
    assert "`hf download NAME --local-dir FOLDER`" in line
    no_exist = cached.parents[1] / ".no_exist" / COMMIT  # as the client leaves them where it asked
    no_exist.mkdir(parents=True)
    for name in ("adapter_config.json", "generation_config.json", "processor_config.json"):
        (no_exist / name).touch()
    line = offline("check-model", "org/name").stderr.splitlines()[-1]
    assert line.startswith(f"bimotion: org/name: {missing}: not in the cache, and no network: ")


def test_what_a_repository_is_known_to_lack_is_no_fault_of_the_network(offline, cached):
    (cached / "model.safetensors").unlink()
    no_exist = cached.parents[1] / ".no_exist" / COMMIT
    no_exist.mkdir(parents=True)
    names = ["adapter_config", "generation_config", "processor_config"]
    weights = ["model.safetensors", "pytorch_model.bin"]
    names = [*names, *weights, *(f"{name}.index" for name in weights)]
    for name in names:
        (no_exist / (name if name in weights else f"{name}.json")).touch()
    line = offline("check-model", "org/name").stderr.splitlines()[-1]
    assert "expected weights as model.safetensors or pytorch_model.bin, found none among" in line
