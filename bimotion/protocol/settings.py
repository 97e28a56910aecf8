"""Settings, which name the cells that are trained on and the cell that is tested: the three ways of
transfer of arXiv 2306.14517, section 3, and more languages.

A Setting names cells only. Each distinct training set is fitted once and serves every setting that
needs it: over BiMotion nine sets (4 cells, 2 languages, 2 ages, everything) serve Tables 3 and 4.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from bimotion.errors import known_name
from bimotion.protocol import cells as groups
from bimotion.protocol.cells import Cell

TRACKS = ("probe", "finetune", "zero-shot")
"""How a model is used."""
MATCHED, HALVED = "augmentation-matched", "augmentation-halved"
TWINS = {
    MATCHED: "in-group size: the same mixture, drawn down to as many clips as the baseline has; "
    "what it gains is not of more clips",
    HALVED: "half own: half of the baseline's clips, and as many of the mixture's other cells (all "
    "where these have fewer, and then more of its own); the baseline doubles it by its own clips",
}
"""Method of a twin of Table 4 -> its name and what it is."""
METHODS = (
    *("inference", "augmentation", *TWINS, "distance", "extension", "cantonese", "leakage"),
    "zero-shot",
)
BY_TRAINING_SET = ("distance", "extension", "cantonese", "leakage")
"""Methods in which several settings share transfer and test cell: `Setting.train_names` tells them
apart."""
CROSS = ("cross-age", "cross-lingual", "cross-all")
TRANSFERS = ("in-group", *CROSS, "zero-shot")


class SettingId(NamedTuple):
    """The name of a setting in a record."""

    transfer: str
    """How it transfers."""
    method: str
    """By which method."""
    train: tuple[str, ...]
    """From which training cells (`Setting.train_names`)."""
    test: str
    """To which test cell."""

    @classmethod
    def of(cls, row: object) -> "SettingId":
        """The name in a row of a record that has these four fields: a score, a skipped setting."""
        return cls(row.transfer, row.method, tuple(row.train), row.test)


@dataclass(frozen=True)
class Setting:
    """Train on the train parts of some cells, test on the test part of one."""

    transfer: str
    """How the training cells relate to the test cell."""
    method: str
    """`inference`: other cells only (Table 3); `augmentation`: the test cell too (Table 4);
    `augmentation-matched`: the same clips, drawn down to the in-group size; `augmentation-halved`:
    of that size, half of them the test cell's own; `distance`: Cantonese
    with other languages (Table 5); `extension`: English to German, Persian,
    Urdu; `cantonese`: to Cantonese; `leakage`: one corpus of a cell, with one leak or none;
    `zero-shot`: nothing is trained."""
    train: tuple[Cell, ...]
    """Training cells."""
    test: Cell
    """Test cell."""
    corpora: tuple[str, ...] | None = None
    """The only corpora that it uses, for training and for testing; None: all."""
    size_of: Cell | None = None
    """The cell whose numbers of training and validation clips its own are drawn down to, every
    class of every corpus in proportion; None: it has them all."""
    halved: bool = False
    """Half of the clips of `size_of` are its own, the others of the other cells (as far as these
    have so many); else each cell has its proportion."""
    leak: str | None = None
    """What training knows of the test beforehand (`LEAKS`, data/leakage.py); None: the split rule
    says, and all of the cell's test clips are tested."""

    @property
    def training_set(self) -> str:
        """Name of what is trained on: settings of one name share one training."""
        cells = "+".join(map(str, self.train)) or "nothing"
        corpora = f"@{'+'.join(self.corpora)}" if self.corpora else ""
        drawn = self.leak or str(self.size_of or "")
        drawn = f"half-{drawn}" if self.halved else drawn
        return f"{cells}{corpora}~{drawn}" if drawn else f"{cells}{corpora}"

    @property
    def train_names(self) -> tuple[str, ...]:
        """Names of the training cells, as scores have them. Those of `extension` differ in their
        corpora, `eng_adu@iemocap`; of `leakage`, in their leak, too: `eng_adu@iemocap~speaker`."""
        if self.leak:
            return (self.training_set,)
        if self.method == "extension" and self.corpora:
            sources = "+".join(name for name in self.corpora if name not in EXTENSION_CORPORA)
            return tuple(f"{cell}@{sources}" for cell in self.train)
        return tuple(map(str, self.train))

    @property
    def id(self) -> SettingId:
        """Its name in a record."""
        return SettingId(self.transfer, self.method, self.train_names, str(self.test))


class TrainingSetParts(NamedTuple):
    """The parts of a `Setting.training_set`."""

    cells: tuple[str, ...]
    """Names of its cells."""
    corpora: tuple[str, ...] | None
    """None: all."""
    drawn: str
    """How it is drawn: the name of the cell whose size it has (half- of which half is), or its
    leak; empty: all clips."""


