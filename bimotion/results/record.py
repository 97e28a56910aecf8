"""The record of a run: what was asked (RunSpec), what came out (Score rows), how it was done; to
JSON and back.

`key` is the hash of the RunSpec's JSON: the same question about the same data has the same key on
every machine.
"""

import dataclasses
import hashlib
import html
import json
from dataclasses import dataclass, field
from pathlib import Path

from bimotion.errors import RecordError, UnknownName, printable
from bimotion.io import files
from bimotion.io.records import parsed, typed
from bimotion.protocol.cells import BIMOTION_CELLS, EXTENSION_CELLS, YUEMOTION_CELLS
from bimotion.protocol.settings import METHODS, TRANSFERS, SettingId
from bimotion.results.duplicates import Duplicates
from bimotion.results.metrics import METRICS, MULTI_LABEL_METRIC

SCHEMA_VERSION = 4
RESULT_FILE = "result.json"
PREDICTIONS_FILE = "predictions.parquet"
PARTS_FOLDER = "unfinished"
"""Below a run's folder, until it is finished: predictions of the jobs that are done."""
_SHOWN = ["transfer", "method", "train", "test", "seed", "value", "low", "high", "note"]
"""Columns of a score in a notebook."""
MAX_RESULT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class ModelUsed:
    """A model: its name (Hub id, baseline, or folder name), the version of our code that ran it,
    the revision or fingerprint of its weights (null for baselines), and the options that its
    numbers depend on."""

    name: str
    version: str
    revision: str | None = None
    options: dict[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True)
class SplitUsed:
    """How utterances were dealt into parts: rule, seed and version of data/splits.py."""

    rule: str
    seed: int
    version: str


@dataclass(frozen=True)
class SchemaUsed:
    """A label schema of protocol/labels.py; `classes` in the order of the predictions' columns."""

    name: str
    version: str
    classes: list[str]


@dataclass(frozen=True)
class ProtocolUsed:
    """A named list of settings, version of protocol/settings.py; `cells`: the only test cells that
    were run, null: all."""

    name: str
    version: str
    cells: list[str] | None = None


@dataclass(frozen=True)
class AdaptUsed:
    """An unsupervised method in place of the head (bimotion.adaptation): its name, version and
    title.

    setting       transductive: adapted to all clips of the test cell; inductive: to its train part;
                  never to a label of it
    target_seen   whether it hears unlabelled clips of the test cell at all
    """

    method: str
    version: str
    title: str
    setting: str
    target_seen: bool

    @classmethod
    def of(cls, method, setting: str) -> "AdaptUsed":
        """The record of a method (adaptation.method.Method) under a setting."""
        return cls(method.name, method.version, method.title, setting, method.target_seen)

    @property
    def name(self) -> str:
        """Method and setting, and whether the method is a reconstruction, which its title says.

        >>> AdaptUsed("nnpm-c", "1", "NNPM, reconstruction: variant C (classes)", "transductive",
        ...     True).name
        'nnpm-c (reconstruction, transductive)'
        """
        made = "reconstruction, " if "reconstruction" in self.title else ""
        return f"{self.method} ({made}{self.setting})"

    @property
    def summary(self) -> str:
        """In a few words, for tables."""
        return (
            f"{self.title}, {self.setting}, target audio "
            f"{'seen' if self.target_seen else 'not seen'}"
        )


@dataclass(frozen=True)
class RunSpec:
    """Everything that numbers depend on.

    track               probe / finetune / zero-shot;  adapt: in place of the probe's head, null:
                        none
    seeds               of the head or the training, one run each
    limit               at most so many clips of each corpus, cell and part; null: all (else it
                        cannot be submitted)
    data_fingerprint    hash of the utterances used (data/manifest.py)
    """

    model: ModelUsed
    track: str
    split: SplitUsed
    schema: SchemaUsed
    protocol: ProtocolUsed
    seeds: list[int]
    limit: int | None
    data_fingerprint: str
    adapt: AdaptUsed | None = None

    @property
    def key(self) -> str:
        """12 hex digits."""
        return hashlib.sha256(
            json.dumps(dataclasses.asdict(self), sort_keys=True).encode()
        ).hexdigest()[:12]


