"""Replicates from counts against the literal thing: clips drawn again speaker by speaker, and
scored by scoring.py."""

import numpy as np
import pandas as pd
import pytest

from bimotion.errors import SettingError, UnknownName
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import test_set as scored_set
from bimotion.results.scoring import metric_groups, numbered
from bimotion.results.statistics.bootstrap import (
    MEAN,
    POOLED,
    BootstrapDraws,
    by_seed,
    counts_of,
    headline,
)
from bimotion.results.statistics.estimate import combined, mean_known

CELLS = ("eng_eld", "eng_adu", "zho_eld")
SETTING = Setting("in-group", "inference", (Cell("eng", "eld"),), Cell("eng", "eld"))


def clusters(rows):
    """Rows of each cluster: a speaker's clips together, clips of nobody alone, clips of a corpus's
    only speaker alone."""
    alone = rows["speaker"].isna() | (
        rows["speaker"].nunique() == 1 and not rows["speaker"].isna().any()
    )
    columns = zip(rows["id"], rows["speaker"], alone, strict=True)
    names = [
        f"clip {name}" if by_itself else f"speaker {speaker}"
        for name, speaker, by_itself in columns
    ]
    return [part for _, part in rows.groupby(names)]


def values_of(rows, schema):
    """Metric -> value of a test set as scoring.py computes it."""
    if rows.empty:
        return {}
    values = {}
    for clips, metrics_of in metric_groups(rows, schema):
        if not clips.empty:
            [*corpora] = set(clips["corpus"])
            part = scored_set(clips, corpora[0] if len(corpora) == 1 else None, schema)
            values |= {numbered(name, schema): value for name, value in metrics_of(part).items()}
    return {name: value for name, value in values.items() if value is not None}


def literal(parts, schema):
    """(where, metric) -> value of one cell; parts: corpus -> rows."""
    by_place = {corpus: values_of(rows, schema) for corpus, rows in parts.items()}
    names = {
        name
        for values in by_place.values()
        for name in values
        if name[:3] not in ("f1_", "ap_", "auc")
    }
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


def check(numbers, expected):
    """Check that all numbers are the literal ones; nan where that is undefined."""
    assert set(expected) <= set(numbers)
    complete = dict.fromkeys(numbers, np.nan) | expected
    assert numbers == pytest.approx(complete, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("cell", CELLS)
def test_replicates_are_what_redrawn_clips_score(table, cell, schema):
    predictions, schema = table(schema=schema), SCHEMAS[schema]
    rows = predictions[predictions["cell"] == cell]
    counts, draws = counts_of(rows, schema), BootstrapDraws(replicates=8, seed=3)
    [estimates] = by_seed([rows], schema, draws, ranked=True)
    pieces = {corpus: clusters(part) for corpus, part in rows.groupby("corpus")}
    parts = dict(list(rows.groupby("corpus")))
    check({key: estimate.estimate for key, estimate in estimates.items()}, literal(parts, schema))
    for replicate in range(draws.replicates):
        redrawn = {}
        for corpus in counts:
            times = draws.of(corpus.stratum)[replicate].astype(int)
            assert times.sum() == len(times) == len(pieces[corpus.corpus])
            drawn = np.repeat(np.arange(len(times)), times)
            redrawn[corpus.corpus] = pd.concat([pieces[corpus.corpus][index] for index in drawn])
        numbers = {key: estimate.replicates[replicate] for key, estimate in estimates.items()}
        check(numbers, literal(redrawn, schema))


@pytest.mark.parametrize("cell", CELLS)
def test_without_a_cluster_is_what_the_other_clips_score(table, cell):
    predictions, schema = table(), SCHEMAS["emotion"]
    rows = predictions[predictions["cell"] == cell]
    counts = counts_of(rows, schema)
    [estimates] = by_seed([rows], schema, BootstrapDraws(replicates=2), ranked=True)
    parts = dict(list(rows.groupby("corpus")))
    for corpus in counts:
        pieces = clusters(parts[corpus.corpus])
        for index in range(0, corpus.stratum.n, 6):
            rest = parts | {corpus.corpus: pd.concat(pieces[:index] + pieces[index + 1 :])}
            numbers = {
                key: estimate.without[corpus.stratum][index]
                for key, estimate in estimates.items()
                if corpus.stratum in estimate.without
            }
            expected = literal(rest, schema)
            check(numbers, {key: expected[key] for key in numbers if key in expected})


def test_draws_are_of_the_clips_not_of_the_model(table):
    draws, schema = BootstrapDraws(replicates=5), SCHEMAS["emotion"]
    models = [counts_of(table(seed=seed), schema) for seed in (1, 2)]
    for first, second in zip(*models, strict=True):
        drawn = draws.of(first.stratum)
        assert np.array_equal(drawn, BootstrapDraws(replicates=5).of(second.stratum))
        assert not np.array_equal(drawn, BootstrapDraws(replicates=5, seed=1).of(first.stratum))


def test_seeds_share_the_draws(table):
    """The replicates of the mean over seeds are the means of the seeds' replicates, draw by
    draw."""
    schema, draws, both = SCHEMAS["emotion"], BootstrapDraws(replicates=20), table(seeds=(0, 1))
    single = [headline(both[both["seed"] == seed], SETTING, schema, draws) for seed in (0, 1)]
    mean = headline(both, SETTING, schema, draws)
    for name in ("replicates", "estimate"):
        of_seeds = np.mean([getattr(estimate, name) for estimate in single], axis=0)
        assert getattr(mean, name) == pytest.approx(of_seeds, abs=1e-15)
    assert combined(mean_known, *single).standard_error == mean.standard_error


def test_what_was_not_run_or_is_no_metric(table):
    schema, draws = SCHEMAS["emotion"], BootstrapDraws(10)
    other = Setting("cross-lingual", "inference", (Cell("zho", "eld"),), SETTING.test)
    with pytest.raises(UnknownName, match=r"unknown metric 'f1': expected one of .*weighted_f1"):
        headline(table(), SETTING, schema, draws, "f1")
    with pytest.raises(SettingError, match="no predictions of zho_eld on eng_eld"):
        headline(table(), other, schema, draws)
