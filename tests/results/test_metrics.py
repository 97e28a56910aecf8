"""Metrics: scikit-learn is the oracle under the same class list; golden values by hand; what must
not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    recall_score,
    roc_auc_score,
)

from bimotion.results import metrics
from bimotion.results.metrics import METRICS, label_f1, macro_f1_multi, weighted_f1_multi

profile = settings(derandomize=True, deadline=None, max_examples=40)

ORACLES = {
    "weighted_f1": lambda *of, **how: f1_score(*of, average="weighted", **how),
    "macro_f1": lambda *of, **how: f1_score(*of, average="macro", **how),
    "uar": lambda *of, **how: recall_score(*of, average="macro", **how),
    "accuracy": lambda targets, predictions, **_: accuracy_score(targets, predictions),
}
POOLS = (tuple(range(6)), ("sadness", "fear", "angry", "happiness", "disgust", "neutral"))


@st.composite
def single(draw):
    """Targets, predictions and a class list in any order, from which both may stray."""
    pool = draw(st.sampled_from(POOLS))
    pairs = draw(
        st.lists(st.tuples(st.sampled_from(pool), st.sampled_from(pool)), min_size=1, max_size=25)
    )
    classes = draw(st.lists(st.sampled_from(pool), min_size=1, unique=True))
    targets, predictions = map(list, zip(*pairs, strict=True))
    return targets, predictions, classes


@st.composite
def multi(draw):
    shape = draw(st.tuples(st.integers(1, 15), st.integers(2, 5)))
    bits = arrays(np.int64, shape, elements=st.integers(0, 1))
    return draw(bits), draw(bits)


def test_every_metric_has_an_oracle():
    assert set(ORACLES) == set(METRICS)


@pytest.mark.parametrize("name", ORACLES)
@profile
@given(case=single())
def test_metric_equals_scikit_learn(name, case):
    targets, predictions, classes = case
    value = METRICS[name](np.array(targets), np.array(predictions), classes)
    if name == "weighted_f1" and not set(targets) & set(classes):
        # no weight anywhere: scikit-learn says 0, we say that there is nothing to say
        assert value is None
    else:
        assert type(value) is float
        assert value == pytest.approx(
            ORACLES[name](targets, predictions, labels=classes, zero_division=0), abs=1e-12
        )


@profile
@given(case=single())
def test_label_f1_equals_scikit_learn(case):
    targets, predictions, classes = case
    oracle = f1_score(targets, predictions, labels=classes, average=None, zero_division=0)
    values = label_f1(targets, predictions, classes)
    assert list(values) == classes
    assert list(values.values()) == pytest.approx(oracle.tolist(), abs=1e-12)


@profile
@given(case=multi())
def test_multi_label_weighted_f1_equals_scikit_learn(case):
    targets, predictions = case
    value = weighted_f1_multi(targets, predictions)
    if not targets.any():
        assert value is None
    else:
        assert value == pytest.approx(
            f1_score(targets, predictions, average="weighted", zero_division=0), abs=1e-12
        )
    assert macro_f1_multi(targets, predictions) == pytest.approx(
        f1_score(targets, predictions, average="macro", zero_division=0), abs=1e-12
    )


@st.composite
def ranked(draw):
    """Truth, scores of few values, and how often each clip was drawn in each of three sets."""
    n = draw(st.integers(1, 20))
    truth = draw(arrays(bool, n))
    scores = draw(arrays(np.float32, n, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])))
    return truth, scores, draw(arrays(np.float32, (3, n), elements=st.sampled_from([0, 1, 2])))


@profile
@given(case=ranked())
def test_ranking_equals_scikit_learn(case):
    """Weighted clips count as clips that were drawn so often."""
    truth, scores, times = case
    of_sets = metrics.ranking(truth, scores, times)
    for row, weights in enumerate(times.astype(int)):
        drawn = np.repeat(np.arange(len(truth)), weights)
        values = [of_sets[name][row] for name in ("ap", "auc")]
        expected = [np.nan, np.nan]
        if len(set(truth[drawn])) == 2:
            of = truth[drawn], scores[drawn]
            expected = [average_precision_score(*of), roc_auc_score(*of)]
        assert values == pytest.approx(expected, abs=1e-9, nan_ok=True)
    known = [metric(truth, scores) for metric in metrics.RANKING_METRICS.values()]
    assert (None in known) == (len(set(truth)) < 2)


@pytest.mark.parametrize("name", METRICS)
@profile
@given(case=single(), data=st.data())
def test_order_and_names_are_irrelevant(name, case, data):
    targets, predictions, classes = case
    value = METRICS[name](*case)
    order = data.draw(st.permutations(range(len(targets))))
    clips = [[part[index] for index in order] for part in (targets, predictions)]
    assert METRICS[name](*clips, classes) == value
    assert METRICS[name](*([f"class {item}" for item in part] for part in case)) == value
    turned = METRICS[name](targets, predictions, data.draw(st.permutations(classes)))
    assert turned == (None if value is None else pytest.approx(value, abs=1e-12))


@profile
@given(case=multi(), data=st.data())
def test_multi_label_order_of_clips_is_irrelevant(case, data):
    order = data.draw(st.permutations(range(len(case[0]))))
    assert weighted_f1_multi(*(part[order] for part in case)) == weighted_f1_multi(*case)


@pytest.mark.parametrize("name", METRICS)
@profile
@given(case=single())
def test_all_right_is_one_and_all_wrong_is_zero(name, case):
    targets, _, _ = case
    present = sorted(set(targets), key=str)
    assert METRICS[name](targets, targets, present) == pytest.approx(1.0, abs=1e-12)
    assert METRICS[name](targets, ["nothing of the kind"] * len(targets), present) == 0.0


# a: 2 right, predicted 2, true 3 -> F1 4/5, recall 2/3; b: 1, 2, 2 -> 1/2, 1/2;
# c: 1, 2, 1 -> 2/3, 1
GOLDEN = {"weighted_f1": 61 / 90, "macro_f1": 59 / 90, "uar": 13 / 18, "accuracy": 4 / 6}


@pytest.mark.parametrize(("name", "value"), GOLDEN.items())
def test_golden_value_by_hand(name, value):
    assert METRICS[name](list("aaabbc"), list("aabbcc"), list("abc")) == pytest.approx(
        value, abs=1e-15
    )


def test_golden_label_f1_by_hand():
    assert label_f1(list("aaabbc"), list("aabbcc"), list("cabd")) == pytest.approx(
        {"c": 2 / 3, "a": 4 / 5, "b": 1 / 2, "d": 0}
    )


def test_golden_multi_label_by_hand():
    # column 0: 1 right, predicted 2, true 1 -> 2/3; column 1: 1, 1, 2 -> 2/3; column 2: 0, 1, 0 ->
    # weight 0; column 3: 0, 0, 1 -> 0
    targets = [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    predictions = [[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0]]
    assert weighted_f1_multi(targets, predictions) == pytest.approx(
        (1 * 2 / 3 + 2 * 2 / 3 + 1 * 0) / 4, abs=1e-15
    )


@pytest.mark.parametrize(
    ("classes", "value"), [([0, 1], 0.75), ([0, 1, 2], 0.5), ([0, 1, 2, 3], 0.375)]
)
def test_one_prediction_has_three_unweighted_recalls(classes, value):
    """scikit-learn#26892: over the classes present, over those of the data, over the schema's."""
    assert metrics.uar([0, 0, 1, 1], [0, 2, 1, 1], classes) == value


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("empty", [[], np.array([], dtype=np.int64), np.array([], dtype=str)])
def test_no_clips_and_no_classes_are_none(name, empty):
    for classes in ([], [0, 1], ["neutral"]):
        assert METRICS[name](empty, empty, classes) is None
    assert name == "accuracy" or METRICS[name]([0, 1], [0, 1], []) is None


