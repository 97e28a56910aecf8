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
from bimotion.results.statistics.counts import metric_values
from bimotion.results.statistics.estimate import combined
from tests.support.speakers import counts_of_speakers

METRICS = ("weighted_f1", "macro_f1", "uar", "accuracy")
PRIOR = np.array([0.3, 0.2, 0.15, 0.15, 0.12, 0.08])
EASE = np.array([0.5, 0.3, 0.0, 0.0, -0.3, -0.6])  # of each class, in log-odds
MISSED_AS = (0.7 * PRIOR + 0.3 / 6) * (1 - np.eye(6))
MISSED_AS /= MISSED_AS.sum(axis=1, keepdims=True)


def confused(rng, true, log_odds):
    """Hits, predicted and true clips of each class and speaker, shape (3, 6, n_speakers); true and
    log-odds of being right: (n_speakers, 6)."""
    hits = rng.binomial(true, 1 / (1 + np.exp(-log_odds)))
    missed = sum(rng.multinomial(true[:, n] - hits[:, n], MISSED_AS[n]) for n in range(6))
    return np.stack([hits, hits + missed, true]).transpose(0, 2, 1)


def simulated(rng, n_speakers, log_odds, effect, clips=30):
    """A test set of speakers."""
    true = rng.multinomial(3 + rng.poisson(clips - 3, n_speakers), PRIOR)
    speaker = rng.normal(0, effect, (n_speakers, 1))
    return confused(
        rng, true, log_odds + EASE + speaker + rng.normal(0, effect / 2, (n_speakers, 6))
    )


def truth_of(table):
    """Each metric over all speakers."""
    values = metric_values(table.sum(axis=2, keepdims=True))
    return np.array([values[metric][0] for metric in METRICS])


def estimates_of(draws, *tables):
    """Statistics of a cell with one corpus a table."""
    counts = [
        counts_of_speakers(table, f"eng_eld/{corpus}", 6)
        for table, corpus in zip(tables, ("crema_d", "esd"), strict=False)
    ]
    return statistics_of(counts, draws)


def check_coverage(bounds, truth, low=0.93, high=0.97):
    """Check that intervals, a list of (low, high) of each metric, hold the truth often enough."""
    lows, highs = np.array(bounds).transpose(2, 0, 1)
    shares = ((lows <= truth) & (truth <= highs)).mean(axis=0)
    print(" / ".join(f"{100 * share:.1f}" for share in shares), (highs - lows).mean(axis=0)[0])
    assert ((low <= shares) & (shares <= high)).all(), shares


def bounds_of(intervals):
    return [(interval.low, interval.high) for interval in intervals]


@pytest.mark.parametrize(
    ("n_speakers", "log_odds", "effect"),
    [(8, 0.85, 0.5), (8, 0.85, 1.2), (20, 0.85, 1.2), (90, 0.85, 0.5)],
)
def test_intervals_cover(n_speakers, log_odds, effect):
    truth = truth_of(simulated(np.random.default_rng(9), 100_000, log_odds, effect))
    rng, draws, bounds = np.random.default_rng(1), BootstrapDraws(1000), []
    for _ in range(1000):
        estimates = estimates_of(draws, simulated(rng, n_speakers, log_odds, effect))
        bounds.append(bounds_of(estimates["crema_d", metric].interval() for metric in METRICS))
    check_coverage(bounds, truth)


def test_the_mean_of_two_corpora_is_covered():
    """8 speakers of one corpus, 20 of a harder one: factor and degrees of freedom are weighed
    between them."""
    easy, hard = (1.5, 0.8), (0.2, 0.8)
    truths = [truth_of(simulated(np.random.default_rng(9), 100_000, *of)) for of in (easy, hard)]
    rng, draws, bounds = np.random.default_rng(2), BootstrapDraws(500), []
    for _ in range(600):
        tables = simulated(rng, 8, *easy), simulated(rng, 20, *hard)
        estimates = estimates_of(draws, *tables)
        bounds.append(bounds_of(estimates[MEAN, metric].interval() for metric in METRICS))
    check_coverage(bounds, (truths[0] + truths[1]) / 2)


def test_the_difference_of_two_models_is_covered():
    """12 speakers, easy and hard for both models alike; the second model is better."""
    rng, draws, bounds = np.random.default_rng(3), BootstrapDraws(500), []

    def pair(n_speakers):
        shared = np.random.default_rng(rng.integers(2**32))
        true = shared.multinomial(30, PRIOR, size=n_speakers)
        speaker = shared.normal(0, 1, (n_speakers, 1))
        return [confused(shared, true, skill + EASE + speaker) for skill in (0.3, 0.8)]

    first, second = map(truth_of, pair(100_000))
    for _ in range(600):
        models = [estimates_of(draws, table) for table in pair(12)]
        differences = [
            combined(np.subtract, models[1]["crema_d", metric], models[0]["crema_d", metric])
            for metric in METRICS
        ]
        bounds.append(bounds_of(difference.difference_interval() for difference in differences))
    check_coverage(bounds, second - first)
