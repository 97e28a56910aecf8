"""A hidden test of ElderReact's official test part: the corpora of one cell as the host has them,
and as participants do."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bimotion.leaderboard import submission
from bimotion.results import predictions, record
from bimotion.results.record import PREDICTIONS_FILE, RESULT_FILE, ModelUsed
from tests.support import true_trees

CORPORA = (true_trees.crema_d, true_trees.elderreact, true_trees.tess)
LABELS = Path("ElderReact/ElderReact-master/Annotations/test_labels.txt")


def true(root: Path) -> None:
    """All corpora of English elders."""
    for corpus in CORPORA:
        corpus(root)


def given_out(root: Path) -> None:
    """The same, with anger in place of every label of ElderReact's test part."""
    true(root)
    lines = [line.split() for line in (root / LABELS).read_text().splitlines()]
    held_back = [f"{name} 1 0 0 0 0 0 {gender} 1.0" for name, *_, gender, _ in lines]
    (root / LABELS).write_text("\n".join(held_back) + "\n")


def sent(
    run: Path,
    into: Path,
    model: str,
    *,
    change: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
    contact: str | None = None,
    labels: bool = False,
    **changes: object,
) -> Path:
    """A submission of a run as that of another model.

    Args:
        run: folder of a finished run.
        into: folder of submissions.
        model: its name.
        change: of the predictions.
        contact: of the sender.
        labels: with the labels of the clips.
        changes: other fields of the result.
    """
    result = record.load(run / RESULT_FILE)
    changes = {"model": ModelUsed(model, "1")} | changes
    result = dataclasses.replace(result, **changes)
    result = dataclasses.replace(result, key=result.spec.key)
    table = predictions.read(run / PREDICTIONS_FILE).to_pandas()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        result.save(folder)
        table = table if change is None else change(table)
        if change or not labels:  # guesses of a baseline need not sum to 1, those of a model do
            table = table.assign(probabilities=[row / row.sum() for row in table["probabilities"]])
        predictions.save(table, folder / PREDICTIONS_FILE)
        return submission.pack(folder, into, contact=contact, trained_on=[], labels=labels)


def seen_otherwise(row: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A change of the decision about one clip: its probabilities are turned round."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        probabilities = table["probabilities"].copy()
        probabilities.iloc[row] = probabilities.iloc[row][::-1].copy()
        return table.assign(probabilities=probabilities)

    return change
