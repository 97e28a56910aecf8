"""Intervals beside score rows: aligned, inside [0, 1], around the estimate, honest about who was
drawn, and fast."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from scipy import stats

from bimotion.protocol import settings
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import BASELINE, Setting
from bimotion.results.scoring import scores
from bimotion.results.statistics.bootstrap import intervals

EMOTION = SCHEMAS["emotion"]
ENG_ELD = [Setting("in-group", "inference", (Cell("eng", "eld"),), Cell("eng", "eld"))]


def of(rows, found, **which):
    """Intervals of the rows with these fields."""
    return [
        one
        for row, one in zip(rows, found, strict=True)
        if all(getattr(row, name) == value for name, value in which.items())
    ]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_one_for_each_row_of_the_scores(table, schema):
    predictions = table(schema=schema, seeds=(0, 1))
    rows = scores(predictions, BASELINE, SCHEMAS[schema])
    found = intervals(predictions, BASELINE, SCHEMAS[schema], replicates=200)
    assert len(rows) == len(found) > 100
    for row, one in zip(rows, found, strict=True):
        assert (one.value is None) == (row.value is None), row
        assert one.value is None or one.value == pytest.approx(row.value, abs=1e-12)
        if one.low is not None:
            assert 0 <= one.low <= one.value <= one.high <= 1
            assert one.low < one.high
        else:
            assert one.reason


def test_a_clip_without_a_name_is_drawn_too(table):
    predictions = table()
    nobody = predictions.index[predictions["speaker"].isna()][:1]
    predictions.loc[nobody, "id"] = None
    rows, found = (
        scores(predictions, BASELINE, EMOTION),
        intervals(predictions, BASELINE, EMOTION, replicates=200),
    )
    for row, one in zip(rows, found, strict=True):
        assert one.value == (None if row.value is None else pytest.approx(row.value, abs=1e-12)), (
            row
        )


def test_a_class_that_one_corpus_lacks_is_pooled_with_all_that_is_predicted_as_it(table):
    """A limited or incomplete corpus may have no clip of a class that another corpus of the cell
    has."""
    predictions = table()
    fear = EMOTION.classes.index("fear")
    crema_d = predictions["corpus"] == "crema_d"
    lacks = crema_d & (np.stack(predictions["reference"].to_numpy())[:, fear] == 1)
    assert lacks.any()
    assert (
        crema_d
        & ~lacks
        & (np.stack(predictions["probabilities"].to_numpy()).argmax(axis=1) == fear)
    ).any()
    predictions = predictions[~lacks]
    rows, found = (
        scores(predictions, BASELINE, EMOTION),
        intervals(predictions, BASELINE, EMOTION, replicates=200),
    )
    for row, one in zip(rows, found, strict=True):
        assert one.value == (None if row.value is None else pytest.approx(row.value, abs=1e-12)), (
            row
        )


def test_over_seeds_gives_one_for_each_row_of_a_seed(table):
    predictions = table(seeds=(0, 1))
    rows = [scores(predictions[predictions["seed"] == seed], BASELINE, EMOTION) for seed in (0, 1)]
    found = intervals(predictions, BASELINE, EMOTION, replicates=100, over_seeds=True)
    for first, second, one in zip(*rows, found, strict=True):
        known = [row.value for row in (first, second) if row.value is not None]
        assert (first.metric, first.corpus) == (second.metric, second.corpus)
        assert one.value == (pytest.approx(sum(known) / len(known), abs=1e-12) if known else None)


def test_who_was_drawn_is_said(table):
    predictions = table()
    rows, found = (one(predictions, BASELINE, EMOTION) for one in (scores, intervals))
    (crema_d,) = of(rows, found, corpus="crema_d", metric="weighted_f1", test="eng_eld")
    assert (crema_d.clusters, crema_d.n_clusters, crema_d.reason) == ("speaker", 5, None)
    (elderreact,) = of(rows, found, corpus="elderreact", metric="weighted_f1")
    assert (elderreact.clusters, elderreact.n_clusters) == ("clip", 25)
    (iemocap,) = of(rows, found, corpus="iemocap", metric="weighted_f1")
    assert (iemocap.clusters, iemocap.n_clusters) == ("mixed", 4 + 7)
    for one in of(rows, found, corpus="tess"):
        assert (one.low, one.high, one.clusters, one.n_clusters, one.reason) == (
            None,
            None,
            "speaker",
            1,
            "one speaker",
        )
        assert one.value is not None
    (mean,) = of(rows, found, pooling="mean", metric="weighted_f1", test="eng_eld")
    assert (mean.clusters, mean.reason) == (
        "mixed",
        "eng_eld/tess: one speaker, whose clips were drawn again",
    )
    assert mean.low < mean.value < mean.high


def perfect(predictions, right):
    """Probability 1 for each class that is (or is not) present."""
    said = [
        np.where(np.asarray(one) == -1, 0.0, (np.asarray(one) == 1) == right)
        for one in predictions["reference"]
    ]
    return predictions.assign(probabilities=said)


@pytest.mark.parametrize(("right", "value"), [(True, 1.0), (False, 0.0)])
def test_never_a_point_at_the_bounds(table, right, value):
    cells = {"eng_adu": {"crema_d": (80, 8, 6)}}
    predictions = perfect(table(cells=cells), right)
    rows, found = (
        scores(predictions, BASELINE, EMOTION),
        intervals(predictions, BASELINE, EMOTION, replicates=300),
    )
    for row, one in zip(rows, found, strict=True):
        assert one.value == value
        far = one.low if right else 1 - one.high
        carriers = 8 if not row.metric.startswith("f1_") else n_carriers(predictions, row.metric)
        # Wilson's at 1
        assert far == pytest.approx(
            carriers / (carriers + stats.t.ppf(0.975, carriers - 1) ** 2), abs=1e-9
        )
        assert (one.high if right else one.low) == value


def n_carriers(predictions, metric):
    """Speakers with a clip of the class."""
    place = EMOTION.classes.index(metric.removeprefix("f1_"))
    return predictions[[reference[place] == 1 for reference in predictions["reference"]]][
        "speaker"
    ].nunique()


def test_speakers_all_alike_do_not_give_a_point(table):
    """Each of 4 speakers is right in exactly half of the clips: nothing varies, which 40 clips
    cannot prove."""
    predictions = table(cells={"eng_adu": {"esd": (40, 4, 5)}}).assign(
        speaker=[f"esd/{place % 4}" for place in range(40)]
    )
    reference = np.zeros((40, 13), np.int8)
    reference[np.arange(40), np.arange(40) // 4 % 2] = 1
    said = np.zeros((40, 13))
    said[:, 0] = 1
    predictions = predictions.assign(reference=list(reference), probabilities=list(said))
    rows, found = (one(predictions, BASELINE, EMOTION) for one in (scores, intervals))
    (accuracy,) = of(rows, found, metric="accuracy", corpus="esd")
    assert accuracy.value == 0.5
    assert accuracy.standard_error == 0
    assert accuracy.high - accuracy.low > 0.25


def test_class_that_one_speaker_has_is_not_estimable(table):
    predictions = table(cells={"eng_adu": {"esd": (40, 4, 5)}})
    reference = np.zeros((40, 13), np.int8)
    reference[:, 0] = 1
    first = np.flatnonzero(predictions["speaker"] == "esd/0")
    reference[first[:3], :2] = [0, 1]
    predictions = predictions.assign(reference=list(reference))
    rows, found = (one(predictions, BASELINE, EMOTION) for one in (scores, intervals))
    (fear,) = of(rows, found, metric="f1_fear", corpus="esd")
    assert (fear.low, fear.reason) == (None, "one speaker with this class")


@profile(derandomize=True, deadline=None, max_examples=25)
@given(
    n=st.integers(1, 30),
    n_speakers=st.integers(1, 6),
    skill=st.sampled_from([0.0, 0.3, 0.6, 1.0]),
    seed=st.integers(0, 99),
    known=st.sampled_from(["all", "none", "some"]),
)
def test_any_table(table, n, n_speakers, skill, seed, known):
    cells = {"eng_eld": {"elderreact": (n, n_speakers, 6), "crema_d": (n + 2, 3, 6)}}
    predictions = table(seed=seed, cells=cells, skill=skill)
    if known != "all":
        unknown = (predictions["corpus"] == "elderreact") & (
            (known == "none") | (predictions.index % 2 == 0)
        )
        predictions.loc[unknown, "speaker"] = None
    found = intervals(predictions, ENG_ELD, EMOTION, replicates=50)
    assert found == intervals(
        predictions.sample(frac=1, random_state=seed), ENG_ELD, EMOTION, replicates=50
    )
    assert len(found) == len(scores(predictions, ENG_ELD, EMOTION))
    for one in found:
        assert (one.low is None) == (one.high is None)
        assert one.low is not None or one.reason
        if one.low is not None:
            assert 0 <= one.low <= one.value <= one.high <= 1
            assert one.high - one.low > 1e-6


FULL = {  # test clips and speakers of the paper's cells
    "eng_eld": {"crema_d": (300, 9, 6), "elderreact": (353, None, 6), "tess": (500, 1, 7)},
    "eng_adu": {
        "crema_d": (1200, 82, 6),
        "esd": (1500, 10, 5),
        "iemocap": (1500, 10, 10),
        "tess": (500, 1, 7),
    },
    "zho_eld": {"csed": (400, None, 3)},
    "zho_adu": {"esd": (1500, 10, 5)},
    "yue_adu": {"yuemotion": (231, 11, 6)},
}


def test_ten_thousand_replicates_of_a_full_result_cost_a_few_scorings(table):
    plan = settings.settings("all")
    blocks = []
    for place, (train, test, corpora) in enumerate(
        {(s.training_set, str(s.test), s.corpora) for s in plan}
    ):
        used = {
            corpus: size for corpus, size in FULL[test].items() if not corpora or corpus in corpora
        }
        blocks.append(table(seed=place, cells={test: used}, train=train))
    predictions = pd.concat(blocks, ignore_index=True)
    assert len(predictions) > 50_000
    started = time.process_time()
    expected = scores(predictions, plan, EMOTION)
    scored_s, started = time.process_time() - started, time.process_time()
    found = intervals(predictions, plan, EMOTION, replicates=10_000)
    assert len(found) == len(expected) > 1000
    assert time.process_time() - started < 5 * scored_s  # 0.7 of it
