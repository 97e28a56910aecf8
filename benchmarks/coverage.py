"""Coverage of 95 % intervals, and type I error of `compare`, by simulation: python
benchmarks/coverage.py [SETS]

Prints the tables of docs/statistics.md. Each set is a run of one model (coverage) or two (type I
error) over corpora whose speakers are drawn from a population: every speaker has his own log-odds
of being recognized, and for every class again half as much. `mild`: a standard deviation of 0.5
(intraclass correlation about 0.05), `strong`: 1.2 (0.2). The truth is the metric over 20 000
speakers; two models that are equal there differ in their effects on each speaker.

- Known speakers: n speakers of 30 clips each, at three difficulties; one speaker stands beside
  another corpus of 15 known ones, from which the correlation is carried over.
- Real cells: the corpora of a run under split `folds`, with their numbers of clips and speakers;
  speakers of ElderReact and CSED are simulated and then forgotten, with the stated number of them,
  few and many.

With 1000 sets, the default, a share of 95 % is seen to +-1.4, of 5 % too.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from bimotion.results.statistics.counts import Counts, Stratum, metric_gradients
from bimotion.results.statistics.estimate import Estimate, combined, pooled_likeness
from bimotion.results.statistics.from_predictions import MEAN, statistics_of
from bimotion.results.statistics.latent import LATENT
from bimotion.results.statistics.spread import Spread

METRICS = ("weighted_f1", "uar")
EFFECTS = {"mild": 0.5, "strong": 1.2}
PRIOR = np.array([0.3, 0.2, 0.15, 0.15, 0.12, 0.08])
EASE = np.array([0.5, 0.3, 0.0, 0.0, -0.3, -0.6])  # of each class, in log-odds
MISSED_AS = (0.7 * PRIOR + 0.3 / 6) * (1 - np.eye(6))
MISSED_AS /= MISSED_AS.sum(axis=1, keepdims=True)
POPULATION = 20_000
LOG_ODDS = (-0.4, 0.85, 3.0)
"""Of scores of about 0.4, 0.7 and 0.9."""


@dataclass(frozen=True)
class Corpus:
    """One corpus's test set in one cell."""

    name: str
    n_clips: int
    n_speakers: int
    log_odds: float
    """Of a clip being recognized."""
    is_known: bool = True
    """Its speakers are published."""


REAL = [  # under split `folds`: every clip is tested, of ESD the official test sentences
    Corpus("eng_eld/crema_d", 492, 6, 0.5),
    Corpus("eng_eld/elderreact", 353, LATENT["elderreact"].stated, -0.3, is_known=False),
    Corpus("eng_eld/tess", 1400, 1, 1.5),
    Corpus("eng_adu/crema_d", 6950, 85, 0.6),
    Corpus("eng_adu/esd", 1500, 10, 1.2),
    Corpus("eng_adu/iemocap", 10039, 10, -0.1),
    Corpus("eng_adu/tess", 1400, 1, 1.5),
    Corpus("zho_eld/csed", 652, LATENT["csed"].stated, 0.7, is_known=False),
    Corpus("zho_adu/esd", 1500, 10, 1.2),
    Corpus("yue_adu/yuemotion", 660, 11, 0.3),
    Corpus("yue_eld/yuemotion", 420, 7, 0.0),
]


def clips_of(
    rng: np.random.Generator, corpus: Corpus, effect: float, models: int = 1
) -> list[Counts]:
    """The counts of some models on one corpus's clips, the speakers' effects drawn anew for
    each."""
    n, n_clips = corpus.n_speakers, corpus.n_clips
    # some speakers have more clips than others, twice as many at most times
    share = rng.dirichlet(np.full(n, 12.0)) if n > 1 else np.ones(1)
    speaker = np.sort(np.concatenate([np.arange(n), rng.choice(n, n_clips - n, p=share)]))
    true = rng.choice(6, n_clips, p=PRIOR)
    sizes = tuple(np.bincount(speaker, minlength=n).tolist())
    people = (sizes, 0) if corpus.is_known else ((), n_clips)
    stratum = Stratum(corpus.name, *people)
    counts = []
    for _ in range(models):
        predicted = predictions(rng, corpus.log_odds, effect, speaker, true)
        clips = outcomes(true, predicted)
        counts.append(Counts(stratum, dict.fromkeys(("all", "marked", "one"), clips)))
    return counts


