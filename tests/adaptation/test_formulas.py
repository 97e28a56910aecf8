"""Losses, centroids and templates against their papers' formulas, written out one clip at a
time."""

import numpy as np
import pytest
import torch

from bimotion.adaptation.mcc import confusion
from bimotion.adaptation.shot import information, pseudo_labels
from bimotion.adaptation.t3a import templates

N, N_CLASSES, WIDTH = 30, 3, 5


@pytest.fixture
def logits():
    return 2 * torch.randn(
        N, N_CLASSES, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )


@pytest.fixture
def embedded():
    found = torch.randn(N, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.nn.functional.normalize(found, dim=1)


def softmax(row):
    return np.exp(row) / np.exp(row).sum()


def entropy(p):
    return -(p * np.log(p)).sum()


def unit(row):
    return row / np.linalg.norm(row)


def test_mcc_is_equations_2_to_7_of_jin(logits):
    p = [softmax(row / 2.5) for row in logits.numpy()]
    weights = np.array([1 + np.exp(-entropy(row)) for row in p])
    weights *= N / weights.sum()
    matrix = sum(weight * np.outer(row, row) for weight, row in zip(weights, p, strict=True))
    matrix /= matrix.sum(axis=1, keepdims=True)
    literal = (
        sum(matrix[i, j] for i in range(N_CLASSES) for j in range(N_CLASSES) if i != j) / N_CLASSES
    )
    assert float(confusion(logits)) == pytest.approx(literal, abs=1e-12)


def test_information_of_shot_is_entropy_of_each_less_entropy_of_the_mean(logits):
    p = np.array([softmax(row) for row in logits.numpy()])
    assert float(information(logits)) == pytest.approx(
        np.mean([entropy(row) for row in p]) - entropy(p.mean(axis=0)), abs=1e-9
    )


def test_pseudo_labels_of_shot_are_of_the_nearest_centroid_twice(logits, embedded):
    p, f = np.array([softmax(row) for row in logits.numpy()]), embedded.numpy()
    for _ in range(2):
        centroids = [unit(p[:, place] @ f) for place in range(N_CLASSES)]
        found = np.array([np.argmax([row @ centroid for centroid in centroids]) for row in f])
        p = np.eye(N_CLASSES)[found]
    assert pseudo_labels(embedded, logits.softmax(dim=1)).tolist() == found.tolist()
    assert len(set(found)) == N_CLASSES


def test_templates_of_t3a_are_of_the_weight_and_the_surest_clips_of_its_class(logits, embedded):
    weights, f = (
        torch.arange(1.0, 16, dtype=torch.float64).reshape(N_CLASSES, WIDTH),
        embedded.numpy(),
    )
    p = [softmax(row) for row in logits.numpy()]
    for kept in (4, 100):
        for place, found in enumerate(templates(weights, embedded, logits, kept).numpy()):
            own = sorted(
                (row for row in range(N) if p[row].argmax() == place),
                key=lambda row: entropy(p[row]),
            )
            assert len(own) > 3
            literal = unit(
                np.mean(
                    [unit(weights[place].numpy()), *(f[row] for row in own[: kept - 1])], axis=0
                )
            )
            assert found == pytest.approx(literal, abs=1e-12)
