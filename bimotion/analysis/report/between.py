"""What a report says of groups: gaps between them beside what chance gives, what transfer keeps,
calibration."""

import dataclasses
from collections.abc import Iterable, Sequence

from bimotion.analysis import compare
from bimotion.analysis.compare import Run
from bimotion.analysis.report.classes import trained_for
from bimotion.analysis.report.document import Grid, Section, Value, Whisker
from bimotion.analysis.report.scorebook import Scorebook
from bimotion.results.statistics.gaps import Gap, gaps


def between_groups(run: Run, book: Scorebook) -> Section:
    """Gaps between ages and languages, the worst cell, transfer ratios, calibration."""
    text = (
        "How far weighted F1 differs between ages and languages, the worst cell, and what "
        "another training set keeps of the in-group score. Differences in points, ratios as "
        "they are. A group-blind model recalls every class of every cell equally often and "
        "is tested on the same clips and speakers: a gap inside its band is no evidence that "
        "the model treats groups differently."
    )
    table = compare.calibration_table(run)
    title = "Expected calibration error of the arg-max, in [0, 1]"
    calibration = dataclasses.replace(Grid.of(table, folded=True), title=title)
    return Section(
        "groups", "Gaps between groups", (text,), grids=(*_gap_grids(run, book), calibration)
    )


def _gap_grids(run: Run, book: Scorebook) -> Iterable[Grid]:
    """Differences between cells and the worst one, then what transfer keeps."""
    found = gaps(run.predictions, list(book.headlines), run.schema)
    if between := [gap for gap in found if gap.kind != "transfer"]:
        yield _differences(run, between)
    if kept := [gap for gap in found if gap.kind == "transfer"]:
        yield _kept(run, kept)


def _differences(run: Run, between: Sequence[Gap]) -> Grid:
    drawn = [gap for gap in between if gap.kind != "worst"]
    reach = max((abs(end) for gap in drawn for end in _ends(gap)), default=0.0) or 1.0
    rows, interval_notes = [], compare.IntervalNotes()
    for gap in between:
        name, value, interval, *chance = map(Value, compare.gap_row(gap, interval_notes))
        whisker = _whisker(gap, reach) if gap in drawn else None
        rows.append([name, value, dataclasses.replace(interval, whisker=whisker), *chance])
    notes = [
        f"Drawn from {-100 * reach:+.0f} to {100 * reach:+.0f} points: the gap, its interval, "
        "and the group-blind model's band."
    ]
    notes += interval_notes.found
    if not run.schema.exclusive:
        notes.append(
            "Cells differ in their labels, which these gaps mix with age and language; under "
            "schema valence they do not."
        )
    head = ["what", "value", "95 % interval", "group-blind model, 95 %", "p"]
    title = "Differences in weighted F1, points"
    return Grid(title, list(map(Value, head)), rows, tuple(notes), prose=True)


def _kept(run: Run, transfers: Sequence[Gap]) -> Grid:
    settings = {f"{one.training_set} -> {one.test}": one for one in run.settings}
    rows, interval_notes = [], compare.IntervalNotes()
    for gap in transfers:
        _, value, interval, *_ = map(Value, compare.gap_row(gap, interval_notes))
        whisker = Whisker.of(gap.interval, end=1.5, zero=1.0)
        interval = dataclasses.replace(interval, whisker=whisker)
        setting = settings[gap.of]
        rows.append([trained_for(setting), Value(str(setting.test)), value, interval])
    head = ["trained on", "tested on", "ratio", "95 % interval"]
    notes = ("Drawn from 0 to 1.5, the line is 1: as good as in-group.", *interval_notes.found)
    title = "What transfer keeps of the in-group score"
    return Grid(title, list(map(Value, head)), rows, notes, folded=True, prose=True)


def _ends(gap: Gap) -> tuple[float, ...]:
    """All that is to be drawn of a gap."""
    chance = (gap.chance.low, gap.chance.high) if gap.chance else ()
    return tuple(
        end
        for end in (gap.interval.value, gap.interval.low, gap.interval.high, *chance)
        if end is not None
    )


def _whisker(gap: Gap, reach: float) -> Whisker | None:
    chance = (gap.chance.low, gap.chance.high) if gap.chance else None
    return Whisker.of(gap.interval, start=-reach, end=reach, zero=0.0, chance=chance)
