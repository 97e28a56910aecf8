"""Every layout of a corpus gives the same utterances; every hostile twin of a file is told, and
nothing on disk changes."""

import io
import os
import re
import shutil
import tarfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bimotion.corpora.utterance import FINDINGS
from bimotion.data import manifest, splits
from bimotion.errors import (
    AudioError,
    CorpusAmbiguous,
    CorpusError,
    CorpusIncomplete,
    CorpusMalformed,
    CorpusNotFound,
)
from bimotion.io import audio, files

CREMA_D = (
    "1001_DFA_ANG_XX",
    "1001_IEO_SAD_LO",
    "1001_ITH_NEU_XX",
    "1002_DFA_DIS_XX",
    "1002_IEO_HAP_HI",
    "1016_IEO_FEA_MD",
    "1016_DFA_SAD_XX",
    "1020_TIE_NEU_XX",
    "1034_WSI_HAP_XX",
    "1091_WSI_FEA_XX",
    "1091_MTI_ANG_XX",
)
DEMOGRAPHICS = """"ActorID","Age","Sex","Race","Ethnicity"
1001,51,"Male","x","x"
1002,21,"Female","x","x"
1016,61,"Male","x","x"
1020,61,"Female","x","x"
1034,74,"Male","x","x"
1091,29,"Female","x","x"
"""
CSED = (
    "Natural/Nat_Female-1",
    "Natural/Nat_Female-12",
    "Natural/Nat_Male-1",
    "Natural/Nat_Male-2",
    "Negative/Neg-Male-3",
    "Negative/Neg-Male-107",
    "Negative/Neg_Female-5",
    "Negative/Neg_Female-6",
    "Positive/Pos_female-2",
    "Positive/Pos_female-100",
    "Positive/Pos_male-115",
)
CSED_IDS = {
    "csed/Nat_female_1",
    "csed/Nat_female_12",
    "csed/Nat_male_1",
    "csed/Nat_male_2",
    "csed/Neg_male_3",
    "csed/Neg_male_107",
    "csed/Neg_female_5",
    "csed/Neg_female_6",
    "csed/Pos_female_2",
    "csed/Pos_female_100",
    "csed/Pos_male_115",
}
ELDERREACT = {
    "train": (
        "50_50_100.mp4 0 1 1 0 0 1 f 1.6666666666666667",
        "50_50_104.mp4 1 0 0 0 0 0 m 2.3333333333333335",
        "50_50_105.mp4 1 1 0 0 0 1 f 1.6666666666666667",
    ),
    "dev": (
        "50_50_35.mp4 1 1 1 1 1 1 m 3.0",
        "50_50_43.mp4 0 0 0 1 0 1 m 6.0",
        "50_50_69.mp4 0 0 0 1 0 0 m 5.6",
    ),
    "test": (
        "50_50_17.mp4 0 0 0 1 0 0 f 5.6",
        "50_50_32.mp4 0 1 0 1 0 0 f 3.3",
        "50_50_42.mp4 0 0 0 0 0 0 f 4.0",
    ),
}
ELDERREACT_IDS = {f"elderreact/50_50_{n}" for n in (100, 104, 105, 35, 43, 69, 17, 32, 42)}
ESD = (  # speaker, number, emotion, folder of the split layout
    ("0001", 1, "Neutral", "evaluation"),
    ("0001", 351, "Angry", "evaluation"),
    ("0001", 400, "Angry", "test"),
    ("0004", 730, "Happy", "test"),
    ("0004", 1050, "Happy", "train"),
    ("0010", 1101, "Sad", "train"),
    ("0011", 1401, "Surprise", "evaluation"),
    ("0011", 21, "Neutral", "test"),
    ("0020", 1750, "Surprise", "train"),
    ("0020", 350, "Neutral", "train"),
)
IEMOCAP = {
    "Ses01F_impro01": {
        "Ses01F_impro01_F000": "neu",
        "Ses01F_impro01_M011": "fru",
        "Ses01F_impro01_F001": "xxx",
    },
    "Ses01M_script02_1": {"Ses01M_script02_1_F002": "ang", "Ses01M_script02_1_M003": "exc"},
    "Ses02F_script01_1": {"Ses02F_script01_1_F000": "sad", "Ses02F_script01_1_M000": "hap"},
    "Ses05M_script01_1b": {"Ses05M_script01_1b_F030": "sur", "Ses05M_script01_1b_M001": "oth"},
    "Ses05F_impro04": {"Ses05F_impro04_M017": "dis", "Ses05F_impro04_F005": "fea"},
}
TESS = (
    "OAF_Fear/OAF_back_fear",
    "OAF_Fear/OAF_food_fear",
    "OAF_Pleasant_surprise/OAF_bar_ps",
    "OAF_Sad/OAF_base_sad",
    "OAF_angry/OAF_back_angry",
    "OAF_neutral/OA_bite_neutral",
    "OAF_neutral/OAF_back_neutral",
    "YAF_angry/YAF_germ_angry",
    "YAF_disgust/YAF_back_disgust",
    "YAF_fear/YAF_neat_fear",
    "YAF_happy/YAF_bite_happy",
    "YAF_neutral/YAF_bite_neutral",
    "YAF_pleasant_surprised/YAF_bite_ps",
    "YAF_sad/YAF_back_sad",
)
TESS_FOLDER = "TESS Toronto emotional speech set data"
YUEMOTION_HEADER = "split,speaker_id,file_name,gender,age,sentence_id,label_id,label"
YUEMOTION = {
    "train": (
        "train,14,data/14_m60_08_1.wav,m,60,8,1,anger",
        "train,14,data/14_m60_01_5.wav,m,60,1,5,fear",
        "train,15,data/15_m62_05_4.wav,m,62,5,4,neutral",
        "train,15,data/15_m62_07_3.wav,m,62,7,3,sad",
        "train,4,data/04_f28_09_5.wav,f,28,9,5,fear",
        "train,4,data/04_f28_04_4.wav,f,28,4,4,neutral",
    ),
    "validation": (
        "validation,15,data/15_m62_02_4.wav,m,62,2,4,neutral",
        "validation,14,data/14_m60_09_5.wav,m,60,9,5,fear",
        "validation,15,data/15_m62_07_6.wav,m,62,7,6,disgust",
    ),
    "test": (
        "test,14,data/14_m60_01_4.wav,m,60,1,4,neutral",
        "test,14,data/14_m60_07_2.wav,m,60,7,2,happy",
        "test,15,data/15_m62_03_5.wav,m,62,3,5,fear",
    ),
}
YUEMOTION_STEMS = [line.split(",")[2][5:-4] for lines in YUEMOTION.values() for line in lines]
POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:c6f94b2592487c7556bd86df7df6e8f4420d1b9c11414aeec9d8e5e640b51495\nsize 72862\n"
)


