"""Synthetic corpora in a folder: made once, and again only where they are not whole."""

import pytest

from bimotion.data.synthetic import layouts

ASKED = {"scale": 0.001, "corpora": ("tess", "csed")}


def _times(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def made(tmp_path):
    layouts.write(tmp_path / "made", **ASKED)
    return tmp_path / "made"


def test_a_whole_folder_is_left_as_it_is(made):
    before = _times(made)
    assert layouts.write(made, **ASKED) == sum(path.suffix == ".wav" for path in before)
    assert _times(made) == before


CHANGES = {
    "a clip is gone": lambda root: next(root.rglob("*.wav")).unlink(),
    "a mark is gone": lambda root: next(root.glob("SYNTHETIC*")).unlink(),
    "a mark is no JSON": lambda root: next(root.glob("SYNTHETIC*")).write_text("{"),
    "a file more": lambda root: (next(root.glob("*/")) / "x.txt").write_text("x"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_other_is_made_again(change, made):
    names = {path.relative_to(made) for path in _times(made)}
    CHANGES[change](made)
    before = _times(made)
    layouts.write(made, **ASKED)
    after = _times(made)
    assert {path.relative_to(made) for path in after} == names
    assert not set(after.items()) & set(before.items())


@pytest.mark.parametrize("other", [{"seed": 1}, {"scale": 0.002}, {"corpora": ("tess",)}])
def test_other_corpora_take_its_place(other, made, tmp_path):
    layouts.write(made, **ASKED | other)
    layouts.write(tmp_path / "beside", **ASKED | other)
    beside = {path.relative_to(tmp_path / "beside") for path in _times(tmp_path / "beside")}
    assert {path.relative_to(made) for path in _times(made)} == beside
