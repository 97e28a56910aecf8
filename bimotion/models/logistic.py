"""Logistic regression with an L2 penalty, solved to convergence from zero: scikit-learn's objective
and solution, in a tenth of the time where features are many and correlated.

The solver is scipy's L-BFGS-B on preconditioned coefficients: those in which the loss curves about
alike in all directions, by the second moments of the features, weighted, after the first steps, by
how undecided each clip is. So dozens of steps are enough where the plain one needs hundreds. Of
fewer clips than features it sees the features in the space of the clips.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bimotion.io.threads import in_threads

MAX_GRADIENT = 1e-8
"""The largest entry of the gradient, of a clip's mean loss, at which a solution has converged."""
CHOICE_GRADIENT = 1e-5
"""The same for solutions that are compared by their loss on other clips, and not used: half the
steps, and the loss differs by a thousandth or less."""
ROUNDING = 10
"""So many times this gradient is convergence too, where the loss is so flat that its rounding lets
no step be found."""
MAX_ITERATIONS = 1000
STEPS = 60
"""Steps after which the preconditioner is made anew; then twice as many, and so on, for each time
the solver forgets the steps that it learnt from, HISTORY of them."""
HISTORY = 20
BLOCK_ROWS = 4096
CACHED_NUMBERS = 2**18
"""Features that the cache of a core holds: read once for the loss and its gradient."""
MAX_PRECONDITIONED = 4096
"""More features than these are solved without preconditioning, whose memory grows as their
square."""


@dataclass(frozen=True)
class Targets:
    """Labels to learn and the clips that have them: one column an output."""

    labels: np.ndarray
    """1 where the clip has the class, else 0, float64 (n, n_outputs)."""
    weights: np.ndarray
    """Of each clip in each output, 0 where it is not annotated; mean 1 over those that are."""
    softmax: bool
    """One multinomial model; else a binary model an output."""


