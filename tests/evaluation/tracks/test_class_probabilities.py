"""Probabilities of classes from those of a model's outputs lose nothing and invent nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bimotion.errors import SettingError
from bimotion.evaluation.tracks.label_map import class_probabilities
from bimotion.protocol.labels import EMOTIONS, SCHEMAS
from tests.support.label_maps import mapped, profile

EMOTION, VALENCE = SCHEMAS["emotion"], SCHEMAS["valence"]
SEVERAL = mapped("neutral", "angry", "neutral", None, "surprise")
every_schema = pytest.mark.parametrize("schema", SCHEMAS.values(), ids=list(SCHEMAS))


@pytest.mark.parametrize(
    ("emotions", "schema", "row", "softmax", "expected"),
    [
        # outputs of a class add up, those of none are left out
        (SEVERAL.emotions, EMOTION, [0.5, 0.25, 0.125, 0.0625, 0.0625], True, "N.625 A.25 S.0625"),
        (SEVERAL.emotions, EMOTION, [0.0, 0.5, 0.0, 0.25, 0.25], True, "A.5 S.25"),
        # of sigmoids the most probable counts
        (SEVERAL.emotions, EMOTION, [0.5, 0.25, 0.125, 0.0625, 0.0625], False, "N.5 A.25 S.0625"),
        (
            ("angry", "sadness", "happiness", "excitement", "surprise"),
            VALENCE,
            [0.125, 0.25, 0.0625, 0.5, 0.0625],
            True,
            "P.5625 X.375",
        ),
        (
            ("angry", "sadness", "happiness", "excitement", "surprise"),
            VALENCE,
            [0.125, 0.25, 0.0625, 0.5, 0.0625],
            False,
            "P.5 X.25",
        ),
        # a valence model says just these of the emotions
        (("negative", "neutral", "positive"), EMOTION, [0.5, 0.25, 0.25], True, "X.5 N.25 P.25"),
        # float32 sums pass 1 by their rounding
        (("angry", "fear", "sadness"), VALENCE, np.float32([0.1, 0.3, 0.6]), True, "X1.0"),
        (("angry", "neutral"), VALENCE, [np.nan, 0.5], True, "N.5 Xnan"),
    ],
)
def test_by_hand(emotions, schema, row, softmax, expected):
    letters = {"N": "neutral", "A": "angry", "S": "surprise", "P": "positive", "X": "negative"}
    values = dict.fromkeys(schema.classes, 0.0)
    values |= {letters[part[0]]: float(part[1:]) for part in expected.split()}
    rows = np.array([row])
    before = rows.copy()
    predicted = class_probabilities(rows, mapped(*emotions), schema, softmax=softmax)
    np.testing.assert_array_equal(predicted, [list(values.values())])
    np.testing.assert_array_equal(rows, before)


def test_shapes():
    none = class_probabilities(np.zeros((0, 5)), SEVERAL, VALENCE, softmax=True)
    assert none.shape == (0, 3)
    for shape in ((2, 4), (2, 6), (5,), (1, 2, 5)):
        with pytest.raises(ValueError, match=r"expected probabilities of shape \(n, 5\)"):
            class_probabilities(np.zeros(shape), SEVERAL, EMOTION, softmax=True)


def test_a_schema_without_any_of_the_emotions_is_refused():
    mapping = mapped("surprise", "other", None)
    for use in (
        lambda: class_probabilities(np.zeros((1, 3)), mapping, VALENCE, softmax=True),
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
    shape = (draw(st.integers(1, 4)), len(emotions))
    rows = np.exp(draw(arrays(np.float64, shape, elements=st.floats(-8, 8))))
    return rows / rows.sum(axis=1, keepdims=True), mapped(*emotions)


@every_schema
@profile
@given(table=tables())
def test_softmax_keeps_the_mass_and_sigmoids_the_largest_of_mapped_outputs(schema, table):
    rows, mapping = table
    added, largest = (
        class_probabilities(rows, mapping, schema, softmax=softmax) for softmax in (True, False)
    )
    known = [emotion in schema.mapping for emotion in mapping.emotions]
    np.testing.assert_allclose(added.sum(axis=1), rows[:, known].sum(axis=1), rtol=0, atol=1e-12)
    for column, name in enumerate(schema.classes):
        own = rows[:, [schema.mapping.get(emotion) == name for emotion in mapping.emotions]]
        np.testing.assert_allclose(added[:, column], own.sum(axis=1), rtol=0, atol=1e-12)
        np.testing.assert_array_equal(largest[:, column], own.max(axis=1, initial=0.0))


@profile
@given(table=tables(), data=st.data())
def test_the_order_of_outputs_does_not_matter(table, data):
    rows, mapping = table
    order = data.draw(st.permutations(range(len(mapping.emotions))))
    turned = mapped(*(mapping.emotions[output] for output in order))
    for softmax in (True, False):
        first = class_probabilities(rows, mapping, VALENCE, softmax=softmax)
        second = class_probabilities(rows[:, order], turned, VALENCE, softmax=softmax)
        np.testing.assert_allclose(first, second, rtol=0, atol=1e-12)
