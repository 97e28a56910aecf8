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

from bimotion.corpora.card import SOUND_SUFFIXES, Card, Corpus, Reading, Statements, contradicted
from bimotion.corpora.tree import File, Tree
from bimotion.corpora.utterance import Finding, Utterance
from bimotion.errors import CorpusMalformed
from bimotion.io.audio import VIDEO_SUFFIXES
from bimotion.protocol.labels import check_emotions

CARD = Card(
    name="elderreact",
    title="ElderReact",
    cells=("eng_eld",),
    emotions=("sadness", "fear", "angry", "happiness", "disgust", "surprise"),
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
    age_note="assumed 65 by the BiMotion paper; the corpus says elders, without ages",
    speaker_note="46 speakers by the paper; ids are not published",
    not_disjoint="speakers are not published",
)
ASSUMED_AGE_YEARS = 65
LABEL_FILES = {
    "train_labels.txt": "train",
    "dev_labels.txt": "validation",
    "test_labels.txt": "test",
}
COLUMNS = tuple(CARD.native_labels)
_FORM = re.compile(r"\S+\.mp4( [01]){6} [mf] ")
FOLDERS = {"elderreact_train": "train", "elderreact_dev": "validation", "elderreact_test": "test"}
_MEDIA_SUFFIXES = SOUND_SUFFIXES | VIDEO_SUFFIXES


def recognise(tree: Tree) -> int:
    """Label files found, by name and by the form of their first line."""
    return sum(1 for files in _label_files(tree).values() for file in files if _is_ours(tree, file))


def _is_ours(tree: Tree, file: File) -> bool:
    try:
        return bool(_FORM.match(tree.text(file)))
    except CorpusMalformed:  # no text: of whatever corpus it is, not seen here to be of this one
        return False


def read(tree: Tree) -> Reading:
    """Utterances of an ElderReact folder; raises CorpusMalformed for label files that are missing
    or malformed."""
    tables = _label_files(tree)
    if absent := sorted(set(LABEL_FILES) - set(tables)):
        raise CorpusMalformed(
            f"{tree.root}: expected {', '.join(LABEL_FILES)} in Annotations/, missing "
            f"{', '.join(absent)}"
        )
    media: dict[str, list[File]] = {}
    for file in tree.files:
        if file.suffix in _MEDIA_SUFFIXES:
            media.setdefault(file.stem, []).append(file)
    clips = Statements("clip")
    for name, part in LABEL_FILES.items():
        for table in tables[name]:
            for number, line in enumerate(tree.lines(table), start=1):
                if line.strip():
                    where = f"{tree.root / table.path}:{number}"
                    stem, *facts = _parse(line, where)
                    clips.add(stem, (part, *facts), where)
    reading = Reading([], [])
    for stem, (part, *facts), _ in clips.items():
        paths, elsewhere = [file.path for file in media.pop(stem, [])], []
        for path in paths:
            if folder := contradicted(path, FOLDERS.get, part):
                elsewhere.append(path)
                detail = f"folder says {folder}, label file says {part}"
                reading.findings.append(Finding("contradiction", CARD.name, path, detail))
        for path in [path for path in paths if path not in elsewhere] or [None]:
            reading.utterances.append(_utterance(stem, path, part, *facts))
    for files in media.values():
        reading.findings += [
            Finding("unlabelled", CARD.name, file.path, "in no label file") for file in files
        ]
    return reading


def _label_files(tree: Tree) -> dict[str, list[File]]:
    """Name -> every file of that name: copies must agree."""
    found: dict[str, list[File]] = {}
    for file in tree.files:
        if file.name.lower() in LABEL_FILES:
            found.setdefault(file.name.lower(), []).append(file)
    return found


def _parse(line: str, where: str) -> tuple[str, tuple[str, ...], str, str]:
    """Stem, columns that are set, gender, label as written, of one line of a label file."""
    fields = line.split()
    if len(fields) != 9 or not set(fields[1:7]) <= {"0", "1"} or fields[7] not in ("m", "f"):
        raise CorpusMalformed(
            f"{where}: expected '<name>.mp4', six 0/1 ({' '.join(COLUMNS)}), m or f, valence; "
            f"found {line.strip()!r}"
        )
    marked = tuple(label for label, flag in zip(COLUMNS, fields[1:7], strict=True) if flag == "1")
    return fields[0].rpartition(".")[0] or fields[0], marked, fields[7], " ".join(fields[1:])


def _utterance(
    stem: str, path: str | None, part: str, marked: tuple[str, ...], gender: str, written: str
) -> Utterance:
    return Utterance(
        id=f"elderreact/{stem}",
        corpus=CARD.name,
        path=path,
        speaker=None,
        sentence=None,
        language="eng",
        age_years=ASSUMED_AGE_YEARS,
        age_source="assumed",
        gender=gender,
        emotions=check_emotions(CARD.native_labels[label] for label in marked),
        native_label=written,
        official_split=part,
    )


CORPUS = Corpus(CARD, recognise, read)
