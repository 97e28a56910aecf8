"""Heads over pooled layers: they find the layer that knows, whatever the other layers say."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from bimotion.models import layer_heads
from bimotion.models.layer_heads import PROBE_HEADS, LayersHead
from bimotion.models.losses import log_loss

heads = pytest.mark.parametrize("kind", PROBE_HEADS.values(), ids=list(PROBE_HEADS))
both_tasks = pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "multi-label"])
N_LAYERS, N_FEATURES = 4, 6


class Rows:
    """An array as LayerRows, which counts the rows that are read of it."""

    def __init__(self, features: np.ndarray):
        self.features, self.shape, self.n_read, self.most_at_once = features, features.shape, 0, 0

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, places: np.ndarray) -> np.ndarray:
        self.n_read += len(places)
        self.most_at_once = max(self.most_at_once, len(places))
        return self.features[places]

    def layer(self, layer: int) -> np.ndarray:
        return self.features[:, layer]


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


def fitted(kind, features, reference, exclusive=True, validated=True, **settings):
    head = kind()
    for name, value in settings.items():
        setattr(head, name, value)
    validation = task(90, 1, exclusive)[:2] if validated else None
    head.fit(features, reference, exclusive=exclusive, seed=0, validation=validation)
    return head


@heads
@both_tasks
def test_the_layer_that_knows_is_found(kind, exclusive):
    features, reference, _ = task(240, 0, exclusive)
    head = fitted(kind, features, reference, exclusive)
    assert list(head.facts.values()) == [1]
    unseen, _, targets = task(150, 2, exclusive)
    probabilities = head.predict(unseen)
    assert probabilities.shape == (150, 3)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (probabilities.argmax(axis=1) == targets).mean() > 0.9
    if exclusive:
        assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-6)


@heads
def test_shuffled_labels_teach_nothing(kind):
    features, reference, _ = task(240, 0, True)
    head = fitted(kind, features, np.random.default_rng(5).permutation(reference))
    unseen, _, targets = task(300, 2, True)
    assert (head.predict(unseen).argmax(axis=1) == targets).mean() < 0.5


@heads
@both_tasks
def test_a_class_without_positives_is_never_guessed_and_the_seed_decides(kind, exclusive):
    features, reference, targets = task(150, 0, exclusive)
    features, reference = Rows(features.features[targets != 2]), reference[targets != 2]
    first, second = (
        fitted(kind, features, reference, exclusive, validated=False) for _ in range(2)
    )
    assert (first.predict(features)[:, 2] == 0).all()
    assert (first.predict(features) == second.predict(features)).all()
    assert first.predict(Rows(features.features[:0])).shape == (0, 3)


def test_a_constant_feature_does_no_harm():
    features, reference, _ = task(120, 0, True)
    features.features[:, :, 0] = 0.1
    head = fitted(LayersHead, features, reference, validated=False, epochs=5)
    features.features[:, :, 0] = 0.2
    assert np.isfinite(head.predict(features)).all()


@both_tasks
@pytest.mark.parametrize("validated", [True, False], ids=["validated", "all epochs"])
def test_what_does_not_fit_the_budget_is_read_anew_with_the_same_result(exclusive, validated):
    results, n_read = [], []
    for budget_bytes in (2**29, 0):
        features, reference, _ = task(210, 0, exclusive)
        settings = {"budget_bytes": budget_bytes, "epochs": 12}
        head = fitted(LayersHead, features, reference, exclusive, validated, **settings)
        n_read.append(features.n_read)
        results.append((head.weights, head.linear, head.bias, head.predict(features)))
    assert n_read[0] < n_read[1]
    for kept, read in zip(*results, strict=True):
        assert np.asarray(kept).tobytes() == np.asarray(read).tobytes()


def test_passes_over_everything_read_blocks(monkeypatch):
    """Moments, validation and prediction: never more at once than BLOCK_BYTES, and the block's size
    changes no mean."""
    features, reference, _ = task(230, 0, True)
    whole = fitted(LayersHead, features, reference, epochs=1)
    monkeypatch.setattr(layer_heads, "BLOCK_BYTES", 4 * N_LAYERS * N_FEATURES * 7)
    features.most_at_once = 0
    parts = fitted(LayersHead, features, reference, budget_bytes=0, batch_size=5, epochs=3)
    parts.predict(features)
    assert features.most_at_once == 7
    everything = features.features.astype(np.float64)
    for head in (whole, parts):
        assert head.mean == pytest.approx(everything.mean(axis=0), rel=1e-12)
        assert head.scale == pytest.approx(everything.std(axis=0), rel=1e-12)


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
