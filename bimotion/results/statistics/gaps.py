"""Differences of scores between cells, the worst cell, and what transfer keeps.

Cells hold different corpora. Their differences are therefore of corpus and age, or of corpus and
language, and no test tells one from the other: they have intervals and no p. What age by itself
does is asked within corpora that hold both ages (ages.py).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bimotion.protocol import cells as groups
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting, SettingId
from bimotion.results.clip_predictions import matrix
from bimotion.results.statistics import from_predictions
from bimotion.results.statistics.estimate import (
    Estimate,
    combined,
    mean_known,
    pooled_likeness,
)
from bimotion.results.statistics.interval import Interval

AGE, LANGUAGE = "corpus and age", "corpus and language"
"""Kinds of differences between cells: adults less elderly, English less Mandarin."""


@dataclass(frozen=True)
class Gap:
    """A comparison of cells."""

    kind: str
    """AGE; LANGUAGE; `worst`: the lowest cell; `transfer`: another training set's score over that
    of in-group training."""
    of: str
    """What exactly."""
    interval: Interval
    """Of the difference, the lowest score, or the ratio; without value where the cells differ in
    their labels, which its `reason` names."""
    settings: list[SettingId]
    """Whose headlines are compared; none where they are not."""


@dataclass(frozen=True)
class _Difference:
    kind: str
    of: str
    cells: list[Cell]
    function: Callable[..., np.ndarray]
    """Of the cells' scores."""


def gaps(
    predictions: pd.DataFrame,
    settings: Iterable[Setting],
    schema: LabelSchema,
    headlines: Mapping[Setting, Estimate] | None = None,
) -> list[Gap]:
    """All that the settings over all corpora allow: between the cells of in-group (or zero-shot)
    settings, and of each transfer to in-group.

    Scores are headlines: means over corpora and seeds. Differences of cells whose labels differ
    (schema `emotion`) are refused. Of `worst`, the lowest of several noisy scores is too low.

    Args:
        headlines: weighted F1 of each setting (from_predictions.headline), where it is known
            already; None: it is computed.
    """
    settings = [setting for setting in settings if setting.corpora is None]
    base = {s.test: s for s in settings if s.transfer in ("in-group", "zero-shot")}
    transfers = [
        setting for setting in settings if setting.test in base and setting != base[setting.test]
    ]
    if headlines is None:
        headlines = {
            setting: from_predictions.headline(predictions, setting, schema)
            for setting in (*base.values(), *transfers)
        }
    scores = {cell: headlines[setting] for cell, setting in base.items()}
    labels = {cell: _labels(predictions, setting, schema) for cell, setting in base.items()}
    rows = [
        _gap(difference, scores, labels, {cell: base[cell].id for cell in difference.cells})
        for difference in _differences(sorted(base))
    ]
    compared = [(headlines[setting], scores[setting.test]) for setting in transfers]
    for setting, interval in zip(transfers, _ratios(compared), strict=True):
        of = f"{setting.training_set} -> {setting.test}"
        rows.append(Gap("transfer", of, interval, [setting.id, base[setting.test].id]))
    return rows


def _labels(predictions: pd.DataFrame, setting: Setting, schema: LabelSchema) -> frozenset[str]:
    """Classes that some corpus of the setting's test cell annotates."""
    columns = predictions[["train", "cell", "reference"]]
    reference = matrix(from_predictions.rows_of(columns, setting)["reference"])
    is_annotated = (reference != -1).any(axis=0)
    return frozenset(np.array(schema.classes)[is_annotated].tolist())


def _gap(
    difference: "_Difference",
    scores: dict[Cell, Estimate],
    labels: dict[Cell, frozenset[str]],
    settings: dict[Cell, SettingId],
) -> Gap:
    of_cells = [scores[cell] for cell in difference.cells]
    estimate = combined(difference.function, *of_cells)
    if difference.kind == "worst":
        of = min(difference.cells, key=lambda cell: scores[cell].estimate)
        return Gap(difference.kind, str(of), estimate.interval(), [settings[of]])
    interval = estimate.difference_interval()
    pairs = zip(difference.cells[::2], difference.cells[1::2], strict=True)
    if only := sorted(set().union(*(labels[cell] ^ labels[other] for cell, other in pairs))):
        reason = f"not comparable, labels differ: {', '.join(only)} in one cell only"
        none = dict.fromkeys(("value", "low", "high", "standard_error"))
        interval, settings = replace(interval, reason=reason, **none), {}
    return Gap(difference.kind, difference.of, interval, list(settings.values()))


def _differences(cells: list[Cell]) -> list[_Difference]:
    differences = []
    for kind, cross, first in (
        (AGE, Cell.cross_age, "adu"),
        (LANGUAGE, Cell.cross_lingual, "eng"),
    ):
        firsts = [cell for cell in sorted(groups.BIMOTION_CELLS) if first in str(cell).split("_")]
        pairs = [(cell, cross(cell)) for cell in firsts if {cell, cross(cell)} <= set(cells)]
        differences += [
            _Difference(kind, f"{cell} - {other}", [cell, other], np.subtract)
            for cell, other in pairs
        ]
        if len(pairs) > 1:
            paired_cells = [cell for pair in pairs for cell in pair]
            differences.append(_Difference(kind, "mean", paired_cells, _mean_difference))
    if len(cells) > 1:
        differences.append(
            _Difference("worst", "", cells, lambda *scores: np.minimum.reduce(scores))
        )
    return differences


def _mean_difference(*scores: np.ndarray) -> np.ndarray:
    """Mean over pairs of the first less the second."""
    pairs = zip(scores[::2], scores[1::2], strict=True)
    return mean_known(*(first - second for first, second in pairs))


def _ratios(pairs: list[tuple[Estimate, Estimate]]) -> Iterator[Interval]:
    """Yield the ratio of each score to that of in-group training; the likeness of a speaker's clips
    is carried over from those of known speakers."""
    logs = [combined(_log_ratio, *pair).spread for pair in pairs]
    likeness = pooled_likeness([log for log in logs if not np.isnan(log.estimate)])
    for (score, in_group), log in zip(pairs, logs, strict=True):
        if np.isnan(log.estimate):
            value = 0.0 if in_group.estimate > 0 and score.estimate == 0 else None
            reason = "a score of 0 has no interval of its ratio"
            yield Interval(value, None, None, None, log.clusters, log.n_clusters, reason)
        else:
            yield log.with_likeness(likeness).ratio_interval()


def _log_ratio(score: np.ndarray, in_group: np.ndarray) -> np.ndarray:
    defined = (score > 0) & (in_group > 0)
    return np.where(
        defined, np.log(np.where(defined, score, 1) / np.where(defined, in_group, 1)), np.nan
    )
