"""A board as records of Every Eval Ever, schema 0.3 (https://evalevalai.com, every_eval_ever on
PyPI): one JSON an entry with its scores, and beside it a JSON Lines file with its predictions.

Both lie where the project's datastore expects them:

data/bimotion/<developer>/<model>/
    <uuid>.json            model, source, and of the mean and each cell its score with interval
    <uuid>_samples.jsonl   a line a clip, seed and cell, of the same predictions

Scores of settings that an entry is not ranked by stay in board.json. A line says whether a clip was
recognised, so it tells its label: corpora whose licences let nobody publish labels have none.
"""

import dataclasses
import hashlib
import json
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bimotion.corpora import CORPORA
from bimotion.io import files
from bimotion.leaderboard import exported, receiving
from bimotion.leaderboard.board import Board
from bimotion.leaderboard.entry import MEAN, CellScore, Entry, Number
from bimotion.leaderboard.every_eval_clips import (
    COLLECTION,
    SCHEMA_VERSION,
    evaluation_id,
    evaluation_name,
    write_clips,
)
from bimotion.leaderboard.receiving import Received
from bimotion.leaderboard.signature import BoardKeys
from bimotion.results.predictions import LABELS
from bimotion.results.reservations import MEANINGS

_log = logging.getLogger(__name__)
MAX_FOLDER_NAME = 100
WITHHELD = "the licences of all its corpora let nobody publish labels"
WITHOUT_LABELS = "its predictions hold no labels"
NOT_VERIFIED = "only claimed: its predictions were not verified"
_RESERVED_NAMES = {"CON", "PRN", "AUX", "NUL", "DATA"} | {
    f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10)
}
"""That no folder of the datastore may have."""
_UUID = "-".join("[0-9a-f]" * n for n in (8, 4, 4, 4, 12))
_INTERVAL = (
    "95 %, Wilson's shape at the effective number of clips, t quantile (Satterthwaite), clustered "
    "by speaker"
)
_STANDARD_ERROR = "linearised, clustered by speaker, and over seeds where there are several"


@dataclass(frozen=True)
class Written:
    """The files of one entry."""

    record: Path
    """Scores."""
    clips: Path | None = None
    """Predictions; None: see `reason`."""
    n_lines: int = 0
    """Of them."""
    reason: str | None = None
    """Why there are no predictions."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Corpus whose licence lets nobody publish labels -> predictions that are left out."""


def write(
    board: Board,
    submissions: Path,
    output: Path,
    *,
    receipts: Path | None = None,
    keys: BoardKeys | None = None,
    clips: bool = True,
    created: float | None = None,
    say: Callable[[str], None] = _log.warning,
) -> list[Written]:
    """Write records of all entries that have a score; return what was written. Records that an
    earlier export of these submissions wrote there go; those of other boards stay (exported.py).

    Args:
        board: of these submissions.
        submissions: their folder: predictions are read there, once more held against receipts.
        output: the folder that `data` lies in.
        receipts: their folder, as of `board.build`.
        keys: of the board, as of `receiving.received`.
        clips: with a line a clip.
        created: Unix time that the records say they were made at; None: now.
        say: hears how many files of an earlier export were removed.

    Raises:
        SettingError: where a submission has changed since the board was made.

    Example::

        write(board.build(folder), folder, Path("every-eval-ever"))
    """
    created = time.time() if created is None else created
    written = []
    for entry in board.entries:
        if not list(entry.scalars()):
            continue
        made = Written(output / path_of(entry), reason=None if clips else "not asked for")
        if clips and not entry.flags.is_recomputed:
            made = replace(made, reason=NOT_VERIFIED)
        elif clips:
            verified = receiving.received(submissions, entry.id, receipts, keys)
            made = _with_clips(made, entry, verified)
        if made.clips is None:  # those of an earlier export
            _clips_path(made.record).unlink(missing_ok=True)
        text = json.dumps(record(entry, made, created), indent=1, allow_nan=False) + "\n"
        with files.written(made.record) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.append(made)
    # of an earlier export: an entry that is gone must not be uploaded
    there = [path for made in written for path in (made.record, made.clips) if path is not None]
    patterns = [f"data/{COLLECTION}/*/*/{_UUID}{end}" for end in (".json", "_samples.jsonl")]
    board_name = f"every-eval-ever {os.path.realpath(submissions)}"
    exported.replace_earlier(output, board_name, there, patterns, say)
    return written


