"""The estimates of every corpus, cell and setting, from a table of predictions.

Each carries what every clip adds to it (estimate.py); intervals and tests follow from that
(spread.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from bimotion.errors import SettingError, UnknownName
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.clip_predictions import ClipPredictions, test_set
from bimotion.results.statistics import label_ranking
from bimotion.results.statistics.counts import FORMS, Counts, metric_gradients, rows_in
from bimotion.results.statistics.estimate import (
    Estimate,
    combined,
    mean_known,
    over_seeds,
    pooled_likeness,
)
from bimotion.results.statistics.interval import Interval

MEAN, POOLED = "mean", "pooled"


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
    *,
    ranked: bool = False,
    form: str | None = None,
) -> list[dict[tuple[str, str], Estimate]]:
    """The statistics of one training set and cell, of a table a seed; `ranked`: those of labels
    that need no threshold, too (label_ranking.py); `form`: only those of it (counts.FORMS)."""
    return [
        estimates_of(table, test_set(table, schema), schema, ranked=ranked, form=form)
        for table in tables
    ]


def estimates_of(
    table: pd.DataFrame,
    clips: ClipPredictions,
    schema: LabelSchema,
    *,
    ranked: bool = False,
    form: str | None = None,
) -> dict[tuple[str, str], Estimate]:
    """`by_seed` of one table; `clips`: its predictions."""
    of_labels = label_ranking.of_labels(table, clips) if ranked else {}
    return statistics_of(counts_of(table, clips, schema, form)) | of_labels


def mean_over_seeds(tables: Iterable[pd.DataFrame], estimates: Sequence[Estimate]) -> Estimate:
    """The mean of an estimate a table, of which each is of one seed."""
    return over_seeds([int(table["seed"].iloc[0]) for table in tables], estimates)


def by_setting(
    predictions: pd.DataFrame,
    settings: Iterable[Setting],
    schema: LabelSchema,
    *,
    ranked: bool = False,
) -> Iterator[list[dict[tuple[str, str], Estimate]]]:
    """For every setting whose training set stands in the predictions, the statistics of each
    seed."""
    for _, tables in tables_by_seed(predictions, settings):
        yield by_seed(tables, schema, ranked=ranked)


def headline(
    predictions: pd.DataFrame,
    setting: Setting,
    schema: LabelSchema,
    metric: str = "weighted_f1",
) -> Estimate:
    """Mean over the cell's corpora and over seeds (Result.headline); raises SettingError where the
    setting was not run."""
    tables = [table for _, table in rows_of(predictions, setting).groupby("seed")]
    known = [name for name in FORMS if FORMS[name][0] != "multi" or not schema.exclusive]
    if metric not in known:
        raise UnknownName("metric", metric, known)
    of_seeds = by_seed(tables, schema, form=FORMS[metric][0])
    return mean_over_seeds(tables, [estimates[MEAN, metric] for estimates in of_seeds])


class Headline(NamedTuple):
    """The metric of a setting: mean over the cell's corpora and over seeds."""

    estimate: Estimate
    interval: Interval
    """As a record has it: with the likeness of the clips of one speaker in the whole run."""
    of_corpora: dict[str, list[Estimate]]
    """Corpus -> its own estimate, one a seed."""


def headlines(
    tables: Mapping[Setting, list[pd.DataFrame]],
    schema: LabelSchema,
    metric: str = "weighted_f1",
) -> dict[Setting, Headline]:
    """The headline of every setting of a run; `tables`: of `tables_by_seed`."""
    means, by_corpus, spreads = {}, {}, []
    for setting, of_seeds in tables.items():
        known = by_seed(of_seeds, schema, form=FORMS[metric][0])
        means[setting] = mean_over_seeds(of_seeds, [each[MEAN, metric] for each in known])
        names = sorted(set().union(*(table["corpus"].unique() for table in of_seeds)))
        by_corpus[setting] = {name: [each[name, metric] for each in known] for name in names}
        spreads += [estimate.spread for name in names for estimate in by_corpus[setting][name]]
    likeness = pooled_likeness(spreads)
    return {
        setting: Headline(mean, mean.spread.with_likeness(likeness).interval(), by_corpus[setting])
        for setting, mean in means.items()
    }


