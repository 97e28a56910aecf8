"""The pictures and tables of a report as files, for papers and slides."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bimotion.analysis.report.charts import heat
from bimotion.analysis.report.charts.axes import paragraphs, room_of
from bimotion.analysis.report.document import Grid, Report, Section
from bimotion.errors import printable
from bimotion.io import drawing, files, html
from bimotion.io.drawing import Drawing
from bimotion.io.progress import Progress

MAX_NAME = 90
INDEX = "figures.html"  # index.html may be the page of a board, or of a site


@dataclass(frozen=True)
class Figure:
    """A picture, a table, or both of the same numbers, which are files of one name."""

    name: str
    """Of its files, without suffix."""
    title: str
    """What it shows."""
    picture: Drawing | None = None
    """None: only a table."""
    table: Grid | None = None
    """None: only a picture."""


def figures_of(report: Report) -> dict[str, list[Figure]]:
    """Title of a section -> what is saved of it: what is drawn on its page, its tables of colours
    as pictures, and its tables of numbers; sections of which nothing is saved are left out."""
    saved = {}
    for section in report.sections:
        figures = [
            Figure(drawn.name, drawn.title, _stamped(drawn, report.stamps))
            for drawn in section.drawings
        ]
        for name, grid in _named(section):
            heated = heat.drawing_of(name, grid) if grid.is_heated else None
            picture = heated and _stamped(heated, report.stamps)
            table = grid if grid.rows and section.name != "provenance" else None
            if picture or table:
                figures.append(Figure(name, grid.title, picture, table))
        if figures:
            saved[section.title] = figures
    return saved


def save(report: Report, folder: Path, progress: Progress) -> list[Path]:
    """Write the pictures of a report as SVG, and where matplotlib is there as PNG and PDF, and its
    tables of numbers as LaTeX, and a page that shows what is in each file; returns the paths.

    Example::

        figures.save(reporting.report_of(run, folder), folder / "figures", default_progress())
    """
    of_sections = figures_of(report)
    figures = [figure for of_section in of_sections.values() for figure in of_section]
    drawn = [figure.picture for figure in figures if figure.picture]
    warnings, paths = "".join(f"% {printable(stamp)}\n" for stamp in report.stamps), []
    for picture in progress.track(drawn, len(drawn), "drawing", "pictures"):
        paths += _draw(picture, folder)
    for figure in figures:
        if figure.table:
            text = warnings + figure.table.table().latex()
            paths.append(_write(folder / f"{figure.name}.tex", text))
    page = _index(report, of_sections, paths)
    return [*paths, _write(folder / INDEX, page)]


def _index(report: Report, of_sections: dict[str, list[Figure]], paths: list[Path]) -> str:
    """A page with every picture and the names of its files, section by section."""
    suffixes: dict[str, list[str]] = {}
    for path in paths:
        suffixes.setdefault(path.stem, []).append(path.suffix.removeprefix("."))
    return html.render(
        __package__,
        "figures.html",
        style="\n".join([html.part("report.css", __package__), drawing.style()]),
        report=report,
        of_sections=of_sections,
        suffixes=suffixes,
        svg_of=drawing.svg,
    )


def _stamped(picture: Drawing, stamps: Sequence[str]) -> Drawing:
    """A picture with the stamps of its report below: it travels without the page."""
    if not stamps:
        return picture
    texts = paragraphs(stamps, picture.height, picture.width, "ink", bold=True)
    height = picture.height + room_of(texts)
    description = f"{picture.description} {' '.join(stamps)}"
    parts = (*picture.parts, *texts)
    return replace(picture, height=height, parts=parts, description=description)


def _draw(picture: Drawing, folder: Path) -> list[Path]:
    """Write a picture in every form, the same bytes for the same picture."""
    text = drawing.svg(picture, alone=True) + "\n"
    paths = [_write(folder / f"{picture.name}.svg", text)]
    if drawing.can_paint():
        from bimotion.io import painting

        paths += painting.save(picture, folder)
    return paths


def _write(path: Path, text: str) -> Path:
    with files.written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _named(section: Section) -> Iterator[tuple[str, Grid]]:
    """The tables of a section, each with a name for its file."""
    seen: dict[str, int] = {}
    for grid in section.grids:
        stem = _stem(f"{section.name} {grid.title.partition(';')[0]}")
        seen[stem] = seen.get(stem, 0) + 1
        yield (f"{stem}-{seen[stem]}" if seen[stem] > 1 else stem), grid


def _stem(words: str) -> str:
    """A name of a file.

    >>> _stem("confusion in-group, eng_eld → eng_eld")
    'confusion-in-group-eng_eld-eng_eld'
    """
    return "-".join(re.findall(r"\w+", words, re.ASCII)).lower()[:MAX_NAME].rstrip("-")


def by_suffix(paths: Iterable[Path]) -> str:
    """The number of files of each kind.

    >>> by_suffix([Path("a.svg"), Path("b.svg"), Path("a.png")])
    '2 svg, 1 png'
    """
    suffixes = [path.suffix.removeprefix(".") for path in paths]
    return ", ".join(f"{suffixes.count(kind)} {kind}" for kind in dict.fromkeys(suffixes))
