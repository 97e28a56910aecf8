"""Heads: from features of clips to a probability for each class. They know no corpora, no cells and
no names.

References are int8 arrays, shape (n, n_classes): 1 present, 0 absent, -1 not annotated.
Probabilities are float64 of the same shape. A class without a single positive training clip gets
probability 0: it is never guessed.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from bimotion.io.threads import one_thread_each
from bimotion.models import logistic
from bimotion.models.losses import log_loss

LEAST_GAIN = 1e-6
"""Of two losses on the validation clips that differ by less, neither is the smaller."""
PATIENCE = 2
"""Values of C in a row without a gain on the validation clips that end their search."""


class Head(Protocol):
    """A classifier of features."""

    version: str
    seeded: bool
    """Whether predictions depend on the seed."""

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
    seeded = False

    def fit(self, features, reference, *, exclusive: bool, seed: int, validation=None) -> None:
        positive, annotated = (reference == 1).sum(axis=0), (reference != -1).sum(axis=0)
        self.shares = positive / np.maximum(annotated, 1)

    def predict(self, features: np.ndarray) -> np.ndarray:
        return np.tile(self.shares, (len(features), 1))


class RandomHead:
    """Uniform random numbers from the seed and the training set's size, for clips in the order
    given."""

    version = "2"
    seeded = True

    def fit(self, features, reference, *, exclusive: bool, seed: int, validation=None) -> None:
        self.possible, self.seed = (reference == 1).any(axis=0), (seed, len(reference))

    def predict(self, features: np.ndarray) -> np.ndarray:
        shape = (len(features), len(self.possible))
        return np.random.default_rng(self.seed).random(shape) * self.possible


class LogisticHead:
    """L2-regularised logistic regression on standardised features, solved to convergence from zero
    (models/logistic.py), so that no seed matters.

    Exclusive classes: one multinomial model. Otherwise one binary model a class, over the clips
    whose corpus annotates it, each clip weighted by 1 / (its number of annotated classes), as the
    masked loss of arXiv 2306.14517 weighs them.

    C is the one of `strengths` with the smallest loss on the validation clips, of equals the
    smaller; the search goes up from 0 and ends when `PATIENCE` in a row have brought no gain. It
    compares rough solutions (`logistic.CHOICE_GRADIENT`), and solves the chosen one to the end.
    C = 0 gives each class its share of the training clips, so that the loss is never above that of
    the constant. Without validation clips C is `strength`.
    """

    version = "3"
    seeded = False
    strengths = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    strength = 1e-2

    def fit(self, features, reference, *, exclusive: bool, seed: int = 0, validation=None) -> None:
        self.chosen, self.solution, self.loss = self.strength, None, None
        with one_thread_each():
            problem = self._problem(features, reference, exclusive)
            if validation is not None:
                self._search(problem, self._loss_on(*validation, exclusive))
            elif problem is not None:
                self.solution = problem.finished(self.strength)

    def rough_loss(self, features, reference, *, exclusive: bool, validation) -> float:
        """The loss on the validation clips at C = `strength`, near enough to compare features by.
        Arguments as of `fit`."""
        with one_thread_each():
            problem = self._problem(features, reference, exclusive)
            solution = None if problem is None else next(problem.rough([self.strength]))
            return self._loss_on(*validation, exclusive)(solution)

    def _problem(self, features, reference, exclusive: bool) -> logistic.Problem | None:
        """The regression that is to be solved; None: every class is certain."""
        self.columns, self.certain, targets = _targets(reference, exclusive)
        features = self._measured(features)
        return None if targets is None else logistic.Problem(features, targets)

    def _loss_on(
        self, features, reference: np.ndarray, exclusive: bool
    ) -> Callable[[logistic.Solution | None], float]:
        features = self._standardised(features)
        return lambda solution: log_loss(self._filled(solution, features), reference, exclusive)

    def _search(
        self,
        problem: logistic.Problem | None,
        loss_of: Callable[[logistic.Solution | None], float],
    ) -> None:
        """Take the first C that no later one improves on, and solve it to the end; if the end is
        worse than the constant, that."""
        strengths = self.strengths if problem else self.strengths[:1]
        candidates, best = [], 0
        for solution in problem.rough(strengths) if problem else [None]:
            candidates.append((loss_of(solution), strengths[len(candidates)], solution))
            if candidates[-1][0] < candidates[best][0] - LEAST_GAIN:
                best = len(candidates) - 1
            if len(candidates) - 1 - best == PATIENCE:
                break
        self.loss, self.chosen, self.solution = candidates[best]
        if self.chosen:
            self.solution = problem.finished(self.chosen, self.solution)
            self.loss = loss_of(self.solution)
            if not strengths[0] and self.loss >= candidates[0][0]:
                self.loss, self.chosen, self.solution = candidates[0]

    @property
    def facts(self) -> dict[str, str | int | float | bool]:
        """C, steps of the solver, whether it converged, and by what C was chosen."""
        solution = self.solution
        return {
            "C": self.chosen,
            "iterations": solution.iterations if solution else 0,
            "converged": solution.converged if solution else True,
            "chosen_by": "default" if self.loss is None else "validation",
        }

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Input of the linear map: float32 (n, n_features), standardised as in training."""
        return self._standardised(features).astype(np.float32)

    def predict(self, features: np.ndarray) -> np.ndarray:
        with one_thread_each():
            return self._filled(self.solution, self._standardised(features))

    def _measured(self, features: np.ndarray) -> np.ndarray:
        """Training features, standardised as all others will be."""
        features = features.astype(np.float64)  # sums of float32 make constants vary
        self.mean = features.mean(axis=0)
        features -= self.mean
        self.scale = np.sqrt(np.einsum("nf,nf->f", features, features) / len(features))
        self.scale[self.scale <= 1e-9 * np.maximum(np.abs(self.mean), 1.0)] = 1.0
        features /= self.scale
        return features

    def _standardised(self, features: np.ndarray) -> np.ndarray:
        features = features.astype(np.float64)
        features -= self.mean
        features /= self.scale
        return features

    def _filled(self, solution: logistic.Solution | None, features: np.ndarray) -> np.ndarray:
        """Probabilities of all classes, of standardised features."""
        probabilities = np.tile(self.certain, (len(features), 1))
        if solution is not None:
            probabilities[:, self.columns] = solution.predict(features)
        return probabilities


def _targets(
    reference: np.ndarray, exclusive: bool
) -> tuple[np.ndarray, np.ndarray, logistic.Targets | None]:
    """Classes that some training clips have and others have not; the probability of all others; and
    what is learnt (None: every class is certain)."""
    present = reference == 1
    annotated = np.ones_like(present) if exclusive else reference != -1
    has, lacks = present.any(axis=0), (annotated & ~present).any(axis=0)
    columns = np.flatnonzero(has & lacks)
    if not len(columns):
        return columns, has.astype(np.float64), None
    weights = annotated / np.maximum(annotated.sum(axis=1, keepdims=True), 1)
    weights = weights[:, columns]
    weights *= annotated[:, columns].sum(axis=0) / weights.sum(axis=0)
    labels = present[:, columns].astype(np.float64)
    targets = logistic.Targets(labels, weights, softmax=exclusive)
    return columns, (has & ~lacks).astype(np.float64), targets
