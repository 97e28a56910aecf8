"""Mean and scale of features, and features less the mean over the scale: of all clips, of a corpus,
of a speaker."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bimotion.adaptation.method import Clips

BLOCK_ROWS = 4096
MIN_CLIPS = 8
"""A corpus or speaker with fewer clips has no statistics of its own: their error would be as large
as the shift."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and scale of each feature, float64, shape (dim,); the scale of a constant feature is 1.

    >>> moments = Moments.of(np.array([[1, 5], [3, 5]], np.float32))
    >>> moments.mean.tolist(), moments.scale.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, weights: np.ndarray | None = None) -> "Moments":
        """The moments of float32 features, shape (n, dim), n > 0; sums in float64. `weights`: of
        the clips, shape (n,), without it equal ones."""
        weights = np.ones(len(features)) if weights is None else weights
        weights = _blocks(weights / weights.sum())
        blocks = _blocks(features)
        mean = sum(w @ block.astype(np.float64) for w, block in zip(weights, blocks, strict=True))
        squares = (w @ (block - mean) ** 2 for w, block in zip(weights, blocks, strict=True))
        scale = np.sqrt(sum(squares))
        return cls(mean, np.where(scale <= 1e-6 * np.maximum(np.abs(mean), 1e-30), 1.0, scale))

    def applied(self, features: np.ndarray) -> np.ndarray:
        """Standardised features, float32, shape (n, dim)."""
        standardised = np.empty_like(features)
        for block, result in zip(_blocks(features), _blocks(standardised), strict=True):
            result[:] = (block - self.mean) / self.scale
        return standardised


def _blocks(features: np.ndarray) -> list[np.ndarray]:
    """Views of some rows each, so that float64 copies stay small."""
    return [features[row : row + BLOCK_ROWS] for row in range(0, len(features), BLOCK_ROWS)]


Level = Literal["corpus", "speaker"] | None


class GroupMoments:
    """Moments of each corpus of some clips or of each speaker, weighted where there are `weights`
    (label_shift.py), shape (n,); calling it standardises clips.

    A clip is standardised with its speaker's moments if they are known (and `by` is "speaker"),
    else its corpus's, else those of all the clips.

    >>> clips = Clips(np.arange(16, dtype=np.float32)[:, None], ["a"] * 8 + ["b"] * 8, [None] * 16)
    >>> standardised = GroupMoments(clips, "corpus")(clips)
    >>> bool(np.abs(standardised[:8] - standardised[8:]).max() < 1e-6)
    True
    """

    def __init__(self, clips: Clips, by: Level, weights: np.ndarray | None = None):
        weights, self.by = np.ones(len(clips)) if weights is None else weights, by
        self.known = {(None, None): Moments.of(clips.features, weights)}
        for level in {"speaker": ("corpus", "speaker"), "corpus": ("corpus",), None: ()}[by]:
            for group, rows in groups(clips, level).items():
                if len(rows) >= MIN_CLIPS:
                    self.known[group] = Moments.of(clips.features[rows], weights[rows])

    def __call__(self, clips: Clips) -> np.ndarray:
        """Standardised features, float32, shape (n, dim)."""
        standardised = np.empty_like(clips.features)
        for (corpus, speaker), rows in groups(clips, self.by).items():
            larger = ((corpus, speaker), (corpus, None), (None, None))
            moments = next(self.known[group] for group in larger if group in self.known)
            standardised[rows] = moments.applied(clips.features[rows])
        return standardised


def groups(clips: Clips, by: Level) -> dict[tuple[str | None, str | None], np.ndarray]:
    """(corpus, speaker) -> row numbers, by first appearance; a speaker is None where it is not
    known or corpora are asked for, both where nothing is."""
    nobody = [None] * len(clips)
    corpora = nobody if by is None else clips.corpora
    speakers = clips.speakers if by == "speaker" else nobody
    rows: dict[tuple[str | None, str | None], list[int]] = {}
    for row, group in enumerate(zip(corpora, speakers, strict=True)):
        rows.setdefault(group, []).append(row)
    return {group: np.array(numbers) for group, numbers in rows.items()}
