"""The audit of a split: what train, validation and test share, and what is known of the people in
them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations

import pandas as pd

from bimotion.corpora.utterance import PARTS
from bimotion.data import splits
from bimotion.data.checks.inspection import inspect
from bimotion.data.manifest import Manifest
from bimotion.errors import some
from bimotion.io.progress import Progress
from bimotion.io.tables import Table


@dataclass(frozen=True)
class Shared:
    """Something that two parts of a corpus have in common."""

    corpus: str
    what: str
    """speaker, sentence or audio"""
    parts: tuple[str, str]
    names: list[str]
    """Values that stand in both; equal audio by the ids of its clips."""


@dataclass(frozen=True)
class CellCount:
    """One cell's part of a corpus."""

    cell: str
    corpus: str
    part: str
    n_utterances: int
    n_speakers: int
    """Known speakers."""
    n_speaker_unknown: int
    """Clips without a speaker."""
    hours: float
    age_source: dict[str, int]
    emotions: dict[str, int]


@dataclass(frozen=True)
class Audit:
    """The facts about a split."""

    split_rule: str
    fold: int
    """0 without cross-validation."""
    cells: list[CellCount]
    shared: list[Shared]
    not_disjoint: dict[str, str]
    """Corpus -> why its speakers stand in several parts."""
    together: dict[str, int]
    """Pairs of emotions marked on one clip -> clips."""

    def to_dict(self) -> dict:
        """The audit as JSON."""
        return asdict(self)


def audit(
    manifest: Manifest, rule: str, progress: Progress, listen: bool = True, fold: int = 0
) -> Audit:
    """Audit all utterances under a split rule.

    Args:
        manifest: Of the corpora.
        rule: paper, disjoint or folds.
        progress: Shows how far it is.
        listen: Decode all clips, to find equal audio in two parts.
        fold: Of split rule `folds`: whose parts.
    """
    split = splits.split(manifest, rule, fold=fold)
    rows = manifest.table.set_index("id").join(split.table, how="inner")
    rows["audio"] = None
    if listen:
        heard = pd.concat([inspect(manifest, name, progress) for name in manifest.corpora])
        rows["audio"] = heard["sha256"].reindex(rows.index)
    shared = [
        Shared(corpus, what, pair, names)
        for corpus, mine in rows.groupby("corpus")
        for what in ("speaker", "sentence", "audio")
        for pair in combinations(PARTS, 2)
        if (names := _in_both(mine, what, pair))
    ]
    pairs = (pair for emotions in rows["emotions"] for pair in combinations(emotions, 2))
    together = _counted(map("+".join, pairs))
    return Audit(rule, fold, _cell_counts(rows), shared, split.not_disjoint, together)


def _in_both(rows: pd.DataFrame, what: str, parts: tuple[str, str]) -> list[str]:
    """Values of a column that stand in both parts; equal audio by the ids of its clips."""
    rows = rows[rows["part"].isin(parts)].dropna(subset=what)
    both = rows[rows.groupby(what)["part"].transform("nunique") == 2].groupby(what)
    names = [" = ".join(sorted(ids)) for ids in both.groups.values()]
    return sorted(names if what == "audio" else both.groups)


def _cell_counts(rows: pd.DataFrame) -> list[CellCount]:
    return [
        CellCount(
            cell=cell,
            corpus=corpus,
            part=part,
            n_utterances=len(clips),
            n_speakers=int(clips["speaker"].nunique()),
            n_speaker_unknown=int(clips["speaker"].isna().sum()),
            hours=round(float(clips["duration_s"].sum()) / 3600, 4),
            age_source=_counted(clips["age_source"]),
            emotions=_counted(emotion for names in clips["emotions"] for emotion in names),
        )
        for part in PARTS
        for (cell, corpus), clips in rows[rows["part"] == part].groupby(["cell", "corpus"])
    ]


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def as_tables(audit: Audit) -> list[Table]:
    """Readable form: cells, then what parts share."""
    header = ["cell", "corpus", "part", "clips", "speakers", "hours", "ages"]
    by_cell = sorted(audit.cells, key=lambda c: (c.cell, c.corpus, PARTS.index(c.part)))
    of_fold = f", fold {audit.fold}" if audit.split_rule == "folds" else ""
    cells = Table(
        f"Cells (split rule {audit.split_rule}{of_fold})", header, list(map(_cell_row, by_cell))
    )
    shared = Table("Shared between parts", ["corpus", "what", "parts", "number", "which"])
    for item in audit.shared:
        parts, names = " & ".join(item.parts), some(item.names, 3)
        shared.rows.append([item.corpus, item.what, parts, str(len(item.names)), names])
    shared.notes += [
        f"{corpus}: speakers are not kept apart: {reason}"
        for corpus, reason in audit.not_disjoint.items()
    ]
    if not audit.shared:
        shared.notes.append("no speaker, sentence or audio is known to stand in two parts")
    pairs = [[pair, str(n)] for pair, n in audit.together.items()]
    together = Table("Emotions marked together", ["pair", "clips"], pairs)
    return [cells, shared, *([together] if pairs else [])]


def _cell_row(count: CellCount) -> list[str]:
    speakers = "unknown" if count.n_speaker_unknown else str(count.n_speakers)
    ages = ", ".join(f"{source} {n}" for source, n in count.age_source.items())
    clips, hours = str(count.n_utterances), f"{count.hours:.2f}"
    return [count.cell, count.corpus, count.part, clips, speakers, hours, ages]