@dataclass(frozen=True)
class Score:
    """One number and what it is of.

    transfer, method     how train and test cells relate; the in-group baseline of both tables has
                         method `inference`
    train, test          cells (Setting.train_names); nothing is trained in track `zero-shot`
    corpus               null: the whole cell, combined as `pooling` says
    pooling              `mean`: unweighted mean over the cell's corpora (the headline); `pooled`:
                         all clips scored at once
    metric, value        value null where the metric is undefined
    n_utterances         test clips scored
    n_speakers           known speakers among them
    n_speaker_unknown    clips whose speaker is not published
    classes              that the metric runs over: annotated by the corpus and present in the test
                         part
    untrained            those of `classes` without a positive training clip (or an output of a
                         zero-shot model): no prediction of them can be right; the others are the
                         overlap of training and test
    outside              share of the clips that have classes, none of which was trained
    seed                 of the run
    low, high            95 % interval by speakers (statistics/estimate.py), null: not estimable;
                         standard_error, over speakers
    clusters             what was drawn again: `speaker`; `clip`, where no speaker is known;
                         `mixed`;  n_clusters: how many
    reason               why there is no interval, or what it leaves out
    note                 what makes the value say little: one class in the test set, or that can be
                         predicted; null: nothing
    """

    transfer: str
    method: str
    train: list[str]
    test: str
    corpus: str | None
    pooling: str | None
    metric: str
    value: float | None
    n_utterances: int
    n_speakers: int
    n_speaker_unknown: int
    classes: list[str]
    untrained: list[str]
    outside: float
    seed: int
    low: float | None = None
    high: float | None = None
    standard_error: float | None = None
    clusters: str | None = None
    n_clusters: int = 0
    reason: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class FitRecord:
    """One training, or what was predicted without any.

    train                      training set (Setting.training_set), seed
    n_train, n_validation, n_test   clips
    facts                      of the track, such as the layer or the epoch that validation chose
    note                       one class in its training or validation clips; null: several
    """

    train: str
    seed: int
    n_train: int
    n_validation: int
    n_test: int
    facts: dict[str, str | int | float | bool | None]
    note: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A setting that could not be run, and why."""

    transfer: str
    method: str
    train: list[str]
    test: str
    reason: str


@dataclass(frozen=True)
class CorpusUsed:
    """A corpus as it went into a run.

    n_utterances       clips of the run: in its cells and parts, with a class under its schema
    n_found            usable clips on the disk; n_published: clips of a complete copy; complete:
                       none is missing
    left_out           reason -> clips that could not be used, or have no class under the schema
    speakers_shared    null, or why speakers of this corpus stand in several parts of the split
    age_source         how ages are known -> clips;  synthetic: made by `bimotion data synth`
    oddities           kind (corpora/utterance.py) -> number, of all clips, each of which was
                       listened to
    """

    n_utterances: int
    n_found: int
    n_published: int
    complete: bool
    left_out: dict[str, int]
    speakers_shared: str | None
    age_source: dict[str, int]
    synthetic: bool
    oddities: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DataUsed:
    """What a run was trained and tested on.

    fingerprint   of the utterances used; the same for every layout and folder
    synthetic     some corpus is synthetic: no leaderboard takes it
    complete      every corpus with clips in the protocol's cells was used, and complete
    corpora       name -> how it went in, absent ones too
    """

    fingerprint: str
    synthetic: bool
    complete: bool
    corpora: dict[str, CorpusUsed]

    @classmethod
    def of(cls, fingerprint: str, corpora: dict[str, CorpusUsed]) -> "DataUsed":
        """The record of some corpora: synthetic if any is, complete if all are."""
        used = corpora.values()
        return cls(
            fingerprint,
            any(one.synthetic for one in used),
            all(one.complete for one in used),
            corpora,
        )


@dataclass(frozen=True)
class Provenance:
    """How a run was made; differs from machine to machine.

    versions        package -> version
    git_revision    of the checkout that bimotion ran from; null in an installed copy
    seeds           all that were used;  started, finished: ISO 8601, UTC
    inputs          corpus -> hash of its folder's place and state on this machine
    largest_difference  in features or logits between clips in one batch and each of them alone;
                        null: not checked
    """

    versions: dict[str, str]
    python: str
    git_revision: str | None
    platform: str
    device: str
    seeds: list[int]
    inputs: dict[str, str]
    started: str
    finished: str
    largest_difference: float | None


@dataclass(frozen=True)
class Result:
    """A finished run, as `result.json`.

    key       hash of the spec: of model, track, split, schema, protocol, seeds, limit, the data's
              fingerprint and adapt
    n_parameters   of the model, null where that means nothing
    scores    rows; skipped: settings that could not be run; fits: trainings; duplicates: a row a
              training set and test set
    """

    key: str
    model: ModelUsed
    track: str
    split: SplitUsed
    schema: SchemaUsed
    protocol: ProtocolUsed
    seeds: list[int]
    limit: int | None
    data: DataUsed
    provenance: Provenance
    scores: list[Score]
    skipped: list[Skipped]
    fits: list[FitRecord]
    n_parameters: int | None
    adapt: AdaptUsed | None = None
    duplicates: list[Duplicates] = field(default_factory=list)
    schema_version: int = field(default=SCHEMA_VERSION)

    def __repr__(self) -> str:
        asked = f"protocol {self.protocol.name}, split {self.split.rule}, schema {self.schema.name}"
        skipped = f" ({len(self.skipped)} skipped)" if self.skipped else ""
        return printable(
            f"<Result {self.key} of {self.title:.80}: {self.track}, {asked}, "
            f"{len(self.setting_ids)} settings{skipped}>"
        )

    def _repr_html_(self) -> str:
        """What notebooks show: the headline scores; `bimotion.paper_tables` makes the tables of the
        paper."""
        scores = self.to_pandas()
        shown = scores[(scores["metric"] == "weighted_f1") & (scores["pooling"] == "mean")]
        return f"<p>{html.escape(repr(self))}</p>" + shown[_SHOWN].to_html(index=False)

    @property
    def setting_ids(self) -> set[SettingId]:
        """Settings that were run."""
        return {SettingId.of(score) for score in self.scores}

    @property
    def spec(self) -> RunSpec:
        """The question that this answers."""
        return RunSpec(
            self.model,
            self.track,
            self.split,
            self.schema,
            self.protocol,
            self.seeds,
            self.limit,
            self.data.fingerprint,
            self.adapt,
        )

    @property
    def title(self) -> str:
        """The model's name and, where it is adapted, how."""
        return self.model.name if self.adapt is None else f"{self.model.name} + {self.adapt.name}"

    def headline(
        self,
        transfer: str,
        method: str,
        test: str,
        metric: str = "weighted_f1",
        train: tuple[str, ...] | None = None,
    ) -> float | None:
        """Mean over the cell's corpora and over seeds, in [0, 1]; None where the setting was not
        run. `train`: its cells, where several settings share transfer, method and test
        (protocol.BY_TRAINING_SET). Raises UnknownName for a name that no setting has."""
        wanted = (transfer, method, test, metric, "mean")
        found = [
            score.value
            for score in self.scores
            if (score.transfer, score.method, score.test, score.metric, score.pooling) == wanted
            and score.value is not None
            if train is None or tuple(score.train) == tuple(train)
        ]
        if not found:
            cells = (name.partition("@")[0] for name in (test, *(train or ())))
            _require_known(transfer, method, tuple(cells), metric)
        return sum(found) / len(found) if found else None

    def to_json(self) -> str:
        """JSON text, keys in the order of the fields, one line a row of scores; NaN is an error."""
        content = dataclasses.asdict(self)
        rows = {name: content[name] for name in ("scores", "skipped", "fits", "duplicates")}
        text = json.dumps(
            content | {name: [] for name in rows}, indent=1, ensure_ascii=False, allow_nan=False
        )
        for name, items in rows.items():
            lines = ",\n  ".join(
                json.dumps(item, ensure_ascii=False, allow_nan=False) for item in items
            )
            text = text.replace(
                f'"{name}": []', f'"{name}": [\n  {lines}\n ]' if items else f'"{name}": []'
            )
        return text + "\n"

    def folder(self, output: Path) -> Path:
        """Where `bimotion.evaluate(output=output)` keeps this result."""
        return folder_of(output, self.spec)

    def save(self, folder: Path) -> Path:
        """Write `folder`/result.json; returns its path."""
        with files.written(folder / RESULT_FILE) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")
        return folder / RESULT_FILE

    def to_pandas(self):
        """Scores as a data frame, one row a score."""
        import pandas as pd

        return pd.DataFrame(
            [dataclasses.asdict(score) for score in self.scores],
            columns=[field.name for field in dataclasses.fields(Score)],
        )


