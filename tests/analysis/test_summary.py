"""The end of `evaluate`: a few plain sentences whose numbers are those of the tables."""

from dataclasses import replace
from pathlib import Path

import pytest

from bimotion.adaptation import METHODS
from bimotion.analysis import summary as summaries
from bimotion.analysis.ages import age_table
from bimotion.analysis.runs import Run, load
from bimotion.analysis.summary import COLUMNS, MAX_LINES, summary
from bimotion.data.source import CorpusSource
from bimotion.protocol.cells import BIMOTION_CELLS
from bimotion.results.record import AdaptUsed
from tests.support.reports import CREMA_D, CROSS_AGE, IN_GROUP, made

RUNS = Path("runs/model/key")
ADAPTED = AdaptUsed.of(METHODS["coral"], "transductive")


def said_of(runs, tmp_path, folders=None):
    """The lines of a summary, without ages; whole words in every line."""
    text = summary(runs, folders or [RUNS] * len(runs), CorpusSource.of(tmp_path))
    lines = text.splitlines()
    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= COLUMNS
    assert lines[0].startswith("In short: ")
    assert text.partition("Next: ")[2].startswith("bimotion ")
    return " ".join(line.strip() for line in lines)


def changed(run, **changes):
    return Run(replace(run.result, **changes), run.predictions)


def test_numbers_by_hand(tmp_path):
    run = made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE})
    text = said_of([run], tmp_path)
    assert "In short: org/model, frozen, with a regression on its features; protocol" in text
    assert "eng_eld 73.3 (" in text
    assert "eng_adu not run, zho_eld not run, zho_adu not run." in text
    assert "Trained on one other cell, means: cross-age 33.3." in text
    assert "Age, points of recall a decade within a corpus: crema_d: ages of its speakers" in text
    assert "Cannot be separated (95 % intervals): 1 of 1 comparisons" in text
    assert "such as eng_adu or its own clips as training for eng_eld." in text
    assert "No benchmark scores" not in text
    assert "Next: bimotion report runs/model/key --corpora " in text
    assert "; a baseline beside it, bimotion evaluate --model bimotion/prosody --corpora" in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"track": "finetune"}, "org/model, fine-tuned; protocol"),
        ({"track": "finetune"}, "more seeds, on which these numbers depend"),
        ({"adapt": ADAPTED}, f"adapted by {ADAPTED.name}"),
        ({"limit": 3}, "No benchmark scores: at most 3 clips of each corpus, cell and part."),
    ],
)
def test_it_says_what_was_run(changes, expected, tmp_path):
    assert expected in said_of([changed(made({"eng_eld": IN_GROUP}), **changes)], tmp_path)


def test_a_classifier_as_it_is_has_the_cells_and_no_transfer(tmp_path):
    run = changed(made({"nothing": IN_GROUP}), track="zero-shot")
    text = said_of([run], tmp_path)
    assert "org/model, as it is, trained on nothing here; protocol" in text
    assert "Weighted F1: eng_eld 73.3 (" in text
    assert "Trained on one other cell" not in text


def test_incomplete_corpora_are_named_and_sent_for(tmp_path):
    few = replace(CREMA_D, n_found=7, complete=False)
    text = said_of([made({"eng_eld": IN_GROUP}, corpora={"crema_d": few})], tmp_path)
    assert "No benchmark scores: incomplete corpora (clips: crema_d 7 of 7442)." in text
    assert text.endswith("bimotion data list, for the missing corpora")


def test_several_runs_are_held_against_each_other(tmp_path):
    runs = [
        made({"eng_eld": answers}, model=f"org/{name}")
        for name, answers in {"first": IN_GROUP, "second": CROSS_AGE}.items()
    ]
    text = said_of(runs, tmp_path)
    assert "In short: 2 results, track probe, split paper, schema valence" in text
    assert "org/first: eng_eld 73.3, eng_adu not run" in text
    assert "org/second: eng_eld 33.3, eng_adu not run" in text
    assert "org/first and org/second cannot be separated in 1 of 1 settings." in text
    assert "Next: bimotion compare runs/model/key runs/model/key" in text


def test_many_results_and_long_paths_stay_short(tmp_path):
    runs = [made({"eng_eld": IN_GROUP}, model=f"org/{'long-' * 9}{n}") for n in range(9)]
    folders = [Path("results") / f"org__{n}" / ("k" * 12) for n in range(9)]
    text = said_of(runs, tmp_path, folders)
    assert "6 more stand in the tables above." in text
    assert "Next: bimotion compare results/*/*/ --corpora" in text


def test_intervals_are_those_of_the_record(folders, synth_root):
    [run] = load([folders()])
    text = " ".join(summary([run], [RUNS], CorpusSource.of(synth_root)).split())
    recorded = [
        score
        for score in run.result.scores
        if (score.transfer, score.metric, score.pooling) == ("in-group", "weighted_f1", "mean")
        and score.test in map(str, BIMOTION_CELLS)
    ]
    assert len(recorded) == len(BIMOTION_CELLS)
    for score in recorded:
        ends = f"{100 * score.low:.0f} to {100 * score.high:.0f}"
        assert f"{score.test} {100 * score.value:.1f} ({ends}" in text


def test_what_comes_next_asks_a_baseline_the_same(folders, synth_root):
    [run] = load([folders()])
    few = changed(run, limit=5, split=replace(run.result.split, rule="folds", folds=1))
    few = changed(few, model=replace(run.result.model, name="org/model"))
    text = " ".join(summary([few], [RUNS], CorpusSource.of(synth_root)).split())
    assert f"bimotion report {RUNS} --corpora {synth_root}" in text
    words = f"--model bimotion/prosody --corpora {synth_root} --folds 1"
    assert words in text.replace(f" --schema {run.result.schema.name}", "")
    assert "--limit 5" in text


def test_the_age_result_is_that_of_compare(folders, synth_root):
    [run] = load([folders()])
    source = CorpusSource.of(synth_root)
    text = " ".join(summary([run], [RUNS], source).split())
    rows = {row[0]: row for row in reversed(age_table(run, source).rows)}
    for corpus, row in rows.items():
        assert f"{corpus} {row[5].partition(' ')[0]} (" in text
    assert "SYNTHETIC data: these numbers say nothing about people." in text
    assert summaries.TRACKS.keys() == {"probe", "finetune", "zero-shot"}
