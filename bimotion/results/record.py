"""The record of a run: what was asked (RunSpec), what came out (Score rows), how it was done; to
JSON and back."""

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import model_validator

from bimotion.errors import RecordError, UnknownName, printable
from bimotion.io import files
from bimotion.io.records import Record, Scalar, read_record
from bimotion.protocol.cells import BIMOTION_CELLS, EXTENSION_CELLS, YUEMOTION_CELLS
from bimotion.protocol.settings import METHODS, TRANSFERS, SettingId
from bimotion.results.duplicates import Duplicates
from bimotion.results.human import HumanAgreement
from bimotion.results.metrics import METRICS, MULTI_LABEL_METRIC
from bimotion.results.run_spec import (
    AdaptUsed,
    ModelUsed,
    ProtocolUsed,
    RunSpec,
    SchemaUsed,
    SplitUsed,
)
from bimotion.results.score import Count, Score, Share

RESULT_FILE = "result.json"
PREDICTIONS_FILE = "predictions.parquet"
PARTS_FOLDER = "unfinished"
"""Below a run's folder, until it is finished: predictions of the jobs that are done."""
MAX_RESULT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class FitRecord(Record):
    """One training, or what was predicted without any."""

    added: ClassVar = frozenset({"fold"})

    train: str
    """Training set (Setting.training_set)."""
    seed: int
    """Of whatever is random."""
    n_train: int
    """Training clips."""
    n_validation: int
    """Validation clips."""
    n_test: int
    """Test clips."""
    facts: dict[str, Scalar]
    """Of the track, such as the layer or the epoch that validation chose."""
    note: str | None = None
    """One class in its training or validation clips, or a head that has not converged; null:
    neither."""
    fold: int = 0
    """Of split rule `folds`: whose clips it was tested on."""


@dataclass(frozen=True)
class Confound(Record):
    """The confounds of a transfer: how well its features tell what they should not need, among
    clips of one class: unweighted average recall in other speakers, or, of a corpus with fewer
    than three known ones, in other clips; mean over classes (evaluation/confounds.py)."""

    train: str
    """Training set (Setting.training_set)."""
    test: str
    """Test cell."""
    n_clips: Count
    """Training clips of both sides that it was measured on."""
    corpus: Share | None
    """Recall of the corpora; null: one corpus, or too few clips of each."""
    corpus_chance: Share | None
    """The same by chance, 1 / number of corpora."""
    language: Share | None
    """Recall of the languages; null: one language."""
    language_chance: Share | None
    """The same by chance."""

    @model_validator(mode="after")
    def _has_chance_beside_recall(self) -> "Confound":
        for recall, chance in (
            (self.corpus, self.corpus_chance),
            (self.language, self.language_chance),
        ):
            if (recall is None) != (chance is None):
                raise ValueError(f"expected a recall and its chance level, found {self}")
        return self


@dataclass(frozen=True)
class Skipped(Record):
    """A setting that could not be run, and why."""

    transfer: str
    """As in Score, like the next three."""
    method: str
    """How the training set is made."""
    train: list[str]
    """Training cells."""
    test: str
    """Test cell."""
    reason: str
    """Why it could not be run."""


def why_skipped(skipped: Iterable[Skipped]) -> str:
    """The reasons of several settings, each once; what lacks the same stands together.

    >>> why_skipped([Skipped("cross-age", "inference", ["eng_adu"], "eng_eld", reason=reason)
    ...     for reason in ("no test clips in eng_eld", "no test clips in zho_eld in fold 3")])
    'no test clips in eng_eld, in zho_eld in fold 3'
    """
    places: dict[str, list[str]] = {}
    for reason in sorted({text for skip in skipped for text in skip.reason.split("; ")}):
        lacking, within, cell = reason.partition(" in ")
        places.setdefault(lacking, []).append(within + cell)
    return "; ".join(lacking + ",".join(named) for lacking, named in places.items())


@dataclass(frozen=True)
class CorpusUsed(Record):
    """A corpus as it went into a run."""

    n_utterances: int
    """Clips of the run: in its cells and parts, with a class under its schema."""
    n_found: int
    """Usable clips on the disk."""
    n_published: int
    """Clips of a complete copy."""
    complete: bool
    """None is missing."""
    left_out: dict[str, int]
    """Reason -> clips that could not be used, or have no class under the schema."""
    speakers_shared: str | None
    """null, or why speakers of this corpus stand in several parts of the split."""
    age_source: dict[str, int]
    """How ages are known -> clips."""
    synthetic: bool
    """Made by `bimotion data synth`."""
    oddities: dict[str, int] = field(default_factory=dict)
    """Kind (corpora/utterance.py) -> number, of all clips, each of which was listened to."""


