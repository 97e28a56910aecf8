"""URDU (URDU-Dataset): 400 clips of Urdu talk shows in four emotions, 100 each (Latif et al. 2018).

    Angry/SM1_F10_A010.wav            S<gender><speaker>_F<file of this speaker>_<emotion>0<number>
    {Angry,Happy,Neutral,Sad}/

Emotions A, H, N, S. The 0 before the last number is no padding: A01, A010, A0100 are the first,
tenth and hundredth angry clip. The README writes other zeros (`SM1_F01_A12`); such a copy gives the
same ids.

- The README counts 38 speakers, 27 men and 11 women. Those are the highest numbers: men 8 to 16
  have no clip, so 29 speak.
- **Emotion and speaker are nearly one.** All 100 angry clips are of four men, no woman is angry,
  and 26 of 29 speakers have one emotion only (men 3, 5 and 6 have several). A model that knows the
  voices is right without hearing any emotion, and parts that keep speakers apart differ much in
  their shares of classes: read the UAR, and the interval.
- Clips with odd numbers hold 176 400 bytes of sound and those with even ones 264 912, in all four
  classes, but for one clip.

No sentence ids, no ages: 30 is an assumption of ours.
"""

import re

from bimotion.corpora.card import Card, contradicted, named_corpus
from bimotion.corpora.sources import Files, github
from bimotion.corpora.utterance import Finding, Utterance

REPOSITORY, COMMIT = "siddiquelatif/URDU-Dataset", "4b546d4e0fa36d1c86c53a281631b2ab7ce2fdec"
CARD = Card(
    name="urdu",
    title="URDU",
    cells=("urd_adu",),
    native_labels={"A": "angry", "H": "happiness", "N": "neutral", "S": "sadness"},
    n_utterances=400,
    sample_rates_hz=(),
    licence="research use only",
    redistribution="nothing",
    url="https://github.com/siddiquelatif/URDU-Dataset",
    obtain="git clone",
    citation="Latif et al. 2018, Cross Lingual Speech Emotion Recognition: Urdu vs. Western "
    "Languages, arXiv 1812.10411",
    age_source="assumed",
    age_years=30,
    age_note="assumed 30 by this package; the corpus gives none",
    sources=(Files((github(REPOSITORY, COMMIT),)),),
)
GRAMMAR = re.compile(r"S([MF])(\d{1,2})_F(\d{1,2})_([AHNS])(\d{1,4})", re.IGNORECASE)
FOLDERS = {"angry": "A", "happy": "H", "neutral": "N", "sad": "S"}


def _clip(path: str, match: re.Match) -> Utterance | Finding:
    gender, code = match[1].upper(), match[4].upper()
    speaker, file_number, clip_number = (int(match[group]) for group in (2, 3, 5))
    if folder := contradicted(path, FOLDERS.get, code):
        return CARD.finding("contradiction", path, f"name says {code}, folder says {folder}")
    return CARD.utterance(
        f"S{gender}{speaker}_F{file_number}_{code}0{clip_number}",
        path,
        [code],
        speaker=f"S{gender}{speaker}",
        language="urd",
        gender=gender.lower(),
    )


CORPUS = named_corpus(CARD, GRAMMAR, _clip)
