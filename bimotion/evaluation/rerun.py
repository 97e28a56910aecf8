"""A finished run, planned again from its record: the same question about the same clips, asked the
same model.

A record may be a stranger's. Its model is loaded by its name, or from where the caller says that it
lies, and never runs code of its own unless the caller allows it.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError, some
from bimotion.evaluation.engine import Engine
from bimotion.evaluation.execution import Run, predicted
from bimotion.evaluation.run import planned
from bimotion.evaluation.task import TaskSpec
from bimotion.evaluation.tracks import TRACKS, Track, configured
from bimotion.evaluation.tracks.finetune import Finetune
from bimotion.evaluation.tracks.probe import Probe
from bimotion.io import files
from bimotion.io.progress import Progress
from bimotion.models.spec import ModelSpec
from bimotion.results import record
from bimotion.results.provenance import now, provenance
from bimotion.results.record import Provenance, Result, RunSpec
from bimotion.results.run_folder import RunFolder


def task_of(result: Result) -> TaskSpec:
    """The task of a finished run. Raises SettingError, UnknownName."""
    return TaskSpec.of(
        protocol=result.protocol.name,
        cells=result.protocol.cells,
        split_rule=result.split.rule,
        split_seed=result.split.seed,
        folds=result.split.folds,
        schema=result.schema.name,
        seeds=result.seeds,
        limit=result.limit,
    )


def corpora_of_run(result: Result) -> list[str]:
    """Names of the corpora with clips in a run."""
    return [name for name, used in result.data.corpora.items() if used.n_utterances]


@dataclass(frozen=True)
class ModelLoading:
    """The place of a run's model now, and the way to run it."""

    model: str | None = None
    """Hub id or folder; None: as the run's record names it."""
    label_map: Path | None = None
    """Of a zero-shot classifier whose outputs a file maps: that file."""
    trust_remote_code: bool = False
    """Let code of the model's own run; a run that did so cannot be run again without."""
    device: str | None = None
    """As of ModelSpec, like the next."""
    batch_seconds: float | None = None


@dataclass(frozen=True)
class Rerun:
    """A finished run made again, or a part of it."""

    predictions: pd.DataFrame
    """Columns of results/predictions.py."""
    training_sets: list[str]
    """Those that were run again."""
    n_training_sets: int
    """Of the run."""
    model_differs: list[str]
    """Fields of the model's record that are other ones here, with both values."""
    is_public: bool
    """The model was loaded by the name that the record has, no folder."""
    made: Provenance


def rerun(
    result: Result,
    source: CorpusSource,
    loading: ModelLoading,
    engine: Engine,
    *,
    chosen: Callable[[list[str]], list[str]],
    progress: Progress,
) -> Rerun:
    """Run a finished run again; what was done of it before is read from the cache.

    Args:
        result: Its record.
        source: The corpora.
        loading: The model.
        engine: Does the jobs.
        chosen: From the names of all training sets to those to run.
        progress: Shows the work.

    Raises:
        SettingError: For other clips or another version of the protocol than the record's: the
            fields that differ are named. And what `bimotion.evaluate` raises.
    """
    started = now()
    with contextlib.closing(engine):
        run = _planned(result, source, loading, engine, progress)
        names = list(dict.fromkeys(each.name for each in run.plan.training_sets))
        training_sets = chosen(names)
        part = dataclasses.replace(run, plan=run.plan.of_training_sets(training_sets))
        predictions = predicted(part, engine)
    states = run.labelled.selection.manifest.states
    return Rerun(
        predictions=predictions,
        training_sets=training_sets,
        n_training_sets=len(names),
        model_differs=differences(result.spec, run.spec),
        is_public=_is_by_name(result, loading),
        made=provenance(started, result.seeds, states, run.runner.device),
    )


def _planned(
    result: Result, source: CorpusSource, loading: ModelLoading, engine: Engine, progress: Progress
) -> Run:
    trusted = bool(result.model.options.get("trust_remote_code"))
    if trusted and not loading.trust_remote_code:
        raise SettingError(
            f"{result.model.name}: expected leave to run the model's own code, as this run did "
            "(--trust-remote-code); found none"
        )
    spec = ModelSpec(
        result.model.name if loading.model is None else loading.model,
        revision=result.model.revision if _is_by_name(result, loading) else None,
        trust_remote_code=trusted,
        device=loading.device,
        batch_seconds=loading.batch_seconds,
        window=result.model.options.get("window", "model"),
    )
    source = dataclasses.replace(source.of_corpora(corpora_of_run(result)), allow_missing=True)
    output, placed = files.cache_dir() / "reruns", engine.placed(spec)
    track, task = _track(result, loading), task_of(result)
    again = planned(track, placed, task, source, output=output, progress=progress)
    asked = dataclasses.replace(again.spec, model=result.model)
    if differing := differences(result.spec, asked):
        raise SettingError(
            f"run {result.key} of {result.model.name}: expected its question and its clips, found "
            f"others here: {some(differing)}"
        )
    output /= _machine(provenance(now(), [], {}, again.runner.device))
    folder = RunFolder(record.folder_of(output, again.spec))
    return dataclasses.replace(again, folder=folder, output=output)


def _machine(made: Provenance) -> str:
    """A folder's name: what was run by other code or on another device is run again, for the record
    of a rerun says by what it was made."""
    parts = [made.device, made.git_revision, made.python, made.platform, made.versions]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _is_by_name(result: Result, loading: ModelLoading) -> bool:
    name = result.model.name if loading.model is None else loading.model
    return name == result.model.name and not Path(name).expanduser().is_dir()


def _track(result: Result, loading: ModelLoading) -> Track:
    """The track of a finished run, with its options."""
    kind = TRACKS[result.track]
    if not kind.trains:
        return configured(kind.name, label_map=loading.label_map)
    if loading.label_map is not None:
        raise SettingError(f"label_map: expected none with a run of track {result.track}")
    track = kind.recorded(result.model)
    if isinstance(track, Finetune):  # only the predictions are wanted
        return dataclasses.replace(track, save_checkpoints=False)
    if isinstance(track, Probe) and result.adapt is not None:
        return dataclasses.replace(
            track, adapt=result.adapt.method, adapt_setting=result.adapt.setting
        )
    return track


def differences(recorded: RunSpec, again: RunSpec) -> list[str]:
    """Each field in which two questions differ, with both values.

    >>> from bimotion.results.run_spec import ModelUsed, ProtocolUsed, SchemaUsed, SplitUsed
    >>> spec = RunSpec(ModelUsed("a/b", "1", "main"), "probe", SplitUsed("paper", 0, "2"),
    ...     SchemaUsed("four", "1", ["anger"]), ProtocolUsed("all", "2"), [0], None, "0f")
    >>> differences(spec, dataclasses.replace(spec, seeds=[1]))
    ['seeds: [0] there, [1] here']
    """
    sides = [dict(_flat(dataclasses.asdict(spec))) for spec in (recorded, again)]
    return [
        f"{name}: {sides[0].get(name)} there, {sides[1].get(name)} here"
        for name in dict.fromkeys([*sides[0], *sides[1]])
        if sides[0].get(name) != sides[1].get(name)
    ]


def _flat(content: dict, above: str = "") -> Iterable[tuple[str, object]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
