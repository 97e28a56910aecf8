"""Every number of a report is the record's, checked by hand."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from bimotion.adaptation import METHODS
from bimotion.analysis import compare
from bimotion.analysis import report as reporting
from bimotion.analysis.compare import Run
from bimotion.analysis.report.scorebook import scorebook
from bimotion.io.tables import percent
from bimotion.protocol.published import PUBLISHED
from bimotion.results import record, rescoring, scoring
from bimotion.results.record import (
    AdaptUsed,
    ProtocolUsed,
    Skipped,
)
from tests.support.reports import IN_GROUP, VALENCE, made, report_of, section


def texts(grid):
    return [
        [(value.text, value.detail) if value.detail else value.text for value in row]
        for row in grid.rows
    ]


def test_numbers_by_hand(by_hand):
    """positive 2 TP/(2 TP + FP + FN) = 2/3, neutral 2/3, negative 4/5; weighted by 2, 1 and 3
    clips: 4.4/6."""
    [table] = section(by_hand, "scores").grids
    assert [value.text for value in table.head] == [
        "org/model",
        "eng_eld",
        "eng_adu",
        "zho_eld",
        "zho_adu",
        "mean",
    ]
    shown = {
        row[0].text: [value.text for value in row[1:]] for row in table.rows if not row[0].quiet
    }
    assert shown["in-group"] == ["73.33", "-", "-", "-", "-"]
    # negative: 2 * 3 / (2 * 3 + 3 + 0), of half of the clips
    assert shown["cross-age"] == ["33.33", "-", "-", "-", "-"]
    assert shown["cross-all"] == ["-"] * 5
    weighted, uar = section(by_hand, "transfer").grids
    assert [[row[0].text, row[1].text] for row in weighted.rows] == [
        ["eng_eld", "73.33"],
        ["eng_adu", "33.33"],
    ]
    assert [[row[0].text, row[1].text] for row in uar.rows] == [
        ["eng_eld", "72.22"],
        ["eng_adu", "33.33"],
    ]  # (1/2 + 1 + 2/3) / 3
    assert [row[1].ringed for row in uar.rows] == [True, False]
    [labels] = section(by_hand, "labels").grids
    assert [(value.text, value.detail) for value in labels.head[1:]] == [
        ("positive", "2 clips"),
        ("neutral", "1 clips"),
        ("negative", "3 clips"),
    ]
    assert [[value.text for value in row[1:]] for row in labels.rows] == [
        ["66.67", "66.67", "80.00"],
        ["0.00", "0.00", "66.67"],
    ]


def test_confusions_by_hand(by_hand):
    in_group, cross_age = section(by_hand, "confusion").grids
    assert (in_group.title, in_group.folded) == ("in-group, eng_eld → eng_eld", False)
    assert (cross_age.title, cross_age.folded) == ("cross-age, eng_adu → eng_eld", True)
    assert [value.text for value in in_group.head[1:]] == [
        "positive",
        "neutral",
        "negative",
        "none",
    ]
    assert [value.text for value in cross_age.head[1:]] == ["positive", "neutral", "negative"]
    assert texts(in_group) == [
        [("positive", "2 clips"), ("50.0", "1"), ("50.0", "1"), ("0.0", "0"), ("0.0", "0")],
        [("neutral", "1 clips"), ("0.0", "0"), ("100.0", "1"), ("0.0", "0"), ("0.0", "0")],
        [("negative", "3 clips"), ("0.0", "0"), ("0.0", "0"), ("66.7", "2"), ("33.3", "1")],
    ]
    assert [value.ringed for value in in_group.rows[2]] == [False, False, False, True, False]


def test_printed_rows_stand_beside_ours_and_say_why_they_are_not_comparable(by_hand):
    [table] = section(by_hand, "scores").grids
    printed = [row[1:] for row in table.rows if row[0].quiet]
    assert [row[0].text for row in printed] == [
        f"{PUBLISHED[transfer, 'inference'][0]:.2f}"
        for transfer in ("cross-all", "cross-age", "cross-lingual", "in-group")
    ]
    assert table.notes[0] == (
        "NOT comparable with the printed rows, which stand for orientation alone: schema "
        "valence (the paper: emotion)."
    )


@pytest.mark.parametrize(("schema", "seeds"), [("valence", (0,)), ("emotion", (0, 1))])
def test_every_number_is_the_records(folders, schema, seeds):
    """Tables, heat maps and labels against the rows of result.json; confusions sum to the clips of
    each test set."""
    folder = folders(schema, seeds)
    report, result = report_of(folder), record.load(folder / "result.json")
    three, four, five = section(report, "scores").grids
    for table, method in ((three, "inference"), (four, "augmentation")):
        for row in table.rows:
            if not row[0].quiet:
                of = "inference" if row[0].text == "in-group" else method
                values = [result.headline(row[0].text, of, cell.text) for cell in table.head[1:5]]
                assert [value.text for value in row[1:]] == [
                    *map(percent, values),
                    percent(sum(values) / 4),
                ]
    assert len([row for row in five.rows if not row[0].quiet]) == 4
    recorded = {}
    for score in result.scores:
        if score.value is not None:
            key = (
                score.transfer,
                score.method,
                tuple(score.train),
                score.test,
                score.corpus or score.pooling,
                score.metric,
            )
            recorded.setdefault(key, []).append(score.value)
    means = {key: percent(sum(values) / len(values)) for key, values in recorded.items()}
    book = scorebook(compare.load([folder])[0])
    assert book.doubtful == []
    settings = {
        (one.transfer, one.method, one.train_names, str(one.test)): one for one in book.settings
    }
    shown = {
        (*key, *place): percent(score.value)
        for key, setting in settings.items()
        for place, score in book.rows[setting].items()
        if score.value is not None
    }
    assert shown == means
    maps = section(report, "transfer").grids
    assert (
        sum(value.share is not None for grid in maps for row in grid.rows for value in row)
        == 2 * 36
    )
    n_clips = {
        cell: rows["id"].nunique()
        for cell, rows in compare.load([folder])[0].predictions.groupby("cell")
    }
    for grid in section(report, "confusion").grids:
        total = sum(int(value.detail) for row in grid.rows for value in row[1:])
        cell = re.search(r"→ (\w+)", grid.title)[1]
        if "of esd" not in grid.title and schema == "valence":
            assert total == n_clips[cell]
        assert total % len(seeds) == 0


def test_the_one_number_is_in_group_and_of_an_adapted_run_cross_lingual(folders):
    [run] = compare.load([folders()])
    adapted = dataclasses.replace(run.result, adapt=AdaptUsed.of(METHODS["coral"], "transductive"))
    for result, transfer in ((run.result, "in-group"), (adapted, "cross-lingual")):
        report = reporting.report_of(Run(result, run.predictions), folders())
        [row] = [row for row in section(report, "scores").grids[0].rows if row[0].text == transfer]
        assert report.lead.text == row[5].text
        assert report.lead.detail.startswith(
            f"weighted F1 in %, {transfer}, mean of the four cells; 95 % interval "
        )


def test_one_seed_shows_recorded_intervals(folders):
    result = record.load(folders() / "result.json")
    [score] = [
        one
        for one in result.scores
        if (one.transfer, one.test, one.corpus, one.pooling, one.metric)
        == ("in-group", "eng_adu", None, "mean", "weighted_f1")
        and one.method == "inference"
    ]
    row = next(
        row
        for row in section(report_of(folders()), "scores").grids[0].rows
        if row[0].text == "in-group"
    )
    assert (row[2].text, row[2].detail) == (
        percent(score.value),
        f"{percent(score.low)}–{percent(score.high)}",
    )
    assert (row[2].whisker.value, row[2].whisker.low) == (score.value, score.low)


def test_seeds_are_averaged_and_clips_summed_and_it_is_said():
    """Both seeds predict alike: means are those of one, counts double."""
    one, two = (made({"eng_eld": IN_GROUP}, seeds=seeds) for seeds in ((0,), (3, 5)))
    reports = [reporting.report_of(run, Path("nowhere")) for run in (one, two)]
    values = [
        [row[1].text for row in section(report, "scores").grids[0].rows] for report in reports
    ]
    assert values[0] == values[1]
    counts = [
        [[int(v.detail) for v in row[1:]] for row in section(report, "confusion").grids[0].rows]
        for report in reports
    ]
    assert (2 * np.array(counts[0])).tolist() == counts[1]
    assert "means over 2 seeds" in section(reports[1], "scores").text[1]
    assert "each of 2 seeds" in section(reports[1], "confusion").text[1]
    assert len(section(reports[0], "scores").text) == 1


def test_gaps_are_those_of_compare_and_drawn_to_scale(folders):
    report = report_of(folders())
    differences, kept, calibration = section(report, "groups").grids
    compared = compare.group_tables(compare.load([folders()])[0])
    between = [row for row in compared[0].rows if not row[0].startswith("transfer")]
    assert [[value.text for value in row] for row in differences.rows] == between
    assert [[row[2].text, row[3].text] for row in kept.rows] == [
        row[1:3] for row in compared[0].rows if row not in between
    ]
    assert [value.text for value in kept.rows[0]] == [
        "eng_adu",
        "eng_eld",
        *(one.text for one in kept.rows[0][2:]),
    ]
    assert [[value.text for value in row] for row in calibration.rows] == compared[1].rows
    drawn = [row[2].whisker for row in differences.rows if row[2].whisker]
    assert len(drawn) == len(differences.rows) - 1  # all but the worst cell, which is no difference
    assert {(-one.start, one.end) for one in drawn} == {(one.end, one.end) for one in drawn[:1]}
    assert all(
        one.start <= min(one.low, *one.chance) and max(one.high, *one.chance) <= one.end
        for one in drawn
    )


def test_zero_shot_has_a_table_of_its_own_and_one_skip_does_not_hide_the_other(
    synth_root, tmp_path
):
    """Of two zero-shot settings that differ in corpora alone, only the one that was skipped is
    missing."""
    run = made({"eng_eld": IN_GROUP})
    zero = dataclasses.replace(
        run.result,
        track="zero-shot",
        protocol=ProtocolUsed("all", "1", ["eng_adu"]),
        skipped=[
            Skipped(
                "zero-shot",
                "zero-shot",
                [],
                "eng_adu",
                "no test clips in eng_adu of esd and yuemotion",
            )
        ],
    )
    [setting] = rescoring.settings_of(zero)
    assert (str(setting.test), setting.corpora) == ("eng_adu", None)
    table = run.predictions.assign(train="nothing", cell="eng_adu")
    zero = dataclasses.replace(
        zero, scores=scoring.scores(table, [setting], VALENCE), key=zero.spec.key
    )
    report = reporting.report_of(Run(zero, table), tmp_path)
    [grid] = section(report, "scores").grids
    assert [row[0].text for row in grid.rows] == ["weighted F1", "UAR", "clips outside its classes"]
    assert [row[1].text for row in grid.rows] == ["73.33", "72.22", "0.00"]
    assert "transfer" not in [one.name for one in report.sections]
