"""A report as one HTML page, without script: every text of the run goes in escaped, and the page's
policy forbids the rest."""

import html
from importlib import metadata

from bimotion.analysis.report.document import Caveat, Grid, Picture, Report, Section, Value, Whisker
from bimotion.io import html as pages

STEPS = 50
"""Of the colour scale: the page's policy forbids style attributes, so shares are classes."""
SHOWN_NUMBERS = 8
"""Lines of a caveat that are shown at once; more are folded."""


class _Markup(str):
    """Text that is markup already; any other text is escaped when it goes into an element."""


def page(report: Report) -> str:
    """The page as HTML; the same bytes for the same report. Raises OSError where a picture has
    gone."""
    shares = "\n".join(f".s{step} {{ --share: {step / STEPS}; }}" for step in range(STEPS + 1))
    contents = {
        "title": html.escape(report.title),
        "header": _header(report),
        "main": "\n".join(map(_section, report.sections)),
        "version": html.escape(metadata.version("bimotion")),
    }
    style = "\n".join([pages.part("page/style.css"), pages.part("report.css", __package__), shares])
    return pages.filled(pages.part("report.html", __package__), contents, style=style)


def _tag(name: str, *children: str, **attributes: str | bool | None) -> _Markup:
    """An element; `class_` is written for class, attributes that are empty or None are left out."""
    given = {
        key.rstrip("_").replace("_", "-"): value
        for key, value in attributes.items()
        if value not in (None, "", False)
    }
    said = "".join(
        f" {key}" if value is True else f' {key}="{html.escape(value)}"'
        for key, value in given.items()
    )
    inner = "".join(
        child if isinstance(child, _Markup) else html.escape(child) for child in children
    )
    return _Markup(f"<{name}{said}>{inner}</{name}>")


def _words(*names: str | bool) -> str:
    return " ".join(name for name in names if name)


def _header(report: Report) -> _Markup:
    stamps = [_tag("li", _tag("a", stamp, href="#caveats")) for stamp in report.stamps]
    links = [_tag("a", section.title, href=f"#{section.name}") for section in report.sections]
    return _tag(
        "header",
        _tag("h1", _tag("small", "BiMotion report"), report.title),
        _tag("ul", *stamps, class_="stamps", aria_label="Read first") if stamps else "",
        _tag("p", report.lead.text, _tag("small", report.lead.detail), class_="lead")
        if report.lead
        else "",
        _tag("p", report.asked),
        _tag("nav", *links, class_="contents", aria_label="Contents"),
    )


def _section(section: Section) -> _Markup:
    heated = any(
        value.share is not None for grid in section.grids for row in grid.rows for value in row
    )
    return _tag(
        "section",
        _tag("h2", section.title),
        *(_tag("p", text) for text in section.text),
        _scale() if heated else "",
        _tag("ul", *map(_caveat, section.caveats), class_="caveats") if section.caveats else "",
        *map(_figure, section.pictures),
        _grids([grid for grid in section.grids if not grid.folded]),
        _grids([grid for grid in section.grids if grid.folded]),
        id=section.name,
    )


def _grids(grids: list[Grid]) -> str:
    return _tag("div", *map(_grid, grids), class_="grids") if grids else ""


def _scale() -> _Markup:
    marks = [
        _tag("li", str(percent), class_=f"s{round(percent / 100 * STEPS)}")
        for percent in (0, 25, 50, 75, 100)
    ]
    return _tag("ul", *marks, class_="scale", aria_label="Colour scale in %")


def _caveat(caveat: Caveat) -> _Markup:
    lines = [_tag("li", number) for number in caveat.numbers]
    shown, more = lines[:SHOWN_NUMBERS], lines[SHOWN_NUMBERS:]
    return _tag(
        "li",
        _tag("b", f"{caveat.name}."),
        f" {caveat.text}",
        _tag("ul", *shown) if shown else "",
        _tag("details", _tag("summary", f"{len(more)} more"), _tag("ul", *more)) if more else "",
        class_="severe" if caveat.severe else None,
    )


def _figure(picture: Picture) -> _Markup:
    address = pages.data_address(picture.path.read_bytes(), "image/png")
    image = _Markup(f'<img src="{address}" alt="{html.escape(picture.caption)}">')
    return _tag("figure", image, _tag("figcaption", picture.caption))


def _grid(grid: Grid) -> _Markup:
    first, *others = grid.head
    head = [_head(first, "text"), *(_head(value, "") for value in others)]
    others_below = [*(row[0].quiet for row in grid.rows[1:]), False]
    body = [_row(row, below) for row, below in zip(grid.rows, others_below, strict=True)]
    heated = any(value.share is not None for row in grid.rows for value in row)
    table = _tag(
        "table",
        _tag("thead", _tag("tr", *head)),
        _tag("tbody", *body),
        class_=_words(heated and "heated", grid.prose and "prose"),
    )
    scroll = _tag("div", table, class_="scroll", role="region", aria_label=grid.title, tabindex="0")
    notes = [_tag("p", note, class_="note") for note in grid.notes]
    if grid.folded:
        return _tag("details", _tag("summary", grid.title), scroll, *notes, class_="grid")
    return _tag("div", _tag("h3", grid.title), scroll, *notes, class_="grid")


def _head(value: Value, kind: str) -> _Markup:
    return _tag(
        "th",
        value.text,
        _tag("small", value.detail) if value.detail else "",
        scope="col",
        class_=kind,
    )


def _row(row: list[Value], others_below: bool) -> _Markup:
    first, *values = row
    name = _tag(
        "th",
        first.text,
        _tag("small", first.detail) if first.detail else "",
        scope="row",
        class_=first.quiet and "quiet",
    )
    return _tag(
        "tr",
        name,
        *map(_cell, values),
        class_=_words(first.quiet and "of-others", others_below and "before-others"),
    )


def _cell(value: Value) -> _Markup:
    heat = f"heat s{round(value.share * STEPS)}" if value.share is not None else ""
    return _tag(
        "td",
        _tag("span", value.text, class_="value"),
        _tag("div", _whisker(value.whisker), class_="drawn") if value.whisker else "",
        _tag("small", value.detail, class_="span" if value.detail[:1].isdigit() else None)
        if value.detail
        else "",
        class_=_words(heat, value.ringed and "ringed", value.quiet and "quiet"),
    )


def _whisker(whisker: Whisker) -> _Markup:
    """The number as a mark on its scale, its interval as a line, chance as a band."""

    def x(value: float) -> str:
        inside = min(max(value, whisker.start), whisker.end)
        return f"{100 * (inside - whisker.start) / (whisker.end - whisker.start):.2f}"

    def line(kind: str, left: str, right: str, top: str, bottom: str) -> _Markup:
        return _tag("line", class_=kind, x1=left, x2=right, y1=top, y2=bottom)

    parts = []
    if whisker.chance:
        low, high = map(x, whisker.chance)
        parts.append(
            _tag(
                "rect",
                class_="chance",
                x=low,
                width=f"{float(high) - float(low):.2f}",
                y="0",
                height="9",
            )
        )
    parts.append(line("axis", "0", "100", "8.5", "8.5"))
    if whisker.zero is not None:
        parts.append(line("zero", x(whisker.zero), x(whisker.zero), "0", "9"))
    if whisker.low is not None:
        parts.append(line("range", x(whisker.low), x(whisker.high), "4.5", "4.5"))
    parts.append(line("point", x(whisker.value), x(whisker.value), "1", "8"))
    return _Markup(
        '<svg class="whisker" viewBox="0 0 100 9" preserveAspectRatio="none" '
        f'aria-hidden="true">{"".join(parts)}</svg>'
    )
