"""Differences between cells: values by scoring, intervals, and which are refused."""

import pandas as pd
import pytest

from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import BASELINE, Setting
from bimotion.results.scoring import scores
from bimotion.results.statistics.from_predictions import headline
from bimotion.results.statistics.gaps import AGE, LANGUAGE, gaps

EMOTION, VALENCE = SCHEMAS["emotion"], SCHEMAS["valence"]
ENG_ELD, ENG_ADU = Cell("eng", "eld"), Cell("eng", "adu")
CROSS_AGE = Setting("cross-age", "inference", (ENG_ADU,), ENG_ELD)


def score_of(predictions, setting, schema=EMOTION):
    """Its weighted F1, mean over corpora."""
    rows = scores(predictions, [setting], schema)
    return next(row.value for row in rows if (row.metric, row.pooling) == ("weighted_f1", "mean"))


def test_values_are_differences_of_scores(table):
    predictions = table(schema="valence")
    eng_eld, eng_adu, zho_eld, zho_adu = (
        score_of(predictions, setting, VALENCE) for setting in BASELINE
    )
    rows = {(gap.kind, gap.of): gap for gap in gaps(predictions, BASELINE, VALENCE)}
    cells = {"eng_eld": eng_eld, "eng_adu": eng_adu, "zho_eld": zho_eld, "zho_adu": zho_adu}
    expected = {
        (AGE, "eng_adu - eng_eld"): eng_adu - eng_eld,
        (AGE, "zho_adu - zho_eld"): zho_adu - zho_eld,
        (AGE, "mean"): (eng_adu - eng_eld + zho_adu - zho_eld) / 2,
        (LANGUAGE, "eng_adu - zho_adu"): eng_adu - zho_adu,
        (LANGUAGE, "eng_eld - zho_eld"): eng_eld - zho_eld,
        (LANGUAGE, "mean"): (eng_adu - zho_adu + eng_eld - zho_eld) / 2,
        ("worst", min(cells, key=cells.get)): min(cells.values()),
    }
    values = {key: gap.interval.value for key, gap in rows.items()}
    assert values == pytest.approx(expected, abs=1e-12)
    for gap in rows.values():
        assert gap.interval.low < gap.interval.value < gap.interval.high
    headlines = {setting: headline(predictions, setting, VALENCE) for setting in BASELINE}
    assert gaps(predictions, BASELINE, VALENCE, headlines) == list(rows.values())


def test_cells_whose_labels_differ_are_not_compared(table):
    """ESD has five emotions, CSED and CREMA-D with TESS here seven, IEMOCAP ten."""
    rows = gaps(table(), BASELINE, EMOTION)
    values = {gap.of: gap.interval.value for gap in rows if gap.kind in (AGE, LANGUAGE)}
    assert [of for of, value in values.items() if value is not None] == ["eng_eld - zho_eld"]
    [reason] = [gap.interval.reason for gap in rows if gap.of == "zho_adu - zho_eld"]
    assert reason == "not comparable, labels differ: neutral, surprise in one cell only"


def transfer_of(table, skill):
    """Predictions of a run with a transfer, and the gap of that transfer; skill None: silence."""
    own, other = table(seed=1, skill=0.7), table(seed=2, skill=skill or 0, train="eng_adu")
    other = other[other["cell"] == "eng_eld"]
    if skill is None:
        other = other.assign(probabilities=[[0.0] * 13] * len(other))
    both = pd.concat([own, other], ignore_index=True)
    rows = gaps(both, [*BASELINE, CROSS_AGE], EMOTION)
    [gap] = [gap for gap in rows if gap.kind == "transfer"]
    return both, gap


def test_transfer_is_a_ratio_on_the_same_speakers(table):
    both, gap = transfer_of(table, 0.2)
    assert gap.of == "eng_adu -> eng_eld"
    ratio = score_of(both, CROSS_AGE) / score_of(both, BASELINE[0])
    assert gap.interval.value == pytest.approx(ratio, abs=1e-12)
    assert 0 < gap.interval.low < gap.interval.value < gap.interval.high < 1


def test_a_transfer_that_keeps_everything_has_the_ratio_1(table):
    """Its logarithm is 0, which is a value; and equal predictions of some clips prove little."""
    own = table(seed=1, skill=0.7)
    other = own[own["cell"] == "eng_eld"].assign(train="eng_adu")
    rows = gaps(pd.concat([own, other], ignore_index=True), [*BASELINE, CROSS_AGE], EMOTION)
    [interval] = [gap.interval for gap in rows if gap.kind == "transfer"]
    assert interval.value == 1
    assert interval.low < 1 < interval.high


def test_a_score_of_0_has_no_interval_of_its_ratio(table):
    _, gap = transfer_of(table, None)
    assert (gap.interval.value, gap.interval.low) == (0.0, None)
    assert gap.interval.reason == "a score of 0 has no interval of its ratio"


def test_the_likeness_of_known_speakers_is_carried_to_transfers_into_unknown_ones(table):
    """CSED, all of zho_eld, names nobody; CREMA-D, in eng_eld, does."""
    to_csed = Setting("cross-age", "inference", (Cell("zho", "adu"),), Cell("zho", "eld"))
    crossed = [
        rows[rows["cell"] == str(setting.test)]
        for setting in (CROSS_AGE, to_csed)
        for rows in [table(schema="valence", seed=2, train=setting.training_set)]
    ]
    predictions = pd.concat([table(schema="valence"), *crossed], ignore_index=True)
    reasons = {}
    for settings in ([to_csed], [CROSS_AGE, to_csed]):
        rows = gaps(predictions, [*BASELINE, *settings], VALENCE)
        [interval] = [gap.interval for gap in rows if gap.settings[:1] == [to_csed.id]]
        reasons[len(settings)] = interval.reason
    assert "no speakers are known in this run" in reasons[1]
    assert "no speakers are known in this run" not in reasons[2]