@dataclass(frozen=True)
class DataUsed(Record):
    """The data that a run was trained and tested on."""

    fingerprint: str
    """Hash of the utterances used; the same for every layout and folder."""
    synthetic: bool
    """Some corpus is synthetic: no leaderboard takes it."""
    complete: bool
    """Every corpus with clips in the protocol's cells was used, and complete."""
    corpora: dict[str, CorpusUsed]
    """Name -> how it went in, absent ones too."""

    @classmethod
    def of(cls, fingerprint: str, corpora: dict[str, CorpusUsed]) -> "DataUsed":
        """The record of some corpora: synthetic if any is, complete if all are."""
        return cls(
            fingerprint,
            any(corpus.synthetic for corpus in corpora.values()),
            all(corpus.complete for corpus in corpora.values()),
            corpora,
        )

    @model_validator(mode="after")
    def _follows_from_its_corpora(self) -> "DataUsed":
        expected = DataUsed.of(self.fingerprint, self.corpora)
        if self != expected:
            raise ValueError(
                f"expected synthetic {expected.synthetic}, complete {expected.complete}, as its "
                f"corpora are; found synthetic {self.synthetic}, complete {self.complete}"
            )
        return self


@dataclass(frozen=True)
class Provenance(Record):
    """The making of a run; differs from machine to machine."""

    versions: dict[str, str]
    """Package -> version."""
    python: str
    """Its version."""
    git_revision: str | None
    """Of the checkout that bimotion ran from; null in an installed copy."""
    platform: str
    """Operating system and processor."""
    device: str
    """What the model ran on."""
    seeds: list[int]
    """All that were used."""
    inputs: dict[str, str]
    """Corpus -> hash of its folder's place and state on this machine."""
    started: str
    """ISO 8601, UTC."""
    finished: str
    """ISO 8601, UTC."""
    largest_difference: float | None
    """In features or logits between clips in one batch and each of them by itself; null: not
    checked."""


