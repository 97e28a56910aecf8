"""EMO-DB (Berlin Database of Emotional Speech): ten German actors say ten sentences in seven
emotions (Burkhardt et al. 2005).

    wav/03a01Wa.wav           <speaker><sentence><emotion><version>
    erkennung.txt             share of 20 listeners who recognised each of 816 recordings, and found
                              it natural

Name, by position: speaker (two digits); sentence a01-a07 (short) or b01-b10 (long); emotion, a
German initial: W anger, L boredom, E disgust, A fear, F happiness, T sadness, N neutral; version
a-f. 16 kHz mono. Boredom is none of the 13 emotions: it is read as `other`. The folders lablaut,
labsilb and silb repeat the names as text files.

Of 816 recordings 535 are published. The rule stated for them (at least 80 % recognised and 60 %
natural) holds for 493; 42 others are there too, and `14b09Tb` passes it but is not.
"""

import re

from bimotion.corpora.card import Card, named_corpus
from bimotion.corpora.sources import Archive
from bimotion.corpora.utterance import Utterance

CARD = Card(
    name="emo_db",
    title="EMO-DB",
    cells=("deu_adu",),
    native_labels={
        "W": "angry",
        "L": "other",
        "E": "disgust",
        "A": "fear",
        "F": "happiness",
        "T": "sadness",
        "N": "neutral",
    },
    n_utterances=535,
    sample_rates_hz=(16000,),
    licence="none stated in its files",
    redistribution="nothing",
    url="https://doi.org/10.21437/Interspeech.2005-446",
    obtain="download.zip from emodb.bilderbar.info (the paper names the place)",
    citation="Burkhardt et al. 2005, A Database of German Emotional Speech, doi "
    "10.21437/Interspeech.2005-446",
    age_source="stated",
    age_note="21 to 35 years, stated for each speaker in the corpus's description",
    sources=(
        Archive(
            "download.zip",
            (
                "http://emodb.bilderbar.info/download/download.zip",
                "http://www.emodb.bilderbar.info/download/download.zip",
            ),
            frozenset({".wav", ".txt"}),
        ),
    ),
)
GRAMMAR = re.compile(r"(03|08|09|1[0-6])(a0[12457]|b0[1239]|b10)([WLEAFTN])([a-f])", re.IGNORECASE)
SPEAKERS = {
    "03": (31, "m"),
    "08": (34, "f"),
    "09": (21, "f"),
    "10": (32, "m"),
    "11": (26, "m"),
    "12": (30, "m"),
    "13": (32, "f"),
    "14": (35, "f"),
    "15": (25, "m"),
    "16": (31, "f"),
}
"""Number -> age in years, gender."""


def _clip(path: str, match: re.Match) -> Utterance:
    speaker, sentence, version = match[1], match[2].lower(), match[4].lower()
    code = match[3].upper()
    age_years, gender = SPEAKERS[speaker]
    return CARD.utterance(
        f"{speaker}{sentence}{code}{version}",
        path,
        [code],
        speaker=speaker,
        sentence=sentence,
        language="deu",
        age_years=age_years,
        gender=gender,
    )


CORPUS = named_corpus(CARD, GRAMMAR, _clip)
