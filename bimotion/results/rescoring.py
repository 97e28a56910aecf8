"""Scores of a finished run computed again from its predictions."""

import dataclasses
import itertools
import os
from collections import Counter
from collections.abc import Iterator
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
from bimotion.results.predictions import LABELS, SHAPE, with_fold
from bimotion.results.record import Result

WITHOUT_LABELS = (
    "predictions without labels, which only an answer key can score: verify it again (`bimotion "
    "leaderboard verify`)"
)


def rescore(folder: Path) -> tuple[Result, Result]:
    """The result of a run as recorded, and with scores computed from predictions.parquet; equal for
    an honest record.

    Raises RecordError for files that are missing or break their schema.
    """
    result, predictions = read(folder, checked=False)  # scores show what was edited
    schema, is_seeded = schema_of(result), result.is_seeded
    scores = scoring.scores(predictions, settings_of(result), schema, is_seeded=is_seeded)
    return result, dataclasses.replace(result, scores=scores)


def differing_scores(recorded: Result, computed: Result) -> list[str]:
    """The scores that are not the same in two results of a run: each as a name, and both values
    where these differ (not only, say, an interval)."""
    sides = [{_score_name(score): score for score in each.scores} for each in (recorded, computed)]
    differing = []
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        pair = [side.get(name) for side in sides]
        if pair[0] != pair[1]:
            values = ["none" if score is None else score.value for score in pair]
            shown = f" {values[0]}, computed {values[1]}" if values[0] != values[1] else ""
            differing.append(name + shown)
    if not differing and recorded.scores != computed.scores:
        differing.append("their order or number")
    return differing


def _score_name(score: record.Score) -> str:
    trained, of = "+".join(score.train) or "-", f" of {score.corpus}" if score.corpus else ""
    setting = f"{score.transfer} {score.method}: {trained} -> {score.test}"
    kind = "" if score.pooling is None else f"{score.pooling} "
    return f"{setting}{of}, seed {score.seed}: {kind}{score.metric}"


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


def read(
    folder: Path, *, checked: bool = True, agreeing: bool = True
) -> tuple[Result, pd.DataFrame]:
    """The record and the predictions of a run, `checked` as in `read_result`; raises RecordError.

    Args:
        agreeing: Refuse predictions that are not those that the record says were made; of
            submissions, an answer key says more.
    """
    result, path = read_result(folder, checked=checked), folder / record.PREDICTIONS_FILE
    if checked:
        _check(path)
    try:
        columns = pq.ParquetFile(path).read()
        columns = columns if result.split.folds else with_fold(columns)
        missing = [name for name in SHAPE.names if columns.column_names.count(name) != 1]
        if missing == [LABELS]:
            raise RecordError(f"{path}: {WITHOUT_LABELS}")
        if missing:
            raise RecordError(
                f"{path}: expected the columns {', '.join(SHAPE.names)}; missing: "
                f"{', '.join(missing)}"
            )
        # what the file says of itself for pandas can rename its columns: another table than the one
        # that was verified
        table = columns.select(SHAPE.names).cast(SHAPE).to_pandas(ignore_metadata=True)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise RecordError(f"{path}: expected predictions in Parquet, found: {error}") from None
    problems = itertools.chain(
        _length_problems(result, table), _row_problems(result, table) if agreeing else ()
    )
    if reason := next(problems, None):
        raise RecordError(f"{path}: {reason}")
    return result, table


def _length_problems(result: Result, table: pd.DataFrame) -> Iterator[str]:
    n_classes = len(schema_named(result.schema.name).classes)
    for name in ("probabilities", "reference"):
        if lengths := set(map(len, table[name])) - {n_classes}:
            n = min(lengths)
            yield f"column {name}: expected lists of {n_classes} numbers, found one of {n}"


def _row_problems(result: Result, table: pd.DataFrame) -> Iterator[str]:
    """Ways in which predictions contradict their record: other classes, values that are none, and
    clips that are missing, there twice, or of another training, seed, fold, cell or corpus."""
    classes = list(schema_named(result.schema.name).classes)
    if result.schema.classes != classes:
        yield f"expected classes {', '.join(classes)}, found {', '.join(result.schema.classes):.80}"
    for name, low in (("probabilities", 0), ("reference", -1)):
        values = np.concatenate([np.zeros(1), *table[name]])
        if not (is_one := (values >= low) & (values <= 1)).all():  # NaN is none
            yield f"column {name}: expected numbers from {low} to 1, found {values[~is_one][0]}"
    yield from _training_problems(result, table)
    settings = {(setting.training_set, str(setting.test)) for setting in settings_of(result)}
    for names, known in (
        (("trained",), {(name,) for name in classes}),
        (("corpus",), {(name,) for name in result.data.corpora}),
        (("train", "cell"), settings),
    ):
        columns = [table[name].explode() for name in names]
        if other := set(zip(*columns, strict=True)) - known:
            first = " on ".join(sorted(other)[0])
            yield f"{' and '.join(names)}: expected those of its record, found {first!a:.80}"


def _training_problems(result: Result, table: pd.DataFrame) -> Iterator[str]:
    """Clips that a training set, seed and fold of the record lacks or has too many."""
    made = {(fit.train, fit.seed, fit.fold): fit.n_test for fit in result.fits if fit.n_test}
    folds, seeds = range(result.split.folds or 1), set(result.seeds)
    if len(seeds) != len(result.seeds) or {seed for _, seed, _ in made} != seeds:
        yield f"expected trainings with each of its seeds, once; its seeds are {result.seeds!r:.80}"
    if other := sorted(key for key in made if key[2] not in folds):
        yield f"expected trainings in folds below {len(folds)}, found {some(map(str, other))}"
    n_clips = table.groupby(["train", "seed", "fold"]).size().to_dict()
    for key in sorted(made.keys() | n_clips.keys()):
        if made.get(key) != n_clips.get(key):
            yield (
                f"training set {key[0]!a:.80}, seed {key[1]}, fold {key[2]}: expected "
                f"{made.get(key, 0)} clips, as its record says, found {n_clips.get(key, 0)}"
            )
    if n_again := int(table.duplicated(["train", "seed", "id"]).sum()):
        yield f"expected every clip once in a training set and seed, found {n_again} again"


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
