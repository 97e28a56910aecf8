"""The tables of `bimotion compare` on groups of a run: differences between cells, what transfer
keeps, calibration."""

import numpy as np

from bimotion.analysis.paper_tables import warnings
from bimotion.analysis.runs import IntervalNotes, Run
from bimotion.io.tables import Table, percent, points, ratio
from bimotion.results.clip_predictions import test_set
from bimotion.results.statistics.calibration import expected_calibration_error
from bimotion.results.statistics.gaps import AGE, LANGUAGE, Gap, gaps

BETWEEN_CORPORA = (
    f"`{AGE}` (adults less elderly) and `{LANGUAGE}` (English less Mandarin) compare cells of "
    "different corpora, which these differences mix: they have no p"
)


def group_tables(run: Run) -> list[Table]:
    """Differences between cells, the worst one, what transfer keeps, and calibration."""
    notes = IntervalNotes()
    table = Table(
        f"Cells: {run.name}, weighted F1",
        ["what", "value", "95 % interval"],
        [gap_row(gap, notes) for gap in gaps(run.predictions, run.settings, run.schema)],
    )
    table.notes += [BETWEEN_CORPORA, *notes.notes, *warnings(run.result)]
    return [table, calibration_table(run)]


def gap_row(gap: Gap, notes: IntervalNotes) -> list[str]:
    """A comparison of cells as texts: what it is of, value, interval or why there is none. Ratios
    are as they are, the worst cell in %, differences in points."""
    name, text = {
        "worst": (f"worst cell: {gap.of}", percent),
        "transfer": (f"transfer ratio, {gap.of}", ratio),
    }.get(gap.kind, (f"{gap.kind}, {gap.of}", points))
    return [name, text(gap.interval.value), notes.of(gap.interval, text)]


def calibration_table(run: Run) -> Table:
    """Expected calibration error of every setting, mean over seeds."""
    title = f"Calibration: {run.name}, expected calibration error of the arg-max"
    table = Table(title, ["setting", "ECE", "clips"])
    predictions = run.predictions
    for setting in run.settings:
        cell, trained = str(setting.test), predictions["train"] == setting.training_set
        rows = predictions[trained & (predictions["cell"] == cell)]
        by_seed = [test_set(part, None, run.schema) for _, part in rows.groupby("seed")]
        errors = map(expected_calibration_error, by_seed)
        known = [error for error in errors if error is not None]
        mean, name = np.mean(known) if known else None, f"{setting.training_set} -> {setting.test}"
        table.rows.append([name, "-" if mean is None else f"{mean:.3f}", str(rows["id"].nunique())])
    return table
