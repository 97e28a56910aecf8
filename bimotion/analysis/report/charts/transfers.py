"""The cells of language and age group with an arrow for each transfer from one cell to another: the
2 x 2 of BiMotion, and what leads to Cantonese."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bimotion.analysis.report.charts.axes import SMALL_PX, paragraphs, room_of, width_of
from bimotion.analysis.report.scorebook import Scorebook
from bimotion.io.drawing import Drawing, Line, Part, Point, Shape, Text, heat
from bimotion.io.tables import percent
from bimotion.protocol.cells import AGE_GROUPS, LANGUAGES, Cell
from bimotion.protocol.settings import Setting
from bimotion.results.reservations import meanings, with_mark

BOX_PX = (122, 64)
GAP_PX, ROW_GAP_PX = {2: 140, 3: 92}, 104
"""Between boxes: by the number of languages; between age groups."""
TOP_PX = 66
APART_PX, FREE_PX, HEAD_PX = 9, 4, 9
"""Between an arrow and the line of centres where another leads back; between arrow and box; length
of its head."""
PICTURES = {
    "transfers": ("Transfer between English and Mandarin, adults and elderly", ("eng", "zho")),
    "transfers-cantonese": ("Transfer to Cantonese", ("eng", "yue", "zho")),
}
"""Name of a picture -> title, and languages from left to right; of the first, whatever is tested in
them; of the second, what is tested in Cantonese."""
NOTE = "Weighted F1, %. In a box: trained in this cell. Arrow: trained where it begins."
ADDED = "Dashed: added to the cell's own clips (Table 5)."


@dataclass(frozen=True)
class Transfer:
    """A score of training on one cell and testing on another."""

    source: Cell
    """That is trained on."""
    test: Cell
    """That is tested."""
    value: float
    """In [0, 1]."""
    mark: str
    """Of its reservations."""
    added: bool
    """Whether the test cell's own clips train, too."""


def drawings(book: Scorebook) -> list[Drawing]:
    """The pictures of a run; none where nothing crosses from one cell to another."""
    crossing = list(_crossing(book))
    shown = []
    for name, (title, languages) in PICTURES.items():
        tested = {"yue"} if "yue" in languages else set(languages)
        mine = [
            arrow
            for arrow in crossing
            if arrow.test.language in tested and arrow.source.language in languages
        ]
        if mine:
            shown.append(_drawing(book, name, title, languages, mine))
    return shown


def _crossing(book: Scorebook) -> Iterator[Transfer]:
    """Transfers from one cell; of language distance, those of one cell added to the tested one."""
    seen = set()
    for setting in book.settings:
        further = [cell for cell in setting.train if cell != setting.test]
        added = setting.method == "distance" and len(setting.train) == 2
        score = book.score(setting)
        if len(further) != 1 or not (added or len(setting.train) == 1):
            continue
        key = (further[0], setting.test)
        if score is not None and score.value is not None and key not in seen:
            seen.add(key)
            mark = book.mark([setting.id])
            yield Transfer(further[0], setting.test, score.value, mark, added)


def _drawing(
    book: Scorebook,
    name: str,
    title: str,
    languages: tuple[str, ...],
    arrows: list[Transfer],
) -> Drawing:
    pitch = BOX_PX[0] + GAP_PX[len(languages)]
    corners = {
        Cell(language, age): (1 + column * pitch, TOP_PX + row * (BOX_PX[1] + ROW_GAP_PX))
        for column, language in enumerate(languages)
        for row, age in enumerate(AGE_GROUPS)
    }
    parts: list[Part] = [Text(0, 14, title, bold=True), Text(0, 32, NOTE, "muted", px=SMALL_PX)]
    for column, language in enumerate(languages):
        middle = 1 + column * pitch + BOX_PX[0] / 2
        parts.append(Text(middle, TOP_PX - 8, LANGUAGES[language], "muted", "middle", SMALL_PX))
    pairs = {(arrow.source, arrow.test) for arrow in arrows}
    labels: list[Part] = []
    for arrow in arrows:
        leads_back = (arrow.test, arrow.source) in pairs
        drawn, label = _arrow(arrow, corners, leads_back)
        parts += drawn
        labels += label
    own = {setting.test: setting for setting in reversed(book.settings) if _is_own(setting)}
    parts += labels
    for cell, corner in corners.items():
        parts += _box(book, cell, corner, own.get(cell))
    width = max(2 + (len(languages) - 1) * pitch + BOX_PX[0], width_of(NOTE, SMALL_PX))
    bottom = TOP_PX + 2 * BOX_PX[1] + ROW_GAP_PX + 4
    notes = [ADDED] if any(arrow.added for arrow in arrows) else []
    notes += meanings(part.words for part in parts if isinstance(part, Text))
    below = paragraphs(notes, bottom, width)
    parts, height = [*parts, *below], bottom + room_of(below)
    spoken = _in_words(book, [own[cell] for cell in corners if cell in own], arrows)
    return Drawing(name, title, f"{title}, weighted F1 in %: {spoken}", width, height, tuple(parts))


