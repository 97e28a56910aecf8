"""The execution of planned runs: every job once, its predictions kept as soon as they are made, and
in the end the result."""

import contextlib
import dataclasses
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.data.checks import doctor
from bimotion.data.labelled import LabelledClips
from bimotion.errors import RecordError, SettingError
from bimotion.evaluation import equal_samples
from bimotion.evaluation.confounds import confounds
from bimotion.evaluation.engine import Engine, RunJob
from bimotion.evaluation.job import TrainingJob
from bimotion.evaluation.part import read
from bimotion.evaluation.plan import RunPlan
from bimotion.evaluation.tracks import Runner
from bimotion.evaluation.tracks.track import clips_named
from bimotion.io import audio, files
from bimotion.io.progress import Progress
from bimotion.results import overview, scoring
from bimotion.results.human import HumanAgreement, human_agreement
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
    overwrite: bool = False
    """Run again what is finished."""
    check_invariance: bool = False
    """Record the largest difference between clips alone and in a batch."""

    def follow(self) -> Result:
        """Train along with the first process, then read what it wrote."""
        self.runner.open(self.labelled, self.plan.rows(), Progress())
        self.runner.follow(self.plan.jobs(self.spec.seeds), self._checkpoint)
        if not self.folder.result.exists():
            raise SettingError("the first process ended without a result: see its message")
        return self.folder.load()

    def with_largest_difference(self, result: Result) -> Result:
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

    def finished(self) -> Result | None:
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

    @property
    def label(self) -> str:
        """Its name where progress is shown."""
        return f"{self.runner.name} {self.spec.model.name}"

    def begun(self) -> list[bytes | None]:
        """Predictions of every job, None where it is to be done: a run that was broken off goes on
        with the next."""
        inputs = f"{self.spec.key}\n{'-'.join(sorted(self._states.values()))}\n".encode()
        self.folder.begin(inputs, overwrite=self.overwrite, say=self.progress.say)
        return [files.read_sealed(self._part(job), self.progress.say) for job in self.jobs]

    @cached_property
    def jobs(self) -> list[TrainingJob]:
        """All of the run."""
        return self.plan.jobs(self.spec.seeds)

    def todo(self, parts: list[bytes | None], engine: Engine) -> list[RunJob]:
        """The jobs that are to be done, with the runner open for them."""
        todo = [job for job in self.jobs if parts[job.number] is None]
        if todo:
            counts = f"{len(todo)} of {len(parts)} jobs to do"
            _log.info("%s: %s, on %s", self.folder.path, counts, self.runner.device)
            self.runner.open(self.labelled, self.plan.rows(), self.progress, engine.spread)
        return [RunJob(self.runner, job, self._checkpoint(job)) for job in todo]

    def keep(self, job: TrainingJob, part: bytes) -> None:
        """Write the predictions of a job."""
        files.write_sealed(self._part(job), part)
        if not self.runner.save_checkpoints:
            shutil.rmtree(self._checkpoint(job), ignore_errors=True)

    def result(self, parts: list[bytes], started: str, engine: Engine) -> Result:
        """The result of the predictions of all jobs, written; `started`: when the run was."""
        spec, labelled = self.spec, self.labelled
        tables, of_jobs = zip(*map(read, parts), strict=True)
        fits = list(of_jobs)
        predictions = self.folder.save_predictions(pd.concat(tables, ignore_index=True))
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
            confounds=self._confounds(fits, engine),
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

    def _confounds(self, fits: list[FitRecord], engine: Engine) -> list[Confound]:
        if not hasattr(self.runner, "positions"):  # all jobs were done before
            self.runner.open(self.labelled, self.plan.rows(), self.progress, engine.spread)
        return confounds(self.runner, self.labelled, self.plan.settings, fits, self.progress)

    def _part(self, job: TrainingJob) -> Path:
        return self.folder.part(job.name, job.seed, job.fold)

    def _checkpoint(self, job: TrainingJob) -> Path:
        return self.folder.checkpoint(job.name, job.seed, job.fold)


def evaluated(runs: Sequence[Run], engine: Engine) -> list[Result]:
    """The results of runs, whose jobs share an engine: written, and listed among those of their
    output folder. None of them is twice in the list."""
    if any(run.runner.follower for run in runs):
        return [run.follow() for run in runs]
    with contextlib.ExitStack() as stack:
        for run in runs:
            stack.enter_context(contextlib.closing(run.runner))
        results = [None if run.overwrite else run.finished() for run in runs]
        todo = [number for number, result in enumerate(results) if result is None]
        for number in todo:
            stack.enter_context(runs[number].folder.locked())
        made = _made([runs[number] for number in todo], engine)
        for number, result in zip(todo, made, strict=True):
            results[number] = result
    for number, run in enumerate(runs):
        if run.check_invariance:
            results[number] = run.with_largest_difference(results[number])
    for output in {run.output for run in runs}:
        overview.collect(output)
    return results


def predicted(run: Run, engine: Engine) -> pd.DataFrame:
    """The predictions of a run, of which no result is made; jobs that its folder has are not done
    again."""
    with contextlib.closing(run.runner), run.folder.locked():
        ((_, parts),) = _completed([run], engine)
    return pd.concat([read(part)[0] for part in parts], ignore_index=True)


def _made(runs: Sequence[Run], engine: Engine) -> list[Result]:
    """The results of runs that are not finished, each written as soon as all its jobs are done."""
    started = [now() for _ in runs]
    results = {
        number: runs[number].result(parts, started[number], engine)
        for number, parts in _completed(runs, engine)
    }
    return [results[number] for number in range(len(runs))]


def _completed(runs: Sequence[Run], engine: Engine) -> Iterator[tuple[int, list[bytes]]]:
    """Number and parts of each run, as soon as all its jobs are done. A part is written as soon as
    its job is."""
    parts = [run.begun() for run in runs]
    todo = [run.todo(of_run, engine) for run, of_run in zip(runs, parts, strict=True)]
    owners = [number for number, jobs in enumerate(todo) for _ in jobs]
    for number, jobs in enumerate(todo):
        if not jobs:
            yield number, parts[number]
    jobs = list(chain(*todo))
    n_jobs = sum(map(len, parts))
    with contextlib.closing(engine.parts(jobs)) as made:
        items = chain([None] * (n_jobs - len(jobs)), made)
        for item in _shown(items, n_jobs, runs):
            if item is not None:
                index, part = item
                number, job = owners[index], jobs[index].job
                runs[number].keep(job, part)
                parts[number][job.number] = part
                if None not in parts[number]:
                    yield number, parts[number]


def _shown(items: Iterable, n_jobs: int, runs: Sequence[Run]) -> Iterable:
    """The jobs of runs, done before or as they are done, with their progress."""
    if not runs:
        return items
    label = runs[0].label if len(runs) == 1 else f"{len(runs)} runs"
    return runs[0].progress.track(items, n_jobs, label, unit="trainings")


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
