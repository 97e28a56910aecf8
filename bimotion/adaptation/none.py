"""No adaptation: the baseline of all methods.

`none` is logistic regression on the source, the head of the probe track (models/heads.py), and the
start of logit-adjust, lame and speaker-clusters. `none-network` is the network that all trained
methods share, without a target loss: what mmd, mcc and t3a gain over it is theirs, not the
network's. (dann, shot and nnpm standardise by corpus: their control is corpus-norm-em-network.)
"""

from dataclasses import dataclass

from bimotion.adaptation.method import Clips, Method, Predictor, Source
from bimotion.adaptation.network import NetworkMethod


@dataclass(frozen=True)
class NoAdaptation(Method):
    """The source's logistic regression, whatever the target."""

    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        return lambda clips: source.head.predict(clips.features)


METHODS = (
    NoAdaptation("none", "Source only (logistic regression)", "none", target_seen=False),
    NetworkMethod("none-network", "Source only (network)", "none", target_seen=False),
)
