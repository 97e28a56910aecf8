"""Small raw copies of the corpora, as their authors lay them out, and what indexing reports."""

import io
import re
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from bimotion.corpora.utterance import FINDINGS


class Clip(NamedTuple):
    """A file of valid sound; `take` tells recordings of one name apart."""

    seconds: float = 0.2
    rate: int | None = None
    """None: the corpus's own."""
    channels: int = 1
    format: str = "WAV"
    take: int = 0


DEMOGRAPHICS = """"ActorID","Age","Sex","Race","Ethnicity"
1001,51,"Male","x","x"
1002,21,"Female","x","x"
1016,61,"Male","x","x"
1091,29,"Female","x","x"
"""
ANNOTATIONS = "ElderReact-master/Annotations"
TESS = "TESS Toronto emotional speech set data"
YUEMOTION_HEADER = "split,speaker_id,file_name,gender,age,sentence_id,label_id,label\n"
YUEMOTION = {
    "train": """\
train,14,data/14_m60_08_1.wav,m,60,8,1,anger
train,15,data/15_m62_05_4.wav,m,62,5,4,neutral
train,4,data/04_f28_09_5.wav,f,28,9,5,fear
""",
    "validation": """\
validation,15,data/15_m62_02_4.wav,m,62,2,4,neutral
validation,15,data/15_m62_07_6.wav,m,62,7,6,disgust
""",
    "test": """\
test,14,data/14_m60_01_4.wav,m,60,1,4,neutral
test,14,data/14_m60_07_2.wav,m,60,7,2,happy
test,15,data/15_m62_03_5.wav,m,62,3,5,fear
""",
}
YUEMOTION_TABLES = {
    f"{part}_metadata.csv": YUEMOTION_HEADER + lines for part, lines in YUEMOTION.items()
}
YUEMOTION_STEMS = re.findall(r"data/(\w+)\.wav", "".join(YUEMOTION.values()))
IEMOCAP = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[0.2901 - 0.8357]\tSes0{0}000\t{1}\t[2.5000, 2.5000, 2.5000]
C-E1:\tNeutral;\t()

