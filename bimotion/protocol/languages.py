"""The distance of two languages, by typological databases: languages.tsv, which says where its
numbers come from.

A distance is the share of binary features on which two languages differ, of those known of both.
`phonology` (tone, voicing, rounded vowels, ...) is the nearest to what speech models hear, and the
headline; it rests on 24 or 25 features, so one feature moves it by 4 points. Section 6.3 of arXiv
2306.14517 argues by such closeness, without a number.
"""

import csv
from collections.abc import Iterable
from functools import cache
from importlib import resources

from bimotion.errors import UnknownName
from bimotion.protocol.cells import Cell

KINDS = ("phonology", "syntax", "inventory")


@cache
def _table() -> dict[frozenset[str], dict[str, tuple[int, int]]]:
    """Two languages -> kind -> features that differ, features known."""
    text = (resources.files("bimotion.protocol") / "languages.tsv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {
        frozenset((row["one"], row["other"])): {
            kind: (int(row[f"{kind}_differ"]), int(row[f"{kind}_known"])) for kind in KINDS
        }
        for row in csv.DictReader(lines, delimiter="\t")
    }


def distance(first: str, second: str, kind: str = "phonology") -> float | None:
    """The distance in [0, 1] of languages by their ISO 639-3 codes; None where the sources know
    nothing of one. Raises UnknownName.

    >>> distance("yue", "zho"), round(distance("yue", "eng"), 3), distance("eng",
    ...     "urd"), distance("eng", "eng")
    (0.12, 0.292, None, 0.0)
    """
    languages = sorted(set().union(*_table()))
    for what, name, known in (
        ("language", first, languages),
        ("language", second, languages),
        ("distance", kind, KINDS),
    ):
        if name not in known:
            raise UnknownName(what, name, known)
    if first == second:
        return 0.0
    differ, n_known = _table()[frozenset((first, second))][kind]
    return differ / n_known if n_known else None


def distance_from(train: Iterable[Cell], test: Cell, kind: str = "phonology") -> float | None:
    """The mean distance of a test cell's language from the other languages of a training set; None
    where there are none.

    >>> distance_from([Cell("yue", "adu"), Cell("zho", "adu"), Cell("zho", "eld")], Cell("yue",
    ...     "adu"))
    0.12
    """
    languages = sorted({cell.language for cell in train} - {test.language})
    distances = [distance(language, test.language, kind) for language in languages]
    return sum(distances) / len(distances) if distances and None not in distances else None
