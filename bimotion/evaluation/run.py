"""The public call: data, protocol, model and metric meet; raw audio in, result.json and
predictions.parquet out."""

import contextlib
import difflib
import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

from bimotion.data import manifest, rules
from bimotion.data.labelled import LabelledClips
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation import plan as planning
from bimotion.evaluation.engine import Engine
from bimotion.evaluation.engines import engine_of
from bimotion.evaluation.execution import Run, evaluated
from bimotion.evaluation.presets import Preset, preset_named
from bimotion.evaluation.task import TaskSpec
from bimotion.evaluation.tracks import Runner, Track, configured, runner_of
from bimotion.evaluation.tracks.finetune import Finetune
from bimotion.evaluation.tracks.track import Load, loaded_anew
from bimotion.io import files
from bimotion.io.bounds import flag
from bimotion.io.progress import Progress, default_progress
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.models.recipe import FinetuneOptions
from bimotion.models.spec import ModelSpec
from bimotion.protocol.labels import schema_named
from bimotion.results import overview
from bimotion.results import record as results
from bimotion.results.record import ProtocolUsed, Result, RunSpec, SchemaUsed, SplitUsed
from bimotion.results.run_folder import RunFolder


def evaluate(
    model: object,
    *,
    track: str | Track = "probe",
    data_dir: str | os.PathLike | None = None,
    output: str | os.PathLike = "results",
    preset: str = "benchmark",
    protocol: str | None = None,
    cells: Iterable[str] | None = None,
    split_rule: str | None = None,
    split_seed: int = 0,
    folds: int | None = None,
    schema: str | None = None,
    seeds: Iterable[int] | None = None,
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
    window: str | float = "model",
    only: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    check_invariance: bool = False,
    overwrite: bool = False,
    engine: str | Engine = "local",
    progress: Progress | None = None,
    **not_taken: object,
) -> Result:
    """Evaluate a model over the cross-group protocol.

    Writes OUTPUT/<model>/<run key>/result.json and predictions.parquet (`Result.folder(output)`),
    then OUTPUT/leaderboard.json. A run that is finished already is read back, not repeated, unless
    `overwrite`; one that was broken off goes on where it was. Settings without clips are skipped
    with a reason.

    Args:
        model: a baseline, the Hub id or the folder of any transformers model that takes audio, or
            an object with `encode(waveforms, sample_rate_hz)` -> one vector a clip (models/own.py).
        track: `probe`: frozen, logistic regression for every training set; `finetune`: trained
            whole; `zero-shot`: a classifier as it is; or one of them with its options, such as
            `Finetune(FinetuneOptions(epochs=5))` of bimotion.evaluation.tracks.finetune.
        data_dir: folder with one sub-folder a corpus.
        output: folder of results.
        preset: `benchmark` (split `folds`, schema `valence`) or `paper` (split, schema, training
            sets and recipe of the paper): what holds where the next options are None.
        protocol: the settings to run.
        cells: test only in these; None: all of the protocol.
        split_rule: how clips are assigned to parts: `folds`, `paper` or `disjoint`.
        split_seed: another one deals clips or speakers again.
        folds: of split rule `folds`, so many from the first; None: all five.
        schema: the label schema.
        seeds: of the training, or of whatever is random; one, where nothing is.
        adapt: of a probe, in place of the head: an unsupervised method of bimotion.adaptation.
        adapt_setting: `transductive` (the default): adapted to all clips of the test cell;
            `inductive`: to its train part only.
        label_map: of a zero-shot classifier: JSON file, its output names -> our emotions.
        finetune: how to train; `FinetuneOptions(recipe="paper")`: exactly as the paper's code. By
            the recipe of the preset where it names none.
        save_checkpoints: keep the best checkpoint of every training set.
        revision: of the model on the Hub: branch, tag or commit.
        trust_remote_code: run the model's own code; the record says so.
        require_safetensors: refuse pickled weights (which are read without running code, if not).
        device: `cpu`, `cuda`, `cuda:1`; None: a GPU if there is one.
        batch_seconds: of audio in one batch; None: 80 on a CPU, 800 on a GPU.
        window: of a model that hears a window of its own whatever the clip (Whisper, AST): `model`:
            that; `clip`: the clip and a second of silence, rounded up, which costs less and gives
            other features; seconds: at least so many.
        only: names of the corpora to use; None: all that have clips in the protocol's cells.
        locations: corpus -> its folder, where it lies elsewhere than in `data_dir`.
        limit: at most so many clips of each corpus, cell and part: for trying out, the result
            cannot be submitted.
        allow_missing: go on without corpora and clips that are missing.
        check_invariance: record the largest difference between clips in a batch and alone.
        overwrite: run again what is finished.
        engine: `local`: this process; `ray`: a Ray cluster (docs/clusters.md), or with its options
            such as `RayEngine(cpus_per_worker=4)` of bimotion.evaluation.cluster.
        progress: told what is being done; None: a bar on a terminal.
        not_taken: options of other tracks; each is refused.

    Returns:
        The result, as it lies on disk.

    Raises:
        UnknownName: of the model's track, a protocol, cell, corpus, rule or schema.
        ModelError: the model cannot be had, or hears nothing.
        CorpusNotFound: a corpus lies nowhere below the root.
        CorpusIncomplete: clips are missing, and `allow_missing` was not given.
        AudioError: a clip holds no sound.
        SettingError: the run cannot be done as asked.
        ClusterError: the cluster of engine `ray` cannot do the work.
        MissingExtra: an optional package is needed.

    Example::

        result = bimotion.evaluate("bimotion/prosody", data_dir="/corpora")
        result.headline("in-group", "inference", "eng_eld")        # weighted F1 in [0, 1]
        print(bimotion.paper_tables(result))
    """
    keywords = {**locals()}
    del keywords["engine"]
    (result,) = evaluate_all([keywords | keywords.pop("not_taken")], engine)
    return result


