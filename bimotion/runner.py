"""The one place where data, protocol, model and metric meet: raw audio in, result.json and predictions.parquet out."""

import datetime
import os
import platform
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

from bimotion import files, leaderboard, manifest, protocol, results, scoring, splits
from bimotion.corpora import CORPORA, corpora_with
from bimotion.errors import RecordError, SettingError
from bimotion.groups import Cell
from bimotion.labels import LabelSchema, schema_named
from bimotion.progress import Progress
from bimotion.protocol import Setting
from bimotion.results import (
    CorpusUsed,
    DataUsed,
    ModelUsed,
    ProtocolUsed,
    Provenance,
    Result,
    RunSpec,
    SchemaUsed,
    Skipped,
    SplitUsed,
)
from bimotion.selection import Selection, select
from bimotion.utterance import NO_PART, UNUSABLE, Finding

PACKAGES = ("bimotion", "numpy", "scipy", "scikit-learn", "librosa", "soundfile", "soxr", "pandas", "pyarrow")


@dataclass(frozen=True)
class Material:
    """A selection under a label schema.

    table       rows of the selection that have a reference, sorted by id
    reference   int8, shape (len(table), n_classes): 1, 0, -1 not annotated
    left_out    corpus -> reason -> clips
    """

    selection: Selection
    table: pd.DataFrame
    reference: np.ndarray
    left_out: dict[str, Counter]

    def places(self, cells: Iterable[Cell], part: str) -> np.ndarray:
        """Row numbers of the clips of some cells in one part."""
        return np.flatnonzero(self.table["cell"].isin([*map(str, cells)]) & (self.table["part"] == part))


