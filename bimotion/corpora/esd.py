"""ESD (Emotional Speech Dataset): 10 Mandarin and 10 English speakers, 350 sentences in five
emotions (Zhou et al. 2021).

    Emotion Speech Dataset/0001/Angry/0001_000351.wav                        flat, or
    Emotion Speech Dataset/0001/Angry/{train,evaluation,test}/0001_000351.wav

Speakers 0001-0010 Mandarin, 0011-0020 English. Numbers: 1-350 Neutral, 351-700 Angry, 701-1050
Happy, 1051-1400 Sad, 1401-1750 Surprise; in each block of 350: 1-20 evaluation, 21-50 test, 51-350
train (so the official split is a function of the name, and both layouts are the same corpus). The
number within its block is the sentence, shared by the speakers of a language. 16 kHz mono. Age 30
is assumed.
"""

import re

from bimotion.corpora.card import Card, Corpus, Reading, contradicted, counter, sounds
from bimotion.corpora.tree import Tree
from bimotion.corpora.utterance import Finding, Utterance

CARD = Card(
    name="esd",
    title="ESD",
    cells=("zho_adu", "eng_adu"),
    emotions=("sadness", "angry", "happiness", "neutral", "surprise"),
    native_labels={
        "Neutral": "neutral",
        "Angry": "angry",
        "Happy": "happiness",
        "Sad": "sadness",
        "Surprise": "surprise",
    },
    n_utterances=35000,
    sample_rates_hz=(16000,),
    licence="research licence, signed form",
    redistribution="nothing",
    url="https://github.com/HLTSingapore/Emotional-Speech-Data",
    obtain="sign and send the licence form named there; the authors answer with a link",
    citation="Zhou et al. 2021, Seen and Unseen Emotional Style Transfer for Voice Conversion, "
    "arXiv 2010.14794",
    age_note="assumed 30 by the BiMotion paper; the corpus says adults",
)
GRAMMAR = re.compile(r"(00(?:0[1-9]|1\d|20))_(\d{6})")
SPEAKER = re.compile(r"00(?:0[1-9]|1\d|20)")
SPLIT_FOLDERS = {"evaluation": "validation", "test": "test", "train": "train"}
ASSUMED_AGE_YEARS = 30
MALE = frozenset({"0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"})
SENTENCES = 350
BLOCKS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
LABEL_FOLDERS = {label.lower(): label for label in BLOCKS}
LAST_SENTENCE = {"validation": 20, "test": 50, "train": 350}


def read(tree: Tree) -> Reading:
    """Utterances of an ESD folder, split or flat."""
    reading = Reading([], [])
    for file, match in sounds(tree, GRAMMAR):
        speaker, number = match[1], int(match[2])
        if not 1 <= number <= SENTENCES * len(BLOCKS):
            reading.findings.append(
                Finding("unlabelled", CARD.name, file.path, f"number {number} is outside 1-1750")
            )
            continue
        label = BLOCKS[(number - 1) // SENTENCES]
        if detail := _contradiction(file.path, speaker, number, label):
            reading.findings.append(Finding("contradiction", CARD.name, file.path, detail))
            continue
        reading.utterances.append(_utterance(file.path, speaker, number, label))
    return reading


def _contradiction(path: str, speaker: str, number: int, label: str) -> str | None:
    """How the folders of a clip contradict its name; None where they do not."""
    if folder := contradicted(path, LABEL_FOLDERS.get, label):
        return f"number {number} says {label}, folder says {folder}"
    if folder := contradicted(
        path, lambda name: name if SPEAKER.fullmatch(name) else None, speaker
    ):
        return f"name says speaker {speaker}, folder says {folder}"
    if folder := contradicted(path, SPLIT_FOLDERS.get, _part(number)):
        return f"number {number} says {_part(number)}, folder says {folder}"
    return None


def _part(number: int) -> str:
    sentence = (number - 1) % SENTENCES + 1
    return next(part for part, last in LAST_SENTENCE.items() if sentence <= last)


def _utterance(path: str, speaker: str, number: int, label: str) -> Utterance:
    language = "zho" if speaker <= "0010" else "eng"
    sentence = (number - 1) % SENTENCES + 1
    return Utterance(
        id=f"esd/{speaker}_{number:06}",
        corpus=CARD.name,
        path=path,
        speaker=f"esd/{speaker}",
        sentence=f"esd/{language}_{sentence:03}",
        language=language,
        age_years=ASSUMED_AGE_YEARS,
        age_source="assumed",
        gender="m" if speaker in MALE else "f",
        emotions=(CARD.native_labels[label],),
        native_label=label,
        official_split=_part(number),
    )


CORPUS = Corpus(CARD, counter(GRAMMAR), read)
