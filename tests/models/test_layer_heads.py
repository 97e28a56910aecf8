"""The head over pooled layers: it finds the layer that knows, whatever the other layers say."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from bimotion.models import layer_heads
from bimotion.models.layer_heads import BestLayerHead, best_layer
from bimotion.models.losses import log_loss

both_tasks = pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "multi-label"])
N_LAYERS, N_FEATURES = 4, 6


class Rows:
    """An array as LayerRows, which notes how many rows are read of it at a time."""

    def __init__(self, features: np.ndarray):
        self.features, self.shape, self.read = features, features.shape, []

    def __len__(self) -> int:
        return len(self.features)

    def layer(self, layer: int, places: np.ndarray | None = None) -> np.ndarray:
        chosen = self.features[:, layer] if places is None else self.features[places, layer]
        self.read.append(len(chosen))
        return chosen


def task(n: int, seed: int, exclusive: bool):
    """Clips of three classes; layer 1 knows the class, the others are loud noise. Every third may
    mask class 2."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, 3, n)
    features = generator.normal(0, 50, (n, N_LAYERS, N_FEATURES)).astype(np.float32)
    features[:, 1] = generator.normal(0, 0.5, (n, N_FEATURES)) + np.eye(3, N_FEATURES)[targets] * 3
    reference = np.eye(3, dtype=np.int8)[targets]
    if not exclusive:
        reference[(np.arange(n) % 3 == 0) & (targets != 2), 2] = -1
    return Rows(features), reference, targets


def fitted(features, reference, exclusive=True, validated=True):
    head = BestLayerHead()
    validation = task(90, 1, exclusive)[:2] if validated else None
    head.fit(features, reference, exclusive=exclusive, validation=validation)
    return head


@both_tasks
def test_the_layer_that_knows_is_found(exclusive):
    features, reference, _ = task(240, 0, exclusive)
    head = fitted(features, reference, exclusive)
    assert head.facts["layer"] == 1
    assert head.facts["converged"]
    unseen, _, targets = task(150, 2, exclusive)
    probabilities = head.predict(unseen)
    assert probabilities.shape == (150, 3)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (probabilities.argmax(axis=1) == targets).mean() > 0.9
    if exclusive:
        assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_shuffled_labels_teach_nothing():
    features, reference, _ = task(240, 0, True)
    head = fitted(features, np.random.default_rng(5).permutation(reference))
    unseen, _, targets = task(300, 2, True)
    assert (head.predict(unseen).argmax(axis=1) == targets).mean() < 0.5


@both_tasks
def test_a_class_without_positives_is_never_guessed(exclusive):
    features, reference, targets = task(150, 0, exclusive)
    features, reference = Rows(features.features[targets != 2]), reference[targets != 2]
    head = fitted(features, reference, exclusive)
    assert (head.predict(features)[:, 2] == 0).all()
    assert head.predict(Rows(features.features[:0])).shape == (0, 3)


def test_without_validation_clips_it_is_the_last_layer_and_the_default_strength():
    facts = fitted(*task(60, 0, True)[:2], validated=False).facts
    assert {name: facts[name] for name in ("layer", "C", "chosen_by")} == {
        "layer": N_LAYERS - 1,
        "C": 0.01,
        "chosen_by": "default",
    }


def test_of_one_class_it_is_the_lowest_layer_and_no_strength():
    features, reference, targets = task(60, 0, True)
    head = fitted(Rows(features.features[targets == 1]), reference[targets == 1])
    assert (head.predict(features) == [0, 1, 0]).all()
    assert head.facts == {
        "layer": 0,
        "C": 0.0,
        "iterations": 0,
        "converged": True,
        "chosen_by": "validation",
    }


@both_tasks
def test_layers_are_compared_by_a_sample_with_every_class_in_proportion(exclusive, monkeypatch):
    monkeypatch.setattr(layer_heads, "MAX_COMPARED", 40)
    features, reference, _ = task(300, 0, exclusive)
    validation = task(90, 1, exclusive)[:2]
    assert best_layer(features, reference, exclusive=exclusive, validation=validation) == 1
    assert set(features.read) | set(validation[0].read) == {40}
    rows = layer_heads._sample(reference)
    shares = [(reference[part] == 1).mean(axis=0) for part in (rows, slice(None))]
    assert shares[0] == pytest.approx(shares[1], abs=1 / 40)
    assert len(set(rows)) == 40


def test_log_loss_is_scikit_learns():
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(4), 50)
    targets = generator.integers(0, 4, 50)
    expected = sklearn_log_loss(targets, p, labels=range(4))
    exclusive = log_loss(p, np.eye(4, dtype=np.int8)[targets], exclusive=True)
    assert exclusive == pytest.approx(expected, abs=1e-9)
    reference = generator.integers(-1, 2, (50, 4)).astype(np.int8)
    by_hand = [
        [-np.log(q if label == 1 else 1 - q) for q, label in zip(*pair, strict=True) if label != -1]
        for pair in zip(p, reference, strict=True)
    ]
    expected = np.mean([np.mean(losses or [0.0]) for losses in by_hand])
    assert log_loss(p, reference, exclusive=False) == pytest.approx(expected, abs=1e-9)
