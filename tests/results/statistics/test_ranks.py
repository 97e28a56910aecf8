"""Ranks: intervals that hold the rank, groups that chance cannot separate."""

import numpy as np

from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import Setting
from bimotion.results.statistics.counts import Stratum
from bimotion.results.statistics.estimate import Estimate, combined
from bimotion.results.statistics.from_predictions import headline
from bimotion.results.statistics.paired import holm
from bimotion.results.statistics.ranks import ranks

CELL = Cell("eng", "adu")
SETTING = Setting("in-group", "inference", (CELL,), CELL)
STRATUM = Stratum("eng_adu/crema_d", (10,) * 40)


def models(means, noise, seed=0, shared=0.05):
    """Statistics of means over 40 speakers, whose difficulty all models share."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(0, shared, 40)
    estimates = {}
    for name, mean in means.items():
        own = rng.normal(0, noise, 40)
        # the estimate is the mean, but for what is shared
        speakers = mean + difficulty + own - own.mean()
        influence = {STRATUM: np.repeat(speakers - speakers.mean(), 10) / 400}
        estimates[name] = Estimate(float(speakers.mean()), influence)
    return estimates


def outline(estimates):
    return [(row.name, row.rank, row.low, row.high, row.group) for row in ranks(estimates)]


def test_order_ranks_and_groups():
    assert outline(models({"c": 0.5, "a": 0.9, "b": 0.7}, noise=0.02)) == [
        ("a", 1, 1, 1, 1),
        ("b", 2, 2, 2, 2),
        ("c", 3, 3, 3, 3),
    ]
    assert outline(models({"a": 0.8, "b": 0.799, "c": 0.798, "d": 0.5}, noise=0.05)) == [
        ("a", 1, 1, 3, 1),
        ("b", 2, 1, 3, 1),
        ("c", 3, 1, 3, 1),
        ("d", 4, 4, 4, 2),
    ]
    assert outline(models({"a": 0.8}, noise=0.05)) == [("a", 1, 1, 1, 1)]
    assert ranks({}) == []


def test_groups_are_of_the_first_not_of_the_neighbour():
    """a - b and b - c cannot be told apart, a - c can: c opens a group though it is b's
    neighbour."""
    steps = models({"a": 0.8, "b": 0.787, "c": 0.774}, noise=0.03)
    pairs = [("b", "a"), ("c", "a"), ("c", "b")]
    differences = [combined(np.subtract, steps[first], steps[second]) for first, second in pairs]
    ba, ca, cb = holm([difference.spread.p_value() for difference in differences])
    assert ca < 0.05 < min(ba, cb)
    assert [row.group for row in ranks(steps)] == [1, 1, 2]
    assert [(row.low, row.high) for row in ranks(steps)] == [(1, 2), (1, 3), (3, 3)]


def test_what_models_share_does_not_blur_ranks():
    apart = [
        ranks(models({"a": 0.81, "b": 0.78}, noise=0.01, shared=shared)) for shared in (0.0, 0.3)
    ]
    assert [[row.high for row in rows] for rows in apart] == [[1, 2], [1, 2]]


def test_equal_models_share_the_better_rank():
    same = models({"a": 0.8}, noise=0.05)["a"]
    assert outline({"x": same, "y": same, "z": models({"z": 0.3}, noise=0.05)["z"]}) == [
        ("x", 1, 1, 2, 1),
        ("y", 1, 1, 2, 1),
        ("z", 3, 3, 3, 2),
    ]


def test_from_predictions(table):
    schema = SCHEMAS["emotion"]
    estimates = {
        f"skill {skill}": headline(table(seed=seed, skill=skill), SETTING, schema)
        for seed, skill in enumerate((0.35, 0.8, 0.34))
    }
    assert outline(estimates)[0] == ("skill 0.8", 1, 1, 1, 1)
    assert [row.group for row in ranks(estimates)] == [1, 2, 2]
