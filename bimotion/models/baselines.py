"""The floor rows that every benchmark needs: models that any speech model should beat.

bimotion/prosody    classical prosodic and spectral functionals + logistic regression
bimotion/majority   always the class with the largest share among the training clips annotated for it
bimotion/random     a guess
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bimotion.errors import UnknownName
from bimotion.models import prosody
from bimotion.models.heads import Head, LogisticHead, MajorityHead, RandomHead


@dataclass(frozen=True)
class FloorModel:
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


FLOOR_MODELS = {
    model.name: model
    for model in (
        FloorModel("bimotion/prosody", LogisticHead, prosody.functionals, prosody.VERSION),
        FloorModel("bimotion/majority", MajorityHead),
        FloorModel("bimotion/random", RandomHead),
    )
}


def floor_model(name: str) -> FloorModel:
    """The floor model of that name; raises UnknownName."""
    if name not in FLOOR_MODELS:
        raise UnknownName("model", name, FLOOR_MODELS)
    return FLOOR_MODELS[name]