def evaluate_all(
    questions: Iterable[Mapping[str, object]], engine: str | Engine = "local"
) -> Iterator[Result]:
    """Evaluate models, or one of them over several tasks, by an engine that may share its processes
    among them: their results, in order.

    Args:
        questions: Keywords of `evaluate` for each result, without `engine`.
        engine: As of `evaluate`, for all of them.

    Raises:
        As `evaluate` does; SettingError where a question is asked twice.
    """
    engine = engine_of(engine)
    with contextlib.closing(engine):
        load = lru_cache(1)(loaded_anew)  # one model for all questions about it that follow
        runs = _each_once(_planned(question, engine, load) for question in questions)
        if not engine.shares:
            for one_run in runs:
                yield from evaluated([one_run], engine)
            return
        results = evaluated(list(runs), engine)
    yield from results


def _each_once(runs: Iterable[Run]) -> Iterator[Run]:
    """The runs; raises SettingError for one that was there before."""
    folders = set()
    for run in runs:
        if (folder := run.folder.path) in folders:
            raise SettingError(f"{folder}: expected each run once, found it asked for again")
        folders.add(folder)
        yield run


def _planned(question: Mapping[str, object], engine: Engine, load: Load) -> Run:
    """The run of the keywords of `evaluate`, planned and not begun; `load`: of its model."""
    if "engine" in question:
        raise SettingError("engine: expected one for all questions, found it in a question")
    bound = inspect.signature(evaluate).bind(**question)
    bound.apply_defaults()
    asked = SimpleNamespace(**bound.arguments)
    if asked.not_taken:
        raise SettingError(_why_not_taken(next(iter(asked.not_taken))))
    for name in ("save_checkpoints", "check_invariance", "overwrite"):
        flag(name, getattr(asked, name))
    output = Path(asked.output)
    files.require_writable(output)
    overview.check(output)
    preset = preset_named(asked.preset)
    task, track = _task(asked, preset), _track(asked, preset, load)
    spec = ModelSpec(**{field.name: getattr(asked, field.name) for field in fields(ModelSpec)})
    source = CorpusSource.of(asked.data_dir, asked.only, asked.locations, asked.allow_missing)
    progress = asked.progress or default_progress()
    run = planned(track, engine.placed(spec), task, source, output=output, progress=progress)
    return replace(run, overwrite=asked.overwrite, check_invariance=asked.check_invariance)


