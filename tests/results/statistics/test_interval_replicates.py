"""Replicates from counts against the literal thing: clips drawn again speaker by speaker, and
scored by scoring.py."""

import numpy as np
import pandas as pd
import pytest

from bimotion.errors import SettingError, UnknownName
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import Setting
from bimotion.results.scoring import ClipPredictions as ScoredSet
from bimotion.results.scoring import test_set as scored_set
from bimotion.results.statistics.bootstrap import (
    MEAN,
    POOLED,
    BootstrapDraws,
    counts_of,
    headline,
    statistics_of,
)
from bimotion.results.statistics.estimate import combined, mean_known

CELLS = ("eng_eld", "eng_adu", "zho_eld")


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


def literal(parts, schema):
    """(where, metric) -> value of one cell as scoring.py computes it; parts: corpus -> rows."""

    def values(rows):
        if rows.empty:
            return {}
        marked = rows[[bool((np.asarray(reference) == 1).any()) for reference in rows["reference"]]]
        found = scored_set(rows, None).paper_metrics(schema)
        if not marked.empty:
            part = scored_set(marked, None)
            found |= ScoredSet.standard_metrics(part)
            found |= {
                f"f1_{schema.classes.index(name[3:])}": value
                for name, value in part.by_label(schema).items()
            }
        return {name: value for name, value in found.items() if value is not None}

    found = {
        (corpus, name): value
        for corpus, rows in parts.items()
        for name, value in values(rows).items()
    }
    found |= {
        (POOLED, name): value for name, value in values(pd.concat(list(parts.values()))).items()
    }
    for metric in {name for _, name in found if not name.startswith("f1_")}:
        known = [found[corpus, metric] for corpus in parts if (corpus, metric) in found]
        if known:
            found[MEAN, metric] = sum(known) / len(known)
    return found


def check(statistics, read, expected):
    """The number that `read` takes from each statistic is the literal one; nan where that is
    undefined."""
    assert set(expected) <= set(statistics)
    for key, one in statistics.items():
        assert read(one) == pytest.approx(expected.get(key, np.nan), abs=1e-12, nan_ok=True), key


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("cell", CELLS)
def test_replicates_are_what_redrawn_clips_score(table, cell, schema):
    predictions, schema = table(schema=schema), SCHEMAS[schema]
    rows = predictions[predictions["cell"] == cell]
    counts, draws = counts_of(rows, schema), BootstrapDraws(replicates=25, seed=3)
    found = statistics_of(counts, draws)
    pieces = {corpus: clusters(part) for corpus, part in rows.groupby("corpus")}
    assert [one.stratum.n for one in counts] == [len(of_corpus) for of_corpus in pieces.values()]
    check(found, lambda one: one.estimate, literal(dict(list(rows.groupby("corpus"))), schema))
    for replicate in range(draws.replicates):
        redrawn = {}
        for one, (corpus, of_corpus) in zip(counts, pieces.items(), strict=True):
            times = draws.of(one.stratum)[replicate].astype(int)
            assert times.sum() == len(of_corpus)
            redrawn[corpus] = pd.concat(
                [part for part, n in zip(of_corpus, times, strict=True) for _ in range(n)]
            )
        check(
            found,
            lambda one, replicate=replicate: one.replicates[replicate],
            literal(redrawn, schema),
        )


@pytest.mark.parametrize("cell", CELLS)
def test_without_a_cluster_is_what_the_other_clips_score(table, cell):
    predictions, schema = table(), SCHEMAS["emotion"]
    rows = predictions[predictions["cell"] == cell]
    counts = counts_of(rows, schema)
    found = statistics_of(counts, BootstrapDraws(replicates=2))
    parts = dict(list(rows.groupby("corpus")))
    for one in counts:
        pieces = clusters(parts[one.corpus])
        for place in range(0, one.stratum.n, 3):
            rest = parts | {one.corpus: pd.concat(pieces[:place] + pieces[place + 1 :])}
            moved = {key: value for key, value in found.items() if one.stratum in value.without}
            expected = {key: value for key, value in literal(rest, schema).items() if key in moved}
            check(
                moved,
                lambda value, one=one, place=place: value.without[one.stratum][place],
                expected,
            )


def test_draws_are_of_the_clips_not_of_the_model(table):
    draws, schema = BootstrapDraws(replicates=5), SCHEMAS["emotion"]
    strata = [[one.stratum for one in counts_of(table(seed=seed), schema)] for seed in (1, 2)]
    for one, other in zip(*strata, strict=True):
        assert np.array_equal(draws.of(one), BootstrapDraws(replicates=5).of(other))
        assert not np.array_equal(draws.of(one), BootstrapDraws(replicates=5, seed=1).of(one))


def test_seeds_share_the_draws(table):
    """The replicates of the mean over seeds are the means of the seeds' replicates, draw by
    draw."""
    cell, schema, draws = Cell("eng", "eld"), SCHEMAS["emotion"], BootstrapDraws(replicates=20)
    setting = Setting("in-group", "inference", (cell,), cell)
    both = table(seeds=(0, 1))
    single = [headline(both[both["seed"] == seed], setting, schema, draws) for seed in (0, 1)]
    mean = headline(both, setting, schema, draws)
    assert mean.replicates == pytest.approx(
        (single[0].replicates + single[1].replicates) / 2, abs=1e-15
    )
    assert mean.estimate == pytest.approx((single[0].estimate + single[1].estimate) / 2, abs=1e-15)
    assert combined(mean_known, *single).standard_error == mean.standard_error


def test_what_was_not_run_or_is_no_metric(table):
    cell = Cell("eng", "eld")
    setting = Setting("in-group", "inference", (cell,), cell)
    with pytest.raises(UnknownName, match=r"unknown metric 'f1': expected one of .*weighted_f1"):
        headline(table(), setting, SCHEMAS["emotion"], BootstrapDraws(10), "f1")
    with pytest.raises(SettingError, match="no predictions of zho_eld on eng_eld"):
        headline(
            table(),
            Setting("cross-lingual", "inference", (Cell("zho", "eld"),), cell),
            SCHEMAS["emotion"],
            BootstrapDraws(10),
        )
