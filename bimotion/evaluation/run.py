"""The one place where data, protocol, model and metric meet: raw audio in, result.json and
predictions.parquet out."""

import contextlib
import dataclasses
import difflib
import inspect
import io
import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.data import manifest
from bimotion.data.checks import doctor
from bimotion.data.labelled import LabelledClips
from bimotion.data.source import CorpusSource
from bimotion.errors import RecordError, SettingError
from bimotion.evaluation import equal_samples
from bimotion.evaluation import plan as planning
from bimotion.evaluation.job import JobPredictions, TrainingJob
from bimotion.evaluation.plan import RunPlan
from bimotion.evaluation.task import TaskSpec
from bimotion.evaluation.tracks import Runner, Track, configured, runner_of
from bimotion.evaluation.tracks.finetune import Finetune
from bimotion.evaluation.tracks.track import clips_named
from bimotion.io import audio, files
from bimotion.io.progress import Progress, default_progress
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.spec import ModelSpec
from bimotion.models.training import FinetuneOptions
from bimotion.protocol.labels import schema_named
from bimotion.results import overview, scoring
from bimotion.results import record as results
from bimotion.results.predictions import save
from bimotion.results.provenance import now, provenance
from bimotion.results.record import (
    CorpusUsed,
    DataUsed,
    FitRecord,
    ProtocolUsed,
    Result,
    RunSpec,
    SchemaUsed,
    SplitUsed,
)
from bimotion.results.run_folder import RunFolder

_log = logging.getLogger(__name__)


def evaluate(
    model: object,
    *,
    track: str | Track = "probe",
    data_dir: str | os.PathLike | None = None,
    output: str | os.PathLike = "results",
    protocol: str = "all",
    cells: Iterable[str] | None = None,
    split_rule: str = "paper",
    split_seed: int = 0,
    schema: str = "emotion",
    seeds: Iterable[int] = (0,),
    head: str | None = None,
    adapt: str | None = None,
    adapt_setting: str | None = None,
    label_map: str | os.PathLike | None = None,
    finetune: FinetuneOptions | None = None,
    save_checkpoints: bool = True,
    revision: str | None = None,
    trust_remote_code: bool = False,
    require_safetensors: bool = False,
    device: str | None = None,
    batch_seconds: float | None = None,
    only: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    check_invariance: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **not_taken: object,
) -> Result:
    """Evaluate a model over the cross-group protocol.

    model             a baseline, the Hub id or the folder of any transformers model that takes
                      audio, or an object with `encode(waveforms, sample_rate_hz)` -> one vector a
                      clip (models/own.py)
    track             `probe`: frozen, a small head for every training set; `finetune`: trained
                      whole; `zero-shot`: a classifier as it is; or one of them with its options,
                      such as `Finetune(epochs=5)` of bimotion.evaluation.tracks.finetune
    data_dir          folder with one sub-folder a corpus; locations: corpus -> its folder, where it
                      lies elsewhere
    protocol          which settings to run;  cells: test only in these; None: all of the protocol
    only              names of the corpora to use; None: all that have clips in the protocol's cells
    head              of a probe: `layers` (learned layer weighting + linear, the default) or
                      `logistic` (on the best layer)
    adapt             of a probe, in place of the head: an unsupervised method of
                      bimotion.adaptation
    adapt_setting     `transductive` (the default): adapted to all clips of the test cell;
                      `inductive`: to its train part alone
    label_map         of a zero-shot classifier: JSON file, its output names -> our emotions
    finetune          how to train; save_checkpoints: keep the best checkpoint of every training set
    require_safetensors   refuse pickled weights (which are read without running code, if not)
    limit             at most so many clips of each corpus, cell and part: for trying out, the
                      result cannot be submitted
    check_invariance  record the largest difference between clips in a batch and alone

    Writes OUTPUT/<model>/<run key>/result.json and predictions.parquet (`Result.folder(output)`),
    then OUTPUT/leaderboard.json. A run that is finished already is read back, not repeated, unless
    `overwrite`; one that was broken off goes on where it was. Settings without clips are skipped
    with a reason.

    Raises UnknownName, ModelError, CorpusNotFound, CorpusIncomplete (unless `allow_missing`),
    AudioError, SettingError.

    Example::

        result = bimotion.evaluate("bimotion/prosody", data_dir="/corpora")
        result.headline("in-group", "inference", "eng_eld")        # weighted F1 in [0, 1]
        print(bimotion.paper_tables(result))
    """
    if not_taken:
        raise SettingError(_why_not_taken(next(iter(not_taken))))
    files.require_writable(Path(output))
    overview.check(Path(output))
    options = {
        "head": head,
        "adapt": adapt,
        "adapt_setting": adapt_setting,
        "label_map": label_map,
        "finetune": finetune,
    }
    if not save_checkpoints and (track == "finetune" or isinstance(track, Finetune)):
        options["save_checkpoints"] = False
    task = TaskSpec.of(
        protocol=protocol,
        cells=cells,
        split_rule=split_rule,
        split_seed=split_seed,
        schema=schema,
        seeds=seeds,
        limit=limit,
    )
    run = _run_of(
        configured(track, **options),
        ModelSpec(model, revision, trust_remote_code, device, batch_seconds, require_safetensors),
        task,
        CorpusSource.of(data_dir, only, locations, allow_missing),
        Path(output),
        progress or default_progress(),
    )
    return run.evaluated(overwrite=overwrite, check_invariance=check_invariance)


