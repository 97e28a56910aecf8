"""Tables: numbers in the right cells of the paper's Tables 3 and 4, and the warnings that must
stand below them."""

import dataclasses

import pytest

from bimotion.analysis.paper_tables import transfer_tables
from bimotion.io.tables import Table, percent
from bimotion.protocol.published import CELLS, PUBLISHED
from bimotion.results.record import (
    CorpusUsed,
    DataUsed,
    ModelUsed,
    ProtocolUsed,
    Provenance,
    Result,
    RunSpec,
    SchemaUsed,
    Score,
    SplitUsed,
)

SPEC = RunSpec(
    ModelUsed("bimotion/test", "1-1"),
    "probe",
    SplitUsed("paper", 0, "1"),
    SchemaUsed("emotion", "1", ["fear", "neutral"]),
    ProtocolUsed("all", "1"),
    seeds=[4],
    limit=None,
    data_fingerprint="0" * 12,
)
NOWHERE = Provenance({}, "3.11", None, "test", "cpu", [4], {}, "", "", None)
CREMA_D = CorpusUsed(
    n_utterances=7442,
    n_found=7442,
    n_published=7442,
    complete=True,
    left_out={},
    speakers_shared=None,
    age_source={"measured": 7442},
    synthetic=False,
)
SYNTHETIC = {"crema_d": dataclasses.replace(CREMA_D, synthetic=True, complete=False)}
TRANSFERS = ("cross-all", "cross-age", "cross-lingual")


def score(
    transfer,
    method,
    test,
    value,
    *,
    metric="weighted_f1",
    pooling="mean",
    corpus=None,
    untrained=(),
):
    return Score(
        transfer,
        method,
        ["eng_eld"],
        test,
        corpus,
        None if corpus else pooling,
        metric,
        value,
        n_utterances=10,
        n_speakers=2,
        n_speaker_unknown=0,
        classes=["fear", "neutral"],
        untrained=list(untrained),
        out_of_label_space=0.0,
        seed=4,
    )


def result(scores, **changes):
    data = DataUsed.of(SPEC.data_fingerprint, changes.get("corpora", {"crema_d": CREMA_D}))
    asked = {
        name: getattr(SPEC, name)
        for name in ("key", "model", "track", "split", "schema", "protocol", "seeds", "limit")
    }
    return Result(
        **asked,
        data=data,
        provenance=NOWHERE,
        scores=list(scores),
        skipped=[],
        fits=[],
        n_parameters=None,
    )


INCOMPLETE = {"crema_d": dataclasses.replace(CREMA_D, n_found=7000, complete=False)}


def full_scores():
    """Every setting of both tables, each with a value that says where it belongs: row, then
    column."""
    for column, cell in enumerate(CELLS, start=1):
        yield score("in-group", "inference", cell, 0.40 + column / 100)
        for row, transfer in enumerate(TRANSFERS, start=1):
            yield score(transfer, "inference", cell, row / 10 + column / 100)
            yield score(transfer, "augmentation", cell, (row + 5) / 10 + column / 100)


def notes_of(scores, **changes):
    return [table.notes[1:] for table in transfer_tables(result(scores, **changes))]


def test_numbers_stand_in_their_cells():
    inference, augmentation = transfer_tables(result(full_scores(), corpora=INCOMPLETE))
    assert inference.header == ["bimotion/test", "eng_eld", "eng_adu", "zho_eld", "zho_adu", "mean"]
    assert inference.rows == [
        ["cross-all", "11.00", "12.00", "13.00", "14.00", "12.50"],
        ["cross-age", "21.00", "22.00", "23.00", "24.00", "22.50"],
        ["cross-lingual", "31.00", "32.00", "33.00", "34.00", "32.50"],
        ["in-group (baseline)", "41.00", "42.00", "43.00", "44.00", "42.50"],
    ]
    assert augmentation.header == inference.header
    assert augmentation.rows == [
        ["cross-all", "61.00", "62.00", "63.00", "64.00", "62.50"],
        ["cross-age", "71.00", "72.00", "73.00", "74.00", "72.50"],
        ["cross-lingual", "81.00", "82.00", "83.00", "84.00", "82.50"],
        ["in-group (baseline)", "41.00", "42.00", "43.00", "44.00", "42.50"],
    ]
    assert ("Table 3" in inference.title, "Table 4" in augmentation.title) == (True, True)


def test_only_the_headline_is_shown():
    """Pooled scores, other metrics and single corpora stand in the result, not in the table."""
    others = [
        score("cross-all", "inference", "eng_eld", 0.99, pooling="pooled"),
        score("cross-all", "inference", "eng_eld", 0.99, metric="uar"),
        score("cross-all", "inference", "eng_eld", 0.99, corpus="crema_d"),
    ]
    assert transfer_tables(result([*others, *full_scores()]))[0].rows[0][1] == "11.00"
    assert transfer_tables(result(others))[0].rows[0][1] == "-"


