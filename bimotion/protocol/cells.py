"""Languages, age groups, and the cells (language x age group) that everything is measured in.

Terms after arXiv 2306.14517, section 3: L = {eng, zho} and Cantonese (yue); elderly are speakers
aged 60 and over, adults are 20 to 59. Languages are ISO 639-3 codes. German, Persian and Urdu are
no part of the paper: their cells are the targets of the unsupervised cross-lingual setting (arXiv
2108.08663), and no union of BiMotion holds them.
"""

from dataclasses import dataclass

from bimotion.errors import UnknownName, known_name

LANGUAGES = {
    "eng": "English",
    "zho": "Mandarin",
    "yue": "Cantonese",
    "deu": "German",
    "fas": "Persian",
    "urd": "Urdu",
}
AGE_GROUPS = {"eld": "elderly", "adu": "adults"}
ELDERLY_FROM_YEARS = 60
ADULT_FROM_YEARS = 20


@dataclass(frozen=True, order=True)
class Cell:
    """One language and one age group; written `eng_eld`.

    >>> Cell.parse("eng_eld").cross_age()
    Cell(language='eng', age_group='adu')
    """

    language: str
    age_group: str

    @classmethod
    def parse(cls, name: str) -> "Cell":
        """Cell of a name such as `zho_adu`; raises UnknownName."""
        names = [f"{language}_{age}" for language in LANGUAGES for age in AGE_GROUPS]
        return cls(*known_name("cell", name, names).split("_"))

    def __str__(self) -> str:
        return f"{self.language}_{self.age_group}"

    def cross_age(self) -> "Cell":
        """Same language, the other age group."""
        return Cell(self.language, "adu" if self.age_group == "eld" else "eld")

    def cross_lingual(self) -> "Cell":
        """Same age group, the other of the two BiMotion languages."""
        return Cell("zho" if self.language == "eng" else "eng", self.age_group)

    def cross_all(self) -> "Cell":
        """Other language, other age group."""
        return self.cross_age().cross_lingual()


BIMOTION_CELLS = tuple(Cell(language, age) for language in ("eng", "zho") for age in ("eld", "adu"))
YUEMOTION_CELLS = (Cell("yue", "adu"), Cell("yue", "eld"))
EXTENSION_CELLS = (Cell("deu", "adu"), Cell("fas", "adu"), Cell("urd", "adu"))


def union(name: str) -> tuple[Cell, ...]:
    """Cells that a name stands for: a cell, a language, an age group of BiMotion, or `all` (of
    BiMotion).

    >>> [str(cell) for cell in union("eld")]
    ['eng_eld', 'zho_eld']
    """
    cells = BIMOTION_CELLS + YUEMOTION_CELLS + EXTENSION_CELLS
    if name == "all":
        return BIMOTION_CELLS
    if name in LANGUAGES:
        return tuple(cell for cell in cells if cell.language == name)
    if name in AGE_GROUPS:
        return tuple(cell for cell in BIMOTION_CELLS if cell.age_group == name)
    if name in map(str, cells):
        return (Cell.parse(name),)
    raise UnknownName("group", name, [*map(str, cells), *LANGUAGES, *AGE_GROUPS, "all"])


def age_group(age_years: float | None) -> str | None:
    """`eld` or `adu`; None where the age is unknown or below 20.

    >>> age_group(60), age_group(59.5), age_group(12)
    ('eld', 'adu', None)
    """
    if age_years is None or age_years != age_years or age_years < ADULT_FROM_YEARS:
        return None
    return "eld" if age_years >= ELDERLY_FROM_YEARS else "adu"
