"""Losses over the classes that a clip is annotated for. References are int8 (n, n_classes): 1
present, 0 absent, -1 not annotated."""

import numpy as np


def masked_loss(logits, reference, *, exclusive: bool):
    """Loss of each clip, tensor (n,), from logits and reference, tensors (n, n_classes).

    Binary cross-entropy over the annotated classes divided by their number, so that each clip
    weighs the same; `exclusive`: cross-entropy over the annotated classes. A clip with nothing to
    learn from has loss 0.

    >>> import torch
    >>> masked_loss(torch.zeros(1, 3), torch.tensor([[1, 0, -1]]),
    ...     exclusive=False).tolist() == [float(np.log(np.float32(2)))]
    True
    """
    from torch.nn import functional

    annotated, present = reference != -1, reference == 1
    if exclusive:
        scores = logits.masked_fill(~annotated, float("-inf")).log_softmax(dim=1)
        return -(scores.masked_fill(~present, 0.0)).sum(dim=1)
    target = present.to(logits.dtype)
    loss = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (loss * annotated).sum(dim=1) / annotated.sum(dim=1).clamp(min=1)


def learnable(reference: np.ndarray, exclusive: bool) -> np.ndarray:
    """Bool (n,): clips that have something to learn from: one class, or any that is annotated."""
    return (reference == 1).sum(axis=1) == 1 if exclusive else (reference != -1).any(axis=1)


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
