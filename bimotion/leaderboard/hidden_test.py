"""A hidden test: the labels that only the host has, and what the host tells of scores.

Whoever sends predictions again and again learns labels from the differences of scores. So scores
are told in steps, and only so many a month (recomputations.py).
"""

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd

from bimotion.errors import SettingError
from bimotion.io.bounds import whole_number
from bimotion.leaderboard.entry import BASE, Entry
from bimotion.results.statistics.shared_errors import RIGHT

if TYPE_CHECKING:
    from bimotion.leaderboard.scored import ScoredSubmission

MAX_PER_MONTH = 3
"""Recomputations of a submitter, where the host does not say otherwise."""
PERCENT = 1
"""Step of scores, where the host does not say otherwise."""
MAX_PERCENT = 10
NOTICE = "private: the labels of a hidden test; never publish this file"
T = TypeVar("T")
_FRACTION = re.compile(r"-?\d*\.\d+")


@dataclass(frozen=True)
class HiddenTest:
    """The labels of a hidden test and the terms of its host."""

    emotions: pd.Series
    """Clip -> its true emotions, joined by `+`."""
    max_per_month: int = MAX_PER_MONTH
    """Recomputations of a submitter in a calendar month (UTC), at most."""
    percent: int = PERCENT
    """Scores are told in steps of so many percent."""
    submitter: str | None = None
    """Who sent the submissions, as the host knows it (an account); None: only they say."""

    def under(
        self,
        max_per_month: int | None = None,
        percent: int | None = None,
        submitter: str | None = None,
    ) -> "HiddenTest":
        """The same under other terms; None: as they are.

        Raises:
            SettingError: for terms that are out of bounds.
        """
        if max_per_month is not None:
            whole_number("max_per_month", max_per_month, 1, 1000)
        if percent is not None:
            whole_number("percent", percent, 1, MAX_PERCENT)
        if submitter is not None and not submitter.strip():
            raise SettingError("submitter: expected a name, found none")
        terms = {"max_per_month": max_per_month, "percent": percent, "submitter": submitter}
        return dataclasses.replace(
            self, **{name: value for name, value in terms.items() if value is not None}
        )

    def rounded(self, computed: "ScoredSubmission") -> "ScoredSubmission":
        """A submission as the board may show it: the scores of the cells by which models are ranked
        and their mean, with intervals, in steps, and ranked by what is shown.

        Nothing else of it: the predictions of each training set are free, so each transfer would
        tell one more score of the same clips. Each number more is one that a single clip can move
        over a step, and a corpus's own score moves further than its cell's. Nor marks of what looks
        odd, which count right and wrong decisions.
        """
        entry, ranked, errors = computed.entry, computed.ranked, computed.errors
        headline = {
            name: dataclasses.replace(number, standard_error=None)
            for name, number in entry.headline.items()
            if name in BASE
        }
        rows = [
            dataclasses.replace(
                row,
                corpora=dict.fromkeys(row.corpora),
                calibration_error=None,
                standard_error=None,
            )
            for row in entry.scores
            if f"{row.transfer}/{row.method}" in BASE
        ]
        entry = dataclasses.replace(
            entry,
            headline=in_steps(headline, self.percent),
            scores=in_steps(rows, self.percent),
            gaps=[],
            ages=[],
            oddities=[],
            steps_percent=self.percent,
        )
        if ranked is not None:
            ranked = dataclasses.replace(ranked, estimate=in_steps(ranked.estimate, self.percent))
        errors = dataclasses.replace(
            errors,
            wrong=[np.full_like(wrong, RIGHT) for wrong in errors.wrong],
            references=[np.zeros_like(references) for references in errors.references],
        )
        return computed._replace(entry=entry, ranked=ranked, errors=errors)

    def feedback(self, entry: Entry) -> str:
        """The line that whoever sent a submission may read, of its entry in steps."""
        numbers = {f"mean of cells ({name})": each for name, each in entry.headline.items()}
        numbers |= {
            f"{'+'.join(row.train) or 'nothing'} -> {row.test} ({row.method})": row
            for row in entry.scores
        }
        shown = [
            f"{name} {each.value:.0%}" for name, each in numbers.items() if each.value is not None
        ]
        return f"weighted F1 in steps of {self.percent} %: {', '.join(shown) or 'undefined'}"


def in_steps(value: T, percent: int) -> T:
    """Every fraction in a value, or a record or a container of such, rounded to whole steps, those
    that a text quotes too (Number.reason); the rest as it is.

    >>> in_steps({"low": 0.614, "n": 353, "value": 0.6251}, 1)
    {'low': 0.61, 'n': 353, 'value': 0.63}
    >>> in_steps([0.614, None], 5)
    [0.6, None]
    >>> in_steps("30, 10 gives 0.357 to 0.409", 1)
    '30, 10 gives 0.36 to 0.41'
    """
    if isinstance(value, str):
        return _FRACTION.sub(lambda match: f"{in_steps(float(match[0]), percent):g}", value)
    if isinstance(value, float):
        return round(round(value * 100 / percent) * percent / 100, 2)
    if dataclasses.is_dataclass(value):
        inner = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        return dataclasses.replace(value, **in_steps(inner, percent))
    if isinstance(value, dict):
        return {name: in_steps(inner, percent) for name, inner in value.items()}
    if isinstance(value, list):
        return [in_steps(inner, percent) for inner in value]
    return value