def _run_of(
    track: Track,
    model: ModelSpec,
    task: TaskSpec,
    source: CorpusSource,
    output: Path,
    progress: Progress,
) -> "_Run":
    """The run of a model under a track over a task, planned and not begun."""
    runner = runner_of(track, model, schema_named(task.schema))
    if not track.trains:
        task.require_one_seed(track.name)
    adapts = runner.adapt and runner.adapt.setting
    labelled, plan = planning.plan(task, source, progress, trains=track.trains, adapts=adapts)
    if not plan.settings:
        reasons = "; ".join(sorted({skip.reason for skip in plan.skipped}))
        raise SettingError(
            f"expected at least one setting with clips to train and test on, found none: {reasons}"
        )
    spec = spec_of(runner, task, labelled)
    folder = RunFolder(results.folder_of(output, spec))
    return _Run(runner, spec, labelled, plan, folder, output, progress)


def spec_of(runner: Runner, task: TaskSpec, labelled: LabelledClips) -> RunSpec:
    """The question of a run, as its record has it."""
    schema = labelled.schema
    return RunSpec(
        model=runner.used,
        track=runner.name,
        split=SplitUsed(task.split_rule, task.split_seed, NUMBERS_VERSION),
        schema=SchemaUsed(schema.name, schema.version, list(schema.classes)),
        protocol=ProtocolUsed(task.protocol, NUMBERS_VERSION, task.cells and list(task.cells)),
        seeds=list(task.seeds),
        limit=task.limit,
        data_fingerprint=manifest.fingerprint(labelled.table),
        adapt=runner.adapt,
    )


def _why_not_taken(name: str) -> str:
    """Of a keyword that `evaluate` lacks; `corpora` is the folder on the command line."""
    if name == "corpora":
        return (
            "evaluate: no keyword 'corpora': expected data_dir=ROOT, the folder of the corpora, "
            "or only=[...], their names"
        )
    close = difflib.get_close_matches(name, inspect.signature(evaluate).parameters, 1)
    return f"evaluate: no keyword {name!r:.80}" + (f": did you mean {close[0]!r}?" if close else "")


