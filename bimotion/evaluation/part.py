"""The predictions of one job and its record, as they lie on disk until the run is finished."""

import dataclasses
import io
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.data.labelled import LabelledClips
from bimotion.evaluation.job import JobPredictions, TrainingJob
from bimotion.evaluation.tracks import Runner
from bimotion.results.predictions import save
from bimotion.results.record import FitRecord

_log = logging.getLogger(__name__)


def part_of(runner: Runner, job: TrainingJob, folder: Path) -> bytes:
    """Run a job in a runner that is open; `folder`: as of `Runner.run`."""
    _log.info(
        "training set %s, fold %d, seed %d: %d clips", job.name, job.fold, job.seed, len(job.train)
    )
    predictions = runner.run(job, folder)
    n_clips = (len(job.train), len(job.validation), len(job.test))
    note = _note(runner.labelled, job, predictions)
    fit = FitRecord(job.name, job.seed, *n_clips, predictions.facts, note, job.fold)
    table = io.BytesIO()
    save(_table(runner.labelled, job, predictions), table)
    return json.dumps(dataclasses.asdict(fit)).encode() + b"\n" + table.getvalue()


def read(part: bytes) -> tuple[pd.DataFrame, FitRecord]:
    """Predictions and record of a job."""
    record, _, table = part.partition(b"\n")
    return pd.read_parquet(io.BytesIO(table)), FitRecord(**json.loads(record))


def _note(labelled: LabelledClips, job: TrainingJob, predictions: JobPredictions) -> str | None:
    """A note where the training or validation clips of a job have one class, and which; and where
    its head has not converged."""
    notes = []
    if predictions.facts.get("converged") is False:
        notes.append(f"head not converged after {predictions.facts['iterations']} iterations")
    for part, rows in (("training", job.train), ("validation", job.validation)):
        present = np.flatnonzero((labelled.reference[rows] == 1).any(axis=0))
        if len(present) == 1:
            notes.append(f"one class in {part}: {labelled.schema.classes[present[0]]}")
    return "; ".join(notes) or None


def _table(labelled: LabelledClips, job: TrainingJob, predictions: JobPredictions) -> pd.DataFrame:
    """Predictions of one job as rows of predictions.parquet."""
    return labelled.table.loc[job.test, ["id", "cell", "corpus", "speaker"]].assign(
        train=job.name,
        seed=job.seed,
        fold=job.fold,
        probabilities=list(predictions.probabilities.astype(np.float32)),
        reference=list(labelled.reference[job.test]),
        trained=[predictions.trained] * len(job.test),
    )
