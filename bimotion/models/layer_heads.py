"""Heads over the pooled layers of an encoder: features of shape (n, n_layers, n_features).
Otherwise as heads.py.

They take features as LayerRows, which may lie on disk, and never hold more of them than they must.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from bimotion.models.heads import LogisticHead

BLOCK_BYTES = 2**22
"""Of float32 features that are read at a time, where all are passed over."""


class LayerRows(Protocol):
    """Features of some clips, in memory or not; `shape`: (n, n_layers, n_features)."""

    shape: tuple[int, int, int]

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

    def fit(
        self,
        features: LayerRows,
        reference: np.ndarray,
        *,
        exclusive: bool,
        seed: int,
        validation=None,
    ) -> None:
        self.layer, self.head = features.shape[1] - 1, None
        losses = []
        for layer in range(features.shape[1]) if validation else ():
            head = LogisticHead()
            head.fit(features.layer(layer), reference, exclusive=exclusive, seed=seed)
            losses.append(
                (
                    log_loss(head.predict(validation[0].layer(layer)), validation[1], exclusive),
                    layer,
                    head,
                )
            )
        if losses:
            _, self.layer, self.head = min(losses, key=lambda found: found[:2])
        else:
            self.head = LogisticHead()
            self.head.fit(features.layer(self.layer), reference, exclusive=exclusive, seed=seed)

    @property
    def facts(self) -> dict[str, int]:
        """The layer, from 0, the first layer's input."""
        return {"layer": self.layer}

    def predict(self, features: LayerRows) -> np.ndarray:
        return self.head.predict(features.layer(self.layer))

    def embed(self, features: LayerRows) -> np.ndarray:
        """What the linear map is given: float32 (n, n_features), the layer, standardised as in
        training."""
        return self.head.embed(features.layer(self.layer))


def log_loss(probabilities: np.ndarray, reference: np.ndarray, exclusive: bool) -> float:
    """Mean over clips of the negative log-likelihood: of the true class, or the mean over annotated
    classes (the paper's masked binary cross-entropy, which weighs each clip the same).

    >>> round(log_loss(np.array([[0.5, 0.9]]), np.array([[1, -1]]), exclusive=False), 4)
    0.6931
    """
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    if exclusive:
        return float(-np.log(p[np.arange(len(p)), (reference == 1).argmax(axis=1)]).mean())
    annotated = reference != -1
    losses = -np.where(reference == 1, np.log(p), np.log1p(-p)) * annotated
    return float((losses.sum(axis=1) / np.maximum(annotated.sum(axis=1), 1)).mean())


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

    def fit(
        self,
        features: LayerRows,
        reference: np.ndarray,
        *,
        exclusive: bool,
        seed: int,
        validation=None,
    ) -> None:
        import torch

        self.mean, self.scale = _moments(features)
        self.scale[self.scale <= 1e-6 * np.maximum(np.abs(self.mean), 1)] = 1.0
        self.exclusive, self.trained = exclusive, (reference == 1).any(axis=0)
        generator = torch.Generator().manual_seed(seed)
        n_layers, n_features, n_classes = *features.shape[1:], reference.shape[1]
        self.weights = torch.zeros(n_layers, requires_grad=True)
        self.linear = (
            torch.randn(n_features, n_classes, generator=generator) * n_features**-0.5
        ).requires_grad_()
        self.bias = torch.zeros(n_classes, requires_grad=True)
        parameters = [self.weights, self.linear, self.bias]
        optimizer = torch.optim.AdamW(
            [
                {"params": parameters[1:]},
                {"params": parameters[:1], "lr": self.layer_learning_rate, "weight_decay": 0.0},
            ],
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        inputs, marks = (
            _Standardised(features, self.mean, self.scale, self.budget_bytes),
            torch.from_numpy(reference),
        )
        left = self.budget_bytes - inputs.kept_bytes
        held = (
            None
            if validation is None
            else _Standardised(validation[0], self.mean, self.scale, left)
        )
        best, waited, kept = float("inf"), 0, [p.detach().clone() for p in parameters]
        for _ in range(self.epochs):
            for rows in torch.randperm(len(features), generator=generator).split(self.batch_size):
                loss = self._loss(self._logits(inputs.rows(rows)), marks[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if held is None:
                kept = [p.detach().clone() for p in parameters]
                continue
            now = log_loss(self._probabilities(held), validation[1], exclusive)
            best, waited, kept = (
                (now, 0, [p.detach().clone() for p in parameters])
                if now < best
                else (best, waited + 1, kept)
            )
            if waited >= self.patience:
                break
        self.weights, self.linear, self.bias = kept

    def _mixed(self, standardised):
        import torch

        return torch.einsum("nlf,l->nf", standardised, self.weights.softmax(0))

    def _logits(self, standardised):
        return self._mixed(standardised) @ self.linear + self.bias

    def _loss(self, logits, reference):
        import torch

        annotated = (reference != -1).float()
        if self.exclusive:
            return torch.nn.functional.cross_entropy(
                logits.masked_fill(annotated == 0, -1e4), (reference == 1).float().argmax(1)
            )
        target = (reference == 1).float()
        losses = (
            torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
            * annotated
        )
        return (losses.sum(1) / annotated.sum(1).clamp(min=1)).mean()

    @property
    def facts(self) -> dict[str, int]:
        """The layer that weighs most, from 0, the first layer's input."""
        return {"heaviest_layer": int(self.weights.argmax())}

    def predict(self, features: LayerRows) -> np.ndarray:
        return self._probabilities(_Standardised(features, self.mean, self.scale, budget_bytes=0))

    def embed(self, features: LayerRows) -> np.ndarray:
        """What the linear map is given: float32 (n, n_features), the weighted mean of the
        standardised layers."""
        import torch

        inputs = _Standardised(features, self.mean, self.scale, budget_bytes=0)
        found = np.empty((len(features), features.shape[2]), np.float32)
        with torch.no_grad():
            for block in _blocks(features):
                found[block] = self._mixed(inputs.rows(torch.from_numpy(block))).numpy()
        return found

    def _probabilities(self, inputs: "_Standardised") -> np.ndarray:
        import torch

        # One array from the start: small ones that stay between large ones that go would keep the
        # heap from shrinking.
        found = np.empty((len(inputs.features), len(self.trained)))
        with torch.no_grad():
            for block in _blocks(inputs.features):
                logits = self._logits(inputs.rows(torch.from_numpy(block)))
                logits[:, ~torch.from_numpy(self.trained)] = -float("inf")
                found[block] = (logits.softmax(1) if self.exclusive else logits.sigmoid()).numpy()
        return found


class _Standardised:
    """Features less their mean, over their scale, as tensors: kept if the budget has room for all,
    else read when asked for."""

    def __init__(self, features: LayerRows, mean: np.ndarray, scale: np.ndarray, budget_bytes: int):
        import torch

        self.features, self.mean, self.scale = (
            features,
            mean.astype(np.float32),
            scale.astype(np.float32),
        )
        n_bytes = int(np.prod(features.shape)) * 4
        self.kept, self.kept_bytes = None, 0
        if n_bytes <= budget_bytes:
            kept = torch.empty(features.shape)
            for block in _blocks(features):
                kept[torch.from_numpy(block)] = self.rows(torch.from_numpy(block))
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


def _blocks(features: LayerRows) -> Iterator[np.ndarray]:
    """Places of all clips, so many at a time as are BLOCK_BYTES."""
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
