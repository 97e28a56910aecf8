"""One submission as a row of the board: its numbers computed anew from its predictions, and what a
reader must know of it.

A submission is a folder `<org>__<model>/<run key>/` with result.json and predictions.parquet, and
beside them

submission.json   what its sender declares: trained_on (text or a list of names); absent from local
                  results

It is not ours, so no number in it is believed: result.json says what was run, predictions.parquet
gives every score, and which of our corpora trained_on names is worked out here. What the receiver
says of it lies elsewhere (receipt.py).
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.data import splits
from bimotion.errors import RecordError
from bimotion.io.records import Record
from bimotion.leaderboard import lookalikes, submission
from bimotion.leaderboard.contamination import contamination
from bimotion.protocol import cells as groups
from bimotion.protocol.labels import LabelSchema, schema_named
from bimotion.protocol.settings import Setting, SettingId
from bimotion.results import rescoring
from bimotion.results.clip_predictions import test_set
from bimotion.results.record import AdaptUsed, Result
from bimotion.results.statistics import copies
from bimotion.results.statistics.bootstrap import BootstrapDraws, by_setting
from bimotion.results.statistics.calibration import expected_calibration_error
from bimotion.results.statistics.estimate import Estimate, Interval, combined, mean_known
from bimotion.results.statistics.gaps import gaps

METRIC = "weighted_f1"
BASE = ("in-group/inference", "zero-shot/zero-shot")
"""Transfer/method of the settings that a model is ranked by: trained in the cell that it is tested
in, or on nothing."""
MAX_NAME, MAX_TEXT, MAX_SAME = 200, 1000, 10
# of the bootstrap: intervals take a standard error from it, which 2000 give to within 2 %
REPLICATES = 2000
DIGITS = 4


@dataclass(frozen=True)
class Number(Record):
    """A score: its value in [0, 1], low and high of its 95 % interval by speakers; null: undefined,
    or not estimable.

    reason   why there is no interval, or what it leaves out
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str | None


@dataclass(frozen=True)
class CellScore(Record):
    """One setting: weighted F1, mean over the cell's corpora and over seeds.

    transfer, method, train, test   of the setting;  value, low, high, reason: as in Number
    clusters, n_clusters            what the interval draws again: `speaker`, `clip` (no speaker is
                                    known) or `mixed`; how many
    n_utterances                    test clips;  n_speakers: known ones;  n_speaker_unknown: clips
                                    of others
    corpora                         corpus -> its own score
    untrained                       classes of the test set that training had no clip of
    calibration_error               expected calibration error over all clips; null but for in-group
                                    and zero-shot settings
    """

    transfer: str
    method: str
    train: list[str]
    test: str
    value: float | None
    low: float | None
    high: float | None
    reason: str | None
    clusters: str
    n_clusters: int
    n_utterances: int
    n_speakers: int
    n_speaker_unknown: int
    corpora: dict[str, float | None]
    untrained: list[str]
    calibration_error: float | None


@dataclass(frozen=True)
class GroupGap(Record):
    """A comparison of cells (statistics/gaps.py).

    kind   age (adults less elderly), language (English less Mandarin), worst (the lowest cell),
           transfer (ratio to in-group)
    of     what exactly;  value, low, high, reason: as in Number, but a difference or a ratio
    chance_low, chance_high, chance_p   what a model that knows no groups gives; null for ratios
    """

    kind: str
    of: str
    value: float | None
    low: float | None
    high: float | None
    reason: str | None
    chance_low: float | None
    chance_high: float | None
    chance_p: float | None


@dataclass(frozen=True)
class EntryFlags(Record):
    """What a reader must know before believing a row.

    verified          the receiver computed its scores from its own references, and no file has
                      changed since
    unverified        why not, else null
    contaminated      cell -> corpora tested there that the model was trained on before, as declared
    undeclared        nothing is declared of what the model was trained on before: no word that it
                      was on none of ours
    same_predictions  other names under which the same predictions stand (statistics/copies.py); the
                      first MAX_SAME of them
    assumed_age       cell -> corpora tested there whose speakers' ages are assumed
    shared_speakers   corpus -> why its test speakers may be in training
    incomplete        corpus -> clips found, of all that are published
    synthetic         made by `bimotion data synth`: on no board but one for practice
    floor             a baseline that the receiver made: any speech model should beat it
    """

    verified: bool
    unverified: str | None
    contaminated: dict[str, list[str]]
    undeclared: bool
    same_predictions: list[str]
    assumed_age: dict[str, list[str]]
    shared_speakers: dict[str, str]
    incomplete: dict[str, str]
    synthetic: bool
    floor: bool


