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
from bimotion.results.statistics.gaps import chance, gaps, intraclass_correlation
from tests.support.speakers import counts_of_speakers

EMOTION = SCHEMAS["emotion"]
ENG_ELD, ENG_ADU = Cell("eng", "eld"), Cell("eng", "adu")
CROSS_AGE = Setting("cross-age", "inference", (ENG_ADU,), ENG_ELD)


def score_of(predictions, setting):
    """Its weighted F1, mean over corpora."""
    rows = scores(predictions, [setting], EMOTION, replicates=2)
    return next(row.value for row in rows if (row.metric, row.pooling) == ("weighted_f1", "mean"))


def test_values_are_differences_of_scores(table):
    predictions = table()
    eng_eld, eng_adu, zho_eld, zho_adu = (score_of(predictions, setting) for setting in BASELINE)
    rows = {
        (gap.kind, gap.of): gap
        for gap in gaps(predictions, BASELINE, EMOTION, replicates=200, simulations=50)
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
    values = {key: gap.interval.value for key, gap in rows.items()}
    assert values == pytest.approx(expected, abs=1e-12)
    for gap in rows.values():
        assert gap.interval.low < gap.interval.value < gap.interval.high
        assert gap.chance.low < gap.chance.high
        assert 0 < gap.chance.p <= 1


def transfer_of(table, skill):
    """Predictions of a run with a transfer, and the gap of that transfer; skill None: silence."""
    own, other = table(seed=1, skill=0.7), table(seed=2, skill=skill or 0, train="eng_adu")
    other = other[other["cell"] == "eng_eld"]
    if skill is None:
        other = other.assign(probabilities=[[0.0] * 13] * len(other))
    both = pd.concat([own, other], ignore_index=True)
    rows = gaps(both, [*BASELINE, CROSS_AGE], EMOTION, replicates=300, simulations=20)
    [gap] = [gap for gap in rows if gap.kind == "transfer"]
    return both, gap


def test_transfer_is_a_ratio_on_the_same_speakers(table):
    both, gap = transfer_of(table, 0.2)
    assert (gap.of, gap.chance) == ("eng_adu -> eng_eld", None)
    ratio = score_of(both, CROSS_AGE) / score_of(both, BASELINE[0])
    assert gap.interval.value == pytest.approx(ratio, abs=1e-12)
    assert 0 < gap.interval.low < gap.interval.value < gap.interval.high < 1


def test_a_score_of_0_has_no_interval_of_its_ratio(table):
    _, gap = transfer_of(table, None)
    assert (gap.interval.value, gap.interval.low) == (0.0, None)
    assert gap.interval.reason == "a score of 0 has no interval of its ratio"


def test_the_multi_label_metric_has_no_blind_model(table):
    rows = gaps(table(), BASELINE, EMOTION, metric="weighted_f1_multi", replicates=50)
    assert [gap.chance for gap in rows] == [None] * 7


def crowd(rng, name, n_speakers, n_clips, recall, spread):
    """Counts of a group-blind model: speakers of a beta distribution, misses anywhere."""
    true = rng.multinomial(n_clips // n_speakers, np.full(4, 1 / 4), size=n_speakers).T
    hits = rng.binomial(true, rng.beta(recall * spread, (1 - recall) * spread, n_speakers))
    missed = sum(
        rng.multinomial(true[row] - hits[row], np.where(np.arange(4) == row, 0, 1 / 3)).T
        for row in range(4)
    )
    return counts_of_speakers(np.stack([hits, hits + missed, true]), name, 4)


def test_a_blind_model_is_within_chance_and_a_biased_one_is_not():
    """200 blind models of 10 and 30 speakers: p below 0.05 in about 5 %; with a true gap of 30
    points nearly always."""
    rng, p_values = np.random.default_rng(0), {0.6: [], 0.3: []}
    for number in range(200):
        for recall in p_values:
            cells = [
                [crowd(rng, "eng_adu/esd", 30, 600, 0.6, 9)],
                [crowd(rng, "eng_eld/crema_d", 10, 200, recall, 9)],
            ]
            sums = [counts.tables["all"].sum(axis=(1, 2)) for [counts] in cells]
            rates = [float(hits / true) for hits, _, true in sums]
            observed, mean = rates[0] - rates[1], float(np.mean(rates))
            by_chance = chance(cells, mean, np.subtract, observed, "accuracy", 200, number)
            p_values[recall].append(by_chance.p <= 0.05)
    assert 0.02 <= np.mean(p_values[0.6]) <= 0.1
    assert np.mean(p_values[0.3]) > 0.9


def test_fewer_speakers_make_larger_gaps_by_chance():
    rng = np.random.default_rng(0)
    widths = []
    for n in (4, 60):
        cells = [[crowd(rng, f"{cell}/esd", n, 600, 0.6, 6)] for cell in ("eng_adu", "eng_eld")]
        by_chance = chance(cells, 0.6, np.subtract, 0.0, "weighted_f1", 500)
        widths.append(by_chance.high - by_chance.low)
    assert widths[0] > 1.5 * widths[1]


@pytest.mark.parametrize("spread", [2, 9, 99])
def test_intraclass_correlation_of_known_speakers(spread):
    """A beta distribution of a + b = spread has an intraclass correlation of 1 / (spread + 1)."""
    rng = np.random.default_rng(0)
    counts = [
        crowd(rng, "eng_adu/esd", 400, 400 * 25, 0.6, spread),
        crowd(rng, "eng_adu/iemocap", 300, 7500, 0.4, spread),
    ]
    assert intraclass_correlation(counts) == pytest.approx(1 / (spread + 1), rel=0.2)


def test_clips_of_nobody_say_nothing_of_speakers(table):
    counts = counts_of(table(cells={"zho_eld": {"csed": (30, None, 7)}}), EMOTION)
    assert intraclass_correlation(counts) == 0
