"""One contract for all adaptation methods, over the registry."""

import ast
import dataclasses
import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bimotion import adaptation
from bimotion.adaptation import METHODS, methods_named
from bimotion.adaptation.method import Clips, Method, Source, inductive, transductive
from bimotion.adaptation.network import Schedule
from bimotion.errors import SettingError, UnknownName

BRIEF = Schedule(fewest_steps=20, most_steps=20, batch_size=32)
EXPECTED = {
    "none",
    "corpus-norm",
    "speaker-norm",
    "logit-adjust",
    "coral",
    "mmd",
    "dann",
    "mcc",
    "shot",
    "t3a",
    "lame",
    "nnpm",
    "speaker-clusters",
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


def brief(method):
    """The method with a short training."""
    return replace(method, schedule=BRIEF) if hasattr(method, "schedule") else method


@pytest.fixture(scope="module")
def case(domains):
    return domains("bend", seed=0, n=160)


def same_bytes(one, other):
    return one.tobytes() == other.tobytes()


def test_registry_has_the_methods_and_names_them_once():
    assert {method.family for method in METHODS.values()} == EXPECTED
    assert len({method.title for method in METHODS.values()}) == len(METHODS)
    assert all(name == method.name and method.version for name, method in METHODS.items())


def test_a_family_is_asked_for_by_its_name():
    assert [
        method.name for method in methods_named(["logit-adjust", "coral", "logit-adjust-em"])
    ] == [
        "logit-adjust-uniform",
        "logit-adjust-em",
        "coral",
    ]
    with pytest.raises(
        UnknownName, match=r"unknown adaptation method 'cloral': expected one of .*coral.*nnpm"
    ):
        methods_named(["cloral"])


def test_reconstructions_say_so():
    """Known from abstracts only: the title, which results show, must say it."""
    for method in METHODS.values():
        assert ("reconstruction" in method.title) == (
            method.family in ("nnpm", "speaker-clusters")
        ), method.name
        if "reconstruction" in method.title:
            assert "reconstruction" in inspect.getmodule(type(method)).__doc__


def test_target_labels_have_no_way_in():
    """By construction: clips are slots for features, corpus and speaker; methods take one labelled
    thing, the source."""
    assert Clips.__slots__ == ("features", "corpora", "speakers")
    assert [field.name for field in dataclasses.fields(Clips)] == list(Clips.__slots__)
    for method in METHODS.values():
        parameters = inspect.signature(method.adapt).parameters
        assert list(parameters) == ["source", "target", "seed"]
        assert (parameters["source"].annotation, parameters["target"].annotation) == (Source, Clips)
        assert inspect.signature(method.adapt) == inspect.signature(Method.adapt.__get__(method))


def test_nothing_could_be_selected_on_a_score():
    """No module here knows a metric, a table, or anything of the package but its own, the errors
    and the first head."""
    for path in Path(adaptation.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("bimotion"):
                assert node.module.startswith(
                    ("bimotion.adaptation", "bimotion.errors", "bimotion.models.heads")
                ), path
            if isinstance(node, ast.ImportFrom):
                assert "metrics" not in node.module, path


def test_labelled_clips_are_no_target(case):
    class Labelled(Clips):
        pass

    disguised = Labelled(case.target.features, case.target.corpora, case.target.speakers)
    for target in (case.source, disguised):
        with pytest.raises(SettingError, match="have no labels"):
            transductive(METHODS["none"], case.source, target, seed=0)
    with pytest.raises((AttributeError, TypeError)):
        case.target.labels = case.truth


@every_method
def test_contract(method, case):
    """Probabilities of the right shape and sum; the seed decides; nothing given is changed; the
    truth beside it is irrelevant."""
    kept = [
        array.copy()
        for array in (case.source.clips.features, case.source.reference, case.target.features)
    ]
    method, source = brief(method), Source(case.source.clips, case.source.reference)
    found = transductive(method, source, case.target, seed=3)
    assert found.shape == (len(case.target), 4)
    assert found.dtype == np.float64
    assert ((found >= 0) & (found <= 1)).all()
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    np.random.default_rng(0).shuffle(case.truth)
    assert same_bytes(
        found, transductive(method, Source(source.clips, source.reference), case.target, seed=3)
    )
    assert same_bytes(found, transductive(method, source, case.target, seed=4)) != method.seeded
    given = (case.source.clips.features, case.source.reference, case.target.features)
    assert all(same_bytes(before, now) for before, now in zip(kept, given, strict=True))


@every_method
def test_no_global_generator_is_used(method, case):
    import torch

    np.random.seed(1)
    torch.manual_seed(1)
    first = transductive(brief(method), case.source, case.target, seed=3)
    state = torch.random.get_rng_state()
    np.random.seed(2)
    torch.manual_seed(2)
    assert same_bytes(first, transductive(brief(method), case.source, case.target, seed=3))
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state())


@every_method
def test_order_of_target_clips(method, case):
    """Irrelevant where a method says so; elsewhere minibatches are drawn by row number, and the
    declaration says that."""
    order = np.random.default_rng(5).permutation(len(case.target))
    straight = transductive(brief(method), case.source, case.target, seed=0)
    turned = transductive(brief(method), case.source, case.target.take(order), seed=0)
    assert (np.abs(straight[order] - turned).max() < 1e-4) == method.order_free
    if not method.order_free:
        assert method.seeded


@every_method
def test_inductive(method, case):
    """Adapted to one half, the other is predicted clip by clip as in a batch; what is no such
    method says so."""
    half, rest = case.target.take(np.arange(0, 100)), case.target.take(np.arange(100, 160))
    if not method.inductive:
        with pytest.raises(SettingError, match=f"{method.name}: expected the transductive setting"):
            inductive(method, case.source, half, rest, seed=0)
        return
    together = inductive(brief(method), case.source, half, rest, seed=0)
    alone = inductive(brief(method), case.source, half, rest.take([7]), seed=0)
    assert together.shape == (60, 4)
    assert np.abs(together[7] - alone[0]).max() < 1e-5
    assert inductive(brief(method), case.source, half, rest.take([]), seed=0).shape == (0, 4)
    on_itself = inductive(brief(method), case.source, half, half, seed=0)
    assert same_bytes(on_itself, transductive(brief(method), case.source, half, seed=0))


@every_method
def test_whether_target_audio_is_used(method, case):
    """What says that it does not use the target predicts a clip alike whatever else it was shown;
    what says so does not."""
    half, other = case.target.take(np.arange(0, 80)), case.target.take(np.arange(80, 160))
    if method.inductive:
        shown = [
            inductive(brief(method), case.source, clips, half, seed=0) for clips in (half, other)
        ]
    else:
        shown = [
            transductive(method, case.source, clips, seed=0)[:80] for clips in (half, case.target)
        ]
    assert same_bytes(*shown) != method.target_seen


@every_method
def test_class_without_a_source_clip_gets_nothing(method, case):
    """And masks count as absent."""
    wide = np.zeros((len(case.source.reference), 6), np.int8)
    wide[:, [0, 2, 3, 5]] = case.source.reference
    wide[:, 4] = -1
    found = transductive(brief(method), Source(case.source.clips, wide), case.target, seed=0)
    assert (found[:, [1, 4]] == 0).all()
    assert same_bytes(
        np.ascontiguousarray(found[:, [0, 2, 3, 5]]),
        transductive(brief(method), case.source, case.target, seed=0),
    )


@every_method
@pytest.mark.parametrize("n", [1, 2, 9])
def test_few_target_clips_and_few_source_clips(method, case, n):
    """One clip, no speakers, constant features, two source clips a class: still probabilities."""
    rows = np.concatenate([np.flatnonzero(case.source.labels == place)[:2] for place in range(4)])
    features = case.source.clips.features[rows].copy()
    features[:, 0] = 3.0
    source = Source(Clips(features, ["eng"] * 8, [None] * 8), case.source.reference[rows])
    target = Clips(case.target.features[:n], ["zho"] * n, [None] * n)
    found = transductive(brief(method), source, target, seed=0)
    assert np.isfinite(found).all()
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-6)


