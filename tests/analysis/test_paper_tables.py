"""Tables: numbers in the right cells of the paper's Tables 3 and 4, and the warnings that must
stand below them."""

from dataclasses import replace

import pytest

from bimotion.analysis.paper_tables import transfer_tables
from bimotion.protocol.published import CELLS, PUBLISHED
from bimotion.protocol.settings import settings
from bimotion.results.record import DataUsed
from tests.support import small_records
from tests.support.small_records import SCORE, SPEC, result_of

CREMA_D = replace(small_records.CREMA_D, n_found=7442, complete=True)
SYNTHETIC = {"crema_d": replace(CREMA_D, synthetic=True, complete=False)}
INCOMPLETE = {"crema_d": replace(CREMA_D, n_found=7000, complete=False)}
TRAINED = {
    (setting.transfer, setting.method, str(setting.test)): list(setting.train_names)
    for setting in settings("inference") + settings("augmentation")
}
TRANSFERS = ("cross-all", "cross-age", "cross-lingual")


def score(transfer, method, test, value, **more):
    where = {"transfer": transfer, "method": method, "test": test, "value": value}
    where["train"] = TRAINED.get((transfer, method, test), ["eng_eld"])
    pooling = None if more.get("corpus") else "mean"
    return replace(SCORE, **(where | {"untrained": [], "pooling": pooling} | more))


def tables(scores, corpora=None):
    data = DataUsed.of(SPEC.data_fingerprint, corpora or {"crema_d": CREMA_D})
    return transfer_tables(result_of(scores, data=data, duplicates=[]))


def full_scores():
    """Every setting of both tables, each with a value that says where it belongs: row, then
    column."""
    for column, cell in enumerate(CELLS, start=1):
        yield score("in-group", "inference", cell, 0.40 + column / 100)
        for row, transfer in enumerate(TRANSFERS, start=1):
            yield score(transfer, "inference", cell, row / 10 + column / 100)
            yield score(transfer, "augmentation", cell, (row + 5) / 10 + column / 100)


def test_numbers_stand_in_their_cells():
    inference, augmentation = tables(full_scores(), INCOMPLETE)
    assert ("Table 3" in inference.title, "Table 4" in augmentation.title) == (True, True)
    for table, tens in ((inference, (1, 2, 3)), (augmentation, (6, 7, 8))):
        assert table.header == ["bimotion/test", "eng_eld", "eng_adu", "zho_eld", "zho_adu", "mean"]
        names = [*TRANSFERS, "in-group (baseline)"]
        assert table.rows == [
            [name, f"{ten}1.00", f"{ten}2.00", f"{ten}3.00", f"{ten}4.00", f"{ten}2.50"]
            for name, ten in zip(names, (*tens, 4), strict=True)
        ]


def test_twins_of_the_in_group_size_stand_below_their_mixtures():
    twins = [
        replace(row, method="augmentation-matched", value=row.value / 2)
        for row in full_scores()
        if row.method == "augmentation"
    ]
    inference, augmentation = tables([*full_scores(), *twins], INCOMPLETE)
    assert [row[0] for row in augmentation.rows[:4]] == [
        *("cross-all", "cross-all, in-group size", "cross-age", "cross-age, in-group size")
    ]
    assert augmentation.rows[1][1:] == ["30.50", "31.00", "31.50", "32.00", "31.25"]
    assert "drawn down to as many clips" in augmentation.notes[1]
    assert len(inference.rows) == 4


def test_only_the_headline_is_shown():
    """Pooled scores, other metrics and single corpora stand in the result, not in the table."""
    where = ("cross-all", "inference", "eng_eld", 0.99)
    more = [score(*where, pooling="pooled"), score(*where, metric="uar")]
    more.append(score(*where, corpus="crema_d"))
    assert tables([*more, *full_scores()])[0].rows[0][1] == "11.00"
    assert tables(more)[0].rows[0][1] == "-"


def test_what_is_missing_or_null_is_a_dash_and_has_no_mean():
    scores = [row for row in full_scores() if (row.transfer, row.test) != ("cross-age", "zho_eld")]
    for table in tables(scores):
        assert table.rows[1][3:] == ["-", table.rows[1][4], "-"]
        assert table.rows[1][4] != "-"
        assert [row[5] for row in table.rows].count("-") == 1
    nulls = [score("in-group", "inference", cell, None) for cell in CELLS]
    assert tables(nulls)[0].rows[3] == ["in-group (baseline)", *["-"] * 5]


def test_a_table_is_shown_only_where_it_was_run_and_says_of_which_run():
    scores = list(full_scores())
    baseline = [row for row in scores if row.transfer == "in-group"]
    for chosen, numbers in (
        (scores, ["Table 3", "Table 4"]),
        ([row for row in scores if row.method == "inference"], ["Table 3"]),
        ([*baseline, score("cross-all", "augmentation", "zho_adu", 0.5)], ["Table 4"]),
        (baseline, ["Table 3"]),
    ):
        shown = tables(chosen)
        assert [
            number for number, table in zip(numbers, shown, strict=True) if number in table.title
        ] == numbers
        for table in shown:
            of_run = f"track probe, split paper, schema emotion, seed 0, run {SPEC.key}"
            assert table.notes == [of_run]


