"""The lines of Tables 1 and 2 of arXiv 2306.14517 counted on this disk, under the paper's split
beside its numbers."""

from dataclasses import asdict, dataclass

from bimotion.corpora.utterance import PARTS
from bimotion.data import splits
from bimotion.data.manifest import Manifest
from bimotion.data.rules import DEFAULT_RULE
from bimotion.io.tables import Table

TITLES = {1: "BiMotion", 2: "YueMotion"}


@dataclass(frozen=True)
class Count:
    """Clips of one line of a table, for train, validation, test."""

    table: int
    corpus: str
    cell: str
    gender: str | None
    on_disk: tuple[int, ...]
    paper: tuple[int, ...] | None
    """None: the paper counts no such line."""

    @property
    def difference(self) -> tuple[int, ...] | None:
        """The clips that there are more than in the paper."""
        if self.paper is None:
            return None
        return tuple(n - printed for n, printed in zip(self.on_disk, self.paper, strict=True))

    def to_dict(self) -> dict:
        """The line as JSON, where what is on disk is `found`."""
        facts = asdict(self) | {"difference": self.difference}
        return {"found" if name == "on_disk" else name: fact for name, fact in facts.items()}


def counts(manifest: Manifest, rule: str = DEFAULT_RULE, fold: int = 0) -> list[Count]:
    """Count every line of Tables 1 and 2 under a split rule (and fold), and YueMotion's elderly
    under another rule than the paper's; corpora that are missing count 0."""
    parts = splits.split(manifest, rule, fold=fold).table.join(
        manifest.table.set_index("id")[["corpus", "gender"]]
    )

    def line(table: int, corpus: str, cell: str, gender: str | None, paper: tuple | None) -> Count:
        mine = parts[(parts["corpus"] == corpus) & (parts["cell"] == cell)]
        mine = mine if gender is None else mine[mine["gender"] == gender]
        on_disk = mine["part"].value_counts().reindex(PARTS, fill_value=0)
        return Count(table, corpus, cell, gender, tuple(on_disk.tolist()), paper)

    return [
        *(line(1, *key, None, paper) for key, paper in splits.PAPER_SIZES.items()),
        *(
            line(2, "yuemotion", cell, gender, paper)
            for (gender, cell), paper in splits.YUEMOTION_PAPER_SIZES.items()
        ),
        *(line(2, "yuemotion", "yue_eld", gender, None) for gender in "mf" if rule != "paper"),
    ]


def as_tables(lines: list[Count], rule: str, fold: int = 0) -> list[Table]:
    """Readable form: clips on disk, which only under split rule `paper` are beside the paper's."""
    return [
        _table(number, [line for line in lines if line.table == number], rule, fold)
        for number in TITLES
    ]


def _table(number: int, lines: list[Count], rule: str, fold: int) -> Table:
    is_papers, gender = rule == "paper", ["gender"] if number == 2 else []
    of_rule = f"split rule {rule}, fold {fold}" if rule == "folds" else f"split rule {rule}"
    title = f"{TITLES[number]} ({f'Table {number}' if is_papers else of_rule}): clips"
    table = Table(title, ["corpus", "cell", *gender, *PARTS, *(["paper"] if is_papers else [])])
    for line in lines:
        changes = line.difference if is_papers else (0,) * len(PARTS)
        shown = [
            f"{n} ({change:+})" if change else str(n)
            for n, change in zip(line.on_disk, changes, strict=True)
        ]
        key = [line.corpus, line.cell, *([line.gender] if gender else [])]
        printed = [" / ".join(map(str, line.paper))] if is_papers else []
        table.rows.append([*key, *shown, *printed])
    if is_papers:
        differing = sum(any(line.difference) for line in lines)
        of_all = f"{differing} of {len(lines)} lines differ from the paper"
        table.notes.append(of_all if differing else "equal to the paper")
    return table


def ages_apart(manifest: Manifest) -> list[str]:
    """Clips whose cell in the paper is not that of their true age: id (or speaker) and both
    cells."""
    rows = manifest.table.set_index("id")
    rows["paper"], rows["true"] = splits.paper_cells(rows), splits.true_cells(rows)
    rows = rows[(rows["paper"] != rows["true"]) & rows["true"].notna()]
    rows["key"] = rows["speaker"].where(~rows.index.isin(splits.PAPER_CELLS), rows.index)
    n_clips = rows.groupby(["key", "age_years", "paper", "true"]).size()
    return sorted(
        f"{key} ({age:g} years): {paper} in the paper, {true} by age - {n} clip{'s' * (n > 1)}"
        for (key, age, paper, true), n in n_clips.items()
    )
