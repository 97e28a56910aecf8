"""The answer key that a submission is held against: the clips of every test set, their labels,
their speakers.

Built from corpora on disk, or from a labels file made of them (labels_file.py), which needs no
sound.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, NonNegativeInt

from bimotion.corpora import CORPORA
from bimotion.corpora.utterance import AGE_SOURCES, PARTS, Votes
from bimotion.data import manifest, splits
from bimotion.data.folds import EVERY, part_in
from bimotion.data.rules import RULES, n_folds
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusError, SettingError, some
from bimotion.io.progress import Progress
from bimotion.io.records import Record
from bimotion.leaderboard.hidden_test import HiddenTest
from bimotion.protocol.labels import SCHEMAS, LabelSchema

_OTHERWISE = "An answer key is of whole corpora: name those (--only)"
_SALT = "bimotion-speaker-1"
_SYMBOLS = np.frombuffer(b"-01", "S1")  # of the labels -1, 0, 1


@dataclass(frozen=True)
class Assignment(Record):
    """Clips of one corpus and cell under a split rule (and fold) and schema: those that have a
    class."""

    n: dict[Literal[*PARTS], NonNegativeInt]
    """Part -> clips."""
    age_source: dict[Literal[*AGE_SOURCES], NonNegativeInt]
    """How ages are known -> clips, of all folds."""
    trained: list[str]
    """Classes with a positive training clip."""
    labels_hash: Annotated[str, Field(alias="marks")]
    """Hash of the ids and labels of the test part, as the function of this name makes it."""


@dataclass(frozen=True)
class AnswerKey:
    """The clips of some corpora under every split rule, seed 0, and what is true of them."""

    table: pd.DataFrame
    """Index: id, sorted; columns corpus, speaker (hash, or None), emotions (joined by `+`; None:
    not given), for every rule cell_<rule> and part_<rule> (None: in none; part_folds: the only one
    that a clip may have, None: any), and fold (a text; None: tested in no fold)."""
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
        for rule in RULES:
            split = _split(listed, rule, practice).reindex(table.index).astype(object)
            split = split.where(split.notna() & (split != ""), None)
            table[[f"cell_{rule}", f"part_{rule}"]] = split[["cell", "only_part"]]
            table["fold"] = split["fold"]  # of the last rule, folds
        assignments = _Assignments(table, utterances["age_source"].to_numpy(object))
        return cls(table, assignments, {}, None, practice, utterances)

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

    @property
    def votes(self) -> dict[str, Votes | None]:
        """Clip -> the choices of its raters; of no clip where this is of a labels file."""
        if self.utterances is None:
            return {}
        return dict(zip(self.utterances["id"], self.utterances["votes"], strict=True))

    def hiding(self, true: "AnswerKey") -> "AnswerKey":
        """The answer key of a hidden test: this one, of the corpora as participants have them, with
        the labels of another that knows them.

        Raises:
            SettingError: where the two differ in anything but labels.
        """
        ours, theirs = (key.table.drop(columns="emotions") for key in (self, true))
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

    def only(self, corpora: Iterable[str]) -> "AnswerKey":
        """The same of some of its corpora."""
        names = set(corpora)
        return dataclasses.replace(
            self,
            table=self.table[self.table["corpus"].isin(names)],
            assignments=_of(self.assignments, names),
        )

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
        table = self.table
        of_cell = table[f"cell_{rule}"] == str(cell)
        of_cell = of_cell if corpora is None else of_cell & table["corpus"].isin(list(corpora))
        table = table[of_cell]
        tested = [parts == "test" for parts in parts_by_fold(table, rule)[:folds]]
        rows = table[np.any(tested, axis=0)]
        folds_of = np.argmax(tested, axis=0)[np.any(tested, axis=0)]
        clips = rows[["corpus", "speaker"]].assign(
            cell=str(cell), fold=folds_of, labels=_labels(rows, schema)
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
            is_used = self.table["corpus"].isin(corpora) & self.table[f"cell_{rule}"].isin(cells)
            rows = self.table[is_used]
            used = rows.index[[labels is not None for labels in _labels(rows, schema)]]
            self.fingerprints[key] = manifest.fingerprint(self.utterances.loc[used])
        return self.fingerprints.get(key)


def in_fold(rule: str, fold: int) -> str:
    """The name of a rule's fold in a labels file: `paper`, `folds-3`."""
    return f"{rule}-{fold}" if n_folds(rule) > 1 else rule


_FOLDS = {in_fold(rule, fold): (rule, fold) for rule in RULES for fold in range(n_folds(rule))}


def parts_by_fold(table: pd.DataFrame, rule: str) -> list[np.ndarray]:
    """The part of each clip of an AnswerKey's table, an array a fold; "" for none."""
    own = table[f"part_{rule}"].fillna("").to_numpy(str)
    if n_folds(rule) == 1:
        return [own]
    numbers = table["fold"].fillna(str(EVERY)).astype(np.int8).to_numpy()
    is_in_none = table[f"cell_{rule}"].isna().to_numpy()
    return [np.where(is_in_none, "", part_in(fold, numbers, own)) for fold in range(n_folds(rule))]


def fingerprint_key(
    rule: str, schema: LabelSchema, cells: Iterable[object], corpora: Iterable[str]
) -> str:
    """The name of a fingerprint in a labels file."""
    return f"{rule}/{schema.name}/{'+'.join(sorted(map(str, cells)))}/{'+'.join(sorted(corpora))}"


