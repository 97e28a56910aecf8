"""`bimotion compare`: what separates stands out, what does not is said, groups and leakage are
shown."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from bimotion import cli
from bimotion.analysis import compare
from bimotion.analysis.feature_space import record
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import ModelError, RecordError, SettingError
from bimotion.evaluation import run as runner
from bimotion.results.statistics.ages import age_gaps


@pytest.fixture(scope="module")
def folders(synth_root, tmp_path_factory):
    """(model, split rule) -> folder of a run on synthetic corpora under the valence schema."""
    output, made = tmp_path_factory.mktemp("runs"), {}

    def of(model: str, rule: str = "paper", **options):
        key = (model, rule, str(options))
        if key not in made:
            result = runner.evaluate(
                f"bimotion/{model}",
                data_dir=synth_root,
                output=output,
                schema="valence",
                split_rule=rule,
                **options,
            )
            made[key] = result.folder(output)
        return made[key]

    return of


def rows(tables, title: str) -> list[list[str]]:
    (found,) = [table for table in tables if title in table.title]
    return found.rows


def test_a_better_model_is_separated_and_ranked_first(folders):
    runs = compare.load([folders("prosody"), folders("random")])
    tables = compare.comparison_tables(runs)
    pairs = {row[0]: row for row in rows(tables, "less")}
    assert len(pairs) == 36
    assert pairs["in-group inference: eng_adu -> eng_adu"][4] == "bimotion/prosody is better"
    assert float(pairs["in-group inference: eng_adu -> eng_adu"][1]) > 20
    assert any(row[4] == "cannot separate" for row in pairs.values())
    ranked = rows(tables, "Ranks")
    assert [row[0] for row in ranked] == ["1", "2"]
    assert ranked[0][3].startswith("bimotion/prosody")
    assert [row[2] for row in ranked] == ["1", "2"]


def test_what_was_adapted_says_so_and_whether_it_is_a_reconstruction(folders):
    runs = compare.load(
        [folders("prosody", adapt=one, protocol="inference") for one in ("none", "nnpm-vote")]
    )
    tables = compare.comparison_tables(runs)
    assert "bimotion/prosody + nnpm-vote (reconstruction, transductive) (probe, " in tables[0].title
    assert "bimotion/prosody + none (transductive) (probe, " in tables[0].title
    assert tables[-1].title == "Ranks by the mean over 12 settings across groups of weighted F1"
    across = [
        s.value
        for s in runs[0].result.scores
        if (s.metric, s.pooling) == ("weighted_f1", "mean") and s.transfer != "in-group"
    ]
    assert {row[3].split()[2]: row[4] for row in tables[-1].rows}[
        "none"
    ] == f"{sum(across) / 12 * 100:.2f}"
    notes = "\n".join(tables[-1].notes)
    assert (
        "nnpm-vote (reconstruction, transductive): NNPM, reconstruction: vote of the memory"
        in notes
    )
    assert [note.rpartition(", ")[2] for note in tables[-1].notes if "target audio" in note] == [
        "target audio not seen",
        "target audio seen",
    ]


def test_a_model_cannot_be_separated_from_itself(folders):
    run = compare.load([folders("random")])[0]
    tables = compare.comparison_tables([run, run])
    assert {row[4] for row in rows(tables, "less")} == {"cannot separate"}
    assert {row[1] for row in rows(tables, "less")} == {"+0.00"}
    assert "separated in 0 of 36 settings" in tables[0].notes[0]


def test_drawings_beside_the_runs_are_passed_over(folders, tmp_path):
    # as results/*/*/ gives it after `bimotion project`
    (tmp_path / record.COVERAGE_FILE).write_text("{}", encoding="utf-8")
    assert len(compare.load([tmp_path, folders("random")])) == 1
    with pytest.raises(RecordError, match="found only drawings of `bimotion project`"):
        compare.load([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="expected the folder of a run"):
        compare.load([tmp_path / "empty", folders("random")])


def test_other_questions_are_not_compared(folders):
    runs = compare.load([folders("random"), folders("random", "disjoint")])
    with pytest.raises(SettingError, match="expected the same split, found paper and disjoint"):
        compare.comparison_tables(runs)


def test_groups_have_intervals_and_chance(folders):
    (run,) = compare.load([folders("prosody")])
    shown = rows(compare.group_tables(run), "Groups")
    kinds = [row[0].split(",")[0].split(":")[0] for row in shown]
    assert {"age gap", "language gap", "worst cell", "transfer ratio"} == set(kinds)
    language = next(row for row in shown if row[0].startswith("language gap, mean"))
    low, high = (float(value) for value in language[2].removesuffix(" (mixed)").split(" to "))
    assert low < float(language[1]) < high
    assert 0 < float(language[4]) <= 1
    ratios = {row[0]: float(row[1]) for row in shown if row[0].startswith("transfer ratio")}
    assert ratios["transfer ratio, zho_adu -> eng_eld"] < 0.9  # built into the synthetic data
    errors = [float(row[1]) for row in rows(compare.group_tables(run), "Calibration")]
    assert len(errors) == 36
    assert all(0 <= error <= 1 for error in errors)


def test_leakage_premium_where_both_rules_were_run(folders):
    runs = compare.load([folders("prosody", "disjoint"), folders("prosody")])
    (table,) = compare.leakage_tables(runs)
    assert len(table.rows) == 36
    for _, paper, disjoint, premium, _ in table.rows:
        assert float(premium) == pytest.approx(float(paper) - float(disjoint), abs=0.011)
    assert "disjoint cannot keep speakers apart" in table.notes[0]
    assert (
        compare.leakage_tables(compare.load([folders("prosody"), folders("random", "disjoint")]))
        == []
    )
    disjoint, paper = (
        next(
            score
            for score in run.result.scores
            if (score.train, score.test, score.metric, score.pooling)
            == (["eng_adu"], "eng_adu", "weighted_f1", "mean")
        )
        for run in runs
    )
    below = ((paper.value - paper.low) ** 2 + (disjoint.high - disjoint.value) ** 2) ** 0.5
    low = paper.value - disjoint.value - below
    (row,) = [row for row in table.rows if row[0].startswith("in-group inference: eng_adu")]
    assert float(row[4].split(" to ")[0]) == pytest.approx(100 * low, abs=0.006)


def test_what_intervals_cannot_say_is_said(folders):
    runs = compare.load([folders("prosody"), folders("random")])
    pair, ranked = compare.comparison_tables(runs)
    by_setting = {row[0]: row[2] for row in pair.rows}
    # CSED publishes no speakers
    assert by_setting["in-group inference: zho_eld -> zho_eld"].endswith(" (clips)")
    assert not by_setting["in-group inference: zho_adu -> zho_adu"].endswith(")")
    assert any(note.startswith("(clips)") for note in pair.notes)
    assert any("tess: one speaker" in note for note in pair.notes)
    assert any("SYNTHETIC" in note for note in ranked.notes)
    groups = compare.group_tables(runs[0])[0]
    assert any("SYNTHETIC" in note for note in groups.notes)
    (worst,) = [row for row in groups.rows if row[0].startswith("worst")]
    assert not worst[1].startswith("+")


def test_of_many_runs_one_stands_in_every_pair(folders, monkeypatch):
    monkeypatch.setattr(compare, "MAX_PAIRED", 2)
    asked = {"protocol": "inference", "cells": ["zho_eld"]}
    runs = compare.load(
        [folders("prosody", **asked, adapt=name) for name in ("coral", "none", "corpus-norm")]
    )
    tables = compare.comparison_tables(runs)
    titles = [table.title for table in tables if " less " in table.title]
    assert [title.split(" less ")[1].split(" (")[0] for title in titles] == [
        "bimotion/prosody + none"
    ] * 2
    assert any(note.startswith("pairs: with bimotion/prosody + none") for note in tables[-1].notes)


def test_runs_are_grouped_by_their_question(folders):
    runs = compare.load([folders("random"), folders("random", "disjoint"), folders("prosody")])
    assert [[run.result.model.name for run in one] for one in compare.questions(runs)] == [
        ["bimotion/random", "bimotion/prosody"],
        ["bimotion/random"],
    ]
    with pytest.raises(SettingError, match="expected each run once"):
        compare.questions([runs[0], runs[0]])


def test_age_thresholds_by_hand(folders, synth_root):
    """At 60 years of measured ages, sides are the cells of the corpora whose ages are measured on
    both sides."""
    (run,) = compare.load([folders("prosody")])
    found = manifest.build(CorpusSource.of(synth_root))
    measured = found.table[found.table["age_source"] == "measured"]
    ages = measured.set_index("id")["age_years"]
    gaps = {
        (gap.training_set, gap.threshold): gap
        for gap in age_gaps(run.predictions, ages, run.schema, replicates=200)
    }
    assert {threshold for _, threshold in gaps} == {55, 60, 65}
    at_60 = gaps["eng_eld+eng_adu", 60]
    mine = run.predictions[
        (run.predictions["train"] == "eng_eld+eng_adu") & (run.predictions["corpus"] == "crema_d")
    ]
    sizes = mine["cell"].value_counts()
    assert (at_60.n_younger, at_60.n_elderly) == (sizes["eng_adu"], sizes["eng_eld"])
    scores = {
        score.test: score.value
        for score in run.result.scores
        if (score.corpus, score.metric, tuple(score.train))
        == ("crema_d", "weighted_f1", ("eng_eld", "eng_adu"))
    }
    assert at_60.difference.value == pytest.approx(scores["eng_adu"] - scores["eng_eld"], abs=1e-9)
    assert (
        gaps["eng_eld+eng_adu", 55].n_elderly
        >= at_60.n_elderly
        >= gaps["eng_eld+eng_adu", 65].n_elderly
    )
    without = compare.group_tables(run, pd.Series(dtype=float))
    assert rows(without, "Age") == []
    assert "no training set was tested on both ages" in without[-1].notes[0]


def test_the_command_prints_tables_and_json(folders):
    command = [
        sys.executable,
        "-m",
        "bimotion",
        "compare",
        str(folders("prosody")),
        str(folders("random")),
    ]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert "cannot separate" in shown.stdout
    assert "a group-blind model gives" in shown.stdout
    content = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, text=True).stdout
    )
    assert [table["title"].split(":")[0] for table in content][-2:] == ["Groups", "Calibration"]
    missing = subprocess.run([*command[:4], "nowhere"], capture_output=True, text=True)
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr


class Breaks:
    """An encoder that works for the first clips only."""

    def encode(self, waveforms, sample_rate_hz):
        if len(waveforms) != 5:  # of the noise that it is tried with
            raise RuntimeError("no more")
        return [[1.0] for _ in waveforms]


def test_unfinished_runs_are_passed_over_and_said(
    synth_root, folders, tmp_path, capsys, monkeypatch
):
    def told(*words) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["bimotion", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capsys.readouterr()

    with pytest.raises(ModelError, match="no more"):
        runner.evaluate(Breaks(), data_dir=synth_root, output=tmp_path, protocol="in-group")
    [broken] = tmp_path.glob("*/*/")
    finished = [str(folders("prosody")), str(folders("random"))]

    code, shown, said = told("compare", broken, *finished)
    assert (code, said) == (
        0,
        f"{broken}: unfinished: run the same command again; passed over\n",
    )
    assert shown == told("compare", *finished)[1]
    for command in ("compare", "report", "score"):
        code, _, said = told(command, broken)
        assert code == 2
        assert "unfinished" in said
        assert "run the same command again" in said
