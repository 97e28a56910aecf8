"""Installed as a wheel or editable, `bimotion.loaders` is found and no top-level `loaders` appears."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PROBE = """
import importlib.util, bimotion.loaders.bimotion, bimotion.loaders.yuemotion, bimotion.roster
assert importlib.util.find_spec("loaders") is None, "a top-level module called loaders"
assert len(bimotion.roster.load("tess")) == 2800
print(bimotion.loaders.bimotion.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    parts = ("bimotion", "loaders", "pyproject.toml", "README.md", "LICENSE")
    listing = ["git", "-C", REPOSITORY, "ls-files", "-co", "--exclude-standard", *parts]
    tracked = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in tracked:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((REPOSITORY / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(command, check=True)
    return next(folder.glob("bimotion-*.whl"))


def test_a_wheel_resolves_the_loaders(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path)
    assert not any(name.startswith("loaders/") for name in names)
    assert {"bimotion/loaders/bimotion.py", "bimotion/loaders/bimotion.md", "bimotion/rosters/SHA256SUMS"} <= set(names)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{PROBE}"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(str(tmp_path))


def test_the_editable_install_resolves_the_loaders(tmp_path):
    run = subprocess.run([sys.executable, "-P", "-c", PROBE], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(REPOSITORY / "loaders" / "bimotion.py")
