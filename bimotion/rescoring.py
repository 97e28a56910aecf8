"""Scores of a finished run computed again from its predictions."""

import dataclasses
from pathlib import Path

import pandas as pd
import pyarrow

from bimotion import protocol, results, scoring
from bimotion.errors import RecordError
from bimotion.groups import Cell
from bimotion.labels import schema_named
from bimotion.protocol import Setting
from bimotion.results import Result


def rescore(folder: Path) -> tuple[Result, Result]:
    """The result of a run as recorded, and with scores computed from predictions.parquet; equal for an honest record.

    Raises RecordError for files that are not there or break their schema.
    """
    result, predictions = read(folder)
    scores = scoring.scores(predictions, settings_of(result), schema_named(result.schema.name))
    return result, dataclasses.replace(result, scores=scores)


def read(folder: Path) -> tuple[Result, pd.DataFrame]:
    """The record and the predictions of a run; raises RecordError."""
    result = results.load(folder / results.RESULT_FILE)
    path = folder / results.PREDICTIONS_FILE
    try:
        return result, pd.read_parquet(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise RecordError(f"{path}: expected predictions in Parquet, found: {error}") from None


def settings_of(result: Result) -> list[Setting]:
    """Settings that a run was asked for, but for those that it skipped."""
    cells = result.protocol.cells and [Cell.parse(name) for name in result.protocol.cells]
    settings = protocol.settings(result.protocol.name, cells, trains=result.track != "zero-shot")
    skipped = {(skip.transfer, skip.method, tuple(skip.train), skip.test) for skip in result.skipped}
    return [s for s in settings if (s.transfer, s.method, s.train_names, str(s.test)) not in skipped]