def _with_clips(made: Written, entry: Entry, submission: Received) -> Written:
    if LABELS not in submission.predictions:
        return replace(made, reason=WITHOUT_LABELS)
    target = _clips_path(made.record)
    n_lines, left_out = write_clips(entry, submission, target)
    if not n_lines:
        return replace(made, reason=WITHHELD, left_out=left_out)
    return replace(made, clips=target, n_lines=n_lines, left_out=left_out)


def _clips_path(record: Path) -> Path:
    return record.with_name(f"{record.stem}_samples.jsonl")


def path_of(entry: Entry) -> str:
    """The path of an entry's record below the output folder, always the same."""
    developer, _, model = entry.full_name.rpartition("/")
    digest = hashlib.sha256(entry.id.encode("utf-8", "backslashreplace")).digest()
    name = uuid.UUID(bytes=digest[:16], version=4)
    folder = (COLLECTION, _folder_name(developer or "unknown"), _folder_name(model))
    return f"data/{'/'.join(folder)}/{name}.json"


def _folder_name(name: str) -> str:
    """A stranger's name as the datastore takes folders: ASCII, short, no reserved name.

    >>> _folder_name("../a=b?"), _folder_name("nul.x"), _folder_name("")
    ('_a=b_', '_nul.x', '_')
    """
    safe = re.sub(r"[^A-Za-z0-9._=+-]", "_", name)[:MAX_FOLDER_NAME].strip(".")
    is_free = safe and safe.partition(".")[0].upper() not in _RESERVED_NAMES
    return safe if is_free else f"_{safe}"


# --- scores -------------------------------------------------------------------------------------


def record(entry: Entry, made: Written, created: float) -> dict:
    """The content of an entry's record, by eval.schema.json.

    Args:
        entry: of a board.
        made: what was written of its clips.
        created: Unix time of the record.
    """
    relationship = "third_party" if entry.flags.status == "reproduced" else "other"
    content = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id(entry),
        "evaluation_timestamp": entry.finished,
        "retrieved_timestamp": str(created),
        "source_metadata": {
            "source_name": "BiMotion leaderboard",
            "source_type": "evaluation_run",
            "source_organization_name": "BiMotion",
            "evaluator_relationship": "first_party" if entry.flags.baseline else relationship,
            "additional_details": _texts(_flags(entry)),
        },
        "eval_library": {"name": "bimotion", "version": entry.version or "unknown"},
        "model_info": _model_info(entry),
        "evaluation_results": [_result(entry, name, score) for name, score in entry.scalars()],
    }
    if made.clips is not None:
        content["detailed_evaluation_results"] = _clips_reference(made)
    return content


def _model_info(entry: Entry) -> dict:
    is_public = entry.flags.baseline or (entry.reproduction and entry.reproduction.is_public)
    details = {
        "deployment_type": "self_deployed",
        "model_availability": "open_weights" if is_public else "unknown",
        "revision": entry.revision,
        "n_parameters": entry.n_parameters,
        "trained_on": entry.trained_on or "not declared",
        "trained_on_not_recognised": ", ".join(entry.not_recognised) or None,
    }
    return {
        "name": entry.model,
        "id": entry.full_name,
        "developer": entry.full_name.rpartition("/")[0] or "unknown",
        "additional_details": _texts(details),
    }


def _flags(entry: Entry) -> dict:
    """The facts that a reader must know before believing the scores; only those that apply."""
    flags = dataclasses.asdict(entry.flags)
    applying = {name: value for name, value in flags.items() if value not in (None, False, [], {})}
    organisation = {"organisation_proof": "unproved"}  # where nothing is said of it
    signed_by = {"receipt_signed_by": entry.signed_by or "nobody"}
    odd = {"looks_odd": [f"{oddity.kind}: {oddity.explanation}" for oddity in entry.oddities]}
    facts = {"entry": entry.id, "run_key": entry.key} | signed_by | organisation | applying
    return facts | odd if entry.oddities else facts


