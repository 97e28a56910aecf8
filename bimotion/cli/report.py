"""`bimotion report`."""

from pathlib import Path
from typing import Annotated, Literal

import bimotion.cli.options as options
from bimotion.cli.options import option, spread
from bimotion.cli.terminal import note, progress
from bimotion.errors import MissingExtra


@spread
def report(
    folder: options.RunFolder,
    corpora: options.Folders,
    output: Annotated[
        Path | None,
        option("Where to write. (default: the run's folder)", "--output", "-o", metavar="DIR"),
    ] = None,
    form: Annotated[
        Literal["html", "markdown", "both"], option("report.html, report.md, or both.", "--format")
    ] = "both",
    figures: Annotated[
        Path | None,
        option("Also write every picture (SVG, PNG, PDF) and table (LaTeX) there.", metavar="DIR"),
    ] = None,
) -> None:
    """Write one page about a run: age within corpora, tables beside the paper's, caveats, heat
    maps, labels, confusions, differences between cells, provenance."""
    from bimotion.analysis import report as reporting
    from bimotion.analysis.report.html import page
    from bimotion.analysis.runs import load
    from bimotion.io import files

    for target in filter(None, (output, figures)):  # before minutes are spent on it
        files.require_writable(target)
    [run] = load([folder])
    content, target = reporting.report_of(run, folder, corpora.source()), output or folder
    texts = {"report.html": page(content)} if form != "markdown" else {}
    texts |= {"report.md": content.markdown(target)} if form != "html" else {}
    for name, text in texts.items():
        with files.written(target / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(target / name)
    if figures is not None:
        _save_figures(content, figures)


def _save_figures(content, folder: Path) -> None:
    """Write pictures and tables into a folder, and say how many."""
    from bimotion.analysis.report import figures
    from bimotion.io import drawing

    if not drawing.can_paint():
        note(f"{MissingExtra('matplotlib', 'figures', 'PNG and PDF')}; SVG is written without it")
    paths = figures.save(content, folder, progress())
    print(f"{folder / figures.INDEX}: shows the pictures of this report, with their files")
    print(f"{folder}: {figures.by_suffix(paths)}")
