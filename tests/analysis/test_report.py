"""Reports: every number is the record's, every caveat has its counts, no text of a file becomes
markup, and it reads well."""

import dataclasses
import itertools
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bimotion.adaptation import METHODS
from bimotion.analysis import compare
from bimotion.analysis import report as reporting
from bimotion.analysis.compare import Run
from bimotion.analysis.feature_space import record as views
from bimotion.analysis.feature_space.coverage import Coverage
from bimotion.analysis.report.html import page
from bimotion.analysis.report.scorebook import scorebook
from bimotion.corpora import CORPORA
from bimotion.errors import RecordError
from bimotion.evaluation import run as runner
from bimotion.io import checksums
from bimotion.io.tables import percent
from bimotion.protocol import settings as protocol
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.published import PUBLISHED
from bimotion.results import record, rescoring, scoring
from bimotion.results.record import (
    AdaptUsed,
    CorpusUsed,
    DataUsed,
    FitRecord,
    ModelUsed,
    ProtocolUsed,
    Provenance,
    Result,
    RunSpec,
    SchemaUsed,
    Skipped,
    SplitUsed,
)
from tests.support import browser

needs_chromium = pytest.mark.skipif(
    browser.executable() is None, reason="no Chromium: apt-get install chromium"
)

HOSTILE = (
    "</script><script>hit()</script><img src=x onerror=hit()>\"'|`[x](javascript:hit())*\n<svg "
    "onload=hit()>{{ 7 * 7 }}{% include 'frame.html' %}"
)
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)
VALENCE = SCHEMAS["valence"]
CREMA_D = CorpusUsed(
    20,
    7442,
    7442,
    True,
    {"no valence in surprise": 3},
    "the paper's split is by clip",
    {"measured": 20},
    False,
)
ESD = CorpusUsed(60, 35000, 35000, True, {}, None, {"assumed": 60}, False)


def made(
    said: dict[str, list[str | None]],
    *,
    seeds=(0,),
    model="org/model",
    limit=None,
    corpora=None,
    trained=VALENCE.classes,
):
    """A run on six clips of English elders, two speakers: training set -> what each clip is taken
    for (None: no class)."""
    emotions = ["happiness", "happiness", "neutral", "fear", "angry", "sadness"]
    clips = list(zip(emotions, ["a", "a", "b", "a", "b", "b"], strict=True))
    rows = [
        {
            "train": train,
            "seed": seed,
            "id": f"crema_d/{number}",
            "cell": "eng_eld",
            "corpus": "crema_d",
            "speaker": speaker,
            "probabilities": np.array(
                [0.8 if name == taken[number] else 0.0 for name in VALENCE.classes], np.float32
            ),
            "reference": VALENCE.reference([emotion], emotions),
            "trained": list(trained),
        }
        for train, taken in said.items()
        for seed in seeds
        for number, (emotion, speaker) in enumerate(clips)
    ]
    table = pd.DataFrame(rows)
    settings = protocol.settings("inference", [Cell("eng", "eld")])
    spec = RunSpec(
        ModelUsed(model, "1"),
        "probe",
        SplitUsed("paper", 0, "1"),
        SchemaUsed("valence", "1", list(VALENCE.classes)),
        ProtocolUsed("inference", "1", ["eng_eld"]),
        list(seeds),
        limit,
        "0" * 12,
    )
    left = [one for one in settings if one.training_set not in said]
    asked = {
        name: getattr(spec, name)
        for name in ("key", "model", "track", "split", "schema", "protocol", "seeds", "limit")
    }
    result = Result(
        **asked,
        data=DataUsed.of("0" * 12, corpora or {"crema_d": CREMA_D, "esd": ESD}),
        provenance=Provenance(
            {"numpy": "2"},
            "3.11",
            None,
            "here",
            "cpu",
            [0],
            {},
            "",
            "2026-11-21T00:00:00+00:00",
            None,
        ),
        scores=scoring.scores(table, settings, VALENCE),
        skipped=[
            Skipped(
                s.transfer, s.method, list(s.train_names), str(s.test), "no training clips; no luck"
            )
            for s in left
        ],
        fits=[FitRecord(train, seed, 80, 10, 6, {"layer": 3}) for train in said for seed in seeds],
        n_parameters=None,
    )
    return Run(result, table)