@dataclass(frozen=True)
class Rank(Record):
    """Where an entry stands among the `of` verified ones of its class (statistics/ranks.py).

    rank, low, high   1 is best; 95 % interval
    tie_group         entries of one tie group cannot be told apart from its first
    """

    rank: int
    low: int
    high: int
    tie_group: int
    of: int


@dataclass(frozen=True)
class Entry(Record):
    """A submission on the board.

    id               place of its folder below the submissions: `<org>__<model>/<run key>`
    model, revision, options, key   of the result;  version: of bimotion that made it;  device,
                                    finished: of the run
    comparable       id of its class: only entries of one class are compared
    track, split_rule, split_seed, schema, protocol, cells, data_fingerprint   of the result: its
    class
    seeds            one run each; scores are means over them
    adapt            unsupervised method in place of the probe's head, null: none
                     (results.AdaptUsed)
    n_parameters     of the model, null where that means nothing;  n_trainings: distinct training
                     sets times seeds
    trained_on       as declared, null: nothing was
    headline         `<transfer>/<method>` -> mean over the four cells of BiMotion, where all four
                     were run
    scores, gaps, marks   a row a setting; comparisons of cells; what a reader must know
    standing         null where it is not ranked: not verified, or without all four cells
    """

    id: str
    model: str
    revision: str | None
    options: dict[str, str | int | float | bool | None]
    key: str
    version: str | None
    comparable: str
    track: str
    split_rule: str
    split_seed: int
    schema: str
    protocol: str
    cells: list[str] | None
    data_fingerprint: str
    seeds: list[int]
    adapt: AdaptUsed | None
    n_parameters: int | None
    n_trainings: int
    device: str
    finished: str
    trained_on: str | None
    headline: dict[str, Number]
    scores: list[CellScore]
    gaps: list[GroupGap]
    marks: EntryFlags
    standing: Rank | None = field(default=None)

    @property
    def base(self) -> Number | None:
        """The headline that it is ranked by; None where a cell is missing."""
        return next((self.headline[name] for name in BASE if name in self.headline), None)

    @property
    def full_name(self) -> str:
        """Of the model with its organisation: that of the folder, where the model's own name has
        none."""
        organisation, _, named = self.id.partition("/")[0].partition("__")
        return (
            f"{organisation}/{self.model}"
            if organisation and named and "/" not in self.model
            else self.model
        )


class Read(NamedTuple):
    """What is read of a submission: its entry, the statistic that ranks it (None without all four
    cells), and a sketch of its predictions."""

    entry: Entry
    ranked: Estimate | None
    sketch: copies.Sketch


