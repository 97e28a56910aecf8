"""The records of one row of the board."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from bimotion.io.records import Record, Scalar
from bimotion.leaderboard import admission
from bimotion.leaderboard.known_training import KnownTraining
from bimotion.leaderboard.reproduction import Reproduction
from bimotion.protocol.published import CELLS
from bimotion.results.human import HumanAgreement
from bimotion.results.record import AdaptUsed, Confound
from bimotion.results.statistics.ages import AgeResult

METRIC = "weighted_f1"
MEAN = "mean"
"""Of the four cells, where a cell's name could stand."""
MIN_SEEDS = 3
"""Of an entry whose predictions depend on the seed, to be ranked."""
BASE = ("in-group/inference", "zero-shot/zero-shot")
"""Transfer/method of the settings that a model is ranked by: trained in the cell that it is tested
in, or on nothing."""


@dataclass(frozen=True)
class Number(Record):
    """A score with its 95 % interval by speakers."""

    value: float | None
    """In [0, 1]; null: undefined."""
    low: float | None
    """Lower end of the interval; null: not estimable."""
    high: float | None
    """Upper end of the interval; null: not estimable."""
    reason: str | None
    """Why there is no interval, or what it leaves out."""
    standard_error: float | None = None
    """Over speakers, and over seeds where there are several; null: not estimable."""


@dataclass(frozen=True)
class CellScore(Record):
    """One setting: weighted F1, mean over the cell's corpora and over seeds."""

    transfer: str
    """How the training cells relate to the test cell."""
    method: str
    """How the training cells are used."""
    train: list[str]
    """Training cells."""
    test: str
    """Test cell."""
    value: float | None
    """In [0, 1]; null: undefined."""
    low: float | None
    """Lower end of its 95 % interval; null: not estimable."""
    high: float | None
    """Upper end of the same."""
    reason: str | None
    """Why there is no interval, or what it leaves out."""
    clusters: str
    """Whose clips they are: `speaker` (known), `latent` (no speaker is known) or `mixed`."""
    n_clusters: int
    """Speakers, known or stated."""
    n_utterances: int
    """Test clips."""
    n_speakers: int
    """Known speakers of test clips."""
    n_speaker_unknown: int
    """Test clips of unknown speakers."""
    corpora: dict[str, float | None]
    """Corpus -> its own score."""
    untrained: list[str]
    """Classes of the test set that training had no clip of."""
    calibration_error: float | None
    """Expected calibration error over all clips; null but for in-group and zero-shot settings."""
    reservations: str = ""
    """Marks of a headline of which little is left (results/reservations.py)."""
    confound: Confound | None = None
    """How well the features tell corpus and language, as the run recorded it; null: not recorded,
    or no transfer."""
    standard_error: float | None = None
    """Over speakers, and over seeds where there are several; null: not estimable."""


@dataclass(frozen=True)
class GroupGap(Record):
    """A comparison of cells (statistics/gaps.py): a difference or a ratio in place of a score."""

    kind: str
    """`corpus and age` (adults less elderly), `corpus and language` (English less Mandarin),
    `worst` (the lowest cell) or `transfer` (ratio to in-group)."""
    of: str
    """What exactly is compared."""
    value: float | None
    """The difference or ratio; null: undefined, or of cells whose labels differ."""
    low: float | None
    """Lower end of its 95 % interval; null: not estimable."""
    high: float | None
    """Upper end of the same."""
    reason: str | None
    """Why there is no interval, or what it leaves out."""
    reservations: str = ""
    """Marks of the headlines that it compares, as in CellScore."""
    standard_error: float | None = None
    """Over speakers, and over seeds where there are several; null: not estimable."""


@dataclass(frozen=True)
class EntryFlags(Record):
    """The facts that a reader must know before believing a row."""

    status: Literal["claimed", "recomputed", "reproduced"]
    """`claimed`: as it was sent; `recomputed`: the keeper computed its scores from predictions
    and an answer key, and no file has changed since; `reproduced`: the keeper also ran it again,
    and the predictions agree, or made the run, a baseline."""
    status_reason: str | None
    """Why it is no more than that; null: reproduced."""
    contaminated: dict[str, list[str]]
    """Cell -> corpora tested there that the model was trained on before, as declared or known."""
    undeclared: bool
    """Nothing is declared of what the model was trained on before."""
    not_declared: list[str]
    """Data sets that it is known to have been trained on (`known_training`) and that are not
    declared: a contradiction where others are, else what fills the gap."""
    organisation_proof: str | None
    """How the keeper knows that the submitter belongs to the organisation; null: unproved."""
    same_predictions: list[str]
    """Other names under which the same predictions stand (statistics/copies.py), the first few."""
    assumed_age: dict[str, list[str]]
    """Cell -> corpora tested there whose speakers' ages are assumed."""
    shared_speakers: dict[str, str]
    """Corpus -> why its test speakers may be in training."""
    incomplete: dict[str, str]
    """Corpus -> clips present, of all that are published."""
    synthetic: bool
    """Made by `bimotion data synth`: on no board but one for practice."""
    baseline: bool
    """The keeper made this run: any speech model should beat it."""
    few_seeds: str | None
    """Why its seeds are too few for a rank, else null."""

    @property
    def is_recomputed(self) -> bool:
        """Its scores are the keeper's, whether or not it was run again."""
        return self.status != "claimed"


