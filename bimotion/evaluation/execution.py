"""The execution of one planned run: every job once, its predictions kept as soon as they are made,
and in the end the result."""

import contextlib
import dataclasses
import io
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.data.checks import doctor
from bimotion.data.labelled import LabelledClips
from bimotion.errors import RecordError, SettingError
from bimotion.evaluation import equal_samples
from bimotion.evaluation.confounds import confounds
from bimotion.evaluation.job import JobPredictions, TrainingJob
from bimotion.evaluation.plan import RunPlan
from bimotion.evaluation.tracks import Runner
from bimotion.evaluation.tracks.track import clips_named
from bimotion.io import audio, files
from bimotion.io.progress import Progress
from bimotion.results import overview, scoring
from bimotion.results.human import HumanAgreement, human_agreement
from bimotion.results.predictions import save
from bimotion.results.provenance import now, provenance
from bimotion.results.record import Confound, CorpusUsed, DataUsed, FitRecord, Result, RunSpec
from bimotion.results.run_folder import RunFolder

_log = logging.getLogger(__name__)
MAX_CHECKED_CLIPS = 16  # for the difference between clips in a batch and alone


@dataclasses.dataclass(frozen=True)
class Run:
    """One model over one plan, in one folder."""

    runner: Runner
    spec: RunSpec
    labelled: LabelledClips
    plan: RunPlan
    folder: RunFolder
    output: Path
    """The folder of all results."""
    progress: Progress

    def evaluated(self, *, overwrite: bool, check_invariance: bool) -> Result:
        """The result, written, and listed among those of the output folder."""
        if self.runner.follower:
            return self.follow()
        with contextlib.closing(self.runner):
            result = None if overwrite else self._finished()
            if result is None:
                with self.folder.locked():
                    result = self._made(overwrite)
        if check_invariance:
            result = self._with_largest_difference(result)
        overview.collect(self.output)
        return result

    def follow(self) -> Result:
        """Train along with the first process, then read what it wrote."""
        self.runner.open(self.labelled, self.plan.rows(), Progress())
        self.runner.follow(self.plan.jobs(self.spec.seeds), self._checkpoint)
        if not self.folder.result.exists():
            raise SettingError("the first process ended without a result: see its message")
        return self.folder.load()

    def _with_largest_difference(self, result: Result) -> Result:
        """The result with the largest difference between clips alone and in a batch; recorded."""
        table = self.labelled.table.sort_values("duration_s", kind="stable")
        spread = np.linspace(0, len(table) - 1, min(MAX_CHECKED_CLIPS, len(table)))
        clips = table.iloc[np.unique(spread.astype(int))]
        path = self.labelled.selection.manifest.path
        waveforms = [audio.decode(path(row.corpus, row.path)) for row in clips.itertuples()]
        with clips_named(clips["id"].tolist()):
            difference = self.runner.largest_difference(waveforms)
        shown = "batches are no matter to it" if difference is None else f"{difference:.2g}"
        self.progress.say(
            f"largest difference between {len(clips)} clips in a batch and alone: {shown}"
        )
        result = dataclasses.replace(
            result, provenance=dataclasses.replace(result.provenance, largest_difference=difference)
        )
        self.folder.save_result(result)
        return result

    def _finished(self) -> Result | None:
        """The result of an earlier run of the same spec on the same files, or None."""
        if not self.folder.result.exists():
            return None
        try:
            result = self.folder.load()
            reason = self.folder.damage()
        except RecordError as error:
            reason = str(error)
        else:
            if not reason and result.provenance.inputs != self._states:
                reason = f"files of the corpora have changed since {self.folder.result}"
        if reason:
            self.progress.say(f"running again: {reason}")
            return None
        self.progress.say(f"already finished, read back: {self.folder.result}")
        return result

    @property
    def _states(self) -> dict[str, str]:
        return self.labelled.selection.manifest.states

    def _made(self, overwrite: bool) -> Result:
        started, spec, labelled = now(), self.spec, self.labelled
        predictions, fits = self._predictions(overwrite)
        predictions = self.folder.save_predictions(predictions)
        seeds = [*spec.seeds, spec.split.seed]
        corpora = {name: _corpus_used(name, labelled, self.progress) for name in self.plan.corpora}
        asked = {name: value for name, value in vars(spec).items() if name != "data_fingerprint"}
        result = Result(
            **asked,
            key=spec.key,
            data=DataUsed.of(spec.data_fingerprint, corpora),
            provenance=provenance(started, seeds, self._states, self.runner.device),
            scores=scoring.scores(
                predictions, self.plan.settings, labelled.schema, is_seeded=spec.is_seeded
            ),
            skipped=self.plan.skipped,
            fits=fits,
            n_parameters=self.runner.n_parameters,
            duplicates=equal_samples.counted(labelled, self.plan, self.progress),
            confounds=self._confounds(fits),
            human=self._human(predictions),
        )
        self.folder.save_result(result)
        self.folder.finish()
        return result

    def _human(self, predictions: pd.DataFrame) -> list[HumanAgreement]:
        clips = self.labelled.table
        rows = np.flatnonzero(clips["id"].isin(predictions["id"].unique()))
        reference = self.labelled.reference[rows]
        return human_agreement(clips.iloc[rows], reference, self.labelled.schema)

    def _confounds(self, fits: list[FitRecord]) -> list[Confound]:
        if not hasattr(self.runner, "positions"):  # all jobs were done before
            self.runner.open(self.labelled, self.plan.rows(), self.progress)
        return confounds(self.runner, self.labelled, self.plan.settings, fits, self.progress)

    def _predictions(self, overwrite: bool) -> tuple[pd.DataFrame, list[FitRecord]]:
        """Predictions of every job, each written when it is done, so that a run that was broken off
        goes on with the next."""
        inputs = f"{self.spec.key}\n{'-'.join(sorted(self._states.values()))}\n".encode()
        self.folder.begin(inputs, overwrite=overwrite, say=self.progress.say)
        jobs = self.plan.jobs(self.spec.seeds)
        parts = [files.read_sealed(self._part(job), self.progress.say) for job in jobs]
        if n_todo := parts.count(None):
            counts = f"{n_todo} of {len(jobs)} jobs to do"
            _log.info("%s: %s, on %s", self.folder.path, counts, self.runner.device)
            self.runner.open(self.labelled, self.plan.rows(), self.progress)
        label = f"{self.runner.name} {self.spec.model.name}"
        for job in self.progress.track(jobs, len(jobs), label, unit="trainings"):
            if parts[job.number] is None:
                parts[job.number] = self._part_of(job)
        tables, fits = zip(*map(_read, parts), strict=True)
        return pd.concat(tables, ignore_index=True), list(fits)

    def _part_of(self, job: TrainingJob) -> bytes:
        """Run a job; its record and predictions, which are kept."""
        _log.info(
            "training set %s, fold %d, seed %d: %d clips",
            job.name,
            job.fold,
            job.seed,
            len(job.train),
        )
        predictions = self.runner.run(job, self._checkpoint(job))
        n_clips = (len(job.train), len(job.validation), len(job.test))
        note = _note(self.labelled, job, predictions)
        fit = FitRecord(job.name, job.seed, *n_clips, predictions.facts, note, job.fold)
        table = io.BytesIO()
        save(_table(self.labelled, job, predictions), table)
        content = json.dumps(dataclasses.asdict(fit)).encode() + b"\n" + table.getvalue()
        files.write_sealed(self._part(job), content)
        if not self.runner.save_checkpoints:
            shutil.rmtree(self._checkpoint(job), ignore_errors=True)
        return content

    def _part(self, job: TrainingJob) -> Path:
        return self.folder.part(job.name, job.seed, job.fold)

    def _checkpoint(self, job: TrainingJob) -> Path:
        return self.folder.checkpoint(job.name, job.seed, job.fold)


def _read(part: bytes) -> tuple[pd.DataFrame, FitRecord]:
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


def _corpus_used(name: str, labelled: LabelledClips, progress: Progress) -> CorpusUsed:
    manifest, rows = labelled.selection.manifest, labelled.table[labelled.table["corpus"] == name]
    n_found, n_published = (manifest.table["corpus"] == name).sum(), CORPORA[name].card.n_utterances
    ages = rows["age_source"].value_counts().sort_index()
    return CorpusUsed(
        n_utterances=len(rows),
        n_found=int(n_found),
        n_published=n_published,
        complete=bool(n_found >= n_published and not manifest.unusable(name)),
        left_out=dict(sorted(labelled.left_out[name].items())),
        speakers_shared=labelled.selection.split.not_disjoint.get(name),
        age_source={source: int(n) for source, n in ages.items()},
        synthetic=name in manifest.synthetic,
        oddities=doctor.oddities(name, manifest, progress) if name in manifest.roots else {},
    )
