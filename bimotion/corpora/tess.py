"""TESS (Toronto emotional speech set): two women, 64 and 26, say 200 words in seven emotions
(Pichora-Fuller & Dupuis 2020).

    TESS Toronto emotional speech set data/OAF_angry/OAF_back_angry.wav
    <speaker>_<word>_<emotion>

`ps` is pleasant surprise. Folder names differ in case and wording (OAF_Fear, OAF_Pleasant_surprise,
YAF_pleasant_surprised). 24414 Hz mono. Some downloads hold the whole tree twice, one level deeper.
Odd files of every copy: `OAF_neutral/OA_bite_neutral.wav` is OAF's (the BiMotion paper's code read
it as the younger woman's, so its tables say 1399 / 1401); two are AIFF data named .wav; one is at
96 kHz.
"""

import re

from bimotion.corpora.card import Card, Corpus, Reading, contradicted, counter, sounds
from bimotion.corpora.tree import Tree
from bimotion.corpora.utterance import Finding, Utterance

CARD = Card(
    name="tess",
    title="TESS",
    cells=("eng_eld", "eng_adu"),
    emotions=("sadness", "fear", "angry", "happiness", "disgust", "neutral", "surprise"),
    native_labels={
        "angry": "angry",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happiness",
        "neutral": "neutral",
        "ps": "surprise",
        "sad": "sadness",
    },
    n_utterances=2800,
    sample_rates_hz=(24414,),
    licence="CC-BY-NC-ND-4.0",
    redistribution="labels",
    url="https://doi.org/10.5683/SP2/E8H2MF",
    obtain="download from the University of Toronto's Dataverse",
    citation="Pichora-Fuller & Dupuis 2020, Toronto emotional speech set (TESS), doi "
    "10.5683/SP2/E8H2MF",
    age_note="64 and 26 years, stated in the corpus's description",
    not_disjoint="one speaker in each age group",
    known={
        "tess/YAF_germ_angry": "aiff",
        "tess/YAF_neat_fear": "aiff",
        "tess/OAF_food_fear": "rate",
    },
)
GRAMMAR = re.compile(
    r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.IGNORECASE
)
FOLDER = re.compile(
    r"(OAF|YAF)_(angry|disgust|fear|happy|neutral|pleasant_surprised?|ps|sad)", re.IGNORECASE
)
AGE_YEARS = {"OAF": 64, "YAF": 26}


def read(tree: Tree) -> Reading:
    """Utterances of a TESS folder, however deep. A clip in the folder of another speaker or emotion
    is a finding."""
    reading = Reading([], [])
    for file, match in sounds(tree, GRAMMAR):
        if folder := contradicted(file.path, _stated, (_speaker(match[1]), match[3].lower())):
            detail = f"name says {match[1]} and {match[3]}, folder says {folder}"
            reading.findings.append(Finding("contradiction", CARD.name, file.path, detail))
            continue
        reading.utterances.append(_utterance(file.path, match))
    return reading


def _speaker(prefix: str) -> str:
    return "YAF" if prefix.upper() == "YAF" else "OAF"


def _stated(folder: str) -> tuple[str, str] | None:
    """Speaker and label that a folder is named after."""
    match = FOLDER.fullmatch(folder)
    return match and (_speaker(match[1]), "ps" if match[2].startswith("pleasant") else match[2])


def _utterance(path: str, match: re.Match) -> Utterance:
    speaker = _speaker(match[1])
    word, label = match[2].lower(), match[3].lower()
    return Utterance(
        id=f"tess/{speaker}_{word}_{label}",
        corpus=CARD.name,
        path=path,
        speaker=f"tess/{speaker}",
        sentence=f"tess/{word}",
        language="eng",
        age_years=AGE_YEARS[speaker],
        age_source="stated",
        gender="f",
        emotions=(CARD.native_labels[label],),
        native_label=match[3],
    )


CORPUS = Corpus(CARD, counter(GRAMMAR), read)