def _is_own(setting: Setting) -> bool:
    return setting.transfer == "in-group" and setting.train == (setting.test,)


def _in_words(book: Scorebook, own: Iterable[Setting], arrows: Iterable[Transfer]) -> str:
    scores = {setting.test: book.score(setting) for setting in own}
    words = [f"{cell} {percent(score.value)}" for cell, score in scores.items() if score]
    words += [f"{arrow.source} to {arrow.test} {percent(arrow.value)}" for arrow in arrows]
    return ", ".join(words)


def _box(book: Scorebook, cell: Cell, corner: Point, setting: Setting | None) -> list[Part]:
    x, y, (width, height) = *corner, BOX_PX
    middle, score = x + width / 2, book.score(setting)
    if score is None or score.value is None:
        box = Shape.box(x, y, width, height, look=heat(0), ringed=True)
        return [box, Text(middle, y + 37, str(cell), "muted", "middle")]
    value = with_mark(percent(score.value), book.mark([setting.id]))
    parts = [
        Shape.box(x, y, width, height, look=heat(score.value), ringed=True),
        Text(middle, y + 18, str(cell), "ink", "middle"),
        Text(middle, y + 39, value, "ink", "middle", 16, bold=True),
    ]
    if score.low is not None:
        interval = f"{percent(score.low)}–{percent(score.high)}"
        parts.append(Text(middle, y + 55, interval, "ink", "middle", 10))
    return parts


def _arrow(
    arrow: Transfer, corners: dict[Cell, Point], leads_back: bool
) -> tuple[list[Part], list[Part]]:
    """An arrow, and its label, which lies above all arrows."""
    start, end = (_middle(corners[cell]) for cell in (arrow.source, arrow.test))
    length = math.dist(start, end)
    along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
    aside = (-along[1], along[0])
    apart = -APART_PX if leads_back else 0
    reach = min(
        side / 2 / abs(part) for side, part in zip(BOX_PX, along, strict=True) if abs(part) > 1e-9
    )

    def at(distance: float, sideways: float = 0.0) -> Point:
        x, y = (
            begin + distance * forward + (apart + sideways) * side
            for begin, forward, side in zip(start, along, aside, strict=True)
        )
        return x, y

    first, last = reach + FREE_PX, length - reach - FREE_PX
    is_diagonal = all(abs(part) > 1e-9 for part in along)
    if is_diagonal:  # beside the corner, the box is not as deep
        first, last = first + 6, last - 6
    width = 1 + 3 * arrow.value
    half = HEAD_PX / 2 + width / 2
    line = Line((at(first), at(last - HEAD_PX)), "accent", width, arrow.added)
    head = Shape((at(last), at(last - HEAD_PX, half), at(last - HEAD_PX, -half)), "accent")
    spot = at(last - 0.24 * (last - first)) if is_diagonal else at((first + last) / 2)
    return [line, head], _label(arrow, spot, aside, beside=not is_diagonal)


def _label(arrow: Transfer, spot: Point, aside: Point, *, beside: bool) -> list[Part]:
    """The score on its arrow, or beside it."""
    text = with_mark(percent(arrow.value), arrow.mark)
    room = width_of(text) + 4
    x, y = spot
    if beside:
        x -= aside[0] * (room / 2 + 5)
        y -= aside[1] * 13
    ground = Shape.box(x - room / 2, y - 8, room, 16, look="ground")
    return [ground, Text(x, y + 4, text, "ink", "middle")]


def _middle(corner: Point) -> Point:
    return corner[0] + BOX_PX[0] / 2, corner[1] + BOX_PX[1] / 2
