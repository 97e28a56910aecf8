"""Caveats: what makes numbers worthless stands at the top."""

from dataclasses import replace
from pathlib import Path

import pytest

from bimotion.analysis import report as reporting
from bimotion.analysis.report.html import page
from bimotion.analysis.report.scorebook import scorebook
from bimotion.analysis.runs import Run
from bimotion.analysis.runs import load as load_runs
from bimotion.corpora import CORPORA
from bimotion.evaluation import run as runner
from tests.support.reports import CREMA_D, CROSS_AGE, IN_GROUP, made, section
from tests.support.small_runs import PAPER

NOWHERE = Path("nowhere")


def caveats(report):
    return {caveat.name: caveat for caveat in section(report, "caveats").caveats}


def test_caveats_by_hand(by_hand):
    assert by_hand.stamps == ()
    assert {name: caveat.numbers for name, caveat in caveats(by_hand).items()} == {
        "Clips left out": ("crema_d: 3 no valence in surprise",),
        "Settings not run": ("no luck: 2", "no training clips: 2"),
        "Few speakers": ("eng_eld: 6 clips, 2 known speakers",),
        "Speakers shared": ("crema_d: the paper's split is by clip",),
        "Ages assumed": ("esd: 60 of 60 clips",),
    }
    assert "75.00 % of the clips" in caveats(by_hand)["Ages assumed"].text


@pytest.mark.parametrize(
    ("options", "stamp", "line"),
    [
        (
            {"corpora": {"crema_d": replace(CREMA_D, synthetic=True, complete=False)}},
            "SYNTHETIC data",
            "crema_d: 20 clips",
        ),
        (
            {"corpora": {"crema_d": replace(CREMA_D, n_found=7000, complete=False)}},
            "INCOMPLETE corpora",
            "crema_d: 7000 of 7442",
        ),
        ({"limit": 2}, "LIMITED run", "At most 2 clips"),
    ],
)
def test_what_makes_numbers_worthless_stands_at_the_top(options, stamp, line):
    report = reporting.report_of(made({"eng_eld": IN_GROUP}, **options), NOWHERE)
    assert report.stamps == (stamp,)
    caveat = caveats(report)[stamp]
    assert line in "\n".join((caveat.text, *caveat.numbers))
    assert page(report).index(stamp) < page(report).index("<main")
    assert f"**{stamp}**" in report.markdown(NOWHERE).split("\n\n")[1]


def test_labels_that_training_never_showed_and_clips_without_a_label(reported):
    run = made({"eng_eld": IN_GROUP}, trained=("neutral", "negative"))
    few = reporting.report_of(run, NOWHERE)
    assert caveats(few)["Classes never trained"].numbers == (
        "in-group, eng_eld → eng_eld, crema_d: positive (33.33 % of clips have no other class)",
    )
    assert section(few, "labels").grids[0].rows[0][1].detail == "never trained"
    report, folder = reported("emotion")
    clips = load_runs([folder])[0].predictions.drop_duplicates("id")
    references = clips.loc[clips["corpus"] == "elderreact", "reference"]
    n_labels = [(reference == 1).sum() for reference in references]
    several, none = sum(n > 1 for n in n_labels), n_labels.count(0)
    lines = caveats(report)["First labels alone"].numbers
    numbers = f"{several} of {len(references)} test clips of several, {none} of none"
    assert lines == (f"elderreact: {numbers}",)
    assert several > 0 < none


def test_one_and_unknown_speakers_are_named(reported):
    by_name = caveats(reported("valence")[0])
    for name, expected in (
        ("One speaker", ["eng_eld, tess", "eng_adu, tess"]),
        ("Speakers unknown", ["eng_eld, elderreact", "zho_eld, csed"]),
    ):
        assert [line.split(":")[0] for line in by_name[name].numbers] == expected


def with_uar(run, value):
    """The run with another recall in its record."""
    scores = [
        replace(score, value=value) if score.metric == "uar" else score
        for score in run.result.scores
    ]
    return reporting.report_of(Run(replace(run.result, scores=scores), run.predictions), NOWHERE)


def test_a_record_that_its_predictions_do_not_bear_out_is_doubtful():
    run = made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE})
    report = with_uar(run, 0.99)
    assert report.stamps == ("DOUBTFUL record",)
    lines = caveats(report)["DOUBTFUL record"].numbers
    assert "in-group, eng_eld → eng_eld: uar of mean" in lines
    assert len(lines) == 2 * 3  # mean, pooled and crema_d of two settings
    part = run.predictions[run.predictions["train"] == "eng_eld"]
    without = reporting.report_of(Run(run.result, part), NOWHERE)
    assert caveats(without)["DOUBTFUL record"].numbers == (
        "cross-age, eng_adu → eng_eld: no predictions of seed 0",
    )


def test_an_honest_record_is_not_doubtful_where_a_corpus_lacks_a_class(synth_root, tmp_path):
    """Among few clips, some corpus has none of a class that another has: pooled scores count what
    it is taken for all the same."""
    asked = PAPER | {"limit": 4, "cells": ["eng_adu"], "protocol": "in-group", "seeds": (0, 1)}
    result = runner.evaluate("bimotion/random", data_dir=synth_root, output=tmp_path, **asked)
    [run] = load_runs([result.folder(tmp_path)])
    tested = [score for score in result.scores if score.corpus and score.metric == "uar"]
    assert tested
    assert all(len(score.classes) < len(CORPORA[score.corpus].card.emotions) for score in tested)
    assert scorebook(run).doubtful == []


def test_an_undefined_score_is_a_dash_and_named():
    report = with_uar(made({"eng_eld": IN_GROUP}), None)
    assert len(caveats(report)["Undefined scores"].numbers) == 3
    assert section(report, "transfer").grids[1].rows[0][1].text == "-"
