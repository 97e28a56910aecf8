"""Heads over pooled layers: they find the layer that knows, whatever the other layers say."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from bimotion.models import layer_heads
from bimotion.models.layer_heads import PROBE_HEADS, LayersHead
from bimotion.models.losses import log_loss

heads = pytest.mark.parametrize("kind", PROBE_HEADS.values(), ids=list(PROBE_HEADS))
N_LAYERS, N_FEATURES = 4, 6


class Rows:
    """An array as LayerRows, which counts the rows that are read of it."""

    def __init__(self, features: np.ndarray):
        self.features, self.shape, self.n_read, self.most_at_once = features, features.shape, 0, 0

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, places: np.ndarray) -> np.ndarray:
        self.n_read, self.most_at_once = (
            self.n_read + len(places),
            max(self.most_at_once, len(places)),
        )
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
        masked = (np.arange(n) % 3 == 0) & (targets != 2)
        reference[masked, 2] = -1
    return Rows(features), reference, targets


@heads
@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "multi-label"])
def test_the_layer_that_knows_is_found(kind, exclusive):
    features, reference, _ = task(240, 0, exclusive)
    head = kind()
    head.fit(
        features, reference, exclusive=exclusive, seed=0, validation=task(90, 1, exclusive)[:2]
    )
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
    reference = np.random.default_rng(5).permutation(reference)
    head = kind()
    head.fit(features, reference, exclusive=True, seed=0, validation=task(90, 1, True)[:2])
    unseen, _, targets = task(300, 2, True)
    assert (head.predict(unseen).argmax(axis=1) == targets).mean() < 0.5


@heads
def test_same_seed_same_probabilities_and_no_clips_none(kind):
    features, reference, _ = task(120, 0, False)
    both = []
    for _ in "ab":
        head = kind()
        head.fit(features, reference, exclusive=False, seed=3)
        both.append(head.predict(features))
    assert (both[0] == both[1]).all()
    assert head.predict(Rows(features.features[:0])).shape == (0, 3)


@heads
@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "multi-label"])
def test_a_class_without_positives_is_never_guessed(kind, exclusive):
    features, reference, targets = task(150, 0, exclusive)
    features, reference = Rows(features.features[targets != 2]), reference[targets != 2]
    head = kind()
    head.fit(features, reference, exclusive=exclusive, seed=0)
    assert (head.predict(features)[:, 2] == 0).all()


def test_layer_weights_are_learned():
    features, reference, _ = task(240, 0, True)
    head = PROBE_HEADS["layers"]()
    head.fit(features, reference, exclusive=True, seed=0, validation=task(90, 1, True)[:2])
    assert head.weights.softmax(0).argmax() == 1
    logistic = PROBE_HEADS["logistic"]()
    logistic.fit(features, reference, exclusive=True, seed=0, validation=task(90, 1, True)[:2])
    assert logistic.layer == 1


def test_a_constant_feature_does_no_harm():
    features, reference, _ = task(120, 0, True)
    features.features[:, :, 0] = 0.1
    head = PROBE_HEADS["layers"]()
    head.fit(features, reference, exclusive=True, seed=0)
    features.features[:, :, 0] = 0.2
    assert np.isfinite(head.predict(features)).all()


@pytest.mark.parametrize("exclusive", [True, False], ids=["exclusive", "multi-label"])
@pytest.mark.parametrize("validated", [True, False], ids=["validated", "all epochs"])
def test_what_does_not_fit_the_budget_is_read_anew_with_the_same_result(exclusive, validated):
    found = []
    for budget_bytes in (2**29, 0):
        head = LayersHead()
        head.budget_bytes, head.epochs = budget_bytes, 12
        features, reference, _ = task(210, 0, exclusive)
        validation = task(90, 1, exclusive)[:2] if validated else None
        head.fit(features, reference, exclusive=exclusive, seed=4, validation=validation)
        found.append(
            (
                *(part.numpy() for part in (head.weights, head.linear, head.bias)),
                head.predict(features),
            )
        )
        read_often = features.n_read > 10 * len(features)
        assert read_often == (budget_bytes == 0)
    for kept, read in zip(*found, strict=True):
        assert kept.tobytes() == read.tobytes()


def test_passes_over_everything_read_blocks(monkeypatch):
    """Moments, validation and prediction: never more at once than BLOCK_BYTES, and the block's size
    changes no mean."""
    features, reference, _ = task(230, 0, True)
    validation = task(170, 1, True)[:2]
    whole = LayersHead()
    whole.fit(features, reference, exclusive=True, seed=0, validation=validation)
    monkeypatch.setattr(layer_heads, "BLOCK_BYTES", 4 * N_LAYERS * N_FEATURES * 7)
    features.most_at_once = validation[0].most_at_once = 0
    head = LayersHead()
    head.budget_bytes, head.batch_size, head.epochs = 0, 5, 3
    head.fit(features, reference, exclusive=True, seed=0, validation=validation)
    head.predict(features)
    assert features.most_at_once == validation[0].most_at_once == 7
    everything = features.features.astype(np.float64)
    for fitted in (whole, head):
        assert fitted.mean == pytest.approx(everything.mean(axis=0), rel=1e-12)
        assert fitted.scale == pytest.approx(everything.std(axis=0), rel=1e-12)


def test_log_loss_is_scikit_learns():
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(4), 50)
    targets = generator.integers(0, 4, 50)
    expected = sklearn_log_loss(targets, p, labels=range(4))
    assert log_loss(p, np.eye(4, dtype=np.int8)[targets], exclusive=True) == pytest.approx(
        expected, abs=1e-9
    )
    reference = generator.integers(-1, 2, (50, 4)).astype(np.int8)
    by_hand = [
        np.mean(
            [-np.log(q if r == 1 else 1 - q) for q, r in zip(row, marks, strict=True) if r != -1]
            or [0.0]
        )
        for row, marks in zip(p, reference, strict=True)
    ]
    assert log_loss(p, reference, exclusive=False) == pytest.approx(np.mean(by_hand), abs=1e-9)
