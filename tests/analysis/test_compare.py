"""`bimotion compare`: what separates stands out, what does not is said, groups and leakage are
shown."""

import json
import re
from dataclasses import replace

import pytest

from bimotion.adaptation import METHODS
from bimotion.analysis.ages import age_table
from bimotion.analysis.feature_space import record
from bimotion.analysis.groups import group_tables
from bimotion.analysis.human import human_tables
from bimotion.analysis.leakage import leakage_table
from bimotion.analysis.pairs import alone_tables, comparison_tables
from bimotion.analysis.report.age import age
from bimotion.analysis.runs import load as load_runs
from bimotion.analysis.runs import questions
from bimotion.data.source import CorpusSource
from bimotion.data.speaker_facts import speaker_facts
from bimotion.errors import ModelError, RecordError, SettingError
from bimotion.evaluation import run as runner
from bimotion.results.reservations import reservations
from bimotion.results.run_spec import DETERMINISTIC
from tests.support.command_line import bimotion_process, run_main


@pytest.fixture(scope="module")
def runs(folders):
    """Prosody and random, on the same clips."""
    return load_runs([folders("prosody"), folders("random")])


@pytest.fixture(scope="module")
def compared(runs):
    """The table of the pair, and the ranks."""
    return comparison_tables(runs)


def test_a_better_model_is_separated_and_ranked_first(compared):
    pair, ranked = compared
    by_setting = {row[0]: row for row in pair.rows}
    assert len(by_setting) == 36
    in_group = by_setting["in-group inference: eng_adu -> eng_adu"]
    # TESS has one speaker an age
    assert in_group[4] == "bimotion/prosody is better, on these clips"
    assert float(in_group[1].split()[0]) > 20
    assert any(row[4] == "cannot separate" for row in pair.rows)
    assert [row[0] for row in ranked.rows] == [row[2] for row in ranked.rows] == ["1", "2"]
    assert ranked.rows[0][3].startswith("bimotion/prosody")


def test_what_intervals_cannot_say_is_said(compared):
    pair, ranked = compared
    spans = {row[0]: row[2] for row in pair.rows}
    # CSED publishes no speakers
    spread, few = (
        spans["in-group inference: zho_eld -> zho_eld"].rstrip(")").split(" (latent; few: ")
    )
    (low, high), (widest_low, widest_high) = (
        map(float, span.split(" to ")) for span in (spread, few)
    )
    assert widest_low < low < high < widest_high
    assert not spans["in-group inference: zho_adu -> zho_adu"].endswith(")")
    assert any(note.startswith("(latent)") for note in pair.notes)
    assert any("tess: one speaker" in note for note in pair.notes)
    assert any("SYNTHETIC" in note for note in ranked.notes)


def test_what_was_adapted_says_so_and_whether_it_is_a_reconstruction(folders):
    methods = ("none", "nnpm-vote")
    asked = {"protocol": "inference"}
    runs = load_runs([folders("prosody", adapt=method, **asked) for method in methods])
    pair, ranked = comparison_tables(runs)
    assert "bimotion/prosody + nnpm-vote (reconstruction, transductive) (probe, " in pair.title
    assert "bimotion/prosody + none (transductive) (probe, " in pair.title
    assert ranked.title == "Ranks by the mean over 12 settings across groups of weighted F1"
    across = [
        score.value
        for score in runs[0].result.scores
        if (score.metric, score.pooling) == ("weighted_f1", "mean") and score.transfer != "in-group"
    ]
    means = {row[3].split()[2]: row[4] for row in ranked.rows}
    assert means["none"] == f"{sum(across) / 12 * 100:.2f} ᵃ"
    notes = [note for note in ranked.notes if "target audio" in note]
    assert "nnpm-vote (reconstruction, transductive): NNPM, reconstruction: vote of" in notes[1]
    endings = [note.rpartition(", ")[2] for note in notes]
    assert endings == ["target audio not seen", "target audio seen"]


def test_a_model_cannot_be_separated_from_itself(runs):
    table, _ = comparison_tables([runs[1], runs[1]])
    assert {(row[1].split(" ")[0], row[4]) for row in table.rows} == {("+0.00", "cannot separate")}
    assert table.title.endswith("separated in 0 of 36 settings")


