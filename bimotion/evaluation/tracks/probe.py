"""Track `probe`: features of every clip extracted once by a frozen encoder, a small head trained
for every job."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bimotion.data.features import LayerTable, layer_features
from bimotion.data.stored_rows import Spread
from bimotion.errors import SettingError
from bimotion.evaluation.job import TrainingJob
from bimotion.evaluation.tracks.adapted import AdaptedRunner
from bimotion.evaluation.tracks.baseline import BaselineRunner
from bimotion.evaluation.tracks.track import (
    FeatureRunner,
    Load,
    Runner,
    Track,
    loaded_anew,
    window_used,
)
from bimotion.io import audio, files
from bimotion.models.layer_heads import BestLayerHead, best_layer, choice_version
from bimotion.models.spec import ModelSpec
from bimotion.protocol.labels import LabelSchema
from bimotion.results.record import ModelUsed

HEAD = "logistic"
"""The head, as records have it."""


@dataclass(frozen=True)
class Probe(Track):
    """A frozen model and logistic regression on its best layer."""

    name = "probe"
    keywords = ("adapt", "adapt_setting")
    takes_any_encoder = True

    adapt: str | None = None
    """An unsupervised method of bimotion.adaptation, in place of the head."""
    adapt_setting: str | None = None
    """What it is adapted to: transductive (the default) or inductive."""
    load: Load = field(default=loaded_anew, repr=False, compare=False)
    """Gives the encoder."""

    def __post_init__(self):
        if self.adapt is None and self.adapt_setting is not None:
            raise SettingError(
                "adapt_setting: expected a method to adapt with (adapt=..., --adapt), found "
                f"{self.adapt_setting}"
            )

    @classmethod
    def recorded(cls, used: ModelUsed) -> "Probe":
        """The probe of a finished run; how it was adapted plays no part. Raises SettingError for
        one whose head there is no more."""
        if (head := used.options.get("head", HEAD)) != HEAD:
            raise SettingError(
                f"{used.name}: expected a run with head {HEAD}, found head {head}, which was "
                "removed: evaluate the model again"
            )
        return cls()

    def runner(self, spec: ModelSpec, schema: LabelSchema) -> Runner:
        features = self._features(spec)
        if self.adapt is None:
            return features
        return AdaptedRunner(features, schema, self.adapt, self.adapt_setting or "transductive")

    def _features(self, spec: ModelSpec) -> FeatureRunner:
        if spec.is_baseline or spec.is_own:
            refuse_idle(spec)
        if spec.is_baseline:
            from bimotion.models.baselines import baseline_model

            return BaselineRunner(baseline_model(spec.model))
        from bimotion.models import encoder as encoders
        from bimotion.models.own import OwnEncoder

        encoder = OwnEncoder(spec.model) if spec.is_own else self.load(encoders.load, spec)
        return ProbeRunner(encoder)


def refuse_idle(spec: ModelSpec) -> None:
    """Raise SettingError for options that would be ignored: baselines run on the CPU, an object
    where its maker put it."""
    model = "an object with encode()" if spec.is_own else spec.model
    given = {"device": spec.device, "revision": spec.revision, "batch_seconds": spec.batch_seconds}
    given["window"] = None if spec.window == "model" else spec.window
    for name, value in given.items():
        if value is not None and (name, value) != ("device", "cpu"):
            raise SettingError(
                f"{name}: expected none with {model}, which takes no {name.replace('_', ' ')}, "
                f"found {value}"
            )


class ProbeRunner(FeatureRunner):
    """A frozen encoder (models/encoder.py, or a user's own: models/own.py) and a head over its
    layers."""

    head = BestLayerHead

    def __init__(self, encoder):
        self.encoder, self.n_parameters = encoder, encoder.n_parameters

    @property
    def device(self) -> str:
        return str(self.encoder.device)

    def __getstate__(self) -> dict:
        """Sent to another process, it does jobs with the features that there are."""
        return vars(self) | {"encoder": None, "used": self.used}

    @cached_property
    def used(self) -> ModelUsed:
        options = {
            "head": HEAD,
            "trust_remote_code": self.encoder.trusted_remote_code,
            "weights": self.encoder.fingerprint,
            "weights_format": self.encoder.weights_format,
            **window_used(self.encoder.window),
        }
        version = f"{self.encoder.version}-{self.head.version}"
        return ModelUsed(self.encoder.name, version, self.encoder.revision, options)

    def prepare(self, rows: np.ndarray, spread: Spread) -> None:
        table = self.labelled.table.loc[rows].reset_index(drop=True)
        self.layers: LayerTable = layer_features(
            self.encoder, self.labelled.selection.manifest, table, self.progress, spread
        )

    def features(self, rows: np.ndarray):
        return self.layers.take(self.positions[rows])

    def clip_vectors(self, rows: np.ndarray, facts: dict) -> np.ndarray:
        return self.features(rows).layer(facts["layer"])

    def clip_features(self, job: TrainingJob):
        """The features of the layer that is best on the validation clips; its number is kept on
        disk, for many methods ask for it."""
        rows = np.concatenate([job.train, job.validation])
        clips, states = self.labelled.table.iloc[rows], self.labelled.selection.manifest.states
        exclusive, names = self.labelled.schema.exclusive, [*clips["id"]]
        names += [states[corpus] for corpus in sorted(set(clips["corpus"]))]
        asked = hashlib.sha256(
            f"{self.used}{choice_version()}{exclusive}{len(job.train)}{audio.version()}".encode()
            + self.labelled.reference[rows].tobytes()
            + "\n".join(names).encode()
        )
        path = files.cache_dir() / "layers" / f"{asked.hexdigest()[:24]}.json"
        kept = files.read_sealed(path, self.progress.say)
        if kept is None:
            layer = best_layer(
                self.features(job.train),
                self.labelled.reference[job.train],
                exclusive=exclusive,
                validation=self.held_out(job),
            )
            kept = json.dumps({"layer": layer}).encode()
            files.write_sealed(path, kept)
        layer = json.loads(kept)["layer"]
        return lambda rows: self.features(rows).layer(layer), {"layer": layer}

    def largest_difference(self, waveforms: list[np.ndarray]) -> float:
        return self.encoder.largest_difference(waveforms)
