"""Gaps between cells: values by scoring, intervals, and the gaps that a group-blind model has by
chance."""

import numpy as np
import pandas as pd
import pytest

from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import BASELINE, Setting
from bimotion.results.scoring import scores
from bimotion.results.statistics.bootstrap import counts_of
from bimotion.results.statistics.counts import Counts, Stratum
from bimotion.results.statistics.gaps import chance, gaps, intraclass_correlation

EMOTION = SCHEMAS["emotion"]
ENG_ELD, ENG_ADU = Cell("eng", "eld"), Cell("eng", "adu")
CROSS_AGE = Setting("cross-age", "inference", (ENG_ADU,), ENG_ELD)


def of(predictions, setting):
    """Its weighted F1, mean over corpora."""
    rows = scores(predictions, [setting], EMOTION)
    return next(row.value for row in rows if (row.metric, row.pooling) == ("weighted_f1", "mean"))


def test_values_are_differences_of_scores(table):
    predictions = table()
    eng_eld, eng_adu, zho_eld, zho_adu = (of(predictions, setting) for setting in BASELINE)
    found = {
        (one.kind, one.of): one
        for one in gaps(predictions, BASELINE, EMOTION, replicates=200, simulations=50)
    }
    cells = {"eng_eld": eng_eld, "eng_adu": eng_adu, "zho_eld": zho_eld, "zho_adu": zho_adu}
    expected = {
        ("age", "eng_adu - eng_eld"): eng_adu - eng_eld,
        ("age", "zho_adu - zho_eld"): zho_adu - zho_eld,
        ("age", "mean"): (eng_adu - eng_eld + zho_adu - zho_eld) / 2,
        ("language", "eng_adu - zho_adu"): eng_adu - zho_adu,
        ("language", "eng_eld - zho_eld"): eng_eld - zho_eld,
        ("language", "mean"): (eng_adu - zho_adu + eng_eld - zho_eld) / 2,
        ("worst", min(cells, key=cells.get)): min(cells.values()),
    }
    assert {key: one.interval.value for key, one in found.items()} == pytest.approx(
        expected, abs=1e-12
    )
    for one in found.values():
        assert one.interval.low < one.interval.value < one.interval.high
        assert one.chance.low < one.chance.high
        assert 0 < one.chance.p <= 1


def test_transfer_is_a_ratio_on_the_same_speakers(table):
    own, other = table(seed=1, skill=0.7), table(seed=2, skill=0.2, train="eng_adu")
    run = other[other["cell"] == "eng_eld"]
    both = pd.concat([own, run], ignore_index=True)
    settings = [*BASELINE, CROSS_AGE]
    (found,) = (
        one
        for one in gaps(both, settings, EMOTION, replicates=300, simulations=20)
        if one.kind == "transfer"
    )
    assert found.of == "eng_adu -> eng_eld"
    assert found.interval.value == pytest.approx(
        of(both, CROSS_AGE) / of(both, BASELINE[0]), abs=1e-12
    )
    assert 0 < found.interval.low < found.interval.value < found.interval.high < 1
    assert found.chance is None


def test_a_score_of_0_has_no_interval_of_its_ratio(table):
    own, other = table(seed=1), table(seed=2, train="eng_adu")
    run = other[other["cell"] == "eng_eld"]
    run = run.assign(probabilities=[[0.0] * 13] * len(run))
    both = pd.concat([own, run], ignore_index=True)
    (found,) = (
        one
        for one in gaps(both, [*BASELINE, CROSS_AGE], EMOTION, replicates=50, simulations=20)
        if one.kind == "transfer"
    )
    assert (found.interval.value, found.interval.low) == (0.0, None)
    assert found.interval.reason == "a score of 0 has no interval of its ratio"


def test_the_multi_label_metric_has_no_blind_model(table):
    found = gaps(table(), BASELINE, EMOTION, metric="weighted_f1_multi", replicates=50)
    assert len(found) == 7
    assert {one.chance for one in found} == {None}


def crowd(rng, cell, corpus, n_speakers, n_clips, recall, spread):
    """Counts of a group-blind model: speakers of a beta distribution, misses anywhere."""
    true = rng.multinomial(n_clips // n_speakers, np.full(4, 1 / 4), size=n_speakers).T
    rates = rng.beta(recall * spread, (1 - recall) * spread, n_speakers)
    hits = rng.binomial(true, rates)
    missed = sum(
        rng.multinomial(true[row] - hits[row], np.where(np.arange(4) == row, 0, 1 / 3)).T
        for row in range(4)
    )
    shown = np.stack([hits, hits + missed, true]).astype(np.float32)
    stratum = Stratum(f"{cell}/{corpus}", n_speakers, "speaker", False, int(true.sum()))
    forms = ("all", "marked")
    return Counts(
        stratum,
        {form: [0, 1, 2, 3] for form in forms},
        dict.fromkeys(forms, shown),
        dict.fromkeys(forms, ([], shown[0, :0])),
        4,
    )


def accuracy(one):
    return float(one.tables["all"][0].sum() / one.tables["all"][2].sum())


def test_a_blind_model_is_within_chance_and_a_biased_one_is_not():
    """200 blind models of 10 and 30 speakers: p below 0.05 in about 5 %; with a true gap of 30
    points nearly always."""
    rng, blind, biased = np.random.default_rng(0), [], []
    for number in range(200):
        for p_values, recall in ((blind, 0.6), (biased, 0.3)):
            cells = [
                [crowd(rng, "eng_adu", "esd", 30, 600, 0.6, 9)],
                [crowd(rng, "eng_eld", "crema_d", 10, 200, recall, 9)],
            ]
            rates = [accuracy(one) for (one,) in cells]
            found = chance(
                cells,
                float(np.mean(rates)),
                np.subtract,
                rates[0] - rates[1],
                "accuracy",
                200,
                number,
            )
            p_values.append(found.p)
    assert 0.02 <= np.mean(np.array(blind) <= 0.05) <= 0.1
    assert np.mean(np.array(biased) <= 0.05) > 0.9


def test_fewer_speakers_make_larger_gaps_by_chance():
    rng = np.random.default_rng(0)
    widths = []
    for n_speakers in (4, 60):
        cells = [
            [crowd(rng, cell, "esd", n_speakers, 600, 0.6, 6)] for cell in ("eng_adu", "eng_eld")
        ]
        found = chance(cells, 0.6, np.subtract, 0.0, "weighted_f1", 500)
        widths.append(found.high - found.low)
    assert widths[0] > 1.5 * widths[1]


@pytest.mark.parametrize("spread", [2, 9, 99])
def test_intraclass_correlation_is_found(spread):
    """A beta distribution of a + b = spread has an intraclass correlation of 1 / (spread + 1)."""
    rng = np.random.default_rng(0)
    counts = [
        crowd(rng, "eng_adu", "esd", 400, 400 * 25, 0.6, spread),
        crowd(rng, "eng_adu", "iemocap", 300, 7500, 0.4, spread),
    ]
    assert intraclass_correlation(counts) == pytest.approx(1 / (spread + 1), rel=0.2)


def test_clips_of_nobody_say_nothing_of_speakers(table):
    counts = counts_of(table(cells={"zho_eld": {"csed": (30, None, 7)}}), EMOTION)
    assert intraclass_correlation(counts) == 0
