"""Intervals of score rows: inside [0, 1], around the estimate, honest about who was drawn, and
fast."""

import re
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from scipy import stats

from bimotion.protocol import settings
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import BASELINE
from bimotion.results.clip_predictions import test_set as scored_set
from bimotion.results.scoring import numbered, scores, setting_scores, trained_in
from bimotion.results.statistics.from_predictions import by_setting, tables_by_seed

EMOTION = SCHEMAS["emotion"]


def scored(predictions, schema=EMOTION, **which):
    """Score rows with these fields."""
    return [
        row
        for row in scores(predictions, BASELINE, schema)
        if all(getattr(row, name) == value for name, value in which.items())
    ]


def check_estimates(predictions, schema=EMOTION):
    """Check that the counts give every score that scoring computes of the clips."""
    estimates = [
        of_seed
        for of_seeds in by_setting(predictions, BASELINE, schema, ranked=True)
        for of_seed in of_seeds
    ]
    places = dict.fromkeys((row.test, row.seed) for row in scored(predictions, schema))
    for (test, seed), of_seed in zip(places, estimates, strict=True):
        rows = scored(predictions, schema, test=test, seed=seed)
        estimates = {row_key: estimate.estimate for row_key, estimate in of_seed.items()}
        values = {(row.corpus or row.pooling, numbered(row.metric, schema)): row for row in rows}
        assert len(values) == len(rows)
        # recall of corpora that are scored label by label has no row, and is not defined
        assert {row_key: row.value for row_key, row in values.items()} == pytest.approx(
            {row_key: value for row_key, value in estimates.items() if row_key in values}, abs=1e-12
        )
        assert np.isnan(
            [value for row_key, value in estimates.items() if row_key not in values]
        ).all()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_row_has_an_interval_or_a_reason(table, schema):
    predictions = table(schema=schema, seeds=(0, 1))
    rows = scored(predictions, SCHEMAS[schema])
    assert len(rows) > 100
    for row in rows:
        if row.low is None:
            assert row.reason
        else:
            assert 0 <= row.low <= row.value <= row.high <= 1
            assert row.low < row.high
    check_estimates(predictions, SCHEMAS[schema])


def test_a_clip_without_a_name_is_drawn_too(table):
    predictions = table()
    nobody = predictions.index[predictions["speaker"].isna()][:1]
    predictions.loc[nobody, "id"] = None
    check_estimates(predictions)


def test_a_class_that_one_corpus_lacks_is_pooled_with_all_that_is_predicted_as_it(table):
    """A limited or incomplete corpus may have no clip of a class that another corpus of the cell
    has."""
    predictions, fear = table(), EMOTION.classes.index("fear")
    crema_d = predictions["corpus"] == "crema_d"
    lacks = crema_d & (np.stack(predictions["reference"])[:, fear] == 1)
    predicted = np.stack(predictions["probabilities"]).argmax(axis=1) == fear
    assert lacks.any()
    assert (crema_d & ~lacks & predicted).any()
    check_estimates(predictions[~lacks])


@pytest.mark.parametrize(
    ("corpus", "people", "reason"),
    [
        ("crema_d", ("speaker", 5), None),
        (
            "elderreact",
            ("latent", 25),
            "eng_eld/elderreact: latent speakers (stated: 25; 15 gives ",
        ),
        ("iemocap", ("mixed", 4 + 7), "eng_adu/iemocap: latent speakers (stated: 7; 5 gives "),
        ("tess", ("speaker", 1), "eng_eld/tess: one speaker"),
        (None, ("mixed", 5 + 25 + 1), "eng_eld/tess: one speaker; eng_eld/elderreact: latent"),
    ],
)
def test_whose_clips_they_are_is_said(table, corpus, people, reason):
    row = scored(table(), corpus=corpus, metric="weighted_f1")[0]
    assert (row.clusters, row.n_clusters) == people
    assert row.low < row.value < row.high
    assert row.reason is reason if reason is None else row.reason.startswith(reason)


def test_without_known_speakers_the_correlation_is_stated(table):
    """CSED by itself: a clip's variance times 1 + (652 * 1.25 / 10 - 1) * 0.10, by hand."""
    predictions = table(cells={"zho_eld": {"csed": (652, None, 3)}})
    [row] = scored(predictions, metric="accuracy", corpus="csed")
    variance = row.value * (1 - row.value) / 652
    effect = 1 + (65.2 * 1.25 - 1) * 0.10
    assert row.standard_error == pytest.approx((variance * effect) ** 0.5, abs=1e-6)
    assert "clips of one speaker are taken to correlate at 0.10 (stated: 10; 5 gives " in row.reason
    few = re.search(r"5 gives ([\d.]+) to ([\d.]+), 20 gives ([\d.]+) to ([\d.]+)", row.reason)
    low, high, narrow_low, narrow_high = map(float, few.groups())
    assert low < row.low < narrow_low < row.value < narrow_high < row.high < high


