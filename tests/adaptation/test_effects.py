"""The purpose of each method: on domains of known shift it repairs its own, by a margin, on the
mean of two draws, with a training that is not chosen where nothing is said of the choice.

And what it is known to do badly is asserted as well, where a page of results would otherwise be
misread. Twenty draws with the whole training, and standard errors: `python benchmarks/adaptation.py
shifts`.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bimotion.adaptation import METHODS
from bimotion.adaptation.label_shift import Clusters
from bimotion.adaptation.logit_adjust import em_shares
from bimotion.adaptation.method import Clips, Source, inductive, transductive
from bimotion.adaptation.network import HIDDEN, Inputs, Schedule, chosen_training
from bimotion.results.metrics import accuracy
from tests.support.domain_shifts import SHIFTS, shifted

DRAWS = (0, 1)
FIXED = Schedule(min_steps=160, max_steps=160, options=((HIDDEN, 1e-3),))
ALL = {
    name: replace(method, schedule=FIXED) if hasattr(method, "schedule") else method
    for name, method in METHODS.items()
}
# on the training that validation clips choose
ALL |= {f"{name}, chosen": METHODS[name] for name in ("none-network", "corpus-norm-em-network")}
ALL["nnpm-vote-no-prior"] = replace(ALL["nnpm-vote"], prior_correction=False)


def predicted(name, case):
    return transductive(ALL[name], case.source, case.target, seed=0)


@pytest.fixture(scope="module")
def score(domains):
    """Mean UAR, %, of a method under a shift, over draws of domains."""
    drawn = cache(lambda shift, seed: (shifted if shift in SHIFTS else domains)(shift, seed))

    @cache
    def mean(name, shift):
        cases = [drawn(shift, seed) for seed in DRAWS]
        return float(np.mean([case.uar(predicted(name, case)) for case in cases]))

    return mean


REPAIRS = [  # method, shift, method without it, least gain in UAR
    ("corpus-norm", "scale", "none", 5),
    ("corpus-norm-em-network", "scale", "none-network", 4),
    ("corpus-norm-em", "mean + scale", "none", 3),
    ("corpus-norm-em", "mean + scale + priors", "corpus-norm", 3),
    ("corpus-norm-em", "priors only", "corpus-norm", 3),
    ("speaker-norm", "speaker", "corpus-norm", 10),
    ("speaker-clusters", "speaker", "none", 10),
    ("coral", "covariance", "none", 1),
    ("coral", "covariance", "corpus-norm", 1),
    ("mmd", "scale", "none-network", 2),
    ("dann", "scale", "none-network", 4),
    ("mcc", "moved", "none-network", 3),
    ("shot", "moved", "corpus-norm-em-network", 3),
    ("t3a", "scale", "none-network", 0.5),
    ("lame", "moved", "none", 2),
    ("nnpm-c", "bend", "none", 5),
    ("nnpm-h", "bend", "none", 5),
    ("nnpm-vote", "bend", "none", 5),
    ("nnpm-h", "moved", "corpus-norm-em-network", 0),
    ("nnpm-h", "mean + scale + priors", "corpus-norm", 3),
    ("nnpm-c", "bend", "nnpm-c-source-norm", 6),
    # and none of these does harm beside its own control: a least gain below nothing
    ("nnpm-h", "mean + scale + priors", "none", -1),
    *((name, "moved", "corpus-norm-em-network", -2) for name in ("nnpm-c", "nnpm-vote")),
    *((f"nnpm-{name}", "none", "corpus-norm-em-network", -2) for name in ("c", "h", "vote")),
    *(
        (name, "no shift", "none", -1)
        for name in ("none-network, chosen", "corpus-norm-em-network, chosen", "corpus-norm-em")
    ),
    *(
        (name, "none", "none-network" if method.seeded else "none", -3)
        for name, method in METHODS.items()
        if not name.startswith("nnpm-c-")
    ),
]


@pytest.mark.parametrize(("name", "shift", "without", "gain"), REPAIRS)
def test_repairs_its_shift_and_does_no_harm_without_one(score, name, shift, without, gain):
    assert score(name, shift) > score(without, shift) + gain


def test_every_family_has_its_effect_asserted():
    asserted = {ALL[name].family for name, _, _, gain in REPAIRS if gain > 0}
    assert asserted | {"none", "logit-adjust"} == {method.family for method in METHODS.values()}


@pytest.mark.parametrize(
    ("name", "shift"), [("corpus-norm", "shares"), ("lame", "scale"), ("logit-adjust-em", "scale")]
)
def test_known_harm(score, name, shift):
    """Normalising takes other class shares for a shift; neighbours and priors confirm a source that
    a shift made wrong."""
    assert score(name, shift) < score("none", shift) - 1.5


@pytest.mark.parametrize(("name", "n_groups"), [("corpus-norm", 1), ("speaker-norm", 6)])
def test_normalising_undoes_any_mean_and_scale_of_a_group(domains, name, n_groups):
    """Exactly: the target, and the target after any such shift, are predicted alike."""
    case, rng = domains("none", 0), np.random.default_rng(0)
    group = np.unique(case.target.speakers.astype(str), return_inverse=True)[1] % n_groups
    scales, offsets = rng.uniform(0.1, 10, (n_groups, 16)), rng.normal(0, 5, (n_groups, 16))
    shifted = (case.target.features * scales[group] + offsets[group]).astype(np.float32)
    target = Clips(shifted, case.target.corpora, case.target.speakers)
    plain, repaired = (
        transductive(METHODS[name], case.source, clips, seed=0) for clips in (case.target, target)
    )
    assert np.abs(repaired - plain).max() < 1e-4
    assert np.abs(transductive(METHODS["none"], case.source, target, seed=0) - plain).max() > 0.5


def without_speakers(clips):
    return Clips(clips.features, clips.corpora, [None] * len(clips))


def test_speaker_norm_without_speakers_is_corpus_norm(domains):
    case = domains("scale", 0)
    source = Source(without_speakers(case.source.clips), case.source.reference)
    by_corpus, by_speaker = (
        transductive(METHODS[name], source, without_speakers(case.target), seed=0)
        for name in ("corpus-norm", "speaker-norm")
    )
    np.testing.assert_array_equal(by_corpus, by_speaker)


def test_inductive_speaker_norm_of_an_unseen_speaker_is_of_the_corpus(domains):
    case, method = domains("speaker", 0), METHODS["speaker-norm"]
    is_unseen = case.target.speakers == "zho/0"
    seen, test = case.target.take(~is_unseen), case.target.take(is_unseen)
    np.testing.assert_array_equal(
        inductive(method, case.source, seen, test, seed=0),
        inductive(method, case.source, seen, without_speakers(test), seed=0),
    )


def test_em_finds_the_target_shares_and_repairs_accuracy(domains):
    """Accuracy, not UAR: fitting the prior trades rare classes for frequent ones."""
    gains = []
    for case in (domains("shares", seed) for seed in range(3)):
        estimate = em_shares(case.source.head.predict(case.target.features), case.source.shares)
        assert np.abs(estimate - np.bincount(case.truth, minlength=4) / 480).max() < 0.08
        before, after = (
            accuracy(case.truth, predicted(name, case).argmax(axis=1), range(4))
            for name in ("none", "logit-adjust-em")
        )
        gains.append(after - before)
    assert np.mean(gains) > 0.015
    assert min(gains) > -0.005


def test_a_corrected_prior_repairs_a_skewed_source(domains):
    """A source of 70 % one class, a balanced target of the same features."""
    cases = [domains("shares", seed).swapped() for seed in DRAWS]
    for without, name, gain in (
        ("none", "logit-adjust-uniform", 2),
        ("none", "logit-adjust-em", 2),
        ("nnpm-vote-no-prior", "nnpm-vote", 1),
        ("nnpm-c-no-prior", "nnpm-c", 3),
    ):
        gains = [
            case.uar(predicted(name, case)) - case.uar(predicted(without, case)) for case in cases
        ]
        assert np.mean(gains) > gain, name


CENTROIDS, OFFSET = 3 * np.eye(3) - 1, np.array([0.5, -0.2, -0.3])


def points(shares, spread, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, 2000, p=shares)
    noise = spread * rng.normal(size=(2000, 3))
    return CENTROIDS[labels] + noise - noise.mean(axis=1, keepdims=True) + OFFSET, labels


def test_weights_give_a_target_the_shares_of_the_source():
    clusters = Clusters(CENTROIDS, 0.25, np.array([0.5, 0.3, 0.2]))
    drawn, labels = points([0.1, 0.2, 0.7], 0.5)
    weights = clusters.weights(drawn)
    shares = np.bincount(labels, weights) / weights.sum()
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_weights_are_equal_where_classes_do_not_stand_apart():
    clusters = Clusters(CENTROIDS, 1.0, np.array([0.5, 0.3, 0.2]))
    drawn = np.random.default_rng(0).normal(size=(500, 3))
    drawn -= drawn.mean(axis=1, keepdims=True)
    assert clusters.weights(drawn) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("informative", [True, False])
def test_training_is_chosen_by_the_loss_on_validation_clips(domains, informative):
    """Little of it where labels say nothing, for then all that is learnt is noise."""
    case, schedule = domains("none", 0, n=200), Schedule(5, 60, checked_every=5)
    reference = case.source.reference
    if not informative:
        reference = np.random.default_rng(0).permutation(reference)
    source = Source(case.source.clips, reference)
    inputs = Inputs(source, case.target, by_corpus=False)
    training = chosen_training(inputs, 4, schedule)
    assert informative or training.steps <= 10
    assert training.rate == (1e-3 if informative else 3e-4)
