"""Submissions to be spoilt, as thoroughly as their sender likes."""

import dataclasses
import hashlib
import json
import os
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bimotion.errors import RecordError
from bimotion.io import records
from bimotion.leaderboard import receipt, receiving, submission, verify
from bimotion.results import predictions, rescoring, scoring
from bimotion.results.record import Result

RESULT, PREDICTIONS, STATEMENT = "result.json", "predictions.parquet", "submission.json"


def save_rows(path, n_rows, text):
    """Save a Parquet file of a few KB in the shape of predictions: one text in every row."""
    word = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n_rows, np.int32)), pa.array([text]))
    offsets = pa.array(np.zeros(n_rows + 1, np.int32))
    columns = [
        word
        if pa.types.is_string(field.type)
        else pa.ListArray.from_arrays(offsets, pa.array([], field.type.value_type))
        if pa.types.is_list(field.type)
        else pa.array(np.zeros(n_rows), field.type)
        for field in predictions.SHAPE
    ]
    pq.write_table(pa.table(columns, predictions.SHAPE.names), path, store_schema=False)


@cache
def _prepared(run):
    return submission.prepare(run, contact="me@lab.example", trained_on=["IEMOCAP", "CREMA-D"])


class Draft:
    """A submission to be spoilt, as thoroughly as its sender likes: what hangs on a change follows
    it, but for `kept`.

    result, statement   content of the JSON files, as plain dicts;  table: of the predictions, a
                        data frame
    then                called with the folder when all is written
    kept                of `key`, `statement`, `fingerprints`: left as they are
    """

    def __init__(self, run):
        prepared = list(_prepared(run).values())
        self.result, self.statement = json.loads(prepared[1]), json.loads(prepared[2])
        self.table = pq.read_table(pa.BufferReader(prepared[0])).to_pandas()
        self.then, self.kept = [], set()

    def rescored(self):
        """Scores made anew from the predictions: a sender who cheats will do so."""
        result = records.from_json(Result, json.dumps(self.result), "result")
        scores = scoring.scores(
            self.table, rescoring.settings_of(result), rescoring.schema_of(result)
        )
        self.result["scores"] = [dataclasses.asdict(score) for score in scores]

    def write(self, root):
        text = json.dumps(self.result, indent=1)
        try:
            result = records.from_json(Result, text, "result")
            if "key" not in self.kept:
                result = dataclasses.replace(result, key=result.spec.key)
            text, self.result["key"] = result.to_json(), result.key
            if "statement" not in self.kept:
                self.statement["model"] |= {
                    "name": result.model.name,
                    "track": result.track,
                    "n_parameters": result.n_parameters,
                }
        except RecordError:
            pass
        name = str(self.result["model"]["name"]).rpartition("/")[2].replace("\n", "") or "x"
        folder = root / f"{self.statement['organisation']}__{name}" / str(self.result["key"])
        folder.mkdir(parents=True)
        (folder / RESULT).write_text(text)
        table = self.table
        if isinstance(table, pd.DataFrame):
            table = in_shape(table)
        pq.write_table(table, folder / PREDICTIONS, compression="zstd")
        self.seal(folder)
        for then in self.then:
            then(folder)
        return folder

    def seal(self, folder):
        """Statement with the fingerprints of what now lies in the folder."""
        if "fingerprints" not in self.kept:
            for name in (RESULT, PREDICTIONS):
                self.statement["fingerprints"][name] = hashlib.sha256(
                    (folder / name).read_bytes()
                ).hexdigest()
        (folder / STATEMENT).write_text(
            json.dumps(self.statement, indent=1, ensure_ascii=False) + "\n"
        )


def in_shape(table):
    """A data frame as the writer's own table; NaN stays NaN."""
    columns = {}
    for field in predictions.SHAPE:
        values = table[field.name].astype(object)
        if not pa.types.is_list(field.type):
            values = values.where(values.notna(), None)
        columns[field.name] = pa.array(values.tolist(), field.type, from_pandas=False)
    return pa.table(columns, schema=predictions.SHAPE)


def received(folder, known, **options):
    """The verdict on one submission, and its receipt; as the command gives them."""
    name = f"{folder.parent.name}/{folder.name}"
    [verdict] = receiving.receive(folder.parents[1], [name], known, **{"baseline": True} | options)
    return verdict, receipt.load(
        receipt.folder_for(folder.parents[1], options.get("receipts")), name
    )


def rows(change):
    """A change of the whole table of predictions."""

    def tamper(draft):
        draft.table = change(draft.table.copy())

    return tamper


def number(position, value):
    return lambda numbers: np.array(
        [value if at == position else old for at, old in enumerate(numbers)], np.float32
    )


def stated(field, to):
    """Another value in submission.json."""

    def tamper(draft):
        draft.kept.add("statement")
        draft.statement[field] = to(draft.statement[field]) if callable(to) else to

    return tamper


def afterwards(change, seal=True):
    """A change of the written files."""

    def tamper(draft):
        draft.then.append(change)
        if seal:
            draft.then.append(draft.seal)

    return tamper


def kept(name, tamper):
    def tampered(draft):
        draft.kept.add(name)
        tamper(draft)

    return tampered


def swapped_label(reference):
    swapped = np.array(reference)
    swapped[[list(reference).index(1), list(reference).index(0)]] = 0, 1
    return swapped


def rewritten(name, content):
    def change(folder):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(content(data) if callable(content) else content)

    return change


def oversize(name, n_bytes):
    return lambda folder: os.truncate(folder / name, n_bytes)  # sparse: costs no disk


def verdicts_of(tampered, run, known, tmp_path_factory):
    """Name -> verdict, of every tampered submission."""
    folders = {}
    for name, (tamper, _) in tampered.items():
        draft = Draft(run)
        tamper(draft)
        folders[name] = draft.write(tmp_path_factory.mktemp("tampered"))
    return dict(zip(folders, verify.verify_all([*folders.values()], known), strict=True))


def check_refused(verdict, message):
    """Assert that a verdict refuses with a reason, in few short lines."""
    assert not verdict.ok
    assert verdict.result is None
    assert any(message in problem for problem in verdict.problems), verdict.problems
    assert all(
        problem.isprintable() and len(problem) <= verify.MAX_LINE + 3
        for problem in verdict.problems
    )
    assert not [problem for problem in verdict.problems if problem.startswith("unexpected ")]
    assert len(verdict.problems) <= verify.MAX_LINES
