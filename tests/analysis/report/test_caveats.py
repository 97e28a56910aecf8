"""Caveats: what makes numbers worthless stands at the top."""

import dataclasses
from pathlib import Path

from bimotion.analysis import compare
from bimotion.analysis import report as reporting
from bimotion.analysis.compare import Run
from bimotion.analysis.report.html import page
from bimotion.analysis.report.scorebook import scorebook
from bimotion.corpora import CORPORA
from bimotion.evaluation import run as runner
from tests.support.reports import CREMA_D, CROSS_AGE, IN_GROUP, made, report_of, section


def caveat(report, name):
    return next((one for one in section(report, "caveats").caveats if one.name == name), None)


def test_caveats_by_hand(by_hand):
    assert by_hand.stamps == ()
    found = {one.name: one.numbers for one in section(by_hand, "caveats").caveats}
    assert found == {
        "Clips left out": ("crema_d: 3 no valence in surprise",),
        "Settings not run": ("no luck: 2", "no training clips: 2"),
        "Few speakers": ("eng_eld: 6 clips, 2 known speakers",),
        "Speakers shared": ("crema_d: the paper's split is by clip",),
        "Ages assumed": ("esd: 60 of 60 clips",),
    }
    assert "75.00 % of the clips" in caveat(by_hand, "Ages assumed").text


def test_what_makes_numbers_worthless_stands_at_the_top():
    synthetic = {"crema_d": dataclasses.replace(CREMA_D, synthetic=True, complete=False)}
    incomplete = {"crema_d": dataclasses.replace(CREMA_D, n_found=7000, complete=False)}
    for options, stamp, said in (
        ({"corpora": synthetic}, "SYNTHETIC data", "crema_d: 20 clips"),
        ({"corpora": incomplete}, "INCOMPLETE corpora", "crema_d: 7000 of 7442"),
        ({"limit": 2}, "LIMITED run", "At most 2 clips"),
    ):
        report = reporting.report_of(made({"eng_eld": IN_GROUP}, **options), Path("nowhere"))
        assert report.stamps == (stamp,)
        found = caveat(report, stamp)
        assert said in (found.text, *found.numbers) or said in found.text
        assert page(report).index(stamp) < page(report).index("<main")
        assert f"**{stamp}**" in report.markdown(Path("nowhere")).split("\n\n")[1]


def test_labels_that_training_never_showed(folders):
    few = reporting.report_of(
        made({"eng_eld": IN_GROUP}, trained=("neutral", "negative")), Path("nowhere")
    )
    expected = (
        "in-group, eng_eld → eng_eld, crema_d: positive (33.33 % of clips have no other class)",
    )
    assert caveat(few, "Classes never trained").numbers == expected
    assert section(few, "labels").grids[0].rows[0][1].detail == "never trained"
    unmarked = caveat(report_of(folders("emotion", (0, 1))), "Clips without a marked emotion")
    predictions = compare.load([folders("emotion", (0, 1))])[0].predictions.drop_duplicates("id")
    elderreact = predictions[predictions["corpus"] == "elderreact"]
    n = sum(not (reference == 1).any() for reference in elderreact["reference"])
    assert unmarked.numbers == (f"elderreact: {n} of {len(elderreact)} test clips",)
    assert n > 0


def test_one_and_unknown_speakers_are_told(folders):
    report = report_of(folders())
    assert [line.split(":")[0] for line in caveat(report, "One speaker").numbers] == [
        "eng_eld, tess",
        "eng_adu, tess",
    ]
    unknown = caveat(report, "Speakers unknown").numbers
    assert [line.split(":")[0] for line in unknown] == ["eng_eld, elderreact", "zho_eld, csed"]


def test_a_record_that_its_predictions_do_not_bear_out_is_doubtful():
    run = made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE})
    better = [
        dataclasses.replace(one, value=0.99) if one.metric == "uar" else one
        for one in run.result.scores
    ]
    report = reporting.report_of(
        Run(dataclasses.replace(run.result, scores=better), run.predictions), Path("nowhere")
    )
    assert report.stamps == ("DOUBTFUL record",)
    assert "in-group, eng_eld → eng_eld: uar of mean" in caveat(report, "DOUBTFUL record").numbers
    # mean, pooled and crema_d of two settings
    assert len(caveat(report, "DOUBTFUL record").numbers) == 2 * 3
    part = run.predictions[run.predictions["train"] == "eng_eld"]
    without = reporting.report_of(Run(run.result, part), Path("nowhere"))
    assert caveat(without, "DOUBTFUL record").numbers == (
        "cross-age, eng_adu → eng_eld: no predictions of seed 0",
    )


def test_an_honest_record_is_not_doubtful_where_a_corpus_lacks_a_class(synth_root, tmp_path):
    """Of few clips, some corpus has none of a class that another has: pooled scores count what it
    is taken for all the same."""
    result = runner.evaluate(
        "bimotion/random",
        data_dir=synth_root,
        output=tmp_path,
        limit=4,
        cells=["eng_adu"],
        seeds=(0, 1),
    )
    [run] = compare.load([result.folder(tmp_path)])
    tested = {
        one.corpus: one.classes for one in result.scores if one.corpus and one.metric == "uar"
    }
    assert {
        name for name, classes in tested.items() if len(classes) < len(CORPORA[name].card.emotions)
    } == set(tested)
    assert scorebook(run).doubtful == []


def test_an_undefined_score_is_a_dash_and_said():
    run = made({"eng_eld": IN_GROUP})
    undefined = [
        dataclasses.replace(one, value=None) if one.metric == "uar" else one
        for one in run.result.scores
    ]
    report = reporting.report_of(
        Run(dataclasses.replace(run.result, scores=undefined), run.predictions), Path("nowhere")
    )
    assert len(caveat(report, "Undefined scores").numbers) == 3
    assert section(report, "transfer").grids[1].rows[0][1].text == "-"