def speaker_hash(speaker: str) -> str:
    """12 hex digits that stand for a speaker, the same in every labels file."""
    return hashlib.sha256(f"{_SALT}|{speaker}".encode()).hexdigest()[:12]


def labels_text(reference: np.ndarray) -> list[str]:
    """The labels of clips, int8 (n, n_classes), as texts.

    >>> labels_text(np.array([[1, 0, -1]], np.int8))
    ['10-']
    """
    symbols = np.ascontiguousarray(_SYMBOLS[np.asarray(reference, np.int64) + 1])
    return symbols.view(f"S{symbols.shape[1]}").ravel().astype(str).tolist()


def labels_hash(clips: Iterable[tuple[str, str]]) -> str:
    """The hash of a test part: of its ids and labels, in any order."""
    lines = (f"{name}\t{labels}\n" for name, labels in sorted(clips))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _split(listed: manifest.Manifest, rule: str, practice: bool) -> pd.DataFrame:
    """Cell, only part and fold (a text) of each utterance; empty where, for practice, a corpus is
    too incomplete for the rule."""
    names = ["cell", "only_part", "fold"]
    try:
        table = splits.split(listed, rule).table
    except CorpusError:
        if not practice:
            raise
        return pd.DataFrame(columns=names, dtype=object)
    return table.assign(fold=table["fold"].astype(str).replace(str(EVERY), ""))[names]


def _labels(rows: pd.DataFrame, schema: LabelSchema) -> list[str | None]:
    """Labels of clips (columns corpus, emotions) as text; None: no class under the schema, or
    withheld."""

    @cache
    def labels(corpus: str, emotions: str | None) -> str | None:
        names = None if emotions is None else [name for name in emotions.split("+") if name]
        annotated = CORPORA[corpus].card.emotions
        if names is None or schema.left_out(names, annotated) is not None:
            return None
        return labels_text(schema.reference(names, annotated)[None])[0]

    return list(map(labels, rows["corpus"], rows["emotions"]))


def _of(assignments: Mapping[str, Assignment], corpora: set[str]) -> Mapping[str, Assignment]:
    if isinstance(assignments, _Assignments):
        return assignments.only(corpora)
    return {key: value for key, value in assignments.items() if key.partition("/")[0] in corpora}


class _Assignments(Mapping):
    """All assignments of an AnswerKey's table, each made when it is first asked for: one run asks
    for those of one rule and schema."""

    def __init__(self, table: pd.DataFrame, age_source: np.ndarray):
        self._table = table.assign(age_source=age_source)
        self._rows: dict[tuple[str, str], dict[tuple[str, str], pd.DataFrame]] = {}
        self._parts: dict[tuple[str, str, str, str], list[np.ndarray]] = {}
        self._made: dict[str, Assignment] = {}

    def only(self, corpora: set[str]) -> Mapping[str, Assignment]:
        """Those of some corpora; itself where these are all."""
        is_of = self._table["corpus"].isin(corpora)
        if is_of.all():
            return self
        rows = self._table[is_of]
        return _Assignments(rows.drop(columns="age_source"), rows["age_source"].to_numpy())

    def __getitem__(self, key: str) -> Assignment:
        if key not in self._made:
            self._made[key] = self._make(key)
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        for rule in RULES:
            for schema in SCHEMAS:
                for corpus, cell in self._rows_of(rule, schema):
                    for fold in range(n_folds(rule)):
                        yield f"{corpus}/{in_fold(rule, fold)}/{schema}/{cell}"

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _make(self, key: str) -> Assignment:
        corpus, _, rest = key.partition("/")
        folded, _, rest = rest.partition("/")
        schema, _, cell = rest.partition("/")
        rule, fold = _FOLDS.get(folded, ("", 0))
        if not rule or schema not in SCHEMAS:
            raise KeyError(key)
        rows = self._rows_of(rule, schema)[corpus, cell]
        if (rule, schema, corpus, cell) not in self._parts:
            self._parts[rule, schema, corpus, cell] = parts_by_fold(rows, rule)
        parts = pd.Series(self._parts[rule, schema, corpus, cell][fold], rows.index)
        return _assignment(rows, parts[parts != ""], SCHEMAS[schema])

    def _rows_of(self, rule: str, schema: str) -> dict[tuple[str, str], pd.DataFrame]:
        """Corpus and cell -> clips that have a class."""
        if (rule, schema) not in self._rows:
            columns = ["corpus", "age_source", "fold", f"cell_{rule}", f"part_{rule}"]
            clips = self._table[columns].assign(labels=_labels(self._table, SCHEMAS[schema]))
            clips = clips[clips[f"cell_{rule}"].notna() & clips["labels"].notna()]
            self._rows[rule, schema] = dict(list(clips.groupby(["corpus", f"cell_{rule}"])))
        return self._rows[rule, schema]


def _assignment(rows: pd.DataFrame, parts: pd.Series, schema: LabelSchema) -> Assignment:
    test = rows.loc[parts.index[parts == "test"]]
    train = rows.loc[parts.index[parts == "train"], "labels"].unique()
    n, age_source = (
        {str(name): int(count) for name, count in names.value_counts().sort_index().items()}
        for names in (parts, rows["age_source"])
    )
    trained = [
        name
        for index, name in enumerate(schema.classes)
        if any(labels[index] == "1" for labels in train)
    ]
    test_hash = labels_hash(zip(test.index, test["labels"], strict=True))
    return Assignment(n=n, age_source=age_source, trained=trained, labels_hash=test_hash)
