"""Heads over the pooled layers of an encoder: features of shape (n, n_layers, n_features).
Otherwise as heads.py.

They take features as LayerRows, which may lie on disk, and never hold more of them than they must.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from bimotion.models.heads import LogisticHead
from bimotion.models.losses import log_loss, masked_loss

BLOCK_BYTES = 2**22
"""Of float32 features that are read at a time, where all are passed over."""


class LayerRows(Protocol):
    """Features of some clips, in memory or not."""

    shape: tuple[int, int, int]
    """(n, n_layers, n_features)."""

    def __len__(self) -> int:
        """Clips."""

    def rows(self, places: np.ndarray) -> np.ndarray:
        """Some clips, float32, shape (len(places), n_layers, n_features)."""

    def layer(self, layer: int) -> np.ndarray:
        """One layer of all clips, float32, shape (n, n_features)."""


class BestLayerHead:
    """LogisticHead on the layer that has the smallest validation loss (the last layer, without
    validation clips).

    Layers are read one at a time.
    """

    version = f"best-{LogisticHead.version}"

    def fit(self, features, reference, *, exclusive: bool, seed: int, validation=None) -> None:
        best, last = float("inf"), features.shape[1] - 1
        for layer in range(last + 1) if validation else (last,):
            head = LogisticHead()
            head.fit(features.layer(layer), reference, exclusive=exclusive, seed=seed)
            loss = 0.0
            if validation:
                probabilities = head.predict(validation[0].layer(layer))
                loss = log_loss(probabilities, validation[1], exclusive)
            if loss < best:
                best, self.layer, self.head = loss, layer, head

    @property
    def facts(self) -> dict[str, int]:
        """The layer, from 0, the first layer's input."""
        return {"layer": self.layer}

    def predict(self, features: LayerRows) -> np.ndarray:
        return self.head.predict(features.layer(self.layer))

    def embed(self, features: LayerRows) -> np.ndarray:
        """Input of the linear map: float32 (n, n_features), the layer, standardised as in
        training."""
        return self.head.embed(features.layer(self.layer))


