"""MMD: the network is trained so that kernel means of source and target features coincide.

Source: Long et al., "Learning transferable features with deep adaptation networks", ICML 2015,
arXiv 1502.02791, on one layer: squared maximum mean discrepancy (Gretton et al., JMLR 13 (2012),
eq. 5, biased) with a sum of Gaussian kernels whose widths are 1/4, 1/2, 1, 2 and 4 times the
minibatch's mean squared distance. It matches marginals: where class shares differ between domains,
it must tear classes apart.
"""

from dataclasses import dataclass

from bimotion.adaptation.network import NetworkMethod, ramp

WIDEST, N_WIDTHS = 4.0, 5


def discrepancy(of_source, of_target):
    """The squared MMD of two tensors, (n, d) and (m, d).

    >>> import torch
    >>> float(discrepancy(torch.eye(3), torch.eye(3)))
    0.0
    """
    import torch

    both = torch.cat([of_source, of_target])
    lengths = both.square().sum(dim=1)
    distances = (lengths[:, None] + lengths - 2 * both @ both.T).clamp(min=0)
    typical = distances.detach().mean().clamp(min=1e-12)
    widest = (-distances / (WIDEST * typical)).exp()
    kernel, power = widest, widest
    for _ in range(N_WIDTHS - 1):
        power = power * power  # half the width is the square: one exponential for all
        kernel = kernel + power
    kernel = kernel / N_WIDTHS
    n = len(of_source)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


@dataclass(frozen=True)
class Mmd(NetworkMethod):
    """The network with the discrepancy beside the cross-entropy, ramped up over the training."""

    weight: float = 1.0
    """Of the discrepancy at the end of its rise."""
    order_free: bool = False

    def target_loss(self, network, progress, of_source, of_target):
        return self.weight * ramp(progress) * discrepancy(of_source, of_target)


METHODS = (Mmd("mmd", "MMD (Long et al. 2015)", "mmd"),)
