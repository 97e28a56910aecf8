"""Entries that give the same predictions: equal ones, equal within rounding, or equal but for a
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

from bimotion.results.clip_predictions import matrix

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
    """Predictions of one entry in little; a row a test set."""

    tests: list[str]
    """Cell and hash of ids and references: only equal ones are compared."""
    exact: list[str]
    """Hash of the probabilities themselves."""
    buckets: np.ndarray
    """Float32 (n_tests, N_BUCKETS)."""


def sketch(parts: Sequence[pd.DataFrame]) -> Sketch:
    """The sketch of predictions, a table a test set: columns id, cell, seed, probabilities and
    reference; seeds are averaged."""
    rows = [_sketched(part) for part in parts if len(part)]
    buckets = np.array([row[2] for row in rows], np.float32).reshape(-1, N_BUCKETS)
    return Sketch([row[0] for row in rows], [row[1] for row in rows], buckets)


def _sketched(part: pd.DataFrame) -> tuple[str, str, np.ndarray]:
    """The test set, hash and buckets of one table."""
    ids, reference, probabilities = over_seeds(part)
    exact = hashlib.sha256(probabilities.tobytes()).hexdigest()[:16]
    buckets = _bucketed(_departures(probabilities, reference))
    return test_set_hash(part, ids, reference), exact, buckets


def over_seeds(part: pd.DataFrame) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids of the clips of a test set, ascending, their references (int8) and their probabilities
    (float32, mean over seeds), both of shape (n_clips, n_classes); argument as of `sketch`."""
    ids, seeds = part["id"].array, part["seed"].to_numpy()
    by_id = ids.argsort(kind="stable")
    order = by_id[np.argsort(seeds[by_id], kind="stable")]
    n_seeds = len(np.unique(seeds))
    if len(part) % n_seeds:
        n_seeds = 1
    clips = order[: len(part) // n_seeds]
    reference = matrix(part["reference"])[clips].astype(np.int8)
    probabilities = matrix(part["probabilities"])[order].astype(np.float32)
    probabilities = probabilities.reshape(n_seeds, *reference.shape).mean(axis=0)
    return [*map(str, ids.to_numpy(object)[clips])], reference, probabilities


def test_set_hash(part: pd.DataFrame, ids: Sequence[str], reference: np.ndarray) -> str:
    """16 hex digits of the cell, ids and references of a test set."""
    names = "\n".join([str(part["cell"].iloc[0]), *ids]).encode(errors="replace")
    return hashlib.sha256(names + reference.tobytes()).hexdigest()[:16]


def _departures(probabilities: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """s of every clip and class, (n, n_classes), as the module says."""
    logs = np.log(np.maximum(np.nan_to_num(probabilities.astype(np.float64)), LEAST))
    logs -= logs.mean(axis=1, keepdims=True)
    # a row's bytes as one text: rows of one length differ where these do
    texts = np.ascontiguousarray(reference, np.int8).view(f"S{reference.shape[1]}").ravel()
    _, group = np.unique(texts, return_inverse=True)
    sums = np.zeros((group.max() + 1, logs.shape[1]))
    np.add.at(sums, group, logs)
    return logs - (sums / np.bincount(group)[:, None])[group]


def _bucketed(values: np.ndarray) -> np.ndarray:
    """A count sketch; buckets and signs are those of splitmix64, the same on every machine."""
    mixed = np.arange(1, values.size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    signed = np.where(mixed >> np.uint64(63), -1.0, 1.0) * values.ravel()
    buckets = (mixed % np.uint64(N_BUCKETS)).astype(np.int64)
    return np.bincount(buckets, signed, N_BUCKETS).astype(np.float32)


def alike(sketches: Mapping[str, Sketch]) -> dict[str, list[str]]:
    """Entry -> the other entries with the same predictions on all test sets that both have; only of
    entries that have such."""
    names, entries = list(sketches), list(sketches.values())
    rows: dict[str, list[tuple[int, int]]] = {}
    for number, entry in enumerate(entries):
        for row, test in enumerate(entry.tests):
            rows.setdefault(test, []).append((number, row))
    copies: dict[str, list[str]] = {}
    for start in range(0, len(names), BLOCK):
        for first, second in _alike_from(entries, rows, start):
            copies.setdefault(names[first], []).append(names[second])
    return copies


def _alike_from(
    entries: list[Sketch], rows: dict[str, list[tuple[int, int]]], start: int
) -> list[tuple[int, int]]:
    """Pairs that are alike, whose first is one of BLOCK entries."""
    shape = (min(BLOCK, len(entries) - start), len(entries))
    products, own, theirs = (np.zeros(shape) for _ in range(3))
    differs, shared = np.zeros(shape, bool), np.zeros(shape, bool)
    for members in rows.values():
        numbers = np.array([number for number, _ in members])
        first = (numbers >= start) & (numbers < start + shape[0])
        buckets = np.stack([entries[number].buckets[row] for number, row in members])
        exact = np.array([entries[number].exact[row] for number, row in members])
        lengths = np.square(buckets, dtype=np.float64).sum(axis=1)
        grid = np.ix_(numbers[first] - start, numbers)
        products[grid] += buckets[first] @ buckets.T
        own[grid] += lengths[first][:, None]
        theirs[grid] += lengths[None, :]
        differs[grid] |= exact[first][:, None] != exact[None, :]
        shared[grid] = True
    close = (products >= ALIKE * np.sqrt(own * theirs)) & (np.minimum(own, theirs) > SILENT)
    pairs = np.argwhere(shared & (close | ~differs)) + np.array([start, 0])
    return [(first, second) for first, second in pairs.tolist() if first != second]