def read(folder: Path, identity: str) -> Read:
    """A submission as an entry, not yet verified or ranked.

    Raises RecordError for what cannot stand on a board; other errors where predictions are
    malformed.
    """
    result, table = rescoring.read(folder)
    if not lookalikes.is_plain(result.model.name) or not 0 < len(result.model.name) <= MAX_NAME:
        raise RecordError(
            f"model: expected a name of 1 to {MAX_NAME} printable characters, found "
            f"{result.model.name!a:.80}"
        )
    if reason := submission.why_not_shown(result):
        raise RecordError(reason)
    if result.limit is not None:
        raise RecordError(
            f"limited to {result.limit} clips of each corpus, cell and part: a run for trying out"
        )
    if sorted(table["seed"].unique().tolist()) != result.seeds:
        raise RecordError(f"expected predictions of seeds {result.seeds}, found others")
    _check_size(table)
    schema, settings = schema_named(result.schema.name), rescoring.settings_of(result)
    declared = submission.declared(folder)
    tested = {
        cell: sorted(names) for cell, names in table.groupby("cell")["corpus"].unique().items()
    }
    data = result.data.corpora
    used = [name for name, one in data.items() if one.n_utterances]
    scores, headline, ranked = _scores(result, table, settings, schema)
    found = gaps(table, settings, schema, replicates=REPLICATES)
    entry = Entry(
        id=identity,
        model=result.model.name,
        revision=result.model.revision,
        options=result.model.options,
        key=result.key,
        version=result.provenance.versions.get("bimotion"),
        comparable=comparable(result),
        track=result.track,
        split_rule=result.split.rule,
        split_seed=result.split.seed,
        schema=result.schema.name,
        protocol=result.protocol.name,
        cells=result.protocol.cells,
        data_fingerprint=result.data.fingerprint,
        seeds=result.seeds,
        adapt=result.adapt,
        n_parameters=result.n_parameters,
        n_trainings=len(result.fits) if result.track != "zero-shot" else 0,
        device=result.provenance.device,
        finished=result.provenance.finished,
        trained_on=_text(declared),
        headline=headline,
        scores=scores,
        gaps=[_gap(one.kind, one.of, one.interval, one.chance) for one in found],
        marks=EntryFlags(
            verified=False,
            unverified="not verified",
            contaminated=_contaminated(declared, settings, tested),
            undeclared=declared is None,
            same_predictions=[],
            assumed_age=_assumed(result, tested),
            shared_speakers={
                name: why
                for name in used
                if (why := splits.why_not_disjoint(name, result.split.rule))
            },
            incomplete={
                name: f"{one.n_found} of {CORPORA[name].card.n_utterances}"
                for name, one in data.items()
                if not one.complete
            },
            synthetic=result.data.synthetic,
            floor=False,
        ),
    )
    return Read(entry, ranked, copies.sketch(_one_a_cell(table, settings)))


def _one_a_cell(table: pd.DataFrame, settings: Iterable[Setting]) -> list[pd.DataFrame]:
    """Predictions of every test cell, once: those that rank where there are, of all its corpora."""
    chosen: dict[str, str] = {}
    first = sorted(
        settings,
        key=lambda one: (f"{one.transfer}/{one.method}" not in BASE, one.corpora is not None),
    )
    for setting in first:
        chosen.setdefault(str(setting.test), setting.training_set)
    return [
        table[(table["cell"] == cell) & (table["train"] == train)]
        for cell, train in sorted(chosen.items())
    ]


def _check_size(table: pd.DataFrame) -> None:
    """Raise RecordError for more test clips than a corpus has: a small file can name millions, and
    every one that has no speaker is drawn again by itself."""
    tested = ["train", "cell", "corpus", "seed"]
    for name, n_clips in table.groupby(tested).size().groupby("corpus").max().items():
        if name not in CORPORA:
            raise RecordError(f"corpus: expected one of {', '.join(CORPORA)}, found {name!a:.80}")
        if n_clips > (most := CORPORA[name].card.n_utterances):
            raise RecordError(
                f"expected at most {most} clips of {name} in a test set, found {n_clips}"
            )
    if n_double := int(table.duplicated([*tested, "id"]).sum()):
        raise RecordError(f"expected every clip once in a test set, found {n_double} again")


def comparable(result: Result) -> str:
    """8 hex digits of all that two results must share to be compared: everything in their specs but
    model, adaptation (marked where it heard target audio) and seeds."""
    spec = [
        result.track,
        vars(result.split),
        vars(result.schema),
        vars(result.protocol),
        result.data.fingerprint,
    ]
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:8]


