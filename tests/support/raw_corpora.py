"""Small raw copies of the corpora, as their authors lay them out, and what indexing finds."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bimotion.corpora.utterance import FINDINGS
from bimotion.errors import (
    CorpusMalformed,
)

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


VICTIM = "Training Data (wav)/Natural/Nat_Female-12.wav"


VICTIM_ID = "csed/Nat_female_12"


def truncated(content):
    return content[: len(content) // 2]


def text(content):
    return b"The owner of this server has moved the file you asked for.\n" * 40