[1.2901 - 1.8357]\tSes0{2}011\t{3}\t[2.5000, 2.5000, 2.5000]
C-E1:\tNeutral;\t()
"""
RATES_HZ = {"csed": 44100, "elderreact": 44100, "shemo": 44100, "urdu": 44100, "tess": 24414}


def clips(folder: str, *names: str) -> dict[str, Clip]:
    """Path of each clip in a folder -> its sound."""
    return {f"{folder}/{name}.wav": Clip() for name in names}


TREES: dict[str, dict[str, object]] = {  # corpus -> path below its folder -> text or Clip
    "crema_d": {
        **clips("AudioWAV", "1001_DFA_ANG_XX", "1001_IEO_SAD_LO", "1002_IEO_HAP_HI"),
        **clips("AudioWAV", "1016_IEO_FEA_MD", "1091_WSI_DIS_XX", "1091_MTI_NEU_XX"),
        "VideoDemographics.csv": DEMOGRAPHICS,
    },
    "csed": {
        **clips("Training Data (wav)/Natural", "Nat_Female-1", "Nat_Female-12", "Nat_Male-1"),
        **clips("Training Data (wav)/Negative", "Neg-Male-3", "Neg_Female-5"),
        **clips("Training Data (wav)/Positive", "Pos_female-100", "Pos_male-115"),
        "Readme.md": "about",
    },
    "elderreact": {
        f"{ANNOTATIONS}/train_labels.txt": "50_50_100.mp4 0 1 1 0 0 1 f 1.6666666666666667\n",
        f"{ANNOTATIONS}/dev_labels.txt": "50_50_35.mp4 1 1 1 1 1 1 m 3.0\n"
        "50_50_69.mp4 0 0 0 1 0 0 m 5.6\n",
        f"{ANNOTATIONS}/test_labels.txt": "50_50_42.mp4 0 0 0 0 0 0 f 4.0\n",
        **clips("ElderReact_train", "50_50_100"),
        **clips("ElderReact_dev", "50_50_35", "50_50_69"),
        **clips("ElderReact_test", "50_50_42"),
    },
    "emo_db": {
        **clips("wav", "03a01Wa", "08a02La", "09a05Ed", "10a07Aa", "11b02Fd", "12b09Td"),
        **clips("wav", "13b10Nc", "16b03Ta"),
        "lablaut/03a01Wa.lablaut": "header\n",
        "erkennung.txt": "Nr.\tSatz\terkannt\tnatuerlich\n1\xa0\t03a01Ab.wav\t65,00\xa0\n",
    },
    "esd": {
        **clips("0001/Neutral/evaluation", "0001_000001"),
        **clips("0001/Angry/test", "0001_000400"),
        **clips("0001/Angry/train", "0001_000402"),
        **clips("0004/Happy/test", "0004_000730"),
        **clips("0010/Sad/train", "0010_001101"),
        **clips("0011/Surprise/evaluation", "0011_001401"),
        **clips("0020/Surprise/train", "0020_001750"),
        "0001/0001.txt": "0001_000402\ttext\tAngry\n",
    },
    "iemocap": {
        f"Session{dialog[0]}/{path}": content
        for dialog, first, last in (
            ("1F_impro01", "F neu", "M fru"),
            ("1M_script02_1", "F ang", "M exc"),
            ("2F_script01_1", "F sad", "M hap"),
            ("5F_impro04", "M dis", "F xxx"),
        )
        for path, content in {
            f"dialog/EmoEvaluation/Ses0{dialog}.txt": IEMOCAP.format(
                f"{dialog}_{first[0]}", first[2:], f"{dialog}_{last[0]}", last[2:]
            ),
            f"sentences/wav/Ses0{dialog}/Ses0{dialog}_{first[0]}000.wav": Clip(),
            f"sentences/wav/Ses0{dialog}/Ses0{dialog}_{last[0]}011.wav": Clip(),
        }.items()
    },
    "shemo": {
        **clips("female", "F03S02", "F21N23", "F10W01"),
        **clips("male", "M21F01", "M28A43", "M12H01"),
        "README.md": "about",
    },
    "tess": {
        **clips(f"{TESS}/OAF_Fear", "OAF_back_fear", "OAF_food_fear"),
        **clips(f"{TESS}/OAF_Pleasant_surprise", "OAF_bar_ps"),
        **clips(f"{TESS}/OAF_neutral", "OA_bite_neutral", "OAF_back_neutral"),
        **clips(f"{TESS}/YAF_disgust", "YAF_back_disgust"),
        **clips(f"{TESS}/YAF_pleasant_surprised", "YAF_bite_ps"),
    },
    "urdu": {
        **clips("Angry", "SM1_F1_A01", "SM1_F10_A010", "SM4_F48_A0100"),
        **clips("Happy", "SM3_F1_H053"),
        **clips("Neutral", "SM3_F1_N021"),
        **clips("Sad", "SF10_F1_S01"),
        "README.md": "about",
    },
    "yuemotion": {**clips("data", *YUEMOTION_STEMS), **YUEMOTION_TABLES},
}
FACTS = {  # id -> native label, emotions, speaker, sentence, language, age, gender, official split
    "crema_d/1016_IEO_FEA_MD": ("FEA", "fear", "1016", "IEO", "eng", 61, "m", None),
    "crema_d/1002_IEO_HAP_HI": ("HAP", "happiness", "1002", "IEO", "eng", 21, "f", None),
    "csed/Nat_female_12": ("Nat", "neutral", None, None, "zho", 65, "f", None),
    "csed/Pos_male_115": ("Pos", "positive", None, None, "zho", 65, "m", None),
    "elderreact/50_50_42": ("0 0 0 0 0 0 f 4.0", "", None, None, "eng", 65, "f", "test"),
    "elderreact/50_50_35": (
        "1 1 1 1 1 1 m 3.0",
        "sadness fear angry happiness disgust surprise",
        *(None, None, "eng", 65, "m", "validation"),
    ),
    "elderreact/50_50_69": (
        "0 0 0 1 0 0 m 5.6",
        "happiness",
        *(None, None, "eng", 65, "m", "validation"),
    ),
    "elderreact/50_50_100": (
        "0 1 1 0 0 1 f 1.6666666666666667",
        "fear disgust surprise",
        *(None, None, "eng", 65, "f", "train"),
    ),
    "emo_db/03a01Wa": ("W", "angry", "03", "a01", "deu", 31, "m", None),
    "emo_db/08a02La": ("L", "other", "08", "a02", "deu", 34, "f", None),
    "emo_db/09a05Ed": ("E", "disgust", "09", "a05", "deu", 21, "f", None),
    "emo_db/10a07Aa": ("A", "fear", "10", "a07", "deu", 32, "m", None),
    "emo_db/11b02Fd": ("F", "happiness", "11", "b02", "deu", 26, "m", None),
    "emo_db/12b09Td": ("T", "sadness", "12", "b09", "deu", 30, "m", None),
    "emo_db/13b10Nc": ("N", "neutral", "13", "b10", "deu", 32, "f", None),
    "esd/0001_000001": ("Neutral", "neutral", "0001", "zho_001", "zho", 30, "f", "validation"),
    "esd/0004_000730": ("Happy", "happiness", "0004", "zho_030", "zho", 30, "m", "test"),
    "esd/0020_001750": ("Surprise", "surprise", "0020", "eng_350", "eng", 30, "m", "train"),
    "iemocap/Ses01F_impro01_M011": ("fru", "frustrated", "1M", None, "eng", 30, "m", None),
    "iemocap/Ses05F_impro04_F011": ("xxx", "unknown", "5F", None, "eng", 30, "f", None),
    "shemo/F03S02": ("S", "sadness", "F03", None, "fas", 30, "f", None),
    "shemo/F21N23": ("N", "neutral", "F21", None, "fas", 30, "f", None),
    "shemo/F10W01": ("W", "surprise", "F10", None, "fas", 30, "f", None),
    "shemo/M21F01": ("F", "fear", "M21", None, "fas", 30, "m", None),
    "shemo/M28A43": ("A", "angry", "M28", None, "fas", 30, "m", None),
    "shemo/M12H01": ("H", "happiness", "M12", None, "fas", 30, "m", None),
    "tess/OAF_bite_neutral": ("neutral", "neutral", "OAF", "bite", "eng", 64, "f", None),
    "tess/YAF_bite_ps": ("ps", "surprise", "YAF", "bite", "eng", 26, "f", None),
    "urdu/SM4_F48_A0100": ("A", "angry", "SM4", None, "urd", 30, "m", None),
    "urdu/SM3_F1_H053": ("H", "happiness", "SM3", None, "urd", 30, "m", None),
    "urdu/SM3_F1_N021": ("N", "neutral", "SM3", None, "urd", 30, "m", None),
    "urdu/SF10_F1_S01": ("S", "sadness", "SF10", None, "urd", 30, "f", None),
    "yuemotion/14_m60_07_2": ("happy", "happiness", "14", "07", "yue", 60, "m", "test"),
    "yuemotion/04_f28_09_5": ("fear", "fear", "04", "09", "yue", 28, "f", "train"),
}


def write_clip(path: Path, seconds=0.2, rate=16000, channels=1, format="WAV", take=0) -> Path:
    """A valid clip, a tone whose pitch hangs on the file's name: equal names sound equal, others do
    not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    hz = 100 + (zlib.crc32(path.stem.encode()) + 500 * take) % 3000
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
    samples = np.repeat((32767 * tone).astype(np.int16)[:, None], channels, axis=1)
    soundfile.write(path, samples, rate, format=format, subtype="PCM_16")
    return path


