"""Features of a probe under an unsupervised method of bimotion.adaptation: labelled clips of the training set in, unlabelled
clips of each test cell beside them. Labels of the test cell are not passed on, so no method can see them."""

from pathlib import Path

import numpy as np

from bimotion.adaptation import METHODS
from bimotion.adaptation.method import SETTINGS, Clips, Source, inductive, transductive
from bimotion.errors import SettingError, UnknownName
from bimotion.labels import LabelSchema
from bimotion.material import Material
from bimotion.progress import Progress
from bimotion.results import AdaptUsed, ModelUsed
from bimotion.tracks.track import FeatureTrack, Job, Outcome, Track


def adapt_used(method: str, setting: str, schema: LabelSchema) -> AdaptUsed:
    """What the record says of a method; raises UnknownName, and SettingError where it cannot be used so.

    >>> from bimotion.labels import SCHEMAS
    >>> adapt_used("coral", "inductive", SCHEMAS["valence"]).summary
    'CORAL (Sun et al. 2016), inductive, target audio seen'
    """
    if method not in METHODS:
        raise UnknownName("adaptation method", method, METHODS)
    if setting not in SETTINGS:
        raise UnknownName("adaptation setting", setting, SETTINGS)
    if not schema.exclusive:
        raise SettingError(f"adapt: expected a schema of exclusive classes, such as valence, found {schema.name}")
    found = METHODS[method]
    found.require(setting)
    return AdaptUsed(found.name, found.version, found.title, setting, found.target_seen)


class AdaptedTrack(Track):
    """A probe whose head is a method that is adapted to every test cell anew. Methods without a seed run once."""

    name = "probe"

    def __init__(self, probe: FeatureTrack, schema: LabelSchema, method: str, setting: str):
        self.adapt = adapt_used(method, setting, schema)
        self.probe, self.method = probe, METHODS[method]
        self.n_parameters = probe.n_parameters
        self._known: tuple[str, Source] | None = None
        self._last: tuple[str, Outcome] | None = None

    @property
    def used(self) -> ModelUsed:
        return self.probe.used

    @property
    def device(self) -> str:
        return self.probe.device

    def open(self, material: Material, rows: np.ndarray, progress: Progress) -> None:
        super().open(material, rows, progress)
        self.probe.open(material, rows, progress)

    def run(self, job: Job, folder: Path) -> Outcome:
        if self._last is not None and self._last[0] == job.name and not self.method.seeded:
            return self._last[1]
        found, facts = self.probe.clip_features(job)
        if self._known is None or self._known[0] != job.name:  # jobs of one training set follow each other
            source = Source(self._clips(job.train, found), self.material.reference[job.train])
            self._known = (job.name, source)
        source = self._known[1]
        predicted = []
        for target in job.targets:
            unlabelled = self._clips(target.unlabelled, found)
            if self.adapt.setting == "transductive":
                of_all = transductive(self.method, source, unlabelled, seed=job.seed)
                predicted.append(of_all[np.searchsorted(target.unlabelled, target.test)])
            else:
                predicted.append(inductive(self.method, source, unlabelled, self._clips(target.test, found), seed=job.seed))
        outcome = Outcome(np.concatenate(predicted), self.trained(job), facts)
        self._last = (job.name, outcome)
        return outcome

    def _clips(self, rows: np.ndarray, found) -> Clips:
        table = self.material.table.iloc[rows]
        speakers = table["speaker"].astype(object).where(table["speaker"].notna(), None)
        return Clips(np.ascontiguousarray(found(rows), np.float32), table["corpus"], speakers)

    def largest_difference(self, waveforms: list[np.ndarray]) -> float | None:
        return self.probe.largest_difference(waveforms)
