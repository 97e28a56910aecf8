"""Every number of a report is the record's, checked by hand."""

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bimotion.adaptation import METHODS
from bimotion.analysis import report as reporting
from bimotion.analysis.groups import group_tables
from bimotion.analysis.report.scorebook import scorebook
from bimotion.analysis.runs import Run
from bimotion.analysis.runs import load as load_runs
from bimotion.io.tables import percent
from bimotion.protocol.published import CELLS, PUBLISHED
from bimotion.results import record, rescoring, scoring
from bimotion.results.record import AdaptUsed, ProtocolUsed, Skipped
from tests.support.reports import IN_GROUP, VALENCE, made, section


def texts(row):
    return [value.text for value in row]


def details(row):
    return [value.detail for value in row]


def ours(grid):
    """Name -> the texts of our rows; those of others are quiet."""
    return {row[0].text: texts(row[1:]) for row in grid.rows if not row[0].quiet}


def test_numbers_by_hand(by_hand):
    """positive 2 TP/(2 TP + FP + FN) = 2/3, neutral 2/3, negative 4/5; weighted by 2, 1 and 3
    clips: 4.4/6."""
    [table] = section(by_hand, "scores").grids
    assert texts(table.head) == ["org/model", *CELLS, "mean"]
    shown = ours(table)
    assert shown["in-group"] == ["73.33", "-", "-", "-", "-"]
    # negative: 2 * 3 / (2 * 3 + 3 + 0), of half of the clips
    assert shown["cross-age"] == ["33.33", "-", "-", "-", "-"]
    assert shown["cross-all"] == ["-"] * 5
    weighted, uar = section(by_hand, "transfer").grids
    assert ours(weighted) == {"eng_eld": ["73.33"], "eng_adu": ["33.33"]}
    # (1/2 + 1 + 2/3) / 3
    assert ours(uar) == {"eng_eld": ["72.22"], "eng_adu": ["33.33"]}
    assert [row[1].ringed for row in uar.rows] == [True, False]
    [labels] = section(by_hand, "labels").grids
    assert texts(labels.head[1:]) == list(VALENCE.classes)
    assert details(labels.head[1:]) == ["2 clips", "1 clips", "3 clips"]
    f1 = {"eng_eld": ["66.67", "66.67", "80.00"], "eng_adu": ["0.00", "0.00", "66.67"]}
    assert ours(labels) == f1


def test_confusions_by_hand(by_hand):
    in_group, cross_age = section(by_hand, "confusion").grids
    assert (in_group.title, in_group.folded) == ("in-group, eng_eld → eng_eld", False)
    assert (cross_age.title, cross_age.folded) == ("cross-age, eng_adu → eng_eld", True)
    assert texts(in_group.head[1:]) == [*VALENCE.classes, "none"]
    assert texts(cross_age.head[1:]) == list(VALENCE.classes)
    assert ours(in_group) == {
        "positive": ["50.0", "50.0", "0.0", "0.0"],
        "neutral": ["0.0", "100.0", "0.0", "0.0"],
        "negative": ["0.0", "0.0", "66.7", "33.3"],
    }
    assert [details(row) for row in in_group.rows] == [
        ["2 clips", "1", "1", "0", "0"],
        ["1 clips", "0", "1", "0", "0"],
        ["3 clips", "0", "0", "2", "1"],
    ]
    assert [value.ringed for value in in_group.rows[2]] == [False, False, False, True, False]


def test_printed_rows_stand_beside_ours_and_say_why_they_are_not_comparable(by_hand):
    [table] = section(by_hand, "scores").grids
    printed = [row[1].text for row in table.rows if row[0].quiet]
    assert printed == [f"{PUBLISHED[row[0].text, 'inference'][0]:.2f}" for row in table.rows[::2]]
    assert table.notes[0] == (
        "NOT comparable with the printed rows, which stand for orientation alone: schema "
        "valence (the paper: emotion)."
    )


@pytest.mark.parametrize("schema", ["valence", "emotion"])
def test_tables_and_the_scorebook_are_the_records(reported, schema):
    """Every row of result.json, of several seeds the mean."""
    report, folder = reported(schema)
    [run] = load_runs([folder])
    three, four, five = section(report, "scores").grids
    for table, method in ((three, "inference"), (four, "augmentation")):
        for transfer, shown in ours(table).items():
            if transfer.startswith("human"):
                continue
            used = "inference" if transfer == "in-group" else method
            values = [run.result.headline(transfer, used, cell) for cell in CELLS]
            assert shown == [*map(percent, values), percent(sum(values) / 4)]
    assert len(ours(five)) == 4
    recorded = defaultdict(list)
    for score in run.result.scores:
        if score.value is not None:
            key = (record.SettingId.of(score), score.corpus or score.pooling, score.metric)
            recorded[key].append(score.value)
    book = scorebook(run)
    assert book.doubtful == []
    assert {
        (setting.id, *row): percent(score.value)
        for setting, rows in book.rows.items()
        for row, score in rows.items()
        if score.value is not None
    } == {key: percent(sum(values) / len(values)) for key, values in recorded.items()}


