"""One contract for all adaptation methods, over the registry."""

import ast
import dataclasses
import inspect
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from bimotion import adaptation
from bimotion.adaptation import METHODS, methods_named
from bimotion.adaptation.method import Clips, Method, Source, inductive, learnt_from, transductive
from bimotion.adaptation.network import Schedule
from bimotion.errors import SettingError, UnknownName

FAMILIES = """
none corpus-norm speaker-norm logit-adjust coral mmd dann mcc shot t3a lame nnpm speaker-clusters
"""
BRIEF = Schedule(min_steps=20, max_steps=20, batch_size=32)
BRIEFLY = [
    replace(method, schedule=BRIEF) if hasattr(method, "schedule") else method
    for method in METHODS.values()
]
every_method = pytest.mark.parametrize("method", BRIEFLY, ids=list(METHODS))


@pytest.fixture(scope="module")
def case(domains):
    return domains("bend", seed=0, n=160)


@pytest.fixture(scope="module")
def predicted(case):
    """The prediction of all of the target by a method, under seed 0, computed once."""
    return cache(lambda method: transductive(method, case.source, case.target, seed=0))


def same_bytes(first, second):
    return np.ascontiguousarray(first).tobytes() == np.ascontiguousarray(second).tobytes()


def test_registry_has_the_methods_and_names_them_once():
    assert {method.family for method in METHODS.values()} == set(FAMILIES.split())
    assert len({method.title for method in METHODS.values()}) == len(METHODS)
    assert all(name == method.name and method.version for name, method in METHODS.items())


def test_a_family_is_asked_for_by_its_name():
    names = [method.name for method in methods_named(["logit-adjust", "coral", "logit-adjust-em"])]
    assert names == ["logit-adjust-uniform", "logit-adjust-em", "coral"]
    with pytest.raises(
        UnknownName, match=r"unknown adaptation method 'cloral': expected one of .*coral.*nnpm"
    ):
        methods_named(["cloral"])


def test_reconstructions_say_so():
    """Known from abstracts only: the title, which results show, must say it."""
    for method in METHODS.values():
        is_reconstruction = method.family in ("nnpm", "speaker-clusters")
        assert ("reconstruction" in method.title) == is_reconstruction, method.name
        if is_reconstruction:
            assert "reconstruction" in inspect.getmodule(type(method)).__doc__


def test_target_labels_have_no_way_in(case):
    """By construction: clips are slots for features, corpus and speaker; methods take one labelled
    thing, the source."""

    class Labelled(Clips):
        pass

    assert Clips.__slots__ == ("features", "corpora", "speakers")
    assert [field.name for field in dataclasses.fields(Clips)] == list(Clips.__slots__)
    for method in METHODS.values():
        assert inspect.signature(method.adapt) == inspect.signature(Method.adapt.__get__(method))
    disguised = Labelled(case.target.features, case.target.corpora, case.target.speakers)
    for target in (case.source, disguised):
        with pytest.raises(SettingError, match="have no labels"):
            transductive(METHODS["none"], case.source, target, seed=0)
    with pytest.raises((AttributeError, TypeError)):
        case.target.labels = case.truth


