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

from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.network import DEFAULT, WIDTH, Schedule, aligned, ramp


@dataclass(frozen=True)
class Dann(Method):
    """`weight`: of the reversed gradient at the end of its rise. `by_corpus`: features standardised
    by corpus beforehand."""

    weight: float = 1.0
    by_corpus: bool = True
    schedule: Schedule = DEFAULT

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            discriminator = torch.nn.Sequential(
                torch.nn.Linear(WIDTH, 128), torch.nn.ReLU(), torch.nn.Linear(128, 1)
            )

        def loss(progress, fs, ft, logits):
            both, strength = torch.cat([fs, ft]), self.weight * ramp(progress)
            # the same value, the gradient times -strength
            reversed_ = both.detach() * (1 + strength) - both * strength
            said = discriminator(reversed_ * WIDTH**0.5).squeeze(1)  # of unit variance a feature
            truth = torch.cat([torch.ones(len(fs)), torch.zeros(len(ft))])
            return torch.nn.functional.binary_cross_entropy_with_logits(said, truth)

        return aligned(
            source,
            target,
            loss,
            self.schedule,
            seed,
            by_corpus=self.by_corpus,
            extra=list(discriminator.parameters()),
        )


METHODS = (Dann("dann", "DANN (Ganin and Lempitsky 2015)", "dann", seeded=True, order_free=False),)
