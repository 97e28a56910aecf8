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
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion.errors import SettingError
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.statistics.bootstrap import (
    N_REPLICATES,
    BootstrapDraws,
    counts_of,
    headline,
    rows_of,
    weighted_sums,
)
from bimotion.results.statistics.counts import FORMS, Counts, metric_values
from bimotion.results.statistics.estimate import Interval, combined, mean_known

EXACT_UP_TO = 12


@dataclass(frozen=True)
class Comparison:
    """The first model less the second, in one setting.

    difference   of the means over the cell's corpora and over seeds, with its interval
    p            two-sided; null where there is no difference to test
    p_holm       corrected over the comparisons that were asked together
    n_swaps      tried; exact: all there are
    """

    setting: Setting
    metric: str
    difference: Interval
    p: float | None
    p_holm: float | None
    n_swaps: int
    exact: bool


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
    """One for each setting, from the predictions of two models.

    Raises SettingError where a setting was not run, or not on the same clips of the same speakers
    with the same references.
    """
    draws, found = BootstrapDraws(replicates, seed), []
    for setting in settings:
        tables = [_tables(predictions, setting) for predictions in (first, second)]
        _check_same(setting, *(of_seeds[0] for of_seeds in tables))
        difference = combined(
            np.subtract, *(headline(one, setting, schema, draws, metric) for one in (first, second))
        )
        p, n_swaps, exact = _swapped(*_paired(tables, schema), metric, replicates, seed)
        found.append(
            Comparison(setting, metric, difference.difference_interval(), p, None, n_swaps, exact)
        )
    corrected = holm([one.p for one in found])
    return [
        Comparison(**{**vars(one), "p_holm": p}) for one, p in zip(found, corrected, strict=True)
    ]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number (Holm 1979, Scandinavian J. Statistics 6: 65); None stays
    None and does not count.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[place] = largest
    return corrected


def _tables(predictions: pd.DataFrame, setting: Setting) -> list[pd.DataFrame]:
    """Predictions of a setting, by seed."""
    return [table for _, table in rows_of(predictions, setting).groupby("seed")]


def _check_same(setting: Setting, first: pd.DataFrame, second: pd.DataFrame) -> None:
    def clips(table: pd.DataFrame) -> dict[str, tuple]:
        columns = zip(
            table["id"], table["corpus"], table["speaker"], table["reference"], strict=True
        )
        return {
            name: (corpus, None if pd.isna(speaker) else speaker, *np.asarray(reference).tolist())
            for name, corpus, speaker, reference in columns
        }

    clips_of_first, clips_of_second = clips(first), clips(second)
    if clips_of_first != clips_of_second:
        apart = {*clips_of_first.items()} ^ {*clips_of_second.items()}
        name = min(name for name, _ in apart)
        raise SettingError(
            f"{setting.training_set} on {setting.test}: expected the same clips, speakers and "
            f"references, {name} differs"
        )


def _paired(
    tables: list[list[pd.DataFrame]], schema: LabelSchema
) -> tuple[list[list[Counts]], list[list[Counts]]]:
    """Counts of both models by seed, seeds repeated until there are as many of each: the means stay
    what they are."""
    first, second = ([counts_of(table, schema) for table in of_seeds] for of_seeds in tables)
    n = math.lcm(len(first), len(second))
    return first * (n // len(first)), second * (n // len(second))


def _swapped(
    first: list[list[Counts]], second: list[list[Counts]], metric: str, replicates: int, seed: int
) -> tuple[float | None, int, bool]:
    """P-value, number of swaps, whether these are all: speakers change sides, with their
    predictions under every seed."""
    sizes = [one.stratum.n for one in first[0]]
    exact = sum(sizes) <= EXACT_UP_TO
    swaps = _all_swaps(sizes) if exact else _random_swaps(first[0], replicates, seed)
    of_seeds = []
    for one_seed, other_seed in zip(first, second, strict=True):
        of_corpora = []
        for one, other, swap in zip(one_seed, other_seed, swaps, strict=True):
            if values := _differences(one, other, swap, metric):
                of_corpora.append(values)
        if not of_corpora:
            return None, 0, exact
        of_seeds.append([mean_known(*side) for side in zip(*of_corpora, strict=True)])
    difference = mean_known(*(one - other for one, other in of_seeds))
    if np.isnan(difference[0]):
        return None, 0, exact
    # the first swap is none: what was observed
    as_large = np.abs(difference) >= abs(difference[0]) - 1e-12
    return float(as_large.mean()), len(difference), exact


def _all_swaps(sizes: list[int]) -> list[np.ndarray]:
    every = np.array(list(itertools.product((0, 1), repeat=sum(sizes))), np.float32)
    return np.split(every, np.cumsum(sizes)[:-1], axis=1)


def _random_swaps(counts: list[Counts], replicates: int, seed: int) -> list[np.ndarray]:
    """One (1 + n_replicates, n_clusters) of 0 and 1 a corpus, the first row 0."""
    swaps = []
    for one in counts:
        generator = np.random.default_rng([seed, 1, zlib.crc32(one.stratum.name.encode())])
        swap = generator.integers(0, 2, (1 + replicates, one.stratum.n), dtype=np.int8).astype(
            np.float32
        )
        swap[0] = 0
        swaps.append(swap)
    return swaps


def _differences(
    one: Counts, other: Counts, swap: np.ndarray, metric: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """A metric of both models after each swap; None where the corpus does not have it."""
    form, name = FORMS[metric]
    if form not in one.tables or not one.n_present(form):
        return None
    table, gain = one.tables[form], other.tables[form] - one.tables[form]
    moved = weighted_sums(gain, swap)
    wholes = table.sum(axis=-1, keepdims=True), other.tables[form].sum(axis=-1, keepdims=True)
    return metric_values(wholes[0] + moved)[name], metric_values(wholes[1] - moved)[name]
