"""Track `finetune`: the whole model trained for every job, as the paper does; checkpoints stay
beside the result."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from bimotion.data.stored_rows import Spread
from bimotion.errors import SettingError
from bimotion.evaluation.job import JobPredictions, TrainingJob
from bimotion.evaluation.tracks.track import Runner, Track, clips_in_memory, clips_named, clips_of
from bimotion.io import checksums
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.classifier import Classifier, located
from bimotion.models.distributed import Processes
from bimotion.models.finetune import finetune
from bimotion.models.recipe import FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.models.training import TRAINING_FILE
from bimotion.models.training_data import TrainingData
from bimotion.protocol.labels import LabelSchema
from bimotion.results.record import ModelUsed

_NONE = -1  # no job follows


@dataclass(frozen=True)
class Finetune(Track):
    """The whole model trained, as its options say."""

    name = "finetune"
    keywords = ("finetune", "save_checkpoints")
    takes_several_processes = True
    takes_window = False

    finetune: FinetuneOptions = field(default_factory=FinetuneOptions)
    """The way to train."""
    save_checkpoints: bool = True
    """Keep the best checkpoint of every training set beside the result."""

    def __post_init__(self):
        if not isinstance(self.finetune, FinetuneOptions):
            raise SettingError(f"finetune: expected FinetuneOptions, found {self.finetune!r:.80}")

    @classmethod
    def recorded(cls, used: ModelUsed) -> "Finetune":
        """The training of a finished run; what its record does not have is as the recipe says."""
        names = {option.name for option in fields(FinetuneOptions)} & set(used.options)
        return cls(FinetuneOptions(**{name: used.options[name] for name in names}))

    def runner(self, spec: ModelSpec, schema: LabelSchema) -> Runner:
        return FinetuneRunner(spec, self.finetune, self.save_checkpoints)


class FinetuneRunner(Runner):
    """A model to train, by one process or by several that run the same jobs at the same time."""

    name = "finetune"
    leaves_files = True

    def __init__(self, spec: ModelSpec, options: FinetuneOptions, save_checkpoints: bool):
        self.options, self.save_checkpoints = options, save_checkpoints
        origin = located(spec)
        self.revision, self.weights = origin.revision, origin.fingerprint
        self.weights_format = origin.weights_format
        self.processes = Processes(spec.device)
        here = {"device": str(self.processes.device), "revision": self.revision}
        self.spec = replace(spec.from_anywhere(), **here)
        self.follower = not self.processes.is_first

    @property
    def device(self) -> str:
        n, device = self.processes.n, self.processes.device
        return str(device) if n == 1 else f"{n} x {device.type}"

    @property
    def used(self) -> ModelUsed:
        options = {
            "trust_remote_code": self.spec.trust_remote_code,
            "weights": self.weights,
            "weights_format": self.weights_format,
            **asdict(self.options),
        }
        return ModelUsed(self.spec.name, NUMBERS_VERSION, self.revision, options)

    def prepare(self, rows: np.ndarray, spread: Spread) -> None:
        self.clips = clips_of(self.labelled, rows, self.progress)
        self.reference = self.labelled.reference[rows]

    def follow(self, jobs: list[TrainingJob], folder_of: Callable[[TrainingJob], Path]) -> None:
        while (number := self.processes.from_first(_NONE)) != _NONE:
            self._run(jobs[number], folder_of(jobs[number]))

    def close(self) -> None:
        self.processes.from_first(_NONE)

    def run(self, job: TrainingJob, folder: Path) -> JobPredictions:
        self.processes.from_first(job.number)
        return self._run(job, folder)

    def embeddings(
        self, job: TrainingJob, rows: np.ndarray, folder: Path, checkpoint: Path | None = None
    ) -> np.ndarray:
        best = checkpoint or self._best(job, folder)
        if reason := checksums.damage_of_all(best):
            raise SettingError(f"{reason}: run the evaluation again with --overwrite")
        clips, label = self.clips.take(self.positions[rows]), f"features {job.name}"
        return self._classifier(best).embeddings(clips, progress=self.progress, label=label)

    def _best(self, job: TrainingJob, folder: Path) -> Path:
        schema = self.labelled.schema
        data = TrainingData(
            clips=self.clips,
            reference=self.reference,
            train=self.positions[job.train],
            validation=self.positions[job.validation],
            classes=schema.classes,
            exclusive=schema.exclusive,
        )
        return finetune(
            self.spec,
            data,
            self.options,
            seed=job.seed,
            folder=folder,
            processes=self.processes,
            progress=self.progress,
        )

    def _classifier(self, best: Path) -> Classifier:
        spec = ModelSpec(str(best), None, self.spec.trust_remote_code, self.spec.device)
        classifier = Classifier(spec)
        classifier.inputs.hear(whole_clips=self.options.whole_clips)
        return classifier

    def _run(self, job: TrainingJob, folder: Path) -> JobPredictions:
        schema, test = self.labelled.schema, self.positions[job.test]
        best = self._best(job, folder)
        classifier = self._classifier(best)
        self.n_parameters = classifier.n_parameters
        clips, label = self.clips.take(test), f"test {job.name}"
        with clips_named(self.labelled.table["id"].iloc[job.test].tolist()):
            probabilities = classifier.probabilities(
                clips,
                exclusive=schema.exclusive,
                processes=self.processes,
                progress=self.progress,
                label=label,
            )
        kept = json.loads((best / TRAINING_FILE).read_text(encoding="utf-8"))
        facts = {"epochs": len(kept["history"])}
        facts |= {name: kept[name] for name in ("best_epoch", "chosen_by")}
        facts |= kept["history"][kept["best_epoch"] - 1]
        del facts["epoch"]
        return JobPredictions(probabilities.astype(np.float64), self.trained(job), facts)

    def largest_difference(self, waveforms: list[np.ndarray]) -> float:
        import torch

        torch.manual_seed(0)  # of the head, which is new
        classifier = Classifier(self.spec, trained=False)
        classifier.inputs.hear(
            raw_amplitude=self.options.raw_amplitude, whole_clips=self.options.whole_clips
        )
        return classifier.largest_difference(clips_in_memory(waveforms))
