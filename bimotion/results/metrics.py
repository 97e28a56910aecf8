"""Scores as pure functions of targets, predictions and an explicit list of classes.

One prediction has several unweighted recalls, depending on which classes one counts
(scikit-learn#26892): so `classes` is always an argument, never inferred. scikit-learn with
`labels=classes, zero_division=0` is the oracle in the tests.

Single-label functions take arrays of class names or numbers, shape (n,); multi-label ones take 0/1
arrays, shape (n, len(classes)). All return a float in [0, 1], or None where the metric is undefined
(no clip, no class).
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

Labels = np.ndarray | Sequence[Hashable]
Counts = tuple[np.ndarray, ...]


def _counts(targets: Labels, predictions: Labels, classes: Labels) -> Counts:
    """True positives, predicted and true clips of each class; int64, shape (len(classes),)."""
    return _binary_counts(*_by_class(targets, predictions, classes))


def _by_class(targets: Labels, predictions: Labels, classes: Labels) -> Counts:
    """True where a clip is, and is predicted as, a class; both of shape (n, len(classes))."""
    classes = np.asarray(classes)
    return np.asarray(targets)[:, None] == classes, np.asarray(predictions)[:, None] == classes


def _binary_counts(targets: Labels, predictions: Labels) -> Counts:
    targets, predictions = np.asarray(targets, dtype=bool), np.asarray(predictions, dtype=bool)
    return (targets & predictions).sum(axis=0), predictions.sum(axis=0), targets.sum(axis=0)


def _f1(hits: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Binary F1 of each class, 2 TP / (2 TP + FP + FN); 0 where a class is neither there nor
    predicted."""
    return 2 * hits / np.maximum(predicted + true, 1)


def _weighted(values: np.ndarray, weights: np.ndarray) -> float | None:
    return float(values @ weights / weights.sum()) if weights.sum() else None


def weighted_f1(targets: Labels, predictions: Labels, classes: Labels) -> float | None:
    """Mean of the classes' binary F1 weighted by their clips: the paper's "single" form (arXiv
    2306.14517, section 4).

    >>> weighted_f1(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])
    0.6666666666666666
    """
    return weighted_f1_multi(*_by_class(targets, predictions, classes))


def weighted_f1_multi(targets: np.ndarray, predictions: np.ndarray) -> float | None:
    """The same over 0/1 arrays, shape (n, n_classes): the paper's "multi" form (sigmoid > 0.5 for
    each label).

    >>> weighted_f1_multi([[1, 1], [0, 1]], [[1, 0], [0, 1]])
    0.7777777777777777
    """
    hits, predicted, true = _binary_counts(targets, predictions)
    return _weighted(_f1(hits, predicted, true), true)


def macro_f1(targets: Labels, predictions: Labels, classes: Labels) -> float | None:
    """Unweighted mean of the classes' binary F1.

    >>> macro_f1([0, 0, 1], [0, 0, 0], [0, 1])
    0.4
    """
    return macro_f1_multi(*_by_class(targets, predictions, classes))


def macro_f1_multi(targets: np.ndarray, predictions: np.ndarray) -> float | None:
    """The same over 0/1 arrays, shape (n, n_classes).

    >>> macro_f1_multi([[1, 0], [1, 0], [0, 1]], [[1, 0], [1, 0], [1, 0]])
    0.4
    """
    return float(label_f1_multi(targets, predictions).mean()) if np.size(targets) else None


def uar(targets: Labels, predictions: Labels, classes: Labels) -> float | None:
    """Unweighted average recall over the classes; a class without clips counts 0, so leave such
    classes out.

    >>> [uar([0, 0, 1, 1], [0, 2, 1, 1], classes) for classes in ([0, 1], [0, 1, 2], [0, 1, 2, 3])]
    [0.75, 0.5, 0.375]
    """
    hits, _, true = _counts(targets, predictions, classes)
    return float((hits / np.maximum(true, 1)).mean()) if len(classes) and len(targets) else None


def accuracy(targets: Labels, predictions: Labels, classes: Labels) -> float | None:
    """Share of clips predicted right; `classes` is not used (all metrics are called alike).

    >>> accuracy([0, 1], [0, 0], [0, 1])
    0.5
    """
    return float((np.asarray(targets) == np.asarray(predictions)).mean()) if len(targets) else None


