"""The checked, ordered table of utterances: corpora found on disk, read, their headers probed, the
result cached.

`build` scans every sub-folder of the corpora root once (names, sizes, times), finds each corpus by
content, and reads it anew only where something changed. A damaged file never becomes a row: it
becomes a Finding.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from bimotion.corpora import CORPORA, corpus_named
from bimotion.corpora.tree import Tree
from bimotion.corpora.utterance import UNUSABLE, Finding
from bimotion.data import locate, rosters
from bimotion.data.index import Index, index
from bimotion.data.source import CorpusSource
from bimotion.errors import (
    CorpusAmbiguous,
    CorpusIncomplete,
    CorpusMalformed,
    CorpusNotFound,
    MissingExtra,
    some,
)
from bimotion.io.progress import Progress, default_progress
from bimotion.protocol import cells

OTHERWISE = (
    "Go on without these clips by allow_missing=True (--allow-missing) or name the corpora to "
    "use (--only)"
)


FACTS = ("id", "speaker", "language", "age_years", "gender", "native_label", "official_split")
HEADER_FACTS = ("n_frames", "sample_rate_hz")
"""Columns that the fingerprint is made of."""


@dataclass(frozen=True)
class Manifest:
    """Utterances of some corpora on this disk."""

    table: pd.DataFrame
    """Usable utterances, one row each, sorted by id: fields of Utterance, then n_frames,
    sample_rate_hz, n_channels, container, duration_s, age_group (by true age)."""
    listed: pd.DataFrame
    """The same columns for every utterance that the corpora's own lists name, with or without a
    usable file."""
    findings: tuple[Finding, ...]
    """What was left out or is odd."""
    roots: dict[str, Path]
    """Corpus -> its folder."""
    states: dict[str, str]
    """Corpus -> hash of its folder's place and state (names, sizes, times): the key of whatever is
    derived from it."""
    synthetic: frozenset[str]
    """Corpora made by `bimotion data synth`."""

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of the corpora on this disk, sorted."""
        return tuple(sorted(self.roots))

    @cached_property
    def fingerprint(self) -> str:
        """The hash of what the usable utterances are and say, 16 hex digits; the same for every
        layout and folder."""
        return fingerprint(self.table)

    def path(self, corpus: str, path: str) -> Path:
        """The absolute path of an utterance's file."""
        return self.roots[corpus] / path

    def unusable(self, corpus: str) -> list[Finding]:
        """The findings that make clips of a corpus missing."""
        return [
            finding
            for finding in self.findings
            if finding.corpus == corpus and finding.kind in UNUSABLE
        ]

    def require_complete(self, corpora: Iterable[str], *, otherwise: str = OTHERWISE) -> None:
        """Raise CorpusIncomplete, naming the first few clips of each kind, unless every clip of the
        corpora is usable.

        Args:
            corpora: Their names.
            otherwise: What whoever has no complete corpora can do instead: the start of the
                message's last sentence.
        """
        problems = []
        for name in corpora:
            if name not in self.roots:
                problems.append(f"{name}: not found (get it: {corpus_named(name).card.how_to_get})")
            elif unusable := self.unusable(name):
                problems.append(f"{name} ({self.roots[name]}): {summary(unusable)}")
        if problems:
            raise CorpusIncomplete(
                "expected complete corpora, found:\n  "
                + "\n  ".join(problems)
                + f"\n{otherwise}, or see `bimotion data doctor ROOT` for the whole list."
            )


