"""Speakers drawn again, corpus by corpus, and every metric of the draws.

The intervals themselves are made in estimate.py. One draw serves all training sets, seeds and
models tested on the same corpus's clips, so whatever is compared is compared on the same speakers.
Seeds are no clusters: an interval of a mean over seeds is for these seeds.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from bimotion.errors import SettingError, UnknownName
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.statistics import label_ranking
from bimotion.results.statistics.counts import FORMS, Counts, Stratum, metric_values
from bimotion.results.statistics.estimate import Estimate, combined, mean_known

N_REPLICATES = 10_000
MEAN, POOLED = "mean", "pooled"
Sums = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Counts of a test set, of its replicates, and without each cluster: shape (3, n_classes, 1,
n_replicates or n_clusters)."""


def tables_by_seed(
    predictions: pd.DataFrame, settings: Iterable[Setting]
) -> Iterator[tuple[Setting, list[pd.DataFrame]]]:
    """Every setting whose training set stands in the predictions, and its predictions, a table a
    seed."""
    tables = defaultdict(list)
    for (train, cell, _), table in predictions.groupby(["train", "cell", "seed"]):
        tables[train, cell].append(table)
    for setting in settings:
        if of_seeds := tables.get((setting.training_set, str(setting.test))):
            yield setting, of_seeds


def by_seed(
    tables: Iterable[pd.DataFrame],
    schema: LabelSchema,
    draws: "BootstrapDraws",
    *,
    ranked: bool = False,
) -> list[dict[tuple[str, str], Estimate]]:
    """The statistics of one training set and cell, of a table a seed; `ranked`: those of labels
    that need no threshold, too (label_ranking.py)."""
    return [
        statistics_of(counts_of(table, schema), draws)
        | (label_ranking.of_labels(table, schema, draws.of) if ranked else {})
        for table in tables
    ]


def by_setting(
    predictions: pd.DataFrame,
    settings: Iterable[Setting],
    schema: LabelSchema,
    draws: "BootstrapDraws",
    *,
    ranked: bool = False,
) -> Iterator[list[dict[tuple[str, str], Estimate]]]:
    """For every setting whose training set stands in the predictions, the statistics of each
    seed."""
    for _, tables in tables_by_seed(predictions, settings):
        yield by_seed(tables, schema, draws, ranked=ranked)


def headline(
    predictions: pd.DataFrame,
    setting: Setting,
    schema: LabelSchema,
    draws: "BootstrapDraws",
    metric: str = "weighted_f1",
) -> Estimate:
    """Mean over the cell's corpora and over seeds (Result.headline); raises SettingError where the
    setting was not run."""
    return headlines(predictions, setting, schema, draws, [metric])[metric]


def headlines(
    predictions: pd.DataFrame,
    setting: Setting,
    schema: LabelSchema,
    draws: "BootstrapDraws",
    metrics: Iterable[str],
) -> dict[str, Estimate]:
    """`headline` of several metrics, for hardly more than the price of one."""
    tables = [table for _, table in rows_of(predictions, setting).groupby("seed")]
    of_seeds = by_seed(tables, schema, draws)
    known = [metric for corpus, metric in of_seeds[0] if corpus == MEAN]
    if unknown := [metric for metric in metrics if metric not in known]:
        raise UnknownName("metric", unknown[0], known)
    return {
        metric: combined(mean_known, *(estimates[MEAN, metric] for estimates in of_seeds))
        for metric in metrics
    }