def lay_crema_d(root, wav, folder="CREMA-D", audio_folder="AudioWAV", demographics=DEMOGRAPHICS):
    for stem in CREMA_D:
        wav(root / folder / audio_folder / f"{stem}.wav")
    if demographics is not None:
        (root / folder / "VideoDemographics.csv").write_text(demographics)
    return root / folder


def lay_csed(root, wav):
    for name in CSED:
        wav(root / "CSED" / "Training Data (wav)" / f"{name}.wav", rate=44100)
    return root / "CSED"


def lay_elderreact(root, wav, media=True):
    for part, lines in ELDERREACT.items():
        path = root / f"ElderReact/ElderReact-master/Annotations/{part}_labels.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        for line in lines if media else ():
            wav(root / f"ElderReact/ElderReact_{part}/{line.partition('.')[0]}.wav", rate=44100)
    return root / "ElderReact"


def lay_esd(root, wav, split):
    for speaker, number, emotion, part in ESD:
        folder = root / "Emotion Speech Dataset" / speaker / emotion
        wav((folder / part if split else folder) / f"{speaker}_{number:06}.wav")
    return root / "Emotion Speech Dataset"


def lay_iemocap(root, wav):
    release = root / "IEMOCAP_full_release"
    for dialog, labels in IEMOCAP.items():
        session = release / f"Session{dialog[4]}"
        lines = [
            f"[{n}.2901 - {n}.8357]\t{stem}\t{code}\t[2.5000, 2.5000, "
            "2.5000]\nC-E1:\tNeutral;\t()\n"
            for n, (stem, code) in enumerate(labels.items())
        ]
        path = session / "dialog" / "EmoEvaluation" / f"{dialog}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "\n".join(lines)
        )
        wav(session / "dialog" / "wav" / f"{dialog}.wav")
        for stem in labels:
            wav(session / "sentences" / "wav" / dialog / f"{stem}.wav")
    return release


def lay_tess(root, wav, above=f"TESS/{TESS_FOLDER}"):
    for name in TESS:
        wav(root / above / f"{name}.wav", rate=24414)
    return root / "TESS"


def lay_yuemotion_tables(root, **changed):
    """Metadata tables; `changed`: part -> other lines, or None for no table."""
    folder = root / "YueMotion"
    folder.mkdir(parents=True, exist_ok=True)
    for part, lines in (YUEMOTION | changed).items():
        if lines is not None:
            (folder / f"{part}_metadata.csv").write_text(
                "\n".join((YUEMOTION_HEADER, *lines)) + "\n"
            )
    return folder