def summary(findings: Sequence[Finding]) -> str:
    """`2 missing: a, b; 1 empty: c`: kinds with their totals and first five names."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for finding in findings:
        kinds[finding.kind].append(finding.where)
    return "; ".join(f"{len(names)} {kind}: {some(names)}" for kind, names in kinds.items())


def fingerprint(table: pd.DataFrame) -> str:
    """Hash of facts and lengths of utterances, in order of id; 16 hex digits."""
    # column by column: a third of the time of rows
    texts = [
        ["" if value is None or value != value else str(value) for value in column]
        for column in (table[fact].astype(object).tolist() for fact in FACTS + HEADER_FACTS)
    ]
    lines = "".join("\t".join(line) + "\n" for line in sorted(zip(*texts, strict=True)))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def build(
    source: CorpusSource, *, otherwise: str = OTHERWISE, progress: Progress | None = None
) -> Manifest:
    """Build the manifest of the corpora of a source.

    Args:
        source: Where they lie; with `allow_missing` a corpus that cannot be read is left out, with
            a Finding `malformed`, unless none is left.
        otherwise: What to do where one of several corpora is malformed: the last sentence of the
            message.
        progress: Shows how far it is.

    Raises:
        CorpusNotFound: There is no such root, or nothing in it is recognised.
        CorpusAmbiguous: Several folders look like one corpus.
        CorpusMalformed: Label files cannot be understood.
        MissingExtra: An optional package is needed.
    """
    chosen = CORPORA if source.corpora is None else source.corpora
    names = [corpus_named(name).name for name in chosen]
    trees, ambiguous = locate.locate(source, names)
    if ambiguous and not (source.allow_missing and trees):
        raise CorpusAmbiguous(next(iter(ambiguous.values())))
    if not trees:
        raise CorpusNotFound(locate.nothing_found(locate.corpora_root(source.root), names))
    malformed = [
        Finding("malformed", name, str(locate.corpora_root(source.root)), message)
        for name, message in ambiguous.items()
    ]
    indexes = _indexed(source, trees, malformed, otherwise, progress or default_progress())
    listed = _listed(indexes.values())
    synthetic = frozenset(name for name, index in indexes.items() if index.synthetic)
    findings = malformed + [finding for index in indexes.values() for finding in index.findings]
    for name in indexes:
        findings += _against_the_published_list(name, listed, findings, name in synthetic)
    return Manifest(
        table=listed[listed["n_frames"] > 0].reset_index(drop=True),
        listed=listed,
        findings=tuple(findings),
        roots={name: index.root for name, index in indexes.items()},
        states={name: index.state for name, index in indexes.items()},
        synthetic=synthetic,
    )


def _indexed(
    source: CorpusSource,
    trees: dict[str, Tree],
    malformed: list[Finding],
    otherwise: str,
    progress: Progress,
) -> dict[str, Index]:
    """Corpus -> its index; those that cannot be read are added to `malformed`, or raise."""
    indexes = {}
    n_corpora = len(trees) + len(malformed)
    for name, tree in sorted(trees.items()):
        try:
            indexes[name] = index(CORPORA[name], tree, progress)
        except (CorpusMalformed, MissingExtra) as error:
            if isinstance(error, MissingExtra) and not source.allow_missing:
                raise
            if name not in source.locations:
                locate.refuse_corpus_as_root(source.root, name, tree)
            malformed.append(Finding("malformed", name, str(tree.root), str(error)))
            if len(trees) > 1 and not source.allow_missing:
                raise CorpusMalformed(f"{error}. {otherwise}.") from None
            if len(malformed) == n_corpora:
                raise
    return indexes


def _listed(indexes: Iterable[Index]) -> pd.DataFrame:
    """Utterances of several corpora, sorted by id, with their lengths and ages."""
    listed = pd.concat([index.table for index in indexes], ignore_index=True)
    listed = listed.sort_values("id", ignore_index=True)
    rate = listed["sample_rate_hz"]
    listed["duration_s"] = listed["n_frames"] / rate.where(rate > 0)
    listed["age_group"] = [cells.age_group(age) for age in listed["age_years"]]
    return listed


def _against_the_published_list(
    name: str, listed: pd.DataFrame, findings: list[Finding], synthetic: bool
) -> list[Finding]:
    """Ids of the published file list, or of the corpus's own metadata, that have no file, and files
    that have no such id.

    A synthetic corpus is a sample of the list: what it lacks is not missing.
    """
    mine = listed[listed["corpus"] == name]
    conflicting = {finding.where for finding in findings if finding.kind == "conflict"}
    ids = set(mine["id"].tolist())
    missing = set(mine.loc[mine["path"].isna(), "id"]) - conflicting
    published = rosters.load(name)
    n_more = corpus_named(name).card.n_utterances - len(mine)
    disagreeing = []
    if published is not None:
        known = set(published.index.tolist())
        unlisted = sorted(ids - known)
        disagreeing += [Finding("unlisted", name, clip) for clip in unlisted]
        missing |= known - ids
    elif n_more > 0 and not synthetic:
        detail = "not even in the corpus's own metadata"
        disagreeing.append(Finding("missing", name, f"{n_more} more", detail))
    if not synthetic:
        disagreeing += [Finding("missing", name, clip) for clip in sorted(missing)]
    return disagreeing
