"""Finished runs, read back from their folders, and which of them answer the same question."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from bimotion.analysis.feature_space import record
from bimotion.errors import RecordError, SettingError, some
from bimotion.io.tables import points
from bimotion.protocol.labels import LabelSchema
from bimotion.protocol.settings import Setting
from bimotion.results import rescoring
from bimotion.results.record import Result
from bimotion.results.statistics.interval import Interval

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
    def seeds_note(self) -> str | None:
        """The note on a run of something that has a seed, and that was run with one."""
        if not self.result.is_seeded or len(self.result.seeds) > 1:
            return None
        return f"{self.name}: one seed: all that is said is of this checkpoint"

    @cached_property
    def test_clips(self) -> dict[tuple[str, str], int]:
        """(training set, cell) -> a sum of hashes of its test clips."""
        hashes = pd.util.hash_array(self.predictions["id"].to_numpy(object))
        first = self.predictions["seed"] == self.predictions["seed"].min()
        names = [self.predictions[name] for name in ("train", "cell")]
        return pd.Series(hashes)[first.to_numpy()].groupby(names).sum().to_dict()

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
    """Runs that answer the same question together: of one split and schema, on the same test clips
    in the settings that all of them share, whatever else their protocols hold. Raises SettingError
    for a run that stands twice."""
    groups: list[list[Run]] = []
    for run in runs:
        if any(run.result.key == other.result.key for group in groups for other in group):
            raise SettingError(f"expected each run once, found {run.name} twice")
        for group in groups:
            if why_not_compared([*group, run]) is None:
                group.append(run)
                break
        else:
            groups.append([run])
    return groups


def why_not_compared(runs: Sequence[Run]) -> str | None:
    """The reason why runs cannot be compared: another split or schema, no setting that all share,
    or other test clips; None where they can."""
    first = runs[0].result
    for other in (run.result for run in runs[1:]):
        pair = f"cannot compare {first.key} and {other.key}"
        versions = [result.split.version for result in (first, other)]
        if versions[0] != versions[1]:
            return (
                f"{pair}: expected one version of the numbers, found {' and '.join(versions)}: run "
                "the older one again"
            )
        for name in ("split", "schema"):
            if (value := getattr(first, name)) != (other_value := getattr(other, name)):
                names = [fact.name for fact in (value, other_value)]
                is_same = names[0] == names[1]
                differing = f"two versions of {names[0]}" if is_same else " and ".join(names)
                how = "evaluate both with the same --split-rule, --folds and --schema"
                return f"{pair}: expected the same {name}, found {differing}: {how}"
    if not (shared := _shared(runs)):
        return f"cannot compare {', '.join(run.name for run in runs)}: they share no setting"
    for setting in shared:
        clips = {run.test_clips[setting.training_set, str(setting.test)] for run in runs}
        if len(clips) > 1:
            return (
                f"cannot compare {', '.join(run.name for run in runs)}: expected the same test "
                f"clips of {setting.test}, found others"
            )
    return None


def shared_settings(runs: Sequence[Run]) -> list[Setting]:
    """Settings that all runs have predictions of; raises SettingError where they cannot be
    compared."""
    if reason := why_not_compared(runs):
        raise SettingError(reason)
    return _shared(runs)


def _shared(runs: Sequence[Run]) -> list[Setting]:
    by_run = [run.settings for run in runs]
    return [setting for setting in by_run[0] if all(setting in known for known in by_run)]


class IntervalNotes:
    """Intervals as text for one table; `notes`, to stand below it: what must be known of them."""

    def __init__(self):
        self._meanings: dict[str, None] = {}
        self._reasons: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        """The meaning of marks, and each thing that intervals rest on once, in one line."""
        return [*self._meanings, *filter(None, ["; ".join(self._reasons)])]

    def of(self, interval: Interval, text: Callable[[float | None], str] = points) -> str:
        """Low to high, marked where speakers are unknown, or why there is none."""
        if interval.low is None:
            return interval.reason or "-"
        mark = ""
        if interval.clusters != "speaker":
            mark = f" ({interval.clusters})"
            note = "(latent): no speaker is known there, their number is stated"
            if interval.band:
                low, high = interval.band.spans["few"]
                mark = f" ({interval.clusters}; few: {text(low)} to {text(high)})"
                note += "; few: as few speakers as there may be"
            self._meanings[f"{note}; (mixed): of some clips"] = None
        if interval.reason:
            self._reasons |= dict.fromkeys(interval.reason.split("; "))
        return f"{text(interval.low)} to {text(interval.high)}{mark}"
