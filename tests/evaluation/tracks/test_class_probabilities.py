"""Probabilities of classes from those of a model's outputs lose nothing and invent nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bimotion.errors import SettingError
from bimotion.evaluation.tracks.label_map import (
    class_probabilities,
    label_map,
)
from bimotion.protocol.labels import EMOTIONS, SCHEMAS
from tests.support.label_maps import mapped, profile

EMOTION, VALENCE = SCHEMAS["emotion"], SCHEMAS["valence"]


# probabilities
ROWS = np.array([[0.5, 0.25, 0.125, 0.0625, 0.0625], [0.0, 0.5, 0.0, 0.25, 0.25]])


# as neutral, angry, calm, bored, surprised
SEVERAL = mapped("neutral", "angry", "neutral", None, "surprise")


def test_softmax_outputs_of_a_class_add_up():
    found = class_probabilities(ROWS, SEVERAL, EMOTION, softmax=True)
    expected = np.zeros((2, 13))
    expected[:, EMOTIONS.index("neutral")] = 0.625, 0.0
    expected[:, EMOTIONS.index("angry")] = 0.25, 0.5
    expected[:, EMOTIONS.index("surprise")] = 0.0625, 0.25
    np.testing.assert_array_equal(found, expected)


def test_of_sigmoid_outputs_the_most_probable_counts():
    found = class_probabilities(ROWS, SEVERAL, EMOTION, softmax=False)
    assert found[:, EMOTIONS.index("neutral")].tolist() == [0.5, 0.0]
    assert found[:, EMOTIONS.index("angry")].tolist() == [0.25, 0.5]
    assert found.sum() == 0.5 + 0.25 + 0.0625 + 0.5 + 0.25


def test_valence_of_emotions():
    rows = np.array([[0.125, 0.25, 0.0625, 0.5, 0.0625]])
    # columns: positive, neutral, negative
    mapping = mapped("angry", "sadness", "happiness", "excitement", "surprise")
    assert class_probabilities(rows, mapping, VALENCE, softmax=True).tolist() == [
        [0.5625, 0.0, 0.375]
    ]
    assert class_probabilities(rows, mapping, VALENCE, softmax=False).tolist() == [[0.5, 0.0, 0.25]]


def test_a_valence_model_says_three_of_the_emotions():
    mapping = label_map("m", ["negative", "neutral", "positive"])
    found = class_probabilities(np.array([[0.5, 0.25, 0.25]]), mapping, EMOTION, softmax=True)[0]
    said = {name: value for name, value in zip(EMOTIONS, found.tolist(), strict=True) if value}
    assert said == {"neutral": 0.25, "positive": 0.25, "negative": 0.5}


def test_sums_do_not_pass_one():
    rows = np.array([[0.1, 0.3, 0.6], [1.0, 0.0, 0.0]], dtype=np.float32)
    assert rows[0].astype(float).sum() > 1
    assert class_probabilities(rows, mapped("angry", "fear", "sadness"), VALENCE, softmax=True)[
        :, 2
    ].tolist() == [1.0, 1.0]


def test_probabilities_that_are_no_numbers_stay_so():
    found = class_probabilities(
        np.array([[np.nan, 0.5]]), mapped("angry", "neutral"), VALENCE, softmax=True
    )
    np.testing.assert_array_equal(found, [[0, 0.5, np.nan]])


def test_no_clips():
    assert class_probabilities(
        np.zeros((0, 2)), mapped("angry", "fear"), VALENCE, softmax=True
    ).shape == (0, 3)


@pytest.mark.parametrize("shape", [(2, 4), (2, 6), (5,), (1, 2, 5)])
def test_wrong_shapes_are_the_callers_mistake(shape):
    with pytest.raises(ValueError, match=r"expected probabilities of shape \(n, 5\)"):
        class_probabilities(np.zeros(shape), SEVERAL, EMOTION, softmax=True)


def test_input_is_left_as_it_is():
    rows = ROWS.copy()
    class_probabilities(rows, SEVERAL, EMOTION, softmax=True)
    np.testing.assert_array_equal(rows, ROWS)


@pytest.mark.parametrize("softmax", [True, False])
def test_a_schema_without_any_of_the_emotions_is_refused(softmax):
    mapping = mapped("surprise", "other", None)
    for use in (
        lambda: class_probabilities(np.zeros((1, 3)), mapping, VALENCE, softmax=softmax),
        lambda: mapping.classes(VALENCE),
    ):
        with pytest.raises(
            SettingError, match=r"emotions \(surprise, other\) have no class of the schema valence$"
        ):
            use()
    assert mapping.classes(EMOTION) == ("surprise", "other", None)


@st.composite
def tables(draw):
    """Softmax rows and a map with at least one output that every schema has a class for."""
    emotions = draw(st.lists(st.sampled_from((*EMOTIONS, None)), min_size=1, max_size=14))
    emotions = draw(st.permutations([*emotions, "neutral"]))
    logits = draw(
        arrays(np.float64, (draw(st.integers(1, 4)), len(emotions)), elements=st.floats(-8, 8))
    )
    rows = np.exp(logits)
    return rows / rows.sum(axis=1, keepdims=True), mapped(*emotions)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))
@profile
@given(table=tables())
def test_softmax_rows_keep_the_mass_of_mapped_outputs(schema, table):
    rows, mapping = table
    found = class_probabilities(rows, mapping, schema, softmax=True)
    known = [emotion in schema.mapping for emotion in mapping.emotions]
    np.testing.assert_allclose(found.sum(axis=1), rows[:, known].sum(axis=1), rtol=0, atol=1e-12)
    for place, name in enumerate(schema.classes):
        own = [schema.mapping.get(emotion) == name for emotion in mapping.emotions]
        np.testing.assert_allclose(found[:, place], rows[:, own].sum(axis=1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))
@profile
@given(table=tables())
def test_sigmoid_classes_have_the_probability_of_one_of_their_outputs(schema, table):
    rows, mapping = table
    found = class_probabilities(rows, mapping, schema, softmax=False)
    for place, name in enumerate(schema.classes):
        own = rows[:, [schema.mapping.get(emotion) == name for emotion in mapping.emotions]]
        np.testing.assert_array_equal(found[:, place], own.max(axis=1, initial=0.0))


@profile
@given(table=tables(), data=st.data())
def test_the_order_of_outputs_does_not_matter(table, data):
    rows, mapping = table
    order = data.draw(st.permutations(range(len(mapping.emotions))))
    turned = mapped(*(mapping.emotions[place] for place in order))
    for softmax in (True, False):
        first = class_probabilities(rows, mapping, VALENCE, softmax=softmax)
        second = class_probabilities(rows[:, order], turned, VALENCE, softmax=softmax)
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-12)
