"""Scores of a finished run computed again from its predictions."""

import dataclasses
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bimotion.errors import RecordError, some
from bimotion.io import checksums
from bimotion.protocol import settings as protocol
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import LabelSchema, schema_named, scored_schema
from bimotion.protocol.settings import Setting, SettingId
from bimotion.results import record, scoring
from bimotion.results.predictions import SHAPE, with_fold
from bimotion.results.record import Result


def rescore(folder: Path) -> tuple[Result, Result]:
    """The result of a run as recorded, and with scores computed from predictions.parquet; equal for
    an honest record.

    Raises RecordError for files that are missing or break their schema.
    """
    result, predictions = read(folder, checked=False)  # scores show what was edited
    schema, is_seeded = schema_of(result), result.is_seeded
    scores = scoring.scores(predictions, settings_of(result), schema, is_seeded=is_seeded)
    return result, dataclasses.replace(result, scores=scores)


def read_result(path: str | os.PathLike, *, checked: bool = True) -> Result:
    """The result of a finished run, from its folder or its result.json.

    Args:
        checked: Refuse one that is not what the run wrote (SHA256SUMS beside it).
    Raises:
        RecordError: for no finished run, or a broken record.

    Example::

        result = bimotion.read_result("results/bimotion__prosody/665143ebb0a4")
        print(bimotion.paper_tables(result))
        result.to_pandas()        # every score with its interval
    """
    path = Path(path)
    file = path if path.is_file() else path / record.RESULT_FILE
    if is_unfinished(path):
        raise RecordError(
            f"{path}: expected a finished run, found an unfinished one: run the same command "
            "again, which goes on where it was"
        )
    if not file.exists():
        below = sorted(run.parent for run in path.glob(f"**/{record.RESULT_FILE}"))
        raise RecordError(
            f"{path}: expected the folder of a run, which holds {record.RESULT_FILE}; found "
            f"{f'runs in {some(below)}' if below else 'none'}"
        )
    if checked and file.name == record.RESULT_FILE:
        _check(file)
    return record.load(file)


def is_unfinished(folder: Path) -> bool:
    """Return whether a folder is that of a run that goes on, or was broken off before its end."""
    return not (folder / record.RESULT_FILE).exists() and (folder / record.PARTS_FOLDER).is_dir()


def _check(path: Path) -> None:
    if reason := checksums.damage(path.parent, [path.name]):
        raise RecordError(f"{reason}: run it again, or see `bimotion score`")


def read(folder: Path, *, checked: bool = True) -> tuple[Result, pd.DataFrame]:
    """The record and the predictions of a run, `checked` as in `read_result`; raises
    RecordError."""
    result, path = read_result(folder, checked=checked), folder / record.PREDICTIONS_FILE
    if checked:
        _check(path)
    try:
        columns = pq.ParquetFile(path).read()
        columns = columns if result.split.folds else with_fold(columns)
        if missing := [name for name in SHAPE.names if columns.column_names.count(name) != 1]:
            raise RecordError(
                f"{path}: expected the columns {', '.join(SHAPE.names)}; missing: "
                f"{', '.join(missing)}"
            )
        # what the file says of itself for pandas can rename its columns: another table than the one
        # that was verified
        table = columns.select(SHAPE.names).to_pandas(ignore_metadata=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RecordError(f"{path}: expected predictions in Parquet, found: {error}") from None
    n_classes = len(schema_named(result.schema.name).classes)
    for name in ("probabilities", "reference"):
        if lengths := {np.size(values) for values in table[name]} - {n_classes}:
            raise RecordError(
                f"{path}: column {name}: expected lists of {n_classes} numbers, found one of "
                f"{min(lengths)}"
            )
    return result, table


def schema_of(result: Result) -> LabelSchema:
    """The schema of a run, as its split rule has it scored."""
    return scored_schema(result.schema.name, result.split.rule)


def settings_of(result: Result) -> list[Setting]:
    """Settings that a run was asked for, but for those that it skipped."""
    cells = result.protocol.cells and [Cell.parse(name) for name in result.protocol.cells]
    settings = protocol.settings(result.protocol.name, cells, trains=result.track != "zero-shot")
    skipped = Counter(map(SettingId.of, result.skipped))
    kept = []
    # of two that differ only in corpora, the later has fewer: it is skipped first
    for setting in reversed(settings):
        if skipped[setting.id]:
            skipped[setting.id] -= 1
        else:
            kept.append(setting)
    return kept[::-1]
