"""`bimotion report`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What a report is written as."""

    html = "html"
    markdown = "markdown"
    both = "both"


def report(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder of a run: result.json and predictions.parquet."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Where to write. (default: the run's folder)"
        ),
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", help="report.html, report.md, or both.")
    ] = Format.both,
) -> None:
    """One page about a run: tables beside the paper's, caveats, heat maps, labels, confusions,
    gaps, provenance."""
    from bimotion.analysis import compare
    from bimotion.analysis import report as reporting
    from bimotion.analysis.report.html import page
    from bimotion.io import files

    [run] = compare.load([folder])
    found, target = reporting.report_of(run, folder), output or folder
    texts = {"report.html": page(found)} if format is not Format.markdown else {}
    texts |= {"report.md": found.markdown(target)} if format is not Format.html else {}
    for name, text in texts.items():
        with files.written(target / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(target / name)