def test_nothing_could_be_selected_on_a_score():
    """No module here knows a metric, a table, or anything of the package but its own, the errors
    and the first head."""
    allowed = ("bimotion.adaptation", "bimotion.errors", "bimotion.models.heads")
    for path in Path(adaptation.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not node.module.startswith("bimotion") or node.module.startswith(allowed)
                assert "metrics" not in node.module, path


@every_method
def test_contract(method, case, predicted):
    """Probabilities of the right shape and sum; the seed decides, no global generator; nothing
    given is changed; the truth beside it is irrelevant, and what other methods have learnt."""
    given = (case.source.clips.features, case.source.reference, case.target.features)
    before = [array.copy() for array in given]
    probabilities = predicted(method)
    assert probabilities.shape == (len(case.target), 4)
    assert probabilities.dtype == np.float64
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    np.random.seed(2)
    np.random.shuffle(case.truth)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    learnt_from.cache_clear()
    source = Source(case.source.clips, case.source.reference, case.source.validation)
    assert same_bytes(probabilities, transductive(method, source, case.target, seed=0))
    assert torch.equal(state, torch.random.get_rng_state())
    reseeded = transductive(method, source, case.target, seed=4)
    assert same_bytes(probabilities, reseeded) != method.seeded
    assert all(map(same_bytes, before, given))


@every_method
def test_order_of_target_clips(method, case, predicted):
    """Irrelevant where a method says so; elsewhere minibatches are drawn by row number, and the
    declaration says that."""
    order = np.random.default_rng(5).permutation(len(case.target))
    turned = transductive(method, case.source, case.target.take(order), seed=0)
    assert (np.abs(predicted(method)[order] - turned).max() < 1e-4) == method.order_free
    assert method.order_free or method.seeded


@every_method
def test_inductive(method, case, predicted):
    """Adapted to one half, the other is predicted clip by clip as in a batch; what is no such
    method says so. What does not use the target predicts alike whatever it was shown."""
    half, rest = case.target.take(np.arange(0, 100)), case.target.take(np.arange(100, 160))
    of_half = transductive(method, case.source, half, seed=0)
    if not method.inductive:
        with pytest.raises(SettingError, match=f"{method.name}: expected the transductive setting"):
            inductive(method, case.source, half, rest, seed=0)
        assert same_bytes(of_half, predicted(method)[:100]) != method.target_seen
        return
    together = inductive(method, case.source, half, rest, seed=0)
    alone = inductive(method, case.source, half, rest.take([7]), seed=0)
    assert together.shape == (60, 4)
    assert np.abs(together[7] - alone[0]).max() < 1e-5
    assert inductive(method, case.source, half, rest.take([]), seed=0).shape == (0, 4)
    assert same_bytes(inductive(method, case.source, half, half, seed=0), of_half)
    shown_another = inductive(method, case.source, rest, half, seed=0)
    assert same_bytes(shown_another, of_half) != method.target_seen


@every_method
def test_class_without_a_source_clip_gets_nothing(method, case, predicted):
    """And masks count as absent."""

    def widened(reference):
        wide = np.zeros((len(reference), 6), np.int8)
        wide[:, [0, 2, 3, 5]], wide[:, 4] = reference, -1
        return wide

    clips, reference = case.source.validation
    validation = clips, widened(reference)
    source = Source(case.source.clips, widened(case.source.reference), validation)
    probabilities = transductive(method, source, case.target, seed=0)
    assert (probabilities[:, [1, 4]] == 0).all()
    assert same_bytes(probabilities[:, [0, 2, 3, 5]], predicted(method))


@every_method
@pytest.mark.parametrize(("n", "n_classes"), [(1, 4), (9, 2)])
def test_few_target_clips_and_few_source_clips(method, case, n, n_classes):
    """One clip, no speakers, constant features, two source clips a class: still probabilities."""
    labels = case.source.labels
    rows = np.concatenate([np.flatnonzero(labels == label)[:2] for label in range(n_classes)])
    features = case.source.clips.features[rows].copy()
    features[:, 0] = 3.0
    clips = Clips(features, ["eng"] * len(rows), [None] * len(rows))
    source = Source(clips, case.source.reference[rows, :n_classes])
    target = Clips(case.target.features[:n], ["zho"] * n, [None] * n)
    probabilities = transductive(method, source, target, seed=0)
    assert np.isfinite(probabilities).all()
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("features", "match"),
    [
        ([[0.0, 0.0, 0.0]] * 2, "expected an array of float32"),
        (np.zeros((2, 3)), "of float32 of shape"),
        (np.zeros(2, np.float32), "of shape"),
        (np.full((2, 3), np.nan, np.float32), "finite"),
        (np.zeros((3, 3), np.float32), "as many"),
    ],
)
def test_features_that_cannot_be(features, match):
    with pytest.raises(SettingError, match=match):
        Clips(features, ["a", "a"], [None, None])


@pytest.mark.parametrize(
    ("reference", "match"),
    [
        ([[1, 1], [0, 1]], "exactly one class"),
        ([[0, 0], [0, 1]], "exactly one class"),
        ([[-1, 0], [0, 1]], "exactly one class"),
        ([[1, 0], [1, 0]], "two classes or more"),
        ([[1, 0]], "a reference for 2"),
    ],
)
def test_sources_that_cannot_be(reference, match, case):
    with pytest.raises(SettingError, match=match):
        Source(case.source.clips.take([0, 1]), np.array(reference, np.int8))


CHANGES = {
    "features": lambda clips, reference: (replace(clips, features=-clips.features), reference),
    "corpora": lambda clips, reference: (replace(clips, corpora=["esd"] * len(clips)), reference),
    "speakers": lambda clips, reference: (replace(clips, speakers=[None] * len(clips)), reference),
    "labels": lambda clips, reference: (clips, reference[::-1]),
    "order": lambda clips, reference: (clips.take(np.arange(len(clips))[::-1]), reference[::-1]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_what_is_learnt_is_shared_by_equal_sources_and_by_no_others(case, change):
    labelled = case.source.clips, case.source.reference
    learnt = Source(*labelled, case.source.validation).learnt
    assert learnt is Source(*labelled, case.source.validation).learnt
    assert Source(*change(*labelled), case.source.validation).learnt is not learnt
    assert Source(*labelled, change(*case.source.validation)).learnt is not learnt


def test_targets_that_cannot_be(case):
    with pytest.raises(SettingError, match="no target clips"):
        transductive(METHODS["none"], case.source, case.target.take([]), seed=0)
    narrow = Clips(case.target.features[:, :3], case.target.corpora, case.target.speakers)
    with pytest.raises(SettingError, match="one dimension"):
        transductive(METHODS["none"], case.source, narrow, seed=0)
