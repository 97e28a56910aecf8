"""What a run works on: a selection of clips under a label schema."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.corpora.utterance import NO_PART, UNUSABLE, Finding
from bimotion.data import splits
from bimotion.data.selection import Selection
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import LabelSchema


@dataclass(frozen=True)
class LabelledClips:
    """A selection under a label schema.

    table       rows of the selection that have a reference, sorted by id
    reference   int8, shape (len(table), n_classes): 1, 0, -1 not annotated
    left_out    corpus -> reason -> clips
    """

    selection: Selection
    schema: LabelSchema
    table: pd.DataFrame
    reference: np.ndarray
    left_out: dict[str, Counter]

    def places(
        self, cells: Iterable[Cell], part: str, corpora: Iterable[str] | None = None
    ) -> np.ndarray:
        """Row numbers of the clips of some cells (and corpora; None: all) in one part."""
        chosen = self.table["cell"].isin([*map(str, cells)]) & (self.table["part"] == part)
        if corpora is not None:
            chosen &= self.table["corpus"].isin(list(corpora))
        return np.flatnonzero(chosen)


def prepare(selection: Selection, schema: LabelSchema, limit: int | None = None) -> LabelledClips:
    """Clips of a selection that have a class under the schema; what has none, or was lost before,
    is counted by reason.

    `limit`: keep at most so many clips of each corpus, cell and part (`_within`).
    """
    left_out: dict[str, Counter] = defaultdict(Counter)
    malformed = {
        finding.corpus for finding in selection.manifest.findings if finding.kind == "malformed"
    }
    for name in [name for name in CORPORA if name not in selection.manifest.corpora]:
        reason = (
            "malformed"
            if name in malformed
            else "not found"
            if name in selection.wanted
            else "not asked for"
        )
        left_out[name][reason] = CORPORA[name].card.n_utterances
    lost = [
        finding
        for finding in selection.manifest.findings
        if finding.kind in (UNUSABLE | NO_PART) - {"malformed"}
    ]
    for finding in (*lost, *selection.split.findings):
        left_out[finding.corpus][finding.kind] += _n_clips(finding)
    labels = list(
        zip(map(tuple, selection.rows["emotions"]), selection.rows["corpus"], strict=True)
    )
    # few kinds, many clips
    reason_of = {one: schema.left_out(one[0], CORPORA[one[1]].card.emotions) for one in set(labels)}
    reasons = np.array([reason_of[one] for one in labels], dtype=object)
    reference_of = {
        one: schema.reference(one[0], CORPORA[one[1]].card.emotions) for one in set(labels)
    }
    if limit is not None:
        classes = np.array([_first_positive(reference_of[label]) for label in labels])
        usable = np.array([reason is None for reason in reasons], dtype=bool)
        kept = _within(selection.rows[usable], classes[usable], limit, selection.split.seed)
        reasons[np.flatnonzero(usable)[~kept]] = f"beyond the limit of {limit}"
    for corpus, reason in zip(selection.rows["corpus"], reasons, strict=True):
        if reason is not None:
            left_out[corpus][reason] += 1
    used = np.array([reason is None for reason in reasons], dtype=bool)
    reference = np.array(
        [reference_of[labels[row]] for row in np.flatnonzero(used)], np.int8
    ).reshape(-1, len(schema.classes))
    return LabelledClips(
        selection, schema, selection.rows[used].reset_index(drop=True), reference, left_out
    )


def _first_positive(reference: Sequence[int]) -> int:
    """Number of the class that a clip is scored as; -1: no class is marked."""
    return next((place for place, mark in enumerate(reference) if mark == 1), -1)


def _within(rows: pd.DataFrame, classes: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Which clips stay: at most `limit` of each corpus, cell and part, in the split's hash order,
    every class in proportion.

    Each class has one before any has two (the largest first), then shares follow Sainte-Lague: a
    larger limit adds clips and takes none away.
    """
    table = rows[["corpus", "cell", "part"]].reset_index(drop=True)
    group = ["corpus", "cell", "part"]
    table["class"], table["hash"] = classes, [splits.hash_of(clip, seed) for clip in rows["id"]]
    table = table.sort_values("hash")
    of_class = table.groupby([*group, "class"])["hash"]
    rank = of_class.cumcount()
    table["later"] = (rank > 0) | (table["class"] == -1)
    table["share"] = (rank + 0.5) / of_class.transform("size")
    table = table.sort_values(["later", "share", "hash"])
    return (table.groupby(group).cumcount() < limit).sort_index().to_numpy()


def _n_clips(finding: Finding) -> int:
    """Clips behind a finding: `37 more` is how clips without names are said."""
    number = finding.where.removesuffix(" more")
    return int(number) if number.isdigit() else 1
