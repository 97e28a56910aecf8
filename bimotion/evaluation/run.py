"""The public call: data, protocol, model and metric meet; raw audio in, result.json and
predictions.parquet out."""

import difflib
import inspect
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from bimotion.data import manifest, rules
from bimotion.data.labelled import LabelledClips
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation import plan as planning
from bimotion.evaluation.execution import Run
from bimotion.evaluation.presets import preset_named
from bimotion.evaluation.task import TaskSpec
from bimotion.evaluation.tracks import Runner, Track, configured, runner_of
from bimotion.evaluation.tracks.finetune import Finetune
from bimotion.io import files
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
        split_rule, split_seed: how clips are assigned to parts.
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
        require_safetensors: refuse pickled weights (which are read without running code, if not).
        only: names of the corpora to use; None: all that have clips in the protocol's cells.
        locations: corpus -> its folder, where it lies elsewhere than in `data_dir`.
        limit: at most so many clips of each corpus, cell and part: for trying out, the result
            cannot be submitted.
        allow_missing: go on without corpora and clips that are missing.
        check_invariance: record the largest difference between clips in a batch and alone.

    Raises:
        UnknownName, ModelError, CorpusNotFound, CorpusIncomplete (unless `allow_missing`),
        AudioError, SettingError

    Example::

        result = bimotion.evaluate("bimotion/prosody", data_dir="/corpora")
        result.headline("in-group", "inference", "eng_eld")        # weighted F1 in [0, 1]
        print(bimotion.paper_tables(result))
    """
    if not_taken:
        raise SettingError(_why_not_taken(next(iter(not_taken))))
    output = Path(output)
    files.require_writable(output)
    overview.check(output)
    asked = preset_named(preset)
    options = {
        "adapt": adapt,
        "adapt_setting": adapt_setting,
        "label_map": label_map,
        "finetune": finetune,
    }
    if not save_checkpoints and (track == "finetune" or isinstance(track, Finetune)):
        options["save_checkpoints"] = False
    task = TaskSpec.of(
        protocol=asked.protocol if protocol is None else protocol,
        cells=cells,
        split_rule=asked.split_rule if split_rule is None else split_rule,
        split_seed=split_seed,
        folds=folds,
        schema=asked.schema if schema is None else schema,
        seeds=asked.seeds if seeds is None else seeds,
        limit=limit,
    )
    chosen = configured(track, **options)
    if isinstance(chosen, Finetune):
        chosen = replace(chosen, finetune=chosen.finetune.under(asked.recipe))
    run = _run_of(
        chosen,
        ModelSpec(model, revision, trust_remote_code, device, batch_seconds, require_safetensors),
        task,
        CorpusSource.of(data_dir, only, locations, allow_missing),
        output,
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
) -> Run:
    """The run of a model under a track over a task, planned and not begun."""
    runner = runner_of(track, model, schema_named(task.schema))
    if not runner.seeded:
        task.require_one_seed(runner.used.name)
    adapts = runner.adapt and runner.adapt.setting
    labelled, plan = planning.plan(task, source, progress, trains=track.trains, adapts=adapts)
    spec = spec_of(runner, task, labelled)
    folder = RunFolder(results.folder_of(output, spec))
    return Run(runner, spec, labelled, plan, folder, output, progress)


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
