"""ElderReact: 1323 clips of elders reacting to videos, six emotions, several or none a clip (Ma et
al. 2019).

    ElderReact-master/Annotations/{train,dev,test}_labels.txt
        50_50_35.mp4 1 1 1 1 1 1 m 3.0       name Anger Disgust Fear Happiness Sadness Surprise
        gender valence(1-7)
    ElderReact_{train,dev,test}/50_50_35.wav     or the .mp4 files that the authors send, in any
    folder

The split is official. No speaker ids, no ages (65 is assumed), no neutral; all-zero rows mean that
none of the six was seen. Stimuli (the name before its last number) cross the splits. Sound in mp4
is read with PyAV (extra `video`).
"""

import re
from typing import NamedTuple

from bimotion.corpora.card import (
    Card,
    Corpus,
    Reading,
    Statements,
    contradicted,
    read_listed,
)
from bimotion.corpora.sources import GIGABYTE, Bounds, Files, Form, github
from bimotion.corpora.tree import SOUND_SUFFIXES, File, Tree
from bimotion.corpora.utterance import Finding, Utterance
from bimotion.errors import CorpusMalformed
from bimotion.io.audio import VIDEO_SUFFIXES

COMMIT = "97a14ad3473d6a750d0dfc5e709f2a61ca776a56"
CARD = Card(
    name="elderreact",
    title="ElderReact",
    cells=("eng_eld",),
    native_labels={
        "Anger": "angry",
        "Disgust": "disgust",
        "Fear": "fear",
        "Happiness": "happiness",
        "Sadness": "sadness",
        "Surprise": "surprise",
    },
    n_utterances=1323,
    sample_rates_hz=(),
    licence="academic use, on request",
    redistribution="labels",
    url="https://github.com/Mayer123/ElderReact",
    obtain="labels: git clone; videos: ask the authors by the form named there",
    citation="Ma et al. 2019, ElderReact: A Multimodal Dataset for Recognizing Emotional "
    "Response in Aging Adults, doi 10.1145/3340555.3353747",
    age_source="assumed",
    age_years=65,
    age_note="assumed 65 by the BiMotion paper; the corpus says elders, without ages",
    speaker_note="46 speakers by the paper; ids are not published",
    not_disjoint="speakers are not published",
    sources=(Files((github("Mayer123/ElderReact", COMMIT),)),),
    form=Form(
        (
            "open https://github.com/Mayer123/ElderReact and fill in the form under Videos, from "
            "an academic address",
            "download the videos by the link that the authors send",
        ),
        SOUND_SUFFIXES | VIDEO_SUFFIXES,
        Bounds(max_bytes=64 * GIGABYTE, max_file_bytes=GIGABYTE),
        folder="Videos",
    ),
    faults="40 of 353 test clips have no label, 162 have several; no speakers, no ages; "
    "the videos that people react to cross the official parts",
)
PARTS = {"train": "train", "dev": "validation", "test": "test"}
LABEL_FILES = {f"{name}_labels.txt": part for name, part in PARTS.items()}
LABEL_FILE = re.compile("(train|dev|test)_labels.txt", re.IGNORECASE)
COLUMNS = tuple(CARD.native_labels)
FORM = re.compile(r"\S+\.mp4( [01]){6} [mf] ")
FOLDERS = {f"elderreact_{name}": part for name, part in PARTS.items()}
MEDIA_SUFFIXES = SOUND_SUFFIXES | VIDEO_SUFFIXES


class Labels(NamedTuple):
    """The facts in a line of a label file."""

    part: str
    marked: tuple[str, ...]
    gender: str
    written: str


def recognise(tree: Tree) -> int:
    """Count label files, by name and by the form of their first line."""
    files = [file for copies in tree.named(LABEL_FILE).values() for file in copies]
    return sum(bool(FORM.match(tree.text_if_any(file))) for file in files)


def read(tree: Tree) -> Reading:
    """Utterances of an ElderReact folder; raises CorpusMalformed for label files that are missing
    or malformed."""
    tables = tree.named(LABEL_FILE)
    if absent := sorted(set(LABEL_FILES) - set(tables)):
        raise CorpusMalformed(
            f"{tree.root}: expected {', '.join(LABEL_FILES)} in Annotations/, missing "
            f"{', '.join(absent)}"
        )
    clips = Statements("clip")
    for name, part in LABEL_FILES.items():
        for table in tables[name]:
            for where, line in tree.lines(table):
                if line.strip():
                    stem, labels = _parse(line, part, where)
                    clips.add(stem, labels, where)
    media: dict[str, list[File]] = {}
    for file in tree.files:
        if file.suffix in MEDIA_SUFFIXES:
            media.setdefault(file.stem, []).append(file)
    return read_listed(CARD, clips, media, _clip, "label file")


def _parse(line: str, part: str, where: str) -> tuple[str, Labels]:
    """Name without extension, and facts, of a line of a label file."""
    name, *fields = line.split()
    if len(fields) != 8 or not set(fields[:6]) <= {"0", "1"} or fields[6] not in ("m", "f"):
        raise CorpusMalformed(
            f"{where}: expected '<name>.mp4', six 0/1 ({' '.join(COLUMNS)}), m or f, valence; "
            f"found {line.strip()!r}"
        )
    marked = tuple(label for label, flag in zip(COLUMNS, fields[:6], strict=True) if flag == "1")
    return name.rpartition(".")[0] or name, Labels(part, marked, fields[6], " ".join(fields))


def _clip(stem: str, path: str | None, labels: Labels) -> Utterance | Finding:
    if path and (folder := contradicted(path, FOLDERS.get, labels.part)):
        detail = f"folder says {folder}, label file says {labels.part}"
        return CARD.finding("contradiction", path, detail)
    return CARD.utterance(
        stem,
        path,
        labels.marked,
        language="eng",
        gender=labels.gender,
        native_label=labels.written,
        official_split=labels.part,
    )


CORPUS = Corpus(CARD, recognise, read)
