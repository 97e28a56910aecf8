"""Heads: one contract for all of them, and logistic regression against scikit-learn's own."""

import inspect
import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bimotion.models import heads
from bimotion.models.baselines import BASELINES
from bimotion.models.heads import Head, LogisticHead, MajorityHead, RandomHead

HEADS = [kind for _, kind in inspect.getmembers(heads, inspect.isclass) if hasattr(kind, "fit")]
HEADS.remove(Head)
every_head = pytest.mark.parametrize("kind", HEADS)
learning_head = pytest.mark.parametrize("kind", [kind for kind in HEADS if kind is not RandomHead])
both_tasks = pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "multi-label"])


def features_of(n, n_features=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n_features)).astype(np.float32)


def exclusive_case(n=90, n_classes=3):
    """Features that carry the class, and a reference with one 1 a row."""
    features = features_of(n)
    classes = np.argmax(features[:, :n_classes] + 0.5 * features_of(n, n_classes, 1), axis=1)
    return features, np.eye(n_classes, dtype=np.int8)[classes]


def masked_case(n=90):
    """Two corpora of five classes: the first annotates 0 to 2, the second 2 to 4; several or no
    positives a row."""
    features = features_of(n)
    scores = features @ features_of(4, 5, 1) + 0.5 * features_of(n, 5, 2)
    reference = (scores > 0.3).astype(np.int8)
    reference[::2, [3, 4]] = -1
    reference[1::2, [0, 1]] = -1
    return features, reference


def case_of(exclusive):
    return exclusive_case() if exclusive else masked_case()


def fitted(kind, features, reference, exclusive, seed=0):
    head = kind()
    head.fit(features, reference, exclusive=exclusive, seed=seed)
    return head


def predicted(kind, features, reference, exclusive, seed=0):
    """Probabilities of the training clips."""
    return fitted(kind, features, reference, exclusive, seed).predict(features)


def test_contract_covers_all_heads():
    assert {MajorityHead, RandomHead, LogisticHead} == set(HEADS)
    assert {model.head for model in BASELINES.values()} <= set(HEADS)


@every_head
@both_tasks
def test_probabilities_of_the_right_shape_and_the_same_for_the_same_seed(kind, exclusive):
    features, reference = case_of(exclusive)
    first, second = (fitted(kind, features, reference, exclusive, seed=3) for _ in range(2))
    for n_test in (0, 1, 7):
        test = features_of(n_test, seed=9)
        probabilities = first.predict(test)
        assert probabilities.shape == (n_test, reference.shape[1])
        assert probabilities.dtype == np.float64
        assert np.isfinite(probabilities).all()
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        assert (second.predict(test) == probabilities).all()
        assert (first.predict(test) == probabilities).all()


def test_random_head_depends_on_the_seed_and_on_nothing_that_it_was_shown():
    features, reference = exclusive_case()
    first, second = (predicted(RandomHead, features, reference, True, seed) for seed in (0, 1))
    assert (first != second).all()
    assert (predicted(RandomHead, features + 1, 1 - reference, True) == first).all()
    assert 0.4 < first.mean() < 0.6


@every_head
@both_tasks
def test_training_leaves_its_data_alone_and_forgets_the_last_time(kind, exclusive):
    features, reference = case_of(exclusive)
    kept = features.copy(), reference.copy()
    used = fitted(kind, *case_of(not exclusive), not exclusive)
    used.fit(features, reference, exclusive=exclusive, seed=0)
    assert (used.predict(features) == predicted(kind, features, reference, exclusive)).all()
    assert (features == kept[0]).all()
    assert (reference == kept[1]).all()


@every_head
@both_tasks
def test_the_order_of_training_clips_is_irrelevant_and_a_clip_is_predicted_alike_alone(
    kind, exclusive
):
    features, reference = case_of(exclusive)
    head = fitted(kind, features, reference, exclusive)
    order = np.random.default_rng(5).permutation(len(features))
    turned = fitted(kind, features[order], reference[order], exclusive)
    assert np.abs(head.predict(features) - turned.predict(features)).max() < 1e-6
    if kind is not RandomHead:
        alone = np.concatenate([head.predict(features[row : row + 1]) for row in range(12)])
        assert np.abs(head.predict(features)[:12] - alone).max() < 1e-12


@every_head
def test_clips_that_do_not_annotate_a_class_have_no_say_in_it(kind):
    """Labels of the second corpus among its own classes change nothing in the classes that it does
    not annotate."""
    features, reference = masked_case()
    changed = reference.copy()
    changed[1::2, 2:] = 1 - reference[1::2, 2:]
    before, after = (predicted(kind, features, labels, False) for labels in (reference, changed))
    assert np.abs(before - after)[:, :2].max() < 1e-6
    assert (np.abs(before - after)[:, 2:] > 1e-3).any() == (kind is not RandomHead)


@learning_head
@both_tasks
def test_a_class_that_is_never_positive_gets_nothing(kind, exclusive):
    features, reference = case_of(exclusive)
    reference[:, 1] = np.minimum(reference[:, 1], 0)
    if exclusive:
        reference[reference.sum(axis=1) == 0, 0] = 1
    probabilities = predicted(kind, features, reference, exclusive)
    assert (probabilities[:, 1] == 0).all()
    assert (np.delete(probabilities, 1, axis=1) > 0).all()
    if exclusive:
        assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
    else:
        reference[:, 4] = -1
        assert (predicted(kind, features, reference, False)[:, 4] == 0).all()


