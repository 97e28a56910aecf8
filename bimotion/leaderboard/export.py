"""The board as a table in Markdown, LaTeX or CSV."""

from bimotion.errors import UnknownName
from bimotion.io.tables import Table, percent, plain_markdown
from bimotion.leaderboard.board import Board
from bimotion.leaderboard.entry import BASE, MEAN, Entry, HumanRow
from bimotion.leaderboard.published_rows import PublishedRow
from bimotion.protocol.published import CELLS
from bimotion.results.reservations import meanings, with_mark

PRINTED = "as printed"

SPANS = [f"{name}_{end}" for name in (MEAN, *CELLS) for end in ("value", "low", "high")]
MARKS = [f"{name}_marks" for name in (MEAN, *CELLS)]
QUESTION = ("track", "split_rule", "schema", "protocol")
COLUMNS = (
    *("rank", "rank_low", "rank_high", "tie_group", "recomputed_rank", "recomputed_rank_low"),
    *("recomputed_rank_high", "recomputed_tie_group", "model", "key", *QUESTION),
    *("data_fingerprint", "n_parameters", *SPANS, *MARKS, "flags", "signed_by"),
)
"""Of the CSV."""
HEADER = ("rank", "model", "track", "split", "schema", "protocol", MEAN, "95 %", *CELLS, "flags")
"""Of the other tables."""


def export(board: Board, form: str) -> str:
    """The whole board as text in a format of FORMATS: scores in %, but in [0, 1] in CSV.

    Raises:
        UnknownName: for another format.

    Example::

        print(export(board.build(Path("leaderboard/submissions")), "latex"))
    """
    if form not in FORMATS:
        raise UnknownName("format", form, FORMATS)
    return FORMATS[form](board)


def _rows(board: Board) -> list[dict]:
    """The board as flat rows: column -> value; a column that is missing is not known."""
    models = [*map(_entry_row, board.entries), *map(_published_row, board.references)]
    return [*models, *map(_human_row, board.human)]


def _entry_row(entry: Entry) -> dict:
    facts = {name: getattr(entry, name) for name in COLUMNS if hasattr(entry, name)}
    row = facts | {"model": entry.full_name, "flags": _flags(entry)}
    for name, score in entry.scalars():
        row |= {f"{name}_{end}": getattr(score, end) for end in ("value", "low", "high")}
        row[f"{name}_marks"] = _reserved(entry, name)
    for ranking, among in ((entry.ranking, ""), (entry.recomputed_ranking, "recomputed_")):
        if ranking is not None:
            ends = {"rank": ranking.rank, "rank_low": ranking.low, "rank_high": ranking.high}
            ends["tie_group"] = ranking.tie_group
            row |= {f"{among}{name}": value for name, value in ends.items()}
    return row


def _reserved(entry: Entry, name: str) -> str:
    """The marks of a cell's score, or of the mean those of all cells."""
    scores = [score for cell, score in entry.scalars() if cell != MEAN and name in (MEAN, cell)]
    return "".join(dict.fromkeys("".join(score.reservations for score in scores)))


def _published_row(published: PublishedRow) -> dict:
    facts = {name: getattr(published, name) for name in ("model", "track", "split_rule", "schema")}
    values = {MEAN: published.headline[BASE[0]]} | {
        score.test: score.value
        for score in published.scores
        if f"{score.transfer}/{score.method}" == BASE[0]
    }
    return facts | {f"{name}_value": value for name, value in values.items()} | {"flags": [PRINTED]}


def _human_row(row: HumanRow) -> dict:
    facts = {name: getattr(row, name) for name in ("model", "split_rule", "schema")}
    values = {f"{cell}_value": rated.weighted_f1 for cell, rated in row.cells.items()}
    return facts | values | {"flags": ["human"]}


