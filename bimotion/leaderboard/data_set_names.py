"""Names of data sets as people write them: in any letters and digits (lookalikes.py), with words
before and behind, such as `CREMA-D (train split)` or `user/iemocap-4-classes`.

A name means a data set where its words, run together, are a known way to write it or begin with
one (IEMOCAPdataset): to hide a data set takes another name, not another spelling.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources

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
        words, start = _words(name), 0
        while start < len(words):
            meant, n_words = self._reading(words[start : start + self._longest])
            yield from meant
            start += n_words

    def _reading(self, words: list[str]) -> tuple[list[tuple[str, ...]], int]:
        """The meaning of the first words, and how many words say so."""
        written = "".join(words)[: 2 * self._longest]
        drawn = written.translate(_DRAWN_ALIKE)
        for known in self._by_beginning.get(drawn[:_N_INDEXED], ()):
            if drawn.startswith(known):
                n_words, end = 1, len(words[0])
                while end < len(known):
                    end += len(words[n_words])
                    n_words += 1
                if _ENDING.match(written[len(known) : end]):
                    return [self._meanings[known]], n_words
        first = words[0].translate(_DRAWN_ALIKE)
        return [meant for known, meant in self._anywhere.items() if known in first], 1


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
