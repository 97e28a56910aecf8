"""A corpus, as the rest of the package knows it: a card of facts, and a reader from a scanned
folder to utterances."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bimotion.corpora.sources import Form, Source
from bimotion.corpora.tree import File, Tree
from bimotion.corpora.utterance import AgeSource, Finding, Utterance
from bimotion.errors import CorpusMalformed
from bimotion.protocol.labels import check_emotions

AGES_YEARS = (1, 110)


@dataclass(frozen=True)
class Card:
    """The facts about a corpus that hold for every copy of it."""

    name: str
    """Lower-case identifier, `crema_d`."""
    title: str
    cells: tuple[str, ...]
    """Cells that its clips lie in, by true age."""
    native_labels: dict[str, str]
    """Native code -> canonical emotion."""
    n_utterances: int
    """Clips of a complete copy."""
    sample_rates_hz: tuple[int, ...]
    """Rates that its files have; empty: any."""
    licence: str
    """SPDX identifier or a short name."""
    redistribution: Literal["audio", "labels", "nothing"]
    """What its licence lets a third party publish: converted audio, labels without sound, or
    nothing."""
    url: str
    obtain: str
    """How to get it by hand, in one sentence."""
    citation: str
    age_source: AgeSource
    age_note: str
    """Where ages come from."""
    age_years: float | None = None
    """Of every speaker, where an age is assumed."""
    speaker_note: str | None = None
    """Why speakers are unknown; None where they are known."""
    not_disjoint: str | None = None
    """Why no split can keep its speakers apart; None where one can."""
    faults: str = ""
    """Faults of every true copy, for readers of a dataset card; empty: nothing known."""
    sources: tuple[Source, ...] = ()
    """For `bimotion data download`: those of all its files, one after another."""
    form: Form | None = None
    """For what only the corpus's authors give."""
    known: dict[str, str] | None = None
    """Utterance id (`*`: any) -> Finding kind, for defects of every true copy: reported, but never
    counted as damage."""

    @property
    def emotions(self) -> tuple[str, ...]:
        """The canonical emotions that its annotators could give, in canonical order."""
        return check_emotions(self.native_labels.values())

    @property
    def how_to_get(self) -> str:
        """The command for it, and its address."""
        says = "" if self.form is None else " says how"
        return f"`bimotion data download {self.name}`{says} ({self.url})"

    def utterance(
        self,
        stem: str,
        path: str | None,
        codes: Sequence[str],
        *,
        speaker: str | None = None,
        sentence: str | None = None,
        **facts: Any,
    ) -> Utterance:
        """An utterance of this corpus.

        Args:
            stem: Its id without the corpus.
            path: Below the corpus's folder; None: listed, but no file.
            codes: Native label codes, one in corpora of one label a clip.
            speaker: Without the corpus, as is `sentence`.
            facts: Other fields of Utterance. Without `native_label` it is the code, without
                `age_years` the assumed one.
        """
        known = {"age_years": self.age_years, "native_label": " ".join(codes)} | facts
        return Utterance(
            id=f"{self.name}/{stem}",
            corpus=self.name,
            path=path,
            speaker=speaker and f"{self.name}/{speaker}",
            sentence=sentence and f"{self.name}/{sentence}",
            age_source=self.age_source,
            emotions=check_emotions(self.native_labels[code] for code in codes),
            **known,
        )

    def finding(self, kind: str, path: str, detail: str) -> Finding:
        """A finding about a file of this corpus."""
        return Finding(kind, self.name, path, detail)


class Reading(NamedTuple):
    """The content of a folder. Utterances may repeat an id (several copies)."""

    utterances: list[Utterance]
    findings: list[Finding]

    @classmethod
    def of(cls, items: Iterable[Utterance | Finding]) -> "Reading":
        """Utterances and findings, told apart."""
        items = list(items)
        return cls(
            [item for item in items if isinstance(item, Utterance)],
            [item for item in items if isinstance(item, Finding)],
        )


