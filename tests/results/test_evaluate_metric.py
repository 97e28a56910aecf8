"""The metric of Hugging Face `evaluate`: the numbers of scoring.py, in batches and in a process
that may not reach the Hub."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from bimotion.errors import UnknownName
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.protocol.settings import Setting
from bimotion.results import evaluate_metric
from bimotion.results.metrics import METRICS
from bimotion.results.scoring import scores

CELL = Cell("eng", "eld")
SETTING = Setting("in-group", "inference", (CELL,), CELL)


@pytest.fixture(scope="module")
def metric():
    import evaluate  # three seconds, which every worker would wait for at its start

    return evaluate.load(evaluate_metric.__file__)


def random_table(schema, seed, n=60):
    """Probabilities (a few rows all 0) and references of one corpus: multi-labels, none, columns
    not annotated."""
    rng = np.random.default_rng(seed)
    classes = len(SCHEMAS[schema].classes)
    probabilities = rng.random((n, classes)) * (rng.random((n, 1)) > 0.05)
    reference = np.zeros((n, classes), np.int8)
    if SCHEMAS[schema].exclusive:
        reference[np.arange(n), rng.integers(0, classes, n)] = 1
    else:
        reference[:] = rng.random((n, classes)) < 0.15
        reference[:, [2, 5, 11]] = -1
    return probabilities, reference


def by_scoring(probabilities, reference, schema):
    """metric -> value of scoring.scores for one corpus; None where it has no row."""
    table = pd.DataFrame({"probabilities": list(probabilities), "reference": list(reference)})
    table = table.assign(train="eng_eld", seed=0, cell="eng_eld", corpus="elderreact", speaker=None)
    table = table.assign(id=table.index.astype(str), trained=[["neutral"]] * len(table))
    return dict.fromkeys(METRICS) | {
        row.metric: row.value
        for row in scores(table, [SETTING], SCHEMAS[schema])
        if row.corpus == "elderreact"
    }


@pytest.mark.parametrize("schema", SCHEMAS)
def test_equals_scoring(metric, schema):
    probabilities, reference = random_table(schema, 1)
    values = metric.compute(predictions=probabilities, references=reference, schema=schema)
    assert values == by_scoring(probabilities, reference, schema)
    assert {"weighted_f1", "uar", "accuracy", "macro_f1"} < set(values)
    assert ("weighted_f1_multi" in values) == (schema == "emotion")
    assert 0 < values["weighted_f1"] < 1


def test_batches_add_up(metric):
    probabilities, reference = random_table("emotion", 7)
    for part in np.array_split(np.arange(len(reference)), 4):
        metric.add_batch(predictions=probabilities[part], references=reference[part])
    metric.add(prediction=probabilities[0], reference=reference[0])
    twice = np.r_[np.arange(len(reference)), 0]
    assert metric.compute() == by_scoring(probabilities[twice], reference[twice], "emotion")


def test_nothing_marked_leaves_only_the_papers_metric(metric):
    clips = {"predictions": [[0.9] + [0.1] * 12], "references": [[0] * 12 + [-1]]}
    undefined = ("weighted_f1_multi", "macro_f1", "uar", "accuracy")
    values = metric.compute(**clips, split_rule="paper")
    assert values == {"weighted_f1": 1.0} | dict.fromkeys(undefined)
    assert set(metric.compute(**clips).values()) == {None}


HALVES, FIRST = [[0.5] * 3], [[1, 0, 0]]


@pytest.mark.parametrize(
    ("predictions", "references", "schema", "message"),
    [
        (
            [[0.5, 0.5]],
            FIRST,
            "valence",
            r"\[0\]: expected 3 numbers \(schema valence\)",
        ),
        (HALVES, FIRST, "emotion", r"predictions\[0\]: expected 13 numbers .*, found 3"),
        (HALVES * 2, [[1, 0, 0], [1, 0]], "valence", r"references\[1\]: expected 3 numbers"),
        (HALVES, [[1, 0, -100]], "valence", "expected 1, 0 or -1 for each class, found -100"),
        ([[0.5, -2.5, 0.1]], FIRST, "valence", r"probabilities in \[0, 1\], found -2.5"),
        ([[0.5, float("nan"), 0.1]], FIRST, "valence", r"probabilities in \[0, 1\], found nan"),
        ([], [], "valence", "predictions: expected at least one clip, found none"),
        (HALVES, FIRST, "valance", "unknown schema 'valance': expected one of emotion, valence"),
    ],
)
def test_errors_state_what_was_expected(metric, predictions, references, schema, message):
    with pytest.raises((ValueError, UnknownName), match=message) as caught:
        metric.compute(predictions=predictions, references=references, schema=schema)
    assert "\n" not in str(caught.value)
    values = metric.compute(predictions=[[0.8, 0.1, 0.1]], references=FIRST, schema="valence")
    assert values["accuracy"] == 1.0


OFFLINE = """
import importlib.util, json, socket, sys

def refuse(*_):
    raise AssertionError("a connection was tried")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import bimotion, bimotion.results.scoring
assert "evaluate" not in sys.modules
import evaluate
metric = evaluate.load(importlib.util.find_spec("bimotion.results.evaluate_metric").origin)
print(json.dumps(metric.compute(**json.load(sys.stdin))))
"""


def test_loads_offline_in_a_fresh_process(tmp_path):
    probabilities, reference = random_table("valence", 3)
    table = {"predictions": probabilities.tolist(), "references": reference.tolist()}
    offline = {"HF_HUB_OFFLINE": "1", "HF_EVALUATE_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        input=json.dumps(table | {"schema": "valence"}),
        capture_output=True,
        text=True,
        env=os.environ | offline,
        cwd=tmp_path,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == by_scoring(probabilities, reference, "valence")