IN_GROUP = ["positive", "neutral", "neutral", "negative", "negative", None]
CROSS_AGE = ["negative"] * 6


@pytest.fixture(scope="module")
def by_hand():
    return reporting.report_of(made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE}), Path("nowhere"))


@pytest.fixture(scope="module")
def folders(synth_root, tmp_path_factory):
    """Folder of a run of bimotion/random on synthetic corpora: schema, seeds."""
    output, known = tmp_path_factory.mktemp("runs"), {}

    def of(schema="valence", seeds=(0,)):
        if (schema, seeds) not in known:
            result = runner.evaluate(
                "bimotion/random", data_dir=synth_root, output=output, schema=schema, seeds=seeds
            )
            known[schema, seeds] = result.folder(output)
        return known[schema, seeds]

    return of


def report_of(folder):
    [run] = compare.load([folder])
    return reporting.report_of(run, folder)


def section(report, name):
    [found] = [one for one in report.sections if one.name == name]
    return found


def texts(grid):
    return [
        [(value.text, value.detail) if value.detail else value.text for value in row]
        for row in grid.rows
    ]


def caveat(report, name):
    return next((one for one in section(report, "caveats").caveats if one.name == name), None)


# --- numbers ------------------------------------------------------------------------------------


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


# --- caveats ------------------------------------------------------------------------------------


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


# --- shown --------------------------------------------------------------------------------------


class Cells(HTMLParser):
    """Texts of the cells of every table, and all elements with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.elements, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, attributes))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("th", "td")

    def handle_data(self, text):
        if self.inside:
            self.tables[-1][-1][-1] += text


def test_the_page_shows_what_the_report_holds(folders):
    report = report_of(folders())
    grids = [
        grid for one in report.sections for grid in sorted(one.grids, key=lambda grid: grid.folded)
    ]
    held = [
        [[value.text + value.detail for value in row] for row in (grid.head, *grid.rows)]
        for grid in grids
    ]
    text = page(report)
    assert Cells(text).tables == held
    assert all(title in text for title in ("Table 3", "Table 4", "Table 5", "SYNTHETIC"))
    assert text == page(report_of(folders()))  # the same bytes


def test_markdown_is_tables_that_render(folders):
    report = report_of(folders("emotion", (0, 1)))
    text = report.markdown(folders("emotion", (0, 1)))
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == sum(len(one.grids) for one in report.sections)
    for block in blocks:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1
    assert text.count("\n## ") == len(report.sections)
    headline = [value for row in section(report, "scores").grids[0].rows for value in row]
    assert all(str(value) in text for value in headline)


def view_of(result, **changes):
    """A view as `bimotion project` records it, of the model and the kind of data of a run."""
    rows = [
        views.Row("eng_eld", None, Coverage(6, 2, 5, coverage=0.5)),
        views.Row("eng_adu", None, Coverage(6, 2, 5)),
    ]
    asked = {
        name: getattr(result, name)
        for name in ("model", "track", "split", "schema", "limit", "provenance")
    }
    view = views.Projection(
        "0" * 12,
        **asked,
        seed=0,
        panels={"eng_eld": ["eng_eld"], "eng_adu": ["eng_adu"]},
        test=["eng_eld"],
        classes=["positive"],
        coverage=rows,
        left_out={},
        corpora=dict.fromkeys(result.data.corpora, 1),
        synthetic=result.data.synthetic,
        data_fingerprint="0",
        umap={},
    )
    return dataclasses.replace(view, **changes)


def keep(view, place):
    place.mkdir(parents=True)
    (place / "projection.png").write_bytes(PNG)
    (place / "coverage.json").write_text(json.dumps(dataclasses.asdict(view)))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report whose every text that comes from a file is hostile; with a picture."""
    folder = tmp_path_factory.mktemp("hostile")
    run = made({"eng_eld": IN_GROUP, "eng_adu": CROSS_AGE}, model=HOSTILE)
    used = dataclasses.replace(
        CREMA_D,
        speakers_shared=HOSTILE,
        left_out={HOSTILE: 1},
        age_source={"assumed": 1, HOSTILE: 1},
    )
    made_by = dataclasses.replace(
        run.result.provenance, versions={HOSTILE: HOSTILE}, device=HOSTILE, finished=HOSTILE
    )
    result = dataclasses.replace(
        run.result,
        model=ModelUsed(HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE, "unmapped": HOSTILE}),
        data=DataUsed.of(HOSTILE, {HOSTILE: used, "crema_d": used}),
        provenance=made_by,
        skipped=[dataclasses.replace(skip, reason=HOSTILE) for skip in run.result.skipped],
        fits=[
            dataclasses.replace(fit, train=HOSTILE, facts={HOSTILE: HOSTILE})
            for fit in run.result.fits
        ],
        scores=[
            dataclasses.replace(one, reason=HOSTILE, low=None, untrained=[HOSTILE])
            for one in run.result.scores
        ],
    )
    rows = [views.Row(HOSTILE, HOSTILE, Coverage(1, 1, 5, reason=HOSTILE))]
    keep(
        view_of(result, panels={HOSTILE: [HOSTILE]}, test=[HOSTILE], coverage=rows),
        folder / "projection-<b>",
    )
    return reporting.report_of(Run(result, run.predictions.assign(speaker=HOSTILE)), folder)