@dataclass(frozen=True)
class Result(Record):
    """A finished run, as `result.json`."""

    added: ClassVar = frozenset({"confounds", "human"})

    key: str
    """Hash of the spec: of model, track, split, schema, protocol, seeds, limit, the data's
    fingerprint and adapt."""
    model: ModelUsed
    """As in RunSpec, like the next six."""
    track: str
    """How the model was used."""
    split: SplitUsed
    """Which utterances train and which test."""
    schema: SchemaUsed
    """The classes."""
    protocol: ProtocolUsed
    """The settings asked for."""
    seeds: list[int]
    """Of whatever is random."""
    limit: int | None
    """Clips of each corpus, cell and part at most."""
    data: DataUsed
    """What it was trained and tested on."""
    provenance: Provenance
    """How it was made."""
    scores: list[Score]
    """What came out."""
    skipped: list[Skipped]
    """Settings that could not be run."""
    fits: list[FitRecord]
    """Trainings."""
    n_parameters: int | None
    """Of the model, null where that means nothing."""
    adapt: AdaptUsed | None = None
    """Adaptation method in place of the head; null: none."""
    duplicates: list[Duplicates] = field(default_factory=list)
    """A row a training set and test set."""
    confounds: list[Confound] = field(default_factory=list)
    """A row a setting across cells, of track `probe`; none in earlier records."""
    human: list[HumanAgreement] = field(default_factory=list)
    """Agreement of human raters on the test clips of each cell and corpus whose votes are known."""
    schema_version: Literal[4, 5] = 5
    """Of this format."""

    def __repr__(self) -> str:
        asked = f"protocol {self.protocol.name}, split {self.split.name}, schema {self.schema.name}"
        skipped = f" ({len(self.skipped)} skipped)" if self.skipped else ""
        return printable(
            f"<Result {self.key} of {self.title:.80}: {self.track}, {asked}, "
            f"{len(self.setting_ids)} settings{skipped}>"
        )

    @property
    def setting_ids(self) -> set[SettingId]:
        """Settings that were run."""
        return {SettingId.of(score) for score in self.scores}

    @property
    def spec(self) -> RunSpec:
        """The question that this answers."""
        names = {asked.name for asked in dataclasses.fields(RunSpec)} - {"data_fingerprint"}
        shared = {name: getattr(self, name) for name in names}
        return RunSpec(**shared, data_fingerprint=self.data.fingerprint)

    @property
    def is_seeded(self) -> bool:
        """Its predictions depend on the seed."""
        return self.spec.is_seeded

    @property
    def n_predictions(self) -> int:
        """Rows of its predictions: a test clip in every training that was tested on it."""
        return sum(fit.n_test for fit in self.fits)

    @property
    def title(self) -> str:
        """The model's name, its window if that is not its own and, where it is adapted, how."""
        title = self.model.title
        return title if self.adapt is None else f"{title} + {self.adapt.name}"

    def headline(
        self,
        transfer: str,
        method: str,
        test: str,
        metric: str = "weighted_f1",
        train: tuple[str, ...] | None = None,
    ) -> float | None:
        """The mean over the cell's corpora and over seeds, in [0, 1]; None where the setting was
        not run.

        Args:
            train: Its cells, where several settings share transfer, method and test
                (protocol.BY_TRAINING_SET).
        Raises:
            UnknownName: for a name that no setting has.
        """
        wanted = (transfer, method, test, metric, "mean")
        values = [
            score.value
            for score in self.scores
            if (score.transfer, score.method, score.test, score.metric, score.pooling) == wanted
            and score.value is not None
            and (train is None or tuple(score.train) == tuple(train))
        ]
        if not values:
            cells = [name.partition("@")[0] for name in (test, *(train or ()))]
            _require_known(transfer, method, cells, metric)
        return sum(values) / len(values) if values else None

    def to_json(self) -> str:
        """JSON text, keys in the order of the fields, one line a row of scores; NaN is an error."""
        content = dataclasses.asdict(self)
        listed = ("scores", "skipped", "fits", "duplicates", "confounds", "human")
        rows = {name: content[name] for name in listed}
        text = json.dumps(
            content | {name: [] for name in rows}, indent=1, ensure_ascii=False, allow_nan=False
        )
        for name, items in rows.items():
            lines = [json.dumps(item, ensure_ascii=False, allow_nan=False) for item in items]
            if lines:
                table = "[\n  " + ",\n  ".join(lines) + "\n ]"
                text = text.replace(f'"{name}": []', f'"{name}": {table}')
        return text + "\n"

    def folder(self, output: str | os.PathLike = "results") -> Path:
        """The folder where `bimotion.evaluate(output=output)` keeps this result."""
        return folder_of(output, self.spec)

    def save(self, folder: Path) -> Path:
        """Write `folder`/result.json; returns its path."""
        with files.written(folder / RESULT_FILE) as temporary:
            temporary.write_text(self.to_json(), encoding="utf-8")
        return folder / RESULT_FILE

    def to_pandas(self):
        """Scores as a data frame, one row a score."""
        import pandas as pd

        names = [score_field.name for score_field in dataclasses.fields(Score)]
        return pd.DataFrame(map(dataclasses.asdict, self.scores), columns=names)


def _require_known(transfer: str, method: str, cells: Iterable[str], metric: str) -> None:
    """Raise UnknownName for what cannot be in any record."""
    known_cells = [str(cell) for cell in (*BIMOTION_CELLS, *YUEMOTION_CELLS, *EXTENSION_CELLS)]
    known_metrics = (*METRICS, MULTI_LABEL_METRIC)
    names = [("transfer", transfer, TRANSFERS), ("method", method, METHODS)]
    names += [("cell", cell, known_cells) for cell in cells]
    for kind, name, known in (*names, ("metric", metric, known_metrics)):
        if name not in known:
            raise UnknownName(kind, name, known)


def folder_of(output: str | os.PathLike, spec: RunSpec) -> Path:
    """The folder of the run of a spec below a folder of results."""
    return Path(output) / model_folder(spec.model.name) / spec.key


def model_folder(model: str) -> str:
    """The name of the folder of a model's runs.

    >>> model_folder("org/model")
    'org__model'
    """
    return model.strip("/").replace("/", "__").lstrip(".") or "model"


def load(path: Path) -> Result:
    """The result in a `result.json`; raises RecordError naming the first field that breaks the
    schema."""
    result = read_record(Result, path, MAX_RESULT_BYTES, "result")
    if result.key != result.spec.key:
        raise RecordError(
            f"{path}: key: expected {result.spec.key} (the hash of its spec), found "
            f"{result.key:.80}"
        )
    return result
