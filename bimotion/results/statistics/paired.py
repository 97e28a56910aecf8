"""Two models on the same clips: the difference, its interval, and whether chance explains it.

The interval draws the same speakers for both models. The p-value is of approximate randomization
(Noreen 1989; Yeh, COLING 2000, C00-2137) by speaker: were the models alike, each speaker's
predictions could be swapped between them. Up to 12 speakers every swap is tried; otherwise random
ones, counted as Phipson and Smyth do (2010, doi 10.2202/1544-6115.1585), so p is never 0. With n
speakers p is at least 2 / 2^n: 5 speakers cannot reach 0.05.
"""

import itertools
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bimotion.errors import SettingError
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.statistics import bootstrap
from bimotion.results.statistics.bootstrap import N_REPLICATES, BootstrapDraws
from bimotion.results.statistics.counts import FORMS, Counts, Stratum, metric_values
from bimotion.results.statistics.estimate import Interval, combined, mean_known

EXACT_UP_TO = 12


@dataclass(frozen=True)
class Comparison:
    """The first model less the second, in one setting."""

    setting: Setting
    """The setting."""
    metric: str
    """Its name."""
    difference: Interval
    """Of the means over the cell's corpora and over seeds, with its interval."""
    p: float | None
    """Two-sided; null where there is no difference to test."""
    p_holm: float | None
    """Corrected over the comparisons that were asked together."""
    n_swaps: int
    """Swaps tried."""
    exact: bool
    """These are all there are."""


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    settings: Iterable[Setting],
    schema: LabelSchema,
    *,
    metric: str = "weighted_f1",
    replicates: int = N_REPLICATES,
    seed: int = 0,
) -> list[Comparison]:
    """The comparison in each setting, from the predictions of two models.

    Raises SettingError where a setting was not run, or not on the same clips of the same speakers
    with the same references.
    """
    draws, rows = BootstrapDraws(replicates, seed), []
    for setting in settings:
        tables = [
            [table for _, table in bootstrap.rows_of(predictions, setting).groupby("seed")]
            for predictions in (first, second)
        ]
        _check_same(setting, *(_clips(of_seeds[0]) for of_seeds in tables))
        headlines = [
            bootstrap.headline(model, setting, schema, draws, metric) for model in (first, second)
        ]
        difference = combined(np.subtract, *headlines).difference_interval()
        pairs = _by_seed(tables, schema)
        p, n_swaps, exact = _swapped(pairs, metric, replicates, seed)
        rows.append(Comparison(setting, metric, difference, p, None, n_swaps, exact))
    corrected = holm([row.p for row in rows])
    return [replace(row, p_holm=p) for row, p in zip(rows, corrected, strict=True)]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number (Holm 1979, Scandinavian J. Statistics 6: 65); None stays
    None and does not count.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, index) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[index] = largest
    return corrected


def _clips(table: pd.DataFrame) -> set[tuple]:
    """Id, corpus, speaker and reference of each clip."""
    references = [tuple(np.asarray(reference).tolist()) for reference in table["reference"]]
    speakers = table["speaker"].astype(object).where(table["speaker"].notna(), None)
    return set(zip(table["id"], table["corpus"], speakers, references, strict=True))


def _check_same(setting: Setting, first: set[tuple], second: set[tuple]) -> None:
    if first != second:
        name = min(clip[0] for clip in first ^ second)
        raise SettingError(
            f"{setting.training_set} on {setting.test}: expected the same clips, speakers and "
            f"references, {name} differs"
        )


def _by_seed(
    tables: list[list[pd.DataFrame]], schema: LabelSchema
) -> list[list[tuple[Counts, Counts]]]:
    """Counts of both models in each corpus, a list a seed; seeds are repeated until there are as
    many of each: the means stay what they are."""
    first, second = (
        [bootstrap.counts_of(table, schema) for table in of_seeds] for of_seeds in tables
    )
    n = math.lcm(len(first), len(second))
    repeated = zip(first * (n // len(first)), second * (n // len(second)), strict=True)
    return [list(zip(*counts, strict=True)) for counts in repeated]


def _swapped(
    pairs: list[list[tuple[Counts, Counts]]], metric: str, replicates: int, seed: int
) -> tuple[float | None, int, bool]:
    """P-value, number of swaps, whether these are all: speakers change sides, with their
    predictions under every seed."""
    strata = [first.stratum for first, _ in pairs[0]]
    exact = sum(stratum.n for stratum in strata) <= EXACT_UP_TO
    swaps = _all_swaps(strata) if exact else _random_swaps(strata, replicates, seed)
    differences = []
    for of_seed in pairs:
        sides = [
            _after_swaps(*counts, swap, metric)
            for counts, swap in zip(of_seed, swaps, strict=True)
            if FORMS[metric][0] in counts[0].tables and counts[0].n_present(FORMS[metric][0])
        ]
        if not sides:
            return None, 0, exact
        first, second = (mean_known(*values) for values in zip(*sides, strict=True))
        differences.append(first - second)
    difference = mean_known(*differences)
    if np.isnan(difference[0]):
        return None, 0, exact
    # the first swap is none: what was observed
    as_large = np.abs(difference) >= abs(difference[0]) - 1e-12
    return float(as_large.mean()), len(difference), exact


def _all_swaps(strata: list[Stratum]) -> list[np.ndarray]:
    sizes = [stratum.n for stratum in strata]
    every = np.array(list(itertools.product((0, 1), repeat=sum(sizes))), np.float32)
    return np.split(every, np.cumsum(sizes)[:-1], axis=1)


def _random_swaps(strata: list[Stratum], replicates: int, seed: int) -> list[np.ndarray]:
    """(1 + n_replicates, n_clusters) of 0 and 1 for each corpus, the first row 0."""
    swaps = []
    for stratum in strata:
        generator = np.random.default_rng([seed, 1, zlib.crc32(stratum.name.encode())])
        swap = generator.integers(0, 2, (1 + replicates, stratum.n), dtype=np.int8)
        swap[0] = 0
        swaps.append(swap.astype(np.float32))
    return swaps


def _after_swaps(
    first: Counts, second: Counts, swap: np.ndarray, metric: str
) -> tuple[np.ndarray, np.ndarray]:
    """A metric of both models after each swap."""
    form, name = FORMS[metric]
    moved = bootstrap.weighted_sums(second.tables[form] - first.tables[form], swap)
    wholes = (counts.tables[form].sum(axis=-1, keepdims=True) for counts in (first, second))
    return tuple(
        metric_values(whole + change)[name]
        for whole, change in zip(wholes, (moved, -moved), strict=True)
    )
