"""Draw the cells of BiMotion and YueMotion with their corpora, and what transfer means: cells.svg.

    python docs/pictures/cells.py

Names and numbers come from the package, so a new corpus of these cells appears here by itself.
"""

from html import escape
from pathlib import Path

from bimotion.corpora import CORPORA
from bimotion.corpora.card import Card
from bimotion.data.splits import PAPER_SIZES, YUEMOTION_PAPER_SIZES
from bimotion.protocol.cells import AGE_GROUPS, BIMOTION_CELLS, LANGUAGES, YUEMOTION_CELLS, Cell

PICTURE = Path(__file__).with_name("cells.svg")
TARGET = Cell("eng", "eld")
AGES = {"eld": "elderly: 60 years and over", "adu": "adults: 20 to 59 years"}
WIDTH, HEIGHT = 880, 440
LEFT, TOP, CELL_WIDTH, CELL_HEIGHT, GAP_X, GAP_Y = 24, 66, 232, 112, 68, 62
STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1f2933; }
.ground { fill: #ffffff; stroke: #d4dae1; }
.cell { fill: #eef2f7; stroke: #8796a8; }
.target { fill: #fdf0d5; stroke: #b7791f; stroke-width: 2; }
.name { font: 600 15px ui-monospace, monospace; }
.small { font-size: 12.5px; fill: #52606d; }
.head { font-weight: 600; }
.arrow { stroke: #b7791f; stroke-width: 2; fill: none; }
.tip { fill: #b7791f; }
.way { font-weight: 600; fill: #8a5a12; }
@media (prefers-color-scheme: dark) {
  text { fill: #e4e9ef; }
  .ground { fill: #12171d; stroke: #39434f; }
  .cell { fill: #1e262f; stroke: #6b7a8c; }
  .target { fill: #3a2c10; stroke: #e0a94a; }
  .small { fill: #a9b5c2; }
  .arrow { stroke: #e0a94a; }
  .tip { fill: #e0a94a; }
  .way { fill: #f0c473; }
}
"""


def main() -> None:
    """Write the picture beside this file."""
    PICTURE.write_text(drawing(), encoding="utf-8")
    print(PICTURE)


def drawing() -> str:
    """The picture as the text of an SVG file."""
    languages = list(dict.fromkeys(cell.language for cell in BIMOTION_CELLS + YUEMOTION_CELLS))
    parts = [
        f'<rect class="ground" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="10"/>'
    ]
    for column, language in enumerate(languages):
        parts.append(text(x_of(column) + CELL_WIDTH / 2, 30, LANGUAGES[language], "head", "middle"))
    for row, age_group in enumerate(AGE_GROUPS):
        parts.append(text(LEFT, y_of(row) - 10, AGES[age_group], "small"))
        for column, language in enumerate(languages):
            parts += box(column, row, Cell(language, age_group))
    parts += arrows()
    parts += notes()
    label = "Cells of language and age group with their corpora; arrows show transfer to eng_eld."
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">\n'
        f"<style>{STYLE}</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path class="tip" d="M0 0L8 4L0 8z"/>'
        f"</marker></defs>\n{body}\n</svg>\n"
    )


def x_of(column: int) -> float:
    """Left edge of a column of cells."""
    return LEFT + column * (CELL_WIDTH + GAP_X)


def y_of(row: int) -> float:
    """Upper edge of a row of cells."""
    return TOP + row * (CELL_HEIGHT + GAP_Y)


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """One line of text."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def box(column: int, row: int, cell: Cell) -> list[str]:
    """A cell: its name, and each of its corpora with the number of its clips."""
    x, y = x_of(column), y_of(row)
    kind = "target" if cell == TARGET else "cell"
    parts = [
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" '
        f'width="{CELL_WIDTH}" height="{CELL_HEIGHT}" rx="6"/>',
        text(x + 14, y + 24, str(cell), "name"),
    ]
    for line, (title, n_clips) in enumerate(corpora_of(cell)):
        at = y + 46 + 19 * line
        parts.append(text(x + 14, at, title))
        count = f"{n_clips:,} clips".replace(",", " ")
        parts.append(text(x + CELL_WIDTH - 14, at, count, "small", "end"))
    return parts


def corpora_of(cell: Cell) -> list[tuple[str, int]]:
    """Title and number of clips of each corpus with clips in a cell, as the paper counts them."""
    cards = [corpus.card for corpus in CORPORA.values() if str(cell) in corpus.card.cells]
    return [(card.title, clips_in(card, str(cell))) for card in cards]


def clips_in(card: Card, cell: str) -> int:
    """Clips of a corpus in a cell: Tables 1 and 2, else what they leave of the corpus."""
    sizes = [(corpus, name, sum(parts)) for (corpus, name), parts in PAPER_SIZES.items()]
    sizes += [("yuemotion", name, sum(parts)) for (_, name), parts in YUEMOTION_PAPER_SIZES.items()]
    printed = [(name, n_clips) for corpus, name, n_clips in sizes if corpus == card.name]
    if here := sum(n_clips for name, n_clips in printed if name == cell):
        return here
    return card.n_utterances - sum(n_clips for _, n_clips in printed)


def arrows() -> list[str]:
    """The three ways of transfer to the target cell."""
    right, below = LEFT + CELL_WIDTH, TOP + CELL_HEIGHT
    middle_x, middle_y = LEFT + 150, TOP + 30
    ways = (
        (middle_x, y_of(1), middle_x, below, middle_x + 8, below + 40, "cross-age", "start"),
        (x_of(1), middle_y, right, middle_y, right + 34, middle_y - 40, "cross-lingual", "middle"),
        (x_of(1), y_of(1), right, below, right + 38, below + 24, "cross-all", "start"),
    )
    parts = []
    for x1, y1, x2, y2, x, y, words, anchor in ways:
        line = f"M{x1:g} {y1:g}L{x2:g} {y2:g}"
        parts.append(f'<path class="arrow" d="{line}" marker-end="url(#tip)"/>')
        parts.append(text(x, y, words, "way", anchor))
    return parts


def notes() -> list[str]:
    """What the arrows mean, under the cells."""
    y = y_of(2) - 26
    lines = (
        "Inference (Table 3): train on one cell, test on another; the arrows show it for eng_eld.",
        "In-group, the baseline: train and test in the same cell.",
        "Augmentation (Table 4): train on the tested cell together with the other cells.",
    )
    return [text(LEFT, y + 20 * number, line, "small") for number, line in enumerate(lines)]


if __name__ == "__main__":
    main()
