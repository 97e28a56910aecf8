"""Predictions of an entry as lines of Every Eval Ever, schema 0.3: one a clip, seed and cell.

A line says whether a clip was recognised, so it tells its label: corpora whose licences let nobody
publish labels have none.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.io import files
from bimotion.leaderboard.answer_key import speaker_hash
from bimotion.leaderboard.entry import MEAN, Entry
from bimotion.leaderboard.hub_results import task_id
from bimotion.leaderboard.receiving import Received
from bimotion.protocol.labels import LabelSchema
from bimotion.results import rescoring
from bimotion.results.clip_predictions import test_set
from bimotion.results.statistics.from_predictions import tables_by_seed

SCHEMA_VERSION = "0.3.0"
COLLECTION = "bimotion"
"""Folder of the datastore, below `data`, and how ids begin."""


def evaluation_id(entry: Entry) -> str:
    """The id that an entry's record and its lines share."""
    return f"{COLLECTION}/{entry.full_name}/{entry.key}"


def evaluation_name(entry: Entry, cell: str) -> str:
    """The name of one score, of `mean` or of a cell."""
    return f"{COLLECTION}.{task_id(entry.schema, entry.split_rule, entry.track, cell)}"


def write_clips(entry: Entry, submission: Received, target: Path) -> tuple[int, dict[str, int]]:
    """Write the predictions of an entry whose labels may be published; no file where there are
    none.

    Returns:
        Lines written; corpus whose licence lets nobody publish labels -> predictions left out.
    """
    n_lines, left_out = 0, Counter()
    with files.written(target) as temporary, temporary.open("w", encoding="ascii") as file:
        for cell, table, schema in _test_sets(entry, submission):
            is_free = table["corpus"].map(_may_publish).to_numpy(bool)
            left_out.update(table["corpus"][~is_free].tolist())
            for line in _lines(entry, cell, table[is_free], schema):
                file.write(json.dumps(line, allow_nan=False) + "\n")
                n_lines += 1
    if not n_lines:
        target.unlink()
    return n_lines, dict(sorted(left_out.items()))


def _may_publish(corpus: str) -> bool:
    return CORPORA[corpus].card.redistribution != "nothing"


def _test_sets(
    entry: Entry, submission: Received
) -> Iterator[tuple[str, pd.DataFrame, LabelSchema]]:
    """The test set of each cell's score with each seed, and the schema that it is scored by."""
    result = submission.result
    tables = dict(tables_by_seed(submission.predictions, rescoring.settings_of(result)))
    for cell, score in entry.scalars():
        if cell == MEAN:  # of the same clips: their lines name the cell
            continue
        shown = (score.transfer, score.method, tuple(score.train), score.test)
        for setting, of_seeds in tables.items():
            names = (setting.transfer, setting.method, setting.train_names, str(setting.test))
            if names == shown and setting.corpora is None:
                for table in of_seeds:
                    yield cell, table, rescoring.schema_of(result)


def _lines(entry: Entry, cell: str, table: pd.DataFrame, schema: LabelSchema) -> Iterator[dict]:
    """A line a prediction, by instance_level_eval.schema.json."""
    if table.empty:
        return
    clips = test_set(table, schema)
    names = np.array(schema.classes)
    common = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id(entry),
        "model_id": entry.full_name,
        "evaluation_name": evaluation_name(entry, cell),
        "evaluation_result_id": f"{evaluation_id(entry)}/{cell}",
    }
    rows = zip(
        table.itertuples(), *clips.decisions, clips.probabilities, clips.reference, strict=True
    )
    is_own = clips.label_by_label.tolist()
    for number, (row, present, predicted, probabilities, reference) in enumerate(rows):
        annotated = reference != -1
        shown = {
            "raw": row.id,
            "reference": names[present].tolist(),
            "choices": names[annotated].tolist(),
        }
        scores = zip(names.tolist(), probabilities.tolist(), strict=True)
        answer = json.dumps({name: float(f"{value:.6g}") for name, value in scores})
        is_right = bool((present == predicted).all())
        share = float((present == predicted)[annotated].mean()) if is_own[number] else is_right
        yield common | {
            "sample_id": row.id,
            "sample_hash": _sample_hash(shown),
            "interaction_type": "single_turn",
            "input": shown,
            "output": {"raw": [answer]},
            "answer_attribution": [_decision(names[predicted].tolist(), is_own[number])],
            "evaluation": {"score": float(share), "is_correct": is_right},
            "metadata": _clip_facts(row, cell),
        }


def _decision(labels: list[str], is_label_by_label: bool) -> dict:
    each = "each label above 0.5" if is_label_by_label else "most probable class of its corpus"
    return {
        "turn_idx": 0,
        "source": "output.raw",
        "extracted_value": "|".join(labels) or "none",
        "extraction_method": each,
        "is_terminal": True,
    }


def _clip_facts(row: tuple, cell: str) -> dict:
    """Facts of a prediction; a speaker by the hash that labels files have, so that clips of one
    speaker still go together."""
    speaker = row.speaker if isinstance(row.speaker, str) else None
    facts = {"corpus": row.corpus, "cell": cell, "seed": str(row.seed), "fold": str(row.fold)}
    return facts if speaker is None else facts | {"speaker": speaker_hash(speaker)}


def _sample_hash(shown: dict) -> str:
    """By the recipe of Every Eval Ever."""
    content = {"raw": shown["raw"], "reference": shown["reference"]}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
