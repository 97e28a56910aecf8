"""Logistic regression: scikit-learn's solutions, and what its choices promise."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from bimotion.models import logistic
from bimotion.models.heads import LogisticHead, MajorityHead
from bimotion.models.losses import log_loss

N_CLASSES = 4


def case(n: int, n_features: int, seed: int, *, exclusive: bool, skill: float = 1.0):
    """Correlated features, as pooled layers have them, and a reference: half of the clips mask two
    of the classes, if these are not exclusive."""
    rng = np.random.default_rng(seed)
    shared = np.random.default_rng(99)
    mixing = shared.normal(size=(n_features, n_features)) * np.arange(1, n_features + 1) ** -1.5
    classes = rng.integers(0, N_CLASSES, n)
    centres = shared.normal(size=(N_CLASSES, n_features))
    features = ((rng.normal(size=(n, n_features)) + skill * centres[classes]) @ mixing).astype("f4")
    reference = np.eye(N_CLASSES, dtype=np.int8)[classes]
    if not exclusive:
        reference[rng.random(n) < 0.2, 0] = 1
        reference[::2, 2:] = -1
    return features, reference


@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "multi-label"])
@pytest.mark.parametrize(
    ("strength", "n_features", "max_preconditioned"),
    [(1e-3, 30, 4096), (10.0, 30, 4096), (0.1, 30, 0), (0.1, 300, 4096)],
    ids=["much", "little", "plain", "more features than clips"],
)
def test_solutions_are_scikit_learns(
    exclusive, strength, n_features, max_preconditioned, monkeypatch
):
    monkeypatch.setattr(logistic, "MAX_PRECONDITIONED", max_preconditioned)
    features, reference = case(240, n_features, 0, exclusive=exclusive)
    head = LogisticHead()
    head.strength = strength
    head.fit(features, reference, exclusive=exclusive)
    assert head.facts["converged"]
    assert head.facts["C"] == strength
    scaled = StandardScaler().fit_transform(features.astype(float))
    expected = np.empty(reference.shape)
    oracle = LogisticRegression(C=strength, tol=1e-9, max_iter=100_000)
    if exclusive:
        expected = oracle.fit(scaled, reference.argmax(axis=1)).predict_proba(scaled)
    else:
        weights = 1 / (reference != -1).sum(axis=1)
        for column, labels in enumerate(reference.T):
            rows = labels != -1
            weight = weights[rows] / weights[rows].mean()
            oracle.fit(scaled[rows], labels[rows], sample_weight=weight)
            expected[:, column] = oracle.predict_proba(scaled)[:, 1]
    assert np.abs(head.predict(features) - expected).max() < 1e-4


def test_classes_all_but_apart_in_features_all_but_redundant_are_solved():
    rng = np.random.default_rng(0)
    classes = rng.choice(3, 600, p=(0.16, 0.11, 0.73))
    latent = rng.normal(size=(3, 12))[classes] + rng.normal(size=(600, 12))
    features = np.hstack([latent, np.tanh(latent), latent @ rng.normal(size=(12, 16))])
    features += 1e-6 * rng.normal(size=features.shape)
    head = LogisticHead()
    head.strength = 10.0
    head.fit(features, np.eye(3, dtype=np.int8)[classes], exclusive=True)
    assert head.facts["converged"]
    scaled = StandardScaler().fit_transform(features)
    oracle = LogisticRegression(C=10.0, solver="newton-cholesky", tol=1e-10)
    expected = oracle.fit(scaled, classes).predict_proba(scaled)
    assert np.abs(head.predict(features) - expected).max() < 1e-4


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**16),
    st.integers(2, 60),
    st.integers(1, 30),
    st.sampled_from([0.0, 0.3, 2.0]),
    st.booleans(),
)
def test_validation_loss_is_never_above_the_constants(seed, n, n_validation, skill, exclusive):
    features, reference = case(n, 12, seed, exclusive=exclusive, skill=skill)
    validation = case(n_validation, 12, seed + 1, exclusive=exclusive, skill=skill)
    head, constant = LogisticHead(), LogisticHead()
    head.fit(features, reference, exclusive=exclusive, validation=validation)
    if exclusive:
        constant = MajorityHead()
    constant.strength = 0.0
    constant.fit(features, reference, exclusive=exclusive, seed=0)
    predicted = (kind.predict(validation[0]) for kind in (head, constant))
    losses = [log_loss(probabilities, validation[1], exclusive) for probabilities in predicted]
    assert losses[0] <= losses[1] + 1e-12
    assert head.facts["C"] in LogisticHead.strengths
    assert head.facts["chosen_by"] == "validation"


def test_the_best_strength_is_chosen_and_of_equals_the_smaller():
    features, reference = case(60, 12, 0, exclusive=True, skill=0.4)
    validation = case(200, 12, 1, exclusive=True, skill=0.4)
    chosen, losses = LogisticHead(), []
    chosen.fit(features, reference, exclusive=True, validation=validation)
    for strength in LogisticHead.strengths:
        head = LogisticHead()
        head.strength = strength
        head.fit(features, reference, exclusive=True)
        losses.append(log_loss(head.predict(validation[0]), validation[1], True))
    assert chosen.facts["C"] == LogisticHead.strengths[np.argmin(losses)] not in (0.0, 10.0)
    blind = np.zeros_like(features), np.zeros_like(validation[0])
    chosen.fit(blind[0], reference, exclusive=True, validation=(blind[1], validation[1]))
    assert chosen.facts["C"] == 0.0


def test_what_was_chosen_among_rough_solutions_is_solved_to_the_end():
    features, reference = case(400, 40, 0, exclusive=True, skill=0.4)
    validation = case(200, 40, 1, exclusive=True, skill=0.4)
    chosen, whole, rough = LogisticHead(), LogisticHead(), LogisticHead()
    chosen.fit(features, reference, exclusive=True, validation=validation)
    whole.strength = rough.strength = chosen.facts["C"]
    whole.fit(features, reference, exclusive=True)
    predicted = chosen.predict(validation[0])
    assert chosen.facts["converged"]
    assert np.abs(predicted - whole.predict(validation[0])).max() < 1e-6
    loss = rough.rough_loss(features, reference, exclusive=True, validation=validation)
    assert 1e-9 < abs(loss - log_loss(predicted, validation[1], True)) < 1e-3


def test_a_library_that_is_loaded_meanwhile_has_one_thread_too():
    code = (
        "from bimotion.io.threads import one_thread_each\n"
        "with one_thread_each():\n"
        "    import scipy.linalg, scipy.optimize\n"
        "    from threadpoolctl import threadpool_info\n"
        "    print({pool['num_threads'] for pool in threadpool_info()})"
    )
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert process.stdout == "{1}\n"


def test_the_search_ends_where_two_in_a_row_bring_no_gain():
    features, reference = case(60, 12, 0, exclusive=True, skill=0.4)
    validation = case(200, 12, 1, exclusive=True, skill=0.4)

    def chosen(*strengths):
        head = LogisticHead()
        head.strengths = strengths
        head.fit(features, reference, exclusive=True, validation=validation)
        return head.facts["C"]

    worse, still_worse, better, best = 1e3, 1e2, 1e-4, 1e-2
    assert chosen(better, worse, best) == best
    assert chosen(better, worse, still_worse, best) == better


def test_the_same_bytes_whatever_the_seed_and_the_number_of_threads():
    features, reference = case(700, 90, 0, exclusive=True)
    validation, results = case(300, 90, 1, exclusive=True), []
    for seed, threads in ((0, 1), (7, 4)):
        head = LogisticHead()
        with threadpool_limits(threads):
            head.fit(features, reference, exclusive=True, seed=seed, validation=validation)
            results.append(head.predict(validation[0]).tobytes())
    assert results[0] == results[1]


def test_what_has_not_converged_says_so(monkeypatch):
    monkeypatch.setattr(logistic, "MAX_ITERATIONS", 2)
    head = LogisticHead()
    head.fit(*case(120, 12, 0, exclusive=True), exclusive=True)
    assert head.facts["converged"] is False
    assert head.facts["iterations"] == 2
