"""Two models on the same clips: differences, p-values that agree with intervals, Holm's
correction, what cannot be compared."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from scipy import stats

from bimotion.errors import SettingError
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import BASELINE, Setting
from bimotion.results.scoring import scores
from bimotion.results.statistics.paired import compare, holm

EMOTION = SCHEMAS["emotion"]
ADULTS = {"eng_adu": {"crema_d": (40, 5, 6), "esd": (20, 2, 5)}}
CELL = Cell("eng", "adu")
SETTING = Setting("in-group", "inference", (CELL,), CELL)


def values(predictions):
    """Metric -> the score, mean over seeds."""
    rows = scores(predictions, [SETTING], EMOTION)
    known = pd.DataFrame([(row.metric, row.value) for row in rows if row.pooling == "mean"])
    return known.groupby(0)[1].mean().to_dict()


@pytest.mark.parametrize("metric", ["weighted_f1", "weighted_f1_multi", "uar"])
def test_interval_and_p_value_agree_and_are_of_student(table, metric):
    for seed in range(10):
        first, second = (table(seed=seed, skill=skill) for skill in (0.42, 0.4))
        for row in compare(first, second, BASELINE, EMOTION, metric=metric):
            difference = row.difference
            assert (row.p < 0.05) == (not difference.low <= 0 <= difference.high)
            assert row.on_these_clips == (row.setting.test != Cell("zho", "adu"))


def test_equal_speakers_are_a_paired_t_test(table):
    cells = {"eng_adu": {"esd": (60, 1, 5)}}
    speakers = [f"esd/{number % 6}" for number in range(60)]
    models = [table(seed=seed, cells=cells, skill=0.35 + seed / 20) for seed in (1, 2)]
    models = [model.assign(speaker=speakers) for model in models]
    [row] = compare(*models, [SETTING], EMOTION, metric="accuracy")
    hits = [
        np.stack(model["probabilities"])[:, :5].argmax(axis=1)
        == np.stack(model["reference"]).argmax(axis=1)
        for model in models
    ]
    by_speaker = [hit.reshape(10, 6).mean(axis=0) for hit in hits]
    assert row.p == pytest.approx(stats.ttest_rel(*by_speaker).pvalue, rel=1e-4)


@pytest.mark.parametrize(("n_seeds", "is_better"), [(1, True), (3, False)])
def test_seeds_that_disagree_separate_nothing(table, n_seeds, is_better):
    """One seed is far better than the others: of that checkpoint it is true, of the method it
    is not."""
    skills = (0.8, 0.25, 0.25)[:n_seeds]
    models = [
        pd.concat(
            table(seed=9 * side + seed, cells=ADULTS, skill=skill).assign(seed=seed)
            for seed, skill in enumerate(of_seeds)
        )
        for side, of_seeds in enumerate((skills, (0.25,) * n_seeds))
    ]
    [row] = compare(*models, [SETTING], EMOTION)
    assert (row.p < 0.05) == is_better
    assert row.difference.value > 0.05


def test_p_values_are_corrected_within_a_table(table):
    cells = ("eng_adu", "eng_eld", "zho_eld")
    of_sets = [
        pd.concat(
            table(seed=10 * side + number, skill=0.45 - side / 20, train=train)
            for number, train in enumerate(cells)
        )
        for side in (0, 1)
    ]
    mixed = Setting("cross-age", "augmentation", (CELL,), CELL)
    inference = [
        Setting("cross-age", "inference", (Cell("eng", "eld"),), CELL),
        Setting("cross-lingual", "inference", (Cell("zho", "eld"),), CELL),
    ]
    rows = compare(*of_sets, [mixed, *inference], EMOTION)
    assert rows[0].p_holm == rows[0].p
    assert [row.p_holm for row in rows[1:]] == holm([row.p for row in rows[1:]])


def test_the_better_model_is_found_and_the_order_only_turns_the_sign(table):
    first, second = table(seed=1, skill=0.6), table(seed=2, skill=0.3)
    forth = compare(first, second, BASELINE, EMOTION)
    back = compare(second, first, BASELINE, EMOTION)
    for row, turned in zip(forth, back, strict=True):
        difference = row.difference
        assert difference.low == pytest.approx(-turned.difference.high, abs=1e-12)
        assert -1 <= difference.low < difference.value < difference.high <= 1
        assert difference.value > 0
        assert row.p_holm >= row.p > 0
    assert forth[0].p < 0.02
    assert forth[0].difference.low > 0


def test_a_model_against_itself(table):
    for row in compare(table(), table(), BASELINE, EMOTION):
        assert row.difference.low < row.difference.value == 0 < row.difference.high
        assert (row.p, row.p_holm) == (1, 1)


def test_seeds_may_differ_in_number_and_rows_stand_in_any_order(table):
    first = table(seed=1, cells=ADULTS, seeds=(0, 1, 2))
    second = table(seed=2, cells=ADULTS, seeds=(5, 6))
    rows = compare(first, second, [SETTING], EMOTION)
    expected = values(first)["weighted_f1"] - values(second)["weighted_f1"]
    assert rows[0].difference.value == pytest.approx(expected, abs=1e-12)
    assert 0 < rows[0].p <= 1
    shuffled = second.sample(frac=1, random_state=1)
    assert compare(first, shuffled, [SETTING], EMOTION) == rows


@pytest.mark.parametrize("change", ["a clip less", "another reference", "another speaker"])
def test_other_clips_are_refused(table, change):
    first, second = table(cells=ADULTS), table(cells=ADULTS)
    if change == "a clip less":
        second = second.iloc[1:]
    elif change == "another reference":
        second.at[0, "reference"] = np.roll(second.at[0, "reference"], 1)
    else:
        second.loc[0, "speaker"] = "crema_d/99"
    with pytest.raises(
        SettingError,
        match=r"eng_adu on eng_adu: expected the same clips.*, crema_d/eng_adu/000 differs",
    ):
        compare(first, second, [SETTING], EMOTION)


def test_holm_by_hand():
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.9, None, 0.5]) == [1.0, None, 1.0]
    assert holm([]) == []


@profile(derandomize=True, deadline=None, max_examples=50)
@given(p_values=st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_and_keeps_the_order(p_values):
    corrected = holm(p_values)
    assert all(
        p <= after <= min(1, p * len(p_values)) + 1e-15
        for p, after in zip(p_values, corrected, strict=True)
    )
    assert [corrected[index] for index in np.argsort(p_values)] == sorted(corrected)
