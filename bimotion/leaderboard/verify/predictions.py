"""Rows of submitted predictions, held against an answer key: the right clips, once each, with their
own facts, and numbers that can be probabilities. Every problem is one line that names the training
set, the seed and the clip."""

import itertools
from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bimotion.errors import some
from bimotion.leaderboard.answer_key import AnswerKey, speaker_hash
from bimotion.leaderboard.assignments import labels_hash, labels_text
from bimotion.leaderboard.verify.record import assignments_in, short, training_sets
from bimotion.protocol.labels import SCHEMAS, LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.record import Result

MAX_SHOWN_CLIPS = 5
"""Clips that one problem names."""
SUM_TOLERANCE = 1e-3
"""Of the probabilities of exclusive classes, float32, to 1."""
FACTS = {name: name for name in ("cell", "corpus", "fold", "labels")} | {"speaker": "speaker_hash"}
"""Column of the answer key's clips -> the same of the predictions."""


def row_problems(
    table: pa.Table, result: Result, settings: list[Setting], answer_key: AnswerKey
) -> Iterator[str]:
    """Yield what is wrong with predictions (in predictions.SHAPE) as those of a result.

    Example::

        table = predictions.read(folder / "predictions.parquet")
        list(row_problems(table, result, rescoring.settings_of(result), answer_key))
    """
    schema = SCHEMAS[result.schema.name]
    number_problems = list(_number_problems(table, result, schema))
    yield from number_problems
    if number_problems:
        return
    clips = _clips(table)
    by_training = dict(list(clips.groupby(["train", "seed"])))
    groups = training_sets(settings)

    @cache  # the same test sets for every training set
    def tested(cell: object, corpora: tuple[str, ...] | None) -> pd.DataFrame:
        return answer_key.test_clips(result.split.rule, schema, cell, corpora, result.split.folds)

    trainings = [(name, seed) for name in groups for seed in result.seeds]
    if unexpected := sorted(set(by_training) - set(trainings)):
        yield (
            "expected training sets and seeds of the protocol only, found "
            f"{some(map(short, unexpected))}"
        )
    for name, seed in trainings:
        where = f"{name}, seed {seed}"
        if (name, seed) not in by_training:
            yield f"{where}: expected predictions of its test clips, found none"
            continue
        predicted = by_training[name, seed]
        tests = pd.concat([tested(setting.test, setting.corpora) for setting in groups[name]])
        yield from _clip_problems(where, tests, predicted, schema)
        yield from _hash_problems(where, predicted, groups[name], result, answer_key)
    yield from _trained_problems(clips, groups, result, answer_key)


def _clips(table: pa.Table) -> pd.DataFrame:
    """A row a prediction, as it is compared with the answer key: no probabilities."""
    clips = table.select(["id", "cell", "corpus", "speaker", "train", "seed", "fold"]).to_pandas()
    # of objects: texts of Arrow are walked through several times as slowly
    clips = clips.astype(dict.fromkeys(("id", "cell", "corpus", "speaker", "train"), object))
    clips["speaker"] = clips["speaker"].where(clips["speaker"].notna(), None)
    clips["fold"] = clips["fold"].astype(object)
    hashes = {name: speaker_hash(name) for name in clips["speaker"].unique() if name is not None}
    speaker_hashes = [hashes.get(name) for name in clips["speaker"]]
    clips["speaker_hash"] = pd.Series(speaker_hashes, clips.index, dtype=object)
    clips["labels"] = labels_text(_matrix(table, "reference"))
    clips["trained"] = pc.binary_join(table["trained"].combine_chunks(), "|").to_pylist()
    return clips


def _matrix(table: pa.Table, name: str) -> np.ndarray:
    """A column of lists of one length as an array, shape (n, length)."""
    return pc.list_flatten(table[name]).to_numpy().reshape(table.num_rows, -1)


def _number_problems(table: pa.Table, result: Result, schema: LabelSchema) -> Iterator[str]:
    def check(column: str, expected: str, is_wrong: np.ndarray, values: np.ndarray) -> list[str]:
        if not is_wrong.any():
            return []
        row = int(is_wrong.argmax())
        return [
            f"column {column}: expected {expected}, found {values[row]!s:.80} at "
            f"{short(table['id'][row].as_py())} ({is_wrong.sum()} rows in all)"
        ]

    n_classes = len(schema.classes)
    for name in ("probabilities", "reference"):
        lengths = pc.list_value_length(table[name]).to_numpy()
        expected = f"one number for each of {n_classes} classes"
        if lines := check(name, expected, lengths != n_classes, lengths):
            yield from lines
            return
    probabilities, labels = _matrix(table, "probabilities"), _matrix(table, "reference")
    is_wrong = ~((probabilities >= 0) & (probabilities <= 1))  # NaN too
    worst = np.take_along_axis(probabilities, is_wrong.argmax(axis=1)[:, None], axis=1)[:, 0]
    yield from check("probabilities", "finite numbers from 0 to 1", is_wrong.any(axis=1), worst)
    # guesses of baselines need not sum to 1
    heads = result.track != "zero-shot" and not result.model.name.startswith("bimotion/")
    if schema.exclusive and heads and not is_wrong.any():
        sums = probabilities.sum(axis=1, dtype=np.float64)
        are_others = np.abs(sums - 1) > SUM_TOLERANCE
        yield from check("probabilities", "classes that sum to 1", are_others, sums)
    are_others = (np.abs(labels.astype(int)) > 1).any(axis=1)
    yield from check("reference", "labels 1, 0 and -1", are_others, labels)
    # joined by `|` later on: no name may hold one
    trained = pc.unique(pc.list_flatten(table["trained"])).to_pylist()
    if unknown := sorted(set(trained) - set(schema.classes)):
        yield (
            f"column trained: expected classes of schema {schema.name}, found "
            f"{some(map(short, unknown))}"
        )


