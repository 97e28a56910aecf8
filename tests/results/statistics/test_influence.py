"""Estimates, and what each clip and seed adds to them, against the literal thing: clips scored by
scoring.py."""

import numpy as np
import pandas as pd
import pytest

from bimotion.errors import SettingError, UnknownName
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import test_set as scored_set
from bimotion.results.scoring import metric_groups, numbered
from bimotion.results.statistics.estimate import combined, mean_known
from bimotion.results.statistics.from_predictions import (
    MEAN,
    POOLED,
    by_seed,
    estimates_of,
    headline,
)

CELLS = ("eng_eld", "eng_adu", "zho_eld")
CREMA_D = {"crema_d": (60, 6, 6)}
SETTING = Setting("in-group", "inference", (Cell("eng", "eld"),), Cell("eng", "eld"))


def values_of(rows, schema):
    """Metric -> value of a test set as scoring.py computes it."""
    values = {}
    for clips, metrics_of in metric_groups(scored_set(rows, schema), schema):
        if clips.n_utterances:
            corpora = list(clips.by_corpus.values())
            part = corpora[0] if len(corpora) == 1 else clips
            values |= {numbered(name, schema): value for name, value in metrics_of(part).items()}
    return {name: value for name, value in values.items() if value is not None}


def literal(parts, schema):
    """(where, metric) -> value of one cell; parts: corpus -> rows."""
    by_place = {corpus: values_of(rows, schema) for corpus, rows in parts.items()}
    of_class = ("f1_", "ap_", "auc")
    names = {name for values in by_place.values() for name in values if name[:3] not in of_class}
    means = {
        name: np.mean([values[name] for values in by_place.values() if name in values])
        for name in names
    }
    by_place |= {POOLED: values_of(pd.concat(list(parts.values())), schema), MEAN: means}
    return {
        (corpus, name): value
        for corpus, values in by_place.items()
        for name, value in values.items()
    }


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("cell", CELLS)
def test_estimates_are_what_the_clips_score(table, cell, schema):
    predictions, schema = table(schema=schema), SCHEMAS[schema]
    rows = predictions[predictions["cell"] == cell]
    [estimates] = by_seed([rows], schema, ranked=True)
    expected = literal(dict(list(rows.groupby("corpus"))), schema)
    expected = dict.fromkeys(estimates, np.nan) | expected
    numbers = {key: estimate.estimate for key, estimate in estimates.items()}
    assert numbers == pytest.approx(expected, abs=1e-12, nan_ok=True)
    for estimate in estimates.values():
        assert sum(moves.sum() for moves in estimate.influence.values()) == pytest.approx(
            0, abs=1e-6
        )
    [of_form] = by_seed([rows], schema, form="all")
    assert {metric for _, metric in of_form} == {"weighted_f1"}
    for key, estimate in of_form.items():
        for stratum, moves in estimate.influence.items():
            assert np.array_equal(moves, estimates[key].influence[stratum])


def test_influence_is_what_more_of_the_same_clip_does(table):
    """Each clip is scored once more, 200 times over the whole: by how much the metric moves."""
    schema, times = SCHEMAS["emotion"], 200
    rows = table(cells={"eng_eld": {"crema_d": (40, 5, 6)}})
    rows = rows.sort_values(["speaker", "id"], ignore_index=True)
    often = pd.concat([rows] * times)
    before, estimates = (
        values_of(often, schema),
        estimates_of(rows, scored_set(rows, schema), schema),
    )
    for number in range(0, len(rows), 7):
        after = values_of(pd.concat([often, rows.iloc[[number]]]), schema)
        for metric, value in after.items():
            [influence] = estimates["crema_d", metric].influence.values()
            assert times * (value - before[metric]) == pytest.approx(influence[number], abs=2e-3)


def test_standard_error_is_that_of_speakers_drawn_again(table):
    metrics, schema = ("weighted_f1", "uar", "accuracy"), SCHEMAS["valence"]
    rows = table(schema="valence", cells={"eng_eld": {"crema_d": (1500, 30, 6)}})
    rng, parts = np.random.default_rng(0), [part for _, part in rows.groupby("speaker")]
    drawn = [
        values_of(pd.concat([parts[number] for number in rng.integers(0, 30, 30)]), schema)
        for _ in range(150)
    ]
    estimates = estimates_of(rows, scored_set(rows, schema), schema)
    for metric in metrics:
        expected = np.std([values[metric] for values in drawn], ddof=1) * np.sqrt(30 / 29)
        error = estimates["crema_d", metric].interval().standard_error
        assert error == pytest.approx(expected, rel=0.15)


def test_the_variance_of_seeds_is_part_of_a_mean(table):
    """Three seeds: the variance over speakers of the mean, and a third of that over seeds."""
    schema, both = SCHEMAS["emotion"], table(seeds=(0, 1, 2), cells={"eng_eld": CREMA_D})
    of_seeds = [headline(both[both["seed"] == seed], SETTING, schema) for seed in range(3)]
    mean = headline(both, SETTING, schema)
    values = [estimate.estimate for estimate in of_seeds]
    assert mean.estimate == pytest.approx(np.mean(values), abs=1e-12)
    over_speakers = combined(mean_known, *of_seeds).interval().standard_error
    assert mean.interval().standard_error ** 2 == pytest.approx(
        over_speakers**2 + np.var(values, ddof=1) / 3, rel=1e-6
    )


def test_what_was_not_run_or_is_no_metric(table):
    schema = SCHEMAS["emotion"]
    other = Setting("cross-lingual", "inference", (Cell("zho", "eld"),), SETTING.test)
    with pytest.raises(UnknownName, match=r"unknown metric 'f1': expected one of .*weighted_f1"):
        headline(table(), SETTING, schema, "f1")
    with pytest.raises(SettingError, match="no predictions of zho_eld on eng_eld"):
        headline(table(), other, schema)