def test_mean_of_full_rows_only():
    scores = [
        each for each in full_scores() if (each.transfer, each.test) != ("cross-age", "zho_eld")
    ]
    inference, augmentation = transfer_tables(result(scores))
    for table in (inference, augmentation):
        assert table.rows[1][3:] == ["-", table.rows[1][4], "-"]
        assert table.rows[1][4] != "-"
        assert [row[5] for row in table.rows].count("-") == 1


def test_null_value_is_a_dash():
    scores = [score("in-group", "inference", cell, None) for cell in CELLS]
    assert transfer_tables(result(scores))[0].rows[3] == [
        "in-group (baseline)",
        "-",
        "-",
        "-",
        "-",
        "-",
    ]


def test_augmentation_table_only_where_it_was_run():
    inference = [each for each in full_scores() if each.method == "inference"]
    assert len(transfer_tables(result(inference))) == 1
    assert (
        len(
            transfer_tables(
                result([*inference, score("cross-all", "augmentation", "zho_adu", 0.5)])
            )
        )
        == 2
    )


def test_note_says_which_run_it_is():
    for table in transfer_tables(result(full_scores())):
        assert table.notes == [f"track probe, split paper, schema emotion, seed 4, run {SPEC.key}"]


def test_published_rows_stand_beside_complete_results_alone():
    shown = transfer_tables(result(full_scores()))
    assert [row[0] for row in shown[0].rows[4:]] == [
        f"{row[0]}, XLSR-53 as printed" for row in shown[0].rows[:4]
    ]
    # our mean of the printed row
    assert shown[1].rows[6][1:] == ["54.55", "74.13", "54.84", "95.82", "69.84"]
    assert len(transfer_tables(result(full_scores(), corpora=SYNTHETIC))[0].rows) == 4
    assert len(transfer_tables(result(full_scores(), corpora=INCOMPLETE))[0].rows) == 4


def test_a_table_that_was_not_run_is_not_shown():
    one = [
        row for row in full_scores() if row.method == "augmentation" or row.transfer == "in-group"
    ]
    assert ["augmentation" in table.title for table in transfer_tables(result(one))] == [True]
    baseline = [row for row in one if row.transfer == "in-group"]
    assert ["inference" in table.title for table in transfer_tables(result(baseline))] == [True]


def beyond(method, transfer, train, test, f1, uar, **more):
    rows = (
        score(transfer, method, test, value, metric=metric, **more)
        for metric, value in (("weighted_f1", f1), ("uar", uar))
    )
    return [dataclasses.replace(row, train=[train]) for row in rows]


def test_a_protocol_beyond_the_paper_has_a_row_a_training_set_and_the_recall_beside_each_score():
    shown = transfer_tables(
        result(
            [
                *beyond(
                    "extension",
                    "cross-lingual",
                    "eng_adu@iemocap",
                    "deu_adu",
                    0.1,
                    0.2,
                    untrained=["fear"],
                ),
                *beyond("extension", "cross-lingual", "eng_adu@iemocap", "fas_adu", 0.3, None),
                *beyond("extension", "cross-lingual", "eng_adu@crema_d", "deu_adu", 0.5, 0.6),
                *beyond("extension", "in-group", "deu_adu", "deu_adu", 0.7, 0.8),
            ]
        )
    )
    (table,) = shown
    assert table.header == ["bimotion/test", "deu_adu", "UAR", "fas_adu", "UAR"]
    assert table.rows == [
        ["eng_adu@iemocap", "10.00", "20.00", "30.00", "-"],
        ["eng_adu@crema_d", "50.00", "60.00", "-", "-"],
        ["deu_adu", "70.00", "80.00", "-", "-"],
    ]
    assert table.notes[1:] == [
        "classes without any training clip: eng_adu@iemocap -> deu_adu: fear"
    ]


def test_synthetic_data_is_said():
    assert notes_of(full_scores(), corpora=SYNTHETIC) == [
        [],
        ["SYNTHETIC data: these numbers say nothing about people"],
    ]


def test_incomplete_corpora_are_said():
    data = {"crema_d": dataclasses.replace(CREMA_D, n_found=7000, complete=False), "tess": CREMA_D}
    expected = "incomplete corpora (usable clips): crema_d 7000 of 7442"
    assert notes_of(full_scores(), corpora=data) == [[], [expected]]


def test_shared_speakers_are_said():
    data = {
        "crema_d": CREMA_D,
        "tess": dataclasses.replace(CREMA_D, speakers_shared="one speaker in each age group"),
    }
    tested = [*full_scores(), score("in-group", "inference", "eng_eld", 0.1, corpus="tess")]
    assert notes_of(tested, corpora=data) == [[], ["test speakers may be in training: tess"]]
    assert notes_of(full_scores(), corpora=data) == [[], []]  # tess is trained on alone


