"""The local leaderboard: every result below a folder, one entry each, in one JSON."""

import json
from pathlib import Path

from bimotion import files, results
from bimotion.protocol import TRANSFERS

LEADERBOARD_VERSION = 1
LEADERBOARD_FILE = "leaderboard.json"


def collect(folder: Path) -> Path:
    """Write `folder`/leaderboard.json from all `<model>/<key>/result.json` below it; returns its path.

    `entries` are ordered by headline: the mean over cells of in-group weighted F1. Results on synthetic data stand under
    `excluded`, with the reason; results on incomplete corpora are entries marked `complete: false`.
    Raises RecordError for a result that breaks its schema.
    """
    entries, excluded = [], []
    for path in sorted(folder.glob(f"*/*/{results.RESULT_FILE}")):
        result = results.load(path)
        entry = _entry(result, path.relative_to(folder).as_posix())
        if result.synthetic:
            excluded.append(entry | {"reason": "synthetic data: made by `bimotion data synth`, says nothing about people"})
        else:
            entries.append(entry)
    entries.sort(key=lambda entry: (-(entry["mean_in_group"] or 0.0), entry["model"], entry["key"]))
    board = {"leaderboard_version": LEADERBOARD_VERSION, "metric": "weighted_f1", "entries": entries, "excluded": excluded}
    with files.written(folder / LEADERBOARD_FILE) as temporary:
        temporary.write_text(json.dumps(board, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return folder / LEADERBOARD_FILE


def _entry(result: results.Result, path: str) -> dict:
    """One line of the board: weighted F1, mean over corpora, of every setting that was run."""
    tests = sorted({score.test for score in result.scores})
    headline = {
        f"{transfer}/{method}": {
            test: value for test in tests if (value := result.headline(transfer, method, test)) is not None
        }
        for transfer in TRANSFERS
        for method in ("inference", "augmentation")
    }
    in_group = list(headline["in-group/inference"].values())
    spec = result.spec
    return {
        "model": spec.model,
        "key": result.key,
        "result": path,
        "track": spec.track,
        "split_rule": spec.split_rule,
        "schema": spec.schema,
        "protocol": spec.protocol,
        "data_fingerprint": spec.data_fingerprint,
        "complete": result.complete,
        "mean_in_group": sum(in_group) / len(in_group) if in_group else None,
        "scores": {name: values for name, values in headline.items() if values},
    }
