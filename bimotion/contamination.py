"""Which of our corpora a model had seen before its run, from the names that its makers declare.

Names are free text, so that people can write what their model card says: `CREMA-D`, `cremad`, `Emotional Speech Dataset
(English)`, `user/iemocap-4-classes`. A name means a corpus where its words, run together, are a known way to write it. What
matches nothing (MSP-Podcast, RAVDESS, ...) is none of ours.
"""

import re
from collections.abc import Iterable, Sequence

from bimotion.corpora import CORPORA, corpora_with
from bimotion.protocol import Setting

ALIASES: dict[str, tuple[str, ...]] = {
    "crema_d": ("CREMA-D", "CREMA", "Crowd-sourced Emotional Multimodal Actors Dataset"),
    "csed": ("CSED", "Chinese-Speech-Emotion-Datasets", "Chinese Speech Emotion Dataset"),
    "elderreact": ("ElderReact", "Elder React"),
    "emo_db": ("EMO-DB", "Berlin EmoDB", "Berlin Database of Emotional Speech", "Berlin Emotional Speech Database"),
    "esd": ("ESD", "Emotional Speech Dataset", "Emotional Speech Database", "Emotion Speech Dataset"),
    "iemocap": ("IEMOCAP", "Interactive Emotional Dyadic Motion Capture"),
    "shemo": ("ShEMO", "Sharif Emotional Speech Database", "Sharif Emotional Speech Dataset"),
    "tess": ("TESS", "Toronto Emotional Speech Set"),
    "urdu": ("URDU-Dataset", "Urdu SER", "Urdu Emotional Speech", "Urdu Emotion Dataset"),
    "yuemotion": ("YueMotion", "Yue Motion"),
}
"""Corpus -> ways to write its name; a corpus that is not here answers to its card's name and title."""
CASED = {"urdu": "urdu", "URDU": "urdu"}
"""Whole names that mean a corpus only where they are written so: Urdu is a language, `Common Voice Urdu` none of ours."""
COLLECTIONS: dict[str, tuple[str, ...]] = {
    "BiMotion": ("crema_d", "csed", "elderreact", "esd", "iemocap", "tess"),
    "EmoBox": ("crema_d", "emo_db", "esd", "iemocap", "shemo", "tess", "urdu"),
    "EMO-SUPERB": ("crema_d", "iemocap"),
}
"""Published collection -> our corpora in it."""
OTHERS = ("ASVP-ESD",)
"""Other corpora whose names hold one of ours."""


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", name.lower())


def _meanings() -> dict[str, tuple[str, ...]]:
    """Words run together -> corpora."""
    written = {alias: (name,) for name, aliases in ALIASES.items() for alias in aliases} | COLLECTIONS
    others = {name: corpus for name, corpus in CORPORA.items() if name not in ALIASES}
    written |= {alias: (name,) for name, corpus in others.items() for alias in (name, corpus.card.title)}
    return {"".join(_words(alias)): corpora for alias, corpora in written.items()} | {"".join(_words(n)): () for n in OTHERS}


_MEANINGS = _meanings()
_LONGEST = max(map(len, _MEANINGS))


def corpora_meant(name: str) -> tuple[str, ...]:
    """Our corpora that a declared name speaks of, sorted; longer readings first, each word read once.

    >>> corpora_meant("CREMA-D (train split) and user/esd_english")
    ('crema_d', 'esd')
    >>> corpora_meant("MSP-Podcast"), corpora_meant("ASVP-ESD")
    ((), ())
    """
    if name.strip() in CASED:
        return (CASED[name.strip()],)
    words, found, start = _words(name), set(), 0
    while start < len(words):
        joined, readings = "", {}
        for end in range(start, len(words)):
            joined += words[end]
            if len(joined) > _LONGEST:
                break
            if joined in _MEANINGS:
                readings[end + 1] = _MEANINGS[joined]
        found.update(readings[max(readings)] if readings else ())
        start = max(readings, default=start + 1)
    return tuple(sorted(found))


def contamination(trained_on: Sequence[str] | None, settings: Iterable[Setting]) -> dict[str, list[str]] | None:
    """Test cell -> those of the corpora tested in it that the model was trained on before; None: nothing was declared.

    >>> from bimotion import protocol
    >>> contamination(["IEMOCAP", "LibriSpeech"], protocol.settings("in-group"))
    {'eng_adu': ['iemocap'], 'eng_eld': [], 'zho_adu': [], 'zho_eld': []}
    """
    if trained_on is None:
        return None
    seen = {corpus for name in trained_on for corpus in corpora_meant(name)}
    tested: dict[str, set[str]] = {}
    for setting in settings:
        tested.setdefault(str(setting.test), set()).update(corpora_with((setting.test,), setting.corpora))
    return {cell: sorted(corpora & seen) for cell, corpora in sorted(tested.items())}