def lay_yuemotion(root, wav):
    for stem in YUEMOTION_STEMS:
        wav(root / "YueMotion" / "data" / f"{stem}.wav")
    return lay_yuemotion_tables(root)


def pack(path, members):
    """Tar of (member name, content), as data.tar.bz2 is."""
    with tarfile.open(path, "w:bz2") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def clip_bytes(wav, folder, stem):
    return wav(folder / f"{stem}.wav").read_bytes()


def mp4(path, seconds=0.5, rate=44100, sound=True):
    """A real MP4: one grey video stream, and a tone in AAC."""
    av = pytest.importorskip("av", reason="PyAV (extra `video`) is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        stream = container.add_stream("aac", rate=rate, layout="stereo") if sound else None
        for n in range(int(25 * seconds)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
            frame.pts = n
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if sound:
            tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(
                np.float32
            )
            frame = av.AudioFrame.from_ndarray(
                np.stack([tone, tone]), format="fltp", layout="stereo"
            )
            frame.sample_rate = rate
            for packet in (*stream.encode(frame), *stream.encode()):
                container.mux(packet)
    return path


def ids(found):
    return set(found.table["id"])


def odd(found):
    """Findings but `missing`, of which a small tree has thousands, and other sound: (kind, where,
    detail)."""
    assert all(finding.kind in FINDINGS for finding in found.findings)
    usual = ("missing", "unrecognised")
    return [
        (finding.kind, finding.where, finding.detail)
        for finding in found.findings
        if finding.kind not in usual
    ]


def unrecognised(found):
    return {finding.where for finding in found.findings if finding.kind == "unrecognised"}


def missing(found):
    return {finding.where for finding in found.findings if finding.kind == "missing"}


def indexed_or_refused(index, root):
    """Manifest, or the message of CorpusMalformed, where a corpus may be read or refused but not
    end in anything else."""
    try:
        return index(root)
    except CorpusMalformed as error:
        return str(error)


def only(found):
    (finding,) = odd(found)
    return finding


# --- layouts ------------------------------------------------------------------------------------


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


def to_parquet(wav, scratch, path, lines, as_classes=False, columns=None):
    """Parquet file as the Hub's conversion makes it: struct column `audio`, and the metadata."""
    rows = [dict(zip(YUEMOTION_HEADER.split(","), line.split(","), strict=True)) for line in lines]
    stems = [Path(row["file_name"]).stem for row in rows]
    table = {
        "audio": pa.array(
            [{"bytes": clip_bytes(wav, scratch, stem), "path": f"{stem}.wav"} for stem in stems],
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        ),
        "split": [row["split"] for row in rows],
        "speaker_id": [int(row["speaker_id"]) if as_classes else row["speaker_id"] for row in rows],
        "file_name": [row["file_name"] for row in rows],
        "gender": [
            {"m": "male", "f": "female"}[row["gender"]] if as_classes else row["gender"]
            for row in rows
        ],
        "age": [int(row["age"]) for row in rows],
        "sentence_id": [int(row["sentence_id"]) for row in rows],
        "label_id": [int(row["label_id"]) for row in rows],
        "label": [row["label"] for row in rows],
    }
    if as_classes:
        table["split"] = [("train", "validation", "test").index(row["split"]) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({name: table[name] for name in columns or table}), path)


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
    quick = manifest.build(tmp_path / "quick")
    monkeypatch.setattr("bimotion.data.index.N_TRIED", 2)
    monkeypatch.setattr("bimotion.data.index.SLOW_S", 0)
    slow = manifest.build(tmp_path / "slow")
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
    alone = manifest.build(None, corpora=["esd"], locations={"esd": place})
    assert alone.corpora == ("esd",)
    assert ids(alone) == {identifier for identifier in ids(found) if identifier.startswith("esd/")}


# --- hostile twins ------------------------------------------------------------------------------


@pytest.fixture
def csed(tmp_path, wav):
    return lay_csed(tmp_path / "root", wav)


VICTIM = "Training Data (wav)/Natural/Nat_Female-12.wav"
VICTIM_ID = "csed/Nat_female_12"


def test_files_of_the_finder_are_not_seen(csed, index):
    for name in (
        ".DS_Store",
        "Training Data (wav)/.DS_Store",
        "Training Data (wav)/Natural/._Nat_Female-1.wav",
        "Training Data (wav)/Natural/._Nat_Female-3.wav",
    ):
        (csed / name).write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
    (csed / "__MACOSX").mkdir()
    (csed / "__MACOSX" / "._Nat_Female-4.wav").write_bytes(b"\x00\x05\x16\x07")
    found = index(csed.parent)
    assert ids(found) == CSED_IDS
    assert odd(found) == []


def test_hidden_files_and_folders_are_not_seen_where_any_name_would_count(tmp_path, wav, index):
    junk = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "
    elderreact, iemocap, csed = (
        lay_elderreact(tmp_path, wav),
        lay_iemocap(tmp_path, wav),
        lay_csed(tmp_path, wav),
    )
    (elderreact / "ElderReact_dev" / "._50_50_35.wav").write_bytes(junk)
    (elderreact / "ElderReact-master" / "Annotations" / "._dev_labels.txt").write_bytes(junk)
    (iemocap / "Session1" / "dialog" / "EmoEvaluation" / "._Ses01F_impro01.txt").write_bytes(junk)
    wav(csed / ".Trash-1000" / "files" / "Nat_Female-12.wav", seconds=0.3, rate=44100)
    found = index(tmp_path)
    assert odd(found) == []
    assert ids(found) >= CSED_IDS | ELDERREACT_IDS


def test_upper_case_extension(csed, index):
    for path in list(csed.rglob("*.wav")):
        path.rename(path.with_suffix(".WAV"))
    found = index(csed.parent)
    assert ids(found) == CSED_IDS
    assert odd(found) == []


def test_git_lfs_pointer(tmp_path, wav, index):
    folder = lay_crema_d(tmp_path, wav)
    for stem in CREMA_D[:7]:
        (folder / "AudioWAV" / f"{stem}.wav").write_text(POINTER)
    found = index(tmp_path)
    assert odd(found) == [
        ("pointer", f"AudioWAV/{stem}.wav", f"{len(POINTER)} bytes of text")
        for stem in sorted(CREMA_D[:7])
    ]
    assert ids(found) == {f"crema_d/{stem}" for stem in CREMA_D[7:]}
    assert not missing(found) & {f"crema_d/{stem}" for stem in CREMA_D}
    with pytest.raises(CorpusIncomplete) as raised:
        found.require_complete(["crema_d"])
    message = str(raised.value)
    assert "7 pointer: AudioWAV/1001_DFA_ANG_XX.wav" in message
    assert "... (7 in all)" in message
    assert str(folder) in message
    assert "allow_missing" in message
    assert "git lfs pull" in FINDINGS["pointer"]


def test_aiff_named_wav_is_usable_and_told(tmp_path, wav, index):
    folder = lay_tess(tmp_path, wav)
    wav(folder / TESS_FOLDER / "YAF_angry" / "YAF_germ_angry.wav", rate=24414, format="AIFF")
    found = index(tmp_path)
    assert only(found) == ("aiff", f"{TESS_FOLDER}/YAF_angry/YAF_germ_angry.wav", "")
    row = found.table.set_index("id").loc["tess/YAF_germ_angry"]
    assert (row["container"], row["sample_rate_hz"], row["n_frames"]) == (
        "AIFF",
        24414,
        round(0.2 * 24414),
    )
    assert len(audio.decode(found.path("tess", row["path"]))) == pytest.approx(3200, abs=2)
    assert found.unusable("tess") == [
        finding for finding in found.findings if finding.kind == "missing"
    ]


def test_another_sampling_rate_is_usable_and_told(tmp_path, wav, index):
    folder = lay_tess(tmp_path, wav)
    wav(folder / TESS_FOLDER / "OAF_Fear" / "OAF_food_fear.wav", rate=96000)
    found = index(tmp_path)
    assert only(found) == (
        "rate",
        f"{TESS_FOLDER}/OAF_Fear/OAF_food_fear.wav",
        "96000 Hz, expected 24414",
    )
    row = found.table.set_index("id").loc["tess/OAF_food_fear"]
    assert row["duration_s"] == pytest.approx(0.2)
    assert len(audio.decode(found.path("tess", row["path"]))) == 3200


def test_stereo_is_mixed_down(csed, wav, index):
    before = index(csed.parent)
    wav(csed / VICTIM, rate=44100, channels=2)
    found = index(csed.parent)
    assert odd(found) == []
    row = found.table.set_index("id").loc[VICTIM_ID]
    assert (row["n_channels"], row["duration_s"]) == (2, pytest.approx(0.2))
    assert found.fingerprint == before.fingerprint
    assert audio.decode(csed / VICTIM).ndim == 1


def truncated(content):
    return content[: len(content) // 2]


def text(content):
    return b"The owner of this server has moved the file you asked for.\n" * 40


@pytest.mark.parametrize(
    ("damage", "kind", "detail"),
    [
        (lambda content: b"", "empty", r"0 bytes"),
        (lambda content: content[:40] + bytes(4), "empty", r"no samples"),
        (truncated, "truncated", r"header announces 17684 bytes, found 8842"),
        (lambda content: content[:44], "truncated", r"header announces 17684 bytes, found 44"),
        (lambda content: content[:20], "truncated", r"header announces 17684 bytes, found 20"),
        (text, "unreadable", r"\S+.*"),
        (lambda content: b"\0" * 4000, "unreadable", r"\S+.*"),
        (lambda content: b"x", "unreadable", r"\S+.*"),
    ],
    ids=[
        "empty",
        "header only",
        "truncated",
        "header of a longer file",
        "half a header",
        "text",
        "zeros",
        "one byte",
    ],
)
def test_damaged_sound_is_told_and_never_used(csed, index, damage, kind, detail):
    path = csed / VICTIM
    content = path.read_bytes()
    if kind == "empty" and detail == "no samples":  # a whole header, of a file without samples
        content = (36).to_bytes(4, "little").join([content[:4], content[8:]])
    path.write_bytes(damage(content))
    found = index(csed.parent)
    seen = only(found)
    assert seen[:2] == (kind, VICTIM)
    assert re.fullmatch(detail, seen[2]), seen
    assert ids(found) == CSED_IDS - {VICTIM_ID}
    assert VICTIM_ID in set(found.listed["id"])
    assert VICTIM_ID not in missing(found)
    with pytest.raises(CorpusIncomplete, match=f"1 {kind}: {re.escape(VICTIM)}"):
        found.require_complete(["csed"])


def test_streamed_wav_without_a_length_is_sound(csed, index):
    path = csed / VICTIM
    content = bytearray(path.read_bytes())
    content[4:8] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    found = index(csed.parent)
    assert odd(found) == []
    assert ids(found) == CSED_IDS


@pytest.mark.parametrize(
    ("sound", "content"), [(False, None), (True, b"not an mp4 at all" * 9), (True, b"")]
)
def test_damaged_video(tmp_path, wav, index, sound, content):
    folder = lay_elderreact(tmp_path, wav, media=False)
    path = mp4(folder / "videos" / "50_50_35.mp4", sound=sound)
    if content is not None:
        path.write_bytes(content)
    found = index(tmp_path)
    kind, where, detail = only(found)
    assert (kind, where) == ("empty" if content == b"" else "unreadable", "videos/50_50_35.mp4")
    assert detail
    if content is None:
        assert detail == "expected a video with sound, found none in it"
    assert ids(found) == set()
    assert missing(found) >= ELDERREACT_IDS - {"elderreact/50_50_35"}


def test_a_video_with_any_byte_of_its_tables_changed_is_read_or_told(tmp_path):
    content = mp4(tmp_path / "clip.mp4", seconds=0.04, rate=8000).read_bytes()
    of_sound, told = content.index(b"soun"), set()  # who made it, codec, rate, sizes, places
    for place in (*range(32), *range(of_sound, len(content))):
        path = tmp_path / f"{place % 2}.mp4"
        path.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        header = audio.header(path)
        assert (header.n_frames > 0) == (header.problem is None)
        assert "\n" not in header.detail
        told.add(header.problem)
        if header.problem is None and place % 20 == 0:
            with suppress(AudioError):
                audio.read(path)
    assert told >= {None, "unreadable"}


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


def test_unknown_iemocap_label(tmp_path, wav, index):
    table = lay_iemocap(tmp_path, wav) / "Session2/dialog/EmoEvaluation/Ses02F_script01_1.txt"
    table.write_text(table.read_text().replace("\thap\t", "\tjoy\t"))
    with pytest.raises(CorpusMalformed) as raised:
        index(tmp_path)
    message = str(raised.value)
    assert f"{table}:6: unknown label 'joy'" in message
    assert "ang, dis, exc, fea, fru, hap, neu, oth, sad, sur, xxx" in message


def test_iemocap_clip_without_a_label_and_release_without_label_files(tmp_path, wav, index):
    folder = lay_iemocap(tmp_path, wav)
    wav(folder / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M012.wav")
    found = index(tmp_path)
    assert only(found) == (
        "unlabelled",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M012.wav",
        "not in EmoEvaluation/Ses01F_impro01.txt",
    )
    for path in folder.rglob("*.txt"):
        path.unlink()
    with pytest.raises(
        CorpusMalformed, match=r"expected label files .*EmoEvaluation.*found none"
    ) as raised:
        index(tmp_path)
    assert str(folder) in str(raised.value)


def test_crema_d_actor_who_is_not_in_the_demographics(tmp_path, wav, index):
    lay_crema_d(tmp_path, wav, demographics=DEMOGRAPHICS.replace('1091,29,"Female","x","x"\n', ""))
    found = index(tmp_path)
    assert odd(found) == [
        ("unlabelled", f"AudioWAV/{stem}.wav", "actor 1091 is not in VideoDemographics.csv")
        for stem in ("1091_MTI_ANG_XX", "1091_WSI_FEA_XX")
    ]
    assert ids(found) == {f"crema_d/{stem}" for stem in CREMA_D if not stem.startswith("1091")}


def test_crema_d_without_demographics(tmp_path, wav, index):
    folder = lay_crema_d(tmp_path, wav, demographics=None)
    with pytest.raises(
        CorpusMalformed, match=r"expected VideoDemographics\.csv .* found none"
    ) as raised:
        index(tmp_path)
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        DEMOGRAPHICS.replace("Age", "Years"),
        DEMOGRAPHICS.replace('1002,21,"Female"', '1002,young,"Female"'),
        DEMOGRAPHICS.replace('1002,21,"Female"', '1002,21,"Lady"'),
        DEMOGRAPHICS + "1003\n",
    ],
    ids=["column", "age", "sex", "short row"],
)
def test_crema_d_demographics_that_make_no_sense(tmp_path, wav, index, content):
    folder = lay_crema_d(tmp_path, wav, demographics=content)
    with pytest.raises(CorpusMalformed, match="expected columns ActorID, Age, Sex") as raised:
        index(tmp_path)
    assert str(folder / "VideoDemographics.csv") in str(raised.value)


def test_text_file_that_is_binary(tmp_path, wav, index):
    folder = lay_crema_d(tmp_path, wav)
    (folder / "VideoDemographics.csv").write_bytes(b"PK\x03\x04\0\0\0\0")
    with pytest.raises(
        CorpusMalformed, match=r"VideoDemographics\.csv: expected text, found binary data"
    ):
        index(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "50_50_36.mp4 1 1 1 1 1 1 m",
        "50_50_36.mp4 1 1 1 1 1 2 m 3.0",
        "50_50_36.mp4 1 1 1 1 1 1 male 3.0",
        "50_50_36.mp4,1,1,1,1,1,1,m,3.0",
        "50 50 36.mp4 1 1 1 1 1 1 m 3.0",
    ],
)
def test_malformed_elderreact_line(tmp_path, wav, index, line):
    table = lay_elderreact(tmp_path, wav) / "ElderReact-master/Annotations/dev_labels.txt"
    table.write_text(table.read_text() + line + "\n")
    with pytest.raises(CorpusMalformed) as raised:
        index(tmp_path)
    message = str(raised.value)
    assert f"{table}:4: expected '<name>.mp4'" in message
    assert f"found {line!r}" in message


def test_elderreact_without_a_label_file_and_with_a_clip_too_many(tmp_path, wav, index):
    folder = lay_elderreact(tmp_path, wav)
    wav(folder / "ElderReact_dev" / "50_50_999.wav")
    assert only(index(tmp_path)) == (
        "unlabelled",
        "ElderReact_dev/50_50_999.wav",
        "in no label file",
    )
    (folder / "ElderReact-master/Annotations/dev_labels.txt").unlink()
    with pytest.raises(
        CorpusMalformed, match=r"expected train_labels\.txt, .* missing dev_labels\.txt"
    ):
        index(tmp_path)


def test_elderreact_clip_that_is_labelled_twice(tmp_path, wav, index):
    table = lay_elderreact(tmp_path, wav) / "ElderReact-master/Annotations/test_labels.txt"
    # in train too, with other emotions
    table.write_text(table.read_text() + "50_50_100.mp4 1 0 0 0 0 0 f 2.0\n")
    found = indexed_or_refused(index, tmp_path)
    said = found if isinstance(found, str) else " ".join(only(found)[:2])
    assert "50_50_100" in said
    assert isinstance(found, str) or said.startswith("contradiction")


@pytest.mark.parametrize("corpus", ["elderreact", "yuemotion"])
def test_clip_that_is_listed_twice_alike_counts_once(tmp_path, wav, index, corpus):
    if corpus == "elderreact":
        table = (
            lay_elderreact(tmp_path, wav, media=False)
            / "ElderReact-master/Annotations/test_labels.txt"
        )
        table.write_text(table.read_text() * 2)
        expected = len(ELDERREACT_IDS)
    else:
        lay_yuemotion_tables(tmp_path, train=YUEMOTION["train"] * 2)
        expected = len(YUEMOTION_STEMS)
    found = index(tmp_path)
    assert len(found.listed) == found.listed["id"].nunique() == expected
    assert odd(found) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "test,14,data/14_m60_01_4.wav,m,59,1,4,neutral",
            r"'data/14_m60_01_4\.wav' and columns .*'59'.* disagree",
        ),
        (
            "test,13,data/14_m60_01_4.wav,m,60,1,4,neutral",
            r"'data/14_m60_01_4\.wav' and columns .*'13'.* disagree",
        ),
        (
            "test,14,data/14_m60_01_4.wav,f,60,1,4,neutral",
            r"'data/14_m60_01_4\.wav' and columns .*'f'.* disagree",
        ),
        (
            "test,14,data/14_m60_01_4.wav,m,60,2,4,neutral",
            r"'data/14_m60_01_4\.wav' and columns .*'02'.* disagree",
        ),
        (
            "test,14,data/14_m60_01_4.wav,m,60,1,4,fear",
            r"'data/14_m60_01_4\.wav' and columns .*'fear'.* disagree",
        ),
        (
            "dev,14,data/14_m60_01_4.wav,m,60,1,4,neutral",
            r"expected a split \(train, validation, test\).*found 'dev'",
        ),
        (
            "test,14,data/14_m60_01_7.wav,m,60,1,7,neutral",
            r"expected .* a file name .*found .*'data/14_m60_01_7\.wav'",
        ),
        ("test,14,data/14_m60_01_4.wav,m,60,1,4,joy", r"a label \(anger, happy, .*'joy'"),
        (
            "test,14,data/14_m60_01_4.wav",
            r"expected columns split,speaker_id,.*; missing gender, age, ",
        ),
    ],
)
def test_yuemotion_row_that_disagrees_with_its_file_name(tmp_path, wav, index, line, said):
    lay_yuemotion(tmp_path, wav)
    lay_yuemotion_tables(tmp_path, test=(YUEMOTION["test"][1], line))
    with pytest.raises(CorpusMalformed, match=said) as raised:
        index(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path / 'YueMotion' / 'test_metadata.csv'}:3: ")


