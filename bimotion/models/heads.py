"""Heads: from features of clips to a probability for each class. They know no corpora, no cells and
no names.

References are int8 arrays, shape (n, n_classes): 1 present, 0 absent, -1 not annotated.
Probabilities are float64 of the same shape. A class without a single positive training clip gets
probability 0: it is never guessed.
"""

from typing import Protocol

import numpy as np


class Head(Protocol):
    """A classifier of features."""

    version: str

    def fit(self, features, reference, *, exclusive: bool, seed: int, validation=None) -> None:
        """Learn.

        Args:
            features: Of the training clips, shape (n, n_features).
            reference: Of the same clips, int8 (n, n_classes).
            exclusive: Each row of `reference` has exactly one class.
            seed: Of whatever is drawn at random.
            validation: Features and reference to choose by, if there are any.
        """

    def predict(self, features) -> np.ndarray:
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

    def fit(self, features, reference, *, exclusive: bool, seed: int, validation=None) -> None:
        positive, annotated = (reference == 1).sum(axis=0), (reference != -1).sum(axis=0)
        self.shares = positive / np.maximum(annotated, 1)

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.tile(self.shares, (len(features), 1))


class RandomHead:
    """Uniform random numbers from the seed and the training set's size, for clips in the order
    given."""

    version = "2"

    def fit(self, features, reference, *, exclusive: bool, seed: int, validation=None) -> None:
        self.possible, self.seed = (reference == 1).any(axis=0), (seed, len(reference))

    def predict(self, features: np.ndarray) -> np.ndarray:
        shape = (len(features), len(self.possible))
        return np.random.default_rng(self.seed).random(shape) * self.possible


class LogisticHead:
    """L2-regularised logistic regression on standardised features (scikit-learn, lbfgs).

    Exclusive classes: one multinomial model. Otherwise one binary model a class, over the clips
    whose corpus annotates it, each clip weighted by 1 / (its number of annotated classes), as the
    masked loss of arXiv 2306.14517 weighs them.
    """

    version = "1"
    strength = 0.1
    """scikit-learn's C."""

    def fit(self, features, reference, *, exclusive: bool, seed: int, validation=None) -> None:
        features = features.astype(np.float64)  # sums of float32 make constants vary
        self.mean, self.scale = features.mean(axis=0), features.std(axis=0)
        self.scale[self.scale <= 1e-9 * np.maximum(np.abs(self.mean), 1.0)] = 1.0
        features = self._standardised(features)
        self.n_classes = reference.shape[1]
        self.multinomial, self.models = None, {}
        if exclusive:
            self.multinomial = self._fitted(features, (reference == 1).argmax(axis=1), None)
            return
        weight = 1.0 / np.maximum((reference != -1).sum(axis=1), 1)
        for column, labels in enumerate(reference.T):
            rows = labels != -1
            if (labels == 1).any():
                self.models[column] = self._fitted(features[rows], labels[rows], weight[rows])

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Input of the linear map: float32 (n, n_features), standardised as in training."""
        return self._standardised(features).astype(np.float32)

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        return (features.astype(np.float64) - self.mean) / self.scale

    def _fitted(self, features: np.ndarray, targets: np.ndarray, weight: np.ndarray | None):
        """A fitted model, or the only class there is."""
        from sklearn.linear_model import LogisticRegression

        if (targets == targets[0]).all():
            return int(targets[0])
        if weight is not None:
            weight = weight / weight.mean()
        model = LogisticRegression(C=self.strength, max_iter=1000)
        return model.fit(features, targets, sample_weight=weight)

    def predict(self, features: np.ndarray) -> np.ndarray:
        features = self._standardised(features)
        probabilities = np.zeros((len(features), self.n_classes))
        if not len(features):
            return probabilities
        if isinstance(self.multinomial, int):
            probabilities[:, self.multinomial] = 1.0
        elif self.multinomial is not None:
            classes = self.multinomial.classes_
            probabilities[:, classes] = self.multinomial.predict_proba(features)
        for column, model in self.models.items():
            is_constant = isinstance(model, int)
            probabilities[:, column] = model if is_constant else model.predict_proba(features)[:, 1]
        return probabilities