class LayersHead:
    """A learned weighting of the layers and one linear map, as SUPERB probes encoders (Yang et al.
    2021, arXiv 2105.01051).

    Features are standardised, each of each layer; AdamW with early stopping on the validation loss.
    Standardised training and then validation clips are kept in memory if `budget_bytes` has room
    for them, else they are read anew every epoch, a minibatch at a time; the fit is the same to the
    bit.
    """

    version = "layers-1"
    learning_rate, weight_decay, batch_size, epochs, patience = 1e-3, 1e-2, 64, 100, 10
    budget_bytes = 512 * 2**20
    # a dozen numbers behind a softmax: at the map's rate they would hardly move
    layer_learning_rate = 0.05

    def fit(self, features, reference, *, exclusive: bool, seed: int, validation=None) -> None:
        import torch

        self.mean, self.scale = _moments(features)
        self.scale[self.scale <= 1e-6 * np.maximum(np.abs(self.mean), 1)] = 1.0
        self.exclusive, self.trained = exclusive, (reference == 1).any(axis=0)
        inputs, held = self._standardised(features, self.budget_bytes), None
        if validation is not None:
            held = self._standardised(validation[0], self.budget_bytes - inputs.kept_bytes)
        generator = torch.Generator().manual_seed(seed)
        optimizer = self._begin(*features.shape[1:], reference.shape[1], generator)
        best, waited, kept = float("inf"), 0, self._copied()
        for epoch in range(self.epochs):
            self._train(inputs, torch.from_numpy(reference), optimizer, generator)
            loss = -float(epoch)  # without validation clips the last epoch is the best
            if held is not None:
                loss = log_loss(self._probabilities(held), validation[1], exclusive)
            waited += 1
            if loss < best:
                best, waited, kept = loss, 0, self._copied()
            if waited >= self.patience:
                break
        self.weights, self.linear, self.bias = kept

    def _standardised(self, features: LayerRows, budget_bytes: int = 0) -> "_Standardised":
        return _Standardised(features, self.mean, self.scale, budget_bytes)

    def _begin(self, n_layers: int, n_features: int, n_classes: int, generator):
        """Make the parameters, and return their optimizer."""
        import torch

        linear = torch.randn(n_features, n_classes, generator=generator) * n_features**-0.5
        self.weights = torch.zeros(n_layers, requires_grad=True)
        self.linear = linear.requires_grad_()
        self.bias = torch.zeros(n_classes, requires_grad=True)
        layers = {"lr": self.layer_learning_rate, "weight_decay": 0.0}
        groups = [{"params": [self.linear, self.bias]}, {"params": [self.weights], **layers}]
        return torch.optim.AdamW(groups, lr=self.learning_rate, weight_decay=self.weight_decay)

    def _train(self, inputs: "_Standardised", reference, optimizer, generator) -> None:
        """One epoch."""
        import torch

        for rows in torch.randperm(len(reference), generator=generator).split(self.batch_size):
            logits = self._logits(inputs.rows(rows))
            loss = masked_loss(logits, reference[rows], exclusive=self.exclusive).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def _copied(self) -> list:
        return [part.detach().clone() for part in (self.weights, self.linear, self.bias)]

    def _mixed(self, standardised):
        import torch

        return torch.einsum("nlf,l->nf", standardised, self.weights.softmax(0))

    def _logits(self, standardised):
        return self._mixed(standardised) @ self.linear + self.bias

    @property
    def facts(self) -> dict[str, int]:
        """The layer that weighs most, from 0, the first layer's input."""
        return {"heaviest_layer": int(self.weights.argmax())}

    def predict(self, features: LayerRows) -> np.ndarray:
        return self._probabilities(self._standardised(features))

    def embed(self, features: LayerRows) -> np.ndarray:
        """Input of the linear map: float32 (n, n_features), the weighted mean of the standardised
        layers."""
        mixed = np.empty((len(features), features.shape[2]), np.float32)
        for block, rows in self._standardised(features).blocks():
            mixed[block] = self._mixed(rows).numpy()
        return mixed

    def _probabilities(self, inputs: "_Standardised") -> np.ndarray:
        import torch

        # One array from the start: small ones that stay between large ones that go would keep the
        # heap from shrinking.
        probabilities = np.empty((len(inputs.features), len(self.trained)))
        with torch.no_grad():
            for block, rows in inputs.blocks():
                logits = self._logits(rows)
                logits[:, ~torch.from_numpy(self.trained)] = -float("inf")
                scores = logits.softmax(1) if self.exclusive else logits.sigmoid()
                probabilities[block] = scores.numpy()
        return probabilities


class _Standardised:
    """Features less their mean, over their scale, as tensors: kept if the budget has room for all,
    else read when asked for."""

    def __init__(self, features: LayerRows, mean: np.ndarray, scale: np.ndarray, budget_bytes: int):
        import torch

        self.features, self.kept, self.kept_bytes = features, None, 0
        self.mean, self.scale = mean.astype(np.float32), scale.astype(np.float32)
        n_bytes = int(np.prod(features.shape)) * 4
        if n_bytes <= budget_bytes:
            kept = torch.empty(features.shape)
            for block, rows in self.blocks():
                kept[torch.from_numpy(block)] = rows
            self.kept, self.kept_bytes = kept, n_bytes

    def rows(self, places):
        """float32 tensor, shape (len(places), n_layers, n_features), in memory that torch laid out:
        sums may depend on it."""
        import torch

        if self.kept is not None:
            return self.kept[places]
        return torch.from_numpy(
            (self.features.rows(places.numpy()) - self.mean) / self.scale
        ).clone()

    def blocks(self) -> Iterator[tuple[np.ndarray, object]]:
        """Places and rows of all clips, so many at a time as are BLOCK_BYTES."""
        import torch

        for block in _blocks(self.features):
            yield block, self.rows(torch.from_numpy(block))


def _blocks(features: LayerRows) -> Iterator[np.ndarray]:
    n, n_layers, n_features = features.shape
    size = max(1, BLOCK_BYTES // (4 * n_layers * n_features))
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))


def _moments(features: LayerRows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over clips, float64, shape (n_layers, n_features)."""
    mean = sum(
        features.rows(block).sum(axis=0, dtype=np.float64) for block in _blocks(features)
    ) / len(features)
    squares = sum(((features.rows(block) - mean) ** 2).sum(axis=0) for block in _blocks(features))
    return mean, np.sqrt(squares / len(features))


PROBE_HEADS = {"layers": LayersHead, "logistic": BestLayerHead}
"""Heads over the pooled layers of an encoder."""