def test_yuemotion_without_one_table_and_with_a_clip_too_many(tmp_path, wav, index):
    folder = lay_yuemotion(tmp_path, wav)
    wav(folder / "data" / "14_m60_02_2.wav")
    assert only(index(tmp_path)) == ("unlabelled", "data/14_m60_02_2.wav", "in no metadata table")
    (folder / "validation_metadata.csv").unlink()
    with pytest.raises(
        CorpusMalformed,
        match=r"validation_metadata\.csv.*found test_metadata\.csv, train_metadata\.csv;",
    ):
        index(tmp_path)


def test_yuemotion_says_how_many_clips_its_metadata_lacks(tmp_path, wav, index):
    folder = lay_yuemotion(tmp_path, wav)
    (folder / "data" / "04_f28_09_5.wav").unlink()
    found = index(tmp_path)
    assert missing(found) == {"yuemotion/04_f28_09_5", f"{1080 - len(YUEMOTION_STEMS)} more"}
    assert odd(found) == []


@pytest.mark.parametrize(
    "evil",
    [
        "../../evil.wav",
        "/evil.wav",
        "../../{stem}.wav",
        "{outside}/{stem}.wav",
        "data/../../{stem}.wav",
    ],
)
def test_archive_that_wants_to_write_elsewhere(tmp_path, wav, index, evil):
    """Clips are taken by their bare names; no folder of the archive is followed, no other file
    comes out of it."""
    folder, outside = lay_yuemotion_tables(tmp_path / "root"), tmp_path / "outside"
    outside.mkdir()
    first, *others = YUEMOTION_STEMS
    members = [(f"data/{stem}.wav", clip_bytes(wav, tmp_path / "scratch", stem)) for stem in others]
    name = evil.format(stem=first, outside=outside)
    pack(folder / "data.tar.bz2", [*members, (name, clip_bytes(wav, tmp_path / "scratch", first))])
    before = {path for path in tmp_path.rglob("*") if files.cache_dir() not in path.parents}
    found = index(tmp_path / "root")
    assert ids(found) == {
        f"yuemotion/{stem}" for stem in (YUEMOTION_STEMS if "{stem}" in evil else others)
    }
    assert {path for path in tmp_path.rglob("*") if files.cache_dir() not in path.parents} == before
    assert not list(outside.iterdir())
    assert not Path("/evil.wav").exists()
    inside = found.roots["yuemotion"]
    assert inside.is_relative_to(files.cache_dir())
    assert {path.relative_to(inside).parts[0] for path in inside.rglob("*")} == {
        "data",
        "train_metadata.csv",
        "validation_metadata.csv",
        "test_metadata.csv",
    }
    assert not list(files.cache_dir().rglob("evil*"))


