"""Results as the Hugging Face Hub keeps them.

The Hub has three kinds: `.eval_results/*.yaml` in a model's repository, collected by the dataset
whose `eval.yaml` names the tasks (https://huggingface.co/docs/hub/eval-results), and the older
`model-index` of a model card. Each takes one scalar a task: here the mean of the four cells and
each cell.
"""

import datetime
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bimotion.data import splits
from bimotion.errors import SettingError
from bimotion.io import files
from bimotion.io.tables import percent
from bimotion.leaderboard import exported
from bimotion.leaderboard.board import Board
from bimotion.leaderboard.entry import MEAN, CellScore, Entry, Number
from bimotion.protocol import labels
from bimotion.protocol.published import CELLS
from bimotion.protocol.settings import TRACKS
from bimotion.results.reservations import MEANINGS

_log = logging.getLogger(__name__)
EVAL_RESULTS_FILE = ".eval_results/bimotion.yaml"
EVAL_FILE, MODEL_INDEX_FILE = "eval.yaml", "model-index.yaml"
FRAMEWORK = "bimotion"
"""The Hub takes an eval.yaml only with a name of its own list (EVALUATION_FRAMEWORKS in
huggingface.js, packages/tasks/src/eval.ts): ask there for this one before the first upload."""


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
            date=_date(entry.finished),
            source_url=source,
            source_name="BiMotion leaderboard" if source else None,
            notes=_note(entry, score),
        )
        for name, score in entry.scalars()
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
        for name, score in entry.scalars()
    ]
    return ModelCardData(model_name=entry.model, eval_results=results).to_yaml() + "\n"


def task_id(schema: str, rule: str, track: str, cell: str) -> str:
    """The id of a task in eval.yaml.

    >>> task_id("emotion", "disjoint", "zero-shot", "eng_eld")
    'emotion_disjoint_zero_shot_eng_eld'
    """
    return "_".join((schema, rule, track, cell)).replace("-", "_")


def write_hub_results(
    board: Board,
    dataset: str,
    output: Path,
    *,
    revision: str | None = None,
    source: str | None = None,
    say: Callable[[str], None] = _log.warning,
) -> list[Path]:
    """Write, for the Hub, eval.yaml of the dataset repository, and of every recomputed model that
    has a repository (and is not adapted) EVAL_RESULTS_FILE and model-index.yaml, in folders named
    as the models are; return their paths. Such files that an earlier export for this dataset wrote
    there go (exported.py), and `say` hears how many. `revision` and `source` as of `eval_results`.
    """
    content = {output / EVAL_FILE: eval_tasks()}
    for entry in board.entries:
        if entry.flags.is_recomputed and _has_repository(entry) and entry.adapt is None:
            folder = output / entry.model.replace("/", "__") / entry.key
            content[folder / EVAL_RESULTS_FILE] = eval_results(
                entry, dataset, revision=revision, source=source
            )
            content[folder / MODEL_INDEX_FILE] = model_index(entry, dataset)
    for path, text in content.items():
        with files.written(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    # of an earlier export: an entry that is gone, or no longer verified, must not be uploaded
    patterns = [f"*__*/{'[0-9a-f]' * 12}/{name}" for name in (EVAL_RESULTS_FILE, MODEL_INDEX_FILE)]
    exported.replace_earlier(output, f"hub-results {dataset}", content, patterns, say)
    return list(content)


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
    notes += [f"looks odd ({oddity.kind}), no verdict" for oddity in entry.oddities]
    unproved = ["organisation unproved"] if flags.organisation_proof is None else []
    receipt = f"receipt signed by {entry.signed_by}" if entry.signed_by else "receipt not signed"
    return "; ".join([*notes, flags.status, receipt, *unproved, f"run {entry.key}"])


def _date(finished: str) -> str | None:
    """The end of a run as its record has it, where the Hub can read it: ISO 8601."""
    with suppress(ValueError):
        return datetime.datetime.fromisoformat(finished).isoformat()
    return None


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
