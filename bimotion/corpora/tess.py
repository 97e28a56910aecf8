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

from bimotion.corpora.card import Card, contradicted, named_corpus
from bimotion.corpora.sources import Dataverse
from bimotion.corpora.utterance import Finding, Utterance

CARD = Card(
    name="tess",
    title="TESS",
    cells=("eng_eld", "eng_adu"),
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
    age_source="stated",
    age_note="64 and 26 years, stated in the corpus's description",
    not_disjoint="one speaker in each age group",
    known={
        "tess/YAF_germ_angry": "aiff",
        "tess/YAF_neat_fear": "aiff",
        "tess/OAF_food_fear": "rate",
    },
    sources=(Dataverse("https://borealisdata.ca", "10.5683/SP2/E8H2MF"),),
    faults="two women, so speaker and age group are one; OA_bite_neutral is OAF's; "
    "YAF_germ_angry and YAF_neat_fear are AIFF data named .wav; OAF_food_fear is at "
    "96 kHz",
)
GRAMMAR = re.compile(
    r"(OAF?|YAF)_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.IGNORECASE
)
FOLDER = re.compile(
    r"(OAF|YAF)_(angry|disgust|fear|happy|neutral|pleasant_surprised?|ps|sad)", re.IGNORECASE
)
AGE_YEARS = {"OAF": 64, "YAF": 26}


def _speaker(prefix: str) -> str:
    return "YAF" if prefix.upper() == "YAF" else "OAF"


def _stated(folder: str) -> tuple[str, str] | None:
    """Speaker and label that a folder is named after."""
    match = FOLDER.fullmatch(folder)
    return match and (_speaker(match[1]), "ps" if match[2].startswith("pleasant") else match[2])


def _clip(path: str, match: re.Match) -> Utterance | Finding:
    speaker, word, code = _speaker(match[1]), match[2].lower(), match[3].lower()
    if folder := contradicted(path, _stated, (speaker, code)):
        detail = f"name says {match[1]} and {match[3]}, folder says {folder}"
        return CARD.finding("contradiction", path, detail)
    return CARD.utterance(
        f"{speaker}_{word}_{code}",
        path,
        [code],
        speaker=speaker,
        sentence=word,
        language="eng",
        age_years=AGE_YEARS[speaker],
        gender="f",
        native_label=match[3],
    )


def _facts(stem: str) -> dict[str, str | int] | None:
    match = GRAMMAR.fullmatch(stem)
    return match and {
        "sentence": match[2],
        "age_years": AGE_YEARS[_speaker(match[1])],
        "gender": "f",
    }


CORPUS = named_corpus(CARD, GRAMMAR, _clip, _facts)
