"""The record of test clips that a model heard in training (evaluation/equal_samples.py finds
them)."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Duplicates:
    """Clips of a test set whose samples, to the bit, are those of a training or validation clip.

    train             training set (Setting.training_set);  test, corpus: test set, of n_test clips
    n_duplicated      those with the samples of a training or validation clip
    n_contradicting   those of them that such a clip gives another label
    """

    train: str
    test: str
    corpus: str
    n_test: int
    n_duplicated: int
    n_contradicting: int

    @property
    def is_possible(self) -> bool:
        """Whether its numbers can be counts."""
        return 0 <= self.n_contradicting <= self.n_duplicated <= self.n_test


def summary(found: Iterable[Duplicates]) -> list[str]:
    """A line a test set that has any, of the training set that holds most of them.

    >>> summary([Duplicates("zho_eld", "zho_eld", "csed", 400, 24, 5), Duplicates("zho_adu",
    ...     "zho_eld", "csed", 400, 0, 0)])
    ['zho_eld, csed: 24 of 400, 5 of them under another label (trained on zho_eld)']
    """
    most: dict[tuple[str, str], Duplicates] = {}
    for one in found:
        known = most.get((one.test, one.corpus))
        if one.n_duplicated > (known.n_duplicated if known else 0):
            most[one.test, one.corpus] = one
    return [
        f"{one.test}, {one.corpus}: {one.n_duplicated} of {one.n_test}, {one.n_contradicting} "
        f"of them under another label (trained on {one.train})"
        for one in most.values()
    ]
