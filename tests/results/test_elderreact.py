"""ElderReact's real label file: what the headline is of, in the paper's single form and label by
label, for predictions that anybody can make again."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from bimotion.corpora import elderreact
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import EMOTIONS, scored_schema
from bimotion.protocol.settings import Setting
from bimotion.results.scoring import scores

CELL = Cell("eng", "eld")
SETTING = Setting("in-group", "inference", (CELL,), CELL)
SIX = [name for name in EMOTIONS if name in elderreact.CARD.native_labels.values()]


@pytest.fixture(scope="module")
def marked(shared_corpora):
    """True where a test clip has an emotion, (353, 6), in the order of the schema."""
    path = shared_corpora / "ElderReact/ElderReact-master/Annotations/test_labels.txt"
    rows = [line.split()[1:7] for line in path.read_text().splitlines() if line.strip()]
    names = list(elderreact.CARD.native_labels.values())
    table = pd.DataFrame(rows, columns=names).astype(int)
    return table[SIX].to_numpy(dtype=bool)


def scored(marked, probabilities, split_rule):
    """Metric -> value, of ElderReact."""
    columns = [EMOTIONS.index(name) for name in SIX]
    reference = np.full((len(marked), len(EMOTIONS)), -1, np.int8)
    reference[:, columns] = marked
    offered = np.zeros(reference.shape, np.float32)
    offered[:, columns] = probabilities
    facts = {"train": "eng_eld", "cell": "eng_eld", "corpus": "elderreact", "seed": 0}
    table = pd.DataFrame({"probabilities": list(offered), "reference": list(reference)}).assign(
        **facts,
        speaker=None,
        id=[f"elderreact/{number}" for number in range(len(marked))],
        trained=[SIX] * len(marked),
    )
    rows = scores(table, [SETTING], scored_schema("emotion", split_rule))
    return {row.metric: row.value for row in rows if row.corpus == "elderreact"}


def test_first_labels_lose_almost_half_of_the_clips(marked):
    n_labels, first = marked.sum(axis=1), marked.argmax(axis=1)
    assert (len(marked), (n_labels > 1).sum(), (n_labels == 0).sum()) == (353, 162, 40)
    for name, n_marked, n_first in (
        ("surprise", 121, 17),
        ("disgust", 63, 10),
        ("sadness", 66, 106),
    ):
        column = SIX.index(name)
        assert (marked[:, column].sum(), (first == column).sum()) == (n_marked, n_first)


PREDICTIONS = {  # probabilities of the six labels, (353, 6)
    "nothing": lambda marked: np.zeros(marked.shape),
    "everything": lambda marked: np.ones(marked.shape),
    "first labels": lambda marked: np.eye(6)[marked.argmax(axis=1)],
    "truth and noise": lambda marked: (
        0.6 * np.random.default_rng(0).random(marked.shape) + 0.4 * marked
    ),
}


@pytest.mark.parametrize(
    ("name", "single", "by_label"),
    [
        ("nothing", 13.87, 0.0),  # the arg-max of zeros is sadness
        ("everything", 13.87, 48.43),
        ("first labels", 100.0, 64.04),
        ("truth and noise", 62.37, 72.95),
    ],
)
def test_headline_of_both_forms(marked, name, single, by_label):
    probabilities = PREDICTIONS[name](marked)
    values = scored(marked, probabilities, "folds")
    assert 100 * values["weighted_f1"] == pytest.approx(by_label, abs=0.005)
    of_paper = scored(marked, probabilities, "paper")
    assert 100 * of_paper["weighted_f1"] == pytest.approx(single, abs=0.005)
    assert of_paper["weighted_f1_multi"] == values["weighted_f1_multi"] == values["weighted_f1"]


def test_rows_of_labels_equal_scikit_learn(marked):
    probabilities = PREDICTIONS["truth and noise"](marked).astype(np.float32)
    taken = probabilities > 0.5
    expected = {
        average: f1_score(marked, taken, average=average) for average in ("weighted", "macro")
    }
    expected = {f"{average}_f1": value for average, value in expected.items()}
    for number, name in enumerate(SIX):
        label = marked[:, number], probabilities[:, number]
        expected[f"f1_{name}"] = f1_score(label[0], taken[:, number])
        expected[f"ap_{name}"] = average_precision_score(*label)
        expected[f"auc_{name}"] = roc_auc_score(*label)
    values = scored(marked, probabilities, "disjoint")
    assert values.pop("weighted_f1_multi") == values["weighted_f1"]
    assert values == pytest.approx(expected, abs=1e-12)
