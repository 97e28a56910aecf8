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

from bimotion.corpora.card import Card, Corpus, Reading, contradicted, counter, sounds
from bimotion.corpora.tree import Tree
from bimotion.corpora.utterance import Finding, Utterance

CARD = Card(
    name="urdu",
    title="URDU",
    cells=("urd_adu",),
    emotions=("sadness", "angry", "happiness", "neutral"),
    native_labels={"A": "angry", "H": "happiness", "N": "neutral", "S": "sadness"},
    n_utterances=400,
    sample_rates_hz=(),
    licence="research use only",
    redistribution="nothing",
    url="https://github.com/siddiquelatif/URDU-Dataset",
    obtain="git clone",
    citation="Latif et al. 2018, Cross Lingual Speech Emotion Recognition: Urdu vs. Western "
    "Languages, arXiv 1812.10411",
    age_note="assumed 30 by this package; the corpus gives none",
)
GRAMMAR = re.compile(r"S([MF])(\d{1,2})_F(\d{1,2})_([AHNS])(\d{1,4})", re.IGNORECASE)
FOLDERS = {"angry": "A", "happy": "H", "neutral": "N", "sad": "S"}
ASSUMED_AGE_YEARS = 30


def read(tree: Tree) -> Reading:
    """Utterances of a URDU folder. A clip in another emotion's folder is a finding."""
    reading = Reading([], [])
    for file, match in sounds(tree, GRAMMAR):
        gender, code = match[1].upper(), match[4].upper()
        speaker, number, place = int(match[2]), int(match[3]), int(match[5])
        if folder := contradicted(file.path, FOLDERS.get, code):
            detail = f"name says {code}, folder says {folder}"
            reading.findings.append(Finding("contradiction", CARD.name, file.path, detail))
            continue
        reading.utterances.append(
            Utterance(
                id=f"urdu/S{gender}{speaker}_F{number}_{code}0{place}",
                corpus=CARD.name,
                path=file.path,
                speaker=f"urdu/S{gender}{speaker}",
                sentence=None,
                language="urd",
                age_years=ASSUMED_AGE_YEARS,
                age_source="assumed",
                gender=gender.lower(),
                emotions=(CARD.native_labels[code],),
                native_label=code,
            )
        )
    return reading


CORPUS = Corpus(CARD, counter(GRAMMAR), read)
