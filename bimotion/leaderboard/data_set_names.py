"""Names of data sets as people write them: in any letters and digits (lookalikes.py), with words
before and behind, such as `CREMA-D (train split)` or `user/iemocap-4-classes`.

A name means a data set where its words, run together, are a known way to write it or begin with
one (IEMOCAPdataset): to hide a data set takes another name, not another spelling.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import NamedTuple

from bimotion.leaderboard.lookalikes import folded

ENDINGS = (
    "all|audio|clean|clips|corpora|corpus|data|db|dev|emotion|full|part|sample|set|speech|split"
    "|subset|test|train|wav|chinese|en|english|mandarin|ser|zh"
)
"""What may follow a name within its last word; so may a number or version: `tess2`, `esdv1`. Short
names begin other words."""
_ENDING = re.compile(rf"s?$|v?\d|{ENDINGS}")
_DRAWN_ALIKE = str.maketrans("01345i", "oleasl")
"""Digits and i as the letters that they stand for: IEM0CAP, T3SS."""
BESIDE_NAMES = (
    "and|or|of|the|from|for|in|on|with|without|only|part|parts|split|splits|subset|subsets"
    "|train|training|trained|test|dev|validation|evaluation|clean|other|full|all|sample|version"
    "|corpora|corpus|database|data|dataset|datasets|set|sets|audio|video|clip|clips|wav|wavs"
    "|utterance|utterances|recording|recordings|sentence|sentences|label|labels|labelled"
    "|unlabelled|labeled|unlabeled|class|classes|fold|folds|session|sessions|speaker|speakers"
    "|emotion|emotions|emotional|speech|acted|scripted|improvised|english|mandarin|chinese"
    "|cantonese|german|french|spanish|italian|urdu|persian|farsi|hindi|japanese|korean|multilingual"
    "|en|zh|de|fr|es|it|ser|asr|db|hours|hour|adults|elders|release|edition|challenge|hf|hub"
)
"""Words that name no data set by themselves, in and beside names of data sets."""
WHOLE_WORDS = (
    "h|l|m|s|xl|xs"  # sizes: WenetSpeech-L, 960 h
    "|ar|bg|bn|ca|cmn|cn|cs|cy|da|de|deu|el|en|eng|es|et|eu|fa|fi|fr|fra|gb|gl|hak|hans|hant|he|hi"
    "|hk|hr|hu|id|it|ja|jp|ka|kk|ko|kr|lt|lv|mo|ms|nan|nl|no|pl|pt|ro|ru|sg|sk|sl|sr|sv|sw|ta|te|th"
    "|tr|tw|uk|ur|us|uz|vi|yue|zh|zho"  # languages and regions: zh-HK
    "|as|at|by|fine|finetuned|half|pretrained|song|songs|to|tuned|university|using"
)
"""More of them, that mean nothing only as a whole word: letters of other words spell them too."""
_WHOLE_WORDS = frozenset(WHOLE_WORDS.split("|"))
_ADDRESS = re.compile(
    r"(?:https?://[^\s/]+|hf:/|(?:www\.)?(?:huggingface\.co|hf\.co|github\.com|kaggle\.com))/"
    r"(?:datasets/)?(?:[^\s/]+/(?=[^\s/]))?|/(?:tree|blob)/main\b"
)
"""The part of an address that names no data set: host, `datasets`, owner and branch."""
_BESIDE = re.compile(
    "|".join(sorted(BESIDE_NAMES.split("|"), key=len, reverse=True))
    + r"|v?\d+(?:hrs?|h|khz|hz|k|m|st|nd|rd|th)?"
)
_N_INDEXED = 2
"""First letters by which names are looked up; no name is shorter."""


class NameTable:
    """Ways to write the names of data sets, each with what it means.

    Args:
        meanings: Name as it may be written -> what it means; longer names are read first.
        anywhere: Those names that no other word holds: found anywhere in one (`myIEMOCAPv2`).

    Example::

        table = NameTable({"ESD": ("esd",), "ASVP-ESD": ()})
        list(table.readings("ASVP-ESD and ESD (train)"))     # [(), ("esd",)]
    """

    def __init__(
        self, meanings: Mapping[str, tuple[str, ...]], anywhere: Iterable[str] = ()
    ) -> None:
        written = {run_together(name): meant for name, meant in meanings.items()}
        self._longest = max(map(len, written))
        self._by_beginning: dict[str, list[str]] = {}
        for name in sorted(written, key=len, reverse=True):
            self._by_beginning.setdefault(name[:_N_INDEXED], []).append(name)
        self._meanings = written
        self._anywhere = {run_together(name): written[run_together(name)] for name in anywhere}

    def readings(self, name: str) -> Iterator[tuple[str, ...]]:
        """The meaning of each known name within a text; longer ones first, each word read once."""
        for reading in self._readings(_words(name)):
            yield from reading.meant

    def unread(self, name: str) -> list[str]:
        """For each word of a text, what of it belongs to no known name: nothing, a part, or all."""
        return [part for reading in self._readings(_words(name)) for part in reading.unread]

    def _readings(self, words: list[str]) -> "Iterator[_Reading]":
        start = 0
        while start < len(words):
            reading = self._reading(words[start : start + self._longest])
            yield reading
            start += len(reading.unread)

    def _reading(self, words: list[str]) -> "_Reading":
        """The meaning of the first words."""
        written = "".join(words)[: 2 * self._longest]
        drawn = written.translate(_DRAWN_ALIKE)
        for known in self._by_beginning.get(drawn[:_N_INDEXED], ()):
            if drawn.startswith(known):
                n_words, end = 1, len(words[0])
                while end < len(known):
                    end += len(words[n_words])
                    n_words += 1
                if _ENDING.match(written[len(known) : end]):
                    rest = "".join(words[:n_words])[len(known) :]
                    return _Reading([self._meanings[known]], [""] * (n_words - 1) + [rest])
        first, rest = words[0].translate(_DRAWN_ALIKE), words[0]
        inside = [known for known in self._anywhere if known in first]
        for known in inside:
            start = rest.translate(_DRAWN_ALIKE).find(known)
            rest = rest if start < 0 else f"{rest[:start]} {rest[start + len(known) :]}"
        return _Reading([self._anywhere[known] for known in inside], [rest])


class _Reading(NamedTuple):
    """The first words of a text as they are read."""

    meant: list[tuple[str, ...]]
    unread: list[str]
    """For each of these words, what of it belongs to no known name."""


def left_over(name: str, *tables: NameTable) -> str:
    """The words of a text that belong to a name of none of the tables, in plain letters; but for
    words that name nothing, the owner of a repository (`owner/name`) or an address before a name,
    and words of a name that stands there whole (`Toronto Emotional Speech Set, Toronto`).

    >>> table = NameTable({"IEMOCAP": ("iemocap",)})
    >>> left_over("my IEMOCAP (train) and secret set", table)
    'my secret'
    >>> left_over("https://huggingface.co/datasets/user/iemocap", table)
    ''
    """
    plain = folded(name)
    text = _ADDRESS.sub(" ", plain)
    owner, slash, _ = text.strip().partition("/")
    has_owner = text == plain and slash and not re.search(r"\s", owner)
    n_owner = len(_words(owner)) if has_owner else 0
    unread = list(zip(_words(text), *(table.unread(text) for table in tables), strict=True))
    of_names = {word for word, *parts in unread if not all(parts)}
    return " ".join(
        word
        for number, (word, *parts) in enumerate(unread)
        if number >= n_owner and word not in of_names and all(map(_names_something, parts))
    )


def _names_something(text: str) -> bool:
    return any(part not in _WHOLE_WORDS and _BESIDE.sub("", part) for part in text.split())


def run_together(name: str) -> str:
    """The words of a name without what parts them, in the letters that its characters stand for.

    >>> run_together("IEM0CAP") == run_together("ＩＥＭＯ-ＣＡＰ")
    True
    """
    return "".join(_words(name)).translate(_DRAWN_ALIKE)


def rows(file: str) -> list[dict[str, str]]:
    """The rows of a table of this package; lines that begin with # are comments."""
    text = (resources.files("bimotion.leaderboard") / file).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def listed(text: str) -> list[str]:
    """The names of one field of such a table, apart by `;`."""
    return [name.strip() for name in text.split(";") if name.strip()]


def _words(name: str) -> list[str]:
    return re.findall(r"[^\W_]+", folded(name))
