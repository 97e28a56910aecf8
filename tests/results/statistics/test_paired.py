"""Two models on the same clips: differences, p-values by swapping speakers, Holm's correction, what
cannot be compared."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

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
    rows = scores(predictions, [SETTING], EMOTION, replicates=2)
    known = pd.DataFrame([(row.metric, row.value) for row in rows if row.pooling == "mean"])
    return known.groupby(0)[1].mean().to_dict()


def test_p_value_is_that_of_all_swaps_scored_one_by_one(table):
    six = {"eng_adu": {"crema_d": (40, 4, 6), "esd": (20, 2, 5)}}
    first, second = table(seed=1, cells=six, skill=0.55), table(seed=2, cells=six, skill=0.4)
    speakers = np.array(sorted(set(first["speaker"])))
    differences = []
    for swap in itertools.product((False, True), repeat=len(speakers)):
        moved = first["speaker"].isin(speakers[list(swap)])
        sides = values(first.where(~moved, second)), values(second.where(~moved, first))
        differences.append({metric: sides[0][metric] - sides[1][metric] for metric in sides[0]})
    for metric in ("weighted_f1", "weighted_f1_multi", "uar"):
        [row] = compare(first, second, [SETTING], EMOTION, metric=metric, replicates=200)
        swapped = np.array([difference[metric] for difference in differences])
        assert row.difference.value == pytest.approx(swapped[0], abs=1e-12)
        assert (row.exact, row.n_swaps) == (True, 2**6)
        assert row.p == np.mean(np.abs(swapped) >= abs(swapped[0]) - 1e-12) < 1


def test_the_better_model_is_found_and_the_order_only_turns_the_sign(table):
    first, second = table(seed=1, skill=0.6), table(seed=2, skill=0.3)
    forth = compare(first, second, BASELINE, EMOTION, replicates=500)
    back = compare(second, first, BASELINE, EMOTION, replicates=500)
    for row, turned in zip(forth, back, strict=True):
        difference = row.difference
        assert difference.low == pytest.approx(-turned.difference.high, abs=1e-12)
        assert -1 <= difference.low < difference.value < difference.high <= 1
        assert difference.value > 0
        assert row.p_holm >= row.p > 0
    assert not forth[0].exact
    assert 1 / 501 <= forth[0].p < 0.02
    assert forth[0].difference.low > 0


def test_a_model_against_itself(table):
    for row in compare(table(), table(), BASELINE, EMOTION, replicates=50):
        assert (row.difference.value, row.difference.low, row.difference.high) == (0, 0, 0)
        assert (row.p, row.p_holm) == (1, 1)


def test_seeds_may_differ_in_number_and_rows_stand_in_any_order(table):
    first = table(seed=1, cells=ADULTS, seeds=(0, 1, 2))
    second = table(seed=2, cells=ADULTS, seeds=(5, 6))
    rows = compare(first, second, [SETTING], EMOTION, replicates=50)
    expected = values(first)["weighted_f1"] - values(second)["weighted_f1"]
    assert rows[0].difference.value == pytest.approx(expected, abs=1e-12)
    assert 0 < rows[0].p <= 1
    shuffled = second.sample(frac=1, random_state=1)
    assert compare(first, shuffled, [SETTING], EMOTION, replicates=50) == rows


def test_alike_models_are_told_apart_as_often_as_chance_says(table):
    """Two models of equal skill, 7 speakers: p at most 0.1 in about a tenth of 200 pairs."""
    p_values = []
    for number in range(200):
        first, second = (table(seed=2 * number + side, cells=ADULTS) for side in (0, 1))
        p_values.append(compare(first, second, [SETTING], EMOTION, replicates=2)[0].p)
    assert 0.05 < np.mean(np.array(p_values) <= 0.1) < 0.15


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
        compare(first, second, [SETTING], EMOTION, replicates=10)


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