def test_published_rows_stand_beside_complete_results_only():
    shown = tables(full_scores())
    names = [f"{row[0]}, XLSR-53 as printed" for row in shown[0].rows[:4]]
    assert [row[0] for row in shown[0].rows[4:]] == names
    # our mean of the printed row
    assert shown[1].rows[6][1:] == ["54.55", "74.13", "54.84", "95.82", "69.84"]
    for corpora in (SYNTHETIC, INCOMPLETE):
        assert len(tables(full_scores(), corpora)[0].rows) == 4


def beyond(transfer, train, test, f1, uar, **more):
    for metric, value in (("weighted_f1", f1), ("uar", uar)):
        yield score(transfer, "extension", test, value, metric=metric, train=[train], **more)


def test_a_protocol_beyond_the_paper_has_a_row_a_training_set_and_the_recall_beside_each_score():
    crossing = ("cross-lingual", "eng_adu@iemocap")
    scores = [
        *beyond(*crossing, "deu_adu", 0.1, 0.2, untrained=["fear"]),
        *beyond(*crossing, "fas_adu", 0.3, None),
        *beyond("cross-lingual", "eng_adu@crema_d", "deu_adu", 0.5, 0.6),
        *beyond("in-group", "deu_adu", "deu_adu", 0.7, 0.8),
    ]
    (table,) = tables(scores)
    assert table.header == ["bimotion/test", "deu_adu", "UAR", "fas_adu", "UAR"]
    assert table.rows == [
        ["eng_adu@iemocap", "10.00", "20.00", "30.00", "-"],
        ["eng_adu@crema_d", "50.00", "60.00", "-", "-"],
        ["deu_adu", "70.00", "80.00", "-", "-"],
    ]
    untrained = "classes without any training clip: eng_adu@iemocap -> deu_adu: fear"
    assert table.notes[1:] == [untrained]


TESS = replace(CREMA_D, speakers_shared="one speaker in each age group")
ESD = replace(CREMA_D, age_source={"assumed": 1, "stated": 2})
ON_TESS = score("in-group", "inference", "eng_eld", 0.1, corpus="tess")
FEAR = {"corpus": "esd", "untrained": ["fear"]}
UNTRAINED = [
    score("cross-lingual", "inference", "zho_eld", 0.1, corpus="csed", untrained=["pos", "neg"]),
    score("cross-age", "inference", "zho_adu", 0.1, **FEAR),
    score("cross-age", "inference", "zho_adu", 0.1, metric="uar", **FEAR),
    score("cross-age", "inference", "zho_adu", 0.1, untrained=["fear"]),
]
IN_BASELINE = score("in-group", "inference", "zho_eld", 0.1, corpus="csed", untrained=["neutral"])
WITHOUT = "classes without any training clip"
INTO_CSED = "cross-lingual -> zho_eld/csed: pos, neg"


ON_CSED = f"{WITHOUT}: in-group -> zho_eld/csed: neutral"
SHARING = {"crema_d": CREMA_D, "tess": TESS}
NOTES = [  # corpora, more scores, the notes of the first table and of the last
    (SYNTHETIC, [], "", "SYNTHETIC data: these numbers say nothing about people"),
    (INCOMPLETE, [], "", "incomplete corpora (usable clips): crema_d 7000 of 7442"),
    (SHARING, [ON_TESS], "", "test speakers may be in training: tess"),
    (SHARING, [], "", ""),  # tess only trains
    ({"esd": ESD, "tess": CREMA_D}, [], "", "ages assumed, not known: esd"),
    (None, UNTRAINED, f"{WITHOUT}: cross-age -> zho_adu/esd: fear; {INTO_CSED}", ""),
    (None, [IN_BASELINE], ON_CSED, ON_CSED),
]


@pytest.mark.parametrize(("corpora", "more", "first", "last"), NOTES)
def test_notes_say_what_a_reader_must_know(corpora, more, first, last):
    shown = tables([*full_scores(), *more], corpora)
    assert ["".join(table.notes[1:]) for table in shown] == [first, last]


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


@pytest.mark.parametrize("which", PRINTED, ids="/".join)
def test_published_rows_are_the_papers_and_all_printed_means_but_one_are_means(which):
    *row, printed = map(float, PRINTED[which].split())
    assert tuple(row) == PUBLISHED[which]
    mean = sum(row) / 4
    if which == ("cross-lingual", "augmentation"):
        assert (mean, printed) == (pytest.approx(69.835), 57.34)
    else:
        assert mean == pytest.approx(printed, abs=0.005 + 1e-9)  # printed to two decimals


def test_the_published_baseline_as_a_result_is_printed_as_the_paper_prints_it():
    values = zip(CELLS, PUBLISHED["in-group", "inference"], strict=True)
    scores = [score("in-group", "inference", cell, value / 100) for cell, value in values]
    row = tables(scores)[0].rows[3]
    assert row == ["in-group (baseline)", *PRINTED["in-group", "inference"].split()]
