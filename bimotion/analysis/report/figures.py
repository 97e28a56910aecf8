"""The pictures and tables of a report as files, for papers and slides."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bimotion.analysis.report.charts import heat
from bimotion.analysis.report.document import Grid, Report, Section
from bimotion.errors import printable
from bimotion.io import drawing, files
from bimotion.io.drawing import Drawing, Text
from bimotion.io.progress import Progress

MAX_NAME = 90
STAMP_PX, LINE_PX = 11, 16
"""Size and distance of the lines of a stamp."""
LETTER_WIDTH = 0.65
"""Of a letter, in sizes: wider than most, so that a line fits in."""


def drawings_of(report: Report) -> list[Drawing]:
    """All pictures of a report: those that are drawn on its page, and its tables of colours, each
    under a name of its own."""
    pictures = []
    for section in report.sections:
        pictures += section.drawings
        pictures += [
            heat.drawing_of(name, grid) for name, grid in _named(section) if grid.is_heated
        ]
    return pictures


def save(report: Report, folder: Path, progress: Progress) -> list[Path]:
    """Write the pictures of a report as SVG, and where matplotlib is there as PNG and PDF, and its
    tables of numbers as LaTeX; returns the paths.

    Example::

        figures.save(reporting.report_of(run, folder), folder / "figures", default_progress())
    """
    pictures = [_stamped(picture, report.stamps) for picture in drawings_of(report)]
    warnings, paths = "".join(f"% {printable(stamp)}\n" for stamp in report.stamps), []
    for picture in progress.track(pictures, len(pictures), "drawing", "pictures"):
        paths += _draw(picture, folder)
    for section in report.sections:
        for name, grid in _named(section):
            if grid.rows and section.name != "provenance":
                text = warnings + grid.table().latex()
                paths.append(_write(folder / f"{name}.tex", text))
    return paths


def _stamped(picture: Drawing, stamps: Sequence[str]) -> Drawing:
    """A picture with the stamps of its report below: it travels without the page."""
    if not stamps:
        return picture
    n_letters = int(picture.width / (LETTER_WIDTH * STAMP_PX))
    lines = [line for stamp in stamps for line in textwrap.wrap(stamp, n_letters)]
    height = picture.height + LINE_PX * len(lines)
    texts = [
        Text(0, picture.height + LINE_PX * (number + 0.8), line, px=STAMP_PX, bold=True)
        for number, line in enumerate(lines)
    ]
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
