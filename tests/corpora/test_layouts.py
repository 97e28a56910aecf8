"""Every layout of a corpus gives the same utterances, and nothing on disk changes."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.io import audio, files
from tests.support.raw_corpora import (
    CREMA_D,
    CSED,
    CSED_IDS,
    DEMOGRAPHICS,
    ELDERREACT_IDS,
    ESD,
    IEMOCAP,
    TESS,
    TESS_FOLDER,
    YUEMOTION,
    YUEMOTION_STEMS,
    clip_bytes,
    ids,
    lay_crema_d,
    lay_csed,
    lay_elderreact,
    lay_esd,
    lay_iemocap,
    lay_tess,
    lay_yuemotion,
    lay_yuemotion_tables,
    missing,
    mp4,
    odd,
    pack,
    to_parquet,
)


def test_esd_split_and_flat_and_both_at_once_are_one_corpus(tmp_path, wav, index):
    variants = {}
    for name, layouts in {"split": [True], "flat": [False], "both": [True, False]}.items():
        for split in layouts:
            lay_esd(tmp_path / name, wav, split)
        variants[name] = index(tmp_path / name)
    for name, found in variants.items():
        assert ids(found) == {f"esd/{speaker}_{number:06}" for speaker, number, _, _ in ESD}
        assert found.fingerprint == variants["split"].fingerprint, name
        rows = found.table.set_index("id")
        for speaker, number, emotion, part in ESD:
            row = rows.loc[f"esd/{speaker}_{number:06}"]
            assert row["native_label"] == emotion
            assert row["official_split"] == {"evaluation": "validation"}.get(part, part)
            assert row["language"] == ("zho" if speaker <= "0010" else "eng")
    assert odd(variants["split"]) == odd(variants["flat"]) == []
    copies = odd(variants["both"])
    assert {kind for kind, _, _ in copies} == {"copy"}
    assert len(copies) == len(ESD)
    # the flat one is used
    assert ("copy", "0001/Angry/test/0001_000400.wav", "of 0001/Angry/0001_000400.wav") in copies


def test_tess_twice_one_level_deeper_is_the_same_corpus(tmp_path, wav, index):
    lay_tess(tmp_path / "once", wav)
    lay_tess(tmp_path / "deep", wav, f"TESS/{TESS_FOLDER}/{TESS_FOLDER}")
    lay_tess(tmp_path / "twice", wav)
    lay_tess(tmp_path / "twice", wav, f"TESS/{TESS_FOLDER}/{TESS_FOLDER}")
    once, deep, twice = (index(tmp_path / name) for name in ("once", "deep", "twice"))
    assert len(ids(once)) == len(TESS)
    assert "tess/OAF_bite_neutral" in ids(once)
    assert ids(once) == ids(deep) == ids(twice)
    assert once.fingerprint == deep.fingerprint == twice.fingerprint
    assert odd(once) == odd(deep) == []
    assert len(odd(twice)) == len(TESS)
    assert all(kind == "copy" and where.count(TESS_FOLDER) == 2 for kind, where, _ in odd(twice))
    assert all(path.count(TESS_FOLDER) == 1 for path in twice.table["path"])


@pytest.mark.parametrize(
    ("folder", "audio_folder"),
    [("CREMA-D", "AudioWAV"), ("my data 2", "sound"), ("情感", "."), ("x", "a/b/c")],
)
def test_crema_d_in_folders_of_any_name(tmp_path, wav, index, folder, audio_folder):
    lay_crema_d(tmp_path / "plain", wav)
    lay_crema_d(tmp_path / "other", wav, folder, audio_folder)
    plain, other = index(tmp_path / "plain"), index(tmp_path / "other")
    assert ids(plain) == ids(other) == {f"crema_d/{stem}" for stem in CREMA_D}
    assert plain.fingerprint == other.fingerprint
    assert odd(other) == []
    assert other.roots["crema_d"] == (tmp_path / "other" / folder).resolve()
    assert all(other.path("crema_d", path).is_file() for path in other.table["path"])


def test_crema_d_demographics_as_other_programs_save_them(tmp_path, wav, index):
    lay_crema_d(tmp_path / "plain", wav)
    folder = lay_crema_d(tmp_path / "windows", wav)
    (folder / "VideoDemographics.csv").write_bytes(
        b"\xef\xbb\xbf" + DEMOGRAPHICS.replace("\n", "\r\n").encode()
    )
    plain, windows = index(tmp_path / "plain"), index(tmp_path / "windows")
    assert windows.fingerprint == plain.fingerprint
    elders = windows.table[windows.table["age_group"] == "eld"]
    assert set(elders["speaker"]) == {"crema_d/1016", "crema_d/1020", "crema_d/1034"}


def test_crema_d_clip_that_some_copies_misname(tmp_path, wav, index):
    folder = lay_crema_d(tmp_path, wav)
    table = folder / "VideoDemographics.csv"
    table.write_text(table.read_text() + '1040,44,"Female","x","x"\n')
    wav(folder / "AudioWAV" / "1040_ITH_SAD_X.wav")
    found = index(tmp_path)
    assert "crema_d/1040_ITH_SAD_XX" in ids(found)
    assert "crema_d/1040_ITH_SAD_XX" not in missing(found)


def test_csed_separators_and_case_vary(tmp_path, wav, index):
    lay_csed(tmp_path, wav)
    found = index(tmp_path)
    assert ids(found) == CSED_IDS
    assert odd(found) == []
    assert len(missing(found)) == 652 - len(CSED)
    assert found.table["speaker"].isna().all()


def test_elderreact_as_sound_as_video_and_both(tmp_path, wav, index):
    sound = lay_elderreact(tmp_path / "sound", wav)
    video = lay_elderreact(tmp_path / "video", wav, media=False)
    both = lay_elderreact(tmp_path / "both", wav)
    first = mp4(tmp_path / "clip.mp4")
    for identifier in ELDERREACT_IDS:
        for folder in (video, both):
            path = folder / "ElderReact_Videos" / f"{identifier.partition('/')[2]}.mp4"
            path.parent.mkdir(exist_ok=True)
            shutil.copy(first, path)
    from_sound, from_video, from_both = (index(folder.parent) for folder in (sound, video, both))
    assert ids(from_sound) == ids(from_video) == ids(from_both) == ELDERREACT_IDS
    assert from_both.fingerprint == from_sound.fingerprint
    facts = ["id", "gender", "native_label", "official_split"]
    assert from_video.table[facts].equals(from_sound.table[facts])
    assert set(from_video.table["container"]) == {"MP4"}
    assert from_video.table["duration_s"].between(0.4, 0.65).all()
    assert odd(from_sound) == odd(from_video) == []
    assert {kind for kind, _, _ in odd(from_both)} == {"copy"}
    assert {Path(where).suffix for _, where, _ in odd(from_both)} == {".mp4"}
    waveform = audio.decode(from_video.path("elderreact", from_video.table["path"][0]))
    assert waveform.dtype == np.float32
    assert abs(len(waveform) / 16000 - 0.5) < 0.1
    peak_hz = np.abs(np.fft.rfft(waveform[2000:6000])).argmax() * 16000 / 4000
    assert abs(peak_hz - 440) < 8


def test_elderreact_rows_hold_none_one_or_all_emotions(tmp_path, wav, index):
    lay_elderreact(tmp_path, wav)
    rows = index(tmp_path).table.set_index("id")
    assert list(rows.at["elderreact/50_50_42", "emotions"]) == []
    assert list(rows.at["elderreact/50_50_69", "emotions"]) == ["happiness"]
    assert set(rows.at["elderreact/50_50_35", "emotions"]) == {
        "sadness",
        "fear",
        "angry",
        "happiness",
        "disgust",
        "surprise",
    }
    assert rows.at["elderreact/50_50_100", "native_label"].startswith("0 1 1 0 0 1 f 1.6")
    assert rows.at["elderreact/50_50_35", "official_split"] == "validation"


def test_iemocap_takes_the_utterances_and_not_the_dialogs(tmp_path, wav, index):
    lay_iemocap(tmp_path, wav)
    found = index(tmp_path)
    labels = {
        f"iemocap/{stem}": code for dialog in IEMOCAP.values() for stem, code in dialog.items()
    }
    assert dict(zip(found.table["id"], found.table["native_label"], strict=True)) == labels
    assert odd(found) == []
    rows = found.table.set_index("id")
    assert rows.at["iemocap/Ses01F_impro01_M011", "speaker"] == "iemocap/1M"
    assert rows.at["iemocap/Ses01F_impro01_M011", "gender"] == "m"
    assert list(rows.at["iemocap/Ses01F_impro01_F001", "emotions"]) == ["unknown"]


@pytest.mark.parametrize(
    "layout", ["tar", "tar, no folder inside", "parquet", "parquet a part", "parquet of classes"]
)
def test_yuemotion_plain_and_packed_are_one_corpus(tmp_path, wav, index, layout):
    lay_yuemotion(tmp_path / "plain", wav)
    root, scratch = tmp_path / "packed", tmp_path / "scratch"
    lines = [line for part in YUEMOTION.values() for line in part]
    if layout.startswith("tar"):
        folder = "" if "no folder" in layout else "./data/"
        members = [
            (f"{folder}{stem}.wav", clip_bytes(wav, scratch, stem)) for stem in YUEMOTION_STEMS
        ]
        pack(
            lay_yuemotion_tables(root) / "data.tar.bz2",
            [(f"{folder}notes.txt", b"not a clip"), *members],
        )
    elif layout == "parquet a part":
        for part, own in YUEMOTION.items():
            to_parquet(wav, scratch, root / "YueMotion/default" / part / "0000.parquet", own)
    else:
        to_parquet(
            wav,
            scratch,
            root / "YueMotion" / "0000.parquet",
            lines[::-1],
            as_classes="classes" in layout,
        )
    plain, packed = index(tmp_path / "plain"), index(root)
    assert ids(plain) == ids(packed) == {f"yuemotion/{stem}" for stem in YUEMOTION_STEMS}
    assert packed.fingerprint == plain.fingerprint
    assert packed.table["official_split"].equals(plain.table["official_split"])
    assert odd(plain) == odd(packed) == []
    assert packed.roots["yuemotion"].is_relative_to(files.cache_dir())
    for identifier, path in zip(packed.table["id"], packed.table["path"], strict=True):
        original = (tmp_path / "plain/YueMotion/data" / Path(path).name).read_bytes()
        assert packed.path("yuemotion", path).read_bytes() == original, identifier
    again = index(root)
    assert again.states == packed.states
    assert again.fingerprint == packed.fingerprint


def test_yuemotion_ages_and_cells(tmp_path, wav, index):
    lay_yuemotion(tmp_path, wav)
    rows = index(tmp_path).table.set_index("id")
    assert rows.at["yuemotion/14_m60_08_1", "age_group"] == "eld"
    assert rows.at["yuemotion/04_f28_09_5", "age_group"] == "adu"
    assert rows.at["yuemotion/04_f28_09_5", "speaker"] == "yuemotion/04"
    assert list(rows.at["yuemotion/14_m60_07_2", "emotions"]) == ["happiness"]


def test_slow_files_are_opened_several_at_a_time(tmp_path, wav, monkeypatch):
    for place in ("quick", "slow"):
        lay_tess(tmp_path / place, wav)
        lay_crema_d(tmp_path / place, wav)
    quick = manifest.build(CorpusSource.of(tmp_path / "quick"))
    monkeypatch.setattr("bimotion.data.index.N_TRIED", 2)
    monkeypatch.setattr("bimotion.data.index.SLOW_S", 0)
    slow = manifest.build(CorpusSource.of(tmp_path / "slow"))
    assert slow.fingerprint == quick.fingerprint
    assert slow.table.equals(quick.table)
    assert odd(slow) == odd(quick) == []


def test_all_corpora_beside_each_other_and_at_given_places(tmp_path, wav, index):
    for lay in (lay_crema_d, lay_csed, lay_elderreact, lay_iemocap, lay_tess, lay_yuemotion):
        lay(tmp_path / "here", wav)
    lay_esd(tmp_path / "elsewhere", wav, split=True)
    (tmp_path / "here" / ".hidden").mkdir()
    (tmp_path / "here" / "loose file.txt").write_text("not a corpus")
    place = tmp_path / "elsewhere" / "Emotion Speech Dataset"
    found = index(tmp_path / "here", locations={"esd": place})
    assert found.corpora == ("crema_d", "csed", "elderreact", "esd", "iemocap", "tess", "yuemotion")
    assert odd(found) == []
    assert found.roots["esd"] == place.resolve()
    assert list(found.table["id"]) == sorted(found.table["id"])
    alone = manifest.build(CorpusSource.of(None, only=["esd"], locations={"esd": place}))
    assert alone.corpora == ("esd",)
    assert ids(alone) == {identifier for identifier in ids(found) if identifier.startswith("esd/")}
