"""Heads over the pooled layers of an encoder: features of shape (n, n_layers, n_features). Otherwise as heads.py."""

import numpy as np

from bimotion.models.heads import LogisticHead


class BestLayerHead:
    """LogisticHead on the layer that has the smallest validation loss (the last layer, without validation clips).

    Features of all layers, shape (n, n_layers, n_features).
    """

    version = f"best-{LogisticHead.version}"

    def fit(self, features: np.ndarray, reference: np.ndarray, *, exclusive: bool, seed: int, validation=None) -> None:
        self.layer, self.head = features.shape[1] - 1, None
        losses = []
        for layer in range(features.shape[1]) if validation else ():
            head = LogisticHead()
            head.fit(features[:, layer], reference, exclusive=exclusive, seed=seed)
            losses.append((log_loss(head.predict(validation[0][:, layer]), validation[1], exclusive), layer, head))
        if losses:
            _, self.layer, self.head = min(losses, key=lambda found: found[:2])
        else:
            self.head = LogisticHead()
            self.head.fit(features[:, self.layer], reference, exclusive=exclusive, seed=seed)

    def predict(self, features: np.ndarray) -> np.ndarray:
        return self.head.predict(features[:, self.layer])


def log_loss(probabilities: np.ndarray, reference: np.ndarray, exclusive: bool) -> float:
    """Mean over clips of the negative log-likelihood: of the true class, or the mean over annotated classes (the paper's
    masked binary cross-entropy, which weighs each clip the same).

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
    """A learned weighting of the layers and one linear map, as SUPERB probes encoders (Yang et al. 2021, arXiv 2105.01051).

    Features, shape (n, n_layers, n_features), are standardised a layer; AdamW with early stopping on the validation loss.
    """

    version = "layers-1"
    learning_rate, weight_decay, batch_size, epochs, patience = 1e-3, 1e-2, 64, 100, 10
    layer_learning_rate = 0.05  # a dozen numbers behind a softmax: at the map's rate they would hardly move

    def fit(self, features: np.ndarray, reference: np.ndarray, *, exclusive: bool, seed: int, validation=None) -> None:
        import torch

        self.mean, self.scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        self.scale[self.scale <= 1e-6 * np.maximum(np.abs(self.mean), 1)] = 1.0
        self.exclusive, self.trained = exclusive, (reference == 1).any(axis=0)
        generator = torch.Generator().manual_seed(seed)
        n_layers, n_features, n_classes = *features.shape[1:], reference.shape[1]
        self.weights = torch.zeros(n_layers, requires_grad=True)
        self.linear = (torch.randn(n_features, n_classes, generator=generator) * n_features**-0.5).requires_grad_()
        self.bias = torch.zeros(n_classes, requires_grad=True)
        parameters = [self.weights, self.linear, self.bias]
        optimizer = torch.optim.AdamW(
            [{"params": parameters[1:]}, {"params": parameters[:1], "lr": self.layer_learning_rate, "weight_decay": 0.0}],
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        inputs, marks = self._standardised(features), torch.from_numpy(reference)
        held = None if validation is None else self._standardised(validation[0])
        best, waited, kept = float("inf"), 0, [p.detach().clone() for p in parameters]
        for _ in range(self.epochs):
            for rows in torch.randperm(len(inputs), generator=generator).split(self.batch_size):
                loss = self._loss(self._logits(inputs[rows]), marks[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if held is None:
                kept = [p.detach().clone() for p in parameters]
                continue
            now = log_loss(self._probabilities(held), validation[1], exclusive)
            best, waited, kept = (now, 0, [p.detach().clone() for p in parameters]) if now < best else (best, waited + 1, kept)
            if waited >= self.patience:
                break
        self.weights, self.linear, self.bias = kept

    def _standardised(self, features: np.ndarray):
        import torch

        return torch.from_numpy((features - self.mean.astype(np.float32)) / self.scale.astype(np.float32))

    def _logits(self, standardised):
        import torch

        return torch.einsum("nlf,l->nf", standardised, self.weights.softmax(0)) @ self.linear + self.bias

    def _loss(self, logits, reference):
        import torch

        annotated = (reference != -1).float()
        if self.exclusive:
            return torch.nn.functional.cross_entropy(
                logits.masked_fill(annotated == 0, -1e4), (reference == 1).float().argmax(1)
            )
        target = (reference == 1).float()
        losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none") * annotated
        return (losses.sum(1) / annotated.sum(1).clamp(min=1)).mean()

    def predict(self, features: np.ndarray) -> np.ndarray:
        blocks = [features[start : start + 1024] for start in range(0, len(features), 1024)]
        found = [self._probabilities(self._standardised(block)) for block in blocks]
        return np.concatenate(found) if found else np.zeros((0, len(self.trained)))

    def _probabilities(self, standardised) -> np.ndarray:
        import torch

        with torch.no_grad():
            logits = self._logits(standardised)
            logits[:, ~torch.from_numpy(self.trained)] = -float("inf")
            return (logits.softmax(1) if self.exclusive else logits.sigmoid()).double().numpy()


PROBE_HEADS = {"layers": LayersHead, "logistic": BestLayerHead}
"""Heads over the pooled layers of an encoder."""