@learning_head
@both_tasks
@pytest.mark.parametrize("n", [1, 8])
def test_training_on_a_single_class_or_clip(kind, exclusive, n):
    reference = np.tile(np.array([0, 1, 0], np.int8), (n, 1))
    head = fitted(kind, features_of(n), reference, exclusive)
    assert (head.predict(features_of(3, seed=1)) == [0.0, 1.0, 0.0]).all()


def test_majority_head_by_hand():
    reference = np.array([[1, 0, -1], [1, 0, 1], [0, 1, 0], [1, -1, -1]], np.int8)
    shares = fitted(MajorityHead, np.zeros((4, 1)), reference, False).predict(features_of(2))
    assert shares == pytest.approx(np.array([[3 / 4, 1 / 3, 1 / 2]] * 2), abs=1e-15)


def test_logistic_head_separates_what_is_separable():
    centres = 6 * np.eye(3, 4)
    train, test = np.repeat([0, 1, 2], 30), np.repeat([2, 0, 1], 20)
    reference = np.eye(3, dtype=np.int8)[train]
    head = fitted(LogisticHead, centres[train] + features_of(90), reference, True)
    assert (head.predict(centres[test] + features_of(60, seed=7)).argmax(axis=1) == test).all()
    features, unseen = features_of(600), features_of(200, seed=8)
    reference = (features[:, :3] > 0).astype(np.int8)
    # a third and a half of the clips say nothing of classes 1 and 2
    reference[::3, 1] = reference[1::2, 2] = -1
    head = LogisticHead()
    head.fit(features, reference, exclusive=False, validation=(features, reference))
    guesses = head.predict(unseen) > 0.5
    assert (guesses == (unseen[:, :3] > 0)).mean(axis=0).min() > 0.95


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-6), (np.float32, 1e-5)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_exclusive_logistic_head_is_scikit_learns(dtype, tolerance, n_classes):
    features, reference = exclusive_case(n_classes=n_classes)
    features = (features * [1, 10, 100, 0.01] + [0, 5, -300, 1]).astype(dtype)
    wide = features.astype(np.float64)
    oracle = LogisticRegression(C=LogisticHead.strength, max_iter=1000, tol=1e-9)
    oracle = make_pipeline(StandardScaler(), oracle)
    expected = oracle.fit(wide, reference.argmax(axis=1)).predict_proba(wide)
    probabilities = predicted(LogisticHead, features, reference, True)
    assert np.abs(probabilities - expected).max() < tolerance


def test_exclusive_logistic_head_puts_classes_in_their_columns():
    """Classes 1 and 3 of five: scikit-learn numbers what it saw, the head must not."""
    features, pair = exclusive_case(n_classes=2)
    reference = np.zeros((len(pair), 5), np.int8)
    reference[:, [1, 3]] = pair
    narrow, wide = (predicted(LogisticHead, features, r, True) for r in (pair, reference))
    assert wide[:, [1, 3]] == pytest.approx(narrow, abs=1e-12)
    assert (wide[:, [0, 2, 4]] == 0).all()


def test_each_clip_weighs_the_same_over_its_annotated_classes():
    """A clip with one annotated class counts as two of clips with two: the same as standing twice
    in the data."""
    features = features_of(80).astype(np.float64)
    reference = (features[:, :2] + 0.8 * features_of(80, 2, seed=4) > 0).astype(np.int8)
    reference[:30, 1] = -1  # 30 clips annotate class 0 only, 50 both
    probabilities = predicted(LogisticHead, features, reference, False)[:, 0]

    scaled = StandardScaler().fit_transform(features)
    twice = np.concatenate([np.arange(80), np.arange(30)])
    same = LogisticHead.strength * 80 / 110
    for rows, strength, is_same in ((twice, same, True), (np.arange(80), same, False)):
        oracle = LogisticRegression(C=strength, max_iter=1000, tol=1e-8)
        expected = oracle.fit(scaled[rows], reference[rows, 0]).predict_proba(scaled)[:, 1]
        difference = np.abs(probabilities - expected).max()
        assert difference < 1e-4 if is_same else difference > 1e-2


@both_tasks
@pytest.mark.parametrize("value", [0.0, 1.0, -1e6, 1e-3])
def test_constant_feature_changes_nothing(exclusive, value):
    features, reference = case_of(exclusive)
    wide = features.astype(np.float64)
    with_constant = np.column_stack([wide, np.full(len(features), value)])
    plain, other = (predicted(LogisticHead, x, reference, exclusive) for x in (wide, with_constant))
    assert np.abs(other - plain).max() < 1e-6


def test_feature_that_is_constant_in_training_cannot_swamp_the_others():
    """float32, as encoders give it: a clip that differs in such a feature must be predicted about
    as before."""
    features, reference = exclusive_case(n=3001, n_classes=2)
    features[:, 3] = 0.1
    head = fitted(LogisticHead, features, reference, True)
    elsewhere = features.copy()
    elsewhere[:, 3] = 0.2
    assert np.abs(head.predict(elsewhere) - head.predict(features)).max() < 0.01


@both_tasks
def test_all_features_constant_gives_the_shares(exclusive):
    """Without information, logistic regression says how frequent each class is."""
    _, reference = case_of(exclusive)
    if not exclusive:
        reference = np.abs(reference)  # everything annotated: all clips weigh the same
    shares = predicted(LogisticHead, np.ones((90, 2)), reference, exclusive)[0]
    assert shares == pytest.approx((reference == 1).mean(axis=0), abs=1e-3)
    assert not any(map(math.isnan, shares))
