"""The one place where data, protocol, model and metric meet: raw audio in, result.json and predictions.parquet out."""

import datetime
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from bimotion import files, leaderboard, manifest, protocol, results, scoring, splits
from bimotion.corpora import CORPORA, corpora_with
from bimotion.errors import RecordError, SettingError
from bimotion.groups import Cell
from bimotion.labels import schema_named
from bimotion.material import Material, prepare
from bimotion.progress import Progress
from bimotion.protocol import Setting
from bimotion.results import (
    CorpusUsed,
    DataUsed,
    ProtocolUsed,
    Provenance,
    Result,
    RunSpec,
    SchemaUsed,
    Skipped,
    SplitUsed,
)
from bimotion.selection import Selection, select

PACKAGES = (
    "bimotion",
    "numpy",
    "scipy",
    "scikit-learn",
    "librosa",
    "soundfile",
    "soxr",
    "pandas",
    "pyarrow",
    "torch",
    "transformers",
)


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    settings   that can be run; skipped: those that cannot, and why
    fits       training set -> training clips, validation clips, test clips that it predicts
    """

    settings: list[Setting]
    skipped: list[Skipped]
    fits: dict[str, tuple[int, int, int]]


def evaluate(
    model: str,
    *,
    track: str = "probe",
    data_dir: str | os.PathLike | None = None,
    output: str | os.PathLike = "results",
    protocol_name: str = "all",
    cells: Iterable[str] | None = None,
    split_rule: str = "paper",
    split_seed: int = 0,
    schema: str = "emotion",
    seeds: Iterable[int] = (0,),
    head: str = "layers",
    revision: str | None = None,
    trust_remote_code: bool = False,
    corpora: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[Result, Path]:
    """Evaluate a model over the cross-group protocol; returns the result and the folder it was written to.

    model       a floor model, or the id (or folder) of any transformers model that takes audio
    cells       test only in these; None: all of the protocol
    head        of a probe: `layers` (learned layer weighting + linear) or `logistic` (on the best validation layer)
    limit       at most so many clips of each corpus, cell and part: for trying out, the result cannot be submitted

    Writes OUTPUT/<model>/<run key>/result.json and predictions.parquet, then OUTPUT/leaderboard.json. A run that is
    finished already is read back, not repeated, unless `overwrite`; one that was broken off goes on with the next training
    set. Settings without clips are skipped with a reason.

    Raises UnknownName, ModelError, CorpusNotFound, CorpusIncomplete (unless `allow_missing`), AudioError, SettingError.

    Example::

        result, folder = bimotion.evaluate("bimotion/prosody", data_dir="/corpora")
        result.headline("in-group", "inference", "eng_eld")        # weighted F1 in [0, 1]
    """
    from bimotion.tracks import track as tracked

    progress = progress or Progress()
    _check_output(Path(output))
    runner = tracked(model, track, head=head, revision=revision, trust_remote_code=trust_remote_code)
    settings, material = _asked(
        protocol_name, cells, schema, data_dir, split_rule, split_seed, corpora, locations, limit, allow_missing, progress
    )
    label_schema = material.schema
    spec = RunSpec(
        model=runner.used,
        track=runner.name,
        split=SplitUsed(split_rule, split_seed, splits.SPLIT_VERSION),
        schema=SchemaUsed(label_schema.name, label_schema.version, list(label_schema.classes)),
        protocol=ProtocolUsed(protocol_name, protocol.PROTOCOL_VERSION, sorted(cells) if cells is not None else None),
        seeds=sorted(set(seeds)),
        limit=limit,
        data_fingerprint=manifest.fingerprint(material.table),
    )
    folder = Path(output) / spec.model.name.strip("/").replace("/", "__") / spec.key
    result = None if overwrite else _finished(folder / results.RESULT_FILE, material.selection, progress)
    if result is None:
        planned = plan(settings, material)
        if not planned.settings:
            reasons = "; ".join(sorted({skip.reason for skip in planned.skipped}))
            raise SettingError(f"expected at least one setting with clips to train and test on, found none: {reasons}")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(folder / ".lock", timeout=0):
                result = _run(runner, spec, material, planned, settings, folder, overwrite, progress)
        except Timeout:
            raise SettingError(
                f"{folder}: another process is working on this very run; wait for it, or use another --output"
            ) from None
    leaderboard.collect(Path(output))
    return result, folder


def dry_run(
    *,
    data_dir: str | os.PathLike | None = None,
    protocol_name: str = "all",
    cells: Iterable[str] | None = None,
    split_rule: str = "paper",
    split_seed: int = 0,
    schema: str = "emotion",
    corpora: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    limit: int | None = None,
    allow_missing: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """What `evaluate` would train and test, without any model."""
    progress = progress or Progress()
    settings, material = _asked(
        protocol_name, cells, schema, data_dir, split_rule, split_seed, corpora, locations, limit, allow_missing, progress
    )
    return plan(settings, material)


def _asked(protocol_name, cells, schema, data_dir, split_rule, split_seed, corpora, locations, limit, allow_missing, progress):
    """Settings of a protocol and the material that they need."""
    label_schema = schema_named(schema)
    if limit is not None and limit < 1:
        raise SettingError(f"expected a limit of at least 1 clip, found {limit}")
    settings = protocol.settings(protocol_name, None if cells is None else [Cell.parse(name) for name in cells])
    if not settings:
        raise SettingError(f"protocol {protocol_name} tests nothing in {', '.join(cells)}")
    selection = select(
        data_dir,
        sorted({cell for setting in settings for cell in (*setting.train, setting.test)}),
        split_rule=split_rule,
        split_seed=split_seed,
        corpora=_corpora_of(settings) if corpora is None else corpora,
        locations=locations,
        allow_missing=allow_missing,
        progress=progress,
    )
    return settings, prepare(selection, label_schema, limit)


def _corpora_of(settings: Iterable[Setting]) -> list[str]:
    """Corpora that some settings use."""
    used = {name for s in settings for name in s.corpora or corpora_with((*s.train, s.test))}
    return [name for name in CORPORA if name in used]


def _check_output(output: Path) -> None:
    """Raise SettingError before any work where results could not be written."""
    for folder in (output, *output.parents):
        if folder.exists():
            if not folder.is_dir() or not os.access(folder, os.W_OK):
                raise SettingError(f"expected a folder for results that can be written, found {folder}")
            return


def _finished(path: Path, selection: Selection, progress: Progress) -> Result | None:
    """The result of an earlier run of the same spec on the same files, or None."""
    if not path.exists():
        return None
    try:
        result = results.load(path)
    except RecordError as error:
        progress.say(f"running again: {error}")
        return None
    if result.provenance.inputs != selection.manifest.states:
        progress.say(f"running again: files of the corpora have changed since {path}")
        return None
    progress.say(f"already finished, read back: {path}")
    return result


def plan(settings: list[Setting], material: Material) -> Plan:
    """Settings that have training clips in each of their cells and test clips; the others with the reason."""
    runnable, skipped = [], []
    for setting in settings:
        of = f" of {' and '.join(setting.corpora)}" if setting.corpora else ""
        untrainable = [cell for cell in setting.train if not len(material.places([cell], "train", setting.corpora))]
        empty = {f"no training clips in {cell}{of}" for cell in untrainable}
        if not len(material.places([setting.test], "test", setting.corpora)):
            empty.add(f"no test clips in {setting.test}{of}")
        if empty:
            names = (setting.transfer, setting.method, list(setting.train_names), str(setting.test))
            skipped.append(Skipped(*names, reason="; ".join(sorted(empty, reverse=True))))
        else:
            runnable.append(setting)
    fits = {}
    for name, group in _training_sets(runnable).items():
        parts = [material.places(group[0].train, part, group[0].corpora) for part in ("train", "validation")]
        tests = [material.places([setting.test], "test", setting.corpora) for setting in group]
        fits[name] = (*map(len, parts), sum(map(len, tests)))
    return Plan(runnable, skipped, fits)


def _training_sets(settings: Iterable[Setting]) -> dict[str, list[Setting]]:
    """Training set -> settings that test it, one for each test cell."""
    groups: dict[str, dict[Cell, Setting]] = {}
    for setting in settings:
        groups.setdefault(setting.training_set, {}).setdefault(setting.test, setting)
    return {name: list(tests.values()) for name, tests in groups.items()}


def _run(runner, spec, material, planned, settings, folder, overwrite, progress) -> Result:
    started = datetime.datetime.now(datetime.UTC)
    predictions = _predictions(runner, spec, material, planned, folder, overwrite, progress)
    with files.written(folder / results.PREDICTIONS_FILE) as temporary:
        predictions.to_parquet(temporary, index=False)
    predictions = pd.read_parquet(folder / results.PREDICTIONS_FILE)  # scores are of the record, to its last digit
    corpora = {name: _corpus_used(name, material) for name in _corpora_of(settings)}
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
        provenance=provenance(started, [*spec.seeds, spec.split.seed], material.selection.manifest.states, runner.device),
        scores=scoring.scores(predictions, planned.settings, material.schema),
        skipped=planned.skipped,
    )
    result.save(folder)
    files.remove_others(folder / PARTS_FOLDER, keep=())
    (folder / PARTS_FOLDER).rmdir()
    return result


PARTS_FOLDER = "unfinished"
"""Below a run's folder, until it is finished: predictions of the training sets and seeds that are done."""


