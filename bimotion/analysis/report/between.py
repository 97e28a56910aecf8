"""The part of a report on groups: differences between cells, and what transfer keeps."""

from collections.abc import Sequence
from dataclasses import replace

from bimotion.analysis import groups
from bimotion.analysis.report.classes import trained_for
from bimotion.analysis.report.document import Grid, Section, Value, Whisker
from bimotion.analysis.report.scorebook import Scorebook
from bimotion.analysis.runs import IntervalNotes, Run
from bimotion.results.reservations import meanings
from bimotion.results.statistics.gaps import Gap, gaps


def between_groups(run: Run, book: Scorebook) -> Section:
    """Differences between cells, the worst cell, transfer ratios."""
    text = (
        "How far weighted F1 differs between cells, the worst cell, and what another training "
        "set keeps of the in-group score. Differences in points, ratios as they are. Cells hold "
        "different corpora: a difference is of corpus and age, or of corpus and language, and has "
        "no p."
    )
    all_gaps = gaps(run.predictions, book.headlines, run.schema, book.headlines)
    between = [gap for gap in all_gaps if gap.kind != "transfer"]
    kept = [gap for gap in all_gaps if gap.kind == "transfer"]
    grids = [_differences(book, between)] if between else []
    grids += [_kept(run, book, kept)] if kept else []
    return Section("groups", "Differences between cells", (text,), grids=tuple(grids))


def _differences(book: Scorebook, between: Sequence[Gap]) -> Grid:
    drawn = [gap for gap in between if gap.kind != "worst"]
    reach = max((abs(end) for gap in drawn for end in _ends(gap)), default=0.0) or 1.0
    rows, notes = [], IntervalNotes()
    for gap in between:
        name, value, interval = map(Value, groups.gap_row(gap, notes))
        if gap in drawn:
            scale = {"start": -reach, "end": reach, "zero": 0.0}
            interval = replace(interval, whisker=Whisker.of(gap.interval, **scale))
        rows.append([name, replace(value, mark=book.mark(gap.settings)), interval])
    texts = [
        f"Drawn from {-100 * reach:+.0f} to {100 * reach:+.0f} points: the difference and its "
        "interval.",
        *notes.notes,
        *meanings(row[1].mark for row in rows),
    ]
    head = list(map(Value, ("what", "value", "95 % interval")))
    return Grid("Differences in weighted F1, points", head, rows, tuple(texts), prose=True)


def _kept(run: Run, book: Scorebook, transfers: Sequence[Gap]) -> Grid:
    settings = {f"{setting.training_set} -> {setting.test}": setting for setting in run.settings}
    rows, notes, confounds = [], IntervalNotes(), groups.confounds_beside(run)
    for gap in transfers:
        _, value, interval = map(Value, groups.gap_row(gap, notes))
        interval = replace(interval, whisker=Whisker.of(gap.interval, end=1.5, zero=1.0))
        setting, beside = settings[gap.of], map(Value, confounds[gap.of])
        value = replace(value, mark=book.mark(gap.settings))
        rows.append([trained_for(setting), Value(str(setting.test)), value, interval, *beside])
    names = ("trained on", "tested on", "ratio", "95 % interval", *groups.CONFOUND_HEADER)
    head = list(map(Value, names))
    drawn = "Drawn from 0 to 1.5, the line is 1: as good as in-group."
    shown = meanings(row[2].mark for row in rows)
    texts = (groups.CONFOUND_NOTE, drawn, *notes.notes, *shown)
    title = "What transfer keeps of the in-group score"
    return Grid(title, head, rows, texts, prose=True)


def _ends(gap: Gap) -> list[float]:
    """All that is to be drawn of a gap."""
    ends = (gap.interval.value, gap.interval.low, gap.interval.high)
    return [end for end in ends if end is not None]
