"""The floor rows that every benchmark needs: models that any speech model should beat.

bimotion/prosody    classical prosodic and spectral functionals + logistic regression
bimotion/majority   always the class with the largest share among the training clips annotated for
                    it
bimotion/random     a guess
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bimotion.errors import UnknownName
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models import prosody
from bimotion.models.heads import Head, LogisticHead, MajorityHead, RandomHead


@dataclass(frozen=True)
class BaselineModel:
    """An encoder of one clip (None: the head needs no features) and a head.

    encode: mono float32 waveform at 16 kHz, shape (n_samples,) -> float32, shape (n_features,).
    """

    name: str
    head: type[Head]
    encode: Callable[[np.ndarray], np.ndarray] | None = None
    encoder_version: str = "none"

    @property
    def version(self) -> str:
        return f"{self.encoder_version}-{self.head.version}"


BASELINES = {
    model.name: model
    for model in (
        BaselineModel("bimotion/prosody", LogisticHead, prosody.functionals, NUMBERS_VERSION),
        BaselineModel("bimotion/majority", MajorityHead),
        BaselineModel("bimotion/random", RandomHead),
    )
}


def baseline_model(name: str) -> BaselineModel:
    """The baseline of that name; raises UnknownName."""
    if name not in BASELINES:
        raise UnknownName("model", name, BASELINES)
    return BASELINES[name]
