"""Raw corpora with the true names of every clip, from the lists in ../shared/corpora, each clip a
tiny valid wav.

Nothing of those lists is copied into the repository: the trees are built in a temporary folder when
the tests run.
"""

import csv
import io
import itertools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import soundfile

# beside the checkout; BIMOTION_SHARED=/nonexistent hides both (.ci/run)
BESIDE = Path(os.environ.get("BIMOTION_SHARED") or Path(__file__).parents[3] / "shared")
SHARED = Path(os.environ.get("BIMOTION_CORPORA") or BESIDE / "corpora")
MODELS = Path(os.environ.get("BIMOTION_MODELS") or BESIDE / "models")
# number, gender, age: the card's 7 + 4 adults and 5 + 2 elders, one of them 59 years old
YUEMOTION_SPEAKERS = [
    *((n, "f", 20 + 3 * n) for n in range(1, 8)),
    *((n, "m", 25 + n) for n in range(8, 12)),
    *((n, "f", 45 + n) for n in range(14, 19)),
    *((n, "m", 50 + n) for n in range(12, 14)),
]
YUEMOTION_COLUMNS = (
    "split",
    "speaker_id",
    "file_name",
    "gender",
    "age",
    "sentence_id",
    "label_id",
    "label",
)
YUEMOTION_LABELS = ("anger", "happy", "sad", "neutral", "fear", "disgust")


def tiny_wav(rate: int) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(16, 0.1, np.float32), rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def lay(root: Path, paths, rate: int) -> None:
    """One file a folder, the others are links to it: no test writes into these trees."""
    content, first = tiny_wav(rate), {}
    for path in paths:
        target = root / path
        if target.parent in first:
            os.link(first[target.parent], target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            first[target.parent] = target


def rows(path: Path, delimiter: str = "\t") -> list[dict]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def crema_d(root: Path) -> None:
    lay(
        root / "crema",
        (row["path"] for row in rows(SHARED / "CREMA-D/AudioWAV.manifest.tsv")),
        16000,
    )
    shutil.copy(SHARED / "CREMA-D/VideoDemographics.csv", root / "crema")


def csed(root: Path) -> None:
    lay(
        root / "Chinese-Speech-Emotion-Datasets",
        (row["path"] for row in rows(SHARED / "CSED/manifest.tsv")),
        44100,
    )


def elderreact(root: Path) -> None:
    annotations = SHARED / "ElderReact/ElderReact-master/Annotations"
    shutil.copytree(annotations, root / "ElderReact/ElderReact-master/Annotations")
    for part in ("train", "dev", "test"):
        names = [
            line.split()[0]
            for line in (annotations / f"{part}_labels.txt").read_text().splitlines()
        ]
        lay(
            root / f"ElderReact/ElderReact_{part}",
            (name.replace(".mp4", ".wav") for name in names),
            44100,
        )


def esd(root: Path) -> None:
    listed = itertools.chain(
        rows(SHARED / "ESD/file_names/esd_train.csv", ","),
        rows(SHARED / "ESD/file_names/esd_test.csv", ","),
    )
    lay(root, (row["file"].replace("ESD/", "Emotion Speech Dataset/", 1) for row in listed), 16000)


IEMOCAP_CODES = {  # EMO-SUPERB's name -> code of the release
    "frustrated": "fru",
    "angry": "ang",
    "sad": "sad",
    "disgust": "dis",
    "excited": "exc",
    "fear": "fea",
    "neutral": "neu",
    "surprise": "sur",
    "happy": "hap",
}


def iemocap(root: Path) -> None:
    """Names from EMO-SUPERB's table, codes from its soft labels (the true codes need the signed
    release)."""
    table = rows(SHARED / "IEMOCAP/EMO-SUPERB/labels_consensus_1.csv", ",")
    dialogs: dict[str, list[str]] = {}
    for row in table:
        stem = row["FileName"].removesuffix(".wav")
        label = IEMOCAP_CODES[max(IEMOCAP_CODES, key=lambda name: float(row[name]))]
        lines = dialogs.setdefault(stem.rpartition("_")[0], [])
        lines.append(
            f"[{len(lines)}.2901 - {len(lines)}.9357]\t{stem}\t{label}\t[2.5000, 2.5000, "
            "2.5000]\nC-E2:\tNeutral;\t()\n"
        )
    lay(
        root / "IEMOCAP_full_release",
        (
            f"Session{stem[4]}/sentences/wav/{stem.rpartition('_')[0]}/{stem}.wav"
            for stem in (row["FileName"].removesuffix(".wav") for row in table)
        ),
        16000,
    )
    for dialog, lines in dialogs.items():
        folder = root / f"IEMOCAP_full_release/Session{dialog[4]}/dialog/EmoEvaluation"
        folder.mkdir(parents=True, exist_ok=True)
        header = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        (folder / f"{dialog}.txt").write_text(header + "\n".join(lines))


def tess(root: Path) -> None:
    lay(root / "TESS", (row["path"] for row in rows(SHARED / "TESS/manifest.tsv")), 24414)


def json_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def emo_db(root: Path) -> None:
    listed = json_lines(SHARED / "EMO-DB/EmoBox/emodb.jsonl")
    lay(root / "EMO-DB", (row["wav"].removeprefix("downloads/emodb/") for row in listed), 16000)
    for name in ("erkennung.txt", "erklaerung.txt"):
        shutil.copy(SHARED / "EMO-DB" / name, root / "EMO-DB")


def shemo(root: Path) -> None:
    listed = rows(SHARED / "ShEMO/nkululeko/shemo.csv", ",")
    lay(root, (row["file"] for row in listed), 44100)


def urdu(root: Path) -> None:
    lay(root / "URDU-Dataset", (row["path"] for row in rows(SHARED / "URDU/manifest.tsv")), 44100)


def yuemotion_rows() -> list[dict]:
    """All 1080 entries by the corpus's naming: each speaker 30 / 9 / 21 clips of 10 sentences in 6
    emotions."""
    entries = []
    for number, gender, age in YUEMOTION_SPEAKERS:
        for index, (sentence, label) in enumerate(itertools.product(range(1, 11), range(1, 7))):
            part = ("train", "validation", "test")[np.searchsorted((9, 12), index % 20)]
            name = f"data/{number:02}_{gender}{age}_{sentence:02}_{label}.wav"
            facts = (part, number, name, gender, age, sentence, label, YUEMOTION_LABELS[label - 1])
            entries.append(dict(zip(YUEMOTION_COLUMNS, facts, strict=True)))
    return entries


def yuemotion(root: Path) -> None:
    entries = yuemotion_rows()
    lay(root / "YueMotion", (entry["file_name"] for entry in entries), 16000)
    for part in ("train", "validation", "test"):
        with (root / f"YueMotion/{part}_metadata.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(entries[0]))
            writer.writeheader()
            writer.writerows(entry for entry in entries if entry["split"] == part)


BUILDERS = {
    "crema_d": crema_d,
    "csed": csed,
    "elderreact": elderreact,
    "emo_db": emo_db,
    "esd": esd,
    "iemocap": iemocap,
    "shemo": shemo,
    "tess": tess,
    "urdu": urdu,
    "yuemotion": yuemotion,
}


def build(root: Path) -> Path:
    """All corpora under `root`."""
    for builder in BUILDERS.values():
        builder(root)
    return root


if __name__ == "__main__":
    import sys

    print(json.dumps({"root": str(build(Path(sys.argv[1])))}))
