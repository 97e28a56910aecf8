"""Properties of the folds of any clips: all are tested once, evenly, apart from what trains."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimotion.corpora.utterance import PARTS
from bimotion.data import folds, splits
from bimotion.errors import CorpusIncomplete, SettingError
from tests.data.test_splits import manifest_of, yuemotion_clips

repeatable = settings(deadline=None, derandomize=True, max_examples=30)
NAMES = st.lists(st.text("abc", min_size=1, max_size=4), unique=True, max_size=60)


@given(st.lists(st.sampled_from([-1, 0, 1, 2, 3, 4]), max_size=30), st.data())
@repeatable
def test_every_clip_is_tested_once_and_is_in_one_part_of_a_fold(of_clips, data):
    own = [data.draw(st.sampled_from(["train", "validation"])) if f < 0 else "" for f in of_clips]
    of_clips = np.array(of_clips, np.int8)
    parts = [folds.part_in(fold, of_clips, np.array(own, str)) for fold in range(5)]
    for clip, fold in enumerate(of_clips):
        counts = Counter(row[clip] for row in parts)
        expected = {own[clip]: 5} if fold < 0 else {"test": 1, "validation": 1, "train": 3}
        assert counts == expected


@given(NAMES, st.data(), st.integers(0, 5))
@repeatable
def test_names_are_dealt_evenly_in_any_order(names, data, seed):
    strata = data.draw(st.lists(st.sampled_from("fm"), min_size=len(names), max_size=len(names)))
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=len(names), max_size=len(names)))
    spread = folds.spread_evenly(names, strata, sizes, seed)
    for chosen in ({"f"}, {"m"}, {"f", "m"}):
        mine = [fold for fold, stratum in zip(spread, strata, strict=True) if stratum in chosen]
        counts = [mine.count(fold) for fold in range(5)]
        assert max(counts) - min(counts) <= 1
    back = folds.spread_evenly(names[::-1], strata[::-1], sizes[::-1], seed)
    assert back[::-1] == spread


def test_large_and_small_units_are_spread():
    sizes = [100, 90, 80, 70, 60, 5, 4, 3, 2, 1]
    spread = folds.spread_evenly([f"{n}" for n in range(10)], [""] * 10, sizes, seed=1)
    assert sorted(spread[:5]) == sorted(spread[5:]) == [0, 1, 2, 3, 4]


SPEAKERS = [(n, "fm"[n % 2], 25 + 3 * n, PARTS) for n in range(1, 19)]


@pytest.mark.parametrize("seed", [0, 3])
def test_speakers_of_a_corpus_without_a_roster_and_nothing_moves(seed):
    listed = yuemotion_clips(SPEAKERS)
    every = [
        splits.split(manifest_of(listed, synthetic={"yuemotion"}), "folds", seed, fold).table
        for fold in range(5)
    ]
    tested = pd.concat([table[table["part"] == "test"] for table in every])
    assert sorted(tested.index) == sorted(listed["id"])
    for fold, table in enumerate(every):
        assert (table["fold"] == every[0]["fold"]).all()
        speakers = table.join(listed.set_index("id")).groupby("speaker")["part"]
        assert (speakers.nunique() == 1).all()
        assert set(table["part"]) == set(PARTS)
        half = listed.sample(frac=0.5, random_state=fold)
        shuffled = manifest_of(listed, half, {"yuemotion"})
        again = splits.split(shuffled, "folds", seed, fold).table
        pd.testing.assert_frame_equal(again, table.loc[sorted(half["id"])], check_names=False)


def test_what_cannot_be_dealt_is_refused():
    listed = yuemotion_clips(SPEAKERS)
    with pytest.raises(CorpusIncomplete, match="'folds' deals its speakers and needs all 1080"):
        splits.split(manifest_of(listed), "folds")
    for rule, fold in (("folds", 5), ("folds", -1), ("folds", True), ("paper", 1)):
        expected = "a whole number from 0 to 4" if rule == "folds" else "with split rule folds only"
        with pytest.raises(SettingError, match=f"fold: expected {expected}, found {fold}"):
            splits.split(manifest_of(listed, synthetic={"yuemotion"}), rule, 0, fold)
