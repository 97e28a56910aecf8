"""The local leaderboard: every result below a folder, one entry each, in one JSON."""

import json
from pathlib import Path

from bimotion.errors import RecordError
from bimotion.io import files
from bimotion.io.records import refuse_others
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.protocol.cells import BIMOTION_CELLS
from bimotion.protocol.settings import BY_TRAINING_SET
from bimotion.results import record

LEADERBOARD_VERSION = 3
LEADERBOARD_FILE = "leaderboard.json"
VERSION_FIELD = "leaderboard_version"
SYNTHETIC = "synthetic data: made by `bimotion data synth`, says nothing about people"


def collect(folder: Path) -> Path:
    """Write `folder`/leaderboard.json from all `<model>/<key>/result.json` below it; returns its
    path.

    `entries` are ordered within a track, split rule, schema and protocol by headline: the mean over
    all four cells of in-group (or zero-shot) weighted F1 (null, and last, where a cell is missing).
    Results on synthetic data, and of another version of the numbers, stand under `excluded`, with
    the reason; results on incomplete corpora
    are entries marked `complete: false`. A file that is no result stands under `excluded` too.
    Raises SettingError where another file has the list's name.
    """
    check(folder)
    entries, excluded = [], []
    for path in sorted(folder.glob(f"*/*/{record.RESULT_FILE}")):
        name = path.relative_to(folder).as_posix()
        try:
            result = record.load(path)
        except RecordError as error:
            excluded.append({"result": name, "reason": str(error)})
            continue
        if reason := _reason(result):
            excluded.append(_entry(result, name) | {"reason": reason})
        else:
            entries.append(_entry(result, name))
    board = {
        VERSION_FIELD: LEADERBOARD_VERSION,
        "metric": "weighted_f1",
        "entries": sorted(entries, key=_order),
        "excluded": excluded,
    }
    with files.written(folder / LEADERBOARD_FILE) as temporary:
        temporary.write_text(json.dumps(board, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return folder / LEADERBOARD_FILE


def _reason(result: record.Result) -> str | None:
    """The reason that a result cannot stand among the others, if it cannot."""
    if result.split.version != NUMBERS_VERSION:
        return f"numbers version {result.split.version}, not {NUMBERS_VERSION}: run it again"
    return SYNTHETIC if result.data.synthetic else None


def check(folder: Path) -> None:
    """Raise SettingError where the list's name is that of another file, such as an earlier
    board."""
    refuse_others(folder / LEADERBOARD_FILE, VERSION_FIELD)


def _order(entry: dict) -> tuple:
    """Comparable entries together, best first; without a headline last."""
    comparable = tuple(entry[name] for name in ("track", "split_rule", "schema", "protocol"))
    headline = entry["mean_in_group"]
    return (*comparable, headline is None, -(headline or 0.0), entry["model"], entry["key"])


def _entry(result: record.Result, path: str) -> dict:
    """One line of the board: weighted F1, mean over corpora, of every setting that was run."""
    headline: dict[str, dict[str, float]] = {}
    for score in result.scores:
        name, train = f"{score.transfer}/{score.method}", None
        if score.method in BY_TRAINING_SET:
            name, train = f"{score.method}/{'+'.join(score.train)}", tuple(score.train)
        if (score.pooling, score.metric) == ("mean", "weighted_f1"):
            value = result.headline(score.transfer, score.method, score.test, train=train)
            if value is not None:
                headline.setdefault(name, {})[score.test] = value
    first = "zero-shot/zero-shot" if result.track == "zero-shot" else "in-group/inference"
    in_group = [headline.get(first, {}).get(str(cell)) for cell in BIMOTION_CELLS]
    return {
        "model": result.model.name,
        "key": result.key,
        "result": path,
        "track": result.track,
        "adapt": result.adapt and vars(result.adapt),
        "split_rule": result.split.name,
        "schema": result.schema.name,
        "protocol": result.protocol.name,
        "cells": result.protocol.cells,
        "seeds": result.seeds,
        "limit": result.limit,
        "data_fingerprint": result.data.fingerprint,
        "complete": result.data.complete,
        "mean_in_group": None if None in in_group else sum(in_group) / len(in_group),
        "scores": headline,
    }
