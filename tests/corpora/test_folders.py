"""Roots that hold no corpus, two of one, or are a corpus themselves; links and odd names."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimotion.corpora.tree import Tree
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusAmbiguous, CorpusError, CorpusMalformed, CorpusNotFound
from tests.support.raw_corpora import (
    YUEMOTION_TABLES,
    Clip,
    findings,
    ids,
    lay,
    lay_tree,
    missing,
    pack,
    write_clip,
)

VICTIM, VICTIM_ID = "Training Data (wav)/Natural/Nat_Female-12.wav", "csed/Nat_female_12"


def test_two_folders_of_one_corpus(tmp_path, index, plain):
    for folder in ("CREMA-D", "CREMA-D copy"):
        lay(tmp_path, "crema_d", folder=folder)
    message = r"found two: CREMA-D and CREMA-D copy; say which: --corpus crema_d="
    with pytest.raises(CorpusAmbiguous, match=message):
        index(tmp_path)
    named = index(tmp_path, locations={"crema_d": tmp_path / "CREMA-D copy"})
    assert named.roots["crema_d"].name == "CREMA-D copy"
    assert ids(named) == ids(plain["crema_d"])


@pytest.mark.parametrize("corpus", ["crema_d", "esd", "iemocap", "shemo", "urdu", "yuemotion"])
def test_root_that_is_the_corpus_itself(tmp_path, index, corpus):
    with pytest.raises(CorpusError, match=f"{corpus} itself"):
        index(lay(tmp_path, corpus))


def test_root_that_is_a_packed_corpus_itself(tmp_path, index):
    root = lay_tree(tmp_path / "packed", "yuemotion", YUEMOTION_TABLES)
    pack(root / "data.tar.bz2", {})
    message = f"looks like yuemotion itself: pass its parent folder, or --corpus yuemotion={root}"
    with pytest.raises(CorpusNotFound, match=message):
        index(root)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("nothing", "found nothing at"),
        ("file", "found a file at"),
        ("empty", "it is empty"),
        ("other", "holiday pictures"),
    ],
)
def test_root_without_a_corpus(tmp_path, root, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other" / "holiday pictures").mkdir(parents=True)
    with pytest.raises(CorpusNotFound, match=message) as raised:
        manifest.build(CorpusSource.of(tmp_path / root))
    assert str(tmp_path / root) in str(raised.value)


def test_a_root_without_the_one_that_is_asked_for(tmp_path):
    write_clip(tmp_path / "RAVDESS" / "03-01-01-01-01-01-01.wav")
    message = r"expected sub-folders that hold emo_db; recognised none of them .*\(RAVDESS\)"
    with pytest.raises(CorpusNotFound, match=message):
        manifest.build(CorpusSource.of(tmp_path, only=["emo_db"]))


def test_location_where_the_corpus_is_not(csed, index):
    with pytest.raises(CorpusNotFound, match=r"expected TESS at .*csed, found no file of it"):
        index(csed.parent, locations={"tess": csed})
    with pytest.raises(CorpusNotFound, match="found no folder"):
        index(csed.parent, locations={"tess": csed / "nowhere"})


def test_a_change_on_disk_is_seen_at_once(csed, index):
    first = index(csed.parent)
    lay(csed.parent, "csed", {"Nat_Female-3.wav": Clip()})
    second = index(csed.parent)
    assert ids(second) == {*ids(first), "csed/Nat_female_3"}
    assert second.states["csed"] != first.states["csed"]
    (csed / VICTIM).write_bytes(b"")
    assert ids(index(csed.parent)) == ids(second) - {VICTIM_ID}


def test_symbolic_links_that_loop(csed, index, plain):
    (csed / "Training Data (wav)" / "again").symlink_to("..")
    (csed / "itself").symlink_to(".")
    looping = index(csed.parent)
    assert ids(looping) == ids(plain["csed"])
    assert findings(looping) == []


def test_linked_folders_and_files_are_followed(tmp_path, index, plain):
    real = lay(tmp_path / "disk", "csed")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "corpus").symlink_to(real)
    (tmp_path / "single" / "CSED").mkdir(parents=True)
    (tmp_path / "single" / "CSED" / "Nat_Female-12.wav").symlink_to(real / VICTIM)
    assert ids(index(tmp_path / "root")) == ids(plain["csed"])
    assert ids(index(tmp_path / "single")) == {VICTIM_ID}


@pytest.mark.parametrize("target", ["gone.wav", Path(VICTIM).name])
def test_link_to_nowhere_or_to_itself_is_a_missing_clip(csed, index, plain, target):
    (csed / VICTIM).unlink()
    (csed / VICTIM).symlink_to(target)
    linked = index(csed.parent)
    assert ids(linked) == ids(plain["csed"]) - {VICTIM_ID}
    assert VICTIM_ID in missing(linked)


def test_folder_name_that_is_not_utf8(csed, index, plain):
    folder = os.path.join(os.fsencode(csed), "语音".encode("gbk"))
    os.mkdir(folder)
    os.rename(os.fsencode(csed / VICTIM), os.path.join(folder, b"Nat_Female-12.wav"))
    try:
        read = index(csed.parent)
    except CorpusMalformed as error:  # where the system takes no such name
        read, message = None, str(error)
    assert str(csed) in message if read is None else ids(read) == ids(plain["csed"])


@pytest.fixture
def open_folder():
    """A folder for a user without rights, as root has all of them."""
    with tempfile.TemporaryDirectory() as name:
        folder, user, nobody = Path(name), os.geteuid(), 65534
        folder.chmod(0o777)
        if user == 0:
            os.seteuid(nobody)
        yield folder
        (folder / "outer").chmod(0o755)
        os.seteuid(user)


NAMES = st.text("aZ. _\u00e9\n", min_size=1, max_size=6).filter(lambda name: name.strip(".") != "")
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3), max_size=8)


@given(PATHS)
def test_a_tree_has_every_file_that_is_not_hidden(paths):
    """Held against pathlib: every path, its name and suffix, and the size."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number, parts in enumerate(paths):
            path = root.joinpath(*parts)
            if not any(parent.is_file() for parent in path.parents) and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bytes(number))
        below = (path for path in root.rglob("*") if path.is_file())
        expected = [
            (path.relative_to(root).as_posix(), *os.path.splitext(path.name), path.stat().st_size)
            for path in below
            if not any(part.startswith(".") for part in path.relative_to(root).parts)
        ]
        listed = [(file.path, file.stem, file.suffix, file.n_bytes) for file in Tree(root).files]
        assert listed == sorted(
            (path, stem, suffix.lower(), size) for path, stem, suffix, size in expected
        )


def test_a_folder_that_is_not_there_is_named(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(CorpusMalformed, match=r"lost: expected a folder .*, found: No such file"):
        Tree(tmp_path / "lost")
    with pytest.raises(CorpusMalformed, match=r"loop: expected a folder .*, found: Too many level"):
        Tree(tmp_path / "loop")


def test_a_folder_that_may_not_be_entered_is_named(open_folder):
    """Its files would be missing clips, and nobody would know why."""
    (open_folder / "outer" / "inner").mkdir(parents=True)
    (open_folder / "outer" / "inner" / "clip.wav").touch()
    (open_folder / "outer").chmod(0o444)
    with pytest.raises(CorpusMalformed, match=r"inner: .* can be read, found: Permission denied"):
        Tree(open_folder)


@pytest.mark.parametrize("name", ["alpha", "zeta"])
def test_a_folder_keeps_its_own_path_whatever_links_to_it(tmp_path, name):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "real" / "deep" / "clip.wav").touch()
    (tmp_path / name).symlink_to(tmp_path / "real")
    (tmp_path / f"{name}-deep").symlink_to(tmp_path / "real" / "deep")
    assert [file.path for file in Tree(tmp_path).files] == ["real/deep/clip.wav"]