def test_hostile_texts_are_no_markup(hostile, tmp_path):
    text = page(hostile)
    elements = Cells(text).elements
    assert {tag for tag, _ in elements} & {"script", "iframe", "form", "input", "button"} == set()
    assert [
        name
        for _, given in elements
        for name, _ in given
        if name.startswith("on") or name == "style"
    ] == []
    assert [dict(given)["src"][:22] for tag, given in elements if tag == "img"] == [
        "data:image/png;base64,"
    ]
    addresses = [dict(given)["href"] for tag, given in elements if tag == "a"]
    assert [
        one
        for one in addresses
        if not re.fullmatch(r"#[a-z]+|https://arxiv.org/abs/2306.14517", one)
    ] == []
    assert text.count("&lt;/script&gt;") > 20
    markdown = hostile.markdown(tmp_path)
    assert "<" not in markdown
    assert re.findall(r"(?<!\\)\[x\]", markdown) == []
    for block in markdown.split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


class opened:
    """Context: a browser on the page of a report; at the end nothing may have gone wrong in it, or
    been asked for."""

    def __init__(self, report, folder):
        (folder / "report.html").write_text(page(report), encoding="utf-8")
        self.url = (folder / "report.html").as_uri()
        self.browser = browser.Browser(folder / "profile")

    def __enter__(self):
        self.browser.__enter__()
        self.browser.look(1280, 900)
        self.browser.call(
            "Page.addScriptToEvaluateOnNewDocument",
            source="window.hits = 0; window.hit = () => { hits += 1 }",
        )
        self.browser.open(self.url, "document.readyState === 'complete'")
        return self.browser

    def __exit__(self, *failure):
        asked = {
            event["params"]["request"]["url"]
            for event in self.browser.said("Network.requestWillBeSent")
        }
        wrong = self.browser.said(
            "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"
        )
        hits = None if failure[0] else self.browser.run("window.hits")
        self.browser.__exit__(*failure)
        if not failure[0]:
            assert {url for url in asked if not url.startswith("data:")} <= {
                self.url,
                "about:blank",
            }
            assert (wrong, hits) == ([], 0)