@pytest.mark.parametrize("schema", ["valence", "emotion"])
def test_heat_maps_are_full_and_confusions_sum_to_the_clips(reported, schema):
    report, folder = reported(schema)
    [run] = load_runs([folder])
    rows = [row for grid in section(report, "transfer").grids for row in grid.rows]
    assert sum(value.share is not None for row in rows for value in row) == 2 * 36
    n_clips = run.predictions.groupby("cell")["id"].nunique()
    for grid in section(report, "confusion").grids:
        total = sum(int(n) for row in grid.rows for n in details(row[1:]))
        cell = re.search(r"→ (\w+)", grid.title)[1]
        if "of esd" not in grid.title and schema == "valence":
            assert total == n_clips[cell]
        assert total % len(run.result.seeds) == 0


def test_the_one_number_is_in_group_and_of_an_adapted_run_cross_lingual(reported):
    report, folder = reported("valence")
    [run] = load_runs([folder])
    result = replace(run.result, adapt=AdaptUsed.of(METHODS["coral"], "transductive"))
    adapted = reporting.report_of(Run(result, run.predictions), folder)
    for shown, transfer in ((report, "in-group"), (adapted, "cross-lingual")):
        assert shown.lead.text == ours(section(shown, "scores").grids[0])[transfer][4]
        start = f"weighted F1 in %, {transfer}, mean of the four cells; 95 % interval "
        assert shown.lead.detail.startswith(start)


def test_one_seed_shows_recorded_intervals(reported):
    report, folder = reported("valence")
    wanted = ("in-group", "inference", "eng_adu", "mean", "weighted_f1")
    [score] = [
        score
        for score in record.load(folder / "result.json").scores
        if (score.transfer, score.method, score.test, score.pooling, score.metric) == wanted
    ]
    rows = section(report, "scores").grids[0].rows
    [value] = [row[2] for row in rows if row[0].text == "in-group"]
    span = f"{percent(score.low)}–{percent(score.high)}"
    assert (value.text, value.detail) == (percent(score.value), span)
    assert (value.whisker.value, value.whisker.low) == (score.value, score.low)


def test_seeds_are_averaged_and_clips_summed_and_it_is_said():
    """Both seeds predict alike: means are those of one, counts double."""
    single, double = (
        reporting.report_of(made({"eng_eld": IN_GROUP}, seeds=seeds), Path("nowhere"))
        for seeds in ((0,), (3, 5))
    )
    scores = [section(report, "scores") for report in (single, double)]
    confusions = [section(report, "confusion") for report in (single, double)]
    assert ours(scores[0].grids[0]) == ours(scores[1].grids[0])
    counts = [
        [[int(n) for n in details(row[1:])] for row in part.grids[0].rows] for part in confusions
    ]
    assert (2 * np.array(counts[0])).tolist() == counts[1]
    assert "means over 2 seeds" in scores[1].text[1]
    assert "each of 2 seeds" in confusions[1].text[1]
    assert len(scores[0].text) == 1


def test_gaps_are_those_of_compare_and_drawn_to_scale(reported):
    report, folder = reported("valence")
    differences, kept = section(report, "groups").grids
    [calibration] = section(report, "calibration").grids
    cells, transfers, errors = group_tables(load_runs([folder])[0])
    between = [[row[0], row[1].split(" ")[0], row[2]] for row in cells.rows]
    ratios = [[row[1].split(" ")[0], *row[2:]] for row in transfers.rows]
    assert [str(row[1]) for row in differences.rows] == [row[1] for row in cells.rows]
    assert [texts(row) for row in differences.rows] == between
    assert [texts(row[2:]) for row in kept.rows] == ratios
    assert texts(kept.rows[0][:2]) == ["eng_adu", "eng_eld"]
    assert [texts(row) for row in calibration.rows] == errors.rows
    drawn = [row[2].whisker for row in differences.rows if row[2].whisker]
    assert len(drawn) == len(differences.rows) - 1  # all but the worst cell, which is no difference
    reach = drawn[0].end
    for whisker in drawn:
        assert (whisker.start, whisker.end) == (-reach, reach)
        assert -reach <= whisker.low < whisker.high <= reach


def test_zero_shot_has_a_table_of_its_own_and_one_skip_does_not_hide_the_other(tmp_path):
    """Two zero-shot settings differ only in corpora: only the one that was skipped is missing."""
    run = made({"eng_eld": IN_GROUP})
    reason = "no test clips in eng_adu of esd and yuemotion"
    zero = replace(
        run.result,
        track="zero-shot",
        protocol=ProtocolUsed("all", "1", ["eng_adu"]),
        skipped=[Skipped("zero-shot", "zero-shot", [], "eng_adu", reason)],
    )
    [setting] = rescoring.settings_of(zero)
    assert (str(setting.test), setting.corpora) == ("eng_adu", None)
    table = run.predictions.assign(train="nothing", cell="eng_adu")
    scores = scoring.scores(table, [setting], VALENCE)
    zero = replace(zero, scores=scores, key=zero.spec.key)
    report = reporting.report_of(Run(zero, table), tmp_path)
    [grid] = section(report, "scores").grids
    expected = {"weighted F1": ["73.33"], "UAR": ["72.22"], "clips outside its classes": ["0.00"]}
    assert ours(grid) == expected
    assert "transfer" not in [part.name for part in report.sections]
