"""Finished runs, read back from their folders, and which of them answer the same question."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bimotion.analysis.feature_space import record
from bimotion.errors import RecordError, SettingError, some
from bimotion.io.tables import points
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results import rescoring
from bimotion.results.record import Result
from bimotion.results.statistics.estimate import Interval

METRIC = "weighted_f1"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A finished run, read back from its folder."""

    result: Result
    predictions: pd.DataFrame

    @property
    def name(self) -> str:
        """Model, track and key."""
        return f"{self.result.title} ({self.result.track}, {self.result.key})"

    @property
    def schema(self) -> LabelSchema:
        """The label schema of its predictions, as they are scored."""
        return rescoring.schema_of(self.result)

    @property
    def settings(self) -> list[Setting]:
        """The settings that were run, in the order of the protocol."""
        return rescoring.settings_of(self.result)


def load(folders: Sequence[Path], say: Callable[[str], None] = _log.warning) -> list[Run]:
    """Runs of some folders. Those of `bimotion project`, which lie beside runs, are passed over;
    unfinished runs are too, and `say` gets a line about each. Raises RecordError, also where no
    finished run is left."""
    runs = [
        folder for folder in map(Path, folders) if not (folder / record.COVERAGE_FILE).is_file()
    ]
    if not runs:
        raise RecordError(
            "expected folders of runs, found only drawings of `bimotion project`: "
            f"{some(map(str, folders))}"
        )
    unfinished = [folder for folder in runs if rescoring.is_unfinished(folder)]
    if len(unfinished) == len(runs):
        raise RecordError(
            "expected folders of finished runs, found only unfinished ones: "
            f"{some(map(str, unfinished))}; run the same command again, which goes on where it was"
        )
    for folder in unfinished:
        say(f"{folder}: unfinished: run the same command again; passed over")
    return [Run(*rescoring.read(folder)) for folder in runs if folder not in unfinished]


def questions(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that answer the same question together: of one split, schema and set of clips. Raises
    SettingError for a run that stands twice."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        group = groups.setdefault(repr(_question(run)), [])
        if any(run.result.key == other.result.key for other in group):
            raise SettingError(f"expected each run once, found {run.name} twice")
        group.append(run)
    return list(groups.values())


def _question(run: Run) -> dict[str, object]:
    """The facts that are the same of runs that are compared."""
    split, schema, data = run.result.split, run.result.schema, run.result.data
    return {"split": split, "schema": schema, "data fingerprint": data.fingerprint}


def require_same_question(first: Run, other: Run) -> None:
    """Raise SettingError where two runs are not of the same question."""
    for name, value in _question(first).items():
        if (other_value := _question(other)[name]) != value:
            names = [
                str(getattr(fact, "rule", getattr(fact, "name", fact)))
                for fact in (value, other_value)
            ]
            differing = (
                " and ".join(names) if len(set(names)) > 1 else f"two versions of {names[0]}"
            )
            raise SettingError(
                f"cannot compare {first.result.key} and {other.result.key}: expected the same "
                f"{name}, found {differing}"
            )


def shared_settings(runs: Sequence[Run]) -> list[Setting]:
    """Settings that all runs have predictions of."""
    by_run = [run.settings for run in runs]
    shared = [setting for setting in by_run[0] if all(setting in known for known in by_run)]
    if not shared:
        raise SettingError(
            f"cannot compare {', '.join(run.name for run in runs)}: they share no setting"
        )
    return shared


class IntervalNotes:
    """Intervals as text for one table; `notes`, to stand below it: what must be known of them."""

    def __init__(self):
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """Each note once, in the order of its first interval."""
        return list(self._notes)

    def of(self, interval: Interval, text: Callable[[float | None], str] = points) -> str:
        """Low to high, marked where clips are drawn, or why there is none."""
        if interval.low is None:
            return interval.reason or "-"
        mark = {"speaker": "", "clip": " (clips)", "mixed": " (mixed)"}[interval.clusters]
        if mark:
            note = "(clips): clips were drawn, for no speaker, or only one, is known there"
            self._notes[f"{note}; (mixed): in some corpora"] = None
        if interval.reason:
            self._notes[interval.reason] = None
        return f"{text(interval.low)} to {text(interval.high)}{mark}"
