"""Ranks: intervals that hold the rank, groups that chance cannot separate."""

import numpy as np
import pytest

from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import Setting
from bimotion.results.statistics.bootstrap import BootstrapDraws, headline
from bimotion.results.statistics.counts import Stratum
from bimotion.results.statistics.estimate import Estimate, combined
from bimotion.results.statistics.paired import holm
from bimotion.results.statistics.ranks import ranks, separable

CELL = Cell("eng", "adu")
SETTING = Setting("in-group", "inference", (CELL,), CELL)
STRATUM = Stratum("eng_adu/crema_d", 40, "speaker", False, 400)


def models(means, noise, seed=0, shared=0.05):
    """Statistics of means over 40 speakers, whose difficulty all models share."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, shared, 40)
    times = rng.multinomial(40, np.full(40, 1 / 40), size=1000) / 40
    found = {}
    for name, mean in means.items():
        own = rng.normal(0, noise, 40)
        # the estimate is the mean, but for what is shared
        speakers = mean + difficulty + own - own.mean()
        without = (speakers.sum() - speakers) / 39
        found[name] = Estimate(float(speakers.mean()), times @ speakers, {STRATUM: without})
    return found


def test_clear_order():
    found = ranks(models({"c": 0.5, "a": 0.9, "b": 0.7}, noise=0.02))
    assert [(one.name, one.rank, one.low, one.high, one.group) for one in found] == [
        ("a", 1, 1, 1, 1),
        ("b", 2, 2, 2, 2),
        ("c", 3, 3, 3, 3),
    ]


def test_what_cannot_be_separated_shares_a_group_and_its_ranks_overlap():
    found = ranks(models({"a": 0.8, "b": 0.799, "c": 0.798, "d": 0.5}, noise=0.05))
    assert [one.group for one in found] == [1, 1, 1, 2]
    assert [one.rank for one in found] == [1, 2, 3, 4]
    assert all(one.low <= one.rank <= one.high for one in found)
    assert all((one.low, one.high) == (1, 3) for one in found[:3])
    assert (found[3].low, found[3].high) == (4, 4)


def test_groups_are_of_the_first_not_of_the_neighbour():
    """a - b and b - c cannot be told apart, a - c can: c opens a group though it is b's
    neighbour."""
    steps = models({"a": 0.8, "b": 0.787, "c": 0.774}, noise=0.03)
    apart = separable(steps)
    assert apart[frozenset("ac")] < 0.05 < min(apart[frozenset("ab")], apart[frozenset("bc")])
    assert [one.group for one in ranks(steps)] == [1, 1, 2]


def test_pairs_are_corrected_together():
    steps = models({"a": 0.8, "b": 0.787, "c": 0.774}, noise=0.03)
    pairs = [("b", "a"), ("c", "a"), ("c", "b")]
    p_values = [combined(np.subtract, steps[one], steps[other]).p_value() for one, other in pairs]
    assert [separable(steps)[frozenset(pair)] for pair in pairs] == pytest.approx(holm(p_values))


def test_what_models_share_does_not_blur_ranks():
    apart = [
        ranks(models({"a": 0.81, "b": 0.78}, noise=0.01, shared=shared)) for shared in (0.0, 0.3)
    ]
    assert [one.high for one in apart[0]] == [one.high for one in apart[1]] == [1, 2]


def test_equal_models_share_the_better_rank():
    one = models({"a": 0.8}, noise=0.05)["a"]
    found = ranks({"x": one, "y": one, "z": models({"z": 0.3}, noise=0.05)["z"]})
    assert [(row.name, row.rank, row.low, row.high, row.group) for row in found] == [
        ("x", 1, 1, 2, 1),
        ("y", 1, 1, 2, 1),
        ("z", 3, 3, 3, 2),
    ]


def test_nobody_and_one():
    assert ranks({}) == []
    (alone,) = ranks(models({"a": 0.8}, noise=0.05))
    assert (alone.rank, alone.low, alone.high, alone.group) == (1, 1, 1, 1)


def test_from_predictions(table):
    schema, draws = SCHEMAS["emotion"], BootstrapDraws(300)
    tables = {
        f"skill {skill}": table(seed=place, skill=skill)
        for place, skill in enumerate((0.35, 0.8, 0.34))
    }
    found = ranks({name: headline(one, SETTING, schema, draws) for name, one in tables.items()})
    assert found[0].name == "skill 0.8"
    assert (found[0].low, found[0].high) == (1, 1)
    assert [one.group for one in found] == [1, 2, 2]
