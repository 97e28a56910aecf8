"""Submissions of made-up models: a finished run with other probabilities, on a part of its clips.
No audio, no training.
"""

import dataclasses
import hashlib
import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bimotion.leaderboard import admission, receipt
from bimotion.leaderboard.reproduction import Reproduction
from bimotion.results import predictions, record, rescoring
from bimotion.results.record import ModelUsed
from tests.support import shared

FILES = (record.RESULT_FILE, record.PREDICTIONS_FILE, "submission.json")


class Source:
    """A finished run as the mould of many submissions.

    `keep`: one clip in so many, by its id alone, so that all submissions are tested on the same
    ones.
    """

    def __init__(self, run: Path, keep: int = 1):
        self.result, table = rescoring.read(run, agreeing=False)
        self.table = table[
            [zlib.crc32(name.encode()) % keep == 0 for name in table["id"]]
        ].reset_index(drop=True)
        kept = self.table.groupby(["train", "seed", "fold"]).size()
        fits = [
            dataclasses.replace(fit, n_test=int(kept.get((fit.train, fit.seed, fit.fold), 0)))
            for fit in self.result.fits
        ]
        self.result = dataclasses.replace(self.result, fits=fits)
        self.reference = np.stack(self.table["reference"])
        self.means = [
            score
            for score in self.result.scores
            if (score.metric, score.pooling) == ("weighted_f1", "mean")
        ]

    def write(
        self,
        into: Path,
        model: str,
        skill: float,
        seed: int = 0,
        *,
        statement=None,
        verified=True,
        version="1",
        **changes,
    ) -> Path:
        """One submission whose model, of a version, knows a share `skill` of the truth; `changes`:
        other fields of its result."""
        rng = np.random.default_rng(seed)
        noise = rng.random(self.reference.shape)
        probabilities = ((1 - skill) * noise + skill * (self.reference == 1)).astype(np.float32)
        result = dataclasses.replace(
            self.result, scores=self.means, **{"model": ModelUsed(model, version), **changes}
        )
        result = dataclasses.replace(result, key=result.spec.key)
        folder = into / model.replace("/", "__") / result.key
        result.save(folder)
        table = pa.Table.from_pandas(
            self.table.assign(probabilities=list(probabilities)), preserve_index=False
        )
        pq.write_table(
            table.select(predictions.SHAPE.names).cast(predictions.SHAPE),
            folder / record.PREDICTIONS_FILE,
        )
        if statement is not None:
            (folder / "submission.json").write_text(json.dumps(statement))
        if verified:
            verify(folder)
        return folder


def verify(folder: Path, **options) -> None:
    """Write a receipt: that the keeper found a submission to be right; a baseline's where it is
    called so."""
    organisation, _, _ = folder.parent.name.partition("__")
    options = {"baseline": admission.is_reserved(organisation)} | options
    receipt.write(
        receipt.folder_for(folder.parents[1]), name_of(folder), digests(folder), **options
    )


def reproduce(folder: Path, *, keys=receipt.NO_KEYS, **changes) -> None:
    """Add to the receipt that the keeper ran a submission again and found the same; `changes`:
    other fields of its Reproduction."""
    receipts = receipt.folder_for(folder.parents[1])
    held = receipt.load(receipts, name_of(folder), keys)
    fields = {
        "reproduced": True,
        "reason": None,
        "training_sets": ["eng_eld"],
        "n_training_sets": 4,
        "draw": 1,
        "n_predictions": 100,
        "largest_difference": 1e-6,
        "mean_difference": 1e-7,
        "same_decisions": 1.0,
        "right_there_only": 0,
        "right_here_only": 0,
        "is_public": True,
        "model_differs": [],
        "device": "cpu",
        "versions": {"bimotion": "0.1.0"},
        "finished": "2026-01-01T00:00:00+00:00",
    }
    made = Reproduction(**fields | changes)
    receipt.save(receipts, dataclasses.replace(held, reproduction=made), keys)


def name_of(folder: Path) -> str:
    """The name by which receipts call a submission."""
    return f"{folder.parent.name}/{folder.name}"


def receipt_of(folder: Path) -> Path:
    """The path at which the receipt of a submission lies."""
    return receipt.folder_for(folder.parents[1]) / name_of(folder) / receipt.RECEIPT_FILE


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a submission, whatever else lies there."""
    there = [folder / name for name in FILES if (folder / name).exists()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in there}


MODELS = {  # name -> share of the truth that it knows, parameters
    "lab/large": (0.42, 316_000_000),
    "lab/large-twin": (0.42, 315_000_000),
    "lab/base": (0.30, 94_000_000),
    "lab/dirty": (0.36, 580_000_000),
    "lab/unverified": (0.99, 1_000_000),
    "org/tiny": (0.12, 6_100),
    "bimotion/majority": (0.01, None),
}
RUN_AGAIN = ("lab/large", "lab/large-twin", "lab/base", "org/tiny")
"""By the keeper, who found the same predictions."""
STATEMENTS = {
    "lab/dirty": {
        "trained_on": ["IEMOCAP", "ESD"],
        "contamination": {"eng_adu": ["iemocap", "esd"], "zho_adu": ["esd"]},
    },
    "lab/base": {"trained_on": [], "contamination": {"eng_adu": []}},
}


def run_of(true_tree: Path, protocol: str = "inference") -> Path:
    """A finished run of bimotion/random under split `disjoint`."""
    from bimotion.evaluation import run as runner

    asked = {"data_dir": true_tree, "protocol": protocol, "split_rule": "disjoint"}
    asked["schema"] = "emotion"
    output = shared.once(
        f"run-{protocol}",
        lambda output: runner.evaluate("bimotion/random", output=output, **asked),
    )
    return next(output.glob(f"*/*/{record.RESULT_FILE}")).parent


def few(true_tree: Path) -> Path:
    """A folder of submissions: the whole run of bimotion/random, MODELS on one clip in 12 of it,
    and a file that is no result; receipts beside it, those of RUN_AGAIN with a reproduction."""
    run = run_of(true_tree)
    return shared.once("board", lambda board: _few(board / "submissions", run)) / "submissions"


def _few(folder: Path, run: Path) -> None:
    real = folder / "bimotion__random" / run.name
    real.mkdir(parents=True)
    shutil.copy(run / record.RESULT_FILE, real)
    with (real / record.PREDICTIONS_FILE).open("wb") as file:
        predictions.write(run / record.PREDICTIONS_FILE, file)
    verify(real)
    source = Source(run, keep=12)
    for number, (model, (skill, n_parameters)) in enumerate(MODELS.items()):
        options = {"statement": STATEMENTS.get(model), "verified": model != "lab/unverified"}
        written = source.write(folder, model, skill, number, n_parameters=n_parameters, **options)
        if model in RUN_AGAIN:
            reproduce(written)
    (folder / "lab__broken" / "key").mkdir(parents=True)
    for name in FILES[:2]:
        (folder / "lab__broken" / "key" / name).write_text("{}")
