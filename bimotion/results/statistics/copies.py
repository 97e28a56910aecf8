"""Which entries give the same predictions: equal ones, equal within rounding, or equal but for a
little noise.

Two models that were made apart differ where they err. So what is compared of a test set is how each
model departs from its own mean answer to clips of the same label: s = log(max(p, 0.03)), less the
mean over the classes of a clip, less the mean over all clips with the same reference. Right answers
that every good model gives fall out of it; a copy keeps the rest, also when it is rounded,
sharpened (a temperature) or shaken a little.

Of each test set a sketch of N_BUCKETS numbers is kept (count sketch: M. Charikar et al., ICALP
2002): every s goes with a fixed sign into a fixed bucket. It keeps lengths of differences to about
5 %, so a thousand entries are compared in a second.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

N_BUCKETS = 1024
LEAST = 0.03
"""Below it probabilities are not told apart: noise is largest in their logarithms."""
ALIKE = 0.9
"""Correlation from which two entries count as one. On real test clips Whisper tiny with two heads
has 0.41, with two seeds of a head 0.46; a copy of it 0.94 or more: rounded to 2 digits 0.999, with
noise of 0.01 0.99, with a temperature of 2 0.96."""
SILENT = 1e-6
"""Sum of squares up to which predictions are the same for all clips of a label: only equal ones are
copies then."""
BLOCK = 500


@dataclass(frozen=True)
class Sketch:
    """Predictions of one entry in little. Arrays have a row a test set.

    tests     cell and hash of ids and references: only equal ones are compared
    exact     hash of the probabilities themselves
    buckets   float32 (n_tests, N_BUCKETS)
    """

    tests: list[str]
    exact: list[str]
    buckets: np.ndarray


def sketch(parts: Sequence[pd.DataFrame]) -> Sketch:
    """Of predictions, a table a test set: columns id, cell, seed, probabilities and reference;
    seeds are averaged."""
    found = [_of_one(part) for part in parts if len(part)]
    buckets = np.stack([one[2] for one in found]) if found else np.zeros((0, N_BUCKETS), np.float32)
    return Sketch([one[0] for one in found], [one[1] for one in found], buckets)


def _of_one(part: pd.DataFrame) -> tuple[str, str, np.ndarray]:
    part = part.sort_values(["seed", "id"], kind="stable")
    n_seeds = part["seed"].nunique()
    if len(part) % n_seeds:
        n_seeds = 1
    clips = part.iloc[: len(part) // n_seeds]
    reference = np.stack(clips["reference"]).astype(np.int8)
    probabilities = (
        np.stack(part["probabilities"])
        .astype(np.float32)
        .reshape(n_seeds, *reference.shape)
        .mean(axis=0)
    )
    names = "\n".join([str(part["cell"].iloc[0]), *map(str, clips["id"])]).encode(errors="replace")
    test = hashlib.sha256(names + reference.tobytes()).hexdigest()[:16]
    return (
        test,
        hashlib.sha256(probabilities.tobytes()).hexdigest()[:16],
        _bucketed(_departures(probabilities, reference)),
    )


def _departures(probabilities: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """s of every clip and class, (n, n_classes), as the module says."""
    found = np.log(np.maximum(np.nan_to_num(probabilities.astype(np.float64)), LEAST))
    found -= found.mean(axis=1, keepdims=True)
    _, group = np.unique(reference, axis=0, return_inverse=True)
    group = group.reshape(-1)
    sums = np.zeros((group.max() + 1, found.shape[1]))
    np.add.at(sums, group, found)
    return found - (sums / np.bincount(group)[:, None])[group]


def _bucketed(values: np.ndarray) -> np.ndarray:
    """A count sketch; buckets and signs are those of splitmix64, the same on every machine."""
    mixed = np.arange(1, values.size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    signed = np.where(mixed >> np.uint64(63), -1.0, 1.0) * values.ravel()
    return np.bincount((mixed % np.uint64(N_BUCKETS)).astype(np.int64), signed, N_BUCKETS).astype(
        np.float32
    )


def alike(sketches: Mapping[str, Sketch]) -> dict[str, list[str]]:
    """Entry -> the other entries with the same predictions on all test sets that both have; only of
    entries that have such."""
    names = list(sketches)
    rows: dict[str, list[tuple[int, int]]] = {}
    for place, one in enumerate(sketches.values()):
        for row, test in enumerate(one.tests):
            rows.setdefault(test, []).append((place, row))
    found: dict[str, list[str]] = {}
    for start in range(0, len(names), BLOCK):
        for first, second in _alike_from(list(sketches.values()), rows, start):
            found.setdefault(names[first], []).append(names[second])
    return found


def _alike_from(
    sketches: list[Sketch], rows: dict[str, list[tuple[int, int]]], start: int
) -> list[tuple[int, int]]:
    """Pairs that are alike, whose first is one of BLOCK entries."""
    shape = (min(BLOCK, len(sketches) - start), len(sketches))
    products, mine, theirs = (np.zeros(shape, np.float64) for _ in range(3))
    other = np.zeros(shape, bool)
    shared = np.zeros(shape, bool)
    for members in rows.values():
        places = np.array([place for place, _ in members])
        first = (places >= start) & (places < start + shape[0])
        if not first.any():
            continue
        buckets = np.stack([sketches[place].buckets[row] for place, row in members])
        exact = np.array([sketches[place].exact[row] for place, row in members])
        lengths = np.square(buckets, dtype=np.float64).sum(axis=1)
        grid = np.ix_(places[first] - start, places)
        products[grid] += buckets[first] @ buckets.T
        mine[grid] += lengths[first][:, None]
        theirs[grid] += lengths[None, :]
        other[grid] |= exact[first][:, None] != exact[None, :]
        shared[grid] = True
    close = (products >= ALIKE * np.sqrt(mine * theirs)) & (np.minimum(mine, theirs) > SILENT)
    pairs = np.argwhere(shared & (close | ~other))
    return [(int(first) + start, int(second)) for first, second in pairs if first + start != second]
