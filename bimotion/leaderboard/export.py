"""The board for other places: a table in Markdown, LaTeX or CSV; and results as the Hugging Face
Hub keeps them.

The Hub has three kinds: `.eval_results/*.yaml` in a model's repository, collected by the dataset
whose `eval.yaml` names the tasks, and the older `model-index` of a model card. Each takes one
scalar a task: here the mean of the four cells and each cell.
"""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from bimotion.data import splits
from bimotion.errors import SettingError, UnknownName
from bimotion.io import files
from bimotion.io.tables import Table, percent
from bimotion.leaderboard.board import Board
from bimotion.leaderboard.entry import BASE, CellScore, Entry, HumanRow, Number
from bimotion.leaderboard.published_rows import PublishedRow
from bimotion.protocol import labels
from bimotion.protocol.published import CELLS
from bimotion.protocol.settings import TRACKS
from bimotion.results.reservations import MEANINGS, meanings, with_mark

EVAL_RESULTS_FILE = ".eval_results/bimotion.yaml"
EVAL_FILE = "eval.yaml"
FRAMEWORK = "bimotion"
MEAN = "mean"
PRINTED = "as printed"


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


def eval_results(
    entry: Entry, dataset: str, *, revision: str | None = None, source: str | None = None
) -> str:
    """YAML of EVAL_RESULTS_FILE for the model's repository: the mean and each cell, in %, with its
    evidence as a note.

    Args:
        entry: of a model with a repository on the Hub.
        dataset: Hub id of the benchmark, whose eval.yaml (`eval_tasks`) defines the tasks.
        revision: commit of the benchmark.
        source: address of the board or of the predictions.

    Raises:
        SettingError: for a model that has no repository on the Hub by its name.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump

    _require_repository(entry)
    results = [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=task_id(entry.schema, entry.split_rule, entry.track, name),
            value=round(100 * score.value, 2),
            dataset_revision=revision,
            date=entry.finished or None,
            source_url=source,
            source_name="BiMotion leaderboard" if source else None,
            notes=_note(entry, score),
        )
        for name, score in _scalars(entry)
    ]
    return yaml_dump(eval_result_entries_to_yaml(results), sort_keys=False)


def eval_tasks(name: str = "BiMotion") -> str:
    """YAML of EVAL_FILE for the dataset's repository: every task that `eval_results` speaks of.

    >>> eval_tasks().splitlines()[0]
    'name: BiMotion'
    """
    from huggingface_hub.utils import yaml_dump

    content = {
        "name": name,
        "description": "Speech emotion recognition across languages (English, Mandarin) and age "
        "groups (adults, elders): weighted F1 in %, mean over each cell's "
        "corpora, trained in the cell that is tested (or, zero-shot, on nothing).",
        "evaluation_framework": FRAMEWORK,
        "tasks": [
            {
                "id": task_id(schema, rule, track, cell),
                "config": "all" if cell == MEAN else cell,
                "split": "test",
            }
            for schema in labels.SCHEMAS
            for rule in splits.RULES
            for track in TRACKS
            for cell in (MEAN, *CELLS)
        ],
    }
    return yaml_dump(content, sort_keys=False)


def model_index(entry: Entry, dataset: str) -> str:
    """YAML for the head of a model card (`model-index`).

    Raises:
        SettingError: as `eval_results`.
    """
    from huggingface_hub import EvalResult, ModelCardData

    _require_repository(entry)
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name=f"Speech emotion recognition ({entry.track}, {entry.split_rule} split, "
            f"schema {entry.schema})",
            dataset_type=dataset,
            dataset_name=f"BiMotion {name}",
            dataset_config="all" if name == MEAN else name,
            dataset_split="test",
            metric_type="f1",
            metric_name="weighted F1, %",
            metric_value=round(100 * score.value, 2),
            metric_args={"average": "weighted"},
        )
        for name, score in _scalars(entry)
    ]
    return ModelCardData(model_name=entry.model, eval_results=results).to_yaml() + "\n"


def task_id(schema: str, rule: str, track: str, cell: str) -> str:
    """The id of a task in eval.yaml.

    >>> task_id("emotion", "disjoint", "zero-shot", "eng_eld")
    'emotion_disjoint_zero_shot_eng_eld'
    """
    return "_".join((schema, rule, track, cell)).replace("-", "_")


def write_hub_results(board: Board, dataset: str, output: Path) -> list[Path]:
    """Write, for the Hub, eval.yaml of the dataset repository, and of every recomputed model that
    has a repository (and is not adapted) EVAL_RESULTS_FILE and model-index.yaml, in folders named
    as the models are; return their paths.
    """
    content = {output / EVAL_FILE: eval_tasks()}
    for entry in board.entries:
        if entry.flags.is_recomputed and _has_repository(entry) and entry.adapt is None:
            folder = output / entry.model.replace("/", "__") / entry.key
            content[folder / EVAL_RESULTS_FILE] = eval_results(entry, dataset)
            content[folder / "model-index.yaml"] = model_index(entry, dataset)
    for path, text in content.items():
        with files.written(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(content)


def _scalars(entry: Entry) -> Iterator[tuple[str, Number | CellScore]]:
    """`mean` and cells that have a value."""
    if entry.base is not None and entry.base.value is not None:
        yield MEAN, entry.base
    by_cell: dict[str, CellScore] = {}
    for score in entry.scores:
        if f"{score.transfer}/{score.method}" in BASE:
            by_cell.setdefault(score.test, score)  # later ones are of some corpora only
    for cell in CELLS:
        if cell in by_cell and by_cell[cell].value is not None:
            yield cell, by_cell[cell]


def _note(entry: Entry, score: Number | CellScore) -> str:
    flags = entry.flags
    interval = f"95% interval {percent(score.low)} to {percent(score.high)}"
    notes = ["no interval" if score.low is None else interval]
    if isinstance(score, CellScore):
        notes.append(f"{score.n_utterances} clips, {score.n_speakers} known speakers")
        notes += [MEANINGS[mark] for mark in score.reservations]
        if score.test in flags.contaminated:
            notes.append(f"trained on {', '.join(flags.contaminated[score.test])} before")
    elif flags.contaminated:
        notes.append(f"trained before on corpora tested in {', '.join(flags.contaminated)}")
    if flags.undeclared:
        notes.append("what it was trained on before is not declared")
    if flags.not_declared:
        notes.append(f"known to be trained on {', '.join(flags.not_declared)}, not declared")
    if flags.same_predictions:
        notes.append(f"same predictions as {', '.join(flags.same_predictions)}")
    unproved = ["organisation unproved"] if flags.organisation_proof is None else []
    return "; ".join([*notes, flags.status, *unproved, f"run {entry.key}"])


def _require_repository(entry: Entry) -> None:
    if not _has_repository(entry):
        raise SettingError(f"expected a model of the Hub, organisation/name, found {entry.model!r}")
    if entry.adapt is not None:
        raise SettingError(
            f"expected results of the model itself, found {entry.model} adapted by "
            f"{entry.adapt.method}"
        )


def _has_repository(entry: Entry) -> bool:
    return bool(re.fullmatch(r"[\w.-]+/[\w.-]+", entry.model)) and not entry.flags.baseline


# --- tables -------------------------------------------------------------------------------------

SPANS = [f"{name}_{end}" for name in (MEAN, *CELLS) for end in ("value", "low", "high")]
MARKS = [f"{name}_marks" for name in (MEAN, *CELLS)]
QUESTION = ("track", "split_rule", "schema", "protocol")
COLUMNS = (
    *("rank", "rank_low", "rank_high", "tie_group", "recomputed_rank", "recomputed_rank_low"),
    *("recomputed_rank_high", "recomputed_tie_group", "model", "key", *QUESTION),
    *("data_fingerprint", "n_parameters", *SPANS, *MARKS, "flags"),
)
"""Of the CSV."""
HEADER = ("rank", "model", "track", "split", "schema", "protocol", MEAN, "95 %", *CELLS, "flags")
"""Of the other tables."""


def _rows(board: Board) -> list[dict]:
    """The board as flat rows: column -> value; a column that is missing is not known."""
    models = [*map(_entry_row, board.entries), *map(_published_row, board.references)]
    return [*models, *map(_human_row, board.human)]


def _entry_row(entry: Entry) -> dict:
    facts = {name: getattr(entry, name) for name in COLUMNS if hasattr(entry, name)}
    row = facts | {"model": entry.full_name, "flags": _flags(entry)}
    for name, score in _scalars(entry):
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
    scores = [score for cell, score in _scalars(entry) if cell != MEAN and name in (MEAN, cell)]
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
    return [name for name, applies in names.items() if applies] + same + adapted + heard


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
    rows = [[_plain(cell) for cell in _cells(row)] for row in _rows(board)]
    note = (
        "Ranks with 95 % intervals: among reproduced entries of public models of one track, split, "
        "schema, protocol and clips; in brackets: not ranked, the place among all recomputed "
        "entries. Weighted F1."
    )
    notes = [note, *meanings(cell for row in rows for cell in row)]
    return Table("BiMotion leaderboard, %", HEADER, rows, notes).markdown() + "\n"


def _plain(name: str) -> str:
    """A name that Markdown shows as it is: no markup, no link.

    >>> _plain("<b>[a](x)")
    '&lt;b&gt;\\\\[a\\\\](x)'
    """
    return re.sub(r"([\\`*\[\]~!])", r"\\\1", html.escape(name, quote=False))


def _latex(board: Board) -> str:
    rows = list(map(_cells, _rows(board)))
    notes = meanings(cell for row in rows for cell in row)
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
