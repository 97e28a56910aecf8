"""Labels: the paper's 13 outputs in order, and what every schema owes to the clips it takes and
leaves out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimotion.corpora import CORPORA
from bimotion.errors import UnknownName
from bimotion.protocol.labels import EMOTIONS, SCHEMAS, check_emotions, multi_hot, schema_named

profile = settings(derandomize=True, deadline=None, max_examples=50)
subsets = st.lists(st.sampled_from(EMOTIONS), unique=True)
schemas = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))

_OF_FOUR = {"angry", "happiness", "excitement", "neutral", "sadness"}
LEFT_OUT = {
    "emotion": set(),
    "valence": {"surprise", "other", "unknown"},
    "four": set(EMOTIONS) - _OF_FOUR,
}
"""Canonical emotions without a class, as each schema documents."""


def test_emotions_stand_in_the_order_of_the_published_outputs():
    assert " ".join(EMOTIONS) == (
        "sadness fear angry happiness disgust neutral surprise positive negative excitement "
        "frustrated other unknown"
    )


def test_check_emotions_orders_and_drops_repeats():
    assert check_emotions(["unknown", "fear", "sadness", "fear"]) == ("sadness", "fear", "unknown")
    assert check_emotions([]) == ()
    assert check_emotions(reversed(EMOTIONS)) == EMOTIONS


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(UnknownName, match=r"^unknown emotion 'anger': expected one of sadness, f"):
        check_emotions(["fear", "anger"])
    with pytest.raises(UnknownName, match=r"^unknown schema 'arousal': expected one of emotion, v"):
        schema_named("arousal")


def test_multi_hot():
    assert multi_hot(["fear", "unknown"]).tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert multi_hot([]).tolist() == [0] * 13
    assert multi_hot(["b", "z"], ("a", "b", "c")).tolist() == [0, 1, 0]
    assert multi_hot(iter(["a", "a"]), ("a", "b")).tolist() == [1, 0]
    assert multi_hot(["fear"]).dtype == np.int8


def test_classes_of_each_schema():
    """The mappings, written out; every schema has its name and version 1."""
    members = {
        name: {
            label: {emotion for emotion, of in schema.mapping.items() if of == label}
            for label in schema.classes
        }
        for name, schema in SCHEMAS.items()
    }
    assert members == {
        "emotion": {name: {name} for name in EMOTIONS},
        "valence": {
            "positive": {"happiness", "excitement", "positive"},
            "neutral": {"neutral"},
            "negative": {"sadness", "fear", "angry", "disgust", "frustrated", "negative"},
        },
        "four": {
            "angry": {"angry"},
            "happiness": {"happiness", "excitement"},
            "neutral": {"neutral"},
            "sadness": {"sadness"},
        },
    }
    assert SCHEMAS["four"].classes == ("angry", "happiness", "neutral", "sadness")
    assert {schema.version for schema in SCHEMAS.values()} == {"1"}
    assert [name for name, schema in SCHEMAS.items() if schema.exclusive] == ["valence", "four"]
    assert [schema_named(name).name for name in SCHEMAS] == ["emotion", "valence", "four"]


CSED = ("neutral", "positive", "negative")
ELDERREACT = ("sadness", "fear", "angry", "happiness", "disgust", "surprise")


@pytest.mark.parametrize(
    ("name", "emotions", "annotated", "expected"),
    [
        ("four", ["excitement"], EMOTIONS, [0, 1, 0, 0]),
        ("four", ["happiness", "excitement"], EMOTIONS, [0, 1, 0, 0]),
        ("four", ["angry", "disgust"], EMOTIONS, [1, 0, 0, 0]),
        ("four", ["sadness"], ELDERREACT, [0, 0, -1, 1]),
        ("four", ["angry", "sadness"], EMOTIONS, "mixed: angry and sadness"),
        ("four", ["fear"], EMOTIONS, "no four in fear"),
        ("four", ["other"], EMOTIONS, "no four in other"),
        ("four", [], EMOTIONS, "no emotion marked"),
        ("four", ["neutral"], CSED, "its corpus has only one class: neutral"),
        ("four", ["surprise"], ("surprise", "fear"), "its corpus has no class"),
        ("valence", ["happiness", "excitement"], EMOTIONS, [1, 0, 0]),
        ("valence", ["sadness", "angry", "disgust"], EMOTIONS, [0, 0, 1]),
        ("valence", ["fear", "surprise"], EMOTIONS, [0, 0, 1]),
        ("valence", ["happiness"], ELDERREACT, [1, -1, 0]),
        ("valence", ["neutral"], CSED, [0, 1, 0]),
        ("valence", ["happiness", "fear"], EMOTIONS, "mixed: positive and negative"),
        ("valence", EMOTIONS, EMOTIONS, "mixed: positive and neutral and negative"),
        ("valence", ["surprise", "other"], EMOTIONS, "no valence in surprise+other"),
        ("valence", [], EMOTIONS, "no emotion marked"),
        ("emotion", ["fear", "surprise"], ELDERREACT, [0, 1, 0, 0, 0, -1, 1, *[-1] * 6]),
        ("emotion", [], ELDERREACT, [0, 0, 0, 0, 0, -1, 0, *[-1] * 6]),
    ],
)
def test_reference_by_hand(name, emotions, annotated, expected):
    schema = SCHEMAS[name]
    reason = schema.left_out(iter(emotions), annotated)
    if isinstance(expected, str):
        assert reason == expected
    else:
        assert reason is None
        assert schema.reference(emotions, annotated).tolist() == expected
        assert schema.reference(emotions, annotated).dtype == np.int8


@schemas
def test_mapping_is_total_but_for_what_is_documented(schema):
    assert set(EMOTIONS) - set(schema.mapping) == LEFT_OUT[schema.name]
    assert set(schema.mapping) <= set(EMOTIONS)
    assert set(schema.mapping.values()) == set(schema.classes)
    assert len(set(schema.classes)) == len(schema.classes)


@schemas
@profile
@given(emotions=subsets)
def test_annotated_classes_stand_in_schema_order(schema, emotions):
    assert schema.annotated(emotions) == tuple(
        c for c in schema.classes if c in {schema.mapping.get(e) for e in emotions}
    )


@profile
@given(emotions=subsets)
def test_emotion_schema_leaves_nothing_out(emotions):
    assert SCHEMAS["emotion"].left_out(emotions) is None


@schemas
@profile
@given(emotions=subsets, annotated=subsets)
def test_reference_contract(schema, emotions, annotated):
    """Whatever a corpus annotates: only that is 0 or 1, and what is present is what is marked."""
    reference = schema.reference(emotions, annotated)
    assert reference.shape == (len(schema.classes),)
    for label, value in zip(schema.classes, reference.tolist(), strict=True):
        if label in schema.annotated(annotated):
            assert value == (label in schema.annotated(emotions))
        else:
            assert value == -1
    if schema.exclusive and schema.left_out(emotions) is None and set(emotions) <= set(annotated):
        assert (reference == 1).sum() == 1


@schemas
@pytest.mark.parametrize("corpus", CORPORA)
def test_every_corpus_has_clips_under_every_schema(schema, corpus):
    """Every emotion of a corpus has exactly its own class, or a reason to be left out."""
    annotated = CORPORA[corpus].card.emotions
    assert check_emotions(annotated)
    classes = [schema.annotated([emotion]) for emotion in annotated]
    if schema.left_out(annotated[:1], annotated) == "its corpus has only one class: neutral":
        assert (schema.name, corpus) == ("four", "csed")
    else:
        assert sum(map(len, classes)) >= 2
    for emotion, names in zip(annotated, classes, strict=True):
        assert len(names) == (emotion not in LEFT_OUT[schema.name])
        assert (schema.reference([emotion], annotated) == 1).sum() == len(names)