def test_assumed_ages_are_said():
    data = {
        "esd": dataclasses.replace(CREMA_D, age_source={"assumed": 1, "stated": 2}),
        "tess": CREMA_D,
    }
    assert notes_of(full_scores(), corpora=data) == [[], ["ages assumed, not known: esd"]]


def test_classes_without_training_are_said_where_they_count():
    unseen = [
        score(
            "cross-lingual",
            "inference",
            "zho_eld",
            0.1,
            corpus="csed",
            untrained=["positive", "negative"],
        ),
        score("cross-age", "inference", "zho_adu", 0.1, corpus="esd", untrained=["fear"]),
        score(
            "cross-age", "inference", "zho_adu", 0.1, corpus="esd", untrained=["fear"], metric="uar"
        ),
        score("cross-age", "inference", "zho_adu", 0.1, untrained=["fear"]),
    ]
    assert notes_of([*full_scores(), *unseen]) == [
        [
            "classes without any training clip: cross-age -> zho_adu/esd: fear; "
            "cross-lingual -> zho_eld/csed: positive, negative"
        ],
        [],
    ]


def test_classes_without_training_in_the_baseline_are_said_in_both_tables():
    unseen = score("in-group", "inference", "zho_eld", 0.1, corpus="csed", untrained=["neutral"])
    expected = ["classes without any training clip: in-group -> zho_eld/csed: neutral"]
    assert notes_of([*full_scores(), unseen]) == [expected] * 2


# as protocol.md has them from the paper: eng_eld, eng_adu, zho_eld, zho_adu, avg as printed
PRINTED = {
    ("cross-all", "inference"): "27.48 9.71 24.75 28.71 22.66",
    ("cross-age", "inference"): "40.40 27.69 26.69 14.56 27.34",
    ("cross-lingual", "inference"): "14.54 32.42 16.06 57.54 30.14",
    ("in-group", "inference"): "55.12 70.28 57.00 97.00 69.85",
    ("cross-all", "augmentation"): "68.06 77.24 52.21 97.40 73.73",
    ("cross-age", "augmentation"): "66.96 75.47 59.93 97.00 74.84",
    ("cross-lingual", "augmentation"): "54.55 74.13 54.84 95.82 57.34",
}


def test_published_rows_are_the_papers():
    assert {
        which: tuple(map(float, text.split()[:4])) for which, text in PRINTED.items()
    } == PUBLISHED


@pytest.mark.parametrize("which", PRINTED, ids="/".join)
def test_printed_means_are_the_means_but_for_one(which):
    mean, printed = sum(PUBLISHED[which]) / 4, float(PRINTED[which].split()[4])
    if which == ("cross-lingual", "augmentation"):
        assert (mean, printed) == (pytest.approx(69.835), 57.34)
    else:
        assert mean == pytest.approx(printed, abs=0.005 + 1e-9)  # printed to two decimals


def test_published_row_as_a_table_row():
    """The published baseline, given as a result, is printed as the paper prints it."""
    values = zip(CELLS, PUBLISHED["in-group", "inference"], strict=True)
    row = transfer_tables(
        result(score("in-group", "inference", cell, value / 100) for cell, value in values)
    )[0].rows[3]
    assert row == ["in-group (baseline)", *PRINTED["in-group", "inference"].split()]


def test_percent():
    texts = [percent(value) for value in (0, 1, 0.5, 0.12344, 0.12346, 2 / 3, None)]
    assert texts == ["0.00", "100.00", "50.00", "12.34", "12.35", "66.67", "-"]


def test_markdown():
    table = transfer_tables(
        result([score("in-group", "inference", "eng_eld", 0.5512)], corpora=SYNTHETIC)
    )[0]
    assert table.markdown() == (
        "**Cross-group inference (Table 3): weighted F1, %, mean over each cell's corpora**\n"
        "\n"
        "| bimotion/test | eng_eld | eng_adu | zho_eld | zho_adu | mean |\n"
        "|---|---|---|---|---|---|\n"
        "| cross-all | - | - | - | - | - |\n"
        "| cross-age | - | - | - | - | - |\n"
        "| cross-lingual | - | - | - | - | - |\n"
        "| in-group (baseline) | 55.12 | - | - | - | - |\n"
        "\n"
        f"track probe, split paper, schema emotion, seed 4, run {SPEC.key}\n"
        "\n"
        "SYNTHETIC data: these numbers say nothing about people"
    )


def test_markdown_of_an_empty_table():
    assert Table("T", ["a"]).markdown() == "**T**\n\n| a |\n|---|"
