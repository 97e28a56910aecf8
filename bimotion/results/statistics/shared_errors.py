"""Agreement of errors: two entries err on the same clips in the same way, beyond chance.

Of the clips of one reference, two models that know nothing of each other choose the same wrong
class as often as chance gives: n1 n2 / n of n clips, where they choose it n1 and n2 times. They
cannot do so more often than min(n1, n2) times. The agreement of errors is

    (same wrong decisions - those by chance) / (those that are possible - those by chance),

summed over references, wrong classes and test sets: 0 by chance, 1 where every error of the one
with fewer is an error of the other too. It is Cohen's kappa of errors (R. Geirhos et al., NeurIPS
2020, arXiv 2006.16736) with the wrong class, over its largest value: a copy of which some errors
were put right still has 1. Real models are above 0, for clips are hard or wrongly labelled for all
of them.

Kept of an entry are its decisions on MAX_CLIPS clips a test set, the same ones for all entries.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from bimotion.results.statistics.copies import over_seeds, test_set_hash

MAX_CLIPS = 2048
MAX_REFERENCES = 255
"""Different references of a test set that are told apart; the others count as one more."""
RIGHT = -1
BLOCK = 500


@dataclass(frozen=True)
class Errors:
    """Wrong decisions of one entry; an item a test set."""

    tests: list[str]
    """Hashes (copies.test_set_hash): only equal ones are compared."""
    wrong: list[np.ndarray]
    """Class that was wrongly chosen, n_classes where none was; RIGHT; int8 (n_clips,)."""
    references: list[np.ndarray]
    """Numbers of the clips' references among those that occur, uint8 (n_clips,)."""


class ErrorPair(NamedTuple):
    """Two entries that share errors."""

    first: str
    second: str
    agreement: float
    """As the module says; at most 1."""
    n_same: int
    """Clips on which both make the same wrong decision."""
    n_possible: int
    """The most that there could be, by how often each makes which."""


def errors_of(parts: Sequence[pd.DataFrame]) -> Errors:
    """The errors of an entry; arguments as of copies.sketch. Clips without a class are left out."""
    rows = [_errors(part) for part in parts if len(part)]
    return Errors(*([row[column] for row in rows] for column in range(3)))


def _errors(part: pd.DataFrame) -> tuple[str, np.ndarray, np.ndarray]:
    ids, reference, probabilities = over_seeds(part)
    offered = np.where(reference != -1, np.nan_to_num(probabilities), -1.0)
    chosen = offered.argmax(axis=1)
    is_right = np.take_along_axis(reference, chosen[:, None], axis=1)[:, 0] == 1
    is_silent = offered.max(axis=1) <= 0
    wrong = np.where(is_silent, reference.shape[1], np.where(is_right, RIGHT, chosen))
    rows = np.ascontiguousarray(reference).view(f"S{reference.shape[1]}").ravel()
    _, numbers = np.unique(rows, return_inverse=True)
    kept = _drawn(ids, (reference == 1).any(axis=1))
    numbers = np.minimum(numbers, MAX_REFERENCES)[kept].astype(np.uint8)
    return test_set_hash(part, ids, reference), wrong[kept].astype(np.int8), numbers


def _drawn(ids: Sequence[str], has_class: np.ndarray) -> np.ndarray:
    """Numbers of at most MAX_CLIPS clips that have a class, by a hash of their ids."""
    clips = np.flatnonzero(has_class)
    if len(clips) <= MAX_CLIPS:
        return clips
    digests = [hashlib.sha256(ids[clip].encode(errors="replace")).digest()[:8] for clip in clips]
    return np.sort(clips[np.argsort(digests, kind="stable")[:MAX_CLIPS]])


def sharing(
    entries: Mapping[str, Errors],
    *,
    agreement: float,
    n_possible: int,
    is_asked: Callable[[str, str], bool] = lambda first, second: True,
) -> list[ErrorPair]:
    """The pairs of entries, each once, that agree in their errors.

    Args:
        entries: name -> its errors.
        agreement: the least that a pair must have.
        n_possible: the fewest same errors, beyond chance, that must have been possible.
        is_asked: whether a pair (in the order of `entries`) is of interest.
    """
    names, errors = list(entries), list(entries.values())
    rows: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for number, entry in enumerate(errors):
        for row, test in enumerate(entry.tests):
            # a stranger's ids may be written so that their hash is that of fewer clips
            key = (test, len(entry.wrong[row]))
            rows.setdefault(key, []).append((number, row))
    pairs = []
    for start in range(0, len(names), BLOCK):
        same, chance, most = _counts(errors, rows, start)
        room = most - chance
        is_close = (same - chance >= agreement * room) & (room >= n_possible)
        for block_row, second in np.argwhere(is_close).tolist():
            first = start + block_row
            if first < second and is_asked(names[first], names[second]):
                at = block_row, second
                value = float((same[at] - chance[at]) / room[at])
                pairs.append(
                    ErrorPair(names[first], names[second], value, int(same[at]), int(most[at]))
                )
    return pairs


def _counts(
    entries: list[Errors], rows: dict[tuple[str, int], list[tuple[int, int]]], start: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Same wrong decisions, those by chance and the most possible, of BLOCK entries (rows) with all
    (columns)."""
    shape = (min(BLOCK, len(entries) - start), len(entries))
    same, chance, most = (np.zeros(shape, np.float64) for _ in range(3))
    for members in rows.values():
        numbers = np.array([number for number, _ in members])
        first = (numbers >= start) & (numbers < start + shape[0])
        if len(members) < 2 or not first.any():
            continue
        wrong = np.stack([entries[number].wrong[row] for number, row in members])
        references = entries[members[0][0]].references[members[0][1]]
        grid = np.ix_(numbers[first] - start, numbers)
        for chosen in np.unique(wrong[wrong != RIGHT]):
            is_chosen = (wrong == chosen).astype(np.float32)
            same[grid] += is_chosen[first] @ is_chosen.T
            for reference in np.unique(references):
                of_reference = references == reference
                times = is_chosen[:, of_reference].sum(axis=1, dtype=np.float64)
                chance[grid] += np.outer(times[first], times) / of_reference.sum()
                most[grid] += np.minimum.outer(times[first], times)
    return same, chance, most
