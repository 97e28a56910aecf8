"""The scores of a run by setting: as recorded, of several seeds the mean; and whether the
predictions bear them out."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bimotion.analysis.compare import METRIC, Run
from bimotion.protocol import cells
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting, SettingId
from bimotion.results.record import Score
from bimotion.results.scoring import setting_scores
from bimotion.results.statistics.bootstrap import MEAN, BootstrapDraws, by_setting
from bimotion.results.statistics.estimate import Estimate, Interval, combined, mean_known

Place = tuple[str, str]
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
    """Scores by setting.

    rows        setting -> place -> score; of several seeds the mean of those that are defined, with
                the interval of that mean
    headlines   setting -> weighted F1, mean over corpora and seeds, as a statistic of its speakers
    doubtful    what the record says otherwise than the predictions, or not at all: one line a
                number
    """

    rows: dict[Setting, dict[Place, Score]]
    headlines: dict[Setting, Estimate]
    doubtful: list[str]

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

    def mean(self, settings: Sequence[Setting | None]) -> Interval | None:
        """Mean of the headlines of several settings; None where any is missing, so that means stay
        comparable."""
        if any(setting not in self.headlines for setting in settings):
            return None
        return combined(mean_known, *(self.headlines[setting] for setting in settings)).interval()


def scorebook(run: Run) -> Scorebook:
    """The scores of a run.

    Example::

        [run] = comparing.load([Path("results/bimotion__prosody/0123456789ab")])
        book = scorebook.scorebook(run)
        book.score(book.settings[0]).value
    """
    draws, tables = BootstrapDraws(), dict(list(run.predictions.groupby(["train", "cell", "seed"])))
    rows, headlines, doubtful = {}, {}, []
    for setting, by_place in _recorded(run).items():
        of_seeds = {
            seed: tables.get((setting.training_set, str(setting.test), seed))
            for seed in run.result.seeds
        }
        if missing := [seed for seed, table in of_seeds.items() if table is None]:
            doubtful.append(
                f"{name_of(setting)}: no predictions of seed {', '.join(map(str, missing))}"
            )
            rows[setting] = {place: _average(scores, []) for place, scores in by_place.items()}
            continue
        again = _scored_again(run, setting, of_seeds)
        doubtful += [
            f"{name_of(setting)}: {place[1]} of {place[0]}"
            for place in dict.fromkeys([*by_place, *again])
            if not _agree([score.value for score in by_place.get(place, [])], again.get(place, []))
        ]
        statistics = [
            _named(one, run.schema)
            for one in next(by_setting(run.predictions, [setting], run.schema, draws))
        ]
        rows[setting] = {
            place: _average(scores, [one[place] for one in statistics if place in one])
            for place, scores in by_place.items()
        }
        headlines[setting] = combined(mean_known, *(one[MEAN, METRIC] for one in statistics))
    return Scorebook(rows, headlines, doubtful)


def _scored_again(
    run: Run, setting: Setting, of_seeds: dict[int, pd.DataFrame]
) -> dict[Place, list[float | None]]:
    """Place -> a value a seed, from the predictions."""
    again = defaultdict(list)
    for seed, table in of_seeds.items():
        for score in setting_scores(setting, table, run.schema, seed):
            again[score.corpus or score.pooling, score.metric].append(score.value)
    return again


def _recorded(run: Run) -> dict[Setting, dict[Place, list[Score]]]:
    """Setting -> place -> a score a seed. Zero-shot settings may differ in their corpora alone,
    which scores do not say: those stand in the order of the protocol."""
    found = defaultdict(list)
    for score in run.result.scores:
        place = (score.corpus or score.pooling, score.metric)
        found[SettingId.of(score), score.seed, place].append(score)
    places = list(dict.fromkeys(key[-1] for key in found))
    seen: Counter = Counter()
    recorded = {}
    for setting in run.settings:
        nth, seen[setting.id] = seen[setting.id], seen[setting.id] + 1
        scores = {
            place: [
                rows[nth]
                for seed in run.result.seeds
                if len(rows := found.get((setting.id, seed, place), ())) > nth
            ]
            for place in places
        }
        if scores := {place: rows for place, rows in scores.items() if rows}:
            recorded[setting] = scores
    return recorded


def _named(statistics: dict[Place, Estimate], schema: LabelSchema) -> dict[Place, Estimate]:
    """F1 of a class by its name, as in scores, instead of its number."""
    names = {f"f1_{number}": f"f1_{name}" for number, name in enumerate(schema.classes)}
    return {(where, names.get(metric, metric)): one for (where, metric), one in statistics.items()}


def _average(scores: list[Score], statistics: list[Estimate]) -> Score:
    if len(scores) == 1:
        return scores[0]
    known = [score.value for score in scores if score.value is not None]
    value = sum(known) / len(known) if known else None
    if not statistics:
        return replace(
            scores[0],
            value=value,
            low=None,
            high=None,
            standard_error=None,
            reason="no predictions",
        )
    found = combined(mean_known, *statistics).interval()
    return replace(
        scores[0],
        value=value,
        low=found.low,
        high=found.high,
        standard_error=found.standard_error,
        reason=found.reason,
    )


def _agree(recorded: list[float | None], again: list[float | None]) -> bool:
    """Whether numbers, one a seed, are the same, and undefined in the same places."""
    pairs = zip(recorded, again, strict=False)
    return len(recorded) == len(again) and all(
        one is two if None in (one, two) else abs(one - two) <= TOLERANCE for one, two in pairs
    )


def name_of(setting: Setting) -> str:
    """A setting in words.

    >>> from bimotion.protocol import settings as protocol
    >>> [name_of(setting) for setting in protocol.settings("augmentation")[4:7]]
    ['cross-age, eng → eng_eld', 'cross-lingual, eld → eng_eld', 'cross-all, all → eng_eld']
    """
    return (
        f"{setting.transfer}, {trained_on(setting)} → {tested_on(setting)}"
        if setting.train
        else tested_on(setting)
    )


def trained_on(setting: Setting) -> str:
    """Its training cells, by the name of their union where that has one."""
    return UNIONS.get(setting.train) or " + ".join(setting.train_names) or "nothing"


def tested_on(setting: Setting) -> str:
    """Its test cell, and the corpora where these are not all."""
    return (
        f"{setting.test} of {', '.join(setting.corpora)}" if setting.corpora else str(setting.test)
    )