@dataclass(frozen=True)
class Corpus:
    """A card with the functions that know the corpus's layouts."""

    card: Card
    recognise: Callable[[Tree], int]
    """How many files of a tree are surely this corpus's."""
    read: Callable[[Tree], Reading]
    """Raises CorpusMalformed."""
    unpack: Callable[[Tree, Path], bool] | None = None
    """For corpora that also come as archives: (tree, empty folder) -> True where it wrote the plain
    layout there."""
    packed: Callable[[Tree], list[File]] | None = None
    """The archives that `unpack` reads."""
    facts_of_name: Callable[[str], dict[str, Any] | None] | None = None
    """For corpora that hold both age groups: the stem of a clip -> what it says of `sentence`,
    `age_years` and `gender`, without its sound; None for no clip of it."""
    speakers: Callable[[Tree], Mapping[str, tuple[float, str]] | None] | None = None
    """For those whose names tell no age: speaker -> age in years and gender, by the tables in a
    folder; None where it has none. Raises CorpusMalformed."""
    version: int = 1
    """Raise it when the reader's output changes: cached indexes are then made anew."""

    @property
    def name(self) -> str:
        return self.card.name


class Statements:
    """The facts that the sources of a corpus state: what is stated again must be the same.

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
        """Take a fact; raises CorpusMalformed, naming both sources and facts, where another source
        says otherwise."""
        known, source = self._stated.setdefault(key, (fact, where))
        if known != fact:
            raise CorpusMalformed(
                f"{self.what} {key}: two sources disagree: {source} says {known!r:.120}, "
                f"{where} says {fact!r:.120}; find out which is true and remove the other"
            )

    def __contains__(self, key: str) -> bool:
        return key in self._stated

    def __getitem__(self, key: str):
        return self._stated[key][0]

    def items(self) -> Iterator[tuple[str, Any]]:
        """Key and fact, in the order of their first statement."""
        return ((key, fact) for key, (fact, _) in self._stated.items())


def checked_age(years: float, where: str) -> float:
    """An age that a speaker can have; raises CorpusMalformed."""
    if not AGES_YEARS[0] <= years <= AGES_YEARS[1]:  # NaN too
        raise CorpusMalformed(
            f"{where}: expected an age of {AGES_YEARS[0]} to {AGES_YEARS[1]} years, found "
            f"{years:g}; copy the file again"
        )
    return years


def contradicted(path: str, stated: Callable[[str], object], named: object) -> str | None:
    """The folders of a clip that contradict its name; None where none does.

    Args:
        path: Of the clip, below the corpus's folder.
        stated: Name of a folder, in lower case -> what it says of the clips below it, however deep;
            None: nothing.
        named: What the clip's name says.

    >>> contradicted("old/Negative/a/Nat_Female-1.wav", {"natural": "Nat", "negative": "Neg"}.get,
    ...     "Nat")
    'Negative'
    """
    folders = path.split("/")[:-1]
    return ", ".join(name for name in folders if stated(name.lower()) not in (None, named)) or None


def sounds(tree: Tree, grammar: re.Pattern[str]) -> Iterator[tuple[File, re.Match]]:
    """Sound files whose stem matches a corpus's file-name grammar, with the match."""
    for file in tree.sounds:
        if match := grammar.fullmatch(file.stem):
            yield file, match


def counter(grammar: re.Pattern[str]) -> Callable[[Tree], int]:
    """A `recognise` that counts sound files by file-name grammar."""
    return lambda tree: sum(1 for _ in sounds(tree, grammar))


def named_corpus(
    card: Card,
    grammar: re.Pattern[str],
    clip: Callable[[str, re.Match], Utterance | Finding],
    facts_of_name: Callable[[str], dict[str, Any] | None] | None = None,
) -> Corpus:
    """The corpus whose file names say all: `clip` takes a path and its match of the grammar."""

    def read(tree: Tree) -> Reading:
        return Reading.of(clip(file.path, match) for file, match in sounds(tree, grammar))

    return Corpus(card, counter(grammar), read, facts_of_name=facts_of_name)


def read_listed(
    card: Card,
    listed: Statements,
    media: Mapping[str, list[File]],
    clip: Callable[[str, str | None, Any], Utterance | Finding],
    list_name: str,
) -> Reading:
    """Read a corpus whose own lists say which clips there are.

    Args:
        card: Of the corpus.
        listed: Stem -> facts.
        media: Stem -> the files of that name.
        clip: Describes a stem, a path (None: no file that can be used) and facts.
        list_name: What the user is told that an unlisted file is not in.
    """
    items: list[Utterance | Finding] = []
    for stem, facts in listed.items():
        copies = [clip(stem, file.path, facts) for file in media.get(stem, [])]
        if not any(isinstance(item, Utterance) for item in copies):
            copies.append(clip(stem, None, facts))
        items += copies
    for stem, files in media.items():
        if stem not in listed:
            items += [card.finding("unlabelled", file.path, f"in no {list_name}") for file in files]
    return Reading.of(items)
