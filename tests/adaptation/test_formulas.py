"""Losses, centroids and templates against their papers' formulas, written out one clip at a
time."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.covariance import ledoit_wolf

from bimotion.adaptation.coral import power
from bimotion.adaptation.lame import agreed
from bimotion.adaptation.mcc import confusion
from bimotion.adaptation.mmd import discrepancy
from bimotion.adaptation.neighbours import nearest
from bimotion.adaptation.shot import information, pseudo_labels
from bimotion.adaptation.t3a import templates

N, N_CLASSES, WIDTH = 30, 3, 5


def drawn(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


LOGITS = 2 * drawn(N, N_CLASSES, seed=0)
EMBEDDED = torch.nn.functional.normalize(drawn(N, WIDTH, seed=1), dim=1)


def softmax(row):
    return np.exp(row) / np.exp(row).sum()


def entropy(p):
    return -(p * np.log(p)).sum()


def unit(row):
    return row / np.linalg.norm(row)


def test_mcc_is_equations_2_to_7_of_jin():
    p = [softmax(row / 2.5) for row in LOGITS.numpy()]
    weights = np.array([1 + np.exp(-entropy(row)) for row in p])
    weights *= N / weights.sum()
    matrix = sum(weight * np.outer(row, row) for weight, row in zip(weights, p, strict=True))
    matrix /= matrix.sum(axis=1, keepdims=True)
    literal = (matrix.sum() - matrix.trace()) / N_CLASSES
    assert float(confusion(LOGITS)) == pytest.approx(literal, abs=1e-12)


def test_information_of_shot_is_entropy_of_each_less_entropy_of_the_mean():
    p = np.array([softmax(row) for row in LOGITS.numpy()])
    literal = np.mean([entropy(row) for row in p]) - entropy(p.mean(axis=0))
    assert float(information(LOGITS)) == pytest.approx(literal, abs=1e-9)


def test_pseudo_labels_of_shot_are_of_the_nearest_centroid_twice():
    p, f = np.array([softmax(row) for row in LOGITS.numpy()]), EMBEDDED.numpy()
    for _ in range(2):
        centroids = [unit(p[:, label] @ f) for label in range(N_CLASSES)]
        labels = np.array([np.argmax([row @ centroid for centroid in centroids]) for row in f])
        p = np.eye(N_CLASSES)[labels]
    assert pseudo_labels(EMBEDDED, LOGITS.softmax(dim=1)).tolist() == labels.tolist()
    assert len(set(labels)) == N_CLASSES


@pytest.mark.parametrize("kept", [4, 100])
def test_templates_of_t3a_are_of_the_weight_and_the_surest_clips_of_its_class(kept):
    weights, f = torch.arange(1.0, 16, dtype=torch.float64).reshape(3, WIDTH), EMBEDDED.numpy()
    p = [softmax(row) for row in LOGITS.numpy()]
    for label, template in enumerate(templates(weights, EMBEDDED, LOGITS, kept).numpy()):
        own = sorted(
            (row for row in range(N) if p[row].argmax() == label), key=lambda row: entropy(p[row])
        )
        assert len(own) > 3
        supports = [unit(weights[label].numpy()), *(f[row] for row in own[: kept - 1])]
        assert template == pytest.approx(unit(np.mean(supports, axis=0)), abs=1e-12)


def test_coral_gives_the_source_the_covariance_of_the_target(domains):
    case = domains("covariance", 0)
    source, target = (ledoit_wolf(clips.features)[0] for clips in (case.source.clips, case.target))
    recolour = power(source, -0.5) @ power(target, 0.5)
    assert np.abs(recolour.T @ source @ recolour - target).max() < 1e-5


def test_discrepancy_is_the_literal_definition():
    of_source, of_target = drawn(5, 3, seed=0).numpy(), drawn(7, 3, seed=2).numpy()
    both = np.concatenate([of_source, of_target])
    distances = ((both[:, None] - both) ** 2).sum(axis=2)
    widths = [width * distances.mean() for width in (0.25, 0.5, 1, 2, 4)]
    kernel = np.mean([np.exp(-distances / width) for width in widths], axis=0)
    literal = kernel[:5, :5].mean() + kernel[5:, 5:].mean() - 2 * kernel[:5, 5:].mean()
    value = discrepancy(torch.from_numpy(of_source), torch.from_numpy(of_target))
    assert float(value) == pytest.approx(literal, abs=1e-9)


def test_lame_reaches_a_fixed_point_of_its_formula():
    rng = np.random.default_rng(0)
    posteriors = rng.dirichlet(np.ones(3), 40)
    weights = np.triu(rng.random((40, 40)) < 0.1, 1).astype(float)
    affinity = csr_array(0.5 * (weights + weights.T))
    settled = agreed(posteriors, affinity)
    again = posteriors * np.exp(affinity @ settled)
    assert np.abs(settled - again / again.sum(axis=1, keepdims=True)).max() < 1e-5


def test_nearest_neighbours_are_those_of_the_whole_matrix():
    """More rows than a block holds."""
    features = np.random.default_rng(0).normal(size=(1100, 5)).astype(np.float32)
    unit_rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit_rows @ unit_rows.T
    np.fill_diagonal(cosines, -2)
    neighbours = nearest(torch.from_numpy(features), 5)
    assert neighbours.shape == (1100, 5)
    largest = -np.sort(-cosines, axis=1)[:, :5]
    assert np.take_along_axis(cosines, neighbours, 1) == pytest.approx(largest, abs=1e-6)
