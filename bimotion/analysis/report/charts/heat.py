"""A table of colours: training set by test set, or what clips are by what they were taken for.

On the page it is a table, which a reader can hear, search and copy; here it is a picture of it.
"""

from bimotion.analysis.report.charts.axes import SMALL_PX, paragraphs, room_of, shortened, width_of
from bimotion.analysis.report.document import Grid, Value
from bimotion.io.drawing import Drawing, Part, Shape, Text, heat
from bimotion.results.reservations import with_mark

ROW_PX, GAP_PX, HEAD_PX, TITLE_PX = 40, 3, 34, 28
NAMES_PX, COLUMN_PX = (70, 260), (78, 150)
"""Narrowest and widest."""


def drawing_of(name: str, grid: Grid) -> Drawing:
    """A grid of coloured cells as a picture."""
    names = [width_of(row[0].text, bold=True) for row in grid.rows]
    details = [width_of(row[0].detail, SMALL_PX) for row in grid.rows]
    left = _within(max([*names, *details, width_of(grid.head[0].text)]) + 8, NAMES_PX)
    column = _within(max(width_of(value.text) for value in grid.head[1:]) + 8, COLUMN_PX)
    parts: list[Part] = [Text(0, 16, grid.title, bold=True)]
    parts.append(Text(0, TITLE_PX + 22, shortened(grid.head[0].text, left), "muted"))
    for number, value in enumerate(grid.head[1:]):
        middle = left + (number + 0.5) * column
        text = shortened(value.text, column)
        parts.append(Text(middle, TITLE_PX + 22, text, "muted", "middle"))
    top = TITLE_PX + HEAD_PX
    for number, row in enumerate(grid.rows):
        y = top + number * ROW_PX
        parts += _stacked(0, y, row[0], left, "start")
        for column_number, value in enumerate(row[1:]):
            parts += _cell(left + column_number * column, y, column, value)
    width = max(left + column * (len(grid.head) - 1), width_of(grid.title, bold=True)) + GAP_PX
    spoken = "; ".join(f"{row[0].text}: {_in_words(grid, row)}" for row in grid.rows)
    bottom = top + ROW_PX * len(grid.rows) + GAP_PX
    below = paragraphs((grid.key, *grid.notes), bottom, width)
    parts, height = [*parts, *below], bottom + room_of(below)
    return Drawing(name, grid.title, f"{grid.title}. {spoken}", width, height, tuple(parts))


def _within(room: float, bounds: tuple[float, float]) -> float:
    return min(max(room, bounds[0]), bounds[1])


def _in_words(grid: Grid, row: list[Value]) -> str:
    pairs = zip(grid.head[1:], row[1:], strict=True)
    return ", ".join(f"{head.text} {value.text}" for head, value in pairs if value.text)


def _cell(x: float, y: float, column: float, value: Value) -> list[Part]:
    if value.share is None:
        return [Text(x + column / 2, y + 24, value.text, "muted", "middle")]
    sides = (column - GAP_PX, ROW_PX - GAP_PX)
    box = Shape.box(x, y, *sides, look=heat(value.share), ringed=value.ringed)
    return [box, *_stacked(x + sides[0] / 2, y, value, column - GAP_PX, "middle")]


def _stacked(x: float, y: float, value: Value, room: float, anchor: str) -> list[Part]:
    """A text and its detail below it, without what a table says of it beyond."""
    text, detail = with_mark(value.text, value.mark), value.detail.partition(";")[0]
    fitting = shortened(text, room, bold=True)
    first = Text(x, y + (17 if detail else 24), fitting, "ink", anchor, bold=True)
    second = Text(x, y + 31, shortened(detail, room, 10), "ink", anchor, 10)
    return [first, second] if detail else [first]
