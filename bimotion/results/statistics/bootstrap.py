"""An interval for each row of scoring.scores: speakers are drawn again, corpus by corpus, and every
metric follows.

One draw serves all training sets, seeds and models tested on the same corpus's clips, so whatever
is compared is compared on the same speakers. Seeds are no clusters: an interval of a mean over
seeds is for these seeds.
"""

import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from bimotion.errors import SettingError, UnknownName
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.metrics import OTHERS
from bimotion.results.statistics.counts import FORMS, Counts, Stratum, metric_values, pooled
from bimotion.results.statistics.estimate import Estimate, Interval, combined, mean_known

N_REPLICATES = 10_000
MEAN, POOLED = "mean", "pooled"
Sums = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of a test set, of its replicates, and without each cluster: shape (3, n_classes, 1, n_replicates
or n_clusters)."""


def intervals(
    predictions: pd.DataFrame,
    settings: Iterable[Setting],
    schema: LabelSchema,
    *,
    replicates: int = N_REPLICATES,
    seed: int = 0,
    over_seeds: bool = False,
) -> list[Interval]:
    """One for each row of `scoring.scores(predictions, settings, schema)`, in its order.

    `over_seeds`: one for each row of one seed, of the mean over all seeds.
    """
    draws = BootstrapDraws(replicates, seed)
    found: list[Interval] = []
    for by_seed in by_setting(predictions, settings, schema, draws):
        if over_seeds:
            by_seed = [
                {row: combined(mean_known, *(one[row] for one in by_seed)) for row in by_seed[0]}
            ]
        found += [of_seed[row].interval() for of_seed in by_seed for row in _rows(of_seed)]
    return found


def by_setting(
    predictions: pd.DataFrame,
    settings: Iterable[Setting],
    schema: LabelSchema,
    draws: "BootstrapDraws",
) -> Iterator[list[dict[tuple[str, str], Estimate]]]:
    """Of every setting whose training set stands in the predictions, the statistics of each
    seed."""
    tables = dict(list(predictions.groupby(["train", "cell", "seed"])))
    seeds = sorted(predictions["seed"].unique().tolist())
    for setting in settings:
        of_seeds = [tables.get((setting.training_set, str(setting.test), seed)) for seed in seeds]
        if of_seeds := [
            statistics_of(counts_of(table, schema), draws)
            for table in of_seeds
            if table is not None
        ]:
            yield of_seeds


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
    of_seeds = next(by_setting(rows_of(predictions, setting), [setting], schema, draws))
    known = [name for where, name in of_seeds[0] if where == MEAN]
    if unknown := [metric for metric in metrics if metric not in known]:
        raise UnknownName("metric", unknown[0], known)
    return {
        metric: combined(mean_known, *(one[MEAN, metric] for one in of_seeds)) for metric in metrics
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
    """Of one training set, seed and cell: one for each corpus, by name."""
    return [Counts.of(rows, schema) for _, rows in table.groupby("corpus")]


def _rows(found: dict[tuple[str, str], Estimate]) -> list[tuple[str, str]]:
    """Keys in the order of scoring.scores."""
    places = [
        MEAN,
        POOLED,
        *(
            where
            for where, metric in found
            if metric == "weighted_f1" and where not in (MEAN, POOLED)
        ),
    ]
    papers = [metric for metric in FORMS if metric not in OTHERS]
    kinds = (papers, list(OTHERS))
    rows = [
        (where, metric)
        for kind in kinds
        for where in places
        for metric in kind
        if (where, metric) in found
    ]
    of_classes = [
        (where, metric)
        for place in places
        for where, metric in found
        if where == place and metric.startswith("f1_")
    ]
    return rows + of_classes


class BootstrapDraws:
    """How often each cluster of a stratum is drawn in each replicate: as many draws as clusters,
    with replacement."""

    def __init__(self, replicates: int = N_REPLICATES, seed: int = 0):
        self.replicates, self.seed = replicates, seed
        self._made: dict[tuple[str, int], np.ndarray] = {}

    def of(self, stratum: Stratum) -> np.ndarray:
        """Float32 (n_replicates, n_clusters), rows sum to n_clusters; a function of seed, name and
        size alone.

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
    sums = [
        {form: _sums(table, draws.of(one.stratum)) for form, table in one.tables.items()}
        for one in counts
    ]
    found: dict[tuple[str, str], Estimate] = {}
    for one, by_form in zip(counts, sums, strict=True):
        vectors = {form: np.concatenate(parts, axis=-1) for form, parts in by_form.items()}
        for metric, values in _metrics(one.classes, vectors).items():
            found[one.corpus, metric] = _statistic(metric, values, draws.replicates, [one])
    for metric in dict.fromkeys(metric for _, metric in found if not metric.startswith("f1_")):
        known = [found[one.corpus, metric] for one in counts if (one.corpus, metric) in found]
        known = [one for one in known if not np.isnan(one.estimate)] or known
        found[MEAN, metric] = combined(mean_known, *known)
    for metric, values in _pooled_metrics(counts, sums, draws).items():
        found[POOLED, metric] = _statistic(metric, values, draws.replicates, counts)
    return found


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


def _metrics(
    classes: dict[str, list[int]], vectors: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Metric -> its value of each test set in the vectors; metrics that count marked clips only if
    there are any."""
    by_form = {form: metric_values(vector) for form, vector in vectors.items()}
    scored = {metric: (form, name) for metric, (form, name) in FORMS.items() if form in by_form}
    found = {
        metric: by_form[form][name]
        for metric, (form, name) in scored.items()
        if form != "marked" or classes[form]
    }
    return found | {
        f"f1_{place}": by_form["marked"]["f1"][row] for row, place in enumerate(classes["marked"])
    }


def _pooled_metrics(
    counts: list[Counts], sums: list[dict[str, Sums]], draws: BootstrapDraws
) -> dict[str, np.ndarray]:
    """The metrics of all corpora as one test set, which lacks one cluster of one corpus at a
    time."""
    classes, vectors = {}, {}
    for form in counts[0].tables:
        blocks = [
            _lacking(one, by_form[form], counts) for one, by_form in zip(counts, sums, strict=True)
        ]
        strays = [
            (
                one.strays[form][0],
                _lacking(one, _sums(one.strays[form][1], draws.of(one.stratum)), counts),
            )
            for one in counts
        ]
        classes[form], vectors[form] = pooled((one.classes[form] for one in counts), blocks, strays)
    return _metrics(classes, vectors)


def _lacking(one: Counts, sums: Sums, counts: list[Counts]) -> np.ndarray:
    """A corpus's sums as a part of all corpora's: whole, replicates, without each cluster of each
    corpus in turn."""
    whole, replicates, without = sums
    lacking = (
        without if other is one else np.repeat(whole, other.stratum.n, axis=-1) for other in counts
    )
    return np.concatenate([whole, replicates, *lacking], axis=-1)


def _statistic(metric: str, values: np.ndarray, replicates: int, counts: list[Counts]) -> Estimate:
    """From a vector: the estimate, the replicates, the values without each cluster of each
    stratum."""
    ends = np.cumsum([one.stratum.n for one in counts])[:-1]
    pieces = np.split(values[1 + replicates :], ends)
    return Estimate(
        estimate=float(values[0]),
        replicates=values[1 : 1 + replicates],
        without={one.stratum: piece for one, piece in zip(counts, pieces, strict=True)},
        carriers=sum(one.carriers(int(metric[3:])) for one in counts)
        if metric.startswith("f1_")
        else None,
        decisions=max(len(one.classes["multi"]) for one in counts)
        if metric == "weighted_f1_multi"
        else 1,
    )
