"""The head over the pooled layers of an encoder: features of shape (n, n_layers, n_features).
Otherwise as heads.py.

It takes features as LayerRows, which may lie on disk, and holds one layer of them at a time, or a
sample of one layer for each core.
"""

import hashlib
import sys
from pathlib import Path
from typing import Protocol

import numpy as np

from bimotion.io import files
from bimotion.io.threads import in_threads
from bimotion.models import heads, logistic, losses
from bimotion.models.heads import LogisticHead

MAX_COMPARED = 2000
"""Clips, of training and of validation each, by which layers are compared."""


class LayerRows(Protocol):
    """Features of some clips, in memory or not."""

    shape: tuple[int, int, int]
    """(n, n_layers, n_features)."""

    def __len__(self) -> int:
        """Clips."""

    def layer(self, layer: int, places: np.ndarray | None = None) -> np.ndarray:
        """One layer of some clips (None: of all), float32, shape (len(places), n_features)."""


class BestLayerHead:
    """LogisticHead on the layer that is best on the validation clips (`best_layer`)."""

    version = f"best-{LogisticHead.version}"
    seeded = False

    def fit(self, features, reference, *, exclusive: bool, seed: int = 0, validation=None) -> None:
        self.layer = best_layer(features, reference, exclusive=exclusive, validation=validation)
        if validation is not None:
            validation = validation[0].layer(self.layer), validation[1]
        self.head = LogisticHead()
        of_layer = features.layer(self.layer)
        self.head.fit(of_layer, reference, exclusive=exclusive, validation=validation)

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        """The layer, from 0, the first layer's input; and those of LogisticHead."""
        return {"layer": self.layer} | self.head.facts

    def predict(self, features: LayerRows) -> np.ndarray:
        return self.head.predict(features.layer(self.layer))

    def embed(self, features: LayerRows) -> np.ndarray:
        """Input of the linear map: float32 (n, n_features), the layer, standardised as in
        training."""
        return self.head.embed(features.layer(self.layer))


def best_layer(features: LayerRows, reference: np.ndarray, *, exclusive: bool, validation) -> int:
    """The layer whose LogisticHead of one C (`LogisticHead.strength`), of at most MAX_COMPARED
    training clips, has the smallest loss on as many validation clips; of equals the lowest. The
    last layer, where there are no validation clips."""
    n_layers = features.shape[1]
    if validation is None or n_layers == 1:
        return n_layers - 1
    rows, held_out = _sample(reference), _sample(validation[1])

    def loss(layer: int) -> float:
        compared = validation[0].layer(layer, held_out), validation[1][held_out]
        of_layer = features.layer(layer, rows)
        return LogisticHead().rough_loss(
            of_layer, reference[rows], exclusive=exclusive, validation=compared
        )

    return int(np.argmin(in_threads(loss, range(n_layers))))


def choice_version() -> str:
    """The version of what `best_layer` chooses, 64 hex digits: of the code that does, which changes
    more often than the version of a head, and of the library that solves it."""
    import scipy

    modules = (sys.modules[__name__], heads, logistic, losses)
    digests = (files.digest(Path(module.__file__)) for module in modules)
    return hashlib.sha256("\n".join([scipy.__version__, *digests]).encode()).hexdigest()


def _sample(reference: np.ndarray) -> np.ndarray:
    """Rows of at most MAX_COMPARED clips, ascending: evenly spaced over the clips sorted by their
    labels (within these in the given order), so that each class, corpus and speaker has its
    share."""
    by_labels = np.lexsort(reference.T[::-1])
    n = min(len(by_labels), MAX_COMPARED)
    return np.sort(by_labels[np.arange(n) * len(by_labels) // max(n, 1)])