@dataclasses.dataclass
class _Run:
    """One model over one plan, in one folder."""

    runner: Runner
    spec: RunSpec
    labelled: LabelledClips
    plan: RunPlan
    folder: RunFolder
    output: Path
    progress: Progress

    def evaluated(self, *, overwrite: bool, check_invariance: bool) -> Result:
        """The result, written, and listed among those of the output folder."""
        if self.runner.follower:
            return self.follow()
        with contextlib.closing(self.runner):
            result = self.result(overwrite)
        if check_invariance:
            result = self.checked(result)
        overview.collect(self.output)
        return result

    def result(self, overwrite: bool) -> Result:
        """Read back if it is finished, else made from where it was broken off."""
        finished = None if overwrite else self._finished()
        if finished is not None:
            return finished
        with self.folder.locked():
            return self._made(overwrite)

    def follow(self) -> Result:
        """Train along with the first process, then read what it wrote."""
        self.runner.open(self.labelled, self.plan.rows(), Progress())
        self.runner.follow(self.plan.jobs(self.spec.seeds), self._checkpoint)
        if not self.folder.result.exists():
            raise SettingError("the first process ended without a result: see its message")
        return self.folder.load()

    def checked(self, result: Result) -> Result:
        """The result with the largest difference between clips alone and in a batch; recorded."""
        table = self.labelled.table
        order = np.argsort(table["duration_s"].to_numpy(), kind="stable")
        rows = table.loc[
            order[np.unique(np.linspace(0, len(order) - 1, min(16, len(order))).astype(int))]
        ]
        found = self.labelled.selection.manifest
        waveforms = [
            audio.decode(found.path(*place))
            for place in zip(rows["corpus"], rows["path"], strict=True)
        ]
        with clips_named(rows["id"].tolist()):
            difference = self.runner.largest_difference(waveforms)
        said = "batches are no matter to it" if difference is None else f"{difference:.2g}"
        self.progress.say(
            f"largest difference between {len(rows)} clips in a batch and alone: {said}"
        )
        result = dataclasses.replace(
            result, provenance=dataclasses.replace(result.provenance, largest_difference=difference)
        )
        self.folder.save_result(result)
        return result

    def _finished(self) -> Result | None:
        """The result of an earlier run of the same spec on the same files, or None."""
        path = self.folder.result
        if not path.exists():
            return None
        try:
            result = self.folder.load()
        except RecordError as error:
            self.progress.say(f"running again: {error}")
            return None
        if reason := self.folder.damage():
            self.progress.say(f"running again: {reason}")
            return None
        if result.provenance.inputs != self.labelled.selection.manifest.states:
            self.progress.say(f"running again: files of the corpora have changed since {path}")
            return None
        self.progress.say(f"already finished, read back: {path}")
        return result

    def _made(self, overwrite: bool) -> Result:
        started, spec, labelled = now(), self.spec, self.labelled
        predictions, fits = self._predictions(overwrite)
        predictions = self.folder.save_predictions(predictions)
        states = labelled.selection.manifest.states
        corpora = {name: _corpus_used(name, labelled, self.progress) for name in self.plan.corpora}
        result = Result(
            key=spec.key,
            model=spec.model,
            track=spec.track,
            split=spec.split,
            schema=spec.schema,
            protocol=spec.protocol,
            seeds=spec.seeds,
            limit=spec.limit,
            data=DataUsed.of(spec.data_fingerprint, corpora),
            provenance=provenance(
                started, [*spec.seeds, spec.split.seed], states, self.runner.device
            ),
            scores=scoring.scores(predictions, self.plan.settings, labelled.schema),
            skipped=self.plan.skipped,
            fits=fits,
            n_parameters=self.runner.n_parameters,
            adapt=spec.adapt,
            duplicates=equal_samples.counted(labelled, self.plan, self.progress),
        )
        self.folder.save_result(result)
        self.folder.finish()
        return result

    def _predictions(self, overwrite: bool) -> tuple[pd.DataFrame, list[FitRecord]]:
        """Predictions of every job, each written when it is done, so that a run that was broken off
        goes on with the next."""
        state = "-".join(sorted(self.labelled.selection.manifest.states.values()))
        inputs = f"{self.spec.key}\n{state}\n".encode()
        self.folder.begin(inputs, overwrite=overwrite, say=self.progress.say)
        jobs = self.plan.jobs(self.spec.seeds)
        done = {job.number: self._done(job) for job in jobs}
        todo = [job for job in jobs if done[job.number] is None]
        if todo:
            counts = f"{len(todo)} of {len(jobs)} jobs to do"
            _log.info("%s: %s, on %s", self.folder.path, counts, self.runner.device)
            self.runner.open(self.labelled, self.plan.rows(), self.progress)
        label = f"{self.runner.name} {self.spec.model.name}"
        for job in self.progress.track(jobs, len(jobs), label, unit="trainings"):
            if done[job.number] is None:
                _log.info("training set %s, seed %d: %d clips", job.name, job.seed, len(job.train))
                done[job.number] = self._run(job)
        return pd.concat([table for table, _ in done.values()], ignore_index=True), [
            fit for _, fit in done.values()
        ]

    def _run(self, job: TrainingJob) -> tuple[pd.DataFrame, FitRecord]:
        """Predictions and record of a job, which is kept."""
        outcome = self.runner.run(job, self._checkpoint(job))
        n_clips = (len(job.train), len(job.validation), len(job.test))
        fit = FitRecord(job.name, job.seed, *n_clips, outcome.facts, note=_note(self.labelled, job))
        table = io.BytesIO()
        save(_table(self.labelled, job, outcome), table)
        record = json.dumps(dataclasses.asdict(fit)).encode()
        files.write_sealed(self._part(job), record + b"\n" + table.getvalue())
        if not self.runner.save_checkpoints:
            shutil.rmtree(self._checkpoint(job), ignore_errors=True)
        return self._done(job) or (_table(self.labelled, job, outcome), fit)

    def _done(self, job: TrainingJob) -> tuple[pd.DataFrame, FitRecord] | None:
        """What was kept of a job; None where there is nothing, or nothing whole."""
        content = files.read_sealed(self._part(job), self.progress.say)
        if content is None:
            return None
        record, _, table = content.partition(b"\n")
        return pd.read_parquet(io.BytesIO(table)), FitRecord(**json.loads(record))

    def _part(self, job: TrainingJob) -> Path:
        return self.folder.part(job.name, job.seed)

    def _checkpoint(self, job: TrainingJob) -> Path:
        return self.folder.checkpoint(job.name, job.seed)


