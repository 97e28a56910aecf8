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

from bimotion.corpora.card import Card, contradicted, named_corpus
from bimotion.corpora.sources import GIGABYTE, Bounds, Form
from bimotion.corpora.utterance import Finding, Utterance

CARD = Card(
    name="esd",
    title="ESD",
    cells=("zho_adu", "eng_adu"),
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
    age_source="assumed",
    age_years=30,
    age_note="assumed 30 by the BiMotion paper; the corpus says adults",
    form=Form(
        (
            "open https://github.com/HLTSingapore/Emotional-Speech-Data, sign the licence named "
            "there and send it to the address named there",
            "download the archive named there",
        ),
        frozenset({".wav", ".txt"}),
        Bounds(max_files=60_000, max_bytes=16 * GIGABYTE),
    ),
    faults="no ages; what is said is the same for all speakers of a language",
)
GRAMMAR = re.compile(r"(00(?:0[1-9]|1\d|20))_(\d{6})")
SPEAKER = re.compile(r"00(?:0[1-9]|1\d|20)")
SPLIT_FOLDERS = {"evaluation": "validation", "test": "test", "train": "train"}
MALE = frozenset({"0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"})
SENTENCES = 350
BLOCKS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
LABEL_FOLDERS = {label.lower(): label for label in BLOCKS}
LAST_SENTENCE = {"validation": 20, "test": 50, "train": 350}


def _clip(path: str, match: re.Match) -> Utterance | Finding:
    speaker, number = match[1], int(match[2])
    if not 1 <= number <= SENTENCES * len(BLOCKS):
        return CARD.finding("unlabelled", path, f"number {number} is outside 1-1750")
    block, offset = divmod(number - 1, SENTENCES)
    label, sentence = BLOCKS[block], offset + 1
    part = next(part for part, last in LAST_SENTENCE.items() if sentence <= last)
    language = "zho" if speaker <= "0010" else "eng"
    by_name = {
        f"number {number} says {label}": contradicted(path, LABEL_FOLDERS.get, label),
        f"name says speaker {speaker}": contradicted(path, _speaker, speaker),
        f"number {number} says {part}": contradicted(path, SPLIT_FOLDERS.get, part),
    }
    for statement, folder in by_name.items():
        if folder:
            return CARD.finding("contradiction", path, f"{statement}, folder says {folder}")
    return CARD.utterance(
        f"{speaker}_{number:06}",
        path,
        [label],
        speaker=speaker,
        sentence=f"{language}_{sentence:03}",
        language=language,
        gender="m" if speaker in MALE else "f",
        official_split=part,
    )


def _speaker(folder: str) -> str | None:
    return folder if SPEAKER.fullmatch(folder) else None


CORPUS = named_corpus(CARD, GRAMMAR, _clip)
