"""Contamination: those of our corpora that a model had seen before its run, from the names that its
makers declare.

Names are free text, so that people can write what their model card says: `CREMA-D`, `cremad2`,
`Emotional Speech Dataset (English)` (data_set_names.py: how they are read). What matches nothing
(MSP-Podcast, RAVDESS, ...) is none of ours.
"""

import unicodedata
from collections.abc import Iterable, Sequence

from bimotion.corpora import CORPORA, corpora_with
from bimotion.leaderboard.data_set_names import BESIDE_NAMES, ENDINGS, WHOLE_WORDS, NameTable
from bimotion.protocol.settings import Setting

ALIASES: dict[str, tuple[str, ...]] = {
    "crema_d": ("CREMA-D", "CREMA", "Crowd-sourced Emotional Multimodal Actors Dataset"),
    "csed": ("CSED", "Chinese-Speech-Emotion-Datasets", "Chinese Speech Emotion Dataset"),
    "elderreact": ("ElderReact", "Elder React"),
    "emo_db": (
        "EMO-DB",
        "Berlin EmoDB",
        "Berlin Database of Emotional Speech",
        "Berlin Emotional Speech Database",
    ),
    "esd": (
        "ESD",
        "Emotional Speech Dataset",
        "Emotional Speech Database",
        "Emotion Speech Dataset",
    ),
    "iemocap": ("IEMOCAP", "Interactive Emotional Dyadic Motion Capture"),
    "shemo": ("ShEMO", "Sharif Emotional Speech Database", "Sharif Emotional Speech Dataset"),
    "tess": ("TESS", "Toronto Emotional Speech Set"),
    "urdu": ("URDU-Dataset", "Urdu SER", "Urdu Emotional Speech", "Urdu Emotion Dataset"),
    "yuemotion": ("YueMotion", "Yue Motion"),
}
"""Corpus -> ways to write its name; a corpus that is not here answers to its card's name and
title."""
CASED = {"urdu": "urdu", "URDU": "urdu"}
"""Whole names that mean a corpus only where they are written so: Urdu is a language,
`Common Voice Urdu` none of ours."""
COLLECTIONS: dict[str, tuple[str, ...]] = {
    "BiMotion": ("crema_d", "csed", "elderreact", "esd", "iemocap", "tess"),
    "EmoBox": ("crema_d", "emo_db", "esd", "iemocap", "shemo", "tess", "urdu"),
    "EMO-SUPERB": ("crema_d", "iemocap"),
}
"""Published collection -> our corpora in it."""
OTHERS = ("ASVP-ESD", "Keio-ESD", "MESD", "Mexican Emotional Speech Database")
"""Other corpora whose names hold one of ours."""
DISTINCT = ("CREMA-D", "ElderReact", "EMO-DB", "IEMOCAP", "YueMotion")
"""Names that no other word holds: they are found anywhere in one (`myIEMOCAPv2`)."""
NAMES = (ALIASES, CASED, COLLECTIONS, OTHERS, DISTINCT, ENDINGS, BESIDE_NAMES, WHOLE_WORDS)


def _table() -> NameTable:
    written = {
        alias: (name,) for name, aliases in ALIASES.items() for alias in aliases
    } | COLLECTIONS
    for name in CORPORA.keys() - ALIASES.keys():
        written |= dict.fromkeys((name, CORPORA[name].card.title), (name,))
    return NameTable(written | dict.fromkeys(OTHERS, ()), DISTINCT)


TABLE = _table()
"""Of our corpora, collections and OTHERS."""


def corpora_meant(name: str) -> tuple[str, ...]:
    """Our corpora that a declared name speaks of, sorted; longer readings first, each word read
    once.

    >>> corpora_meant("CREMA-D (train split) and user/esd_english")
    ('crema_d', 'esd')
    >>> corpora_meant("cremad2, IEM0CAPdataset")
    ('crema_d', 'iemocap')
    >>> corpora_meant("MSP-Podcast"), corpora_meant("ASVP-ESD"), corpora_meant("tessellation")
    ((), (), ())
    """
    if (whole := unicodedata.normalize("NFKC", name).strip()) in CASED:
        return (CASED[whole],)
    return tuple(sorted({corpus for meant in TABLE.readings(name) for corpus in meant}))


def is_corpus_name(name: str) -> bool:
    """Return whether a name speaks of one of our corpora, or of another that is kept apart from
    them (OTHERS).

    >>> is_corpus_name("ASVP-ESD"), is_corpus_name("LibriSpeech")
    (True, False)
    """
    return bool(corpora_meant(name)) or any(True for _ in TABLE.readings(name))


def contamination(
    trained_on: Sequence[str] | None, settings: Iterable[Setting]
) -> dict[str, list[str]] | None:
    """Test cell -> those of the corpora tested in it that the model was trained on before; None:
    nothing was declared.

    >>> from bimotion.protocol import settings as protocol
    >>> contamination(["IEMOCAP", "LibriSpeech"], protocol.settings("in-group"))
    {'eng_adu': ['iemocap'], 'eng_eld': [], 'zho_adu': [], 'zho_eld': []}
    """
    if trained_on is None:
        return None
    seen = {corpus for name in trained_on for corpus in corpora_meant(name)}
    tested: dict[str, set[str]] = {}
    for setting in settings:
        tested.setdefault(str(setting.test), set()).update(
            corpora_with((setting.test,), setting.corpora)
        )
    return {cell: sorted(corpora & seen) for cell, corpora in sorted(tested.items())}