def planned(
    track: Track,
    spec: ModelSpec,
    task: TaskSpec,
    source: CorpusSource,
    *,
    output: Path,
    progress: Progress,
) -> Run:
    """The run of a model under a track, not begun; its folder is below `output`. Raises as
    `evaluate` does."""
    runner = runner_of(track, spec, schema_named(task.schema))
    if not runner.seeded:
        task.require_one_seed(runner.used.name)
    adapts = runner.adapt and runner.adapt.setting
    labelled, plan = planning.plan(task, source, progress, trains=track.trains, adapts=adapts)
    asked = spec_of(runner, task, labelled)
    folder = RunFolder(results.folder_of(output, asked))
    return Run(runner, asked, labelled, plan, folder, output, progress)


def _task(asked: SimpleNamespace, preset: Preset) -> TaskSpec:
    """The task of the keywords of `evaluate`."""
    return TaskSpec.of(
        protocol=preset.protocol if asked.protocol is None else asked.protocol,
        cells=asked.cells,
        split_rule=preset.split_rule if asked.split_rule is None else asked.split_rule,
        split_seed=asked.split_seed,
        folds=asked.folds,
        schema=preset.schema if asked.schema is None else asked.schema,
        seeds=preset.seeds if asked.seeds is None else asked.seeds,
        limit=asked.limit,
    )


def _track(asked: SimpleNamespace, preset: Preset, load: Load) -> Track:
    """The track of the keywords of `evaluate`, with the recipe of the preset, and the function that
    loads models, where they name none."""
    names = ("adapt", "adapt_setting", "label_map", "finetune")
    options = {name: getattr(asked, name) for name in names}
    trains_whole = asked.track == "finetune" or isinstance(asked.track, Finetune)
    if not asked.save_checkpoints and trains_whole:
        options["save_checkpoints"] = False
    track = configured(asked.track, **options)
    if isinstance(track, Finetune):
        return replace(track, finetune=track.finetune.under(preset.recipe))
    if getattr(track, "load", None) is loaded_anew:
        return replace(track, load=load)
    return track


def spec_of(runner: Runner, task: TaskSpec, labelled: LabelledClips) -> RunSpec:
    """The question of a run, as its record has it."""
    schema = labelled.schema
    return RunSpec(
        model=runner.used,
        track=runner.name,
        split=SplitUsed(
            rule=task.split_rule,
            seed=task.split_seed,
            version=NUMBERS_VERSION,
            folds=task.n_folds if rules.n_folds(task.split_rule) > 1 else None,
        ),
        schema=SchemaUsed(schema.name, schema.version, list(schema.classes)),
        protocol=ProtocolUsed(task.protocol, NUMBERS_VERSION, task.cells and list(task.cells)),
        seeds=list(task.seeds),
        limit=task.limit,
        data_fingerprint=manifest.fingerprint(labelled.table),
        adapt=runner.adapt,
    )


def _why_not_taken(name: str) -> str:
    """The message about a keyword that `evaluate` lacks; `corpora` is the folder on the command
    line."""
    if name == "corpora":
        return (
            "evaluate: no keyword 'corpora': expected data_dir=ROOT, the folder of the corpora, "
            "or only=[...], their names"
        )
    close = difflib.get_close_matches(name, inspect.signature(evaluate).parameters, 1)
    return f"evaluate: no keyword {name!r:.80}" + (f": did you mean {close[0]!r}?" if close else "")
