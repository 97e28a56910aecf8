"""`bimotion report`."""

from pathlib import Path
from typing import Annotated, Literal

import bimotion.cli.options as options
from bimotion.cli.options import option, spread


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
) -> None:
    """Write one page about a run: age within corpora, tables beside the paper's, caveats, heat
    maps, labels, confusions, differences between cells, provenance."""
    from bimotion.analysis import report as reporting
    from bimotion.analysis.report.html import page
    from bimotion.analysis.runs import load
    from bimotion.io import files

    [run] = load([folder])
    content, target = reporting.report_of(run, folder, corpora.source()), output or folder
    texts = {"report.html": page(content)} if form != "markdown" else {}
    texts |= {"report.md": content.markdown(target)} if form != "html" else {}
    for name, text in texts.items():
        with files.written(target / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
        print(target / name)
