"""Roots that hold no corpus, two of one, or are a corpus themselves."""

import pytest

from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import (
    CorpusAmbiguous,
    CorpusError,
    CorpusNotFound,
)
from tests.support.raw_corpora import (
    CREMA_D,
    VICTIM,
    VICTIM_ID,
    ids,
    lay_crema_d,
    lay_esd,
    lay_iemocap,
    lay_yuemotion,
    lay_yuemotion_tables,
    pack,
)


def test_two_folders_of_one_corpus(tmp_path, wav, index):
    lay_crema_d(tmp_path, wav, "CREMA-D")
    lay_crema_d(tmp_path, wav, "CREMA-D copy")
    with pytest.raises(
        CorpusAmbiguous, match=r"found two: CREMA-D and CREMA-D copy; say which: --corpus crema_d="
    ):
        index(tmp_path)
    found = index(tmp_path, locations={"crema_d": tmp_path / "CREMA-D copy"})
    assert found.roots["crema_d"].name == "CREMA-D copy"
    assert len(ids(found)) == len(CREMA_D)


def test_root_that_is_the_corpus_itself(tmp_path, wav, index):
    folder = lay_yuemotion_tables(tmp_path / "root")
    pack(folder / "data.tar.bz2", [])
    lay_crema_d(tmp_path / "flat", wav, folder="", audio_folder="")
    for name, root in {"yuemotion": folder, "crema_d": tmp_path / "flat"}.items():
        with pytest.raises(CorpusNotFound) as raised:
            index(root)
        assert (
            f"It looks like {name} itself: pass its parent folder, or --corpus {name}={root}"
            in str(raised.value)
        )


@pytest.mark.parametrize("corpus", ["crema_d", "esd", "iemocap", "yuemotion"])
def test_root_that_is_a_corpus_with_sub_folders(tmp_path, wav, index, corpus):
    lay = {
        "crema_d": lay_crema_d,
        "esd": lambda *of: lay_esd(*of, split=True),
        "iemocap": lay_iemocap,
        "yuemotion": lay_yuemotion,
    }
    folder = lay[corpus](tmp_path, wav)
    with pytest.raises(CorpusError, match=f"{corpus} itself"):
        index(folder)


@pytest.mark.parametrize("what", ["nothing", "file", "empty", "other"])
def test_root_without_a_corpus(tmp_path, what):
    root = tmp_path / "root"
    if what == "file":
        root.write_text("")
    elif what != "nothing":
        root.mkdir()
    if what == "other":
        (root / "holiday pictures").mkdir()
    said = {
        "nothing": "found nothing at",
        "file": "found a file at",
        "empty": "it is empty",
        "other": "holiday pictures",
    }
    with pytest.raises(CorpusNotFound, match=said[what]) as raised:
        manifest.build(CorpusSource.of(root))
    assert str(root) in str(raised.value)


def test_location_where_the_corpus_is_not(csed, index):
    with pytest.raises(CorpusNotFound, match=r"expected TESS at .*CSED, found no file of it"):
        index(csed.parent, locations={"tess": csed})
    with pytest.raises(CorpusNotFound, match="found no folder"):
        index(csed.parent, locations={"tess": csed / "nowhere"})


def test_a_change_on_disk_is_seen_at_once(csed, wav, index):
    first = index(csed.parent)
    wav(csed / "Training Data (wav)" / "Natural" / "Nat_Female-3.wav", rate=44100)
    second = index(csed.parent)
    assert ids(second) == {*ids(first), "csed/Nat_female_3"}
    assert second.states["csed"] != first.states["csed"]
    (csed / VICTIM).write_bytes(b"")
    assert ids(index(csed.parent)) == ids(second) - {VICTIM_ID}