def _note(labelled: LabelledClips, job: TrainingJob) -> str | None:
    """Where the training or validation clips of a job have one class, and which."""
    found = []
    for part, rows in (("training", job.train), ("validation", job.validation)):
        present = (labelled.reference[rows] == 1).any(axis=0)
        if present.sum() == 1:
            found.append(f"one class in {part}: {labelled.schema.classes[int(present.argmax())]}")
    return "; ".join(found) or None


def _table(labelled: LabelledClips, job: TrainingJob, outcome: JobPredictions) -> pd.DataFrame:
    """Predictions of one job as rows of predictions.parquet."""
    table = labelled.table.loc[job.test, ["id", "cell", "corpus", "speaker"]].assign(
        train=job.name, seed=job.seed
    )
    table["probabilities"] = list(outcome.probabilities.astype(np.float32))
    table["reference"] = list(labelled.reference[job.test])
    table["trained"] = [outcome.trained] * len(table)
    return table


def _corpus_used(name: str, labelled: LabelledClips, progress: Progress) -> CorpusUsed:
    found, rows = labelled.selection.manifest, labelled.table[labelled.table["corpus"] == name]
    card, n_found = CORPORA[name].card, int((found.table["corpus"] == name).sum())
    return CorpusUsed(
        n_utterances=len(rows),
        n_found=n_found,
        n_published=card.n_utterances,
        complete=n_found >= card.n_utterances and not found.unusable(name),
        left_out=dict(sorted(labelled.left_out[name].items())),
        speakers_shared=labelled.selection.split.not_disjoint.get(name),
        age_source={
            source: int(n) for source, n in rows["age_source"].value_counts().sort_index().items()
        },
        synthetic=name in found.synthetic,
        oddities=doctor.oddities(name, found, progress) if name in found.roots else {},
    )
