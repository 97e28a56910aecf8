"""The split of an answer key's clips under every rule, and the assignments that follow: how many
clips of a corpus and cell a part has, and which labels.

A submission asks for one rule and schema, so each is made when it is first asked for.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field, NonNegativeInt

from bimotion.corpora import CORPORA
from bimotion.corpora.utterance import AGE_SOURCES, PARTS
from bimotion.data import manifest, splits
from bimotion.data.folds import EVERY, part_in
from bimotion.data.rules import RULES, n_folds
from bimotion.errors import CorpusError
from bimotion.io.records import Record
from bimotion.protocol.labels import SCHEMAS, LabelSchema

_SYMBOLS = np.frombuffer(b"-01", "S1")  # of the labels -1, 0, 1
COLUMNS = ["cell", "part", "fold"]
"""Of a split: cell and part (None: in none; of rule `folds` the only part that a clip may have,
None: any), and of rule `folds` the fold in which it is tested (a text; None: in none)."""


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


class Splits(Mapping):
    """Rule -> the split of some clips under it, seed 0: a frame of COLUMNS, indexed by clip."""

    def __init__(self, make: Callable[[str], pd.DataFrame]):
        """`make`: of a rule; called once for each that is asked for."""
        self._make = make
        self._made: dict[str, pd.DataFrame] = {}

    @classmethod
    def of(cls, listed: manifest.Manifest, ids: pd.Index, *, practice: bool) -> "Splits":
        """Those of clips of a manifest; `practice`: where a corpus is too incomplete for a rule, no
        clip is in a cell, instead of a CorpusError."""
        return cls(partial(_split, listed, ids, practice))

    def only(self, ids: pd.Index) -> "Splits":
        """Those of some of the clips."""
        return Splits(partial(_some_of, self, ids))

    def __getitem__(self, rule: str) -> pd.DataFrame:
        if rule not in RULES:
            raise KeyError(rule)
        if rule not in self._made:
            self._made[rule] = self._make(rule)
        return self._made[rule]

    def __iter__(self) -> Iterator[str]:
        return iter(RULES)

    def __len__(self) -> int:
        return len(RULES)


def _some_of(whole: Splits, ids: pd.Index, rule: str) -> pd.DataFrame:
    return whole[rule].loc[ids]


def _split(listed: manifest.Manifest, ids: pd.Index, practice: bool, rule: str) -> pd.DataFrame:
    try:
        table = splits.split(listed, rule).table
    except CorpusError:
        if not practice:
            raise
        return pd.DataFrame(None, ids, COLUMNS, dtype=object)
    fold = table["fold"].astype(str).replace(str(EVERY), "")
    split = table.assign(part=table["only_part"], fold=fold)[COLUMNS].reindex(ids).astype(object)
    return split.where(split.notna() & (split != ""), None)


def in_fold(rule: str, fold: int) -> str:
    """The name of a rule's fold in a labels file: `paper`, `folds-3`."""
    return f"{rule}-{fold}" if n_folds(rule) > 1 else rule


_FOLDS = {in_fold(rule, fold): (rule, fold) for rule in RULES for fold in range(n_folds(rule))}


def parts_by_fold(split: pd.DataFrame, rule: str) -> list[np.ndarray]:
    """The part of each clip of a split under a rule, an array a fold; "" for none."""
    own = split["part"].fillna("").to_numpy(str)
    if n_folds(rule) == 1:
        return [own]
    numbers = split["fold"].fillna(str(EVERY)).astype(np.int8).to_numpy()
    is_in_none = split["cell"].isna().to_numpy()
    return [np.where(is_in_none, "", part_in(fold, numbers, own)) for fold in range(n_folds(rule))]


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


def labels_of(rows: pd.DataFrame, schema: LabelSchema) -> list[str | None]:
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


class Assignments(Mapping):
    """`corpus/rule/schema/cell` -> Assignment, each made when it is first asked for."""

    def __init__(self, table: pd.DataFrame, splits_of: Splits):
        """`table`: index id, sorted; columns corpus, emotions (as in AnswerKey), age_source."""
        self._table, self._splits = table, splits_of
        self._rows: dict[tuple[str, str], dict[tuple[str, str], pd.DataFrame]] = {}
        self._parts: dict[tuple[str, str, str, str], list[np.ndarray]] = {}
        self._made: dict[str, Assignment] = {}

    def only(self, ids: pd.Index, splits_of: Splits) -> "Assignments":
        """Those of some of the clips; `splits_of`: them."""
        return Assignments(self._table.loc[ids], splits_of)

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
        return _assignment(rows, self._parts[rule, schema, corpus, cell][fold], SCHEMAS[schema])

    def _rows_of(self, rule: str, schema: str) -> dict[tuple[str, str], pd.DataFrame]:
        """Corpus and cell -> clips that have a class."""
        if (rule, schema) not in self._rows:
            labels = labels_of(self._table, SCHEMAS[schema])
            clips = self._table.assign(**self._splits[rule], labels=labels)
            clips = clips[clips["cell"].notna() & clips["labels"].notna()]
            self._rows[rule, schema] = dict(list(clips.groupby(["corpus", "cell"])))
        return self._rows[rule, schema]


def _assignment(rows: pd.DataFrame, parts: np.ndarray, schema: LabelSchema) -> Assignment:
    """`parts`: of each row in one fold; "" for none."""
    test, train = rows[parts == "test"], rows["labels"][parts == "train"].unique()
    n, age_source = (
        {str(name): count for name, count in sorted(Counter(names.tolist()).items())}
        for names in (parts[parts != ""], rows["age_source"])
    )
    trained = [
        name
        for index, name in enumerate(schema.classes)
        if any(labels[index] == "1" for labels in train)
    ]
    test_hash = labels_hash(zip(test.index, test["labels"], strict=True))
    return Assignment(n=n, age_source=age_source, trained=trained, labels_hash=test_hash)
