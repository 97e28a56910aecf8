"""CSED (Chinese-Speech-Emotion-Datasets): 652 Mandarin clips (Taiwan) in three valence classes.

    Training Data (wav)/{Natural,Negative,Positive}/Nat_Female-12.wav
    <class><sep><gender>-<number>

Separators and case vary: `Nat_Female-N`, `Neg-Male-N`, `Neg_Female-N`, `Pos_female-N`,
`Pos_male-N`. 44.1 kHz mono. Clips repeat: 57 pairs have the same samples, 11 of them under two
classes, such as Nat_Female-30 = Neg_Female-6, Nat_Female-37 = Neg_Female-36 and Neg_Female-41 =
Pos_female-57. That is counted by samples: as files no two of the 652 are equal. Under split `paper`
24 of the 400 test clips stand in training or validation too, 5 of them under another class; every
result counts them (`duplicates`).

No speaker ids and no ages: its README speaks of school friends and video clips. That it is elderly
speech is an assumption of the BiMotion paper (age 65 in its code).
"""

import re

from bimotion.corpora.card import Card, contradicted, named_corpus
from bimotion.corpora.sources import Files, github
from bimotion.corpora.utterance import Finding, Utterance

REPOSITORY = "AkishinoShiame/Chinese-Speech-Emotion-Datasets"
COMMIT = "4b33c073ec9938e788b9134663a8f002e2669398"
CARD = Card(
    name="csed",
    title="CSED",
    cells=("zho_eld",),
    native_labels={"Nat": "neutral", "Neg": "negative", "Pos": "positive"},
    n_utterances=652,
    sample_rates_hz=(44100,),
    licence="Apache-2.0",
    redistribution="audio",
    url="https://github.com/AkishinoShiame/Chinese-Speech-Emotion-Datasets",
    obtain="git clone",
    citation="AkishinoShiame 2017, Chinese Speech Emotion Datasets; used in doi "
    "10.1145/3083187.3083220",
    age_source="assumed",
    age_years=65,
    age_note="assumed 65 by the BiMotion paper; the corpus's README speaks of school friends and "
    "video clips",
    speaker_note="the corpus publishes no speaker ids",
    not_disjoint="speakers are not published",
    known={"*": "duplicate"},
    sources=(Files((github(REPOSITORY, COMMIT),)),),
    faults="57 pairs of clips have the same samples, 11 of them under two labels; no "
    "speakers, no ages",
)
GRAMMAR = re.compile(r"(nat|neg|pos)[-_ ](female|male)[-_ ](\d+)", re.IGNORECASE)
FOLDERS = {"natural": "Nat", "negative": "Neg", "positive": "Pos"}


def _clip(path: str, match: re.Match) -> Utterance | Finding:
    code, gender, number = match[1].capitalize(), match[2].lower(), int(match[3])
    if folder := contradicted(path, FOLDERS.get, code):
        detail = f"name says {match[1]}, folder says {folder}"
        return CARD.finding("contradiction", path, detail)
    return CARD.utterance(
        f"{code}_{gender}_{number}",
        path,
        [code],
        language="zho",
        gender=gender[0],
        native_label=match[1],
    )


CORPUS = named_corpus(CARD, GRAMMAR, _clip)
