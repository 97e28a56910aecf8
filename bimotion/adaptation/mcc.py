"""MCC: the network is trained so that its predictions on the target confuse no pair of classes.

Source: Jin et al., "Minimum class confusion for versatile domain adaptation", ECCV 2020, arXiv
1912.03699, section 3.2: probabilities at temperature 2.5, clips weighted by 1 + exp(-entropy), the
classes' correlation matrix normalised by rows, the mean over classes of what lies off its diagonal.
It aligns nothing: like all that trust the source's predictions, it needs them to be mostly right.
"""

from dataclasses import dataclass

from bimotion.adaptation.network import NetworkMethod


def confusion(logits, temperature: float = 2.5):
    """Mean share of a class's mass that falls on others, from logits, tensor (n, n_classes).

    >>> import torch
    >>> round(float(confusion(torch.zeros(4, 2))), 6), round(float(confusion(100 * torch.eye(2))),
    ...     6)
    (0.5, 0.0)
    """
    p = (logits / temperature).softmax(dim=1)
    entropy = -(p * p.clamp(min=1e-12).log()).sum(dim=1).detach()
    weight = 1 + (-entropy).exp()
    weight = weight * len(weight) / weight.sum()
    matrix = p.T @ (weight[:, None] * p)
    matrix = matrix / matrix.sum(dim=1, keepdim=True)
    return (matrix.sum() - matrix.trace()) / len(matrix)


@dataclass(frozen=True)
class Mcc(NetworkMethod):
    """The network with the confusion beside the cross-entropy."""

    weight: float = 1.0
    """Of the confusion (the paper's mu)."""
    order_free: bool = False

    def target_loss(self, network, progress, of_source, of_target):
        return self.weight * confusion(network.logits(of_target))


METHODS = (Mcc("mcc", "MCC (Jin et al. 2020)", "mcc"),)
