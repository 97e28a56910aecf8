"""The scores of a run by setting: as recorded, of several seeds the mean; and whether the
predictions bear them out."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from bimotion.analysis.runs import METRIC, Run
from bimotion.protocol import cells
from bimotion.protocol.settings import Setting, SettingId
from bimotion.results.clip_predictions import test_set
from bimotion.results.record import Score
from bimotion.results.reservations import joined, reservations
from bimotion.results.scoring import (
    carried,
    likeness_of,
    numbered,
    setting_scores,
    trained_in,
)
from bimotion.results.statistics.estimate import Estimate, combined, mean_known, over_seeds
from bimotion.results.statistics.from_predictions import MEAN, by_setting
from bimotion.results.statistics.interval import Interval
from bimotion.results.statistics.spread import Likeness

Row = tuple[str, str]
"""(corpus, or `mean`, or `pooled`; metric)."""
UNIONS = {
    cells.union(name): name
    for name in (*map(str, cells.BIMOTION_CELLS), "eng", "zho", "eld", "adu", "all")
}
"""Cells -> the name of their union."""
TOLERANCE = 1e-6
"""Between a recorded score and the one that the predictions give."""


@dataclass(frozen=True)
class Scorebook:
    """Scores by setting."""

    rows: dict[Setting, dict[Row, Score]]
    """The score of each row; of several seeds the mean of those that are defined, with the interval
    of that mean."""
    headlines: dict[Setting, Estimate]
    """Weighted F1, mean over corpora and seeds, as a statistic of its speakers."""
    doubtful: list[str]
    """What the record says otherwise than the predictions, or not at all: one line a number."""

    reservations: dict[SettingId, str] = field(default_factory=dict)
    """Setting -> the marks of its headline (results/reservations.py)."""

    def mark(self, settings: Iterable[SettingId]) -> str:
        """The marks of the headlines of settings, each once."""
        return joined([self.reservations], settings)

    @property
    def settings(self) -> list[Setting]:
        """Those that have scores, in the order of the protocol."""
        return list(self.rows)

    def score(
        self, setting: Setting | None, where: str = MEAN, metric: str = METRIC
    ) -> Score | None:
        """One score; None where it was not computed."""
        return self.rows.get(setting, {}).get((where, metric))

    def corpora(self, setting: Setting) -> list[str]:
        """Corpora that a setting is tested on."""
        return sorted({score.corpus for score in self.rows[setting].values() if score.corpus})

    def by_corpus(self) -> Iterator[tuple[Setting, str, Score]]:
        """Every setting and corpus that it is tested on, with the score."""
        for setting in self.settings:
            for corpus in self.corpora(setting):
                if score := self.score(setting, corpus):
                    yield setting, corpus, score

    def mean(self, settings: Sequence[Setting | None]) -> Interval | None:
        """Mean of the headlines of several settings; None where any is missing, so that means stay
        comparable."""
        if any(setting not in self.headlines for setting in settings):
            return None
        return combined(mean_known, *(self.headlines[setting] for setting in settings)).interval()


def scorebook(run: Run) -> Scorebook:
    """The scores of a run.

    Example::

        [run] = runs.load([Path("results/bimotion__prosody/0123456789ab")])
        book = scorebook.scorebook(run)
        book.score(book.settings[0]).value
    """
    tables = dict(list(run.predictions.groupby(["train", "cell", "seed"])))
    all_recorded = _recorded(run)
    estimates: dict[Setting, list[dict[Row, Estimate]]] = {}
    headlines, doubtful = {}, []
    for setting, recorded in all_recorded.items():
        train, cell, name = setting.training_set, str(setting.test), name_of(setting)
        of_seeds = {seed: tables.get((train, cell, seed)) for seed in run.result.seeds}
        if missing := [str(seed) for seed, table in of_seeds.items() if table is None]:
            doubtful.append(f"{name}: no predictions of seed {', '.join(missing)}")
        else:
            again = _scored_again(run, setting, of_seeds)
            doubtful += [
                f"{name}: {row[1]} of {row[0]}"
                for row in dict.fromkeys([*recorded, *again])
                if not _agree([score.value for score in recorded.get(row, [])], again.get(row, []))
            ]
            estimates[setting] = next(
                by_setting(run.predictions, [setting], run.schema, ranked=True)
            )
            of_seed = [known[MEAN, METRIC] for known in estimates[setting]]
            headlines[setting] = over_seeds(run.result.seeds, of_seed)
    rows = _averages(run, all_recorded, estimates)
    return Scorebook(rows, headlines, doubtful, reservations(run.result))


def _averages(
    run: Run,
    recorded: dict[Setting, dict[Row, list[Score]]],
    estimates: dict[Setting, list[dict[Row, Estimate]]],
) -> dict[Setting, dict[Row, Score]]:
    """The mean of each row over seeds."""
    known: dict[tuple[Setting, Row], list[Estimate]] = {}
    for setting, rows in recorded.items():
        for where, metric in rows:
            key = (where, numbered(metric, run.schema))
            of_seeds = [each[key] for each in estimates.get(setting, ()) if key in each]
            known[setting, (where, metric)] = of_seeds
    likeness = likeness_of(
        (where, numbered(metric, run.schema), estimate.spread)
        for (_, (where, metric)), of_seeds in known.items()
        for estimate in of_seeds
    )
    return {
        setting: {
            row: _average(
                scores, known[setting, row], carried(likeness, numbered(row[1], run.schema))
            )
            for row, scores in rows.items()
        }
        for setting, rows in recorded.items()
    }


def _scored_again(
    run: Run, setting: Setting, of_seeds: dict[int, pd.DataFrame]
) -> dict[Row, list[float | None]]:
    """Row -> a value a seed, from the predictions."""
    again = defaultdict(list)
    for seed, table in of_seeds.items():
        clips = test_set(table, run.schema)
        for score in setting_scores(setting, clips, trained_in(table), run.schema, seed):
            again[score.corpus or score.pooling, score.metric].append(score.value)
    return again


def _recorded(run: Run) -> dict[Setting, dict[Row, list[Score]]]:
    """Setting -> row -> a score a seed. Zero-shot settings may differ in their corpora only, which
    scores do not say: those stand in the order of the protocol."""
    by_seed = defaultdict(list)
    for score in run.result.scores:
        row = (score.corpus or score.pooling, score.metric)
        by_seed[SettingId.of(score), row, score.seed].append(score)
    n_before: Counter = Counter()
    recorded = defaultdict(dict)
    for setting in run.settings:
        nth = n_before[setting.id]
        n_before[setting.id] += 1
        for row in dict.fromkeys(row for _, row, _ in by_seed):
            keys = [(setting.id, row, seed) for seed in run.result.seeds]
            if scores := [by_seed[key][nth] for key in keys if len(by_seed.get(key, ())) > nth]:
                recorded[setting][row] = scores
    return recorded


def _average(scores: list[Score], estimates: list[Estimate], likeness: Likeness) -> Score:
    """The mean over seeds; `likeness`: in the whole run, as for the record of one seed."""
    if len(scores) == 1:
        return scores[0]
    known = [score.value for score in scores if score.value is not None]
    changes = {"low": None, "high": None, "standard_error": None, "reason": "no predictions"}
    if estimates:
        mean = over_seeds([score.seed for score in scores], estimates)
        interval = mean.spread.with_likeness(likeness).interval()
        changes = {name: getattr(interval, name) for name in changes}
    return replace(scores[0], value=sum(known) / len(known) if known else None, **changes)


def _agree(recorded: list[float | None], again: list[float | None]) -> bool:
    """Return whether numbers, one a seed, are the same, and undefined in the same seeds."""
    pairs = zip(recorded, again, strict=False)
    return len(recorded) == len(again) and all(
        old is new if None in (old, new) else abs(old - new) <= TOLERANCE for old, new in pairs
    )


def name_of(setting: Setting) -> str:
    """A setting in words.

    >>> from bimotion.protocol import settings as protocol
    >>> [name_of(setting) for setting in protocol.settings("augmentation")[4:7]]
    ['cross-age, eng → eng_eld', 'cross-lingual, eld → eng_eld', 'cross-all, all → eng_eld']
    """
    if not setting.train:
        return tested_on(setting)
    return f"{setting.transfer}, {trained_on(setting)} → {tested_on(setting)}"


def trained_on(setting: Setting) -> str:
    """Its training cells, by the name of their union where that has one, and the size that they are
    drawn down to."""
    name = UNIONS.get(setting.train) or " + ".join(setting.train_names) or "nothing"
    half = ", half of them its own" if setting.halved else ""
    return f"{name}, as many clips as {setting.size_of}{half}" if setting.size_of else name


def tested_on(setting: Setting) -> str:
    """Its test cell, and the corpora where these are not all."""
    corpora = f" of {', '.join(setting.corpora)}" if setting.corpora else ""
    return f"{setting.test}{corpora}"
