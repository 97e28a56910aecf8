"""The tables of `bimotion compare` on groups of a run: differences between cells, what transfer
keeps, calibration."""

import numpy as np

from bimotion.analysis.paper_tables import warnings
from bimotion.analysis.runs import IntervalNotes, Run
from bimotion.io.tables import Table, percent, points, ratio
from bimotion.protocol.settings import SettingId
from bimotion.results.clip_predictions import test_set
from bimotion.results.reservations import joined, meanings, reservations, with_mark
from bimotion.results.statistics.calibration import expected_calibration_error
from bimotion.results.statistics.gaps import AGE, LANGUAGE, Gap, gaps

BETWEEN_CORPORA = (
    f"`{AGE}` (adults less elderly) and `{LANGUAGE}` (English less Mandarin) compare cells of "
    "different corpora, which these differences mix: they have no p"
)

CONFOUND_HEADER = ("corpus told, %", "language told, %", "labels in training, %")
CONFOUND_NOTE = (
    "told: how often a regression on the same features names the corpus, and the language, of "
    "clips of one class (mean recall; in brackets by chance): far above chance, a transfer may be "
    "of microphones and sentences. Labels in training: test clips whose class the training set has"
)


def group_tables(run: Run) -> list[Table]:
    """Differences between cells, the worst one, what transfer keeps, and calibration."""
    notes, marked = IntervalNotes(), reservations(run.result)
    of_cells, transfers = [], []
    for gap in gaps(run.predictions, run.settings, run.schema):
        (transfers if gap.kind == "transfer" else of_cells).append(gap)
    cells = Table(
        f"Cells: {run.name}, weighted F1",
        ["what", "value", "95 % interval"],
        [_marked_row(gap, notes, marked) for gap in of_cells],
    )
    shown = meanings(row[1] for row in cells.rows)
    cells.notes += [BETWEEN_CORPORA, *notes.notes, *shown, *warnings(run.result)]
    return [cells, *_transfer_tables(run, transfers), calibration_table(run)]


def _transfer_tables(run: Run, transfers: list[Gap]) -> list[Table]:
    if not transfers:
        return []
    notes, confounds, marked = IntervalNotes(), confounds_beside(run), reservations(run.result)
    rows = [_marked_row(gap, notes, marked) for gap in transfers]
    table = Table(
        f"Transfer: {run.name}, weighted F1 over that of in-group training",
        ["what", "value", "95 % interval", *CONFOUND_HEADER],
        [
            [*row, *confounds.get(gap.of, ["-"] * 3)]
            for row, gap in zip(rows, transfers, strict=True)
        ],
    )
    table.notes += [CONFOUND_NOTE, *notes.notes, *meanings(row[1] for row in table.rows)]
    return [table]


def confounds_beside(run: Run) -> dict[str, list[str]]:
    """`training set -> test cell` of each setting -> texts under CONFOUND_HEADER."""
    recorded = {(confound.train, confound.test): confound for confound in run.result.confounds}
    untrained = {
        SettingId.of(score): score.out_of_label_space
        for score in run.result.scores
        if score.pooling == "mean"
    }
    beside = {}
    for setting in run.settings:
        confound = recorded.get((setting.training_set, str(setting.test)))
        texts = ["-", "-"]
        if confound is not None:
            texts = [
                above_chance(confound.corpus, confound.corpus_chance),
                above_chance(confound.language, confound.language_chance),
            ]
        share = untrained.get(setting.id)
        overlap = "-" if share is None else f"{100 * (1 - share):.0f}"
        beside[f"{setting.training_set} -> {setting.test}"] = [*texts, overlap]
    return beside


def above_chance(recall: float | None, chance: float | None) -> str:
    """A recall in % with its chance level.

    >>> above_chance(0.948, 1 / 3), above_chance(None, None)
    ('95 (33)', '-')
    """
    return "-" if recall is None else f"{100 * recall:.0f} ({100 * chance:.0f})"


def gap_row(gap: Gap, notes: IntervalNotes) -> list[str]:
    """A comparison of cells as texts: what it is of, value, interval or why there is none. Ratios
    are as they are, the worst cell in %, differences in points."""
    name, text = {
        "worst": (f"worst cell: {gap.of}", percent),
        "transfer": (f"transfer ratio, {gap.of}", ratio),
    }.get(gap.kind, (f"{gap.kind}, {gap.of}", points))
    return [name, text(gap.interval.value), notes.of(gap.interval, text)]


def _marked_row(gap: Gap, notes: IntervalNotes, marked: dict[SettingId, str]) -> list[str]:
    name, value, interval = gap_row(gap, notes)
    return [name, with_mark(value, joined([marked], gap.settings)), interval]


def calibration_table(run: Run) -> Table:
    """Expected calibration error of every setting, mean over seeds."""
    title = f"Calibration: {run.name}, expected calibration error of the arg-max"
    table = Table(title, ["setting", "ECE", "clips"])
    predictions = run.predictions
    for setting in run.settings:
        cell, trained = str(setting.test), predictions["train"] == setting.training_set
        rows = predictions[trained & (predictions["cell"] == cell)]
        by_seed = [test_set(part, run.schema) for _, part in rows.groupby("seed")]
        errors = map(expected_calibration_error, by_seed)
        known = [error for error in errors if error is not None]
        mean, name = np.mean(known) if known else None, f"{setting.training_set} -> {setting.test}"
        table.rows.append([name, "-" if mean is None else f"{mean:.3f}", str(rows["id"].nunique())])
    return table