def evaluate(
    model: str,
    *,
    data_dir: str | os.PathLike | None = None,
    output: str | os.PathLike = "results",
    protocol_name: str = "all",
    split_rule: str = "paper",
    split_seed: int = 0,
    schema: str = "emotion",
    seed: int = 0,
    corpora: Iterable[str] | None = None,
    locations: Mapping[str, str | os.PathLike] | None = None,
    allow_missing: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> tuple[Result, Path]:
    """Evaluate a model over the cross-group protocol; returns the result and the folder it was written to.

    Writes OUTPUT/<model>/<run key>/result.json and predictions.parquet, then OUTPUT/leaderboard.json. A run that is
    finished already is read back, not repeated, unless `overwrite`. Settings without clips are skipped with a reason.

    Raises UnknownName, CorpusNotFound, CorpusIncomplete (unless `allow_missing`), AudioError, SettingError.

    Example::

        result, folder = bimotion.evaluate("bimotion/prosody", data_dir="/corpora")
        result.headline("in-group", "inference", "eng_eld")        # weighted F1 in [0, 1]
    """
    from bimotion.models.floor import floor_model

    progress = progress or Progress()
    label_schema, chosen = schema_named(schema), floor_model(model)
    _check_output(Path(output))
    plan = protocol.settings(protocol_name)
    cells = sorted({cell for setting in plan for cell in (*setting.train, setting.test)})
    selection = select(
        data_dir,
        cells,
        split_rule=split_rule,
        split_seed=split_seed,
        corpora=corpora,
        locations=locations,
        allow_missing=allow_missing,
        progress=progress,
    )
    material = prepare(selection, label_schema)
    spec = RunSpec(
        model=ModelUsed(chosen.name, chosen.version),
        track="probe",
        split=SplitUsed(split_rule, split_seed, splits.SPLIT_VERSION),
        schema=SchemaUsed(label_schema.name, label_schema.version, list(label_schema.classes)),
        protocol=ProtocolUsed(protocol_name, protocol.PROTOCOL_VERSION),
        seed=seed,
        data_fingerprint=manifest.fingerprint(material.table),
    )
    folder = Path(output) / chosen.name.replace("/", "__") / spec.key
    result = None if overwrite else _finished(folder / results.RESULT_FILE, selection, progress)
    if result is None:
        result = _run(chosen, spec, material, plan, label_schema, folder, progress)
    leaderboard.collect(Path(output))
    return result, folder


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


def prepare(selection: Selection, schema: LabelSchema) -> Material:
    """Clips of a selection that have a class under the schema; what has none, or was lost before, is counted by reason."""
    left_out: dict[str, Counter] = defaultdict(Counter)
    for name in set(CORPORA) - set(selection.manifest.corpora):
        reason = "not found" if name in selection.wanted else "not asked for"
        left_out[name][reason] = CORPORA[name].card.n_utterances
    lost = [finding for finding in selection.manifest.findings if finding.kind in UNUSABLE or finding.kind in NO_PART]
    for finding in (*lost, *selection.split.findings):
        left_out[finding.corpus][finding.kind] += _n_clips(finding)
    reasons = [schema.left_out(emotions) for emotions in selection.rows["emotions"]]
    for corpus, reason in zip(selection.rows["corpus"], reasons, strict=True):
        if reason is not None:
            left_out[corpus][reason] += 1
    table = selection.rows[np.array([reason is None for reason in reasons], dtype=bool)].reset_index(drop=True)
    reference = [
        schema.reference(emotions, CORPORA[corpus].card.emotions)
        for emotions, corpus in zip(table["emotions"], table["corpus"], strict=True)
    ]
    return Material(selection, table, np.array(reference, np.int8).reshape(-1, len(schema.classes)), left_out)


def _n_clips(finding: Finding) -> int:
    """Clips behind a finding: `37 more` is how clips without names are said."""
    number = finding.where.removesuffix(" more")
    return int(number) if number.isdigit() else 1


def _run(chosen, spec, material, plan, schema, folder, progress) -> Result:
    started = datetime.datetime.now(datetime.UTC)
    runnable, skipped = _feasible(plan, material)
    if not runnable:
        reasons = "; ".join(sorted({skip.reason for skip in skipped}))
        raise SettingError(f"expected at least one setting with clips to train and test on, found none: {reasons}")
    predictions = _predictions(chosen, material, runnable, schema, spec, progress)
    with files.written(folder / results.PREDICTIONS_FILE) as temporary:
        predictions.to_parquet(temporary, index=False)
    predictions = pd.read_parquet(folder / results.PREDICTIONS_FILE)  # scores are of the record, to its last digit
    asked = {cell for setting in plan for cell in (*setting.train, setting.test)}
    corpora = {name: _corpus_used(name, material) for name in corpora_with(asked)}
    result = Result(
        key=spec.key,
        model=spec.model,
        track=spec.track,
        split=spec.split,
        schema=spec.schema,
        protocol=spec.protocol,
        seed=spec.seed,
        data=DataUsed.of(spec.data_fingerprint, corpora),
        provenance=provenance(started, [spec.seed, spec.split.seed], material.selection.manifest.states),
        scores=scoring.scores(predictions, runnable, schema, spec.seed),
        skipped=skipped,
    )
    result.save(folder)
    return result


def _feasible(plan: list[Setting], material: Material) -> tuple[list[Setting], list[Skipped]]:
    """Settings that have training clips in each of their cells and test clips; the others with the reason."""
    filled = {part: set(material.table.loc[material.table["part"] == part, "cell"]) for part in ("train", "test")}
    runnable, skipped = [], []
    for setting in plan:
        empty = [f"no training clips in {cell}" for cell in setting.train if str(cell) not in filled["train"]]
        if str(setting.test) not in filled["test"]:
            empty.append(f"no test clips in {setting.test}")
        if empty:
            names = (setting.transfer, setting.method, list(setting.train_names), str(setting.test))
            skipped.append(Skipped(*names, reason="; ".join(sorted(set(empty), reverse=True))))
        else:
            runnable.append(setting)
    return runnable, skipped


def _predictions(chosen, material, plan, schema, spec, progress) -> pd.DataFrame:
    """Predictions of each distinct training set for the test parts of every cell that some setting asks of it."""
    from bimotion.features import features

    table = material.table
    vectors = np.zeros((len(table), 1), np.float32)
    if chosen.encode:
        vectors = features(
            f"{chosen.name}-{chosen.encoder_version}", chosen.encode, material.selection.manifest, table, progress
        )
    asked: dict[tuple[Cell, ...], set[Cell]] = {}
    for setting in plan:
        asked.setdefault(setting.train, set()).add(setting.test)
    blocks = []
    for train, tests in progress.track(asked.items(), len(asked), f"training {chosen.name}"):
        rows = material.places(train, "train")
        head = chosen.head()
        head.fit(vectors[rows], material.reference[rows], exclusive=schema.exclusive, seed=spec.seed)
        trained = [name for name, any_positive in zip(schema.classes, (material.reference[rows] == 1).any(0), strict=True)
                   if any_positive]  # fmt: skip
        for cell in sorted(tests):
            places = material.places([cell], "test")
            block = table.loc[places, ["id", "cell", "corpus", "speaker"]].assign(train=scoring.joined(train))
            block["probabilities"] = list(head.predict(vectors[places]).astype(np.float32))
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


def provenance(started: datetime.datetime, seeds: list[int], inputs: dict[str, str]) -> Provenance:
    """Versions, platform, dates, and the git revision if bimotion runs from its own checkout."""
    return Provenance(
        versions={package: metadata.version(package) for package in PACKAGES},
        python=platform.python_version(),
        git_revision=_git_revision(),
        platform=platform.platform(),
        device="cpu",
        seeds=sorted(set(seeds)),
        inputs=inputs,
        started=started.isoformat(timespec="seconds"),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
