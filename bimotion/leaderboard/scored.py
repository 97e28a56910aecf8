"""One submission as a row of the board: its numbers computed anew from its predictions.

A submission is a folder `<org>__<model>/<run key>/` with result.json and predictions.parquet, and,
but for local results, submission.json. It is not ours, so no number in it is believed: result.json
says what was run, predictions.parquet gives every score, and which of our corpora the statement
names is worked out here. What the keeper says of it lies elsewhere (receipt.py).
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.data import splits
from bimotion.data.source import CorpusSource
from bimotion.data.speaker_facts import speaker_facts
from bimotion.errors import RecordError
from bimotion.leaderboard import (
    admission,
    known_training,
    lookalikes,
    oddities,
    submission,
)
from bimotion.leaderboard.contamination import contamination
from bimotion.leaderboard.entry import (
    BASE,
    METRIC,
    MIN_SEEDS,
    CellScore,
    Entry,
    EntryFlags,
    GroupGap,
    Number,
)
from bimotion.leaderboard.known_training import KnownTraining
from bimotion.protocol.cells import BIMOTION_CELLS
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting, SettingId
from bimotion.results import rescoring
from bimotion.results.clip_predictions import matrix, test_set
from bimotion.results.human import HumanAgreement
from bimotion.results.record import Result
from bimotion.results.reservations import joined, reservations
from bimotion.results.statistics import copies, shared_errors
from bimotion.results.statistics.ages import AgeResult, age_results
from bimotion.results.statistics.calibration import expected_calibration_error
from bimotion.results.statistics.estimate import (
    Estimate,
    combined,
    mean_known,
)
from bimotion.results.statistics.from_predictions import headlines, tables_by_seed
from bimotion.results.statistics.gaps import gaps
from bimotion.results.statistics.interval import Interval

MAX_NAME, MAX_TEXT = 200, 1000
PERMUTATIONS = 999
"""Of speakers, for the age result."""
DIGITS = 4
SAME_SEED = 1e-3
"""Largest difference of probabilities up to which predictions of two seeds are one."""


class ScoredSubmission(NamedTuple):
    """An entry with what orders and compares it."""

    entry: Entry
    ranked: Estimate | None
    """The estimate that it is ranked by; None without all four cells."""
    sketch: copies.Sketch
    """Of its predictions (statistics/copies.py)."""
    errors: shared_errors.Errors
    """Its wrong decisions."""
    human: tuple[HumanAgreement, ...] = ()
    """Human raters on its test clips, where the keeper verified it with their votes."""


def score(
    folder: Path, identity: str, verified: tuple[Result, pd.DataFrame] | None = None
) -> ScoredSubmission:
    """Compute the entry of a submission, not yet verified or ranked; `verified`: its result and
    predictions, with labels that it does not hold. Raises RecordError for what cannot stand on a
    board; other errors where predictions are malformed."""
    result, table = verified or rescoring.read(folder, agreeing=False)
    _require_sound(result, table)
    schema, settings = rescoring.schema_of(result), rescoring.settings_of(result)
    tables = dict(tables_by_seed(table, settings))
    rows, means = _cell_scores(result, tables, settings, schema)
    headlines = _headlines(result, settings, means)
    declared = submission.declared(folder)
    known = known_training.known_training(submission.full_name(folder, result))
    entry = Entry(
        id=identity,
        model=result.model.name,
        revision=result.model.revision,
        options=result.model.options,
        key=result.key,
        version=result.provenance.versions.get("bimotion"),
        comparable=comparable(result),
        track=result.track,
        split_rule=result.split.name,
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
        not_recognised=known_training.not_recognised(declared or ()),
        known_training=known,
        headline={name: _number(mean.interval()) for name, mean in headlines.items()},
        scores=_as_recorded(rows, result, settings),
        gaps=_gaps(result, table, means, schema),
        ages=_ages(table, schema),
        flags=_flags(result, table, settings, declared, known),
        oddities=oddities.of_submission(tables, means, schema),
    )
    return ScoredSubmission(entry, _ranked(headlines), *_compared(tables))


def _ranked(headlines: dict[str, Estimate]) -> Estimate | None:
    return next((headlines[name].in_single_precision for name in BASE if name in headlines), None)


def comparable(result: Result) -> str:
    """8 hex digits of all that two results must share to be compared: everything in their specs but
    model, adaptation (shown where it heard target audio) and seeds."""
    parts = [vars(part) for part in (result.split, result.schema, result.protocol)]
    spec = [result.track, *parts, result.data.fingerprint]
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:8]


def _require_sound(result: Result, table: pd.DataFrame) -> None:
    """Raise RecordError for what cannot stand on a board."""
    name = result.model.name
    if not lookalikes.is_plain(name) or not 0 < len(name) <= MAX_NAME:
        raise RecordError(
            f"model: expected a name of 1 to {MAX_NAME} printable characters, found {name!a:.80}"
        )
    if reason := admission.why_never_ranked(result) or admission.why_not_shown(result):
        raise RecordError(reason)
    if result.limit is not None:
        raise RecordError(
            f"limited to {result.limit} clips of each corpus, cell and part: a run for trying out"
        )
    if sorted(table["seed"].unique().tolist()) != result.seeds:
        raise RecordError(f"expected predictions of seeds {result.seeds}, found others")
    # a small file can name millions of clips, and every one without a speaker is drawn by itself
    test_sets = ["train", "cell", "corpus", "seed"]
    for name, n_clips in table.groupby(test_sets).size().groupby("corpus").max().items():
        if name not in CORPORA:
            raise RecordError(f"corpus: expected one of {', '.join(CORPORA)}, found {name!a:.80}")
        if n_clips > (n_published := CORPORA[name].card.n_utterances):
            raise RecordError(
                f"expected at most {n_published} clips of {name} in a test set, found {n_clips}"
            )
    if n_again := int(table.duplicated([*test_sets, "id"]).sum()):
        raise RecordError(f"expected every clip once in a test set, found {n_again} again")


def _cell_scores(
    result: Result,
    tables: dict[Setting, list[pd.DataFrame]],
    settings: Iterable[Setting],
    schema: LabelSchema,
) -> tuple[list[CellScore], dict[Setting, Estimate]]:
    """A row a setting, and its score with what each clip adds to it; `tables`: one a seed."""
    rows = []
    untrained = {
        SettingId.of(row): row.untrained
        for row in result.scores
        if (row.metric, row.pooling) == (METRIC, "mean")
    }
    for setting in settings:
        if setting not in tables:
            raise RecordError(f"no predictions of {setting.training_set} on {setting.test}")
    known = headlines({setting: tables[setting] for setting in settings}, schema, METRIC)
    for setting, headline in known.items():
        by_corpus = {
            name: _mean([estimate.estimate for estimate in of_seeds])
            for name, of_seeds in headline.of_corpora.items()
        }
        row = _cell_score(setting, tables[setting], by_corpus, headline.interval, schema)
        names = untrained.get(setting.id, ())
        rows.append(
            dataclasses.replace(row, untrained=[name for name in schema.classes if name in names])
        )
    return rows, {setting: headline.estimate for setting, headline in known.items()}


def _as_recorded(rows: list[CellScore], result: Result, settings: list[Setting]) -> list[CellScore]:
    """The rows of settings with the marks of their headlines and the confounds of the record."""
    marked = reservations(result)
    confounds = {(confound.train, confound.test): confound for confound in result.confounds}
    return [
        dataclasses.replace(
            row,
            reservations=marked.get(setting.id, ""),
            confound=confounds.get((setting.training_set, str(setting.test))),
        )
        for row, setting in zip(rows, settings, strict=True)
    ]


def _cell_score(
    setting: Setting,
    of_seeds: list[pd.DataFrame],
    corpora: dict[str, float | None],
    interval: Interval,
    schema: LabelSchema,
) -> CellScore:
    first_seed, parts = of_seeds[0], of_seeds if _kind(setting) in BASE else []
    errors = [expected_calibration_error(test_set(part, schema)) for part in parts]
    return CellScore(
        transfer=setting.transfer,
        method=setting.method,
        train=list(setting.train_names),
        test=str(setting.test),
        **vars(_number(interval)),
        clusters=interval.clusters,
        n_clusters=interval.n_clusters,
        n_utterances=len(first_seed),
        n_speakers=int(first_seed["speaker"].nunique()),
        n_speaker_unknown=int(first_seed["speaker"].isna().sum()),
        corpora=corpora,
        untrained=[],
        calibration_error=_mean([error for error in errors if error is not None]),
    )


def _kind(setting: Setting) -> str:
    return f"{setting.transfer}/{setting.method}"


def _headlines(
    result: Result, settings: list[Setting], means: dict[Setting, Estimate]
) -> dict[str, Estimate]:
    """Transfer/method -> mean over the cells, where all of them were run."""
    cells = BIMOTION_CELLS
    by_headline: dict[str, dict[object, Estimate]] = {}
    for setting, mean in means.items():
        is_known = mean.estimate == mean.estimate
        if is_known and setting.corpora is None and setting.test in cells:
            by_headline.setdefault(_kind(setting), {})[setting.test] = mean
    # it is compared with runs on the same clips only, which lack the same cells
    if not result.data.complete:
        cells = [cell for cell in cells if any(setting.test == cell for setting in settings)]
    return {
        name: combined(mean_known, *(by_cell[cell] for cell in cells))
        for name, by_cell in by_headline.items()
        if cells and len(by_cell) == len(cells)
    }


def _gaps(
    result: Result, table: pd.DataFrame, means: dict[Setting, Estimate], schema: LabelSchema
) -> list[GroupGap]:
    marked = reservations(result)
    return [
        GroupGap(
            kind=gap.kind,
            of=gap.of,
            **vars(_number(gap.interval)),
            reservations=joined([marked], gap.settings),
        )
        for gap in gaps(table, means, schema, means)
    ]


def _ages(table: pd.DataFrame, schema: LabelSchema) -> list[AgeResult]:
    """The age results of the corpora whose ages are known here."""
    facts, _ = speaker_facts(table, CorpusSource())
    return age_results(table, facts, schema, permutations=PERMUTATIONS)


def _flags(
    result: Result,
    table: pd.DataFrame,
    settings: list[Setting],
    declared: list[str] | None,
    known: KnownTraining | None,
) -> EntryFlags:
    data, rule = result.data.corpora, result.split.rule
    tested = table.groupby("cell")["corpus"].unique().map(sorted).to_dict()
    assumed = {name for name, used in data.items() if used.age_source.get("assumed")}
    seen = [*(declared or ()), *(known.data_sets if known else ())]
    trained = contamination(seen, settings)
    used = [name for name, corpus in data.items() if corpus.n_utterances]
    shared = {name: splits.why_not_disjoint(name, rule) for name in used}
    return EntryFlags(
        status="claimed",
        status_reason="not verified",
        contaminated=_in_cells(
            {cell: set(corpora) & set(trained.get(cell, ())) for cell, corpora in tested.items()}
        ),
        undeclared=declared is None,
        not_declared=known_training.not_declared(known, declared),
        organisation_proof=None,
        same_predictions=[],
        assumed_age=_in_cells(
            {cell: assumed.intersection(corpora) for cell, corpora in tested.items()}
        ),
        shared_speakers={name: reason for name, reason in shared.items() if reason},
        incomplete={
            name: f"{used.n_found} of {CORPORA[name].card.n_utterances}"
            for name, used in data.items()
            if not used.complete
        },
        synthetic=result.data.synthetic,
        baseline=False,
        few_seeds=_few_seeds(result, table),
    )


def _few_seeds(result: Result, table: pd.DataFrame) -> str | None:
    """Seeds that give the predictions of another count as one: a copy has no spread."""
    if not result.is_seeded:
        return None
    of_seeds = table.sort_values(["train", "cell", "id"], kind="stable").groupby("seed")
    unlike_others: list[np.ndarray] = []
    for values in (matrix(part["probabilities"]) for _, part in of_seeds):
        if not any(_is_copy(values, other) for other in unlike_others):
            unlike_others.append(values)
    if (n := len(unlike_others)) >= MIN_SEEDS:
        return None
    unlike = " with predictions of their own" if n < len(result.seeds) else ""
    return f"its numbers depend on the seed: ranked from {MIN_SEEDS} seeds on, found {n}{unlike}"


def _is_copy(values: np.ndarray, other: np.ndarray) -> bool:
    return values.shape == other.shape and bool(np.abs(values - other).max() <= SAME_SEED)


def _in_cells(corpora: dict[str, set[str]]) -> dict[str, list[str]]:
    return {cell: sorted(names) for cell, names in sorted(corpora.items()) if names}


def _compared(
    tables: dict[Setting, list[pd.DataFrame]],
) -> tuple[copies.Sketch, shared_errors.Errors]:
    """Sketch and errors of the predictions of every test cell, once: those that rank where there
    are, of all its corpora."""
    chosen: dict[str, list[pd.DataFrame]] = {}
    for setting in sorted(
        tables, key=lambda setting: (_kind(setting) not in BASE, setting.corpora is not None)
    ):
        chosen.setdefault(str(setting.test), tables[setting])
    columns = ["id", "cell", "seed", "probabilities", "reference"]
    parts = [
        pd.concat([table[columns] for table in of_seeds]) for _, of_seeds in sorted(chosen.items())
    ]
    return copies.sketch(parts), shared_errors.errors_of(parts)


def _number(interval: Interval) -> Number:
    return Number(
        value=_rounded(interval.value),
        low=_rounded(interval.low),
        high=_rounded(interval.high),
        reason=interval.explanation,
        standard_error=_rounded(interval.standard_error),
    )


def _mean(values: list[float]) -> float | None:
    return _rounded(sum(values) / len(values)) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(float(value), DIGITS)


def _text(declared: list[str] | None) -> str | None:
    if declared is None:
        return None
    text = ", ".join(declared) or "nothing"
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 4]} ..."
