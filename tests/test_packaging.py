"""From a wheel, from a source distribution and editable: everything is there, and no folder of the
user's hides it."""

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SHIPPED = "bimotion loaders pyproject.toml setup.py MANIFEST.in README.md LICENSE"
PROBE = """
import importlib, bimotion.loaders.bimotion, bimotion.loaders.yuemotion, bimotion.data.rosters
import bimotion.data.published
from bimotion.data.huggingface.cards import card
assert len(bimotion.data.rosters.load("tess")) == len(bimotion.data.published.load("tess")) == 2800
assert all(card(name).startswith("---") for name in ("bimotion", "yuemotion"))
print(bimotion.loaders.bimotion.__file__)
"""
LOAD = """
import sys, bimotion, datasets
rows = datasets.load_dataset("yuemotion", "yue_eld", data_dir=sys.argv[1])
print(bimotion.__file__, sum(map(len, rows.values())))
"""


def tracked() -> list[str]:
    listing = ["git", "-C", REPOSITORY, "ls-files", "-co", "--exclude-standard", *SHIPPED.split()]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if (REPOSITORY / name).exists()]


def copied(folder: Path) -> Path:
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((REPOSITORY / name).read_bytes())
    return folder


def run(python: str | Path, code: str, *arguments: str, cwd: Path | str) -> str:
    done = subprocess.run([python, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder with a source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    options = ["--no-isolation", "--outdir", folder, copied(folder / "source")]
    done = subprocess.run([sys.executable, "-m", "build", *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_wheel_and_a_source_distribution_hold_every_file_of_the_package(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        names = set(archive.namelist())
        metadata = archive.read("bimotion-0.1.0.dist-info/METADATA").decode()
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        sources = {name.partition("/")[2] for name in archive.getnames()}
    assert "bimotion/py.typed" in names
    assert "Classifier: Typing :: Typed" in metadata
    assert "Classifier: Operating System :: " in metadata
    files = [name for name in tracked() if name.startswith(("bimotion/", "loaders/"))]
    inside = {name if name.startswith("bimotion/") else f"bimotion/{name}" for name in files}
    assert inside <= names
    extra = {name for name in names if not name.startswith("bimotion/")}
    assert all(name.startswith("bimotion-0.1.0.dist-info/") for name in extra)
    assert {*files, "pyproject.toml", "setup.py"} <= sources


def test_an_installed_wheel_loads_datasets(built, tmp_path, synth_root):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        archive.extractall(tmp_path)
    first = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    package = tmp_path / "bimotion"
    assert run(sys.executable, first + PROBE, cwd="/") == str(package / "loaders" / "bimotion.py")
    shown = run(sys.executable, first + LOAD, str(synth_root), cwd="/").splitlines()[-1]
    path, n_clips = shown.split()
    assert path == str(package / "__init__.py")
    assert int(n_clips) > 0


@pytest.fixture(scope="module")
def editable(tmp_path_factory) -> tuple[Path, Path]:
    """The interpreter of a new environment with an editable install, and its clone: a folder called
    `bimotion`."""
    folder = tmp_path_factory.mktemp("editable")
    clone = copied(folder / "work" / "bimotion")
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    site = next(environment.glob("lib/python3*/site-packages"))
    installed = [name for name in sys.path if name.endswith("-packages")]
    folders = {sysconfig.get_paths()["purelib"], *installed}
    # the packages of this one, without what its .pth files do
    (site / "zz_all_else.pth").write_text("\n".join(sorted(folders)))
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "--python", python, "install", *options, "-e", clone]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in site.glob("*bimotion*finder*")] == []
    return python, clone


def test_the_editable_install_is_found_from_anywhere(editable, tmp_path, synth_root):
    python, clone = editable
    data = tmp_path / "data" / "bimotion" / "results"
    data.mkdir(parents=True)
    (data / "notes.py").write_text("raise SystemExit('not the package')")
    (tmp_path / "empty" / "bimotion").mkdir(parents=True)
    for cwd in (clone.parent, clone, Path("/"), data.parents[1], tmp_path / "empty"):
        assert run(python, PROBE, cwd=cwd) == str(clone / "loaders" / "bimotion.py")
    path, n_clips = run(python, LOAD, str(synth_root), cwd=clone.parent).splitlines()[-1].split()
    assert path == str(clone / "bimotion" / "__init__.py")
    assert int(n_clips) > 0


@pytest.mark.parametrize("name", ["loaders", "tests", "benchmarks", "examples"])
def test_folders_of_the_clone_hide_none_of_the_users(editable, tmp_path, name):
    """The clone is on the path: were its folders packages, they would win over plain folders of the
    same name."""
    python, clone = editable
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine.py").write_text("print('mine')")
    (clone / name).mkdir(exist_ok=True)
    assert not (REPOSITORY / name / "__init__.py").exists()
    assert run(python, f"import bimotion, {name}.mine", cwd=tmp_path) == "mine"