@dataclass(frozen=True)
class Solution:
    """A linear map, and how the solver came to it."""

    weights: np.ndarray
    """float64 (n_features, n_outputs)."""
    bias: np.ndarray
    """float64 (n_outputs,)."""
    softmax: bool
    iterations: int = 0
    converged: bool = True

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Probabilities of the outputs, float64 (n, n_outputs)."""
        from scipy.special import expit, softmax

        logits = features @ self.weights + self.bias
        return softmax(logits, axis=1) if self.softmax else expit(logits)


def constant(n_features: int, targets: Targets) -> Solution:
    """The solution at C = 0, an infinite penalty: each output's share of the clips, whatever the
    features.

    >>> targets = Targets(np.array([[1.0], [0.0], [0.0], [0.0]]), np.ones((4, 1)), softmax=False)
    >>> constant(2, targets).predict(np.ones((1, 2))).tolist()
    [[0.25]]
    """
    from scipy.special import logit

    shares = (targets.labels * targets.weights).sum(axis=0) / targets.weights.sum(axis=0)
    bias = np.log(shares) if targets.softmax else logit(shares)
    return Solution(np.zeros((n_features, len(bias))), bias, targets.softmax)


class Problem:
    """Features and what is to be learnt of them, made ready for solutions.

    Example:
        >>> x = np.array([[-1.0], [1.0], [0.5]])
        >>> targets = Targets(np.array([[0.0], [1.0], [0.0]]), np.ones((3, 1)), softmax=False)
        >>> solution = Problem(x, targets).finished(1.0)
        >>> solution.weights.round(3).item(), solution.converged
        (0.576, True)
    """

    def __init__(self, features: np.ndarray, targets: Targets):
        """`features`: float64 (n, n_features), standardised; `targets`: every output with clips of
        both kinds."""
        from scipy.linalg import qr

        self.targets, self.basis, self.moments = targets, None, None
        if len(features) < features.shape[1]:
            # coefficients are sums of clips: nothing is lost, and the solver's matrices are smaller
            self.basis, rotated = qr(features.T, mode="economic", check_finite=False)
            features = np.ascontiguousarray(rotated.T)
        self.features = features
        if features.shape[1] <= MAX_PRECONDITIONED:
            # a logistic loss curves by a quarter at most
            weights = np.full(len(features), 0.25 / len(features))
            self.moments = second_moments(features, weights)

    def rough(self, strengths: Sequence[float]) -> Iterator[Solution]:
        """Solutions to CHOICE_GRADIENT, one for each C, made as they are asked for, as many at once
        as there are cores."""
        from joblib import cpu_count

        solved = partial(self._solved, max_gradient=CHOICE_GRADIENT, start=None)
        for start in range(0, len(strengths), cpu_count()):
            yield from in_threads(solved, strengths[start : start + cpu_count()])

    def finished(self, strength: float, start: Solution | None = None) -> Solution:
        """The solution for a C of scikit-learn's LogisticRegression, 0 is `constant`; `start`: a
        rough one for the same C, to go on from."""
        return self._solved(strength, MAX_GRADIENT, start)

    def _solved(self, strength: float, max_gradient: float, start: Solution | None) -> Solution:
        if not strength:
            n_features = self.features.shape[1] if self.basis is None else len(self.basis)
            return constant(n_features, self.targets)
        if start is not None and self.basis is not None:
            start = replace(start, weights=self.basis.T @ start.weights)
        # a softmax over two classes has two vectors where scikit-learn has one: the same at half C
        two = self.targets.softmax and self.targets.labels.shape[1] == 2
        objective = _Objective(self.features, self.targets, strength / 2 if two else strength)
        solution = solve(objective, self.moments, max_gradient, start)
        if self.basis is None:
            return solution
        return replace(solution, weights=self.basis @ solution.weights)


def second_moments(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The lower triangle of the weighted sum of x x' over clips, float64 (n_features,
    n_features)."""
    from scipy.linalg.blas import dsyrk

    moments = np.zeros((features.shape[1], features.shape[1]), order="F")
    for start in range(0, len(features), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        scaled = features[rows] * np.sqrt(weights[rows, None])
        moments = dsyrk(1.0, scaled.T, beta=1.0, c=moments, lower=True, overwrite_c=True)
    return moments


def solve(
    objective: "_Objective",
    moments: np.ndarray | None,
    max_gradient: float,
    start: Solution | None = None,
) -> Solution:
    """Minimise C times the weighted sum of losses, plus half the sum of squared coefficients; the
    bias is not penalised. `moments`: by how much the loss curves at most, or None for no
    preconditioner; `start`: where to begin in place of zero."""
    from scipy.optimize import minimize

    if start is None:
        start = Solution(*objective.zero, objective.targets.softmax)
    weights, bias, iterations = start.weights, start.bias, start.iterations
    converged, round_steps = False, MAX_ITERATIONS if moments is None else STEPS
    while iterations < MAX_ITERATIONS and not converged:
        if moments is not None:
            if iterations:
                curvature = objective.curvature(weights, bias)
                moments = second_moments(objective.features, curvature)
            objective.precondition(moments)
        steps = min(round_steps, MAX_ITERATIONS - iterations)
        round_steps *= 2
        optimum = minimize(
            objective,
            objective.coefficients(weights, bias),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": steps, "maxcor": HISTORY, "gtol": max_gradient, "ftol": 0.0},
        )
        weights, bias = objective.parts(optimum.x)
        is_last = optimum.nit < steps  # as near as numbers allow
        allowed = ROUNDING * max_gradient if is_last else max_gradient
        converged = bool(np.abs(optimum.jac).max() <= allowed)
        iterations += int(optimum.nit)
        if is_last:
            break
    return Solution(weights, bias, start.softmax, iterations, converged)


class _Objective:
    """Loss and gradient of preconditioned coefficients; every output by the sum of its weights, so
    that one annotated by few clips converges like the others."""

    def __init__(self, features: np.ndarray, targets: Targets, strength: float):
        self.features, self.targets = features, targets
        totals = targets.weights.sum(axis=0)
        self.weights = targets.weights / totals
        self.penalty = 1.0 / (strength * totals)
        self.factor = None

    @property
    def zero(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias of 0."""
        n_features, n_outputs = self.features.shape[1], self.targets.labels.shape[1]
        return np.zeros((n_features, n_outputs)), np.zeros(n_outputs)

    def precondition(self, moments: np.ndarray) -> None:
        """Take coefficients in which these second moments, and the penalty, are a unit matrix."""
        from scipy.linalg import cholesky

        penalised = moments.copy()
        np.einsum("ii->i", penalised)[:] += self.penalty.mean()
        self.factor = cholesky(penalised, lower=True, overwrite_a=True, check_finite=False)

    def curvature(self, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """The curvature of each clip's loss by its logits, mean over outputs."""
        everybody = slice(None)
        errors = np.abs(self._losses(self.features @ weights + bias, everybody)[1])
        return (errors - errors**2 / np.maximum(self.weights, 1e-300)).mean(axis=1)

    def __call__(self, coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = self.parts(coefficients)
        loss = (self.penalty * weights**2).sum() / 2
        gradient, of_bias = self.penalty * weights, np.zeros_like(bias)
        n_rows = max(CACHED_NUMBERS // len(weights), 1)
        for start in range(0, len(self.features), n_rows):
            rows = slice(start, start + n_rows)
            losses, residuals = self._losses(self.features[rows] @ weights + bias, rows)
            loss += losses
            gradient += self.features[rows].T @ residuals
            of_bias += residuals.sum(axis=0)
        gradient = self._solved(gradient, transposed=False)
        return loss, np.concatenate([gradient, of_bias[None]]).ravel()

    def coefficients(self, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """The inverse of `parts`."""
        rows = weights if self.factor is None else self.factor.T @ weights
        return np.concatenate([rows, bias[None]]).ravel()

    def parts(self, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights and bias of preconditioned coefficients."""
        rows = coefficients.reshape(self.features.shape[1] + 1, -1)
        return self._solved(rows[:-1], transposed=True), rows[-1]

    def _solved(self, rows: np.ndarray, *, transposed: bool) -> np.ndarray:
        from scipy.linalg import solve_triangular

        if self.factor is None:
            return rows
        return solve_triangular(
            self.factor, rows, lower=True, trans=int(transposed), check_finite=False
        )

    def _losses(self, logits: np.ndarray, rows: slice) -> tuple[float, np.ndarray]:
        """Sum of weighted losses of some clips, and its derivative by their logits."""
        from scipy.special import expit

        labels, weights = self.targets.labels[rows], self.weights[rows]
        if self.targets.softmax:
            logits = logits - logits.max(axis=1, keepdims=True)
            shares = np.exp(logits)
            total = shares.sum(axis=1, keepdims=True)
            losses = weights * labels * (np.log(total) - logits)
            return losses.sum(), weights * (shares / total - labels)
        losses = weights * (np.logaddexp(0, logits) - labels * logits)
        return losses.sum(), weights * (expit(logits) - labels)
