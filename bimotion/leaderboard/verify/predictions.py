"""Rows of submitted predictions, held against a reference: the right clips, once each, with their
own facts, and numbers that can be probabilities. Every problem is one line that names the training
set, the seed and the clip."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bimotion.errors import some
from bimotion.leaderboard.answer_key import AnswerKey, marks_hash, marks_text, speaker_hash
from bimotion.leaderboard.verify.record import deals, short, training_sets
from bimotion.protocol.labels import SCHEMAS, LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.record import Result

MAX_SAID = 5
"""Clips of one problem that are told one by one."""
SUM_TOLERANCE = 1e-3
"""Of the probabilities of exclusive classes, float32, to 1."""


def problems(
    table: pa.Table, result: Result, settings: list[Setting], reference: AnswerKey
) -> Iterator[str]:
    """What is wrong with predictions (in predictions.SHAPE) as those of a result; nothing for an
    honest submission.

    Example::

        table = predictions.read(folder / "predictions.parquet")
        list(rows.problems(table, result, rescoring.settings_of(result), reference))
    """
    schema = SCHEMAS[result.schema.name]
    found = list(_number_problems(table, result, schema))
    yield from found
    if found:
        return
    clips = table.select(["id", "cell", "corpus", "speaker", "train", "seed"]).to_pandas()
    clips["speaker"] = clips["speaker"].astype(object).where(clips["speaker"].notna(), None)
    clips["marks"] = marks_text(_matrix(table, "reference"))
    clips["trained"] = pc.binary_join(table["trained"].combine_chunks(), "|").to_pylist()
    found = dict(list(clips.groupby(["train", "seed"])))
    groups = training_sets(settings)
    expected = [(name, seed) for name in groups for seed in result.seeds]
    for name, seed in expected:
        if (name, seed) not in found:
            yield f"{name}, seed {seed}: expected predictions of its test clips, found none"
    if strange := sorted(set(found) - set(expected)):
        yield (
            "expected training sets and seeds of the protocol alone, found "
            f"{some(map(short, strange))}"
        )
    hashes = {name: speaker_hash(name) for name in clips["speaker"].unique() if name is not None}
    for name, group in groups.items():
        rule = result.split.rule
        tests = pd.concat(
            [reference.test_clips(rule, schema, one.test, one.corpora) for one in group]
        )
        for seed in result.seeds:
            if (name, seed) in found:
                where = f"{name}, seed {seed}"
                yield from _clip_problems(where, tests, found[name, seed], hashes, schema)
                yield from _hash_problems(where, found[name, seed], group, result, reference)
    yield from _trained_problems(clips, groups, result, reference, schema)


def _matrix(table: pa.Table, name: str) -> np.ndarray:
    """A column of lists of one length as an array, shape (n, length)."""
    return pc.list_flatten(table[name]).to_numpy().reshape(table.num_rows, -1)


def _number_problems(table: pa.Table, result: Result, schema: LabelSchema) -> Iterator[str]:
    def told(column: str, expected: str, wrong: np.ndarray, values: np.ndarray) -> Iterator[str]:
        if wrong.any():
            place = int(wrong.argmax())
            where = short(table["id"][place].as_py())
            yield (
                f"column {column}: expected {expected}, found {values[place]!s:.80} at {where} "
                f"({wrong.sum()} rows in all)"
            )

    n_classes = len(schema.classes)
    for name in ("probabilities", "reference"):
        lengths = pc.list_value_length(table[name]).to_numpy()
        wrong = lengths != n_classes
        yield from told(name, f"one number for each of {n_classes} classes", wrong, lengths)
        if wrong.any():
            return
    probabilities, reference = _matrix(table, "probabilities"), _matrix(table, "reference")
    outside = ~((probabilities >= 0) & (probabilities <= 1))  # NaN is outside as well
    worst = np.take_along_axis(probabilities, outside.argmax(axis=1)[:, None], axis=1)[:, 0]
    yield from told("probabilities", "finite numbers from 0 to 1", outside.any(axis=1), worst)
    # guesses of baselines need not
    heads = result.track != "zero-shot" and not result.model.name.startswith("bimotion/")
    if schema.exclusive and heads and not outside.any():
        sums = probabilities.sum(axis=1, dtype=np.float64)
        yield from told(
            "probabilities", "classes that sum to 1", np.abs(sums - 1) > SUM_TOLERANCE, sums
        )
    yield from told(
        "reference", "marks 1, 0 and -1", (np.abs(reference.astype(int)) > 1).any(axis=1), reference
    )
    # joined by `|` later on: no name may hold one
    named = pc.unique(pc.list_flatten(table["trained"])).to_pylist()
    if strange := sorted(set(named) - set(schema.classes)):
        yield (
            f"column trained: expected classes of schema {schema.name}, found "
            f"{some(map(short, strange))}"
        )


def _clip_problems(
    where: str,
    tests: pd.DataFrame,
    clips: pd.DataFrame,
    hashes: dict[str, str],
    schema: LabelSchema,
) -> Iterator[str]:
    """One training set and seed: ids complete, once each, no other; and what stands beside each
    id."""
    if len(twice := clips.loc[clips["id"].duplicated(), "id"].unique()):
        yield f"{where}: expected each clip once, found twice: {_names(twice)}"
    # under an exclusive schema nobody says which withheld clips have a class: the hash over all of
    # them does
    required = tests.index if not schema.exclusive else tests.index[tests["marks"].notna()]
    if len(missing := required.difference(clips["id"])):
        yield f"{where}: expected all test clips, missing: {_names(missing)}"
    if len(strange := pd.Index(clips["id"].unique()).difference(tests.index)):
        yield f"{where}: expected test clips of the split alone, found {_names(strange)}"
    clips = clips[clips["id"].isin(tests.index)]
    facts = tests.loc[clips["id"]]
    found = clips.assign(
        speaker=pd.Series(
            [hashes.get(name) for name in clips["speaker"]], clips.index, dtype=object
        )
    )
    for name in ("cell", "corpus", "speaker", "marks"):
        ours, theirs = facts[name].to_numpy(), found[name].to_numpy()
        wrong = np.array([a != b for a, b in zip(ours, theirs, strict=True)], bool)
        if name == "marks":
            wrong &= facts[name].notna().to_numpy()
        for place in np.flatnonzero(wrong)[:MAX_SAID]:
            clip, shown = short(clips["id"].iloc[place]), clips[name].iloc[place]
            expected = "another" if name == "speaker" and ours[place] else short(ours[place])
            what = "reference" if name == "marks" else name
            yield (
                f"{where}: {clip}: {what}: expected {expected}, found {short(shown)} "
                f"({wrong.sum()} rows in all)"
            )


def _hash_problems(
    where: str, clips: pd.DataFrame, group: list[Setting], result: Result, reference: AnswerKey
) -> Iterator[str]:
    """Ids and marks of corpora without labels here, against the hash over their whole test part."""
    for setting in group:
        dealt = reference.deals_of(
            result.split.rule, result.schema.name, setting.test, setting.corpora
        )
        for corpus in sorted(set(dealt).intersection(reference.unlabelled)):
            mine = clips[(clips["corpus"] == corpus) & (clips["cell"] == str(setting.test))]
            if marks_hash(zip(mine["id"], mine["marks"], strict=True)) != dealt[corpus].marks:
                yield (
                    f"{where}: {corpus} in {setting.test}: expected the ids and reference of its "
                    "hash, found others"
                )


def _trained_problems(
    clips: pd.DataFrame,
    groups: dict[str, list[Setting]],
    result: Result,
    reference: AnswerKey,
    schema: LabelSchema,
) -> Iterator[str]:
    """Classes that can be predicted: those of the training clips; without training, the same
    everywhere."""
    told = {
        name: sorted(rows["trained"].unique())
        for name, rows in clips.groupby("train")
        if name in groups
    }
    for name, found in told.items():
        if result.track != "zero-shot":
            known = {
                label
                for deal in deals(reference, result, groups[name], "train")
                for label in deal.trained
            }
            expected = ["|".join(label for label in schema.classes if label in known)]
            if found != expected:
                yield f"{name}: trained: expected {expected[0]}, found {some(map(short, found))}"
    if result.track == "zero-shot":
        found = sorted({value for values in told.values() for value in values})
        names = found[0].split("|") if found else []
        if len(found) != 1 or names != [label for label in schema.classes if label in names]:
            yield (
                "trained: expected the same classes in every row, in order, found "
                f"{some(map(short, found))}"
            )


def _names(clips: Iterable[object]) -> str:
    return some((short(str(clip)) for clip in clips), shown=MAX_SAID)
