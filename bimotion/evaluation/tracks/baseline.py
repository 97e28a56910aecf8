"""Baselines as probes of their own features."""

import numpy as np

from bimotion.data.features import features
from bimotion.data.stored_rows import Spread
from bimotion.errors import SettingError
from bimotion.evaluation.job import TrainingJob
from bimotion.evaluation.tracks.track import FeatureRunner
from bimotion.models.baselines import BaselineModel
from bimotion.results.record import ModelUsed


class BaselineRunner(FeatureRunner):
    """A baseline: features of its own (or none) and its head."""

    def __init__(self, model: BaselineModel):
        self.model, self.head = model, model.head

    @property
    def used(self) -> ModelUsed:
        return ModelUsed(self.model.name, self.model.version)

    def prepare(self, rows: np.ndarray, spread: Spread) -> None:
        self.vectors = np.zeros((len(rows), 1), np.float32)
        if self.model.encode:
            key = f"{self.model.name}-{self.model.encoder_version}"
            table = self.labelled.table.loc[rows].reset_index(drop=True)
            manifest = self.labelled.selection.manifest
            self.vectors = features(key, self.model.encode, manifest, table, self.progress, spread)

    def features(self, rows: np.ndarray) -> np.ndarray:
        return self.vectors[self.positions[rows]]

    def clip_vectors(self, rows: np.ndarray, facts: dict) -> np.ndarray | None:
        return self.features(rows) if self.model.encode else None

    def clip_features(self, job: TrainingJob):
        if self.model.encode is None:
            raise SettingError(f"adapt: expected a model with features, found {self.model.name}")
        return self.features, {}