@dataclass(frozen=True)
class Oddity(Record):
    """A mark of what looks odd (oddities.py): no verdict; it changes no rank and no status."""

    kind: Literal["confidence", "better across", "margin", "shared errors", "many runs"]
    """`confidence`: it knows which decisions are right; `better across`: trained elsewhere it is
    better than trained in the cell; `margin`: far above the best other model; `shared errors`: errs
    as another model does; `many runs`: one of many entries of its model."""
    figure: float
    """What was measured, as docs/leaderboard.md says of each kind."""
    threshold: float
    """From which it is marked."""
    explanation: str
    """The figure in words, and what else than deceit explains it."""


@dataclass(frozen=True)
class HumanRow(Record):
    """One human rater of a corpus beside the models, by the keeper's own copy of its votes."""

    model: str
    """What it is, in place of a model's name."""
    split_rule: str
    """Of the runs whose test clips were rated, like the next."""
    schema: str
    """Label schema."""
    cells: dict[str, HumanAgreement]
    """Test cell -> agreement."""


@dataclass(frozen=True)
class Rank(Record):
    """The position of an entry among others of its class (statistics/ranks.py)."""

    rank: int
    """1 is best."""
    low: int
    """Best rank of the 95 % interval."""
    high: int
    """Worst rank of the 95 % interval."""
    tie_group: int
    """Entries of one tie group cannot be told apart from its first."""
    of: int
    """Entries of the class that are ranked together."""


@dataclass(frozen=True)
class Entry(Record):
    """A submission on the board."""

    id: str
    """Its folder below the submissions: `<org>__<model>/<run key>`."""
    model: str
    """Name of the model."""
    revision: str | None
    """Revision or fingerprint of the model's weights."""
    options: dict[str, Scalar]
    """Options of the model that its numbers depend on."""
    key: str
    """Of the run."""
    version: str | None
    """Of the bimotion that made the run."""
    comparable: str
    """Id of its class: only entries of one class are compared."""
    track: str
    """How the model was used: `probe`, `finetune` or `zero-shot`."""
    split_rule: str
    """How utterances were assigned to parts; `folds-1`: only the first of five folds was run."""
    split_seed: int
    """Of the assignment."""
    schema: str
    """Label schema."""
    protocol: str
    """Named list of settings."""
    cells: list[str] | None
    """The only test cells that were run; null: all."""
    data_fingerprint: str
    """Of the utterances used."""
    seeds: list[int]
    """One run each; scores are means over them."""
    adapt: AdaptUsed | None
    """Unsupervised method in place of the probe's head; null: none."""
    n_parameters: int | None
    """Of the model; null where that means nothing."""
    n_trainings: int
    """Distinct training sets times seeds."""
    device: str
    """That the run used."""
    finished: str
    """When the run was finished: ISO 8601."""
    trained_on: str | None
    """Data that the model was trained on before, as declared; null: nothing was declared."""
    not_recognised: list[str]
    """Names among these that are none of our corpora and no data set that is known here."""
    known_training: KnownTraining | None
    """What is known of the model's training data without its submitter; null: nothing."""
    headline: dict[str, Number]
    """`<transfer>/<method>` -> mean over the four cells of BiMotion, where all four were run."""
    scores: list[CellScore]
    """A row a setting."""
    gaps: list[GroupGap]
    """Comparisons of cells."""
    flags: EntryFlags
    """The facts that a reader must know."""
    ages: list[AgeResult] = field(default_factory=list)
    """Recall over age within corpora; of CREMA-D only where its table of actors was at hand."""
    oddities: list[Oddity] = field(default_factory=list)
    """What looks odd, whether or not it is; never a reason for a rank."""
    steps_percent: int | None = field(default=None)
    """Of a hidden test: scores of cells and their mean are rounded to steps of so many percent, and
    there are no others, differences or age results; null: to the digit."""
    reproduction: Reproduction | None = field(default=None)
    """The keeper's own run of it, whether or not it agrees; null: none was made."""
    signed_by: str | None = field(default=None)
    """Name of the key, one of the board's `keys`, that signed its receipt; null: not signed, or
    only claimed."""
    ranking: Rank | None = field(default=None)
    """Among the reproduced entries of public models; null: it is none of them, lacks a cell, or has
    too few seeds."""
    recomputed_ranking: Rank | None = field(default=None)
    """Among all recomputed and reproduced entries; null: only claimed, lacks a cell, or has too few
    seeds."""

    @property
    def base(self) -> Number | None:
        """The headline that it is ranked by; None where a cell is missing."""
        return next((self.headline[name] for name in BASE if name in self.headline), None)

    def scalars(self) -> Iterator[tuple[str, Number | CellScore]]:
        """`mean` and the cells that have a value, of the settings that it is ranked by: what an
        export gives as one number each."""
        if self.base is not None and self.base.value is not None:
            yield MEAN, self.base
        by_cell: dict[str, CellScore] = {}
        for score in self.scores:
            if f"{score.transfer}/{score.method}" in BASE:
                by_cell.setdefault(score.test, score)  # later ones are of some corpora only
        for cell in CELLS:
            if cell in by_cell and by_cell[cell].value is not None:
                yield cell, by_cell[cell]

    @property
    def is_reproduced_public(self) -> bool:
        """The keeper ran it again, or made it, with a model that anybody can have: what is ranked
        by default."""
        is_public = self.reproduction is not None and self.reproduction.is_public
        return self.flags.status == "reproduced" and (self.flags.baseline or is_public)

    @property
    def full_name(self) -> str:
        """The model's name with its organisation: that of the folder, where it has none."""
        organisation, _, named = self.id.partition("/")[0].partition("__")
        return admission.full_name(self.model, organisation if named else None)
