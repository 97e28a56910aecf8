"""The adaptation method: a labelled source and unlabelled target clips in, a predictor for target
clips out.

Classes are exclusive. Every method here needs one distribution over classes for a clip (priors,
centroids, confusions), so a reference is int8, shape (n, n_classes), with exactly one 1 a row; -1
(not annotated by the clip's corpus) counts as absent. A class without a positive source clip gets
probability 0, as everywhere (models/heads.py).

Target labels cannot be seen: `Clips` has no place for them, nor for anything but features, corpus
and speaker.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from bimotion.errors import SettingError
from bimotion.models.heads import LogisticHead


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """Unlabelled clips. Raises SettingError for features that are no such array.

    >>> features = np.zeros((2, 3), np.float32)
    >>> Clips(features, ["tess", "tess"], ["tess/OAF", None]).take([1]).speakers.tolist()
    [None]
    """

    features: np.ndarray
    """float32, shape (n, dim)."""
    corpora: np.ndarray
    """Names, shape (n,)."""
    speakers: np.ndarray
    """Names, shape (n,); None where a speaker is not known."""

    def __post_init__(self):
        for name in ("corpora", "speakers"):
            object.__setattr__(self, name, np.array(list(getattr(self, name)), dtype=object))
        given, features = self.features, np.asarray(self.features)
        if given is not features or features.dtype != np.float32 or features.ndim != 2:
            raise SettingError(
                "features: expected an array of float32 of shape (n, dim), found "
                f"{type(given).__name__} of {features.dtype} of shape {features.shape}"
            )
        lengths = len(features), len(self.corpora), len(self.speakers)
        if len(set(lengths)) > 1:
            raise SettingError(
                "expected as many features as corpora and speakers, found "
                f"{lengths[0]}, {lengths[1]} and {lengths[2]}"
            )
        if not np.isfinite(features.sum(axis=1, dtype=np.float64)).all():
            raise SettingError("features: expected finite numbers, found nan or inf")

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: np.ndarray) -> "Clips":
        """Some clips."""
        return Clips(self.features[rows], self.corpora[rows], self.speakers[rows])


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled clips. Raises SettingError for clips of several classes or of none, and for a source
    of fewer than two classes.

    >>> clips = Clips(np.eye(3, dtype=np.float32), ["tess"] * 3, [None] * 3)
    >>> source = Source(clips, np.array([[1, 0, 0], [0, -1, 1], [0, 0, 1]], np.int8))
    >>> source.trained.tolist(), source.labels.tolist(), source.held_out
    ([True, False, True], [0, 1, 1], None)
    """

    clips: Clips
    reference: np.ndarray
    """int8, shape (n, n_classes), one 1 a row (see above)."""
    validation: tuple[Clips, np.ndarray] | None = None
    """Clips to choose settings by, with their reference. Where none are given, a fifth of each
    class is set aside, the same ones for every method."""

    def __post_init__(self):
        if len(self.reference) != len(self.clips):
            raise SettingError(
                f"expected a reference for {len(self.clips)} source clips, found "
                f"{len(self.reference)}"
            )
        if ((self.reference == 1).sum(axis=1) != 1).any():
            raise SettingError(
                "adaptation: expected exactly one class a source clip; choose a schema of "
                "exclusive classes"
            )
        if self.trained.sum() < 2:
            raise SettingError(
                "adaptation: expected two classes or more in the source, found "
                f"{self.trained.sum()}"
            )
        if self.validation is None:
            self._set_aside()

    def _set_aside(self) -> None:
        order = np.random.default_rng(0).permutation(len(self.clips))
        classes = (self.reference[order] == 1).argmax(axis=1)
        of_classes = [order[classes == label] for label in np.unique(classes)]
        aside = np.concatenate([rows[: len(rows) // 5] for rows in of_classes])
        clips, reference = self.clips, self.reference
        rest = np.setdiff1d(order, aside)
        object.__setattr__(self, "clips", clips.take(rest))
        object.__setattr__(self, "reference", reference[rest])
        object.__setattr__(self, "validation", (clips.take(aside), reference[aside]))

    @cached_property
    def trained(self) -> np.ndarray:
        """Classes with a positive clip, bool (n_classes,). Methods number them from 0, in order."""
        return (self.reference == 1).any(axis=0)

    @cached_property
    def labels(self) -> np.ndarray:
        """The class of each clip, int64 (n,), numbered among the trained ones."""
        return (self.reference[:, self.trained] == 1).argmax(axis=1)

    @cached_property
    def held_out(self) -> tuple[Clips, np.ndarray] | None:
        """The validation clips of trained classes and their labels, int64 (n,); None without
        any."""
        clips, reference = self.validation
        present = reference[:, self.trained] == 1
        rows = np.flatnonzero(present.any(axis=1))
        return (clips.take(rows), present[rows].argmax(axis=1)) if len(rows) else None

    @property
    def n_trained(self) -> int:
        """Trained classes."""
        return int(self.trained.sum())

    @property
    def shares(self) -> np.ndarray:
        """Each trained class's share of the clips, float64 (n_trained,)."""
        return np.bincount(self.labels, minlength=self.n_trained) / len(self.labels)

    @property
    def head(self) -> LogisticHead:
        """Logistic regression on the source, fitted once for all methods that begin with it."""
        if "head" not in self.learnt:
            self.learnt["head"] = self.fitted(lambda clips: clips.features)
        return self.learnt["head"]

    @cached_property
    def kept(self) -> dict[object, object]:
        """A cache of what was computed of this source, for other targets and seeds."""
        return {}

    @cached_property
    def learnt(self) -> dict[object, object]:
        """A cache of what was learnt from clips and labels equal to these, for every method and run
        of this process: small things, such as heads."""
        digest = hashlib.sha256()
        for clips, reference in ((self.clips, self.reference), self.validation):
            digest.update(np.ascontiguousarray(clips.features))
            digest.update(np.ascontiguousarray(reference))
            names = clips.corpora.tolist(), clips.speakers.tolist()
            digest.update(repr((reference.dtype, reference.shape, names)).encode())
        return learnt_from(digest.digest())

    def fitted(self, features: Callable[[Clips], np.ndarray]) -> LogisticHead:
        """Logistic regression on features of clips, float32 (n, any dim); its C is chosen by the
        validation clips."""
        head, classes, validation = LogisticHead(), np.eye(self.n_trained, dtype=np.int8), None
        if self.held_out is not None:
            clips, labels = self.held_out
            validation = features(clips), classes[labels]
        of_source = features(self.clips)
        head.fit(of_source, classes[self.labels], exclusive=True, seed=0, validation=validation)
        return head


@lru_cache(maxsize=128)
def learnt_from(content: bytes) -> dict[object, object]:
    """The cache of the sources of one content; 13 training sets have five folds each."""
    return {}


SETTINGS = ("transductive", "inductive")
"""Whether a method is adapted to the clips that are predicted, or to others of their cell."""

Predictor = Callable[[Clips], np.ndarray]
"""Clips -> probabilities over the trained classes, float64 (n, n_trained), rows sum to 1."""


@dataclass(frozen=True)
class Method(ABC):
    """One method, as it is listed. Subclasses define `adapt` and add their options as fields."""

    name: str
    title: str
    """For people; says "reconstruction" where it is one."""
    family: str
    """What else it may be asked for by, with its relatives."""
    target_seen: bool = True
    """Unlabelled target audio is used."""
    inductive: bool = True
    """Clips may be predicted that were not adapted to; where False, a prediction depends on the
    other clips that are predicted with it."""
    seeded: bool = False
    """Results depend on the seed."""
    order_free: bool = True
    """The order of target rows is irrelevant; where False, minibatches of target clips are drawn by
    row number."""
    version: str = "1"

    def require(self, setting: str) -> None:
        """Raise SettingError where it has no form for a setting."""
        if setting == "inductive" and not self.inductive:
            raise SettingError(
                f"{self.name}: expected the transductive setting: it predicts clips from one "
                "another"
            )

    @abstractmethod
    def adapt(self, source: Source, target: Clips, *, seed: int) -> Predictor:
        """Learn from the source and the unlabelled target."""


def transductive(method: Method, source: Source, target: Clips, *, seed: int) -> np.ndarray:
    """Adapt to all of the target, predict all of it: probabilities, float64 (n, n_classes). Raises
    SettingError.

    >>> from bimotion.adaptation import METHODS
    >>> clips = Clips(np.array([[-1], [1]], np.float32), ["tess"] * 2, [None] * 2)
    >>> source = Source(clips, np.eye(2, dtype=np.int8))
    >>> transductive(METHODS["none"], source, clips, seed=0).argmax(axis=1).tolist()
    [0, 1]
    """
    return _predicted(method, source, target, target, seed)


def inductive(
    method: Method, source: Source, target: Clips, test: Clips, *, seed: int
) -> np.ndarray:
    """Adapt to `target`, predict `test`, other clips: probabilities, float64 (len(test),
    n_classes). Raises SettingError."""
    method.require("inductive")
    return _predicted(method, source, target, test, seed)


def _predicted(method: Method, source: Source, target: Clips, test: Clips, seed: int) -> np.ndarray:
    dim = source.clips.features.shape[1]
    for clips in (target, test):
        if type(clips) is not Clips:
            raise SettingError(
                f"target: expected Clips, which have no labels, found {type(clips).__name__}"
            )
        if clips.features.shape[1] != dim:
            raise SettingError(
                "expected source and target features of one dimension, found "
                f"{dim} and {clips.features.shape[1]}"
            )
    if not len(target):
        raise SettingError("no target clips to adapt to")
    probabilities = np.zeros((len(test), len(source.trained)))
    if len(test):
        probabilities[:, source.trained] = method.adapt(source, target, seed=seed)(test)
    return probabilities