def _require_known(transfer: str, method: str, cells: tuple[str, ...], metric: str) -> None:
    """Raise UnknownName for what cannot be in any record."""
    known_cells = [str(cell) for cell in (*BIMOTION_CELLS, *YUEMOTION_CELLS, *EXTENSION_CELLS)]
    for kind, name, choices in (
        ("transfer", transfer, TRANSFERS),
        ("method", method, METHODS),
        *(("cell", cell, known_cells) for cell in cells),
        ("metric", metric, (*METRICS, MULTI_LABEL_METRIC)),
    ):
        if name not in choices:
            raise UnknownName(kind, name, choices)


def folder_of(output: Path, spec: RunSpec) -> Path:
    """Where the run of a spec lies below a folder of results."""
    return (
        Path(output)
        / (spec.model.name.strip("/").replace("/", "__").lstrip(".") or "model")
        / spec.key
    )


def load(path: Path) -> Result:
    """Result from a `result.json`; raises RecordError naming the first field that breaks the
    schema."""
    try:
        if path.stat().st_size > MAX_RESULT_BYTES:
            raise RecordError(
                f"{path}: expected at most {MAX_RESULT_BYTES} bytes, found {path.stat().st_size}"
            )
        content = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: expected a result in JSON, found: {error}") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise RecordError(f"{path}: expected schema_version {SCHEMA_VERSION}, found {version!r}")
    try:
        result = typed(Result, content, "result")
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from None
    for place, score in enumerate(result.scores):
        if (
            not 0 <= (score.value or 0) <= 1
            or not 0 <= score.outside <= 1
            or min(score.n_utterances, score.n_speakers, score.n_speaker_unknown) < 0
        ):
            raise RecordError(
                f"{path}: result.scores[{place}]: expected a value in [0, 1] and counts from 0, "
                f"found {score}"
            )
    if wrong := [one for one in result.duplicates if not one.is_possible]:
        raise RecordError(
            f"{path}: duplicates: expected counts from 0, none above the one before it, found "
            f"{wrong[0]}"
        )
    if result.key != result.spec.key:
        raise RecordError(
            f"{path}: key: expected {result.spec.key} (the hash of its spec), found {result.key}"
        )
    if result.data != (derived := DataUsed.of(result.data.fingerprint, result.data.corpora)):
        found = f"synthetic {result.data.synthetic}, complete {result.data.complete}"
        raise RecordError(
            f"{path}: data: its corpora make it synthetic {derived.synthetic}, complete "
            f"{derived.complete}; found {found}"
        )
    return result
