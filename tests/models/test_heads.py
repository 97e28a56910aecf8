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

HEADS = [
    kind
    for kind in vars(heads).values()
    if inspect.isclass(kind) and hasattr(kind, "fit") and kind is not Head
]
LEARNING = [kind for kind in HEADS if kind is not RandomHead]
every_head = pytest.mark.parametrize("kind", HEADS)
learning_head = pytest.mark.parametrize("kind", LEARNING)
both_tasks = pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "multi-label"])


def features_of(n, n_features=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n_features)).astype(np.float32)


def exclusive_case(n=90, n_classes=3, seed=0):
    """Features that carry the class, and a reference with one 1 a row."""
    features = features_of(n, seed=seed)
    classes = np.argmax(features[:, :n_classes] + 0.5 * features_of(n, n_classes, seed + 1), axis=1)
    return features, np.eye(n_classes, dtype=np.int8)[classes]


def masked_case(n=90, seed=0):
    """Two corpora of five classes: the first annotates 0 to 2, the second 2 to 4; several or no
    positives a row."""
    features = features_of(n, seed=seed)
    reference = (
        features @ features_of(4, 5, seed + 1) + 0.5 * features_of(n, 5, seed + 2) > 0.3
    ).astype(np.int8)
    first = np.arange(n) % 2 == 0
    reference[np.ix_(first, [3, 4])] = -1
    reference[np.ix_(~first, [0, 1])] = -1
    return features, reference


def case_of(exclusive):
    return exclusive_case() if exclusive else masked_case()


def fitted(kind, features, reference, exclusive, seed=0):
    head = kind()
    head.fit(features, reference, exclusive=exclusive, seed=seed)
    return head


def test_contract_covers_all_heads():
    assert {MajorityHead, RandomHead, LogisticHead} == set(HEADS)
    assert {model.head for model in BASELINES.values()} <= set(HEADS)


@every_head
@both_tasks
@pytest.mark.parametrize("n_test", [1, 7])
def test_probabilities_of_the_right_shape(kind, exclusive, n_test):
    features, reference = case_of(exclusive)
    probabilities = fitted(kind, features, reference, exclusive).predict(
        features_of(n_test, seed=9)
    )
    assert probabilities.shape == (n_test, reference.shape[1])
    assert probabilities.dtype == np.float64
    assert np.isfinite(probabilities).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


@pytest.mark.parametrize(
    "kind",
    HEADS,
)
@both_tasks
def test_no_clips_no_probabilities(kind, exclusive):
    features, reference = case_of(exclusive)
    assert fitted(kind, features, reference, exclusive).predict(features[:0]).shape == (
        0,
        reference.shape[1],
    )


@every_head
@both_tasks
def test_same_seed_same_probabilities(kind, exclusive):
    features, reference = case_of(exclusive)
    first, second = (fitted(kind, features, reference, exclusive, seed=3) for _ in range(2))
    assert (first.predict(features) == second.predict(features)).all()
    assert (first.predict(features) == first.predict(features)).all()


def test_random_head_depends_on_the_seed_and_on_nothing_that_it_was_shown():
    features, reference = exclusive_case()
    of_seed = [
        fitted(RandomHead, features, reference, True, seed=seed).predict(features)
        for seed in (0, 1)
    ]
    assert (of_seed[0] != of_seed[1]).all()
    assert (
        fitted(RandomHead, features + 1, 1 - reference, True).predict(-features) == of_seed[0]
    ).all()
    assert 0.4 < of_seed[0].mean() < 0.6


@every_head
@both_tasks
def test_training_leaves_its_data_alone_and_forgets_the_last_time(kind, exclusive):
    features, reference = case_of(exclusive)
    kept = features.copy(), reference.copy()
    used = fitted(kind, *case_of(not exclusive), not exclusive)
    used.fit(features, reference, exclusive=exclusive, seed=0)
    assert (
        used.predict(features) == fitted(kind, features, reference, exclusive).predict(features)
    ).all()
    assert (features == kept[0]).all()
    assert (reference == kept[1]).all()