def lay(root: Path, corpus: str, changes: dict | None = None, *, folder: str | None = None) -> Path:
    """Write the tree of a corpus with changes (path -> text, bytes, Clip, None for no file) into a
    folder below a root, and return that folder."""
    return lay_tree(root / (folder or corpus), corpus, TREES[corpus] | (changes or {}))


def lay_tree(folder: Path, corpus: str, tree: dict[str, object]) -> Path:
    """Write a tree into a folder."""
    for path, content in tree.items():
        target = folder / path
        if isinstance(content, Clip):
            rate = content.rate or RATES_HZ.get(corpus, 16000)
            write_clip(target, **content._replace(rate=rate)._asdict())
        elif content is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def recording(folder: Path, name: str = "clip.wav", **options) -> bytes:
    """The content of a clip, made in a folder of scratch."""
    return write_clip(folder / name, **options).read_bytes()


def pack(path: Path, members: dict[str, bytes], kind: str = "bz2") -> None:
    """Tar of member name -> content, as data.tar.bz2 is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, f"w:{kind}") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def mp4(path: Path, seconds=0.5, rate=44100, sound=True) -> Path:
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
            tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
            stereo = np.stack([tone, tone]).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(stereo, format="fltp", layout="stereo")
            frame.sample_rate = rate
            for packet in (*stream.encode(frame), *stream.encode()):
                container.mux(packet)
    return path


def ids(manifest) -> set[str]:
    """Ids of the clips that can be used."""
    return set(manifest.table["id"])


def findings(manifest) -> list[str]:
    """Each finding as a line, but `missing`, of which a small tree has thousands."""
    assert all(finding.kind in FINDINGS for finding in manifest.findings)
    return [
        f"{finding.kind} {finding.where}: {finding.detail}".removesuffix(": ")
        for finding in manifest.findings
        if finding.kind != "missing"
    ]


def missing(manifest) -> set[str]:
    """Ids of clips that are listed and have no file."""
    return {finding.where for finding in manifest.findings if finding.kind == "missing"}