@pytest.mark.parametrize("empty", [np.zeros((0, 3)), np.zeros((4, 0)), np.zeros((2, 3))])
def test_multi_label_without_a_positive_is_none(empty):
    assert weighted_f1_multi(empty, empty) is None


@pytest.mark.filterwarnings("ignore:A single label was found")
@profile
@given(case=single())
def test_confusion_equals_scikit_learn(case):
    """Over all labels that occur: scikit-learn leaves out what is not in its list, we count it as
    none of the classes."""
    targets, predictions, classes = case
    counts = metrics.confusion(np.array(targets), np.array(predictions), classes)
    unlisted = sorted({*targets, *predictions} - set(classes), key=str)
    whole = confusion_matrix(targets, predictions, labels=[*classes, *unlisted])[: len(classes)]
    assert counts[:, :-1].tolist() == whole[:, : len(classes)].tolist()
    assert counts[:, -1].tolist() == whole[:, len(classes) :].sum(axis=1).tolist()


def test_confusion_by_hand():
    """Rows are what is true: 0 taken for 0, 1 and none; 1 for 1; 2 for 0; a clip of no class is
    left out."""
    targets, predictions = np.array([0, 0, 0, 1, 2, -1]), np.array([0, 1, -1, 1, 0, 2])
    assert metrics.confusion(targets, predictions, [0, 1, 2]).tolist() == [
        [1, 1, 0, 1],
        [0, 1, 0, 0],
        [1, 0, 0, 0],
    ]