def training_set_parts(name: str) -> TrainingSetParts:
    """The parts of the name of a training set.

    >>> training_set_parts("yue_adu+eng_adu@esd+yuemotion")
    TrainingSetParts(cells=('yue_adu', 'eng_adu'), corpora=('esd', 'yuemotion'), drawn='')
    >>> training_set_parts("eng_eld+eng_adu~eng_eld").drawn
    'eng_eld'
    """
    clips, _, drawn = name.partition("~")
    cells, _, corpora = clips.partition("@")
    return TrainingSetParts(
        tuple(cells.split("+")), tuple(corpora.split("+")) if corpora else None, drawn
    )


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
        for transfer, source in (
            ("cross-age", cell.cross_age()),
            ("cross-lingual", cell.cross_lingual()),
            ("cross-all", cell.cross_all()),
        )
    ]


def augmentation(cells: Iterable[Cell]) -> list[Setting]:
    """Table 4: train on all ages of the language, all languages of the age, everything.

    >>> [len(setting.train) for setting in augmentation([Cell("zho", "eld")])]
    [2, 2, 4]
    """
    return [
        Setting(transfer, "augmentation", groups.union(name), cell)
        for cell in cells
        for transfer, name in (
            ("cross-age", cell.language),
            ("cross-lingual", cell.age_group),
            ("cross-all", "all"),
        )
    ]


def matched(cells: Iterable[Cell]) -> list[Setting]:
    """Table 4 without more clips: its mixtures, drawn down to the size of the in-group baseline,
    and with half of that of their own.

    >>> [setting.training_set for setting in matched([Cell("zho", "eld")])][::3]
    ['zho_eld+zho_adu~zho_eld', 'zho_eld+zho_adu~half-zho_eld']
    """
    mixtures = augmentation(cells)
    return [twin(setting, method) for method in TWINS for setting in mixtures]


def twin(setting: Setting, method: str) -> Setting:
    """A setting of Table 4 with as many training clips as the in-group baseline."""
    return replace(setting, method=method, size_of=setting.test, halved=method == HALVED)


LEAKS = ("none", "speaker", "text")
"""Leaks of protocol `leakage`."""
LEAKAGE_CORPORA = {
    "crema_d": ("eng_eld", "eng_adu"),
    "esd": ("eng_adu", "zho_adu"),
    "iemocap": ("eng_adu",),
    "tess": ("eng_eld", "eng_adu"),
    "yuemotion": ("yue_adu", "yue_eld"),
}
"""Corpus -> its cells, of the corpora whose speakers, or texts, can be kept apart."""
LEAKS_LACKING = {"iemocap": "text", "tess": "speaker"}
"""Corpus -> the leak that it cannot have: its texts are not known; a cell is one speaker."""


def leakage() -> list[Setting]:
    """Training sets of one corpus and cell that differ in one leak.

    >>> [setting.train_names[0] for setting in leakage()[:3]]
    ['eng_eld@crema_d~none', 'eng_eld@crema_d~speaker', 'eng_eld@crema_d~text']
    """
    return [
        Setting("in-group", "leakage", (cell,), cell, (corpus,), leak=leak)
        for corpus, names in LEAKAGE_CORPORA.items()
        for cell in map(Cell.parse, names)
        for leak in LEAKS
        if leak != LEAKS_LACKING.get(corpus)
    ]


DISTANCE_CORPORA = ("esd", "yuemotion")


def distance() -> list[Setting]:
    """Table 5: Cantonese adults by themselves, with English, with Mandarin, with both; of English
    and Mandarin, ESD only.

    >>> [setting.training_set for setting in distance()][1]
    'yue_adu+eng_adu@esd+yuemotion'
    """
    yue, eng, zho = (Cell(language, "adu") for language in ("yue", "eng", "zho"))
    return [
        Setting(
            "in-group" if train == (test,) else "cross-lingual",
            "distance",
            train,
            test,
            DISTANCE_CORPORA,
        )
        for train in ((yue,), (yue, eng), (yue, zho), (yue, eng, zho))
        for test in train
    ]


EXTENSION_CORPORA = ("emo_db", "shemo", "urdu")
EXTENSION_SOURCES = (("iemocap",), ("crema_d",), None)
"""English corpora to train on, as the literature does: IEMOCAP, CREMA-D; None: all English adults
of BiMotion."""


