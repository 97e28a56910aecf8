"""The dependence of an age gap on the age from which a speaker counts as elderly, where ages were
measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bimotion.protocol.labels import LabelSchema
from bimotion.results.statistics.bootstrap import MEAN, N_REPLICATES, BootstrapDraws, by_seed
from bimotion.results.statistics.estimate import Estimate, Interval, combined, mean_known

THRESHOLDS = (55, 60, 65)
"""Years: the paper's 60, and five to either side."""


@dataclass(frozen=True)
class AgeGap:
    """Younger less elderly speakers of one language, under one training set."""

    training_set: str
    """Setting.training_set."""
    language: str
    """ISO 639-3 code."""
    threshold: int
    """From this age on a speaker counts as elderly, years."""
    n_younger: int
    """Clips of known age below it."""
    n_elderly: int
    """Clips of known age from it on."""
    speakers: tuple[int, int]
    """Known ones, on either side."""
    difference: Interval | None
    """Of the means over corpora and seeds; null where a side is empty."""


def age_gaps(
    predictions: pd.DataFrame,
    ages: pd.Series,
    schema: LabelSchema,
    *,
    metric: str = "weighted_f1",
    thresholds: Sequence[int] = THRESHOLDS,
    replicates: int = N_REPLICATES,
    seed: int = 0,
) -> list[AgeGap]:
    """The gaps of each training set that was tested on both age groups of a language.

    Only corpora with clips on both sides of some threshold count: else corpora, not ages, would be
    compared.

    Args:
        ages: Clip id -> years; clips without are left out, since a threshold moves nobody whose age
            is not known.
    """
    draws, gaps = BootstrapDraws(replicates, seed), []
    known = predictions.assign(
        age=predictions["id"].map(ages), language=predictions["cell"].str[:3]
    ).dropna(subset=["age"])
    for (training_set, language), rows in known.groupby(["train", "language"], sort=False):
        tested = predictions.loc[predictions["train"] == training_set, "cell"]
        if not {f"{language}_eld", f"{language}_adu"} <= set(tested):
            continue
        of_corpus = rows.groupby("corpus")["age"]
        rows = rows[
            (of_corpus.transform("min") < max(thresholds))
            & (of_corpus.transform("max") >= min(thresholds))
        ]
        for threshold in thresholds:
            is_elderly = rows["age"] >= threshold
            sides = [
                rows[~is_elderly].assign(cell=f"{language}_adu"),
                rows[is_elderly].assign(cell=f"{language}_eld"),
            ]
            sizes = [side["id"].nunique() for side in sides]
            speakers = tuple(side["speaker"].nunique() for side in sides)
            means = [_mean(side, schema, draws, metric) for side in sides]
            difference = None
            if None not in means:
                difference = combined(np.subtract, *means).difference_interval()
            gaps.append(AgeGap(training_set, language, threshold, *sizes, speakers, difference))
    return gaps


def _mean(
    rows: pd.DataFrame, schema: LabelSchema, draws: BootstrapDraws, metric: str
) -> Estimate | None:
    """Mean over corpora and seeds; None where the metric is undefined."""
    of_seeds = by_seed([table for _, table in rows.groupby("seed")], schema, draws)
    known = [estimates[MEAN, metric] for estimates in of_seeds if (MEAN, metric) in estimates]
    return combined(mean_known, *known) if known else None