def test_archive_with_links_instead_of_clips(tmp_path, wav, index):
    folder = lay_yuemotion_tables(tmp_path)
    first, second, *others = YUEMOTION_STEMS
    pack(
        folder / "data.tar.bz2",
        [(f"data/{stem}.wav", clip_bytes(wav, tmp_path / "scratch", stem)) for stem in others],
    )
    content = (folder / "data.tar.bz2").read_bytes()
    with (
        tarfile.open(fileobj=io.BytesIO(content)) as old,
        tarfile.open(folder / "data.tar.bz2", "w:bz2") as new,
    ):
        for member in old:
            new.addfile(member, old.extractfile(member))
        for stem, kind in ((first, tarfile.SYMTYPE), (second, tarfile.LNKTYPE)):
            link = tarfile.TarInfo(f"data/{stem}.wav")
            link.type, link.linkname = kind, "/etc/passwd"
            new.addfile(link)
    shutil.rmtree(tmp_path / "scratch")
    found = index(tmp_path)
    assert ids(found) == {f"yuemotion/{stem}" for stem in others}
    assert {f"yuemotion/{first}", f"yuemotion/{second}"} <= missing(found)
    assert not [path for path in found.roots["yuemotion"].rglob("*") if path.is_symlink()]


def test_archive_with_too_many_or_too_large_clips(tmp_path, wav, index, monkeypatch):
    from bimotion.corpora import yuemotion

    folder = lay_yuemotion_tables(tmp_path / "root")
    members = [
        (f"data/{stem}.wav", clip_bytes(wav, tmp_path / "scratch", stem))
        for stem in YUEMOTION_STEMS
    ]
    pack(folder / "data.tar.bz2", members)
    size = len(members[0][1])
    for name, value in (("MAX_CLIPS", len(members) - 1), ("MAX_BYTES", 2 * size)):
        with monkeypatch.context() as patch:
            patch.setattr(yuemotion, name, value)
            patch.setenv("BIMOTION_CACHE", str(tmp_path / name))
            with pytest.raises(
                CorpusMalformed,
                match=r"data\.tar\.bz2: expected at most .*found more at data/.*: not YueMotion's",
            ):
                index(tmp_path / "root")


