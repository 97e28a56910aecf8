"""Tables 1 and 2 of arXiv 2306.14517 counted on this disk, beside the paper's numbers."""

from dataclasses import dataclass

from bimotion.corpora.utterance import PARTS
from bimotion.data import splits
from bimotion.data.manifest import Manifest
from bimotion.io.tables import Table


@dataclass(frozen=True)
class Count:
    """Clips of one line of a table: found, and printed in the paper, for train, validation,
    test."""

    table: int
    corpus: str
    cell: str
    gender: str | None
    found: tuple[int, int, int]
    paper: tuple[int, int, int]

    @property
    def difference(self) -> tuple[int, ...]:
        return tuple(found - printed for found, printed in zip(self.found, self.paper, strict=True))


def counts(manifest: Manifest, rule: str = "paper") -> list[Count]:
    """Every line of Tables 1 and 2 under a split rule; corpora that are not there count 0."""
    placed = splits.split(manifest, rule).table.join(
        manifest.table.set_index("id")[["corpus", "gender"]]
    )
    by_cell = placed.groupby(["corpus", "cell", "part"]).size()
    by_gender = placed.groupby(["corpus", "gender", "cell", "part"]).size()
    table1 = [
        Count(
            1,
            corpus,
            cell,
            None,
            tuple(int(by_cell.get((corpus, cell, part), 0)) for part in PARTS),
            paper,
        )
        for (corpus, cell), paper in splits.PAPER_SIZES.items()
    ]
    table2 = [
        Count(
            2,
            "yuemotion",
            cell,
            gender,
            tuple(int(by_gender.get(("yuemotion", gender, cell, part), 0)) for part in PARTS),
            paper,
        )
        for (gender, cell), paper in splits.YUEMOTION_PAPER_SIZES.items()
    ]
    return table1 + table2


def as_tables(lines: list[Count]) -> list[Table]:
    """Readable form: found, and the difference from the paper where there is one."""
    titles = {1: "BiMotion (Table 1): clips", 2: "YueMotion adults (Table 2): clips"}
    tables = []
    for number, title in titles.items():
        mine = [line for line in lines if line.table == number]
        table = Table(
            title, ["corpus", "cell", *([] if number == 1 else ["gender"]), *PARTS, "paper"]
        )
        for line in mine:
            shown = [
                f"{found} ({change:+})" if change else str(found)
                for found, change in zip(line.found, line.difference, strict=True)
            ]
            gender = [] if number == 1 else [line.gender]
            table.rows.append(
                [line.corpus, line.cell, *gender, *shown, " / ".join(map(str, line.paper))]
            )
        differing = sum(any(line.difference) for line in mine)
        table.notes.append(
            "equal to the paper"
            if not differing
            else f"{differing} of {len(mine)} lines differ from the paper"
        )
        tables.append(table)
    return tables


def ages_apart(manifest: Manifest) -> list[str]:
    """Clips whose cell in the paper is not that of their true age: id (or speaker) and both
    cells."""
    rows = manifest.table.set_index("id")
    paper, true = splits.paper_cells(rows), splits.true_cells(rows)
    apart = rows.index[(paper != true) & true.notna()]
    lines = {}
    for clip in apart:
        key = clip if clip in splits.PAPER_CELLS else rows.at[clip, "speaker"]
        lines.setdefault(
            f"{key} ({rows.at[clip, 'age_years']:g} years): {paper[clip]} in the paper, "
            f"{true[clip]} by age",
            [],
        ).append(clip)
    return [
        f"{line} - {len(clips)} clip{'s' if len(clips) > 1 else ''}"
        for line, clips in sorted(lines.items())
    ]
