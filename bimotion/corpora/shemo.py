"""ShEMO (Sharif Emotional Speech Database): 87 Persian speakers of radio plays, 3000 clips, six
emotions (Mohamad Nezami 2019).

    female/F03S02.wav         <gender><speaker><emotion><number>
    male/M21F01.wav           the first F is a woman's, the second F is fear

Name, by position: F or M; speaker (two digits, counted apart for women and men); emotion A anger, F
fear, H happiness, N neutral, S sadness, W surprise; number of the clip in that speaker and emotion.
(F14A09 and M02F01, the README's examples, are no clips.) 44.1 kHz mono, some clips 22.05 kHz.

Classes are far from equal: 1059 anger, 1028 neutral, 449 sadness, 225 surprise, 201 happiness, 38
fear; so are speakers, with 2 (F08) to 180 clips (M12). Labels are a majority of twelve listeners.
No sentence ids, no ages: 30 is an assumption of ours. Lists of others (EmoBox) hold 2838 of the
clips and do not say why. The README allows academic use; a copy of it on the Hub names Apache-2.0.
"""

import re

from bimotion.corpora.card import Card, contradicted, named_corpus
from bimotion.corpora.sources import Archive
from bimotion.corpora.utterance import Finding, Utterance

# no commit is known: the branch that its README links to
ZIPS = "https://github.com/pariajm/sharif-emotional-speech-database/raw/master/"
CARD = Card(
    name="shemo",
    title="ShEMO",
    cells=("fas_adu",),
    native_labels={
        "A": "angry",
        "F": "fear",
        "H": "happiness",
        "N": "neutral",
        "S": "sadness",
        "W": "surprise",
    },
    n_utterances=3000,
    sample_rates_hz=(22050, 44100),
    licence="academic use, free of charge",
    redistribution="nothing",
    url="https://github.com/pariajm/sharif-emotional-speech-database",
    obtain="download female.zip and male.zip, named in its README, and unpack both into one folder",
    citation="Mohamad Nezami et al. 2019, ShEMO: a large-scale validated database for Persian "
    "speech emotion detection, doi 10.1007/s10579-018-9427-x",
    age_source="assumed",
    age_years=30,
    age_note="assumed 30 by this package; the corpus gives none",
    sources=tuple(
        Archive(name, (f"{ZIPS}{name}",), frozenset({".wav"}))
        for name in ("female.zip", "male.zip")
    ),
)
GRAMMAR = re.compile(r"([FM])(\d{2})([AFHNSW])(\d{2})", re.IGNORECASE)
FOLDERS = {"female": "F", "male": "M"}


def _clip(path: str, match: re.Match) -> Utterance | Finding:
    gender, speaker, code, number = (part.upper() for part in match.groups())
    if folder := contradicted(path, FOLDERS.get, gender):
        return CARD.finding("contradiction", path, f"name says {gender}, folder says {folder}")
    return CARD.utterance(
        f"{gender}{speaker}{code}{number}",
        path,
        [code],
        speaker=f"{gender}{speaker}",
        language="fas",
        gender=gender.lower(),
    )


CORPUS = named_corpus(CARD, GRAMMAR, _clip)
