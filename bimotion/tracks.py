"""Tracks: how a model is turned into something that is fitted on clips and gives class probabilities.

probe       frozen: features of every clip extracted once, a small head fitted for every training set
(floor models run as probes of their own features)
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from bimotion.errors import UnknownName
from bimotion.features import features, layer_features
from bimotion.material import Material
from bimotion.models.floor import FloorModel, floor_model
from bimotion.models.layer_heads import PROBE_HEADS
from bimotion.progress import Progress
from bimotion.results import ModelUsed

Predict = Callable[[np.ndarray], np.ndarray]
"""Row numbers of a Material's table -> probabilities, float64, shape (n, n_classes)."""
TRACKS = ("probe",)


class Track(Protocol):
    """A model under a track. `used`: what the record says of it; `device`: where it runs."""

    name: str
    used: ModelUsed
    device: str

    def open(self, material: Material, progress: Progress) -> None:
        """Make ready what every training set shares."""

    def fit(self, train: np.ndarray, validation: np.ndarray, seed: int) -> Predict:
        """Fit on some rows of the material, choosing by others (which may be none)."""


@dataclass
class FloorTrack:
    """A floor model: features of its own (or none) and its head."""

    model: FloorModel
    name: str = "probe"
    device: str = "cpu"
    vectors: np.ndarray = field(init=False, repr=False)
    material: Material = field(init=False, repr=False)

    @property
    def used(self) -> ModelUsed:
        return ModelUsed(self.model.name, self.model.version)

    def open(self, material: Material, progress: Progress) -> None:
        self.material = material
        self.vectors = np.zeros((len(material.table), 1), np.float32)
        if self.model.encode:
            key = f"{self.model.name}-{self.model.encoder_version}"
            self.vectors = features(key, self.model.encode, material.selection.manifest, material.table, progress)

    def fit(self, train: np.ndarray, validation: np.ndarray, seed: int) -> Predict:
        head = self.model.head()
        reference = self.material.reference[train]
        head.fit(self.vectors[train], reference, exclusive=self.material.schema.exclusive, seed=seed)
        return lambda rows: head.predict(self.vectors[rows])


@dataclass
class ProbeTrack:
    """A frozen transformers encoder: mean and standard deviation of every layer, and a head over them."""

    encoder: "object"
    head: str
    name: str = "probe"
    vectors: np.ndarray = field(init=False, repr=False)
    material: Material = field(init=False, repr=False)

    @property
    def device(self) -> str:
        return str(self.encoder.device)

    @property
    def used(self) -> ModelUsed:
        from bimotion.models.encoders import ENCODER_VERSION

        options = {
            "head": self.head,
            "trust_remote_code": self.encoder.trusted_remote_code,
            "weights": self.encoder.fingerprint,
        }
        version = f"{ENCODER_VERSION}-{PROBE_HEADS[self.head].version}"
        folder = Path(self.encoder.name)
        name = folder.resolve().name if folder.is_dir() else self.encoder.name  # where a folder lies is nobody's business
        return ModelUsed(name, version, self.encoder.revision, options)

    def open(self, material: Material, progress: Progress) -> None:
        self.material = material
        self.vectors = layer_features(self.encoder, material.selection.manifest, material.table, progress)

    def fit(self, train: np.ndarray, validation: np.ndarray, seed: int) -> Predict:
        head = PROBE_HEADS[self.head]()
        reference = self.material.reference
        chosen_by = (self.vectors.rows(validation), reference[validation]) if len(validation) else None
        exclusive = self.material.schema.exclusive
        head.fit(self.vectors.rows(train), reference[train], exclusive=exclusive, seed=seed, validation=chosen_by)
        return lambda rows: head.predict(self.vectors.rows(rows))


def track(
    model: str, name: str = "probe", *, head: str = "layers", revision: str | None = None, trust_remote_code: bool = False
) -> Track:
    """A model under a track; raises UnknownName, ModelError."""
    if name not in TRACKS:
        raise UnknownName("track", name, TRACKS)
    if head not in PROBE_HEADS:
        raise UnknownName("head", head, PROBE_HEADS)
    if model.startswith("bimotion/"):
        return FloorTrack(floor_model(model))
    from bimotion.models import encoders

    return ProbeTrack(encoders.load(encoders.EncoderSpec(model, revision, trust_remote_code)), head)
