"""What a corpus is to the rest of the package: a card of facts, and a reader from a scanned folder
to utterances."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bimotion.corpora.tree import File, Tree
from bimotion.corpora.utterance import Finding, Utterance
from bimotion.errors import CorpusMalformed

AGES_YEARS = (1, 110)
SOUND_SUFFIXES = frozenset({".wav", ".flac", ".aif", ".aiff", ".mp3", ".ogg"})


@dataclass(frozen=True)
class Card:
    """Facts about a corpus that hold for every copy of it.

    name              lower-case identifier, `crema_d`
    cells             cells that its clips lie in, by true age
    emotions          canonical emotions that its annotators could give
    native_labels     native code -> canonical emotion
    n_utterances      clips of a complete copy
    sample_rates_hz   rates that its files have; empty: any
    licence           SPDX identifier or a short name
    redistribution    what its licence lets a third party publish: "audio" (converted), "labels" (no
                      sound), "nothing"
    obtain            how to get it, in one sentence
    speaker_note      why speakers are unknown; None where they are known
    age_note          where ages come from
    not_disjoint      why no split can keep its speakers apart; None where one can
    known             utterance id (`*`: any) -> Finding kind, for defects of every true copy: told,
                      never counted as damage
    """

    name: str
    title: str
    cells: tuple[str, ...]
    emotions: tuple[str, ...]
    native_labels: dict[str, str]
    n_utterances: int
    sample_rates_hz: tuple[int, ...]
    licence: str
    redistribution: Literal["audio", "labels", "nothing"]
    url: str
    obtain: str
    citation: str
    age_note: str
    speaker_note: str | None = None
    not_disjoint: str | None = None
    known: dict[str, str] | None = None


@dataclass
class Reading:
    """What a reader made of a folder. Utterances may repeat an id (several copies); `path=None`:
    listed, but no file."""

    utterances: list[Utterance]
    findings: list[Finding]


@dataclass(frozen=True)
class Corpus:
    """A card with the functions that know the corpus's layouts.

    recognise   how many files of a tree are surely this corpus's
    read        tree -> Reading; raises CorpusMalformed
    unpack      for corpora that also come as archives: (tree, empty folder) -> True where it wrote
                the plain layout there
    version     raise it when the reader's output changes: cached indexes are then made anew
    """

    card: Card
    recognise: Callable[[Tree], int]
    read: Callable[[Tree], Reading]
    unpack: Callable[[Tree, Path], bool] | None = None
    version: int = 1

    @property
    def name(self) -> str:
        return self.card.name


class Statements:
    """What the sources of a corpus state, each fact once: what is stated again must be the same.

    >>> facts = Statements("actor")
    >>> facts.add("1001", (51, "m"), "a.csv:2")
    >>> facts.add("1001", (51, "m"), "b.csv:2")
    >>> facts["1001"]
    (51, 'm')
    """

    def __init__(self, what: str):
        self.what = what
        self._stated: dict[str, tuple[object, str]] = {}

    def add(self, key: str, fact: object, where: str) -> None:
        """Take a fact from a place; raises CorpusMalformed, naming both places and facts, where
        another says otherwise."""
        known, place = self._stated.setdefault(key, (fact, where))
        if known != fact:
            raise CorpusMalformed(
                f"{self.what} {key}: two sources disagree: {place} says {known!r:.120}, "
                f"{where} says {fact!r:.120}; find out which is true and remove the other"
            )

    def __contains__(self, key: str) -> bool:
        return key in self._stated

    def __getitem__(self, key: str):
        return self._stated[key][0]

    def items(self) -> Iterator[tuple[str, Any, str]]:
        """Key, fact and its first place, in the order of their first statement."""
        return ((key, fact, place) for key, (fact, place) in self._stated.items())


def checked_age(years: float, where: str) -> float:
    """An age that a speaker can have; raises CorpusMalformed."""
    if not AGES_YEARS[0] <= years <= AGES_YEARS[1]:  # NaN too
        raise CorpusMalformed(
            f"{where}: expected an age of {AGES_YEARS[0]} to {AGES_YEARS[1]} years, found "
            f"{years:g}; copy the file again"
        )
    return years


def contradicted(path: str, stated: Callable[[str], object], said: object) -> str | None:
    """Which folders of a clip state something else than its name does; None where none does.

    stated   name of a folder, in lower case -> what it says of the clips below it, however deep;
             None: nothing
    said     what the clip's name says

    >>> contradicted("old/Negative/a/Nat_Female-1.wav", {"natural": "Nat", "negative": "Neg"}.get,
    ...     "Nat")
    'Negative'
    """
    return (
        ", ".join(
            folder for folder in path.split("/")[:-1] if stated(folder.lower()) not in (None, said)
        )
        or None
    )


def sounds(
    tree: Tree, grammar: re.Pattern[str], suffixes: frozenset[str] = SOUND_SUFFIXES
) -> Iterator[tuple[File, re.Match]]:
    """Sound files whose stem matches a corpus's file-name grammar, with the match."""
    for file in tree.files:
        if file.suffix in suffixes and (match := grammar.fullmatch(file.stem)):
            yield file, match


def counter(grammar: re.Pattern[str]) -> Callable[[Tree], int]:
    """A `recognise` that counts sound files by file-name grammar."""
    return lambda tree: sum(1 for _ in sounds(tree, grammar))
