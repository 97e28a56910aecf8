"""How much an age gap hangs on the age from which a speaker counts as elderly, where ages were
measured."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.results.statistics.bootstrap import (
    MEAN,
    N_REPLICATES,
    BootstrapDraws,
    counts_of,
    statistics_of,
)
from bimotion.results.statistics.estimate import Interval, combined, mean_known

THRESHOLDS = (55, 60, 65)
"""Years: the paper's 60, and five to either side."""


@dataclass(frozen=True)
class AgeGap:
    """Younger less elderly speakers of one language, under one training set.

    threshold     from this age on a speaker counts as elderly, years
    n_younger, n_elderly   clips of known age on either side;  speakers: known ones, on either side
    difference    of the means over corpora and seeds; null values where a side is empty
    """

    training_set: str
    language: str
    threshold: int
    n_younger: int
    n_elderly: int
    speakers: tuple[int, int]
    difference: Interval | None


def age_gaps(
    predictions: pd.DataFrame,
    ages: pd.Series,
    schema: LabelSchema,
    *,
    metric: str = "weighted_f1",
    thresholds: Iterable[int] = THRESHOLDS,
    replicates: int = N_REPLICATES,
    seed: int = 0,
) -> list[AgeGap]:
    """For each training set that was tested on both age groups of a language. `ages`: clip id ->
    years; clips without are left out, since a threshold moves nobody whose age is not known.

    Only corpora with clips on both sides of some threshold count: else corpora, not ages, would be
    compared.
    """
    draws, found = BootstrapDraws(replicates, seed), []
    known = predictions.assign(
        age=predictions["id"].map(ages), language=predictions["cell"].str[:3]
    ).dropna(subset=["age"])
    for (training_set, language), rows in known.groupby(["train", "language"], sort=False):
        groups = predictions.loc[predictions["train"] == training_set, "cell"]
        if {f"{language}_eld", f"{language}_adu"} - set(groups):
            continue
        spans = rows.groupby("corpus")["age"].agg(["min", "max"])
        wide = spans[(spans["min"] < max(thresholds)) & (spans["max"] >= min(thresholds))].index
        rows = rows[rows["corpus"].isin(wide)]
        for threshold in thresholds:
            elderly = rows["age"] >= threshold
            sides = [
                rows[~elderly].assign(cell=f"{language}_adu"),
                rows[elderly].assign(cell=f"{language}_eld"),
            ]
            sizes = [side["id"].nunique() for side in sides]
            speakers = tuple(side["speaker"].nunique() for side in sides)
            difference = _difference(sides, schema, draws, metric) if all(sizes) else None
            found.append(AgeGap(training_set, language, threshold, *sizes, speakers, difference))
    return found


def _difference(
    sides: Sequence[pd.DataFrame], schema: LabelSchema, draws: BootstrapDraws, metric: str
) -> Interval | None:
    """Of the first side less the second; None where the metric is undefined on one of them."""
    means = []
    for rows in sides:
        of_seeds = [
            statistics_of(counts_of(table, schema), draws) for _, table in rows.groupby("seed")
        ]
        of_seeds = [one[MEAN, metric] for one in of_seeds if (MEAN, metric) in one]
        if not of_seeds:
            return None
        means.append(combined(mean_known, *of_seeds))
    return combined(np.subtract, *means).difference_interval()