@needs_chromium
def test_it_reads_in_a_browser_light_dark_and_on_a_phone(folders, tmp_path):
    with opened(report_of(folders("emotion", (0, 1))), tmp_path) as shown:
        assert shown.run("document.title") == "bimotion/random · BiMotion report"
        targets = "[...document.querySelectorAll('.contents a, .stamps a')].map(one => one.hash)"
        assert shown.run(f"{targets}.every(hash => document.querySelector(hash))")
        assert shown.run("document.querySelectorAll('details[open]').length") == 0
        shown.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        for width, dark in itertools.product((1280, 390), (False, True)):
            shown.look(width, 900, dark=dark)
            assert shown.run("document.documentElement.scrollWidth") <= width
            inside = (
                "[...document.querySelectorAll('.scroll')].every(one => "
                "one.getBoundingClientRect().right <= innerWidth)"
            )
            assert shown.run(inside)
            low = {name: ratio for name, ratio in contrasts(shown).items() if ratio < 4.5}
            assert low == {}, (width, dark)
        heats = shown.run(
            "[...document.querySelectorAll('#transfer td.heat')].map(one => "
            "getComputedStyle(one).backgroundColor)"
        )
        assert len(set(heats)) > 5


def contrasts(shown):
    """Of texts on their ground; of the hottest cell's, the deepest colour of the scale."""
    return dict(
        shown.run("""(() => {
      const context = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
      const solid = (layers) => {
        for (const one of layers) { context.fillStyle = one; context.fillRect(0, 0, 1, 1) }
        const pixel = [...context.getImageData(0, 0, 1, 1).data];
        const linear = pixel.slice(0, 3).map((value) => value / 255)
          .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
      };
      const ratio = (node, layers) => {
        const text = getComputedStyle(node).color;
        const [low, high] = [solid(layers), solid([...layers, text])].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      };
      const ground = getComputedStyle(document.body).backgroundColor;
      const heat = document.querySelector("#transfer td.heat");
      heat.style.setProperty("--share", 1);
      const hot = getComputedStyle(heat).backgroundColor;
      return [
        ...["h1", ".lead", ".lead small", "header p", ".stamps a", ".contents a", "h3",
        "thead th", ".quiet .value", "td small",
            ".note", ".caveats b", ".caveats li", ".caveats ul li", "summary", "footer p"]
          .map((name) => [name, ratio(document.querySelector(name), [ground])]),
        ["heat", ratio(heat, [ground, hot])],
        ["heat small", ratio(heat.querySelector("small"), [ground, hot])],
      ];
    })()""")
    )


@needs_chromium
def test_hostile_texts_are_shown_and_do_not_run(hostile, tmp_path):
    with opened(hostile, tmp_path) as shown:
        assert shown.run("document.querySelector('h1').lastChild.textContent") == HOSTILE
        assert (
            shown.run(
                "document.querySelectorAll('script, iframe, svg[onload], img[onerror]').length"
            )
            == 0
        )
        assert shown.run(
            "[...document.images].map(one => [one.alt.includes('<img'), one.naturalWidth])"
        ) == [[True, 1]]


# --- pictures -----------------------------------------------------------------------------------


