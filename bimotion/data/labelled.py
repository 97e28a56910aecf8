"""The clips of a run: a selection of clips under a label schema."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.corpora.utterance import NO_PART, UNUSABLE, Finding
from bimotion.data import leakage
from bimotion.data.folds import part_in
from bimotion.data.rules import hash_of
from bimotion.data.selection import Selection
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting


@dataclass(frozen=True)
class LabelledClips:
    """A selection under a label schema."""

    selection: Selection
    schema: LabelSchema
    table: pd.DataFrame
    """Rows of the selection that have a reference, sorted by id."""
    reference: np.ndarray
    """int8, shape (len(table), n_classes): 1, 0, -1 not annotated."""
    left_out: dict[str, Counter]
    """Corpus -> reason -> clips."""
    _parts_of_folds: dict[int, np.ndarray] = field(default_factory=dict, compare=False, repr=False)

    def places(
        self,
        cells: Iterable[Cell],
        part: str,
        corpora: Iterable[str] | None = None,
        fold: int = 0,
    ) -> np.ndarray:
        """Row numbers of the clips of some cells (and corpora; None: all) in one part of a fold."""
        chosen = self.table["cell"].isin([*map(str, cells)]) & (self._parts(fold) == part)
        if corpora is not None:
            chosen &= self.table["corpus"].isin(list(corpora))
        return np.flatnonzero(chosen)

    def trained(self, setting: Setting, part: str = "train", fold: int = 0) -> np.ndarray:
        """Row numbers of the clips of one part, `train` or `validation`, of a fold that a setting
        trains on, ascending."""
        if setting.leak:
            return self._leaking(setting, part, fold)
        rows = self.places(setting.train, part, setting.corpora, fold)
        if setting.size_of is None:
            return rows
        n = len(self.places([setting.size_of], part, setting.corpora, fold))
        if not setting.halved:
            return self.drawn(rows, n)
        is_own = self.table["cell"].to_numpy()[rows] == str(setting.size_of)
        n_others = min(n // 2, int((~is_own).sum()))
        parts = ((rows[is_own], n - n_others), (rows[~is_own], n_others))
        return np.sort(np.concatenate([self.drawn(*drawn) for drawn in parts]))

    def tested(self, setting: Setting, fold: int = 0) -> np.ndarray:
        """Row numbers of the clips that a setting is tested on in a fold, ascending."""
        if setting.leak:
            return self._leaking(setting, "test", fold)
        return self.places([setting.test], "test", setting.corpora, fold)

    def _leaking(self, setting: Setting, part: str, fold: int) -> np.ndarray:
        """The clips of one part of a setting of protocol leakage; none where the split rule keeps
        no speakers apart in folds."""
        if self.selection.split.rule != "folds":
            return np.zeros(0, int)
        is_own = self.table["cell"].isin([*map(str, setting.train)])
        rows = np.flatnonzero(is_own & self.table["corpus"].isin(setting.corpora))
        clips = self.table.loc[rows, ["id", "speaker", "sentence", "fold"]]
        clips["class"] = list(map(_first_positive, self.reference[rows]))
        return leakage.parts(clips, fold, setting.leak, self.selection.split.seed)[part]

    def drawn(self, rows: np.ndarray, n: int) -> np.ndarray:
        """Some `n` of the rows, ascending: every class of every cell and corpus in proportion, one
        of each first, in the split's hash order; a larger `n` adds rows and takes none away."""
        clips, reference = self.table.loc[rows, ["id", "cell", "corpus"]], self.reference[rows]
        clips["class"] = list(map(_first_positive, reference))
        seed = self.selection.split.seed
        clips["hash"] = [hash_of(name, seed) for name in clips["id"]]
        clips = _in_proportion(clips, ["cell", "corpus", "class"])
        return np.sort(clips.index[:n].to_numpy())

    def _parts(self, fold: int) -> np.ndarray:
        if fold not in self._parts_of_folds:
            of_clips, own = self.table["fold"].to_numpy(), self.table["only_part"].to_numpy(str)
            self._parts_of_folds[fold] = part_in(fold, of_clips, own)
        return self._parts_of_folds[fold]


