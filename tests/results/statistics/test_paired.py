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
    found = {}
    for row in scores(predictions, [SETTING], EMOTION):
        if row.pooling == "mean":
            found.setdefault(row.metric, []).append(row.value)
    return {
        metric: sum(of_seeds) / len(of_seeds)
        for metric, of_seeds in found.items()
        if None not in of_seeds
    }


def test_p_value_is_that_of_all_swaps_scored_one_by_one(table):
    six = {"eng_adu": {"crema_d": (40, 4, 6), "esd": (20, 2, 5)}}
    first, second = (
        table(seed=seed, cells=six, skill=skill) for seed, skill in ((1, 0.55), (2, 0.4))
    )
    speakers = sorted(set(first["speaker"]))
    swapped = []
    for swap in itertools.product((False, True), repeat=len(speakers)):
        moved = first["speaker"].isin(
            [name for name, change in zip(speakers, swap, strict=True) if change]
        )
        swapped.append(
            [values(one.where(~moved, other)) for one, other in ((first, second), (second, first))]
        )
    one, other = swapped[0]
    for metric in ("weighted_f1", "weighted_f1_multi", "uar"):
        (found,) = compare(first, second, [SETTING], EMOTION, metric=metric, replicates=200)
        difference = one[metric] - other[metric]
        assert found.difference.value == pytest.approx(difference, abs=1e-12)
        as_large = [
            abs(left[metric] - right[metric]) >= abs(difference) - 1e-12 for left, right in swapped
        ]
        assert (found.exact, found.n_swaps) == (True, 2**6)
        assert found.p == np.mean(as_large)
        assert found.p < 1


def test_the_better_model_is_found_and_the_order_only_turns_the_sign(table):
    first, second = (table(seed=seed, skill=skill) for seed, skill in ((1, 0.6), (2, 0.3)))
    forth, back = (
        compare(*pair, BASELINE, EMOTION, replicates=500)
        for pair in ((first, second), (second, first))
    )
    for one, other in zip(forth, back, strict=True):
        assert one.difference.value > 0
        assert one.difference.low == pytest.approx(-other.difference.high, abs=1e-12)
        assert -1 <= one.difference.low < one.difference.value < one.difference.high <= 1
        assert one.p_holm >= one.p > 0
    eng_eld = forth[0]
    assert not eng_eld.exact
    assert 1 / 501 <= eng_eld.p < 0.02
    assert eng_eld.difference.low > 0


def test_a_model_against_itself(table):
    for one in compare(table(), table(), BASELINE, EMOTION, replicates=50):
        assert (
            one.difference.value,
            one.difference.low,
            one.difference.high,
            one.p,
            one.p_holm,
        ) == (0, 0, 0, 1, 1)


def test_seeds_may_differ_in_number(table):
    first = table(seed=1, cells=ADULTS, seeds=(0, 1, 2))
    second = table(seed=2, cells=ADULTS, seeds=(5, 6))
    (found,) = compare(first, second, [SETTING], EMOTION, replicates=50)
    assert found.difference.value == pytest.approx(
        values(first)["weighted_f1"] - values(second)["weighted_f1"], abs=1e-12
    )
    assert 0 < found.p <= 1


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


def test_rows_in_any_order(table):
    first, second = (table(seed=seed, cells=ADULTS) for seed in (1, 2))
    shuffled = pd.concat([second]).sample(frac=1, random_state=1)
    assert compare(first, second, [SETTING], EMOTION, replicates=20) == compare(
        first, shuffled, [SETTING], EMOTION, replicates=20
    )


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
    assert [corrected[place] for place in np.argsort(p_values)] == sorted(corrected)
