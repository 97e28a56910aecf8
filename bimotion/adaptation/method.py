"""What an adaptation method is: a labelled source and unlabelled target clips in, a predictor for
target clips out.

Classes are exclusive. Every method here needs one distribution over classes for a clip (priors,
centroids, confusions), so a reference is int8, shape (n, n_classes), with exactly one 1 a row; -1
(not annotated by the clip's corpus) counts as absent. A class without a positive source clip gets
probability 0, as everywhere (models/heads.py).

Target labels cannot be seen: `Clips` has no place for them, nor for anything but features, corpus
and speaker.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bimotion.errors import SettingError
from bimotion.models.heads import LogisticHead


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """Unlabelled clips. `features`: float32, shape (n, dim). `corpora`, `speakers`: shape (n,),
    names; a speaker may be None.

    Raises SettingError.

    >>> Clips(np.zeros((2, 3), np.float32), ["tess", "tess"], ["tess/OAF",
    ...     None]).take([1]).speakers.tolist()
    [None]
    """

    features: np.ndarray
    corpora: np.ndarray
    speakers: np.ndarray

    def __post_init__(self):
        for name in ("corpora", "speakers"):
            object.__setattr__(self, name, np.array(list(getattr(self, name)), dtype=object))
        features = self.features
        if (
            not isinstance(features, np.ndarray)
            or features.dtype != np.float32
            or features.ndim != 2
        ):
            found = (
                f"{getattr(features, 'dtype', type(features).__name__)} of shape "
                f"{np.shape(features)}"
            )
            raise SettingError(f"features: expected float32 of shape (n, dim), found {found}")
        if not len(features) == len(self.corpora) == len(self.speakers):
            found = f"{len(features)}, {len(self.corpora)} and {len(self.speakers)}"
            raise SettingError(f"expected as many features as corpora and speakers, found {found}")
        if not np.isfinite(features.sum(axis=1, dtype=np.float64)).all():
            raise SettingError("features: expected finite numbers, found nan or inf")

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: np.ndarray) -> "Clips":
        """Some clips."""
        return Clips(self.features[rows], self.corpora[rows], self.speakers[rows])


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled clips. `reference`: int8, shape (n, n_classes), one 1 a row (see above). Raises
    SettingError.

    >>> clips = Clips(np.eye(3, dtype=np.float32), ["tess"] * 3, [None] * 3)
    >>> source = Source(clips, np.array([[1, 0, 0], [0, -1, 1], [0, 0, 1]], np.int8))
    >>> source.trained.tolist(), source.labels.tolist()
    ([True, False, True], [0, 1, 1])
    """

    clips: Clips
    reference: np.ndarray

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

    @cached_property
    def trained(self) -> np.ndarray:
        """Bool (n_classes,): classes with a positive clip. Methods number these from 0, in
        order."""
        return (self.reference == 1).any(axis=0)

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 (n,): the class of each clip, numbered among the trained ones."""
        return (self.reference[:, self.trained] == 1).argmax(axis=1)

    @property
    def n_trained(self) -> int:
        """Trained classes."""
        return int(self.trained.sum())

    @property
    def shares(self) -> np.ndarray:
        """float64 (n_trained,): each trained class's share of the clips."""
        return np.bincount(self.labels, minlength=self.n_trained) / len(self.labels)

    @cached_property
    def head(self) -> LogisticHead:
        """Logistic regression on the source, fitted once for all methods that begin with it."""
        return self.fitted(self.clips.features)

    @cached_property
    def made(self) -> dict[object, object]:
        """What methods make of the source alone, kept for other methods and seeds."""
        return {}

    def fitted(self, features: np.ndarray) -> LogisticHead:
        """Logistic regression on other features of the source clips, float32 (n, any dim)."""
        head = LogisticHead()
        head.fit(
            features, np.eye(self.n_trained, dtype=np.int8)[self.labels], exclusive=True, seed=0
        )
        return head


SETTINGS = ("transductive", "inductive")
"""Whether a method is adapted to the clips that are predicted, or to others of their cell."""

Predictor = Callable[[Clips], np.ndarray]
"""Clips -> probabilities over the trained classes, float64 (n, n_trained), rows sum to 1."""


@dataclass(frozen=True)
class Method(ABC):
    """One method, as it is listed. Subclasses define `adapt` and add their settings as fields.

    `title`: for people; says "reconstruction" where it is one. `family`: what else it may be asked
    for by, with its relatives. `target_seen`: unlabelled target audio is used. `inductive`: clips
    may be predicted that were not adapted to; where False, a prediction depends on the other clips
    that are predicted with it. `seeded`: results depend on the seed. `order_free`: the order of
    target rows is irrelevant; where False, minibatches of target clips are drawn by row number.
    """

    name: str
    title: str
    family: str
    target_seen: bool = True
    inductive: bool = True
    seeded: bool = False
    order_free: bool = True
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
    for clips in (target, test):
        if type(clips) is not Clips:
            raise SettingError(
                f"target: expected Clips, which have no labels, found {type(clips).__name__}"
            )
        if clips.features.shape[1] != source.clips.features.shape[1]:
            found = f"{source.clips.features.shape[1]} and {clips.features.shape[1]}"
            raise SettingError(
                f"expected source and target features of one dimension, found {found}"
            )
    if not len(target):
        raise SettingError("no target clips to adapt to")
    probabilities = np.zeros((len(test), len(source.trained)))
    if len(test):
        probabilities[:, source.trained] = method.adapt(source, target, seed=seed)(test)
    return probabilities