@every_method
def test_two_classes(method, case):
    rows = np.flatnonzero(case.source.labels < 2)
    source = Source(case.source.clips.take(rows), case.source.reference[rows, :2])
    found = transductive(brief(method), source, case.target, seed=0)
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("features", "match"),
    [
        (np.zeros((2, 3)), "expected float32"),
        (np.zeros(2, np.float32), "of shape"),
        (np.full((2, 3), np.nan, np.float32), "finite"),
        (np.zeros((3, 3), np.float32), "as many"),
    ],
)
def test_features_that_cannot_be(features, match):
    with pytest.raises(SettingError, match=match):
        Clips(features, ["a", "a"], [None, None])


def test_sources_and_targets_that_cannot_be(case):
    clips = case.source.clips.take([0, 1])
    for reference in ([[1, 1], [0, 1]], [[0, 0], [0, 1]], [[-1, 0], [0, 1]]):
        with pytest.raises(SettingError, match="exactly one class"):
            Source(clips, np.array(reference, np.int8))
    with pytest.raises(SettingError, match="two classes or more"):
        Source(clips, np.array([[1, 0], [1, 0]], np.int8))
    with pytest.raises(SettingError, match="a reference for 2"):
        Source(clips, np.array([[1, 0]], np.int8))
    with pytest.raises(SettingError, match="no target clips"):
        transductive(METHODS["none"], case.source, case.target.take([]), seed=0)
    narrow = Clips(case.target.features[:, :3], case.target.corpora, case.target.speakers)
    with pytest.raises(SettingError, match="one dimension"):
        transductive(METHODS["none"], case.source, narrow, seed=0)