def predictions(
    rng: np.random.Generator,
    log_odds: float,
    effect: float,
    speaker: np.ndarray,
    true: np.ndarray,
) -> np.ndarray:
    """The classes predicted for clips of some speakers."""
    n = speaker.max() + 1
    own = rng.normal(0, effect, (n, 1)) + rng.normal(0, effect / 2, (n, 6)) + EASE + log_odds
    is_hit = rng.random(len(true)) < 1 / (1 + np.exp(-own[speaker, true]))
    missed_as = (rng.random((len(true), 1)) > MISSED_AS.cumsum(axis=1)[true]).sum(axis=1)
    return np.where(is_hit, true, np.minimum(missed_as, 5))


def outcomes(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Hit, predicted and true of each class and clip, float32 (3, 6, n_clips)."""
    is_true, is_predicted = (np.arange(6)[:, None] == classes for classes in (true, predicted))
    return np.stack([is_true & is_predicted, is_predicted, is_true]).astype(np.float32)


@cache
def truth(log_odds: float, effect: float) -> dict[str, float]:
    """Each metric over the population."""
    rng = np.random.default_rng(9)
    speaker = np.repeat(np.arange(POPULATION), 30)
    true = rng.choice(6, len(speaker), p=PRIOR)
    predicted = predictions(rng, log_odds, effect, speaker, true)
    confusion = np.bincount(true * 6 + predicted, minlength=36).reshape(6, 6)
    sums = np.stack([np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)])
    return {metric: metric_gradients(sums.astype(float))[metric][0] for metric in METRICS}


def estimates_of(
    rng: np.random.Generator, corpora: list[Corpus], effect: float, models: int = 1
) -> list[dict[tuple[str, str], Estimate]]:
    """Of each model: (cell/corpus, or the cell; metric) -> the estimate."""
    of_cells = defaultdict(list)
    for corpus in corpora:
        of_cells[corpus.name.partition("/")[0]].append(clips_of(rng, corpus, effect, models))
    rows: list[dict[tuple[str, str], Estimate]] = [{} for _ in range(models)]
    for cell, counts in of_cells.items():
        for model, of_model in zip(rows, zip(*counts, strict=True), strict=True):
            for (corpus, metric), estimate in statistics_of(of_model).items():
                if metric in METRICS and corpus != "pooled":
                    model[cell if corpus == MEAN else f"{cell}/{corpus}", metric] = estimate
    return rows


def truths_of(corpora: list[Corpus], effect: float) -> dict[tuple[str, str], float]:
    """(cell/corpus, or cell; metric) -> the metric over the population."""
    truths, of_cells = {}, defaultdict(list)
    for corpus in corpora:
        for metric, value in truth(corpus.log_odds, effect).items():
            truths[corpus.name, metric] = value
            of_cells[corpus.name.partition("/")[0], metric].append(value)
    return truths | {key: float(np.mean(values)) for key, values in of_cells.items()}


def with_likeness(estimates: dict[tuple[str, str], Estimate]) -> dict[tuple[str, str], Spread]:
    """The spreads of a run, with the likeness of its corpora of known speakers."""
    spreads = {key: estimate.spread for key, estimate in estimates.items()}
    likeness = {
        metric: pooled_likeness(
            [spreads[key] for key in spreads if key[1] == metric and "/" in key[0]]
        )
        for metric in METRICS
    }
    return {key: spread.with_likeness(likeness[key[1]]) for key, spread in spreads.items()}


def covered(
    corpora: list[Corpus], effect: float, n_sets: int, seed: int = 0
) -> dict[tuple[str, str], tuple[float, float]]:
    """(cell/corpus, or cell; metric) -> share of intervals that hold the truth, and mean width."""
    rng, truths = np.random.default_rng(seed), truths_of(corpora, effect)
    hits, widths = defaultdict(list), defaultdict(list)
    for _ in range(n_sets):
        [estimates] = estimates_of(rng, corpora, effect)
        for key, spread in with_likeness(estimates).items():
            interval = spread.interval()
            hits[key].append(interval.low <= truths[key] <= interval.high)
            widths[key].append(interval.high - interval.low)
    return {key: (float(np.mean(hits[key])), float(np.mean(widths[key]))) for key in hits}


def rejected(
    corpora: list[Corpus], effect: float, n_sets: int, seed: int = 1
) -> dict[tuple[str, str], float]:
    """(cell/corpus, or cell; metric) -> share of p-values below 0.05 of two models that are
    equal."""
    rng, errors = np.random.default_rng(seed), defaultdict(list)
    for _ in range(n_sets):
        first, second = estimates_of(rng, corpora, effect, models=2)
        differences = {key: combined(np.subtract, first[key], second[key]) for key in first}
        for key, spread in with_likeness(differences).items():
            errors[key].append(spread.p_value() < 0.05)
    return {key: float(np.mean(values)) for key, values in errors.items()}


def known(n: int, log_odds: float) -> list[Corpus]:
    """The corpus of n known speakers; one speaker stands beside 15 others of another corpus."""
    own = Corpus("eng_eld/crema_d", 30 * n if n > 1 else 300, n, log_odds)
    return [own] if n > 1 else [own, Corpus("eng_adu/iemocap", 450, 15, log_odds)]


def table_of_known(n_sets: int) -> None:
    """Print coverage and type I error by the number of known speakers, weighted F1 and UAR."""
    print("| speakers | effect | coverage at 0.4 / 0.7 / 0.9 | width | type I error |")
    print("|---|---|---|---|---|")
    for n in (1, 2, 3, 5, 8, 15, 46):
        for name, effect in EFFECTS.items():
            cover, width, error = [], [], []
            for log_odds in LOG_ODDS:
                found = covered(known(n, log_odds), effect, n_sets, n)
                rates = rejected(known(n, log_odds), effect, n_sets, n)
                keys = [("eng_eld/crema_d", metric) for metric in METRICS]
                cover.append(", ".join(f"{100 * found[key][0]:.1f}" for key in keys))
                error.append(", ".join(f"{100 * rates[key]:.1f}" for key in keys))
                width.append(f"{100 * found[keys[0]][1]:.0f}")
            cells = [str(n), name, *(" / ".join(values) for values in (cover, width, error))]
            print(f"| {' | '.join(cells)} |", flush=True)


def table_of_cells(n_sets: int) -> None:
    """Print the same for every real corpus and cell; latent speakers at the stated number, and in
    truth few or many."""
    print("\n| test set | speakers | coverage, mild | strong | width | type I, mild | strong |")
    print("|---|---|---|---|---|---|---|")
    for number in ("stated", "few", "many"):
        corpora = [
            corpus
            if corpus.is_known
            else replace(corpus, n_speakers=getattr(LATENT[corpus.name.partition("/")[2]], number))
            for corpus in REAL
        ]
        found = [covered(corpora, effect, n_sets) for effect in EFFECTS.values()]
        rates = [rejected(corpora, effect, n_sets) for effect in EFFECTS.values()]
        unknown = {corpus.name for corpus in corpora if not corpus.is_known}
        people = {corpus.name: corpus.n_speakers for corpus in corpora}
        for name in dict.fromkeys(name for name, _ in found[0]):
            if number != "stated" and name not in unknown:
                continue
            keys = [(name, metric) for metric in METRICS]
            cells = [", ".join(f"{100 * of[key][0]:.1f}" for key in keys) for of in found]
            cells.append(" / ".join(f"{100 * of[keys[0]][1]:.0f}" for of in found))
            cells += [", ".join(f"{100 * of[key]:.1f}" for key in keys) for of in rates]
            speakers = f"{people.get(name, '-')}{' latent' if name in unknown else ''}"
            print(f"| {name} | {speakers} | {' | '.join(cells)} |", flush=True)


def main(n_sets: str = "1000") -> None:
    """Print both tables."""
    table_of_known(int(n_sets))
    table_of_cells(int(n_sets))


if __name__ == "__main__":
    main(*sys.argv[1:])
