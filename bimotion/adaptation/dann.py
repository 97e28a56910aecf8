"""DANN: the network is trained so that a discriminator cannot tell source features from target
features.

Source: Ganin and Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015, arXiv
1409.7495, its eqs. 4 to 6: the gradient of the domain loss is reversed, times a coefficient that
rises as 2 / (1 + exp(-10 progress)) - 1. (The form over the step number i, exp(-i / 1000), is this
one for 10 k steps; ours are fewer.) Discriminator: linear 128 -> ReLU -> linear 1. Features are
standardised by corpus: without that, on noise whose mean differs in every feature, the
discriminator wins at once. As unstable as adversarial training is, and blind to classes: with other
class shares in the target it aligns the wrong clips.
"""

from dataclasses import dataclass

from bimotion.adaptation.network import WIDTH, Network, NetworkMethod, ramp


@dataclass(frozen=True)
class Dann(NetworkMethod):
    """The network with a discriminator of domains, whose gradient reaches the encoder reversed."""

    weight: float = 1.0
    """Of the reversed gradient at the end of its rise."""
    by_corpus: bool = True
    order_free: bool = False

    def network(self, dim: int, n_classes: int, seed: int, hidden: int) -> Network:
        import torch

        network = super().network(dim, n_classes, seed, hidden)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            network.discriminator = torch.nn.Sequential(
                torch.nn.Linear(WIDTH, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1)
            )
        return network

    def target_loss(self, network, progress, of_source, of_target):
        import torch

        both, strength = torch.cat([of_source, of_target]), self.weight * ramp(progress)
        # the same value, the gradient times -strength
        reversed_ = both.detach() * (1 + strength) - both * strength
        # of unit variance a feature
        logits = network.discriminator(reversed_ * WIDTH**0.5).squeeze(1)
        is_source = torch.cat([torch.ones(len(of_source)), torch.zeros(len(of_target))])
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, is_source)


METHODS = (Dann("dann", "DANN (Ganin and Lempitsky 2015)", "dann"),)