def rows_of(predictions: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Predictions of a setting; raises SettingError where it was not run."""
    rows = predictions[
        (predictions["train"] == setting.training_set) & (predictions["cell"] == str(setting.test))
    ]
    if rows.empty:
        raise SettingError(f"no predictions of {setting.training_set} on {setting.test}")
    return rows


def counts_of(table: pd.DataFrame, schema: LabelSchema) -> list[Counts]:
    """The counts of one training set, seed and cell: one for each corpus, by name."""
    return [Counts.of(rows, schema) for _, rows in table.groupby("corpus")]


class BootstrapDraws:
    """The number of times that each cluster of a stratum is drawn in each replicate: as many draws
    as clusters, with replacement."""

    def __init__(self, replicates: int = N_REPLICATES, seed: int = 0):
        self.replicates, self.seed = replicates, seed
        self._made: dict[tuple[str, int], np.ndarray] = {}

    def of(self, stratum: Stratum) -> np.ndarray:
        """Float32 (n_replicates, n_clusters), rows sum to n_clusters; a function of seed, name and
        size only.

        >>> BootstrapDraws(2).of(Stratum("eng_eld/tess", 5, "speaker", False,
        ...     50)).sum(axis=1).tolist()
        [5.0, 5.0]
        """
        key = (stratum.name, stratum.n)
        if key not in self._made:
            generator = np.random.default_rng([self.seed, zlib.crc32(stratum.name.encode())])
            times = np.empty((self.replicates, stratum.n), np.float32)
            for start in range(0, self.replicates, 1000):  # a thousand at a time keeps memory low
                block = times[start : start + 1000]
                drawn = generator.integers(0, stratum.n, block.shape)
                drawn += np.arange(len(block))[:, None] * stratum.n
                block[:] = np.bincount(drawn.ravel(), minlength=block.size).reshape(block.shape)
            self._made[key] = times
        return self._made[key]


def statistics_of(
    counts: Iterable[Counts], draws: BootstrapDraws
) -> dict[tuple[str, str], Estimate]:
    """(corpus, or `mean`, or `pooled`; metric) -> statistic, of one cell; F1 of a class is (...,
    `f1_<number>`)."""
    counts = list(counts)
    sums = {
        form: [_sums(corpus.tables[form], draws.of(corpus.stratum)) for corpus in counts]
        for form in counts[0].tables
    }
    estimates: dict[tuple[str, str], Estimate] = {}
    for position, corpus in enumerate(counts):
        parts = {form: np.concatenate(sums[form][position], axis=-1) for form in sums}
        for metric, values in _metrics(parts).items():
            estimates[corpus.corpus, metric] = _estimate(metric, values, draws.replicates, [corpus])
    for metric in FORMS:
        keys = [(corpus.corpus, metric) for corpus in counts]
        known = [estimates[key] for key in keys if key in estimates]
        defined = [estimate for estimate in known if not np.isnan(estimate.estimate)] or known
        if defined:
            estimates[MEAN, metric] = combined(mean_known, *defined)
    whole = {form: _pooled(of_corpora) for form, of_corpora in sums.items()}
    for metric, values in _metrics(whole).items():
        estimates[POOLED, metric] = _estimate(metric, values, draws.replicates, counts)
    return estimates


def _sums(table: np.ndarray, times: np.ndarray) -> Sums:
    """Sums of the test set, of its replicates and without each cluster; float32 holds such whole
    numbers exactly."""
    whole = table.sum(axis=-1, keepdims=True)
    return whole, weighted_sums(table, times), whole - table


def weighted_sums(table: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Sums over clusters, each taken so many times: (..., n_clusters) and (n, n_clusters) -> (...,
    n)."""
    flat = table.reshape(-1, table.shape[-1]).T
    # small products stay in one thread of OpenBLAS, whose threads wait for each other on busy cores
    # (16 s instead of 2 s)
    rows = max(1, 2**18 // max(1, flat.size))
    sums = np.concatenate(
        [times[start : start + rows] @ flat for start in range(0, len(times), rows)]
    )
    return sums.T.reshape(*table.shape[:-1], len(times))


def _pooled(sums: list[Sums]) -> np.ndarray:
    """Sums of all corpora as one test set: whole, replicates, without each cluster of each corpus
    in turn."""
    whole, replicates = (sum(parts) for parts in list(zip(*sums, strict=True))[:2])
    lacking = [whole - own + without for own, _, without in sums]
    return np.concatenate([whole, replicates, *lacking], axis=-1)


def _metrics(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Metric -> its value of each test set, of which the first is the real one; nan where no clip
    counts in it."""
    present = np.flatnonzero(sums["marked"][2, :, 0])
    by_form = {form: metric_values(of_form) for form, of_form in sums.items()}
    values = {
        metric: by_form[form][name] for metric, (form, name) in FORMS.items() if form in by_form
    }
    return values | {f"f1_{number}": by_form["marked"]["f1"][number] for number in present}


def _estimate(metric: str, values: np.ndarray, replicates: int, counts: list[Counts]) -> Estimate:
    """From a vector: the estimate, the replicates, the values without each cluster of each
    stratum."""
    form = FORMS.get(metric, ("marked",))[0]
    ends = np.cumsum([corpus.stratum.n for corpus in counts])[:-1]
    pieces = list(zip(counts, np.split(values[1 + replicates :], ends), strict=True))
    counted = [pair for pair in pieces if pair[0].n_present(form)] or pieces
    carriers = None
    if metric.startswith("f1_"):
        carriers = sum(corpus.carriers(int(metric[3:])) for corpus in counts)
    is_own = metric in FORMS and all(form == "multi" or part.label_by_label for part in counts)
    decisions = max(part.n_present(form) for part in counts) if is_own else 1
    return Estimate(
        estimate=float(values[0]),
        replicates=values[1 : 1 + replicates],
        without={corpus.stratum: piece for corpus, piece in counted},
        carriers=carriers,
        decisions=decisions,
    )