@every_head
@both_tasks
def test_order_of_training_clips_is_irrelevant(kind, exclusive):
    features, reference = case_of(exclusive)
    order = np.random.default_rng(5).permutation(len(features))
    straight, turned = (
        fitted(kind, features[o], reference[o], exclusive) for o in (slice(None), order)
    )
    assert np.abs(straight.predict(features) - turned.predict(features)).max() < 1e-6


@learning_head
@both_tasks
def test_a_clip_is_predicted_alike_alone_and_in_a_batch(kind, exclusive):
    features, reference = case_of(exclusive)
    head = fitted(kind, features, reference, exclusive)
    alone = np.concatenate([head.predict(features[row : row + 1]) for row in range(12)])
    assert np.abs(head.predict(features)[:12] - alone).max() < 1e-12


@every_head
def test_clips_that_do_not_annotate_a_class_have_no_say_in_it(kind):
    """What the second corpus marks among its own classes changes nothing in the classes that it
    does not annotate."""
    features, reference = masked_case()
    second = reference[:, 0] == -1
    changed = reference.copy()
    changed[np.ix_(second, [2, 3, 4])] = 1 - reference[np.ix_(second, [2, 3, 4])]
    before, after = (
        fitted(kind, features, which, False).predict(features) for which in (reference, changed)
    )
    assert (before[:, :2] == after[:, :2]).all()
    if kind is not RandomHead:
        assert (before[:, 2:] != after[:, 2:]).any()


@learning_head
@both_tasks
def test_class_that_is_never_positive_gets_nothing(kind, exclusive):
    features, reference = case_of(exclusive)
    reference[:, 1] = np.minimum(reference[:, 1], 0)
    if exclusive:
        reference[reference.sum(axis=1) == 0, 0] = 1
    probabilities = fitted(kind, features, reference, exclusive).predict(features)
    assert (probabilities[:, 1] == 0).all()
    assert (np.delete(probabilities, 1, axis=1) > 0).all()


@learning_head
def test_class_that_no_clip_annotates_gets_nothing(kind):
    features, reference = masked_case()
    reference[:, 4] = -1
    assert (fitted(kind, features, reference, False).predict(features)[:, 4] == 0).all()


@learning_head
def test_exclusive_rows_sum_to_one(kind):
    features, reference = exclusive_case()
    assert fitted(kind, features, reference, True).predict(features).sum(axis=1) == pytest.approx(
        1.0, abs=1e-12
    )


@learning_head
def test_training_on_a_single_class(kind):
    features = features_of(8)
    reference = np.tile(np.array([0, 1, 0], np.int8), (8, 1))
    for exclusive in (True, False):
        assert (
            fitted(kind, features, reference, exclusive).predict(features) == [0.0, 1.0, 0.0]
        ).all()


@learning_head
@both_tasks
def test_training_on_a_single_clip(kind, exclusive):
    probabilities = fitted(kind, features_of(1), np.array([[0, 1]], np.int8), exclusive).predict(
        features_of(3, seed=1)
    )
    assert (probabilities == [0.0, 1.0]).all()


def test_majority_head_by_hand():
    reference = np.array([[1, 0, -1], [1, 0, 1], [0, 1, 0], [1, -1, -1]], np.int8)
    head = fitted(MajorityHead, np.zeros((4, 1)), reference, False)
    assert head.predict(features_of(2)) == pytest.approx(
        np.array([[3 / 4, 1 / 3, 1 / 2]] * 2), abs=1e-15
    )


def test_majority_head_says_the_most_frequent_class():
    reference = np.eye(3, dtype=np.int8)[[2, 0, 2, 1, 2, 0]]
    assert (
        fitted(MajorityHead, np.zeros((6, 1)), reference, True)
        .predict(features_of(5))
        .argmax(axis=1)
        == 2
    ).all()