def extension() -> list[Setting]:
    """The literature's cross-lingual setting (arXiv 2108.08663): English adults to EMO-DB, ShEMO
    and URDU, and in-group.

    All three tests of a source share one training.

    >>> [setting.training_set for setting in extension()][3]
    'eng_adu@crema_d+emo_db+shemo+urdu'
    >>> {setting.train_names for setting in extension()} >= {("eng_adu@iemocap",), ("eng_adu",),
    ...     ("deu_adu",)}
    True
    """
    corpora = [source and (*source, *EXTENSION_CORPORA) for source in EXTENSION_SOURCES]
    english = (Cell("eng", "adu"),)
    return [
        Setting("cross-lingual", "extension", english, cell, used)
        for used in corpora
        for cell in groups.EXTENSION_CELLS
    ] + [Setting("in-group", "extension", (cell,), cell) for cell in groups.EXTENSION_CELLS]


def cantonese() -> list[Setting]:
    """Cross-group inference into both cells of YueMotion: from each other, and from each cell of
    BiMotion.

    >>> [(setting.transfer, str(setting.train[0])) for setting in cantonese()][:3]
    [('in-group', 'yue_adu'), ('cross-age', 'yue_eld'), ('cross-lingual', 'eng_adu')]
    """
    plan = []
    for cell in groups.YUEMOTION_CELLS:
        other = cell.cross_age()
        sources = [("in-group", cell), ("cross-age", other)]
        sources += [("cross-lingual", Cell(name, cell.age_group)) for name in ("eng", "zho")]
        sources += [("cross-all", Cell(name, other.age_group)) for name in ("eng", "zho")]
        plan += [Setting(transfer, "cantonese", (source,), cell) for transfer, source in sources]
    return plan


def cantonese_of_script() -> list[Setting]:
    """The Cantonese training sets of the paper's run_training.sh: all ages, elderly and others,
    tested on both cells of YueMotion (others, who are adults, on adults: Table 5's first row).

    >>> [f"{setting.training_set} -> {setting.test}" for setting in cantonese_of_script()[:2]]
    ['yue_adu+yue_eld@esd+yuemotion -> yue_adu', 'yue_adu+yue_eld@esd+yuemotion -> yue_eld']
    """
    adults, elderly = groups.YUEMOTION_CELLS
    pairs = [
        (train, test)
        for train in ((adults, elderly), (elderly,), (adults,))
        for test in groups.YUEMOTION_CELLS
    ]
    pairs.remove(((adults,), adults))
    return [
        Setting(
            "in-group" if train == (test,) else "cross-age",
            "cantonese",
            train,
            test,
            DISTANCE_CORPORA,  # of Table 5, so that adults are trained once
        )
        for train, test in pairs
    ]


BASELINE = in_group(groups.BIMOTION_CELLS)
_TABLE_3, _TABLE_4 = inference(groups.BIMOTION_CELLS), augmentation(groups.BIMOTION_CELLS)
PROTOCOLS = {
    "in-group": BASELINE,
    "inference": BASELINE + _TABLE_3,
    "augmentation": BASELINE + _TABLE_4,
    MATCHED: BASELINE + _TABLE_4 + matched(groups.BIMOTION_CELLS),
    "distance": distance(),
    "extension": extension(),
    "cantonese": cantonese(),
    "leakage": leakage(),
    "all": BASELINE + _TABLE_3 + _TABLE_4 + distance(),
    "paper": BASELINE + _TABLE_3 + _TABLE_4 + distance() + cantonese_of_script(),
}
"""Name -> settings. The baseline row of Tables 3 and 4 is part of each of theirs; `all` is Tables 3
to 5, `paper` also what the paper's script trains for Cantonese; `augmentation-matched` is Table 4
and its twins of the in-group size."""


def settings(
    protocol: str, cells: Iterable[Cell] | None = None, *, trains: bool = True
) -> list[Setting]:
    """Settings of a named protocol, of those that test on some cells (None: on any). Raises
    UnknownName.

    `trains`: False for a model that is used as it is: one setting for each distinct test set,
    trained on nothing.

    >>> plan = settings("all")
    >>> len(plan), len({setting.training_set for setting in plan})
    (36, 13)
    >>> [str(setting.test) for setting in settings("all", trains=False)]
    ['eng_eld', 'eng_adu', 'zho_eld', 'zho_adu', 'yue_adu', 'eng_adu', 'zho_adu']
    """
    plan = PROTOCOLS[known_name("protocol", protocol, PROTOCOLS)]
    if cells is not None:
        wanted = set(cells)
        plan = [setting for setting in plan if setting.test in wanted]
    if trains:
        return list(plan)
    # corpora of `extension` say what is trained on: the test set is the cell
    tests = dict.fromkeys((s.test, None if s.method == "extension" else s.corpora) for s in plan)
    return [Setting("zero-shot", "zero-shot", (), test, corpora) for test, corpora in tests]
