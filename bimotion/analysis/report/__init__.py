"""A report of a finished run: which numbers a reader asks for, in which order, and what is said
beside them.

Everything comes from result.json and predictions.parquet, ages from the corpora; no torch. Sections
first, then how they are shown.

document.py      what a report is made of: sections, tables, caveats, pictures; its Markdown
scorebook.py     the scores of a run by setting, and whether the predictions bear them out
age.py           recall by age within corpora;  scores.py: the paper's tables, heat maps
classes.py       labels, confusions;  between.py: differences between cells;  calibration.py
charts/          what is drawn of them
caveats.py       what to know before believing a number;  provenance.py: how it was made
html.py          the report as HTML
"""

from pathlib import Path

from bimotion.analysis.report.age import age
from bimotion.analysis.report.between import between_groups
from bimotion.analysis.report.calibration import calibration
from bimotion.analysis.report.caveats import caveats
from bimotion.analysis.report.classes import confusions, labels
from bimotion.analysis.report.document import Report, Section
from bimotion.analysis.report.provenance import projections, provenance
from bimotion.analysis.report.scorebook import scorebook
from bimotion.analysis.report.scores import lead, scores, transfer
from bimotion.analysis.runs import Run
from bimotion.data.source import CorpusSource
from bimotion.results.record import Result


def report_of(run: Run, folder: Path, source: CorpusSource | None = None) -> Report:
    """The report of a run; `folder`: its own, where pictures of it may lie too; `source`: where
    tables of speakers' ages are looked for (None: `BIMOTION_CORPORA`). Raises RecordError.

    Example::

        folder = Path("results/bimotion__prosody/0123456789ab")
        [run] = runs.load([folder])
        print(reporting.report_of(run, folder).markdown(folder))
    """
    book = scorebook(run)
    warned = caveats(run, book)
    sections = (
        age(run, source or CorpusSource()),
        scores(run, book),
        Section("caveats", "Before you believe a number", caveats=warned),
        transfer(book),
        labels(run, book),
        confusions(run, book),
        between_groups(run, book),
        calibration(run),
        *projections(run.result, folder),
        provenance(run.result),
    )
    stamps = tuple(caveat.name for caveat in warned if caveat.severe)
    kept = tuple(
        part
        for part in sections
        if part.name == "age" or part.caveats or part.grids or part.drawings or part.pictures
    )
    return Report(run.result.title, _asked(run.result), lead(book, run.result), stamps, kept)


def _asked(result: Result) -> str:
    cells = f" in {', '.join(result.protocol.cells)}" if result.protocol.cells else ""
    words = [f"adapted: {result.adapt.summary}"] if result.adapt else []
    words += [f"track {result.track}", f"split {result.split.name}", f"schema {result.schema.name}"]
    words.append(f"protocol {result.protocol.name}{cells}")
    words.append(f"seed{'s' * (len(result.seeds) > 1)} {', '.join(map(str, result.seeds))}")
    words += [f"run {result.key}", f"finished {result.provenance.finished}"]
    return " · ".join(words)
