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
    """What two parts of a corpus have in common: `what` is speaker, sentence or audio; `names`
    stand in both."""

    corpus: str
    what: str
    parts: tuple[str, str]
    names: list[str]


@dataclass(frozen=True)
class CellCount:
    """One cell's part of a corpus. `hours` of sound; `n_speakers` known; `n_speaker_unknown` clips
    without a speaker."""

    cell: str
    corpus: str
    part: str
    n_utterances: int
    n_speakers: int
    n_speaker_unknown: int
    hours: float
    age_source: dict[str, int]
    emotions: dict[str, int]


@dataclass(frozen=True)
class Audit:
    """All of it. `not_disjoint`: corpus -> why its speakers stand in several parts. `together`:
    emotion pairs -> clips."""

    split_rule: str
    cells: list[CellCount]
    shared: list[Shared]
    not_disjoint: dict[str, str]
    together: dict[str, int]

    def to_dict(self) -> dict:
        return asdict(self)


def audit(manifest: Manifest, rule: str, progress: Progress, listen: bool = True) -> Audit:
    """Audit of all utterances under a split rule. `listen`: decode all clips, to find equal audio
    in two parts."""
    split = splits.split(manifest, rule)
    rows = manifest.table.set_index("id").join(split.table, how="inner")
    rows["audio"] = None
    if listen:
        rows["audio"] = pd.concat(
            [inspect(manifest, name, progress)["sha256"] for name in manifest.corpora]
        ).reindex(rows.index)
    shared = [
        Shared(corpus, what, pair, names)
        for corpus, mine in rows.groupby("corpus")
        for what in ("speaker", "sentence", "audio")
        for pair in combinations(PARTS, 2)
        if (names := _in_both(mine, what, pair))
    ]
    together = Counter(
        f"{first}+{second}"
        for names in rows["emotions"]
        for first, second in combinations(names, 2)
    )
    return Audit(
        rule, _cell_counts(rows), shared, split.not_disjoint, dict(sorted(together.items()))
    )


def _in_both(rows: pd.DataFrame, what: str, parts: tuple[str, str]) -> list[str]:
    """Values of a column that stand in both parts; equal audio by the ids of its clips."""
    first, second = (rows[rows["part"] == part] for part in parts)
    both = set(first[what].dropna()) & set(second[what].dropna())
    if what != "audio":
        return sorted(both)
    found = pd.concat([first, second])
    return sorted(" = ".join(sorted(found.index[found["audio"] == value])) for value in both)


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


def as_tables(found: Audit) -> list[Table]:
    """Readable form: cells, then what parts share."""
    cells = Table(
        f"Cells (split rule {found.split_rule})",
        ["cell", "corpus", "part", "clips", "speakers", "hours", "ages"],
    )
    for count in sorted(
        found.cells, key=lambda count: (count.cell, count.corpus, PARTS.index(count.part))
    ):
        speakers = str(count.n_speakers) if not count.n_speaker_unknown else "unknown"
        ages = ", ".join(f"{source} {n}" for source, n in count.age_source.items())
        cells.rows.append(
            [
                count.cell,
                count.corpus,
                count.part,
                str(count.n_utterances),
                speakers,
                f"{count.hours:.2f}",
                ages,
            ]
        )
    shared = Table("Shared between parts", ["corpus", "what", "parts", "number", "which"])
    for item in found.shared:
        shared.rows.append(
            [
                item.corpus,
                item.what,
                " & ".join(item.parts),
                str(len(item.names)),
                some(item.names, 3),
            ]
        )
    shared.notes += [
        f"{corpus}: speakers are not kept apart: {reason}"
        for corpus, reason in found.not_disjoint.items()
    ]
    if not found.shared:
        shared.notes.append("no speaker, sentence or audio is known to stand in two parts")
    together = Table(
        "Emotions marked together",
        ["pair", "clips"],
        [[pair, str(n)] for pair, n in found.together.items()],
    )
    return [cells, shared, *([together] if found.together else [])]
