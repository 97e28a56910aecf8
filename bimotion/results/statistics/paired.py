"""Two models on the same clips: the difference, its interval, and whether chance explains it.

Interval and p-value are of one standard error over speakers and seeds (spread.py): they cannot
contradict each other. How alike clips of one speaker are in that difference is carried over from
the settings whose test speakers are known to those where they are not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bimotion.errors import SettingError
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results.statistics import from_predictions
from bimotion.results.statistics.estimate import combined, pooled_likeness
from bimotion.results.statistics.interval import Interval


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
    """Two-sided, of Student's t; null where there is no difference to test."""
    on_these_clips: bool
    """Speakers are unknown, or one: nothing is proved of others."""
    p_holm: float | None = None
    """Corrected over the comparisons of the same method."""


def compare(
    first: pd.DataFrame,
    second: pd.DataFrame,
    settings: Iterable[Setting],
    schema: LabelSchema,
    *,
    metric: str = "weighted_f1",
) -> list[Comparison]:
    """The comparison in each setting, from the predictions of two models; p-values are corrected
    over the settings of one method, that is of one table.

    Raises SettingError where a setting was not run, or not on the same clips of the same speakers
    with the same references.
    """
    settings, differences = list(settings), []
    for setting in settings:
        clips = [
            _clips(next(iter(from_predictions.rows_of(model, setting).groupby("seed")))[1])
            for model in (first, second)
        ]
        _check_same(setting, *clips)
        headlines = [
            from_predictions.headline(model, setting, schema, metric) for model in (first, second)
        ]
        differences.append(combined(np.subtract, *headlines).spread)
    likeness = pooled_likeness(differences)
    rows = []
    for setting, spread in zip(settings, differences, strict=True):
        spread = spread.with_likeness(likeness)
        is_known = not np.isnan(spread.estimate)
        interval, p = spread.difference_interval(), spread.p_value() if is_known else None
        rows.append(Comparison(setting, metric, interval, p, spread.on_these_clips))
    return _corrected(rows)


def _corrected(rows: list[Comparison]) -> list[Comparison]:
    """With p-values corrected within each family: the settings of one method, which are one
    table."""
    families = [row.setting.method for row in rows]
    corrected: dict[int, float | None] = {}
    for name in dict.fromkeys(families):
        numbers = [number for number, other in enumerate(families) if other == name]
        p_values = holm([rows[number].p for number in numbers])
        corrected |= dict(zip(numbers, p_values, strict=True))
    return [replace(row, p_holm=corrected[number]) for number, row in enumerate(rows)]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for their number (Holm 1979, Scandinavian J. Statistics 6: 65); None stays
    None and does not count.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = np.array([p for p in p_values if p is not None], float)
    order = np.argsort(known, kind="stable")
    steps = np.minimum(1.0, known[order] * np.arange(len(known), 0, -1))
    known[order] = np.maximum.accumulate(steps)
    corrected = iter(known.tolist())
    return [None if p is None else next(corrected) for p in p_values]


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
