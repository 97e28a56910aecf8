"""Features of a probe under an unsupervised method of bimotion.adaptation: labelled clips of the
training set in, unlabelled clips of each test cell beside them. Labels of the test cell are not
passed on, so no method can see them."""

from pathlib import Path

import numpy as np

from bimotion.adaptation import method_for
from bimotion.adaptation.method import Clips, Method, Source, inductive, transductive
from bimotion.data.stored_rows import Spread
from bimotion.evaluation.job import JobPredictions, TrainingJob
from bimotion.evaluation.tracks.track import FeatureRunner, Runner
from bimotion.protocol.labels import LabelSchema, schema_named
from bimotion.results.record import AdaptUsed, ModelUsed


def usable_method(name: str, setting: str, schema: str) -> Method:
    """The method of that name. Raises UnknownName, and SettingError where it has no form for a
    setting or a schema."""
    return method_for(name, setting, schema, is_exclusive=schema_named(schema).exclusive)


class AdaptedRunner(Runner):
    """A probe whose head is a method that is adapted to every test cell anew."""

    name = "probe"
    uses_device = False

    def __init__(self, probe: FeatureRunner, schema: LabelSchema, method: str, setting: str):
        self.probe, self.n_parameters = probe, probe.n_parameters
        self.method = usable_method(method, setting, schema.name)
        self.adapt = AdaptUsed.of(self.method, setting)
        # of the last job: jobs of one training set and fold follow each other
        self._source: tuple[tuple[str, int], Source] | None = None

    @property
    def seeded(self) -> bool:
        return self.method.seeded

    @property
    def used(self) -> ModelUsed:
        return self.probe.used

    @property
    def device(self) -> str:
        return self.probe.device

    def prepare(self, rows: np.ndarray, spread: Spread) -> None:
        self.probe.open(self.labelled, rows, self.progress, spread)

    def clip_vectors(self, rows: np.ndarray, facts: dict) -> np.ndarray | None:
        return self.probe.clip_vectors(rows, facts)

    def run(self, job: TrainingJob, folder: Path) -> JobPredictions:
        features, facts = self.probe.clip_features(job)
        trained_on = (job.name, job.fold)

        def clips(rows: np.ndarray) -> Clips:
            table = self.labelled.table.iloc[rows]
            speakers = table["speaker"].astype(object).where(table["speaker"].notna(), None)
            return Clips(
                np.ascontiguousarray(features(rows), np.float32), table["corpus"], speakers
            )

        if not (self._source and self._source[0] == trained_on):
            labelled = [
                (clips(rows), self.labelled.reference[rows]) for rows in (job.train, job.validation)
            ]
            validation = labelled[1] if len(job.validation) else None
            self._source = (trained_on, Source(*labelled[0], validation))
        source, predicted = self._source[1], []
        for target in job.targets:
            unlabelled = clips(target.unlabelled)
            if self.adapt.setting == "transductive":
                of_all = transductive(self.method, source, unlabelled, seed=job.seed)
                predicted.append(of_all[np.searchsorted(target.unlabelled, target.test)])
            else:
                test = clips(target.test)
                predicted.append(inductive(self.method, source, unlabelled, test, seed=job.seed))
        return JobPredictions(np.concatenate(predicted), self.trained(job), facts)

    def largest_difference(self, waveforms: list[np.ndarray]) -> float | None:
        return self.probe.largest_difference(waveforms)