def test_logistic_head_separates_what_is_separable():
    centres = 6 * np.eye(3, 4)
    train, test = np.repeat([0, 1, 2], 30), np.repeat([2, 0, 1], 20)
    head = fitted(
        LogisticHead, centres[train] + features_of(90), np.eye(3, dtype=np.int8)[train], True
    )
    assert (head.predict(centres[test] + features_of(60, seed=7)).argmax(axis=1) == test).all()


def test_logistic_head_separates_several_labels_at_once():
    features = features_of(600)
    reference = (features[:, :3] > 0).astype(np.int8)
    # a third and a half of the clips say nothing of classes 1 and 2
    reference[::3, 1] = reference[1::2, 2] = -1
    said = fitted(LogisticHead, features, reference, False).predict(features_of(200, seed=8)) > 0.5
    assert (said == (features_of(200, seed=8)[:, :3] > 0)).mean(axis=0).min() > 0.95


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_exclusive_logistic_head_is_scikit_learns(dtype, tolerance, n_classes):
    features, reference = exclusive_case(n_classes=n_classes)
    features = (features * [1, 10, 100, 0.01] + [0, 5, -300, 1]).astype(dtype)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(
        features.astype(np.float64), reference.argmax(axis=1)
    )
    found = fitted(LogisticHead, features, reference, True).predict(features)
    assert np.abs(found - oracle.predict_proba(features.astype(np.float64))).max() < tolerance


def test_exclusive_logistic_head_puts_classes_in_their_columns():
    """Classes 1 and 3 of five: scikit-learn numbers what it saw, the head must not."""
    features, pair = exclusive_case(n_classes=2)
    reference = np.zeros((len(pair), 5), np.int8)
    reference[:, [1, 3]] = pair
    narrow, wide = (
        fitted(LogisticHead, features, which, True).predict(features) for which in (pair, reference)
    )
    assert (wide[:, [1, 3]] == narrow).all()
    assert (wide[:, [0, 2, 4]] == 0).all()


def test_each_clip_weighs_the_same_over_its_annotated_classes():
    """A clip with one annotated class counts as two of clips with two: the same as standing twice
    in the data."""
    features = features_of(80).astype(np.float64)
    reference = (features[:, :2] + 0.8 * features_of(80, 2, seed=4) > 0).astype(np.int8)
    reference[:30, 1] = -1  # 30 clips annotate class 0 only, 50 both
    found = fitted(LogisticHead, features, reference, False).predict(features)[:, 0]

    scaled = StandardScaler().fit_transform(features)
    twice = np.concatenate([np.arange(80), np.arange(30)])
    oracle = LogisticRegression(C=0.1 * 80 / 110, max_iter=1000, tol=1e-8).fit(
        scaled[twice], reference[twice, 0]
    )
    plain = LogisticRegression(C=0.1, max_iter=1000, tol=1e-8).fit(scaled, reference[:, 0])
    assert np.abs(found - oracle.predict_proba(scaled)[:, 1]).max() < 1e-4
    assert np.abs(found - plain.predict_proba(scaled)[:, 1]).max() > 1e-2


@both_tasks
@pytest.mark.parametrize("value", [0.0, 1.0, -1e6, 1e-3])
def test_constant_feature_changes_nothing(exclusive, value):
    features, reference = case_of(exclusive)
    with_constant = np.column_stack([features.astype(np.float64), np.full(len(features), value)])
    plain = fitted(LogisticHead, features.astype(np.float64), reference, exclusive).predict(
        features
    )
    head = fitted(LogisticHead, with_constant, reference, exclusive)
    assert np.abs(head.predict(with_constant) - plain).max() < 1e-6


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
    found = fitted(LogisticHead, np.ones((90, 2)), reference, exclusive).predict(np.ones((1, 2)))[0]
    assert found == pytest.approx((reference == 1).mean(axis=0), abs=1e-3)
    assert not any(map(math.isnan, found))
