"""Mean and scale of features, and features less the mean over the scale: of all clips, of a corpus,
of a speaker."""

from dataclasses import dataclass

import numpy as np

from bimotion.adaptation.method import Clips

BLOCK_ROWS = 4096
FEW_CLIPS = 8
"""A corpus or speaker with fewer clips has no statistics of its own: their error would be as large
as the shift."""


@dataclass(frozen=True, eq=False)
class Moments:
    """`mean`, `scale`: float64, shape (dim,); the scale of a constant feature is 1."""

    mean: np.ndarray
    scale: np.ndarray

    def applied(self, features: np.ndarray) -> np.ndarray:
        """Standardised features, float32, shape (n, dim)."""
        found = np.empty_like(features)
        for start in range(0, len(features), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            found[block] = (features[block] - self.mean) / self.scale
        return found

    def of_clips(self, clips: Clips) -> np.ndarray:
        """The same, of clips."""
        return self.applied(clips.features)


def moments(features: np.ndarray) -> Moments:
    """Of float32 features, shape (n, dim), n > 0; sums in float64.

    >>> found = moments(np.array([[1, 5], [3, 5]], np.float32))
    >>> found.mean.tolist(), found.scale.tolist()
    ([2.0, 5.0], [1.0, 1.0])
    """
    mean = features.mean(axis=0, dtype=np.float64)
    blocks = (
        features[start : start + BLOCK_ROWS] - mean for start in range(0, len(features), BLOCK_ROWS)
    )
    scale = np.sqrt(sum((block**2).sum(axis=0) for block in blocks) / len(features))
    return Moments(mean, np.where(scale <= 1e-6 * np.maximum(np.abs(mean), 1e-30), 1.0, scale))


class GroupMoments:
    """Moments of each corpus of some clips and, if asked for, of each speaker; calling it
    standardises clips with them.

    A clip is standardised with its speaker's moments if they are known, else its corpus's, else
    those of all the clips.

    >>> clips = Clips(np.arange(16, dtype=np.float32)[:, None], ["a"] * 8 + ["b"] * 8, [None] * 16)
    >>> found = GroupMoments(clips, speakers=False)(clips)
    >>> bool(np.abs(found[:8] - found[8:]).max() < 1e-6)
    True
    """

    def __init__(self, clips: Clips, *, speakers: bool):
        self.pooled, self.known = moments(clips.features), {}
        of_speakers = (
            [group for group in groups(clips, speakers=True) if group[1] is not None]
            if speakers
            else []
        )
        for corpus, speaker, rows in of_speakers + groups(clips, speakers=False):
            if len(rows) >= FEW_CLIPS:
                self.known[corpus, speaker] = moments(clips.features[rows])
        self.speakers = speakers

    def __call__(self, clips: Clips) -> np.ndarray:
        """float32, shape (n, dim)."""
        found = np.empty_like(clips.features)
        for corpus, speaker, rows in groups(clips, speakers=self.speakers):
            key = next(
                (key for key in ((corpus, speaker), (corpus, None)) if key in self.known), None
            )
            found[rows] = (self.known[key] if key else self.pooled).applied(clips.features[rows])
        return found


def groups(clips: Clips, *, speakers: bool) -> list[tuple[str, str | None, np.ndarray]]:
    """(corpus, speaker, row numbers), by first appearance; without `speakers`, or where it is not
    known, the speaker is None."""
    found: dict[tuple, list[int]] = {}
    for row, key in enumerate(
        zip(clips.corpora, clips.speakers if speakers else [None] * len(clips), strict=True)
    ):
        found.setdefault(key, []).append(row)
    return [(*key, np.array(rows)) for key, rows in found.items()]