def _flags(entry: Entry) -> list[str]:
    flags = entry.flags
    names = {
        "SYNTHETIC": flags.synthetic,
        flags.status: True,
        "baseline": flags.baseline,
        "contaminated": flags.contaminated,
        "not declared": flags.undeclared,
        "incomplete": flags.incomplete,
        "assumed ages": flags.assumed_age,
        "shared speakers": flags.shared_speakers,
        f"known, not declared: {', '.join(flags.not_declared)}": flags.not_declared,
        f"not recognised: {', '.join(entry.not_recognised)}": entry.not_recognised,
        "organisation unproved": flags.organisation_proof is None,
    }
    adapted = [] if entry.adapt is None else [f"adapted: {entry.adapt.summary}"]
    heard = [f"window {value}" for name, value in entry.options.items() if name == "window"]
    same = [f"same predictions as {name}" for name in flags.same_predictions]
    odd = [f"looks odd: {oddity.kind}" for oddity in entry.oddities]
    return [name for name, applies in names.items() if applies] + same + odd + adapted + heard


def _cells(row: dict) -> list[str]:
    """A row as text under HEADER."""
    rank = _rank(row)
    values = [row.get(f"{cell}_value") for cell in CELLS]
    mean, *numbers = (
        with_mark(percent(row.get(f"{name}_value")), row.get(f"{name}_marks"))
        for name in (MEAN, *CELLS)
    )
    if "mean_value" in row and None in values:
        tested = (cell for cell, value in zip(CELLS, values, strict=True) if value is not None)
        mean += f" (over {', '.join(tested)})"
    ends = (row.get("mean_low"), row.get("mean_high"))
    interval = "-" if ends[0] is None else "-".join(map(percent, ends))
    question = [row.get(name, "-") for name in QUESTION]
    shown = [mean, interval, *numbers, ", ".join(row["flags"])]
    return [rank, row["model"], *question, *shown]


def _rank(row: dict) -> str:
    """A rank with its interval; all in brackets where it is that among recomputed entries."""
    names = ("rank", "rank_low", "rank_high")
    if "rank" in row:
        return "{} ({}-{})".format(*(row[name] for name in names))
    if "recomputed_rank" in row:
        return "({}, {}-{})".format(*(row[f"recomputed_{name}"] for name in names))
    return "-"


def _markdown(board: Board) -> str:
    rows = [[plain_markdown(cell) for cell in _cells(row)] for row in _rows(board)]
    note = (
        "Ranks with 95 % intervals: among reproduced entries of public models of one track, split, "
        "schema, protocol and clips; in brackets: not ranked, the place among all recomputed "
        "entries. Weighted F1."
    )
    signed = plain_markdown(_signed(board))
    notes = [note, signed, *meanings(cell for row in rows for cell in row)]
    return Table("BiMotion leaderboard, %", HEADER, rows, notes).markdown() + "\n"


def _signed(board: Board) -> str:
    """Say whether receipts are signed."""
    return f"Receipts signed by {', '.join(board.keys)}." if board.keys else "Receipts not signed."


def _latex(board: Board) -> str:
    rows = list(map(_cells, _rows(board)))
    notes = [_signed(board), *meanings(cell for row in rows for cell in row)]
    return Table("BiMotion leaderboard, %", HEADER, rows, notes).latex(
        "ll" + "l" * 4 + "r" * 6 + "l"
    )


def _csv(board: Board) -> str:
    """One line an entry, scores in [0, 1]; empty: not known."""
    import pandas as pd

    rows = [
        {name: _no_formula(value) for name, value in row.items()}
        | {"flags": "; ".join(row["flags"])}
        for row in _rows(board)
    ]
    # objects: among numbers that are missing, pandas would make 3 parameters 3.0
    table = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    return table.to_csv(index=False, lineterminator="\n")


def _no_formula(value: object) -> object:
    """A name that a spreadsheet does not take for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


FORMATS = {"markdown": _markdown, "latex": _latex, "csv": _csv}
