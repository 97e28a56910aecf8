"""Paper-shaped tables: Tables 3 and 4 of arXiv 2306.14517 for a result, beside the published numbers.

A Table is plain data (title, header, rows of text, notes); the command line renders it with rich, files take Markdown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bimotion import groups
from bimotion.results import Result

CELLS = tuple(map(str, groups.BIMOTION_CELLS))
ROWS = ("cross-all", "cross-age", "cross-lingual", "in-group")

PUBLISHED = {
    ("in-group", "inference"): (55.12, 70.28, 57.00, 97.00),
    ("cross-all", "inference"): (27.48, 9.71, 24.75, 28.71),
    ("cross-age", "inference"): (40.40, 27.69, 26.69, 14.56),
    ("cross-lingual", "inference"): (14.54, 32.42, 16.06, 57.54),
    ("cross-all", "augmentation"): (68.06, 77.24, 52.21, 97.40),
    ("cross-age", "augmentation"): (66.96, 75.47, 59.93, 97.00),
    ("cross-lingual", "augmentation"): (54.55, 74.13, 54.84, 95.82),
}
"""(transfer, method) -> weighted F1 in % of XLSR-53 for eng_eld, eng_adu, zho_eld, zho_adu, as printed in the paper. Means
are ours: the printed ones (27.34 and 30.14 in Table 3; 74.84 and 57.34 in Table 4) are not the means of their rows."""


@dataclass
class Table:
    """Rows of text under a header; notes stand below."""

    title: str
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """GitHub-flavoured Markdown.

        >>> print(Table("T", ["a", "b"], [["1", "2"]]).markdown())
        **T**
        <BLANKLINE>
        | a | b |
        |---|---|
        | 1 | 2 |
        """
        lines = [f"**{self.title}**", "", _line(self.header), "|" + "---|" * len(self.header), *map(_line, self.rows)]
        return "\n".join(lines + [f"\n{note}" for note in self.notes])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def percent(value: float | None) -> str:
    """Two decimals as the paper prints them; a dash for None.

    >>> percent(0.5512), percent(None)
    ('55.12', '-')
    """
    return "-" if value is None else f"{100 * value:.2f}"


def transfer_tables(result: Result) -> list[Table]:
    """Table 3 (inference) and Table 4 (augmentation) of a result, as far as they were run."""
    return [
        table
        for number, method in ((3, "inference"), (4, "augmentation"))
        if (table := _transfer_table(result, number, method))
    ]


def _transfer_table(result: Result, number: int, method: str) -> Table | None:
    scores = {
        transfer: [result.headline(transfer, "inference" if transfer == "in-group" else method, cell) for cell in CELLS]
        for transfer in ROWS
    }
    if all(value is None for transfer in ROWS[:-1] for value in scores[transfer]) and number == 4:
        return None
    spec = result.spec
    title = f"Cross-group {method} (Table {number}): weighted F1, %, mean over each cell's corpora"
    table = Table(title, [spec.model, *CELLS, "mean"])
    for transfer, values in scores.items():
        table.rows.append([_row_name(transfer), *map(percent, values), percent(_mean(values))])
    table.notes.append(f"split {spec.split_rule}, schema {spec.schema}, seed {spec.seed}, run {result.key}")
    table.notes += _warnings(result, method)
    return table


def _row_name(transfer: str) -> str:
    return "in-group (baseline)" if transfer == "in-group" else transfer


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of a full row; None where any is missing, so that means stay comparable."""
    return None if None in values else sum(values) / len(values)


def _warnings(result: Result, method: str) -> list[str]:
    """What a reader must know before believing a row."""
    notes = []
    if result.synthetic:
        notes.append("SYNTHETIC data: these numbers say nothing about people")
    if not result.complete:
        parts = [f"{name} {used.n_utterances} of {used.n_published}" for name, used in result.data.items()]
        notes.append(f"incomplete corpora (clips used): {', '.join(parts)}")
    if shared := [name for name, used in result.data.items() if used.speakers_shared]:
        notes.append(f"test speakers may be in training: {', '.join(shared)}")
    unseen = {
        f"{score.transfer} -> {score.test}" + (f"/{score.corpus}" if score.corpus else "") + f": {', '.join(score.untrained)}"
        for score in result.scores
        if score.untrained and score.corpus and score.metric == "weighted_f1" and score.method == method
    }
    if unseen:
        notes.append("classes without any training clip: " + "; ".join(sorted(unseen)))
    if assumed := [name for name, used in result.data.items() if "assumed" in used.age_source]:
        notes.append(f"ages assumed, not known: {', '.join(assumed)}")
    return notes
