"""Tracks: how a model is turned into something that is trained with clips and gives class
probabilities, one file each.

probe       frozen: features of every clip extracted once, logistic regression for every training
            set
finetune    the whole model trained for every training set, as the paper does, or nearly so
zero-shot   a published classifier as it is
(adapted    the features of a probe under an unsupervised method of bimotion.adaptation, in place of
            the head)
(baselines run as probes of their own features)
"""

import os

from bimotion.errors import SettingError, known_name
from bimotion.evaluation.tracks.track import Runner, Track
from bimotion.io.modules import discover
from bimotion.models.spec import ModelSpec
from bimotion.protocol.labels import LabelSchema

__all__ = ["TRACKS", "Runner", "Track", "configured", "require_taken", "runner_of"]

TRACKS = discover("bimotion.evaluation.tracks", Track, first="probe")
"""Name -> track: every subclass of Track in a module of this folder; the default first."""


def configured(track: str | Track, **options: object) -> Track:
    """A track with its options, from the keywords of `bimotion.evaluate`; None: not given.

    Raises UnknownName, SettingError for options of another track, or beside a track that holds its
    own.

    >>> configured("probe", adapt="coral", label_map=None)
    Probe(adapt='coral', adapt_setting=None)
    """
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(track, Track):
        if given:
            raise SettingError(
                f"{next(iter(given))}: expected inside the track, {type(track).__name__}(...), or "
                "the track by its name"
            )
        return track
    known_name("track", track, TRACKS)
    owners = {name: kind.name for kind in TRACKS.values() for name in kind.keywords}
    for name in given:
        if owners[name] != track:
            raise SettingError(f"{name}: expected with track {owners[name]}, found track {track}")
    return TRACKS[track].of(**given)


def runner_of(track: Track, spec: ModelSpec, schema: LabelSchema) -> Runner:
    """A model under a track. Raises UnknownName, ModelError; SettingError for what the track does
    not take."""
    require_taken(track, spec)
    return track.runner(spec, schema)


def require_taken(track: Track, spec: ModelSpec) -> None:
    """Raise SettingError for a model, or several processes, that a track does not take."""
    n_processes = int(os.environ.get("WORLD_SIZE", 1))
    if n_processes > 1 and not track.takes_several_processes:
        raise SettingError(
            f"track {track.name}: expected one process, found {n_processes}: only finetune uses "
            "several"
        )
    if (spec.is_own or spec.is_baseline) and not track.takes_any_encoder:
        raise SettingError(
            f"track {track.name}: expected a Hub id or a folder, found "
            f"{type(spec.model).__name__ if spec.is_own else spec.model}"
        )
    if spec.window != "model" and not track.takes_window:
        raise SettingError(
            f"track {track.name}: expected window model, for it is trained on whole windows, found "
            f"{spec.window}"
        )