def label_f1(targets: Labels, predictions: Labels, classes: Labels) -> dict[Hashable, float]:
    """Binary F1 of each class.

    >>> label_f1([0, 0, 1], [0, 0, 0], [0, 1])
    {0: 0.8, 1: 0.0}
    """
    values = label_f1_multi(*_by_class(targets, predictions, classes))
    return dict(zip(classes, values.tolist(), strict=True))


def label_f1_multi(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Binary F1 of each column of 0/1 arrays, shape (n, n_classes) -> (n_classes,)."""
    return _f1(*_binary_counts(targets, predictions))


def confusion(targets: Labels, predictions: Labels, classes: Labels) -> np.ndarray:
    """Clips of each class (rows) by what was predicted (columns); the last column: none of the
    classes. Clips of no class are left out. int64, shape (len(classes), len(classes) + 1).

    >>> confusion(["a", "a", "b"], ["a", "b", None], ["a", "b"]).tolist()
    [[1, 1, 0], [0, 0, 1]]
    """
    is_class, as_class = _by_class(targets, predictions, classes)
    predicted = np.column_stack([as_class, ~as_class.any(axis=1)])
    return is_class.T.astype(np.int64) @ predicted.astype(np.int64)


def ranking(targets: Labels, scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The two metrics of one label that need no threshold, of many weighted test sets at once: the
    average precision and the area under the ROC curve. Clips of equal scores share a threshold.

    Args:
        targets: True where a clip has the label, shape (n,).
        scores: The higher, the likelier, shape (n,).
        weights: How often each clip stands in each test set, whole numbers, shape (n_sets, n).
    Returns:
        `ap` and `auc`, shape (n_sets,); nan where no clip, or every one, has the label.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    ends = np.flatnonzero(np.diff(np.asarray(scores)[order], append=np.inf))
    weights, is_target = np.asarray(weights)[:, order], np.asarray(targets, bool)[order]
    above = np.cumsum(weights, axis=1)[:, ends].astype(float)
    hits = np.cumsum(weights * is_target, axis=1)[:, ends].astype(float)
    gained = np.diff(hits, prepend=0.0)
    n_true, n_false = hits[:, -1], above[:, -1] - hits[:, -1]
    both = (n_true > 0) & (n_false > 0)
    missed = np.diff(above - hits, prepend=0.0)
    precision = hits / np.maximum(above, 1)
    sums = {
        "ap": ((gained * precision).sum(axis=1), n_true),
        "auc": ((missed * (hits - gained / 2)).sum(axis=1), n_true * n_false),
    }
    return {
        name: np.divide(part, whole, out=np.full(len(both), np.nan), where=both)
        for name, (part, whole) in sums.items()
    }


def average_precision(targets: Labels, scores: np.ndarray) -> float | None:
    """Mean of the precisions at each threshold, weighted by the recall gained there; None where no
    clip, or every one, has the label.

    >>> average_precision([1, 0, 1], [0.9, 0.8, 0.7])
    0.8333333333333333
    """
    return _of_one_set("ap", targets, scores)


def roc_auc(targets: Labels, scores: np.ndarray) -> float | None:
    """Area under the ROC curve: how often a clip with the label has the higher score than one
    without; None where no clip, or every one, has it.

    >>> roc_auc([1, 0, 1], [0.9, 0.8, 0.7])
    0.5
    """
    return _of_one_set("auc", targets, scores)


def _of_one_set(name: str, targets: Labels, scores: np.ndarray) -> float | None:
    if not len(targets):
        return None
    value = float(ranking(targets, scores, np.ones((1, len(targets))))[name][0])
    return None if np.isnan(value) else value


ONE_LABEL_METRICS: dict[str, Callable[..., float | None]] = {"uar": uar, "accuracy": accuracy}
"""Of clips with one label each: a corpus that is scored label by label has none of them."""
METRICS = {"weighted_f1": weighted_f1, "macro_f1": macro_f1} | ONE_LABEL_METRICS
"""Metrics that every test set is scored with: the paper's weighted F1, and the standard ones."""
MULTI_LABEL_METRIC = "weighted_f1_multi"
"""Of test sets under a schema whose clips can have several labels, too."""
RANKING_METRICS = {"ap": average_precision, "auc": roc_auc}
"""Of each label of a corpus that is scored label by label."""
