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
from bimotion.leaderboard.board import Board, PublishedRow
from bimotion.leaderboard.entry import BASE, CellScore, Entry, Number
from bimotion.protocol import labels
from bimotion.protocol.published import CELLS
from bimotion.protocol.settings import TRACKS

FORMATS = ("markdown", "latex", "csv")
EVAL_RESULTS_FILE = ".eval_results/bimotion.yaml"
EVAL_FILE = "eval.yaml"
FRAMEWORK = "bimotion"
MEAN = "mean"
PRINTED = "as printed"


def export(board: Board, form: str) -> str:
    """The whole board as text in a format of FORMATS; raises UnknownName. Scores in %, but in [0,
    1] in CSV.

    Example::

        print(exports.export(board.build(Path("leaderboard/submissions")), "latex"))
    """
    if form not in FORMATS:
        raise UnknownName("format", form, FORMATS)
    return {"markdown": _markdown, "latex": _latex, "csv": _csv}[form](board)


def eval_results(
    entry: Entry, dataset: str, *, revision: str | None = None, source: str | None = None
) -> str:
    """YAML of EVAL_RESULTS_FILE for the model's repository: the mean and each cell, in %, with its
    evidence as a note.

    dataset    Hub id of the benchmark, whose eval.yaml (`eval_tasks`) defines the tasks;  revision:
               its commit
    source     address of the board or of the predictions
    Raises SettingError for a model that has no repository on the Hub by its name.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    from huggingface_hub.utils import yaml_dump

    _repository(entry)
    found = [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=task_id(entry.schema, entry.split_rule, entry.track, name),
            value=_points(score),
            dataset_revision=revision,
            date=entry.finished or None,
            source_url=source,
            source_name="BiMotion leaderboard" if source else None,
            notes=_note(entry, score),
        )
        for name, score in _scalars(entry)
    ]
    return yaml_dump(eval_result_entries_to_yaml(found), sort_keys=False)


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
    """YAML for the head of a model card (`model-index`); raises SettingError as `eval_results`
    does."""
    from huggingface_hub import EvalResult, ModelCardData

    _repository(entry)
    found = [
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
            metric_value=_points(score),
            metric_args={"average": "weighted"},
        )
        for name, score in _scalars(entry)
    ]
    return ModelCardData(model_name=entry.model, eval_results=found).to_yaml() + "\n"


def task_id(schema: str, rule: str, track: str, cell: str) -> str:
    """Of a task in eval.yaml.

    >>> task_id("emotion", "disjoint", "zero-shot", "eng_eld")
    'emotion_disjoint_zero_shot_eng_eld'
    """
    return "_".join((schema, rule, track, cell)).replace("-", "_")


def _scalars(entry: Entry) -> Iterator[tuple[str, Number | CellScore]]:
    """`mean` and cells that have a value."""
    if entry.base is not None and entry.base.value is not None:
        yield MEAN, entry.base
    yield from ((cell, score) for cell, score in _cells(entry).items() if score.value is not None)


def _cells(entry: Entry) -> dict[str, CellScore]:
    found = {
        score.test: score
        # the first of a cell stands: later ones are of some corpora only
        for score in reversed(entry.scores)
        if f"{score.transfer}/{score.method}" in BASE
    }
    return {cell: found[cell] for cell in CELLS if cell in found}


def _points(score: Number | CellScore) -> float:
    return round(100 * score.value, 2)


def _note(entry: Entry, score: Number | CellScore) -> str:
    notes = [
        "no interval"
        if score.low is None
        else f"95% interval {percent(score.low)} to {percent(score.high)}"
    ]
    if isinstance(score, CellScore):
        notes.append(f"{score.n_utterances} clips, {score.n_speakers} known speakers")
        if score.test in entry.marks.contaminated:
            notes.append(f"trained on {', '.join(entry.marks.contaminated[score.test])} before")
    elif entry.marks.contaminated:
        notes.append(f"trained before on corpora tested in {', '.join(entry.marks.contaminated)}")
    if entry.marks.undeclared:
        notes.append("what it was trained on before is not declared")
    if entry.marks.same_predictions:
        notes.append(f"same predictions as {', '.join(entry.marks.same_predictions)}")
    return "; ".join(
        [*notes, "verified" if entry.marks.verified else "not verified", f"run {entry.key}"]
    )


def _repository(entry: Entry) -> None:
    if not _has_repository(entry):
        raise SettingError(f"expected a model of the Hub, organisation/name, found {entry.model!r}")
    if entry.adapt is not None:
        raise SettingError(
            f"expected results of the model alone, found {entry.model} adapted by "
            f"{entry.adapt.method}"
        )


def _has_repository(entry: Entry) -> bool:
    return bool(re.fullmatch(r"[\w.-]+/[\w.-]+", entry.model)) and not entry.marks.floor


def write_hub_results(board: Board, dataset: str, output: Path) -> list[Path]:
    """For the Hub, below a folder: eval.yaml of the dataset repository, and of every verified model
    that has a repository (and is not adapted) EVAL_RESULTS_FILE and model-index.yaml, in folders
    named as the models are; returns their paths.
    """
    content = {output / EVAL_FILE: eval_tasks()}
    for entry in board.entries:
        if entry.marks.verified and _has_repository(entry) and entry.adapt is None:
            folder = output / entry.model.replace("/", "__") / entry.key
            content[folder / EVAL_RESULTS_FILE] = eval_results(entry, dataset)
            content[folder / "model-index.yaml"] = model_index(entry, dataset)
    for path, text in content.items():
        with files.written(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return list(content)


# --- tables -------------------------------------------------------------------------------------

HEADER = ("rank", "model", "track", "split", "schema", "protocol", MEAN, "95 %", *CELLS, "marks")
FACTS = (
    "model",
    "key",
    "track",
    "split_rule",
    "schema",
    "protocol",
    "data_fingerprint",
    "n_parameters",
)
"""Of an entry, in CSV."""


def _rows(board: Board) -> Iterator[list[str]]:
    for entry in board.entries:
        cells, place = _cells(entry), entry.standing
        rank = "-" if place is None else f"{place.rank} ({place.low}-{place.high})"
        interval = (
            "-"
            if not entry.base or entry.base.low is None
            else f"{percent(entry.base.low)}-{percent(entry.base.high)}"
        )
        values = [cells[cell].value if cell in cells else None for cell in CELLS]
        asked = [entry.track, entry.split_rule, entry.schema, entry.protocol]
        mean = percent(entry.base.value if entry.base else None)
        if entry.base and len(cells) < len(CELLS):
            mean += f" (over {', '.join(cell for cell in CELLS if cell in cells)})"
        yield [
            rank,
            entry.full_name,
            *asked,
            mean,
            interval,
            *map(percent, values),
            ", ".join(_marks(entry)),
        ]
    for one in board.references:
        values = _printed(one)
        asked = [one.track, one.split_rule, one.schema, "-"]
        yield [
            "-",
            one.model,
            *asked,
            percent(one.headline[BASE[0]]),
            "-",
            *map(percent, values),
            PRINTED,
        ]


def _printed(one: PublishedRow) -> list[float | None]:
    found = {
        score.test: score.value
        for score in one.scores
        if f"{score.transfer}/{score.method}" == BASE[0]
    }
    return [found.get(cell) for cell in CELLS]


def _marks(entry: Entry) -> list[str]:
    marks = entry.marks
    flags = {
        "SYNTHETIC": marks.synthetic,
        "verified": marks.verified,
        "not verified": not marks.verified,
        "floor": marks.floor,
    }
    flags |= {
        "contaminated": marks.contaminated,
        "not declared": marks.undeclared,
        "incomplete": marks.incomplete,
    }
    flags |= {"assumed ages": marks.assumed_age, "shared speakers": marks.shared_speakers}
    adapted = [] if entry.adapt is None else [f"adapted: {entry.adapt.summary}"]
    same = [f"same predictions as {name}" for name in marks.same_predictions]
    return [name for name, applies in flags.items() if applies] + same + adapted


def _markdown(board: Board) -> str:
    rows = [[row[0], _plain(row[1]), *row[2:-1], _plain(row[-1])] for row in _rows(board)]
    note = (
        "Ranks with 95 % intervals: among verified entries of one track, split, schema, protocol "
        "and clips. Weighted F1."
    )
    return Table("BiMotion leaderboard, %", HEADER, rows, [note]).markdown() + "\n"


def _plain(name: str) -> str:
    """A name that Markdown shows as it is: no markup, no link.

    >>> _plain("<b>[a](x)")
    '&lt;b&gt;\\\\[a\\\\](x)'
    """
    return re.sub(r"([\\`*\[\]~!])", r"\\\1", html.escape(name, quote=False))


_LATEX = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {letter: f"\\{letter}" for letter in "&%$#_{}"}
)


def _latex(board: Board) -> str:
    import pandas as pd

    header, *rows = [[cell.translate(_LATEX) for cell in row] for row in (HEADER, *_rows(board))]
    table = pd.DataFrame(rows, columns=header)
    columns = "ll" + "l" * 4 + "r" * 6 + "l"
    return "% needs \\usepackage{booktabs}\n" + table.to_latex(index=False, column_format=columns)


def _csv(board: Board) -> str:
    """One line an entry, scores in [0, 1]; empty: not known."""
    import pandas as pd

    rows = [*map(_csv_row, board.entries), *map(_published_csv_row, board.references)]
    spans = [f"{cell}_{what}" for cell in (MEAN, *CELLS) for what in ("value", "low", "high")]
    header = ["rank", "rank_low", "rank_high", "tie_group", *FACTS, *spans, "marks"]
    # objects: among numbers that are missing, pandas would make 3 parameters 3.0
    table = pd.DataFrame(rows, columns=header, dtype=object)
    return table.to_csv(index=False, lineterminator="\n")


def _csv_row(entry: Entry) -> dict:
    scores = {
        f"{cell}_{what}": getattr(score, what)
        for cell, score in _scalars(entry)
        for what in ("value", "low", "high")
    }
    facts = {name: _cell(getattr(entry, name)) for name in FACTS}
    row = facts | {"model": _cell(entry.full_name), **scores, "marks": "; ".join(_marks(entry))}
    if (rank := entry.standing) is not None:
        row |= {"rank": rank.rank, "rank_low": rank.low, "rank_high": rank.high}
        row["tie_group"] = rank.tie_group
    return row


def _published_csv_row(one: PublishedRow) -> dict:
    values = zip((MEAN, *CELLS), (one.headline[BASE[0]], *_printed(one)), strict=True)
    facts = {name: getattr(one, name) for name in ("model", "track", "split_rule", "schema")}
    return facts | {f"{cell}_value": value for cell, value in values} | {"marks": PRINTED}


def _cell(value: str | int | None) -> str | int | None:
    """A name that a spreadsheet does not take for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
