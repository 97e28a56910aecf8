"""The difference between two models that each cell can show, by split rule: python -m
benchmarks.power [SETS]

Prints the table of docs/protocol.md. Test sets are those of the rosters, with their numbers of
clips and speakers; two models that are equal in the population are simulated on them as in
benchmarks/coverage.py (`mild`: a standard deviation of 0.5 log-odds between speakers, drawn for
each model, so that it is one of speaker by model too). A true difference of d points moves the
difference and not its standard error, so the least d that `compare` finds in 80 % of the sets is
that quantile of what their intervals leave over.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import sys
from collections import defaultdict
from dataclasses import replace

import numpy as np

from benchmarks.coverage import EFFECTS, REAL, Corpus, estimates_of, with_likeness
from bimotion.data import folds, rosters, splits
from bimotion.data.rules import N_FOLDS, RULES
from bimotion.results.statistics.estimate import combined

YUEMOTION = {  # without a roster: rule -> cell -> test clips and speakers, of its 18 speakers
    "paper": {"yue_adu": (231, 11), "yue_eld": (147, 7)},
    "disjoint": {"yue_adu": (240, 4), "yue_eld": (120, 2)},
    "folds": {"yue_adu": (660, 11), "yue_eld": (420, 7)},
}
METRIC, POWER, STEP = "weighted_f1", 0.8, 0.001


def tested(rule: str) -> list[Corpus]:
    """The test sets of a rule, at the difficulties of benchmarks/coverage.py."""
    test_sets = []
    for corpus in REAL:
        cell, name = corpus.name.split("/")
        if name == "yuemotion":
            n_clips, n_speakers = YUEMOTION[rule][cell]
        else:
            rows = rosters.load(name)
            if rule != "paper":  # whose cells the rosters have
                rows = rows.drop(list(splits.PAPER_CELLS), errors="ignore")
            rows = rows[(rows["cell"] == cell) & _is_tested(rule, name, rows)]
            n_clips, n_speakers = len(rows), rows["speaker"].nunique()
        n_speakers = n_speakers if corpus.is_known else corpus.n_speakers
        test_sets.append(replace(corpus, n_clips=n_clips, n_speakers=n_speakers))
    return test_sets


def _is_tested(rule: str, corpus: str, rows) -> np.ndarray:
    if rule != "folds":
        return (rows[rule] == "test").to_numpy()
    own = rows["paper"].to_numpy(str)
    own = own if corpus in folds.OFFICIAL_IN_FOLDS else np.full(len(rows), "")
    parts = [folds.part_in(fold, rows["folds"].to_numpy(), own) for fold in range(N_FOLDS)]
    return (np.array(parts) == "test").any(axis=0)


def detectable(corpora: list[Corpus], n_sets: int, seed: int = 2) -> dict[str, float]:
    """Cell/corpus, or cell -> the difference, in [0, 1], that is found in 80 % of the sets; 1 where
    none is."""
    rng, left = np.random.default_rng(seed), defaultdict(list)
    for _ in range(n_sets):
        first, second = estimates_of(rng, corpora, EFFECTS["mild"], models=2)
        differences = {key: combined(np.subtract, first[key], second[key]) for key in first}
        for (name, metric), spread in with_likeness(differences).items():
            if metric == METRIC:
                interval = spread.difference_interval()
                half = max(interval.high - interval.value, interval.value - interval.low)
                left[name].append((interval.value, half))
    return {name: _least(np.array(values)) for name, values in left.items()}


def _least(sets: np.ndarray) -> float:
    """The least difference; `sets`: (n, 2), of each set the difference found where there is none,
    and half the width of its interval."""
    for difference in np.arange(0, 1, STEP):
        if (np.abs(sets[:, 0] + difference) > sets[:, 1]).mean() >= POWER:
            return float(difference)
    return 1.0


def main(n_sets: str = "100") -> None:
    """Print the table."""
    found = {rule: detectable(tested(rule), int(n_sets)) for rule in RULES}
    speakers = {rule: {corpus.name: corpus for corpus in tested(rule)} for rule in RULES}
    print(f"| test set | {' | '.join(RULES)} |\n|---|{'---|' * len(RULES)}")
    for name in found["folds"]:
        cells = []
        for rule in RULES:
            points = 100 * found[rule][name]
            shown = "none" if points >= 100 else f"{points:.0f}"
            corpus = speakers[rule].get(name)
            latent = "" if corpus is None or corpus.is_known else " stated"
            cells.append(shown if corpus is None else f"{shown} ({corpus.n_speakers}{latent})")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
