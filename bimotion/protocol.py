"""What is trained on what, and tested on what: the three ways of transfer of arXiv 2306.14517, section 3.

A Setting names cells only. Each distinct training set is fitted once and serves every setting that needs it: over
BiMotion nine sets (4 cells, 2 languages, 2 ages, everything) serve Tables 3 and 4.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bimotion import groups
from bimotion.errors import UnknownName
from bimotion.groups import Cell

PROTOCOL_VERSION = "1"
TRANSFERS = ("in-group", "cross-age", "cross-lingual", "cross-all")


@dataclass(frozen=True)
class Setting:
    """Train on the train parts of some cells, test on the test part of one.

    transfer   how the training cells relate to the test cell
    method     `inference`: other cells only (Table 3); `augmentation`: the test cell too (Table 4)
    """

    transfer: str
    method: str
    train: tuple[Cell, ...]
    test: Cell

    @property
    def train_names(self) -> tuple[str, ...]:
        return tuple(map(str, self.train))


def in_group(cells: Iterable[Cell]) -> list[Setting]:
    """The baseline of both tables: train and test in the same cell."""
    return [Setting("in-group", "inference", (cell,), cell) for cell in cells]


def inference(cells: Iterable[Cell]) -> list[Setting]:
    """Table 3: train on one other cell.

    >>> [str(setting.train[0]) for setting in inference([Cell("zho", "eld")])]
    ['zho_adu', 'eng_eld', 'eng_adu']
    """
    return [
        Setting(transfer, "inference", (source,), cell)
        for cell in cells
        for transfer, source in zip(TRANSFERS[1:], (cell.cross_age(), cell.cross_lingual(), cell.cross_all()), strict=True)
    ]


def augmentation(cells: Iterable[Cell]) -> list[Setting]:
    """Table 4: train on all ages of the language, all languages of the age, everything.

    >>> [len(setting.train) for setting in augmentation([Cell("zho", "eld")])]
    [2, 2, 4]
    """
    return [
        Setting(transfer, "augmentation", train, cell)
        for cell in cells
        for transfer, train in zip(
            TRANSFERS[1:], (groups.union(cell.language), groups.union(cell.age_group), groups.union("all")), strict=True
        )
    ]


def _all(cells: Iterable[Cell]) -> list[Setting]:
    cells = list(cells)
    return in_group(cells) + inference(cells) + augmentation(cells)


PROTOCOLS = {
    "in-group": in_group,
    "inference": lambda cells: in_group(cells) + inference(cells),
    "augmentation": lambda cells: in_group(cells) + augmentation(cells),
    "all": _all,
}
"""Name -> settings for some test cells. The tables' baseline row is part of each."""


def settings(protocol: str, cells: Iterable[Cell] = groups.BIMOTION_CELLS) -> list[Setting]:
    """Settings of a named protocol; raises UnknownName.

    >>> plan = settings("all")
    >>> len(plan), len({setting.train for setting in plan})
    (28, 9)
    """
    if protocol not in PROTOCOLS:
        raise UnknownName("protocol", protocol, PROTOCOLS)
    return PROTOCOLS[protocol](tuple(cells))
