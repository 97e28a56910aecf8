"""T3A: the source's classifier is replaced by templates, means of the target features that it is
surest of.

Source: Iwasawa and Matsuo, "Test-time classifier adjustment module for model-agnostic domain
generalization", NeurIPS 2021, algorithm 1: each class's support set holds its normalised weight
vector and the normalised features of the target clips that the source's classifier gives it; of
these the M = 20 of lowest entropy count; p(c|x) ~ exp(f . template_c). Theirs grows the sets clip
by clip, so its results hang on the order; here the sets are filled from all clips adapted to before
any is predicted, and order is irrelevant; the weight vector always counts, with the 19 surest
clips. Nothing is trained on the target. Templates can only be as good as the surest predictions
are.
"""

from dataclasses import dataclass

import numpy as np

from bimotion.adaptation.network import LOGIT_SCALE, Inputs, Network, NetworkMethod, Training


def templates(weights, embedded, logits, kept: int):
    """The unit vectors of the classes, tensor (n_classes, d).

    Args:
        weights: of the classifier, tensor (n_classes, d).
        embedded: target features, tensor (n, d).
        logits: of the target, tensor (n, n_classes).
        kept: supports of a class, its weight vector among them.
    """
    import torch
    from torch.nn.functional import normalize

    entropy = torch.distributions.Categorical(logits=logits).entropy()
    predicted, means = logits.argmax(dim=1), []
    for index, weight in enumerate(normalize(weights, dim=1)):
        own = (predicted == index).nonzero().squeeze(1)
        surest = own[entropy[own].argsort(stable=True)[: kept - 1]]
        means.append(torch.cat([weight[None], embedded[surest]]).mean(dim=0))
    return normalize(torch.stack(means), dim=1)


@dataclass(frozen=True)
class T3a(NetworkMethod):
    """The source's network with templates in place of its classifier."""

    kept: int = 20
    """Supports of a class, its weight vector among them (the paper's M)."""

    def trained(self, network: Network, inputs: Inputs, training: Training, seed: int):
        import torch

        super().trained(network, inputs, training, seed)
        with torch.no_grad():
            embedded = network.embedded(inputs.target)
            logits = network.logits(embedded).double()
            of_classes = templates(network.classifier.weight, embedded, logits, self.kept)

        def probabilities(inputs) -> np.ndarray:
            logits = LOGIT_SCALE * network.embedded(inputs) @ of_classes.T
            return logits.double().softmax(dim=1).numpy()

        return probabilities


METHODS = (T3a("t3a", "T3A (Iwasawa and Matsuo 2021)", "t3a"),)
