"""Human raters beside the models: rows of the paper's tables, and a table of `bimotion compare`."""

from collections.abc import Sequence

from bimotion.analysis.runs import Run
from bimotion.io.tables import Table, percent
from bimotion.protocol.published import CELLS
from bimotion.results.human import AGAINST, HumanAgreement

HUMAN_NOTE = (
    "Human: a rater drawn at random for each test clip of that corpus, which is no ceiling of what "
    "can be learnt from labels; IEMOCAP's label is the majority of its raters, so one agrees with "
    "it too well"
)


def human_tables(runs: Sequence[Run]) -> list[Table]:
    """Agreement of one human rater on the test clips of the runs, a table for each schema and
    split; none where no votes are known."""
    tables: dict[str, Table] = {}
    header = ["cell", "corpus", "against", "weighted F1", "UAR", "accuracy", "clips", "votes"]
    for run in runs:
        schema, split = run.result.schema.name, run.result.split.name
        title = f"One human rater, schema {schema}, split {split}, %"
        for row in run.result.human:
            table = tables.setdefault(title, Table(title, header, notes=[HUMAN_NOTE]))
            values = map(percent, (row.weighted_f1, row.uar, row.accuracy))
            texts = [row.test, row.corpus, AGAINST[row.reference], *values]
            texts += map(str, (row.n_utterances, row.n_votes))
            if texts not in table.rows:
                table.rows.append(texts)
    return list(tables.values())


def append_human_rows(
    table: Table, rows: Sequence[HumanAgreement], *, synthetic: bool = False
) -> None:
    """Give a table of cells and their mean its rows of human raters, and the note to them;
    `synthetic`: nobody heard these clips, and the rows say so."""
    if human := human_rows(rows):
        mark = "SYNTHETIC " if synthetic else ""
        table.rows += [[f"{mark}{name}", *texts, "-"] for name, *texts in human]
        table.notes.append(HUMAN_NOTE)


def human_rows(rows: Sequence[HumanAgreement]) -> list[list[str]]:
    """Rows of a table of weighted F1 with a column for each cell: one rater of a corpus
    against the label, and against the other raters."""
    by_row = {(row.corpus, row.reference, row.test): row.weighted_f1 for row in rows}
    names = {(row.corpus, row.reference): None for row in rows if row.test in CELLS}
    return [
        [
            f"human: one rater of {corpus} against {AGAINST[kind]}",
            *(percent(by_row.get((corpus, kind, cell))) for cell in CELLS),
        ]
        for corpus, kind in names
    ]
