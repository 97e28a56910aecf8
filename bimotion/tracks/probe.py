"""Track `probe`: features of every clip extracted once by a frozen encoder, a small head trained for every job."""

import numpy as np

from bimotion.features import LayerTable, layer_features
from bimotion.material import Material
from bimotion.models.layer_heads import PROBE_HEADS
from bimotion.progress import Progress
from bimotion.results import ModelUsed
from bimotion.tracks.track import Job, Outcome, Track


class ProbeTrack(Track):
    """A frozen encoder (models/encoders.py, or a user's own: models/own.py) and a head over its layers."""

    name = "probe"

    def __init__(self, encoder, head: str):
        self.encoder, self.head, self.n_parameters = encoder, head, encoder.n_parameters

    @property
    def device(self) -> str:
        return str(self.encoder.device)

    @property
    def used(self) -> ModelUsed:
        options = {
            "head": self.head,
            "trust_remote_code": self.encoder.trusted_remote_code,
            "weights": self.encoder.fingerprint,
        }
        version = f"{self.encoder.version}-{PROBE_HEADS[self.head].version}"
        return ModelUsed(self.encoder.name, version, self.encoder.revision, options)

    def open(self, material: Material, rows: np.ndarray, progress: Progress) -> None:
        super().open(material, rows, progress)
        table = material.table.loc[rows].reset_index(drop=True)
        self.layers: LayerTable = layer_features(self.encoder, material.selection.manifest, table, progress)

    def run(self, job: Job, folder) -> Outcome:
        head = self._fitted(job)
        return Outcome(head.predict(self.layers.take(self.place[job.test])), self.trained(job), head.facts)

    def embeddings(self, job: Job, rows: np.ndarray, folder, checkpoint=None) -> np.ndarray:
        return self._fitted(job).embed(self.layers.take(self.place[rows]))

    def _fitted(self, job: Job):
        head, reference = PROBE_HEADS[self.head](), self.material.reference
        train, validation = (self.layers.take(self.place[rows]) for rows in (job.train, job.validation))
        chosen_by = (validation, reference[job.validation]) if len(job.validation) else None
        exclusive = self.material.schema.exclusive
        head.fit(train, reference[job.train], exclusive=exclusive, seed=job.seed, validation=chosen_by)
        return head

    def largest_difference(self, waveforms: list[np.ndarray]) -> float:
        return self.encoder.largest_difference(waveforms)
