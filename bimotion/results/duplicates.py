"""The record of test clips that a model heard in training (evaluation/equal_samples.py finds
them)."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import model_validator

from bimotion.io.records import Record


@dataclass(frozen=True)
class Duplicates(Record):
    """Clips of a test set whose samples, to the bit, are those of a training or validation clip."""

    train: str
    """Training set (Setting.training_set)."""
    test: str
    """Test cell."""
    corpus: str
    """Its corpus."""
    n_test: int
    """Clips of the test set."""
    n_duplicated: int
    """Those with the samples of a training or validation clip."""
    n_contradicting: int
    """Those of them that such a clip gives another label."""

    @model_validator(mode="after")
    def _are_counts(self) -> "Duplicates":
        if not 0 <= self.n_contradicting <= self.n_duplicated <= self.n_test:
            raise ValueError(f"expected counts, none above the one before it; found {self}")
        return self


def summary(duplicates: Iterable[Duplicates]) -> list[str]:
    """A line a test set that has any, of the training set that holds most of them.

    >>> summary([Duplicates("zho_eld", "zho_eld", "csed", 400, 24, 5), Duplicates("zho_adu",
    ...     "zho_eld", "csed", 400, 0, 0)])
    ['zho_eld, csed: 24 of 400, 5 of them under another label (trained on zho_eld)']
    """
    most: dict[tuple[str, str], Duplicates] = {}
    for row in duplicates:
        known = most.get((row.test, row.corpus))
        if row.n_duplicated > (known.n_duplicated if known else 0):
            most[row.test, row.corpus] = row
    return [
        f"{row.test}, {row.corpus}: {row.n_duplicated} of {row.n_test}, {row.n_contradicting} "
        f"of them under another label (trained on {row.train})"
        for row in most.values()
    ]
