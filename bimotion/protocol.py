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
METHODS = ("inference", "augmentation", "distance", "zero-shot")
CROSS = ("cross-age", "cross-lingual", "cross-all")
TRANSFERS = ("in-group", *CROSS, "zero-shot")


@dataclass(frozen=True)
class Setting:
    """Train on the train parts of some cells, test on the test part of one.

    transfer   how the training cells relate to the test cell
    method     `inference`: other cells only (Table 3); `augmentation`: the test cell too (Table 4); `distance`: Cantonese
               with other languages (Table 5); `zero-shot`: nothing is trained
    corpora    the only corpora that it uses; None: all
    """

    transfer: str
    method: str
    train: tuple[Cell, ...]
    test: Cell
    corpora: tuple[str, ...] | None = None

    @property
    def training_set(self) -> str:
        """Name of what is trained on: settings of one name share one training."""
        cells = "+".join(map(str, self.train)) or "nothing"
        return f"{cells}@{'+'.join(self.corpora)}" if self.corpora else cells

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
        for transfer, source in zip(CROSS, (cell.cross_age(), cell.cross_lingual(), cell.cross_all()), strict=True)
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
            CROSS, (groups.union(cell.language), groups.union(cell.age_group), groups.union("all")), strict=True
        )
    ]


DISTANCE_CORPORA = ("esd", "yuemotion")


def distance() -> list[Setting]:
    """Table 5: Cantonese adults alone, with English, with Mandarin, with both; of English and Mandarin, ESD only.

    >>> [setting.training_set for setting in distance()][1]
    'yue_adu+eng_adu@esd+yuemotion'
    """
    yue, eng, zho = Cell("yue", "adu"), Cell("eng", "adu"), Cell("zho", "adu")
    return [
        Setting("in-group" if train == (test,) else "cross-lingual", "distance", train, test, DISTANCE_CORPORA)
        for train in ((yue,), (yue, eng), (yue, zho), (yue, eng, zho))
        for test in train
    ]


BASELINE = in_group(groups.BIMOTION_CELLS)
PROTOCOLS = {
    "in-group": BASELINE,
    "inference": BASELINE + inference(groups.BIMOTION_CELLS),
    "augmentation": BASELINE + augmentation(groups.BIMOTION_CELLS),
    "distance": distance(),
    "all": BASELINE + inference(groups.BIMOTION_CELLS) + augmentation(groups.BIMOTION_CELLS) + distance(),
}
"""Name -> settings. The baseline row of Tables 3 and 4 is part of each of theirs."""


def settings(protocol: str, cells: Iterable[Cell] | None = None, *, trains: bool = True) -> list[Setting]:
    """Settings of a named protocol, of those that test on some cells (None: on any). Raises UnknownName.

    `trains`: False for a model that is used as it is: one setting for each distinct test set, trained on nothing.

    >>> plan = settings("all")
    >>> len(plan), len({setting.training_set for setting in plan})
    (36, 13)
    >>> [str(setting.test) for setting in settings("all", trains=False)]
    ['eng_eld', 'eng_adu', 'zho_eld', 'zho_adu', 'yue_adu', 'eng_adu', 'zho_adu']
    """
    if protocol not in PROTOCOLS:
        raise UnknownName("protocol", protocol, PROTOCOLS)
    wanted = None if cells is None else set(cells)
    found = [setting for setting in PROTOCOLS[protocol] if wanted is None or setting.test in wanted]
    if trains:
        return found
    tests = dict.fromkeys((setting.test, setting.corpora) for setting in found)
    return [Setting("zero-shot", "zero-shot", (), test, corpora) for test, corpora in tests]