def test_drawings_beside_the_runs_are_passed_over(folders, tmp_path):
    # as results/*/*/ gives it after `bimotion project`
    (tmp_path / record.COVERAGE_FILE).write_text("{}", encoding="utf-8")
    assert len(load_runs([tmp_path, folders("random")])) == 1
    with pytest.raises(RecordError, match="found only drawings of `bimotion project`"):
        load_runs([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="expected the folder of a run"):
        load_runs([tmp_path / "empty", folders("random")])


def test_runs_are_grouped_by_their_question_and_others_are_not_compared(folders):
    asked = [folders("random"), folders("random", "disjoint"), folders("prosody")]
    first, disjoint, prosody = runs = load_runs(asked)
    assert questions(runs) == [[first, prosody], [disjoint]]
    [alone] = alone_tables(questions(runs))
    [[name, why]] = alone.rows
    assert name == disjoint.name
    assert ": expected the same split, found paper and disjoint: evaluate both with" in why
    assert alone_tables([[first], [disjoint]]) == alone_tables([[first, prosody]]) == []
    with pytest.raises(SettingError, match="expected each run once"):
        questions([first, first])
    with pytest.raises(SettingError, match="expected the same split, found paper and disjoint"):
        comparison_tables([first, disjoint])


def test_the_age_result_stands_for_every_training_set_tested_on_both_ages(
    runs, synth_root, tmp_path
):
    table = age_table(runs[0], CorpusSource.of(synth_root))
    assert [tuple(row[:2]) for row in table.rows] == [
        (corpus, train)
        for corpus in ("crema_d", "tess")
        for train in ("all", "eng", "eng_adu", "eng_eld", "zho_adu", "zho_eld")
    ]
    for row in table.rows:
        if row[0] == "tess":
            assert (row[2], row[6], row[8]) == ("1 + 1", "case study", "case study")
        else:
            assert row[2].endswith(" + 6")
            assert 0 < float(row[6]) <= 1
            assert 0 < float(row[8]) <= 1
    assert "9999 random" in table.notes[0]
    [grid] = age(runs[0], CorpusSource.of(synth_root)).grids  # of the report: the same, drawn
    for row, drawn in zip(table.rows, grid.rows, strict=True):
        assert [value.text for value in drawn[:5]] == row[:5]
        for value, text, p in zip(drawn[5:], row[5::2], row[6::2], strict=True):
            shown = f"{value.text} ({value.detail})" if value.whisker else value.text
            assert shown == (f"{text[:-1]}; p {p})" if value.whisker else text)
            assert value.whisker or value.detail == p
    elders = runs[0].predictions[runs[0].predictions["cell"].str.endswith("eld")]
    [note] = age_table(replace(runs[0], predictions=elders), CorpusSource.of(synth_root)).notes
    assert note.endswith("of crema_d or tess; all test clips of the run there are of elders")
    without = age_table(runs[0], CorpusSource.of(tmp_path))
    assert {row[0] for row in without.rows} == {"tess"}
    assert without.notes[0].startswith("crema_d: ages of its speakers are missing")


def test_where_old_and_young_are_of_other_genders_nothing_is_matched_and_a_note_says_why(
    runs, synth_root
):
    source = CorpusSource.of(synth_root)
    facts, _ = speaker_facts(runs[0].predictions, source)
    is_kept = (facts["gender"] == "f") == (facts["age_years"] >= 60)
    kept = runs[0].predictions["id"].isin(facts.index[is_kept])
    kept &= runs[0].predictions["corpus"] == "crema_d"
    table = age_table(replace(runs[0], predictions=runs[0].predictions[kept]), source)
    assert {tuple(row[7:]) for row in table.rows} == {("-", "-")}
    assert table.notes[-1].startswith("crema_d: elderly and adults share no gender, sentence and")


def test_cells_differ_by_corpus_too_and_have_no_p(runs):
    cells, transfers, calibration = group_tables(runs[0])
    by_name = {row[0]: row for row in [*cells.rows, *transfers.rows]}
    kinds = {name.split(",")[0].split(":")[0] for name in by_name}
    assert kinds == {"corpus and age", "corpus and language", "worst cell", "transfer ratio"}
    _, value, span = by_name["corpus and language, mean"]
    low, high = map(float, span.split(" (mixed")[0].split(" to "))
    assert low < float(value.split(" ")[0]) < high
    # built into the synthetic data
    assert float(by_name["transfer ratio, zho_adu -> eng_eld"][1]) < 0.9
    (worst,) = [row for name, row in by_name.items() if name.startswith("worst")]
    assert not worst[1].startswith("+")
    assert "they have no p" in cells.notes[0]
    assert any("SYNTHETIC" in note for note in cells.notes)
    errors = [float(row[1]) for row in calibration.rows]
    assert len(errors) == 36
    assert all(0 <= error <= 1 for error in errors)


def test_confounds_and_common_labels_stand_beside_every_transfer(runs):
    _, transfers, _ = group_tables(runs[0])
    by_name = {row[0].removeprefix("transfer ratio, "): row[3:] for row in transfers.rows}
    assert len(by_name) == 24
    corpus, language, labels = by_name["zho_adu -> eng_eld"]
    assert (corpus[-1], language[-5:], labels) == (")", " (50)", "100")
    assert float(language.split()[0]) > 50  # the synthetic corpora sound apart
    assert by_name["zho_adu -> zho_eld"][1] == "-"  # one language
    _, transfers, _ = group_tables(runs[1])  # bimotion/random has no features
    assert {tuple(row[3:5]) for row in transfers.rows} == {("-", "-")}


def test_cells_of_other_labels_are_not_compared(folders):
    [run] = load_runs([folders(schema="emotion", seeds=(0, 1))])
    rows = {row[0]: row[1:] for row in group_tables(run)[0].rows}
    assert rows["corpus and age, zho_adu - zho_eld"][0] == "-"
    assert "labels differ: angry, happiness" in rows["corpus and age, zho_adu - zho_eld"][1]


def test_runs_of_other_protocols_are_compared_on_the_settings_that_they_share(folders):
    runs = load_runs([folders("prosody"), folders("random", protocol="in-group")])
    [together] = questions(runs)
    pair, _ = comparison_tables(together)
    assert [row[0].split(":")[0] for row in pair.rows] == ["in-group inference"] * 4


def test_other_clips_are_another_question(folders):
    runs = load_runs([folders("prosody"), folders("random")])
    fewer = runs[1].predictions.iloc[1:]
    other = replace(runs[1], predictions=fewer)
    assert questions([runs[0], other]) == [[runs[0]], [other]]
    with pytest.raises(SettingError, match="expected the same test clips of eng_"):
        comparison_tables([runs[0], other])


def test_one_seed_of_something_seeded_is_of_this_checkpoint(runs):
    assert set(DETERMINISTIC) == {name for name, method in METHODS.items() if not method.seeded}
    tuned = replace(runs[0], result=replace(runs[0].result, track="finetune"))
    assert all("ᵏ" in row[1] for row in comparison_tables([tuned, runs[1]])[0].rows)
    assert not re.search("[ᵏ]|checkpoint", str(group_tables(runs[0])))
    assert all("ᵏ" in table.rows[0][1] for table in group_tables(tuned)[:2])
    guessed = runs[1].result
    several = replace(guessed, seeds=[0, 1, 2])
    for result, is_one in ((guessed, True), (several, False)):
        assert {"ᵏ" in text for text in reservations(result).values()} == {is_one}
    pair, _ = comparison_tables([runs[0], replace(runs[1], result=several)])
    assert not [note for note in pair.notes if "of this checkpoint" in note]
    # a row of a record is of one seed, however many there are
    reasons = {score.reason for score in guessed.scores}
    assert all(
        reason.endswith("of this checkpoint: another seed is not in the interval")
        for reason in reasons
    )
    assert not any("checkpoint" in (score.reason or "") for score in runs[0].result.scores)


def test_the_leakage_premium_is_paired_on_the_same_clips(folders, monkeypatch):
    asked = {"protocol": "leakage", "cells": ["eng_adu", "zho_adu"]}
    folder = folders("prosody", "folds", **asked)
    [run] = load_runs([folder])
    table = leakage_table(run)
    assert [row[:3] for row in table.rows] == [
        *(["crema_d", "eng_adu", "speakers"], ["esd", "eng_adu", "speakers"]),
        *(["esd", "zho_adu", "speakers"], ["iemocap", "eng_adu", "speakers"]),
        *(["crema_d", "eng_adu", "texts"], ["esd", "eng_adu", "texts"]),
        *(["esd", "zho_adu", "texts"], ["tess", "eng_adu", "texts"]),
    ]
    for *_, without, knowing, premium, _, _ in table.rows:
        assert float(premium) == pytest.approx(float(knowing) - float(without), abs=0.011)
    for train in ("eng_adu@esd~none", "eng_adu@esd~text"):
        tested = run.predictions.loc[run.predictions["train"] == train, "id"]
        assert tested.is_unique
    code, shown, _ = run_main(monkeypatch, ["compare", folder])
    assert code == 0
    assert shown.startswith("**Leakage premium")
    assert all(note.strip("; ") == note for note in table.notes)
    assert leakage_table(load_runs([folders("random")])[0]) is None
    first = replace(run, result=replace(run.result, split=replace(run.result.split, folds=1)))
    titles = [table.title for table in human_tables([run, run, first])]
    assert titles == [
        f"One human rater, schema valence, split {split}, %" for split in ("folds", "folds-1")
    ]


def test_of_many_runs_one_stands_in_every_pair(folders, monkeypatch):
    monkeypatch.setattr("bimotion.analysis.pairs.MAX_PAIRED", 2)
    asked = {"protocol": "inference", "cells": ["zho_eld"]}
    methods = ("coral", "none", "corpus-norm")
    runs = load_runs([folders("prosody", **asked, adapt=method) for method in methods])
    *pairs, ranked = comparison_tables(runs)
    seconds = [table.title.split(" less ")[1].split(" (")[0] for table in pairs]
    assert seconds == ["bimotion/prosody + none"] * 2
    assert any(note.startswith("pairs: with bimotion/prosody + none") for note in ranked.notes)


def test_the_command_prints_tables_and_json(folders, monkeypatch):
    words = ["compare", folders("prosody"), folders("random")]
    code, shown, errors = run_main(monkeypatch, words)
    assert (code, errors) == (0, "")
    assert "cannot separate" in shown
    assert "they have no p" in shown
    content = json.loads(run_main(monkeypatch, [*words, "--json"])[1])
    titles = [table["title"].split(":")[0] for table in content]
    assert titles[:2] == ["Age, within corpora"] * 2
    assert titles[-3:] == ["Cells", "Transfer", "Calibration"]
    missing = bimotion_process("compare", "nowhere")
    assert missing.returncode == 2
    assert "Traceback" not in missing.stderr


class Breaks:
    """An encoder that works for the first clips only."""

    def encode(self, waveforms, sample_rate_hz):
        if len(waveforms) != 5:  # of the noise that it is tried with
            raise RuntimeError("no more")
        return [[1.0] for _ in waveforms]


def test_unfinished_runs_are_passed_over_and_named(synth_root, folders, tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="no more"):
        runner.evaluate(Breaks(), data_dir=synth_root, output=tmp_path, protocol="in-group")
    [broken] = tmp_path.glob("*/*/")
    advice = "unfinished: run the same command again"
    lines = []
    assert len(load_runs([broken, folders("random")], lines.append)) == 1
    assert lines == [f"{broken}: {advice}; passed over"]
    finished = [folders("prosody"), folders("random")]
    _, alone, _ = run_main(monkeypatch, ["compare", *finished])
    together = run_main(monkeypatch, ["compare", finished[0], broken, finished[1]])
    assert together == (0, alone, f"{broken}: {advice}; passed over\n")
    for command in ("compare", "report", "score"):
        code, _, errors = run_main(monkeypatch, [command, broken])
        assert code == 2
        assert "unfinished" in errors
        assert "run the same command again" in errors