def _clip_problems(
    where: str, tests: pd.DataFrame, clips: pd.DataFrame, schema: LabelSchema
) -> Iterator[str]:
    """One training set and seed: ids complete, once each, no other; and the facts beside each."""
    # under an exclusive schema nobody says which withheld clips have a class: the hash over all of
    # them does
    is_required = tests["labels"].notna().to_numpy() | (not schema.exclusive)
    ids = pd.Index(clips["id"])
    places = tests.index.get_indexer(ids)
    is_known = places >= 0
    # a clip that no test part has is told once, below, however often it is there
    n_found = np.bincount(places[is_known], minlength=len(tests))
    for expected, wrong in (
        ("each clip once, found twice", tests.index[n_found > 1]),
        ("all test clips, missing", tests.index[is_required & (n_found == 0)]),
        ("test clips of the split only, found", ids[~is_known].unique()),
    ):
        if len(wrong):
            yield f"{where}: expected {expected}: {_some_clips(sorted(wrong))}"
    clips, known = clips[is_known], tests.iloc[places[is_known]]
    for name, column in FACTS.items():
        expected, submitted = known[name].to_numpy(), clips[column].to_numpy()
        is_wrong = np.array([a != b for a, b in zip(expected, submitted, strict=True)], bool)
        if name == "labels":  # None: withheld
            is_wrong &= known[name].notna().to_numpy()
        for row in np.flatnonzero(is_wrong)[:MAX_SHOWN_CLIPS]:
            clip, shown = short(clips["id"].iloc[row]), short(clips[name].iloc[row])
            ours = "another" if name == "speaker" and expected[row] else short(expected[row])
            yield (
                f"{where}: {clip}: {name}: expected {ours}, found {shown} "
                f"({is_wrong.sum()} rows in all)"
            )


def _hash_problems(
    where: str, clips: pd.DataFrame, group: list[Setting], result: Result, answer_key: AnswerKey
) -> Iterator[str]:
    """Ids and labels of corpora without labels here, against the hash over their whole test
    part."""
    rule, schema = result.split.rule, result.schema.name
    for setting, fold in itertools.product(group, range(result.split.folds or 1)):
        cell = str(setting.test)
        assigned = answer_key.assigned_in(rule, schema, cell, setting.corpora, fold)
        for corpus in sorted(set(assigned).intersection(answer_key.unlabelled)):
            of_fold = (clips["cell"] == cell) & (clips["fold"] == fold)
            mine = clips[of_fold & (clips["corpus"] == corpus)]
            pairs = zip(mine["id"], mine["labels"], strict=True)
            if labels_hash(pairs) != assigned[corpus].labels_hash:
                yield (
                    f"{where}: {corpus} in {cell}: expected the ids and labels of its hash, "
                    "found others"
                )


def _trained_problems(
    clips: pd.DataFrame, groups: dict[str, list[Setting]], result: Result, answer_key: AnswerKey
) -> Iterator[str]:
    """Classes that can be predicted: those of the training clips; without training, the same
    everywhere."""
    classes = SCHEMAS[result.schema.name].classes
    known = clips[clips["train"].isin(list(groups))]
    trained = known.groupby(["train", "fold"])["trained"].unique()
    if result.track == "zero-shot":
        submitted = sorted({value for values in trained for value in values})
        names = submitted[0].split("|") if submitted else []
        if len(submitted) != 1 or names != [label for label in classes if label in names]:
            yield (
                "trained: expected the same classes in every row, in order, found "
                f"{some(map(short, submitted))}"
            )
        return
    for (name, fold), submitted in trained.items():
        assignments = assignments_in(answer_key, result, groups[name], "train", fold)
        known = {label for assignment in assignments for label in assignment.trained}
        expected = "|".join(label for label in classes if label in known)
        if list(submitted) != [expected]:
            yield f"{name}: trained: expected {expected}, found {some(map(short, submitted))}"


def _some_clips(clips: Iterable[object]) -> str:
    return some((short(str(clip)) for clip in clips), shown=MAX_SHOWN_CLIPS)
