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

from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.network import (
    DEFAULT,
    LOGIT_SCALE,
    Inputs,
    Network,
    Schedule,
    one_thread,
    trained,
)


def templates(weights, embedded, logits, kept: int):
    """Unit vectors, tensor (n_classes, d), from the classifier's weights of that shape and target
    features (n, d), logits (n, n_classes)."""
    import torch
    from torch.nn.functional import normalize

    entropy = torch.distributions.Categorical(logits=logits).entropy()
    given, found = logits.argmax(dim=1), []
    for place, weight in enumerate(normalize(weights, dim=1)):
        own = (given == place).nonzero().squeeze(1)
        surest = own[entropy[own].argsort(stable=True)[: kept - 1]]
        found.append(torch.cat([weight[None], embedded[surest]]).mean(dim=0))
    return normalize(torch.stack(found), dim=1)


@dataclass(frozen=True)
class T3a(Method):
    """`kept`: supports a class, its weight vector among them (the paper's M)."""

    kept: int = 20
    schedule: Schedule = DEFAULT

    @one_thread()
    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        import torch

        inputs = Inputs.of(source, target, by_corpus=False)
        network = Network(inputs.source.shape[1], source.n_trained, seed)
        trained(network, inputs, source.labels, self.schedule, seed)
        with torch.no_grad():
            embedded = network.embedded(inputs.target)
            found = templates(
                network.classifier.weight, embedded, network.logits(embedded).double(), self.kept
            )

        @one_thread()
        def predict(clips: Clips) -> np.ndarray:
            logits = LOGIT_SCALE * network.embedded(inputs.of_clips(clips)) @ found.T
            return logits.double().softmax(dim=1).numpy()

        return predict


METHODS = (T3a("t3a", "T3A (Iwasawa and Matsuo 2021)", "t3a", seeded=True),)
