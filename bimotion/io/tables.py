"""Tables of text, as Markdown and LaTeX, and numbers as the tables print them."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from bimotion.errors import printable


@dataclass
class Table:
    """Rows of text under a header; notes stand below. Names in them may be a stranger's."""

    title: str
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """GitHub-flavoured Markdown.

        >>> print(Table("T", ["a", "b"], [["1", "2"]]).markdown())
        **T**
        <BLANKLINE>
        | a | b |
        |---|---|
        | 1 | 2 |
        >>> print(Table("T", ["a", "b"]).markdown())
        **T**: none
        """
        lines = [f"**{printable(self.title)}**" + ("" if self.rows else ": none")]
        if self.rows:
            lines += ["", _line(self.header), "|" + "---|" * len(self.header)]
            lines += map(_line, self.rows)
        return "\n".join(lines + [f"\n{printable(note)}" for note in self.notes])

    def latex(self, columns: str | None = None) -> str:
        """LaTeX (booktabs), notes below it as comments; names are shown as they are.

        Args:
            columns: Alignment of the columns; None: the first to the left, the others to the right.
        """
        import pandas as pd

        header, *rows = [[_as_latex(cell) for cell in row] for row in (self.header, *self.rows)]
        columns = columns or "l" + "r" * (len(header) - 1)
        table = pd.DataFrame(rows, columns=header)
        text = table.to_latex(index=False, column_format=columns)
        notes = "".join(f"% {_as_latex(note)}\n" for note in self.notes)
        return f"% needs \\usepackage{{booktabs}}\n{text}{notes}"


_LATEX = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {letter: f"\\{letter}" for letter in "&%$#_{}"}
    | {"–": "--", "→": r"$\rightarrow$"}
)


def _as_latex(text: str) -> str:
    r"""Text that LaTeX shows as it is, in one line.

    >>> print(_as_latex("50 % of a_b ˢ"))
    50 \% of a\_b \textsuperscript{s}
    """
    return re.sub(r"[ᵃ-ᵿᶛ-ᶿʰ-ʸˠ-ˤ]", _raised, printable(text).translate(_LATEX))


def _raised(letter: re.Match) -> str:
    return rf"\textsuperscript{{{unicodedata.normalize('NFKC', letter[0])}}}"


_MARKUP = str.maketrans(
    {letter: f"\\{letter}" for letter in "\\`*[]~!"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
"""Character that Markdown reads as markup -> the same, shown as it is."""
_LINKED = re.compile(
    r"[@#$]|://|www\.|:[\w+-]+:|\b(?:gh-\d|mailto:|xmpp:|[0-9a-f]{7,40}\b)|(?<!\w)_|_(?!\w)",
    re.IGNORECASE,
)
"""In a word that GitHub makes more of than its letters, whatever is escaped: a mention (@user), an
issue (org/repo#1), a commit, an address, a formula, a picture (:tada:)."""


def plain_markdown(text: str) -> str:
    """A stranger's text in one line that Markdown, and GitHub with it, shows as it is: no markup,
    no link, nobody who is mentioned. Words that GitHub would link stand as code.

    >>> print(plain_markdown("a <b> [c](d) `e`"))
    a &lt;b&gt; \\[c\\](d) \\`e\\`
    >>> print(plain_markdown("by @user, org/repo#1 lab/model"))
    by `@user,` `org/repo#1` lab/model
    """
    return " ".join(map(_plain_word, text.split()))


def _plain_word(word: str) -> str:
    if not _LINKED.search(word):
        return word.translate(_MARKUP)
    fence = "`" * (1 + max(map(len, re.findall("`+", word)), default=0))
    pad = " " if "`" in (word[0], word[-1]) else ""
    return f"{fence}{pad}{word}{pad}{fence}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(printable(cell).replace("|", "\\|") for cell in cells) + " |"


def percent(value: float | None) -> str:
    """Two decimals as the paper prints them; a dash for None.

    >>> percent(0.5512), percent(None)
    ('55.12', '-')
    """
    return "-" if value is None else f"{100 * value:.2f}"


def p_value(p: float | None) -> str:
    """Four decimals; no p-value is 0.

    >>> p_value(0.0312), p_value(0.00004), p_value(None)
    ('0.0312', '< 0.0001', '-')
    """
    if p is None:
        return "-"
    return f"{p:.4f}" if p >= 0.00005 else "< 0.0001"


def points(value: float | None) -> str:
    """A difference in points of a hundred, with its sign.

    >>> points(0.0512), points(None)
    ('+5.12', '-')
    """
    return "-" if value is None else f"{100 * value:+.2f}"


def ratio(value: float | None) -> str:
    """Two decimals.

    >>> ratio(0.951)
    '0.95'
    """
    return "-" if value is None else f"{value:.2f}"
