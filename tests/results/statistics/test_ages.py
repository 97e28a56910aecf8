"""The age result: values by hand, exact and random permutations, and how often it is significant
where age does nothing and where it does something."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bimotion.results.statistics.ages import age_results
from tests.support.aged_speakers import (
    CLASSES,
    CREMA_D,
    SCHEMA,
    YUEMOTION,
    Cohort,
    predicted,
    share_of_corpus_gaps,
    share_significant,
)

FEW = Cohort("yuemotion", np.array([20, 30, 60, 70, 25, 62, 65]), np.array(list("mmmmfff")), 4)


def per_speaker(predictions, facts):
    """Age, gender and recall of each speaker, by pandas alone."""
    right = [
        np.argmax(answer) == np.argmax(truth)
        for answer, truth in zip(
            predictions["probabilities"], predictions["reference"], strict=True
        )
    ]
    table = predictions.assign(
        hit=right, target=[np.argmax(truth) for truth in predictions["reference"]]
    ).join(facts, on="id")
    recall = table.groupby(["speaker", "target"])["hit"].mean().groupby("speaker").mean()
    people = table.groupby("speaker")[["age_years", "gender"]].first()
    return people.assign(recall=recall), table


def test_the_slope_is_a_regression_within_genders_and_its_p_counts_every_order():
    predictions, facts = predicted(FEW, np.random.default_rng(1))
    [result] = age_results(predictions, facts, SCHEMA)
    people, _ = per_speaker(predictions, facts)
    centred = people[["age_years", "recall"]].sub(
        people.groupby("gender")[["age_years", "recall"]].transform("mean")
    )
    slope = stats.linregress(centred["age_years"], centred["recall"]).slope
    assert result.slope.value == pytest.approx(10 * slope, abs=1e-12)
    by_gender = [rows for _, rows in people.groupby("gender")]
    sizes = []
    for orders in itertools.product(
        *(itertools.permutations(rows["age_years"]) for rows in by_gender)
    ):
        products = [
            (np.array(ages) - np.mean(ages)) @ rows["recall"]
            for ages, rows in zip(orders, by_gender, strict=True)
        ]
        sizes.append(abs(sum(products)))
    observed = abs((centred["age_years"] * centred["recall"]).sum())
    assert result.slope.p == pytest.approx(np.mean(np.array(sizes) >= observed - 1e-9))
    assert (result.slope.exact, result.slope.n_permutations) == (True, 24 * 6)
    # 2 of 4 men, 2 of 3 women
    assert (result.matched.exact, result.matched.n_permutations) == (True, 6 * 3)
    assert (result.n_adults, result.n_elders) == (3, 4)


def test_the_matched_contrast_by_hand():
    """One woman in each group; the elderly man has no adult man beside him and does not count."""
    rows = [  # speaker, cell, gender, sentence, class, right
        ("a", "eng_adu", "f", "1", 0, True),
        ("a", "eng_adu", "f", "1", 0, False),
        ("a", "eng_adu", "f", "1", 1, True),
        ("a", "eng_adu", "f", "9", 1, False),
        ("b", "eng_eld", "f", "1", 0, True),
        ("b", "eng_eld", "f", "1", 1, False),
        ("b", "eng_eld", "f", "2", 1, True),
        ("c", "eng_eld", "m", "1", 0, False),
    ]
    one_hot = np.eye(3)
    predictions = pd.DataFrame(
        {
            "id": [f"tess/{number}" for number in range(len(rows))],
            "speaker": [row[0] for row in rows],
            "cell": [row[1] for row in rows],
            "corpus": "tess",
            "train": "all",
            "seed": 0,
            "probabilities": [one_hot[row[4] if row[5] else 2] for row in rows],
            "reference": [one_hot[row[4]].astype(np.int8) for row in rows],
            "trained": [CLASSES] * len(rows),
        }
    )
    facts = pd.DataFrame(
        {
            "age_years": [30.0 if row[1] == "eng_adu" else 65.0 for row in rows],
            "gender": [row[2] for row in rows],
            "sentence": [row[3] for row in rows],
        },
        index=predictions["id"],
    )
    [result] = age_results(predictions, facts, SCHEMA)
    # class 0: 1 - 1/2; class 1, sentence 1: 0 - 1
    assert result.matched.value == pytest.approx((0.5 - 1) / 2)
    assert (result.matched.p, result.slope.p) == (None, None)  # one adult
    assert result.adults == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert result.elders == pytest.approx(((1 + 1 / 2) / 2 + 0) / 2)


def test_seeds_are_averaged_and_training_sets_of_one_age_group_stand_last():
    generator = np.random.default_rng(0)
    predictions, facts = predicted(YUEMOTION, generator)
    other, _ = predicted(YUEMOTION, generator)
    own, _ = predicted(YUEMOTION, generator, train="eng_adu")
    both = pd.concat([own, predictions, other.assign(seed=1)])
    first, last = age_results(both, facts, SCHEMA, permutations=99)
    assert (first.train, last.train) == ("eng_eld+eng_adu", "eng_adu")
    singly = [age_results(rows, facts, SCHEMA, permutations=99)[0] for rows in (predictions, other)]
    for name in ("slope", "matched"):
        values = [getattr(result, name).value for result in singly]
        assert getattr(first, name).value == pytest.approx(np.mean(values), abs=1e-12)
        known = [getattr(result, name) for result in (first, last)]
        smaller, larger = sorted(contrast.p for contrast in known)
        holm = sorted(contrast.p_holm for contrast in known)
        assert holm == [min(1, 2 * smaller), max(min(1, 2 * smaller), larger)]
    one_cell = predictions[predictions["cell"] == "eng_eld"]
    assert age_results(one_cell, facts, SCHEMA) == []


def test_an_interval_excludes_0_where_the_test_rejects():
    """Random permutations, and all 20 ways to have one elder of five women and one of four men, of
    which the observed one, with p 0.05, is one."""
    generator = np.random.default_rng(0)
    ages = np.array([20, 25, 30, 35, 75, 20, 25, 30, 75])
    nine = Cohort("yuemotion", ages, np.array(list("fffffmmmm")), 4)
    p_values = set()
    for cohort, slope in itertools.product((CREMA_D, nine), (0.0, -0.03, -0.06, -0.15)):
        [result] = age_results(*predicted(cohort, generator, slope=slope), SCHEMA, permutations=999)
        for contrast in (result.slope, result.matched):
            is_rejected = contrast.p <= 0.05
            assert (abs(contrast.value) > contrast.reach + 1e-8) == is_rejected
            p_values.add((contrast.exact, is_rejected))
    assert p_values == set(itertools.product((True, False), (True, False)))


@pytest.mark.parametrize("cohort", [CREMA_D, YUEMOTION], ids=lambda cohort: cohort.corpus)
def test_age_is_significant_as_often_as_it_should_be(cohort):
    """`python -m benchmarks.age`, with few sets: none, and 10 points a decade."""
    none = share_significant(cohort, 0.0, 30, permutations=99)
    strong = share_significant(cohort, -0.1, 3, permutations=99)
    assert max(none.values()) <= 0.2  # more than 6 of 30 at 5 %: once in 1500
    assert strong["slope"] == 1
    assert strong["matched"] > 0.5


def test_cells_of_other_corpora_differ_although_age_does_nothing():
    assert share_of_corpus_gaps(5) == 1
