"""The part of a report on calibration: whether a model is right as often as it says."""

from collections.abc import Iterable
from dataclasses import replace

from bimotion.analysis import groups
from bimotion.analysis.report.charts import calibration as curves
from bimotion.analysis.report.document import Grid, Section
from bimotion.analysis.report.scorebook import trained_on
from bimotion.analysis.runs import Run
from bimotion.io.drawing import Drawing
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import test_set
from bimotion.results.statistics.calibration import calibration_curve
from bimotion.results.statistics.from_predictions import rows_of


def calibration(run: Run) -> Section:
    """A picture a test cell, and the expected calibration error of every setting."""
    text = (
        "How often the answer is right, against its probability: on the broken line it is right "
        "as often as it says, below it is too sure of itself. The area of a dot is the number of "
        "clips. A chart for each training set, first the one of the cell itself."
    )
    if len(run.result.seeds) > 1:
        text += " All seeds together in a curve, their mean as the error."
    table = groups.calibration_table(run)
    errors = {row[0]: row[1] for row in table.rows}
    title = "Expected calibration error of the arg-max, in [0, 1]"
    grid = replace(Grid.of(table, folded=True), title=title)
    drawings = tuple(_drawings(run, errors))
    return Section("calibration", "Calibration", (text,), grids=(grid,), drawings=drawings)


def _drawings(run: Run, errors: dict[str, str]) -> Iterable[Drawing]:
    predicted = set(map(tuple, run.predictions[["train", "cell"]].drop_duplicates().to_numpy()))
    tests: dict[str, list[Setting]] = {}
    for setting in run.settings:
        if (setting.training_set, str(setting.test)) in predicted:
            tests.setdefault(str(setting.test), []).append(setting)
    for cell, settings in tests.items():
        of_sets = {
            setting.training_set: calibration_curve(
                test_set(rows_of(run.predictions, setting), run.schema)
            )
            for setting in settings
        }
        known = {name: bins for name, bins in of_sets.items() if bins}
        own = [s.training_set for s in settings if s.transfer in ("in-group", "zero-shot")]
        shown = dict.fromkeys(name for name in (*own, *known) if name in known)
        if shown:
            names = {setting.training_set: curve_name(setting) for setting in settings}
            of_sets = {names[key]: known[key] for key in shown}
            errors_of = {names[key]: errors[f"{key} -> {cell}"] for key in shown}
            yield curves.drawing_of(f"calibration-{cell}", cell, of_sets, errors_of)


def curve_name(setting: Setting) -> str:
    """The training set, and its corpora where these are not all, or its leak: no other curve
    of a test cell has the same."""
    name = setting.training_set if setting.leak else trained_on(setting)
    if not setting.corpora or "@" in name:
        return name
    return f"{name} of {', '.join(setting.corpora)}"
