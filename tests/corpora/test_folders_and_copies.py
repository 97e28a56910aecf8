"""Links, strange folders, extra files and copies of clips are followed or reported."""

import os
import re
from pathlib import Path

import pytest

from bimotion.data import splits
from bimotion.errors import (
    CorpusIncomplete,
)
from tests.support.raw_corpora import (
    CSED_IDS,
    ESD,
    VICTIM,
    VICTIM_ID,
    ids,
    indexed_or_refused,
    lay_csed,
    lay_esd,
    missing,
    odd,
    only,
    unrecognised,
)


def test_folder_named_like_a_clip(csed, wav, index):
    (csed / "Training Data (wav)" / "Natural" / "Nat_Female-3.wav").mkdir()
    inner = csed / "Training Data (wav)" / "Natural" / "Nat_Female-4.wav" / "Nat_Female-5.wav"
    wav(inner, rate=44100)
    found = index(csed.parent)
    assert ids(found) == {*CSED_IDS, "csed/Nat_female_5"}
    assert odd(found) == []
    assert {"csed/Nat_female_3", "csed/Nat_female_4"} <= missing(found)


def test_symbolic_links_that_loop(csed, index):
    (csed / "Training Data (wav)" / "again").symlink_to("..")
    (csed / "itself").symlink_to(".")
    found = index(csed.parent)
    assert ids(found) == CSED_IDS
    assert odd(found) == []


def test_linked_folders_and_files_are_followed(tmp_path, wav, index):
    real = lay_csed(tmp_path / "disk", wav)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "corpus").symlink_to(real)
    (tmp_path / "single" / "CSED").mkdir(parents=True)
    (tmp_path / "single" / "CSED" / "Nat_Female-12.wav").symlink_to(real / VICTIM)
    assert ids(index(tmp_path / "root")) == CSED_IDS
    assert ids(index(tmp_path / "single")) == {VICTIM_ID}


def test_link_to_nowhere_is_a_missing_clip(csed, index):
    (csed / VICTIM).unlink()
    (csed / VICTIM).symlink_to("gone.wav")
    found = index(csed.parent)
    assert ids(found) == CSED_IDS - {VICTIM_ID}
    assert VICTIM_ID in missing(found)


def test_link_to_itself_is_a_missing_clip(csed, index):
    (csed / VICTIM).unlink()
    (csed / VICTIM).symlink_to(Path(VICTIM).name)
    found = index(csed.parent)
    assert ids(found) == CSED_IDS - {VICTIM_ID}
    assert VICTIM_ID in missing(found)


def test_folder_name_that_is_not_utf8(csed, index):
    folder = os.path.join(os.fsencode(csed), "语音".encode("gbk"))
    os.mkdir(folder)
    os.rename(os.fsencode(csed / VICTIM), os.path.join(folder, b"Nat_Female-12.wav"))
    found = indexed_or_refused(index, csed.parent)
    assert str(csed) in found if isinstance(found, str) else ids(found) == CSED_IDS


def test_extra_files_that_are_no_clips_are_harmless(csed, wav, index):
    before = index(csed.parent)
    (csed / "README.md").write_text("about")
    (csed / "paper.pdf").write_bytes(b"%PDF-1.4")
    wav(csed / "background music.wav")
    found = index(csed.parent)
    assert odd(found) == []
    assert unrecognised(found) == {"background music.wav"}
    assert found.fingerprint == before.fingerprint


def test_clip_of_a_good_name_that_no_list_has_is_in_no_part(csed, wav, index):
    wav(csed / "Training Data (wav)" / "Natural" / "Nat_Female-999.wav", rate=44100)
    found = index(csed.parent)
    assert ids(found) == {*CSED_IDS, "csed/Nat_female_999"}
    assert odd(found) == [("unlisted", "csed/Nat_female_999", "")]
    for rule in splits.RULES:
        split = splits.split(found, rule)
        assert split.findings == ()
        assert set(split.table.index) == CSED_IDS


def test_conflicting_copies_are_both_left_out(csed, wav, index):
    other = wav(csed / "old" / "Nat_Female-12.wav", seconds=0.3, rate=44100)
    found = index(csed.parent)
    kind, where, detail = only(found)
    assert (kind, where) == ("conflict", VICTIM_ID)
    assert re.fullmatch(
        rf"0\.300 s, [0-9a-f]{{8}}: old/{other.name}; 0\.200 s, [0-9a-f]{{8}}: {re.escape(VICTIM)}",
        detail,
    )
    assert ids(found) == CSED_IDS - {VICTIM_ID}
    assert VICTIM_ID not in missing(found)
    with pytest.raises(CorpusIncomplete, match=f"1 conflict: {VICTIM_ID}"):
        found.require_complete(["csed"])


def test_copies_of_equal_size_are_told_and_the_upper_one_used(csed, wav, index):
    wav(csed / "old" / "further down" / "even further" / "Nat_Female-12.wav", rate=44100)
    found = index(csed.parent)
    assert only(found) == (
        "copy",
        "old/further down/even further/Nat_Female-12.wav",
        f"of {VICTIM}",
    )
    assert ids(found) == CSED_IDS


def test_esd_clip_in_the_folder_of_another_emotion(tmp_path, wav, index):
    folder = lay_esd(tmp_path, wav, split=True)
    wav(folder / "0001" / "Sad" / "train" / "0001_000402.wav")
    found = index(tmp_path)
    assert only(found) == (
        "contradiction",
        "0001/Sad/train/0001_000402.wav",
        "number 402 says Angry, folder says Sad",
    )
    assert "esd/0001_000402" not in ids(found)
    assert len(ids(found)) == len(ESD)


@pytest.mark.parametrize("number", [0, 1751, 999999])
def test_esd_clip_with_a_number_that_does_not_exist(tmp_path, wav, index, number):
    folder = lay_esd(tmp_path, wav, split=False)
    wav(folder / "0001" / "Angry" / f"0001_{number:06}.wav")
    assert only(index(tmp_path)) == (
        "unlabelled",
        f"0001/Angry/0001_{number:06}.wav",
        f"number {number} is outside 1-1750",
    )