def _predictions(runner, spec, material, planned, folder, overwrite, progress) -> pd.DataFrame:
    """Predictions of each distinct training set and seed for the test parts of every cell that some setting asks of it.

    Each is written when it is done, so that a run that was broken off goes on with the next one.
    """
    parts = folder / PARTS_FOLDER
    parts.mkdir(exist_ok=True)
    state = "-".join(sorted(material.selection.manifest.states.values()))
    inputs = f"{spec.key}\n{state}\n"
    if overwrite or not (parts / "inputs").exists() or (parts / "inputs").read_text() != inputs:
        files.remove_others(parts, keep=())  # of other files, or half a run that is not wanted
        (parts / "inputs").write_text(inputs)
    jobs = [(name, group, seed) for name, group in _training_sets(planned.settings).items() for seed in spec.seeds]
    targets = [parts / f"{name}-{seed}.parquet" for name, _, seed in jobs]
    if not all(target.exists() for target in targets):
        runner.open(material, progress)
    for (name, group, seed), target in progress.track(
        list(zip(jobs, targets, strict=True)), len(jobs), f"training {spec.model.name}"
    ):
        if not target.exists():
            block = _fitted(runner, material, name, group, seed)
            with files.written(target) as temporary:
                block.to_parquet(temporary, index=False)
    return pd.concat([pd.read_parquet(target) for target in targets], ignore_index=True)


