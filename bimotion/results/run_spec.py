"""The question that a run answers: everything that its numbers depend on.

`RunSpec.key` is the hash of its JSON: the same question about the same data has the same key on
every machine.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import Field

from bimotion.io.records import Record, Scalar


@dataclass(frozen=True)
class ModelUsed(Record):
    """A model, and how it was run."""

    name: str
    """Hub id, name of a baseline, or name of a folder."""
    version: str
    """Of our code that ran it."""
    revision: str | None = None
    """Revision or fingerprint of its weights; null for baselines."""
    options: dict[str, Scalar] = field(default_factory=dict)
    """Those that its numbers depend on."""

    @property
    def title(self) -> str:
        """Its name, and the window that it heard, where that is not all of its own.

        >>> ModelUsed("whisper-tiny.en", "2", options={"window": "clip"}).title
        'whisper-tiny.en (window clip)'
        """
        window = self.options.get("window")
        shown = f"{window:g} s" if isinstance(window, float) else window
        return self.name if window is None else f"{self.name} (window {shown})"


@dataclass(frozen=True)
class SplitUsed(Record):
    """The assignment of utterances to train, validation and test."""

    added: ClassVar = frozenset({"folds"})

    rule: str
    """`paper`, `disjoint` or `folds`."""
    seed: int
    """Of the assignment."""
    version: str
    """NUMBERS_VERSION (io/versions.py)."""
    folds: Annotated[int, Field(ge=1, le=5)] | None = None
    """How many of the five folds were run, from the first; null for rules without folds."""

    @property
    def name(self) -> str:
        """The rule, and its number of folds where not all were run.

        >>> SplitUsed("folds", 0, "2", folds=1).name, SplitUsed("folds", 0, "2", folds=5).name
        ('folds-1', 'folds')
        """
        return self.rule if self.folds in (None, 5) else f"{self.rule}-{self.folds}"


@dataclass(frozen=True)
class SchemaUsed(Record):
    """A label schema of protocol/labels.py."""

    name: str
    """`emotion`, `valence` or `four`."""
    version: str
    """Of the schema."""
    classes: list[str]
    """In the order of the predictions' columns."""


@dataclass(frozen=True)
class ProtocolUsed(Record):
    """A named list of settings (protocol/settings.py)."""

    name: str
    """Of the protocol."""
    version: str
    """Of protocol/settings.py."""
    cells: list[str] | None = None
    """The only test cells that were run; null: all."""


DETERMINISTIC = (
    *("none", "coral", "corpus-norm", "corpus-norm-em", "lame", "logit-adjust-uniform"),
    *("logit-adjust-em", "speaker-clusters", "speaker-norm"),
)
"""Adaptation methods whose results do not depend on the seed."""


@dataclass(frozen=True)
class AdaptUsed(Record):
    """An unsupervised adaptation method in place of the head (bimotion.adaptation)."""

    method: str
    """Its name."""
    version: str
    """Of its file."""
    title: str
    """What it is, with its source."""
    setting: str
    """`transductive`: adapted to all clips of the test cell; `inductive`: to its train part; never
    to a label of it."""
    target_seen: bool
    """It hears unlabelled clips of the test cell."""

    @classmethod
    def of(cls, method, setting: str) -> "AdaptUsed":
        """The record of a method (adaptation.method.Method) under a setting."""
        return cls(method.name, method.version, method.title, setting, method.target_seen)

    @property
    def is_seeded(self) -> bool:
        """Its results depend on the seed."""
        return self.method not in DETERMINISTIC

    @property
    def name(self) -> str:
        """Method and setting, and whether the method is a reconstruction, which its title says.

        >>> AdaptUsed("nnpm-c", "1", "NNPM, reconstruction: variant C (classes)", "transductive",
        ...     True).name
        'nnpm-c (reconstruction, transductive)'
        """
        made = "reconstruction, " if "reconstruction" in self.title else ""
        return f"{self.method} ({made}{self.setting})"

    @property
    def summary(self) -> str:
        """A few words for tables."""
        seen = "seen" if self.target_seen else "not seen"
        return f"{self.title}, {self.setting}, target audio {seen}"


@dataclass(frozen=True)
class RunSpec(Record):
    """Everything that the numbers of a run depend on."""

    model: ModelUsed
    """The model."""
    track: str
    """`probe`, `finetune` or `zero-shot`."""
    split: SplitUsed
    """Which utterances train and which test."""
    schema: SchemaUsed
    """The classes."""
    protocol: ProtocolUsed
    """What is trained on what, and tested on what."""
    seeds: list[int]
    """Of whatever is random, one training each."""
    limit: int | None
    """At most so many clips of each corpus, cell and part; null: all, else it cannot be
    submitted."""
    data_fingerprint: str
    """Hash of the utterances used (data/manifest.py)."""
    adapt: AdaptUsed | None = None
    """In place of the probe's head; null: none."""

    @property
    def is_seeded(self) -> bool:
        """Its predictions depend on the seed."""
        is_drawn = self.track == "finetune" or self.model.name == "bimotion/random"
        return is_drawn or (self.adapt is not None and self.adapt.is_seeded)

    @property
    def key(self) -> str:
        """12 hex digits."""
        content = dataclasses.asdict(self)
        if content["split"]["folds"] is None:  # keys of rules without folds are older than these
            del content["split"]["folds"]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
