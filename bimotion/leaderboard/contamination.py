"""Contamination: those of our corpora that a model had seen before its run, from the names that its
makers declare.

Names are free text, so that people can write what their model card says: `CREMA-D`, `cremad2`,
`Emotional Speech Dataset (English)`, `user/iemocap-4-classes`. A name means a corpus where its
words, run together, are a known way to write it or begin with one (IEMOCAPdataset), in whatever
letters and digits it is spelt (lookalikes.py): to hide a corpus takes another name, not another
spelling. What matches nothing (MSP-Podcast, RAVDESS, ...) is none of ours.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from bimotion.corpora import CORPORA, corpora_with
from bimotion.leaderboard.lookalikes import folded
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
OTHERS = ("ASVP-ESD", "MESD", "Mexican Emotional Speech Database")
"""Other corpora whose names hold one of ours."""
DISTINCT = ("CREMA-D", "ElderReact", "EMO-DB", "IEMOCAP", "YueMotion")
"""Names that no other word holds: they are found anywhere in one (`myIEMOCAPv2`)."""
ENDINGS = (
    "all|audio|clean|clips|corpora|corpus|data|db|dev|emotion|full|part|sample|set|speech|split"
    "|subset|test|train|wav|chinese|en|english|mandarin|ser|zh"
)
"""What may follow a name within its last word; so may a number or version: `tess2`, `esdv1`. Short
names begin other words."""
NAMES = (ALIASES, CASED, COLLECTIONS, OTHERS, DISTINCT, ENDINGS)
_ENDING = re.compile(rf"s?$|v?\d|{ENDINGS}")
_DRAWN_ALIKE = str.maketrans("01345i", "oleasl")
"""Digits and i as the letters that they stand for: IEM0CAP, T3SS."""


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", folded(name))


def _run_together(name: str) -> str:
    return "".join(_words(name)).translate(_DRAWN_ALIKE)


def _meanings() -> dict[str, tuple[str, ...]]:
    """Words run together -> corpora; longest first."""
    written = {
        alias: (name,) for name, aliases in ALIASES.items() for alias in aliases
    } | COLLECTIONS
    for name in CORPORA.keys() - ALIASES.keys():
        written |= dict.fromkeys((name, CORPORA[name].card.title), (name,))
    meanings = {
        _run_together(alias): corpora for alias, corpora in written.items()
    } | dict.fromkeys(map(_run_together, OTHERS), ())
    return {alias: meanings[alias] for alias in sorted(meanings, key=len, reverse=True)}


_MEANINGS = _meanings()
_LONGEST = max(map(len, _MEANINGS))
_ANYWHERE = {_run_together(name): _MEANINGS[_run_together(name)] for name in DISTINCT}


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
    words, meant = _words(name), set()
    while words:
        corpora, n_words = _reading(words[:_LONGEST])
        meant.update(corpora)
        words = words[n_words:]
    return tuple(sorted(meant))


def _reading(words: list[str]) -> tuple[tuple[str, ...], int]:
    """Corpora that the first words mean, and how many words say so."""
    written = "".join(words)[: 2 * _LONGEST]
    drawn = written.translate(_DRAWN_ALIKE)
    for alias, corpora in _MEANINGS.items():
        if drawn.startswith(alias):
            n_words, end = 1, len(words[0])
            while end < len(alias):
                end += len(words[n_words])
                n_words += 1
            rest = written[len(alias) : end]
            if _ENDING.match(rest):
                return corpora, n_words
    first = words[0].translate(_DRAWN_ALIKE)
    return tuple(
        corpus for name, corpora in _ANYWHERE.items() if name in first for corpus in corpora
    ), 1


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