@pytest.mark.parametrize(
    "damage", [truncated, text, lambda content: b""], ids=["truncated", "text", "empty"]
)
def test_damaged_archive(tmp_path, wav, index, damage):
    folder = lay_yuemotion_tables(tmp_path / "root")
    archive = folder / "data.tar.bz2"
    pack(
        archive,
        [
            (f"data/{stem}.wav", clip_bytes(wav, tmp_path / "scratch", stem))
            for stem in YUEMOTION_STEMS
        ],
    )
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(
        CorpusMalformed, match=r"(?s)expected a tar of wavs, found: .*download it again"
    ) as raised:
        index(tmp_path / "root")
    assert str(archive) in str(raised.value)


def test_damaged_archive_says_the_same_when_tried_again(tmp_path, index, monkeypatch):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    (lay_yuemotion_tables(tmp_path / "root") / "data.tar.bz2").write_bytes(b"BZh91AY damaged")
    for _ in range(2):
        with pytest.raises(CorpusMalformed):
            index(tmp_path / "root")
    assert not list((tmp_path / "cache").rglob(".unpacked*"))


def test_parquet_of_something_else_is_not_yuemotion(tmp_path, wav, index):
    lay_csed(tmp_path, wav)
    (tmp_path / "other").mkdir()
    pq.write_table(
        pa.table({"audio": [1], "split": ["train"], "label": ["x"]}),
        tmp_path / "other" / "0000.parquet",
    )
    (tmp_path / "other" / "broken.parquet").write_bytes(b"PAR1 not really")
    assert index(tmp_path).corpora == ("csed",)


def test_yuemotion_parquet_without_bytes(tmp_path, wav, index):
    path = tmp_path / "root" / "YueMotion" / "0000.parquet"
    to_parquet(wav, tmp_path / "scratch", path, YUEMOTION["train"])
    table = pq.read_table(path)
    paths_only = pa.array(
        [{"bytes": None, "path": "a.wav"}] * len(table), table.schema.field("audio").type
    )
    pq.write_table(table.set_column(0, "audio", paths_only), path)
    with pytest.raises(
        CorpusMalformed, match=r"0000\.parquet: expected the column audio to hold bytes, found none"
    ):
        index(tmp_path / "root")


# --- roots --------------------------------------------------------------------------------------


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
        manifest.build(root)
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
