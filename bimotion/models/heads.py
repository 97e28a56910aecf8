"""Heads: from features of clips to a probability for each class. They know no corpora, no cells and
no names.

References are int8 arrays, shape (n, n_classes): 1 present, 0 absent, -1 not annotated.
Probabilities are float64 of the same shape. A class without a single positive training clip gets
probability 0: it is never guessed.
"""

from typing import Protocol

import numpy as np


class Head(Protocol):
    """What can be fitted on features, shape (n, n_features), and references, and then predicts."""

    version: str

    def fit(
        self,
        features: np.ndarray,
        reference: np.ndarray,
        *,
        exclusive: bool,
        seed: int,
        validation=None,
    ) -> None:
        """Learn. `exclusive`: each row has exactly one class. `validation`: features and references
        to choose by."""

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probabilities, shape (n, n_classes)."""


class MajorityHead:
    """The training set's share of each class, whatever the clip: its arg-max is the most frequent
    class.

    >>> head = MajorityHead()
    >>> head.fit(np.zeros((3, 1)), np.array([[1, 0], [0, 1], [1, -1]]), exclusive=False, seed=0)
    >>> head.predict(np.zeros((1, 1))).tolist()
    [[0.6666666666666666, 0.5]]
    """

    version = "1"

    def fit(
        self,
        features: np.ndarray,
        reference: np.ndarray,
        *,
        exclusive: bool,
        seed: int,
        validation=None,
    ) -> None:
        positive, annotated = (reference == 1).sum(axis=0), (reference != -1).sum(axis=0)
        self.shares = positive / np.maximum(annotated, 1)

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.tile(self.shares, (len(features), 1))


class RandomHead:
    """Uniform random numbers from the seed and the training set's size, for clips in the order
    given."""

    version = "2"

    def fit(
        self,
        features: np.ndarray,
        reference: np.ndarray,
        *,
        exclusive: bool,
        seed: int,
        validation=None,
    ) -> None:
        self.possible, self.seed = (reference == 1).any(axis=0), (seed, len(reference))

    def predict(self, features: np.ndarray) -> np.ndarray:
        return (
            np.random.default_rng(self.seed).random((len(features), len(self.possible)))
            * self.possible
        )


class LogisticHead:
    """L2-regularised logistic regression on standardised features (scikit-learn, lbfgs).

    Exclusive classes: one multinomial model. Otherwise one binary model a class, over the clips
    whose corpus annotates it, each clip weighted by 1 / (its number of annotated classes), as the
    masked loss of arXiv 2306.14517 weighs them.
    """

    version = "1"
    strength = 0.1
    """scikit-learn's C."""

    def fit(
        self,
        features: np.ndarray,
        reference: np.ndarray,
        *,
        exclusive: bool,
        seed: int,
        validation=None,
    ) -> None:
        features = features.astype(np.float64)  # sums of float32 make constants vary
        self.mean, self.scale = features.mean(axis=0), features.std(axis=0)
        self.scale[self.scale <= 1e-9 * np.maximum(np.abs(self.mean), 1.0)] = 1.0
        features = self._standardised(features)
        self.n_classes = reference.shape[1]
        self.models: dict[int, object] = {}
        if exclusive:
            self.multinomial = self._fitted(features, (reference == 1).argmax(axis=1), None)
            return
        self.multinomial = None
        weight = 1.0 / np.maximum((reference != -1).sum(axis=1), 1)
        for place in range(self.n_classes):
            rows = reference[:, place] != -1
            if (reference[rows, place] == 1).any():
                self.models[place] = self._fitted(
                    features[rows], reference[rows, place], weight[rows]
                )

    def embed(self, features: np.ndarray) -> np.ndarray:
        """What the linear map is given: float32 (n, n_features), standardised as in training."""
        return self._standardised(features).astype(np.float32)

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        return (features.astype(np.float64) - self.mean) / self.scale

    def _fitted(self, features: np.ndarray, targets: np.ndarray, weight: np.ndarray | None):
        """A fitted model, or the only class there is."""
        from sklearn.linear_model import LogisticRegression

        if len(found := np.unique(targets)) == 1:
            return int(found[0])
        if weight is not None:
            weight = weight / weight.mean()
        return LogisticRegression(C=self.strength, max_iter=1000).fit(
            features, targets, sample_weight=weight
        )

    def predict(self, features: np.ndarray) -> np.ndarray:
        features = self._standardised(features)
        probabilities = np.zeros((len(features), self.n_classes))
        if not len(features):
            return probabilities
        if self.multinomial is not None:
            if isinstance(self.multinomial, int):
                probabilities[:, self.multinomial] = 1.0
            else:
                probabilities[:, self.multinomial.classes_] = self.multinomial.predict_proba(
                    features
                )
        for place, model in self.models.items():
            probabilities[:, place] = (
                model if isinstance(model, int) else model.predict_proba(features)[:, 1]
            )
        return probabilities