def rows_of(predictions: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Predictions of a setting; raises SettingError where it was not run."""
    rows = predictions[
        (predictions["train"] == setting.training_set) & (predictions["cell"] == str(setting.test))
    ]
    if rows.empty:
        raise SettingError(f"no predictions of {setting.training_set} on {setting.test}")
    return rows


def counts_of(
    table: pd.DataFrame, clips: ClipPredictions, schema: LabelSchema, form: str | None = None
) -> list[Counts]:
    """The counts of one training set, seed and cell: one for each corpus, by name; `clips`: the
    predictions of the table."""
    return [
        Counts.of(rows_in(table, clips, corpus), part, schema, form)
        for corpus, part in clips.by_corpus.items()
    ]


def statistics_of(counts: Sequence[Counts]) -> dict[tuple[str, str], Estimate]:
    """(corpus, or `mean`, or `pooled`; metric) -> statistic, of one cell; F1 of a class is (...,
    `f1_<number>`)."""
    estimates: dict[tuple[str, str], Estimate] = {}
    for corpus in counts:
        for metric, estimate in _estimates([corpus]).items():
            estimates[corpus.corpus, metric] = estimate
    for metric in FORMS:
        keys = [(corpus.corpus, metric) for corpus in counts]
        known = [estimates[key] for key in keys if key in estimates]
        defined = [estimate for estimate in known if not np.isnan(estimate.estimate)] or known
        if defined:
            estimates[MEAN, metric] = combined(mean_known, *defined)
    whole = _estimates(counts)
    return estimates | {(POOLED, metric): estimate for metric, estimate in whole.items()}


def _estimates(counts: Sequence[Counts]) -> dict[str, Estimate]:
    """Metric -> its estimate of some corpora as one test set; nan where no clip counts in it."""
    by_form = {
        form: metric_gradients(sum(corpus.sums[form] for corpus in counts))
        for form in counts[0].clips
    }
    kept = {
        metric: (form, *by_form[form][name])
        for metric, (form, name) in FORMS.items()
        if form in by_form
    }
    of_classes = by_form.get("marked", {})
    kept |= {name: ("marked", *of_classes[name]) for name in of_classes if name.startswith("f1_")}
    influence: dict[str, dict] = {metric: {} for metric in kept}
    for form in by_form:
        metrics = [metric for metric in kept if kept[metric][0] == form]
        gradients = np.stack([kept[metric][2].ravel() for metric in metrics]) if metrics else ()
        counted = [corpus for corpus in counts if corpus.n_present(form)] or counts
        for corpus in counted if metrics else ():
            clips = corpus.clips[form]
            moves = gradients.astype(np.float32) @ clips.reshape(-1, clips.shape[-1])
            for metric, values in zip(metrics, moves.astype(float), strict=True):
                influence[metric][corpus.stratum] = values
    return {
        metric: Estimate(value, influence[metric], **_limits(metric, counts))
        for metric, (_, value, _) in kept.items()
    }


def _limits(metric: str, counts: Sequence[Counts]) -> dict[str, int | None]:
    """Carriers and decisions of an estimate."""
    if metric in FORMS:
        form = FORMS[metric][0]
        is_own = form == "multi" or all(corpus.label_by_label for corpus in counts)
        return {"decisions": max(corpus.n_present(form) for corpus in counts) if is_own else 1}
    carriers = sum(corpus.carriers(int(metric[3:])) for corpus in counts)
    is_seen = any(corpus.stratum.n_apart for corpus in counts)
    return {"carriers": carriers if is_seen or carriers < 2 else None}