@pytest.mark.parametrize(("right", "value"), [(True, 1.0), (False, 0.0)])
def test_never_a_point_at_the_bounds(table, right, value):
    predictions = table(cells={"eng_adu": {"crema_d": (80, 8, 6)}})
    reference = np.stack(predictions["reference"])
    probabilities = np.where(reference == -1, 0.0, (reference == 1) == right)
    predictions = predictions.assign(probabilities=list(probabilities))
    for row in scored(predictions):
        speakers = predictions["speaker"]
        if row.metric.startswith("f1_"):
            speakers = speakers[reference[:, EMOTION.classes.index(row.metric[3:])] == 1]
        n = speakers.nunique()
        wilson = n / (n + stats.t.ppf(0.975, n - 1) ** 2)
        assert row.value == value
        assert [row.low, row.high] == pytest.approx(
            [wilson, 1] if right else [0, 1 - wilson], abs=1e-6
        )


def test_speakers_all_alike_do_not_give_a_point(table):
    """Each of 4 speakers is right in exactly half of the clips: nothing varies, which 40 clips
    cannot prove."""
    clips, classes = np.arange(40), np.eye(13)
    predictions = table(cells={"eng_adu": {"esd": (40, 4, 5)}}).assign(
        speaker=[f"esd/{number % 4}" for number in clips],
        reference=list(classes[clips // 4 % 2].astype(np.int8)),
        probabilities=list(classes[clips * 0]),
    )
    [row] = scored(predictions, metric="accuracy", corpus="esd")
    assert (row.value, row.standard_error) == (0.5, 0)
    assert row.high - row.low > 0.25


def test_class_that_one_speaker_has_is_not_estimable(table):
    predictions = table(cells={"eng_adu": {"esd": (40, 4, 5)}})
    reference = np.zeros((40, 13), np.int8)
    reference[:, 0] = 1
    reference[np.flatnonzero(predictions["speaker"] == "esd/0")[:3], :2] = [0, 1]
    [row] = scored(predictions.assign(reference=list(reference)), metric="f1_fear", corpus="esd")
    assert (row.low, row.reason) == (None, "one speaker with this class")


@profile(derandomize=True, deadline=None, max_examples=12)
@given(
    n=st.integers(1, 30),
    n_speakers=st.integers(1, 6),
    skill=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 99),
    unknown=st.sampled_from([1, 2, 99]),
)
def test_any_table_in_any_order(table, n, n_speakers, skill, seed, unknown):
    cells = {"eng_eld": {"elderreact": (n, n_speakers, 6), "crema_d": (n + 2, 3, 6)}}
    predictions = table(seed=seed, cells=cells, skill=skill)
    nobody = (predictions["corpus"] == "elderreact") & (predictions.index % unknown == 0)
    predictions.loc[nobody, "speaker"] = None
    rows = scored(predictions)
    assert rows == scored(predictions.sample(frac=1, random_state=seed))
    for row in rows:
        assert (row.low is None) == (row.high is None)
        assert row.reason if row.low is None else 0 <= row.low <= row.value <= row.high <= 1


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


def test_intervals_of_a_full_result_cost_a_few_times_its_scores(table):
    """A bootstrap would cost a thousand times them."""
    plan, blocks = settings.settings("all"), []
    asked = dict.fromkeys(
        (setting.training_set, str(setting.test), setting.corpora) for setting in plan
    )
    for number, (train, test, corpora) in enumerate(asked):
        used = {name: n for name, n in FULL[test].items() if not corpora or name in corpora}
        blocks.append(table(seed=number, cells={test: used}, train=train))
    predictions = pd.concat(blocks, ignore_index=True)
    assert len(predictions) > 50_000
    seconds = []
    for work in (
        lambda: [
            setting_scores(
                setting,
                scored_set(table_of_seed, EMOTION),
                trained_in(table_of_seed),
                EMOTION,
                0,
            )
            for setting, tables in tables_by_seed(predictions, plan)
            for table_of_seed in tables
        ],
        lambda: scores(predictions, plan, EMOTION),
    ):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    assert seconds[1] < 10 * seconds[0]