def _result(entry: Entry, name: str, score: Number | CellScore) -> dict:
    cells = dict(entry.scalars())
    cells.pop(MEAN, None)
    averaged = list(cells.values()) if name == MEAN else [score]
    corpora = sorted({corpus for cell in averaged for corpus in cell.corpora})
    described = f"mean over {', '.join(cells)}" if name == MEAN else f"cell {name}"
    return {
        "evaluation_result_id": f"{evaluation_id(entry)}/{name}",
        "evaluation_name": evaluation_name(entry, name),
        "source_data": {
            "dataset_name": COLLECTION,
            "source_type": "url",
            "url": [CORPORA[corpus].card.url for corpus in corpora],
            "additional_details": _texts(
                {
                    "corpora": ", ".join(corpora),
                    "test_cells": ", ".join(cells) if name == MEAN else name,
                    "split": entry.split_rule,
                    "label_schema": entry.schema,
                    "protocol": entry.protocol,
                    "data_fingerprint": entry.data_fingerprint,
                }
            ),
        },
        "metric_config": _metric(described, averaged),
        "score_details": _score(score, averaged),
        "generation_config": {
            "additional_details": _texts(
                {
                    "track": entry.track,
                    "seeds": ", ".join(map(str, entry.seeds)),
                    "adapted": entry.adapt.summary if entry.adapt else None,
                    "options": entry.options,
                    "device": entry.device,
                }
            )
        },
    }


def _metric(described: str, cells: Sequence[CellScore]) -> dict:
    units = sorted({cell.clusters for cell in cells})
    return {
        "evaluation_description": "Speech emotion recognition: weighted F1, mean over the corpora "
        f"of a cell and over seeds; {described}",
        "metric_id": "f1_weighted",
        "metric_name": "Weighted F1",
        "metric_kind": "f1",
        "metric_unit": "proportion",
        "metric_parameters": {"average": "weighted"},
        "lower_is_better": False,
        "score_type": "continuous",
        "min_score": 0,
        "max_score": 1,
        "additional_details": _texts(
            {
                "resampling_unit": "speaker",
                "speakers_known": ", ".join(units),
                "n_resampling_units": sum(cell.n_clusters for cell in cells),
                "n_known_speakers": sum(cell.n_speakers for cell in cells),
                "n_clips_of_unknown_speakers": sum(cell.n_speaker_unknown for cell in cells),
            }
        ),
    }


def _score(score: Number | CellScore, cells: Sequence[CellScore]) -> dict:
    uncertainty = {"num_samples": sum(cell.n_utterances for cell in cells)}
    if score.low is not None and score.high is not None:
        uncertainty["confidence_interval"] = {
            "lower": score.low,
            "upper": score.high,
            "confidence_level": 0.95,
            "method": _INTERVAL,
        }
    if score.standard_error is not None:
        uncertainty["standard_error"] = {"value": score.standard_error, "method": _STANDARD_ERROR}
    reserved = "".join(dict.fromkeys("".join(cell.reservations for cell in cells)))
    details = {
        "interval_note": score.reason,
        "reservations": "; ".join(MEANINGS[mark] for mark in reserved) or None,
        "by_corpus": score.corpora if isinstance(score, CellScore) else None,
    }
    return {"score": score.value, "uncertainty": uncertainty, "details": _texts(details)}


def _texts(values: dict) -> dict[str, str]:
    """Details as the schema takes them, texts only; without those that are not known.

    >>> _texts({"a": "x", "b": None, "c": {"d": [1]}})
    {'a': 'x', 'c': '{"d": [1]}'}
    """
    known = {name: value for name, value in values.items() if value is not None}
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in known.items()
    }


def _clips_reference(made: Written) -> dict:
    left_out = ", ".join(f"{name}: {n}" for name, n in made.left_out.items())
    details = {
        "input": "the id of a clip in its corpus; the sound is not passed on",
        "left_out": f"{left_out} (their licences let nobody publish labels)" if left_out else None,
    }
    return {
        "format": "jsonl",
        "file_path": "/".join(made.clips.parts[-5:]),  # from `data` on
        "hash_algorithm": "sha256",
        "checksum": files.digest(made.clips),
        "total_rows": made.n_lines,
        "additional_details": _texts(details),
    }