def _scores(
    result: Result, table: pd.DataFrame, settings: Iterable[Setting], schema: LabelSchema
) -> tuple[list[CellScore], dict[str, Number], Estimate | None]:
    """A row a setting, headlines, and the statistic of the first headline that ranks."""
    draws, rows, of_cells = BootstrapDraws(REPLICATES), [], {}
    tables = dict(list(table.groupby(["train", "cell"])))
    untrained = {
        SettingId.of(one): [name for name in schema.classes if name in one.untrained]
        for one in result.scores
        if (one.metric, one.pooling) == (METRIC, "mean")
    }
    for setting in settings:
        part = tables.get((setting.training_set, str(setting.test)))
        if part is None:
            raise RecordError(f"no predictions of {setting.training_set} on {setting.test}")
        of_seeds = next(by_setting(part, [setting], schema, draws))
        statistic = combined(mean_known, *(one["mean", METRIC] for one in of_seeds))
        name = f"{setting.transfer}/{setting.method}"
        if (
            setting.corpora is None
            and setting.test in groups.BIMOTION_CELLS
            and statistic.estimate == statistic.estimate
        ):
            of_cells.setdefault(name, {})[setting.test] = statistic
        rows.append(
            _row(
                setting,
                part,
                of_seeds,
                statistic.interval(),
                untrained.get(setting.id, []),
                name in BASE,
            )
        )
    cells = groups.BIMOTION_CELLS
    # it is compared with runs on the same clips alone, which lack the same cells
    if not result.data.complete:
        cells = [cell for cell in cells if any(setting.test == cell for setting in settings)]
    whole = {
        name: combined(mean_known, *(by_cell[cell] for cell in cells))
        for name, by_cell in of_cells.items()
        if cells and len(by_cell) == len(cells)
    }
    headline = {name: _number(statistic.interval()) for name, statistic in whole.items()}
    return rows, headline, next((whole[name] for name in BASE if name in whole), None)


def _row(
    setting: Setting,
    table: pd.DataFrame,
    of_seeds: list[dict],
    interval: Interval,
    untrained: list[str],
    calibrated: bool,
) -> CellScore:
    one_seed = table[table["seed"] == table["seed"].iloc[0]]
    corpora = {
        name: [one[name, METRIC].estimate for one in of_seeds]
        for name in sorted(one_seed["corpus"].unique())
    }
    errors = (
        [expected_calibration_error(test_set(part, None)) for _, part in table.groupby("seed")]
        if calibrated
        else []
    )
    known = [error for error in errors if error is not None]
    return CellScore(
        transfer=setting.transfer,
        method=setting.method,
        train=list(setting.train_names),
        test=str(setting.test),
        **vars(_number(interval)),
        clusters=interval.clusters,
        n_clusters=interval.n_clusters,
        n_utterances=len(one_seed),
        n_speakers=int(one_seed["speaker"].nunique()),
        n_speaker_unknown=int(one_seed["speaker"].isna().sum()),
        corpora={name: _rounded(sum(values) / len(values)) for name, values in corpora.items()},
        untrained=untrained,
        calibration_error=_rounded(sum(known) / len(known)) if known else None,
    )


def _number(interval: Interval) -> Number:
    return Number(
        *(_rounded(value) for value in (interval.value, interval.low, interval.high)),
        reason=interval.reason,
    )


def _gap(kind: str, of: str, interval: Interval, chance) -> GroupGap:
    blind = (None, None, None) if chance is None else (chance.low, chance.high, chance.p)
    return GroupGap(
        kind, of, **vars(_number(interval)), **dict(zip(_CHANCE, map(_rounded, blind), strict=True))
    )


_CHANCE = ("chance_low", "chance_high", "chance_p")


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(float(value), DIGITS)


def _text(declared: list[str] | None) -> str | None:
    if declared is None:
        return None
    text = ", ".join(declared) or "nothing"
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 4]} ..."


def _contaminated(
    declared: list[str] | None, settings: Iterable[Setting], tested: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Cell -> corpora that the statement names, of those tested."""
    found = contamination(declared, settings) or {}
    kept = {
        cell: sorted(set(found.get(cell, ())) & set(corpora))
        for cell, corpora in sorted(tested.items())
    }
    return {cell: names for cell, names in kept.items() if names}


def _assumed(result: Result, tested: dict[str, list[str]]) -> dict[str, list[str]]:
    assumed = {name for name, used in result.data.corpora.items() if used.age_source.get("assumed")}
    found = {
        cell: [name for name in corpora if name in assumed]
        for cell, corpora in sorted(tested.items())
    }
    return {cell: names for cell, names in found.items() if names}