def _fitted(runner, material: Material, name: str, group: list[Setting], seed: int) -> pd.DataFrame:
    """Predictions of one training set under one seed."""
    train, validation = (material.places(group[0].train, part, group[0].corpora) for part in ("train", "validation"))
    predict = runner.fit(train, validation, seed)
    positive = (material.reference[train] == 1).any(axis=0)
    trained = [one for one, found in zip(material.schema.classes, positive, strict=True) if found]
    blocks = []
    for setting in sorted(group, key=lambda setting: setting.test):
        places = material.places([setting.test], "test", setting.corpora)
        block = material.table.loc[places, ["id", "cell", "corpus", "speaker"]].assign(train=name, seed=seed)
        block["probabilities"] = list(predict(places).astype(np.float32))
        block["reference"] = list(material.reference[places])
        block["trained"] = [trained] * len(block)
        blocks.append(block)
    return pd.concat(blocks, ignore_index=True)


def _corpus_used(name: str, material: Material) -> CorpusUsed:
    found, rows = material.selection.manifest, material.table[material.table["corpus"] == name]
    card, n_found = CORPORA[name].card, int((found.table["corpus"] == name).sum())
    return CorpusUsed(
        n_utterances=len(rows),
        n_found=n_found,
        n_published=card.n_utterances,
        complete=n_found >= card.n_utterances and not found.unusable(name),
        left_out=dict(sorted(material.left_out[name].items())),
        speakers_shared=material.selection.split.not_disjoint.get(name),
        age_source={source: int(n) for source, n in rows["age_source"].value_counts().sort_index().items()},
        synthetic=name in found.synthetic,
    )


def _git_revision() -> str | None:
    """Commit (`-dirty` with changes on top) of the checkout that bimotion runs from; None in an installed copy, without git."""
    checkout = Path(__file__).parents[1]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:
        return None


def provenance(started: datetime.datetime, seeds: list[int], inputs: dict[str, str], device: str) -> Provenance:
    """Versions, platform, dates, and the git revision if bimotion runs from its own checkout."""
    return Provenance(
        versions={package: metadata.version(package) for package in PACKAGES},
        python=platform.python_version(),
        git_revision=_git_revision(),
        platform=platform.platform(),
        device=device,
        seeds=sorted(set(seeds)),
        inputs=inputs,
        started=started.isoformat(timespec="seconds"),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
