"""The plan of a copy of configs for the Hub: its files, the clips in each, and who may have it."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import datasets
import pandas as pd

from bimotion.corpora import CORPORA
from bimotion.corpora.card import Card
from bimotion.corpora.utterance import PARTS
from bimotion.data.huggingface.builder import CONFIGS, features
from bimotion.data.selection import Selection, select
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError, UnknownName
from bimotion.io.progress import Progress
from bimotion.protocol import cells as groups
from bimotion.protocol.cells import Cell

SHARD_HOURS = 5.0  # of sound: about 400 MB of FLAC
PERMISSIONS = {
    "audio": "sound and labels",
    "labels": "labels only, no converted sound",
    "nothing": "neither sound nor labels",
}
"""`redistribution` of a corpus's card -> what its licence lets others have."""


@dataclass(frozen=True)
class HubCopy:
    """Configs of one dataset, as files of their cells."""

    dataset: str
    configs: tuple[str, ...]
    cells: tuple[Cell, ...]
    metadata_only: bool
    selection: Selection

    @classmethod
    def planned(
        cls,
        configs: Iterable[str],
        source: CorpusSource,
        *,
        split_rule: str,
        fold: int,
        metadata_only: bool,
        progress: Progress,
    ) -> "HubCopy":
        """Plan a copy of configs; nothing is written.

        Raises:
            UnknownName: No dataset has such a config.
            SettingError: The configs are not of one dataset.
        """
        configs = tuple(dict.fromkeys(configs))
        owners = {config: dataset for dataset, known in CONFIGS.items() for config in known}
        if unknown := [config for config in configs if config not in owners]:
            raise UnknownName("config", unknown[0], owners)
        names = sorted({owners[config] for config in configs})
        if len(names) != 1:
            raise SettingError(
                f"expected configs of one dataset, found {', '.join(configs) or 'none'} of "
                f"{' and '.join(names)}"
            )
        cells = tuple(dict.fromkeys(cell for config in configs for cell in groups.union(config)))
        selection = select(source, cells, split_rule=split_rule, fold=fold, progress=progress)
        in_fold = selection.rows[selection.rows["part"].notna()].reset_index(drop=True)
        selection = replace(selection, rows=in_fold)
        return cls(names[0], configs, cells, metadata_only, selection)

    @property
    def features(self) -> datasets.Features:
        """Columns of a row: `audio` decodes as usual on the Hub; without sound there is no such
        column."""
        columns = features(decode=True)
        if self.metadata_only:
            del columns["audio"]
        return columns

    @cached_property
    def shards(self) -> dict[str, pd.DataFrame]:
        """Path of each file below the folder -> the clips in it."""
        rows_of = dict(iter(self.selection.rows.groupby(["cell", "part"])))
        shards = {}
        for cell, part in itertools.product(map(str, self.cells), PARTS):
            rows = rows_of.get((cell, part), self.selection.rows[:0])
            n_shards = max(1, round(rows["duration_s"].sum() / 3600 / SHARD_HOURS))
            for number in range(n_shards if len(rows) else 0):
                path = f"{cell}/{part}-{number:05}-of-{n_shards:05}.parquet"
                shards[path] = rows.iloc[number::n_shards]
        return shards

    def paths(self, config: str) -> dict[str, list[str]]:
        """Part -> its files in a config, sorted; of a part without a clip there is nothing."""
        names = tuple(f"{cell}/" for cell in groups.union(config))
        mine = [path for path in sorted(self.shards) if path.startswith(names)]
        paths = {part: [path for path in mine if f"/{part}-" in path] for part in PARTS}
        return {part: files for part, files in paths.items() if files}

    @property
    def filled_configs(self) -> list[str]:
        """Configs with a file: of those without a corpus there is nothing to load."""
        return [config for config in self.configs if self.paths(config)]

    def not_free(self) -> list[Card]:
        """Corpora of which nobody may pass on what would be exported; synthetic ones are free."""
        free = {"audio", "labels"} if self.metadata_only else {"audio"}
        rows = self.selection.rows
        used = [CORPORA[name].card for name in rows.loc[~rows["synthetic"], "corpus"].unique()]
        return [card for card in used if card.redistribution not in free]


def reasons(cards: Iterable[Card]) -> str:
    """`tess (CC-BY-NC-ND-4.0: labels only, no converted sound)`: corpora with what their licences
    give."""
    return "; ".join(
        f"{card.name} ({card.licence}: {PERMISSIONS[card.redistribution]})" for card in cards
    )
