"""Tracks: how a model is turned into something that is trained with clips and gives class
probabilities, one file each.

probe       frozen: features of every clip extracted once, a small head trained for every training
            set
finetune    the whole model trained for every training set, as the paper does
zero-shot   a published classifier as it is
(adapted    the features of a probe under an unsupervised method of bimotion.adaptation, in place of
            the head)
(baselines run as probes of their own features)
"""

import os
from dataclasses import dataclass, fields
from pathlib import Path

from bimotion.errors import SettingError, UnknownName
from bimotion.evaluation.tracks.track import FeatureTrack, Track
from bimotion.models.layer_heads import PROBE_HEADS
from bimotion.models.training import FinetuneOptions
from bimotion.models.weights import ModelSpec
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import TRACKS
from bimotion.results.record import ModelUsed

__all__ = ["Track", "TrackOptions", "track"]


@dataclass(frozen=True)
class TrackOptions:
    """What one track alone takes; None: not given.

    head              of `probe`: layers (learned layer weighting + linear) or logistic (on the best
                      validation layer)
    adapt             of `probe`: an unsupervised method of bimotion.adaptation in place of the
                      head;  adapt_setting: to what
    label_map         of `zero-shot`: a JSON file, output name -> emotion
    finetune          of `finetune`: how to train
    save_checkpoints  of `finetune`: keep the best checkpoint of every training set beside the
                      result
    """

    head: str | None = None
    adapt: str | None = None
    adapt_setting: str | None = None
    label_map: Path | None = None
    finetune: FinetuneOptions | None = None
    save_checkpoints: bool = True

    @classmethod
    def recorded(cls, track: str, used: ModelUsed) -> "TrackOptions":
        """Of a finished run of `probe` or `finetune`, from its record.

        >>> TrackOptions.recorded("probe", ModelUsed("org/model", "1", None,
        ...     {"head": "logistic"})).head
        'logistic'
        """
        if track != "finetune":
            return cls(head=used.options.get("head"))
        return cls(
            finetune=FinetuneOptions(
                **{field.name: used.options[field.name] for field in fields(FinetuneOptions)}
            )
        )


def track(model: object, name: str, schema: LabelSchema, options: TrackOptions, **spec) -> Track:
    """A model under a track. `model`: a baseline, a Hub id or a folder, or an object with
    `encode(waveforms, sample_rate_hz)`; `spec`: other fields of ModelSpec.

    Raises UnknownName, ModelError; SettingError for options of another track.
    """
    if name not in TRACKS:
        raise UnknownName("track", name, TRACKS)
    known = ModelSpec(model if isinstance(model, str) else type(model).__name__, **spec)
    if options.head is not None and options.head not in PROBE_HEADS:
        raise UnknownName("head", options.head, PROBE_HEADS)
    owners = {
        "head": "probe",
        "adapt": "probe",
        "adapt_setting": "probe",
        "label_map": "zero-shot",
        "finetune": "finetune",
    }
    if strange := [
        field
        for field, owner in owners.items()
        if owner != name and getattr(options, field) is not None
    ]:
        raise SettingError(
            f"{strange[0]}: expected with track {owners[strange[0]]}, found track {name}"
        )
    if name != "finetune" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise SettingError(
            f"track {name}: expected one process, found {os.environ['WORLD_SIZE']}: only finetune "
            "uses several"
        )
    if options.adapt is None and options.adapt_setting is not None:
        raise SettingError(
            "adapt_setting: expected a method to adapt with (adapt=..., --adapt), found "
            f"{options.adapt_setting}"
        )
    if options.adapt is not None and options.head is not None:
        raise SettingError(
            f"head: expected none beside adapt, which takes its place, found {options.head}"
        )
    own, is_floor = (
        not isinstance(model, str),
        isinstance(model, str) and model.startswith("bimotion/"),
    )
    if (own or is_floor) and name != "probe":
        raise SettingError(
            f"track {name}: expected a Hub id or a folder, found "
            f"{model if is_floor else type(model).__name__}"
        )
    if is_floor or own:
        _refuse_idle(known, "an object with encode()" if own else model)
    if is_floor:
        from bimotion.evaluation.tracks.baseline import BaselineTrack
        from bimotion.models.baselines import baseline_model

        return _adapted(BaselineTrack(baseline_model(model)), schema, options)
    if name == "probe":
        from bimotion.evaluation.tracks.probe import ProbeTrack
        from bimotion.models import encoder as encoders
        from bimotion.models.own import OwnEncoder

        encoder = OwnEncoder(model) if own else encoders.load(known)
        return _adapted(
            ProbeTrack(encoder, options.head or ("logistic" if options.adapt else "layers")),
            schema,
            options,
        )
    if name == "zero-shot":
        from bimotion.evaluation.tracks.zero_shot import ZeroShotTrack
        from bimotion.models.classifier import Classifier

        return ZeroShotTrack(
            Classifier(known), schema, options.label_map and Path(options.label_map)
        )
    from bimotion.evaluation.tracks.finetune import FinetuneTrack

    return FinetuneTrack(known, options.finetune or FinetuneOptions(), options.save_checkpoints)


def _refuse_idle(spec: ModelSpec, model: str) -> None:
    """Raise SettingError for options that would be ignored: baselines run on the CPU, an object
    where its maker put it."""
    given = {"device": spec.device, "revision": spec.revision, "batch_seconds": spec.batch_seconds}
    for name, value in given.items():
        if value is not None and (name, value) != ("device", "cpu"):
            raise SettingError(
                f"{name}: expected none with {model}, which takes no {name.replace('_', ' ')}, "
                f"found {value}"
            )


def _adapted(probe: FeatureTrack, schema: LabelSchema, options: TrackOptions) -> Track:
    """A probe, or its features adapted by a method where one is asked for."""
    if options.adapt is None:
        return probe
    from bimotion.evaluation.tracks.adapted import AdaptedTrack

    return AdaptedTrack(probe, schema, options.adapt, options.adapt_setting or "transductive")