def prepare(selection: Selection, schema: LabelSchema, limit: int | None = None) -> LabelledClips:
    """Give the clips of a selection their classes; what has none, or was lost before, is counted by
    reason.

    Args:
        selection: The clips.
        schema: Its classes.
        limit: Keep at most so many clips of each corpus, cell and part, or fold (`_within`).
    """
    rows = selection.rows
    labels = list(zip(map(tuple, rows["emotions"]), rows["corpus"], strict=True))
    annotated = {name: CORPORA[name].card.emotions for name in rows["corpus"].unique()}
    # few kinds, many clips
    kinds = {(emotions, corpus): (emotions, annotated[corpus]) for emotions, corpus in set(labels)}
    reason_of = {label: schema.left_out(*kind) for label, kind in kinds.items()}
    reference_of = {label: schema.reference(*kind) for label, kind in kinds.items()}
    reasons = pd.Series([reason_of[label] for label in labels], rows.index, dtype=object)
    if limit is not None:
        classes = pd.Series([_first_positive(reference_of[label]) for label in labels], rows.index)
        usable = reasons.isna()
        kept = _within(rows[usable], classes[usable], limit, selection.split.seed)
        reasons[usable & ~rows.index.isin(kept)] = f"beyond the limit of {limit}"
    left_out = _lost(selection)
    for corpus, reason in zip(rows["corpus"], reasons, strict=True):
        if reason is not None:
            left_out[corpus][reason] += 1
    used = np.flatnonzero(reasons.isna())
    reference = np.array([reference_of[labels[row]] for row in used], np.int8)
    reference = reference.reshape(-1, len(schema.classes))
    return LabelledClips(
        selection, schema, rows.iloc[used].reset_index(drop=True), reference, left_out
    )


def _lost(selection: Selection) -> dict[str, Counter]:
    """Corpus -> reason -> clips that a selection never had."""
    manifest, lost = selection.manifest, defaultdict(Counter)
    malformed = {finding.corpus for finding in manifest.findings if finding.kind == "malformed"}
    for name in [name for name in CORPORA if name not in manifest.corpora]:
        reason = "not found" if name in selection.wanted else "not asked for"
        reason = "malformed" if name in malformed else reason
        lost[name][reason] = CORPORA[name].card.n_utterances
    counted = (UNUSABLE | NO_PART) - {"malformed"}
    for finding in (*manifest.findings, *selection.split.findings):
        if finding.kind in counted:
            lost[finding.corpus][finding.kind] += _n_clips(finding)
    return lost


def _first_positive(reference: Sequence[int]) -> int:
    """Number of the class that a clip is scored as; -1: no class is marked."""
    return next((number for number, mark in enumerate(reference) if mark == 1), -1)


def _within(rows: pd.DataFrame, classes: pd.Series, limit: int, seed: int) -> pd.Index:
    """Index of the clips that stay: at most `limit` of each corpus, cell and part (under
    folds: fold and official part), in the split's hash order, every class in proportion.

    Each class has one before any has two (the largest first), then shares follow Sainte-Lague: a
    larger limit adds clips and takes none away.
    """
    group = ["corpus", "cell", "fold", "only_part"]
    table = rows[group].copy()
    table["class"], table["hash"] = classes, [hash_of(clip, seed) for clip in rows["id"]]
    table = _in_proportion(table, [*group, "class"])
    return table.index[table.groupby(group).cumcount() < limit]


def _in_proportion(table: pd.DataFrame, strata: list[str]) -> pd.DataFrame:
    """The table (columns `class` and `hash`) ordered so that its first rows, however many, hold
    every stratum in proportion."""
    table = table.sort_values("hash")
    of_stratum = table.groupby(strata)["hash"]
    rank = of_stratum.cumcount()
    table["later"] = (rank > 0) | (table["class"] == -1)
    table["share"] = (rank + 0.5) / of_stratum.transform("size")
    return table.sort_values(["later", "share", "hash"])


def _n_clips(finding: Finding) -> int:
    """Number of clips behind a finding: `37 more` stands for clips without names."""
    number = finding.where.removesuffix(" more")
    return int(number) if number.isdigit() else 1
