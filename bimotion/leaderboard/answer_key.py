"""The answer key that a submission is held against: the clips of every test set, their labels,
their speakers.

Built from corpora on disk, or from a labels file made of them (labels_file.py), which needs no
sound.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.corpora.utterance import Votes
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError, some
from bimotion.io.progress import Progress
from bimotion.leaderboard.assignments import (
    Assignment,
    Assignments,
    Splits,
    in_fold,
    labels_of,
    parts_by_fold,
)
from bimotion.leaderboard.hidden_test import HiddenTest
from bimotion.protocol.labels import LabelSchema

_OTHERWISE = "An answer key is of whole corpora: name those (--only)"
_SALT = "bimotion-speaker-1"


@dataclass(frozen=True)
class AnswerKey:
    """The clips of some corpora under every split rule, seed 0, and what is true of them."""

    table: pd.DataFrame
    """Index: id, sorted; columns corpus, speaker (hash, or None), emotions (joined by `+`; None:
    not given)."""
    splits: Splits
    """Of the clips of the table."""
    assignments: Mapping[str, Assignment]
    """`corpus/rule/schema/cell` -> Assignment; a rule's fold behind it: `folds-3`."""
    fingerprints: dict[str, str]
    """`fingerprint_key` -> fingerprint of the data."""
    manifest_of_file: str | None
    """`manifest`, as a labels file says; None where the corpora are at hand."""
    practice: bool
    """Made of synthetic or incomplete corpora."""
    utterances: pd.DataFrame | None = field(default=None, compare=False, repr=False)
    """Rows of the manifest, where the corpora are at hand."""
    hidden: HiddenTest | None = field(default=None, compare=False, repr=False)
    """The labels that count, where submissions must hold none; `table` has those that participants
    were given. None: no labels are held back."""

    @classmethod
    def of_corpora(cls, source: CorpusSource, *, progress: Progress | None = None) -> "AnswerKey":
        """Make the answer key of the corpora of a source, each complete and real.

        Args:
            source: all corpora that it names; where it names none, those that are found. With
                `allow_missing` also synthetic and incomplete ones, for practice.
            progress: of reading the corpora.

        Raises:
            CorpusIncomplete, SettingError: for corpora that are not complete, or not real.
            BimotionError: as manifest.build.

        Example::

            answer_key = AnswerKey.of_corpora(CorpusSource.of("/corpora"))
            verify(Path("leaderboard/submissions/lab__model/0123456789ab"), answer_key).problems
        """
        listed = manifest.build(source, otherwise=_OTHERWISE, progress=progress)
        practice = source.allow_missing
        if not practice:
            listed.require_complete(source.corpora or listed.corpora, otherwise=_OTHERWISE)
            if listed.synthetic:
                raise SettingError(
                    "expected real corpora, found synthetic ones: "
                    f"{', '.join(sorted(listed.synthetic))}"
                )
        utterances = listed.table.set_index("id", drop=False)
        known = utterances["speaker"].dropna().unique().tolist()
        hashes = {speaker: speaker_hash(speaker) for speaker in known}
        table = pd.DataFrame(
            {
                "corpus": utterances["corpus"].to_numpy(object),
                "speaker": list(map(hashes.get, utterances["speaker"].tolist())),
                "emotions": ["+".join(names) for names in utterances["emotions"]],
            },
            # of objects: texts of Arrow are looked up and walked through several times as slowly
            index=utterances.index.astype(object),
            dtype=object,
        )
        splits = Splits.of(listed, table.index, practice=practice)
        age_source = utterances["age_source"].to_numpy(object)
        assignments = Assignments(table.assign(age_source=age_source), splits)
        return cls(table, splits, assignments, {}, None, practice, utterances)

    @cached_property
    def manifest(self) -> str:
        """Fingerprint of all usable utterances that this was made of."""
        return self.manifest_of_file or manifest.fingerprint(self.utterances)

    @cached_property
    def corpora(self) -> list[str]:
        """Names, in the order of the registry."""
        present = set(self.table["corpus"])
        return [name for name in CORPORA if name in present]

    @cached_property
    def unlabelled(self) -> list[str]:
        """Corpora without labels here."""
        return sorted(self.table.loc[self.table["emotions"].isna(), "corpus"].unique())

    def votes(self, clips: pd.Index) -> list[Votes | None]:
        """The choices of the raters of each clip; None where there are none, or this is of a labels
        file."""
        if self.utterances is None:
            return [None] * len(clips)
        return self.utterances["votes"].loc[clips].tolist()

    def hiding(self, true: "AnswerKey") -> "AnswerKey":
        """The answer key of a hidden test: this one, of the corpora as participants have them, with
        the labels of another that knows them.

        Raises:
            SettingError: where the two differ in anything but labels.
        """
        ours, theirs = (key.with_splits().drop(columns="emotions") for key in (self, true))
        if not ours.equals(theirs):
            both = ours.index.intersection(theirs.index)
            differing = ours.index.symmetric_difference(theirs.index).union(
                both[(ours.loc[both].fillna("") != theirs.loc[both].fillna("")).any(axis=1)]
            )
            raise SettingError(
                "expected the corpora that were given out to differ from the true ones in labels "
                f"only, found other clips, speakers, cells or parts: {some(differing)}"
            )
        return dataclasses.replace(self, hidden=HiddenTest(true.table["emotions"]))

    def with_splits(self) -> pd.DataFrame:
        """The table, and the split of its clips under every rule: cell_<rule>, part_<rule>, and the
        fold of the one that has several."""
        of_rules = {
            f"{name}_{rule}": split[name]
            for rule, split in self.splits.items()
            for name in ("cell", "part")
        }
        return self.table.assign(**of_rules, fold=self.splits["folds"]["fold"])

    def only(self, corpora: Iterable[str]) -> "AnswerKey":
        """The same of some of its corpora."""
        names = set(corpora)
        if names.issuperset(self.corpora):
            return self
        table = self.table[self.table["corpus"].isin(names)]
        splits = self.splits.only(table.index)
        if isinstance(self.assignments, Assignments):
            assignments = self.assignments.only(table.index, splits)
        else:
            assignments = {
                key: assignment
                for key, assignment in self.assignments.items()
                if key.partition("/")[0] in names
            }
        return dataclasses.replace(self, table=table, splits=splits, assignments=assignments)

    def assigned_in(
        self,
        rule: str,
        schema: str,
        cell: object,
        corpora: Iterable[str] | None = None,
        fold: int = 0,
    ) -> dict[str, Assignment]:
        """Corpus -> Assignment of one cell, of those corpora (None: all) that have clips there."""
        names = self.corpora if corpora is None else corpora
        keys = {name: f"{name}/{in_fold(rule, fold)}/{schema}/{cell}" for name in names}
        return {
            name: self.assignments[key] for name, key in keys.items() if key in self.assignments
        }

    def assignments_of(
        self,
        rule: str,
        schema: str,
        cells: Iterable[object],
        corpora: Iterable[str] | None = None,
        fold: int = 0,
    ) -> list[Assignment]:
        """The assignments of several cells, as in `assigned_in`."""
        return [
            assignment
            for cell in cells
            for assignment in self.assigned_in(rule, schema, cell, corpora, fold).values()
        ]

    def test_clips(
        self,
        rule: str,
        schema: LabelSchema,
        cell: object,
        corpora: Iterable[str] | None = None,
        folds: int | None = None,
    ) -> pd.DataFrame:
        """The test part of a cell, over its first so many folds (None: all).

        Returns:
            Index id; columns cell, corpus, speaker, fold, labels (a text of `-`, 0 and 1; None:
            withheld). Clips without a class are left out; where labels are withheld and not every
            clip need have one, all are there.
        """
        table, split = self.table, self.splits[rule]
        of_cell = split["cell"] == str(cell)
        of_cell = of_cell if corpora is None else of_cell & table["corpus"].isin(list(corpora))
        tested = [parts == "test" for parts in parts_by_fold(split[of_cell], rule)[:folds]]
        rows = table[of_cell][np.any(tested, axis=0)]
        folds_of = np.argmax(tested, axis=0)[np.any(tested, axis=0)]
        clips = rows[["corpus", "speaker"]].assign(
            cell=str(cell), fold=folds_of, labels=labels_of(rows, schema)
        )
        kept = clips["labels"].notna() | rows["emotions"].isna()
        return clips.loc[kept, ["cell", "corpus", "speaker", "fold", "labels"]].astype(object)

    def fingerprint(
        self, rule: str, schema: LabelSchema, cells: Iterable[object], corpora: Iterable[str]
    ) -> str | None:
        """The manifest.fingerprint of what a run over some cells and corpora uses; None where a
        labels file does not say."""
        cells, corpora = list(map(str, cells)), list(corpora)
        key = fingerprint_key(rule, schema, cells, corpora)
        if key not in self.fingerprints and self.utterances is not None:
            is_used = self.table["corpus"].isin(corpora) & self.splits[rule]["cell"].isin(cells)
            rows = self.table[is_used]
            used = rows.index[[labels is not None for labels in labels_of(rows, schema)]]
            self.fingerprints[key] = manifest.fingerprint(self.utterances.loc[used])
        return self.fingerprints.get(key)


def fingerprint_key(
    rule: str, schema: LabelSchema, cells: Iterable[object], corpora: Iterable[str]
) -> str:
    """The name of a fingerprint in a labels file."""
    return f"{rule}/{schema.name}/{'+'.join(sorted(map(str, cells)))}/{'+'.join(sorted(corpora))}"


def speaker_hash(speaker: str) -> str:
    """12 hex digits that stand for a speaker, the same in every labels file."""
    return hashlib.sha256(f"{_SALT}|{speaker}".encode()).hexdigest()[:12]