def test_pictures_of_the_same_question_are_shown_and_others_are_not(tmp_path):
    run = made({"eng_eld": IN_GROUP})
    folder, others = tmp_path / "model" / run.result.key, tmp_path / "model"
    changes = {
        "track": {"track": "finetune"},
        "synthetic": {"synthetic": True},
        "limit": {"limit": 3},
        "revision": {"model": dataclasses.replace(run.result.model, revision="other")},
        "corpus": {"corpora": {"yuemotion": 60}},
        "clips": {"corpora": dict.fromkeys(run.result.data.corpora, 10**6)},
    }
    keep(view_of(run.result, track="finetune", synthetic=True), folder / "projection")
    keep(view_of(run.result), others / "projection-1")
    for name, change in changes.items():
        keep(view_of(run.result, **change), others / f"projection-{name}")
    report = reporting.report_of(run, folder)
    found = section(report, "projections")
    assert {one.path.parent for one in found.pictures} == {
        folder / "projection",
        others / "projection-1",
    }
    assert [one.caption for one in found.pictures] == [
        "trained on eng_eld; eng_adu, tested on eng_eld; SYNTHETIC data: these numbers say "
        "nothing about people",
        "trained on eng_eld; eng_adu, tested on eng_eld",
    ]
    for grid in found.grids:
        assert [value.text for value in grid.head][:5] == [
            "training set",
            "class",
            "training",
            "test",
            "coverage",
        ]
        assert [row[4].text for row in grid.rows] == ["0.50", "–"]
    assert page(report).count("data:image/png;base64,") == 2
    assert "](../projection-1/projection.png)" in report.markdown(folder)
    adapted = dataclasses.replace(
        run,
        result=dataclasses.replace(
            run.result, adapt=AdaptUsed.of(METHODS["coral"], "transductive")
        ),
    )
    [_, picture] = section(reporting.report_of(adapted, folder), "projections").pictures
    assert picture.caption.endswith("; features before adaptation")
    (folder / "projection" / "coverage.json").write_text("{")
    with pytest.raises(
        RecordError, match=r"projection/coverage.json: expected JSON of `bimotion project`"
    ):
        reporting.report_of(run, folder)


# --- the command --------------------------------------------------------------------------------


def bimotion(*words):
    return subprocess.run(
        [sys.executable, "-m", "bimotion", *map(str, words)], capture_output=True, text=True
    )


def test_the_command_writes_where_it_is_told(folders, tmp_path):
    run = bimotion("report", folders(), "--output", tmp_path / "new", "--format", "html")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == f"{tmp_path / 'new' / 'report.html'}\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    shutil.copytree(folders(), tmp_path / "run")
    run = bimotion("report", tmp_path / "run")
    assert run.stdout.split() == [
        str(tmp_path / "run" / name) for name in ("report.html", "report.md")
    ]
    assert (tmp_path / "run/report.html").read_bytes() == (
        tmp_path / "new/report.html"
    ).read_bytes()


def test_mistakes_are_one_line(folders, tmp_path):
    def refused(folder, said):
        run = bimotion("report", folder)
        assert (run.returncode, run.stdout) == (2, "")
        assert said in run.stderr
        assert len(run.stderr.splitlines()) == 1
        assert not (folder / "report.html").exists()

    refused(
        tmp_path / "nowhere", "expected the folder of a run, which holds result.json; found none"
    )
    output = folders().parents[1]
    refused(output, f"found runs in {min(path.parent for path in output.glob('*/*/result.json'))}")
    for name, text, said in (
        (
            "predictions.parquet",
            None,
            "predictions.parquet: expected predictions in Parquet, found",
        ),
        (
            "predictions.parquet",
            "no table",
            "predictions.parquet: expected predictions in Parquet, found",
        ),
        ("result.json", "{", "result.json: expected a result in JSON, found"),
        ("result.json", "[]", "result.json: expected schema_version"),
    ):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        shutil.copytree(folders(), tmp_path / "run")
        (tmp_path / "run" / name).write_text("other")
        refused(tmp_path / "run", f"{name}: damaged or edited")
        (tmp_path / "run" / checksums.SUMS_FILE).unlink()  # then the schema alone tells
        (tmp_path / "run" / name).unlink()
        if text is not None:
            (tmp_path / "run" / name).write_text(text)
        refused(tmp_path / "run", said)
    shutil.copy(folders() / "result.json", tmp_path / "run")
    table = pd.read_parquet(folders() / "predictions.parquet")
    table.drop(columns="cell").to_parquet(tmp_path / "run/predictions.parquet")
    refused(tmp_path / "run", "missing: cell")
    table.assign(reference=[[1]] * len(table)).to_parquet(tmp_path / "run/predictions.parquet")
    refused(tmp_path / "run", "column reference: expected lists of 3 numbers, found one of 1")
