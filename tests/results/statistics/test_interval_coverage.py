"""Do 95 % intervals cover 95 %? Simulated test sets of speakers who differ in how well they are
recognized.

Truth: the metric over 100 000 speakers of the same kind. 1000 test sets of about 30 clips a
speaker, 6 classes, 1000 replicates, so that a coverage of 95 % is seen as 93.6 to 96.4 %. Speaker
effect: standard deviation of a speaker's log-odds of being right, half as much again of each
class's; 0.5 is mild (intraclass correlation about 0.05), 1.2 strong (0.2). Measured once over 3000
sets each, for weighted F1 / macro F1 / unweighted recall / accuracy:

speakers  accuracy  effect  coverage, %                     width (weighted F1)
       2      0.44     0.5  98.6 / 98.5 / 98.8 / 98.1       0.781
       2      0.45     1.2  96.5 / 97.2 / 98.0 / 95.6       0.854
       2      0.71     0.5  98.0 / 98.8 / 98.9 / 97.8       0.752
       2      0.67     1.2  96.5 / 97.2 / 98.0 / 96.3       0.842
       2      0.95     0.5  99.3 / 99.6 / 99.6 / 99.1       0.665
       2      0.92     1.2  99.2 / 99.2 / 99.4 / 99.1       0.774
       3      0.44     0.5  96.6 / 96.7 / 97.0 / 96.6       0.500
       3      0.45     1.2  94.9 / 94.8 / 95.7 / 94.6       0.668
       3      0.71     0.5  97.1 / 97.4 / 97.4 / 97.0       0.459
       3      0.67     1.2  95.1 / 96.0 / 95.7 / 95.1       0.635
       3      0.95     0.5  98.9 / 98.9 / 98.9 / 98.9       0.257
       3      0.92     1.2  99.1 / 98.6 / 97.9 / 99.0       0.403
       4      0.44     0.5  96.1 / 96.3 / 96.3 / 96.1       0.385
       4      0.45     1.2  95.5 / 95.0 / 95.2 / 95.3       0.562
       4      0.71     0.5  96.1 / 96.5 / 96.6 / 95.9       0.345
       4      0.67     1.2  94.5 / 94.8 / 94.8 / 94.3       0.524
       4      0.95     0.5  98.5 / 98.5 / 98.1 / 98.6       0.161
       4      0.92     1.2  96.5 / 96.3 / 95.2 / 96.4       0.282
       8      0.44     0.5  94.9 / 95.1 / 95.3 / 95.0       0.229
       8      0.45     1.2  95.0 / 94.9 / 94.6 / 95.2       0.361
       8      0.71     0.5  95.4 / 95.1 / 95.3 / 95.4       0.201
       8      0.67     1.2  94.8 / 95.2 / 95.3 / 94.9       0.334
       8      0.95     0.5  96.9 / 95.8 / 94.9 / 96.8       0.080
       8      0.92     1.2  92.8 / 93.5 / 92.8 / 92.6       0.159
      20      0.44     0.5  95.4 / 94.7 / 94.7 / 95.4       0.133
      20      0.45     1.2  94.6 / 94.7 / 94.8 / 94.6       0.218
      20      0.71     0.5  95.0 / 95.1 / 94.9 / 95.2       0.118
      20      0.67     1.2  94.8 / 94.4 / 94.2 / 94.7       0.201
      20      0.95     0.5  95.8 / 95.1 / 95.4 / 95.7       0.045
      20      0.92     1.2  92.0 / 92.4 / 92.2 / 92.0       0.091
      90      0.44     0.5  95.0 / 95.1 / 95.1 / 95.2       0.060
      90      0.45     1.2  94.8 / 95.0 / 94.7 / 94.9       0.100
      90      0.71     0.5  95.3 / 95.1 / 95.1 / 95.1       0.054
      90      0.67     1.2  94.4 / 94.6 / 94.4 / 94.4       0.092
      90      0.95     0.5  94.9 / 94.8 / 94.4 / 94.9       0.020
      90      0.92     1.2  94.5 / 95.1 / 95.2 / 94.6       0.043

8 speakers and more: 94.2 to 96.9 %, but 92.0 to 93.5 % with 8 or 20 speakers who differ much around
a score above 0.9, since the few who fail are often not among them. 3 and 4 speakers: 94.3 to 99.1
%; 2: 95.6 to 99.6 %, and so wide that it says little.
"""

import numpy as np
import pytest

from bimotion.results.statistics.bootstrap import MEAN, BootstrapDraws, statistics_of
from bimotion.results.statistics.counts import Counts, Stratum, metric_values
from bimotion.results.statistics.estimate import combined

METRICS = ("weighted_f1", "macro_f1", "uar", "accuracy")
PRIOR = np.array([0.3, 0.2, 0.15, 0.15, 0.12, 0.08])
EASE = np.array([0.5, 0.3, 0.0, 0.0, -0.3, -0.6])  # of each class, in log-odds
MISSED_AS = (0.7 * PRIOR + 0.3 / 6) * (1 - np.eye(6))
MISSED_AS /= MISSED_AS.sum(axis=1, keepdims=True)


