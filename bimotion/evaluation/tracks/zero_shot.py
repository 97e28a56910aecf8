"""Track `zero-shot`: a published classifier as it is, its outputs mapped to the classes of the
schema."""

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bimotion.data.stored_rows import Spread
from bimotion.evaluation.job import JobPredictions, TrainingJob
from bimotion.evaluation.tracks.label_map import (
    CAIRE_CHECKPOINTS,
    PAPER_ARCHITECTURE,
    class_probabilities,
    label_map,
)
from bimotion.evaluation.tracks.track import (
    Load,
    Runner,
    Track,
    clips_in_memory,
    clips_named,
    clips_of,
    loaded_anew,
    window_used,
)
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.classifier import Classifier
from bimotion.models.spec import ModelSpec
from bimotion.models.weights import held, sent
from bimotion.protocol.labels import LabelSchema
from bimotion.results.record import ModelUsed


@dataclass(frozen=True)
class ZeroShot(Track):
    """A classifier as it is."""

    name = "zero-shot"
    keywords = ("label_map",)
    trains = False

    label_map: str | os.PathLike | None = None
    """JSON file, output name -> emotion; None: by the names of the outputs."""
    load: Load = field(default=loaded_anew, repr=False, compare=False)
    """Gives the classifier."""

    def runner(self, spec: ModelSpec, schema: LabelSchema) -> Runner:
        file = None if self.label_map is None else Path(self.label_map)
        return ZeroShotRunner(self.load(Classifier, spec), schema, file)


class ZeroShotRunner(Runner):
    """A classifier. Raises SettingError, UnknownName where its outputs cannot be mapped to the
    schema: before any sound is decoded."""

    name = "zero-shot"
    seeded = False

    def __init__(self, classifier: Classifier, schema: LabelSchema, file: Path | None):
        self._classifier, self.schema, self.file = classifier, schema, file
        self.mapping = label_map(classifier.name, classifier.outputs, file)
        self.classes = self.mapping.classes(schema)
        self.is_papers = classifier.name in CAIRE_CHECKPOINTS or PAPER_ARCHITECTURE in (
            classifier.model.config.architectures or ()
        )
        self._hear()
        self.softmax = classifier.exclusive and not self.is_papers
        self.n_parameters = classifier.n_parameters

    def _hear(self) -> None:
        # a checkpoint of ours says itself how it was trained
        whole_clips = True if self.is_papers else None
        self.classifier.inputs.hear(raw_amplitude=self.is_papers, whole_clips=whole_clips)

    def __getstate__(self) -> dict:
        """Sent to another process, it loads the classifier there, unless that has it."""
        classifier = self.classifier
        placed = {"revision": classifier.revision, "device": classifier.device.type}
        spec = replace(classifier.spec.from_anywhere(), **placed)
        origin = (Classifier, spec, classifier.fingerprint)
        return vars(self) | {"_classifier": None, "_origin": origin}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state | {"_classifier": held(*state["_origin"])})

    @property
    def classifier(self) -> Classifier:
        """The one that it was given, or that it was sent here with."""
        if self._classifier is None:
            self._classifier = sent(*self._origin)
            self._hear()
        return self._classifier

    @property
    def device(self) -> str:
        return str(self.classifier.device)

    @property
    def used(self) -> ModelUsed:
        pairs = zip(self.classifier.outputs, self.mapping.emotions, strict=True)
        options = {
            "trust_remote_code": self.classifier.spec.trust_remote_code,
            "weights": self.classifier.fingerprint,
            "weights_format": self.classifier.weights_format,
            "label_map": self.mapping.source,
            "label_map_sha256": hashlib.sha256(self.file.read_bytes()).hexdigest()
            if self.file
            else None,
            "outputs": "; ".join(f"{output}={emotion or '-'}" for output, emotion in pairs),
            "unmapped": "; ".join(self.mapping.unmapped),
            "softmax": self.softmax,
            "raw_amplitude": self.classifier.inputs.raw_amplitude,
            "whole_clips": self.classifier.inputs.whole_clips,
            **window_used(self.classifier.inputs.window_choice),
        }
        version = NUMBERS_VERSION
        return ModelUsed(self.classifier.name, version, self.classifier.revision, options)

    def prepare(self, rows: np.ndarray, spread: Spread) -> None:
        self.clips = clips_of(self.labelled, rows, self.progress)

    def run(self, job: TrainingJob, folder) -> JobPredictions:
        # A clip of two jobs is heard twice: taken over from the first, its last digits would hang
        # on whether that ran here.
        clips, label = (
            self.clips.take(self.positions[job.test]),
            f"{self.classifier.name}: {job.name}",
        )
        with clips_named(self.labelled.table["id"].iloc[job.test].tolist()):
            of_outputs = self.classifier.probabilities(
                clips, exclusive=self.softmax, progress=self.progress, label=label
            )
        predicted = class_probabilities(of_outputs, self.mapping, self.schema, softmax=self.softmax)
        trained = [name for name in self.schema.classes if name in self.classes]
        return JobPredictions(predicted, trained)

    def largest_difference(self, waveforms: list[np.ndarray]) -> float:
        return self.classifier.largest_difference(clips_in_memory(waveforms))
