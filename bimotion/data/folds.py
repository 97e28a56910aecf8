"""The split rule `folds`: five-fold cross-validation with speakers apart (or the finest unit that
is known), so that everybody is a test speaker once.

Every clip has one fold. In fold k the clips of fold k are tested, those of fold k + 1 choose
(validation), the others train: three fifths, one, one. What is kept together:

| corpus | unit of one fold |
|---|---|
| CREMA-D, YueMotion, EMO-DB, ShEMO, URDU | a speaker |
| IEMOCAP | a session, its two speakers |
| ESD | a speaker; of its clips only the official part that fits the speaker's role |
| TESS | a word, of both women: text-independent, not speaker-independent |
| CSED | all clips of one length: equal samples have equal lengths, so copies stay together |
| ElderReact | its official parts: trained on and validated in every fold, tested in fold 0 |

Texts are apart in ESD and TESS only: in CREMA-D, YueMotion and EMO-DB everybody says the same 10
or 12 sentences, and IEMOCAP's scripts are played in every session.

Units of every stratum (age group, gender, and class where a unit has one) are spread evenly, large
and small ones alike.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bimotion.corpora.utterance import PARTS
from bimotion.data import rosters
from bimotion.data.rules import N_FOLDS, hash_of

EVERY = -1
"""In place of a fold: never tested, in its own part in every fold."""
OFFICIAL_IN_FOLDS = ("elderreact", "esd")
"""Corpora whose clips are used in no other than their official part."""


def part_in(fold: int, of_clips: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The part of clips in one fold: the one place that says so, for every split rule.

    Args:
        fold: Its number.
        of_clips: Fold of each clip, or EVERY.
        own: The only part that each clip may be in; "" any.

    Returns:
        Parts, shape (n_clips,); "" for clips that have none in this fold.

    >>> part_in(0, np.array([0, 1, 2, 0, EVERY]), np.array(["", "", "", "train", "train"])).tolist()
    ['test', 'validation', 'train', '', 'train']
    """
    role = np.full(len(of_clips), "train", object)
    role[of_clips == (fold + 1) % N_FOLDS] = "validation"
    role[of_clips == fold] = "test"
    role = np.where(of_clips == EVERY, own, role)
    return np.where((own == "") | (own == role), role, "")


def assigned(corpus: str, listed: pd.DataFrame, seed: int) -> pd.Series:
    """Folds of all clips of a corpus, int8; index as given.

    Args:
        corpus: Its name.
        listed: Index id; columns cell, speaker, gender, and paper for official parts.
        seed: Of the order of units.
    """
    if corpus == "elderreact":
        is_tested = listed["paper"] == PARTS[-1]
        return pd.Series(np.where(is_tested, 0, EVERY), listed.index, np.int8)
    unit_of = units(corpus, listed)
    strata = listed["cell"] + " " + listed["gender"]
    if corpus == "csed":  # its names begin with the class
        strata += " " + listed.index.str.split("/").str[1].str[:3]
    by_unit = strata.groupby(unit_of).agg(["first", "nunique", "size"])
    stratum = by_unit["first"].where(by_unit["nunique"] == 1, "")
    folds = spread_evenly(list(by_unit.index), list(stratum), list(by_unit["size"]), seed)
    return unit_of.map(dict(zip(by_unit.index, folds, strict=True))).astype(np.int8)


def units(corpus: str, listed: pd.DataFrame) -> pd.Series:
    """The unit of one fold of each clip: a name for each clip (index: id)."""
    names = listed.index.to_series()
    if corpus == "tess":
        return names.str.split("_").str[1]
    if corpus == "csed":
        return names.map(rosters.equal_lengths()).fillna(names)
    return listed["speaker"].map(lambda speaker: conversation(corpus, speaker))


def conversation(corpus: str, speaker: str) -> str:
    """The unit that has one part: a speaker; in IEMOCAP both speakers of a session, who are in each
    other's recordings."""
    return speaker[:-1] if corpus == "iemocap" else speaker


def spread_evenly(
    names: Sequence[str], strata: Sequence[str], sizes: Sequence[int], seed: int
) -> list:
    """Fold of each name, the names of every stratum, and all names, evenly: numbers in two folds
    differ by one at most.

    Within a stratum, blocks of five names of about one size are in hash order; strata follow each
    other on one line, which is dealt like cards.

    >>> spread_evenly(["a", "b", "c", "d", "e", "f"], ["f"] * 6, [1] * 6, seed=0)
    [1, 3, 0, 0, 4, 2]
    """
    order = pd.DataFrame({"stratum": strata, "size": sizes, "name": names})
    order["hash"] = [hash_of(name, seed) for name in names]
    order = order.sort_values(["stratum", "size", "hash"], ascending=[True, False, True])
    order["block"] = order.groupby("stratum").cumcount() // N_FOLDS
    # another hash than the one that sorted: within a block, size says nothing
    order["shuffle"] = [hash_of(f"{name} dealt", seed) for name in order["name"]]
    line = order.sort_values(["stratum", "block", "shuffle"]).index
    fold_of = dict(zip(line, np.arange(len(line)) % N_FOLDS, strict=True))
    return [int(fold_of[number]) for number in range(len(names))]