def simulated(rng, n_speakers, log_odds, effect, clips=30):
    """Hits, predicted and true clips of each class and speaker, shape (3, 6, n_speakers)."""
    true = rng.multinomial(3 + rng.poisson(clips - 3, n_speakers), PRIOR)
    skill = (
        log_odds
        + EASE
        + rng.normal(0, effect, (n_speakers, 1))
        + rng.normal(0, effect / 2, (n_speakers, 6))
    )
    hits = rng.binomial(true, 1 / (1 + np.exp(-skill)))
    missed = sum(
        rng.multinomial(true[:, place] - hits[:, place], MISSED_AS[place]) for place in range(6)
    )
    return np.stack([hits, hits + missed, true]).transpose(0, 2, 1)


def truth_of(log_odds, effect, clips=30):
    sums = simulated(np.random.default_rng(9), 100_000, log_odds, effect, clips).sum(
        axis=2, keepdims=True
    )
    return {metric: float(metric_values(sums)[metric][0]) for metric in METRICS}


def counts_of(table, corpus):
    present = np.flatnonzero(table[2].sum(axis=1)).tolist()
    forms = ("all", "marked")
    stratum = Stratum(f"eng_eld/{corpus}", table.shape[2], "speaker", False, int(table[2].sum()))
    shown = table[:, present].astype(np.float32)
    return Counts(
        stratum,
        dict.fromkeys(forms, present),
        dict.fromkeys(forms, shown),
        dict.fromkeys(forms, ([], shown[0, :0])),
        6,
    )


def covered(found, truth, where, of=lambda one: one.interval()):
    """Whether the interval of each metric holds the truth, and its width."""
    bounds = np.array(
        [(one.low, one.high) for one in (of(found[where, metric]) for metric in METRICS)]
    )
    truths = np.array([truth[metric] for metric in METRICS])
    return (bounds[:, 0] <= truths) & (truths <= bounds[:, 1]), bounds[:, 1] - bounds[:, 0]


def coverage(n_speakers, log_odds, effect, n_sets=1000, clips=30):
    """Share of test sets whose interval holds the truth, for each metric; prints it with the mean
    width."""
    rng, draws, truth = (
        np.random.default_rng(1),
        BootstrapDraws(1000),
        truth_of(log_odds, effect, clips),
    )
    held, widths = [], []
    for _ in range(n_sets):
        found = statistics_of(
            [counts_of(simulated(rng, n_speakers, log_odds, effect, clips), "crema_d")], draws
        )
        inside, width = covered(found, truth, "crema_d")
        held.append(inside)
        widths.append(width)
    shares = np.mean(held, axis=0)
    cells = " / ".join(f"{100 * share:.1f}" for share in shares)
    print(
        f"{n_speakers:8d} {truth['accuracy']:8.2f} {effect:6.1f}   {cells}   "
        f"{np.mean(widths, axis=0)[0]:.3f}"
    )
    return dict(zip(METRICS, shares, strict=True))


@pytest.mark.parametrize(
    ("n_speakers", "log_odds", "effect"),
    [(8, 0.85, 1.2), (8, 0.85, 0.5), (20, 0.85, 1.2), (90, 0.85, 0.5)],
)
def test_intervals_cover(n_speakers, log_odds, effect):
    for metric, share in coverage(n_speakers, log_odds, effect).items():
        assert 0.93 <= share <= 0.97, metric


def test_the_mean_of_two_corpora_is_covered():
    """8 speakers of one corpus, 20 of a harder one: factor and degrees of freedom are weighed
    between them."""
    rng, draws, held = np.random.default_rng(2), BootstrapDraws(500), []
    easy, hard = (1.5, 0.8), (0.2, 0.8)
    truths = [truth_of(*one) for one in (easy, hard)]
    truth = {metric: (truths[0][metric] + truths[1][metric]) / 2 for metric in METRICS}
    for _ in range(600):
        parts = [
            counts_of(simulated(rng, 8, *easy), "crema_d"),
            counts_of(simulated(rng, 20, *hard), "esd"),
        ]
        held.append(covered(statistics_of(parts, draws), truth, MEAN)[0])
    assert np.all((np.mean(held, axis=0) >= 0.93) & (np.mean(held, axis=0) <= 0.97)), np.mean(
        held, axis=0
    )


def test_the_difference_of_two_models_is_covered():
    """12 speakers, easy and hard for both models alike; the second model is better."""
    rng, draws, held = np.random.default_rng(3), BootstrapDraws(500), []

    def pair(n_speakers):
        shared = np.random.default_rng(rng.integers(2**32))
        true = shared.multinomial(30, PRIOR, size=n_speakers)
        speaker = shared.normal(0, 1, (n_speakers, 1))
        tables = []
        for skill in (0.3, 0.8):
            hits = shared.binomial(true, 1 / (1 + np.exp(-skill - EASE - speaker)))
            missed = sum(
                shared.multinomial(true[:, place] - hits[:, place], MISSED_AS[place])
                for place in range(6)
            )
            tables.append(np.stack([hits, hits + missed, true]).transpose(0, 2, 1))
        return tables

    sums = [table.sum(axis=2, keepdims=True) for table in pair(100_000)]
    first, second = (metric_values(one) for one in sums)
    truth = {metric: float(second[metric][0] - first[metric][0]) for metric in METRICS}
    for _ in range(600):
        one, other = (statistics_of([counts_of(table, "crema_d")], draws) for table in pair(12))
        differences = {key: combined(np.subtract, other[key], one[key]) for key in one}
        held.append(
            covered(differences, truth, "crema_d", lambda one: one.difference_interval())[0]
        )
    assert np.all((np.mean(held, axis=0) >= 0.93) & (np.mean(held, axis=0) <= 0.97)), np.mean(
        held, axis=0
    )
