"""Feature spaces in two dimensions: a seeded UMAP, and where in it the density of a class lies.
Arrays in, arrays out.

UMAP: McInnes, Healy and Melville 2018 (arXiv 1802.03426), its defaults. Distances and densities on
such a map are not those of the feature space: coverage.py has the numbers.
"""

import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from bimotion.errors import MissingExtra, SettingError

EXTRA = {"umap": "umap-learn", "matplotlib": "matplotlib", "contourpy": "contourpy"}
"""Modules that maps and figures need -> their packages."""
N_NEIGHBOURS, MIN_DISTANCE = 15, 0.1
LEAST_CLIPS = 10
GRID = 160
"""Squares along each side of a density's grid."""
SHARES = (0.9, 0.5)
"""Regions that are drawn hold so much of a class's density."""
_LEAST_SIDE = 1e-30
_MARGIN = 0.12
_WIDEST = 1 / 25
"""Kernel, of a map's side: regions stay within the margin."""


def require_extra() -> None:
    """Raise MissingExtra where a package that maps and figures need is not installed."""
    for module, package in EXTRA.items():
        if find_spec(module) is None:
            raise MissingExtra(package, "figures", "drawing feature spaces")


def project(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Features, shape (n, dim), on a map: float64 (n, 2), the same for the same features and seed
    on one machine.

    Raises SettingError for fewer than 10 clips, MissingExtra.

    Example::

        points = projection.project(np.concatenate([train, test]), seed=0)
    """
    if len(features) < LEAST_CLIPS:
        raise SettingError(
            f"expected at least {LEAST_CLIPS} clips to draw a map of, found {len(features)}"
        )
    require_extra()
    import umap

    neighbours = min(N_NEIGHBOURS, len(features) - 1)
    mapper = umap.UMAP(
        n_neighbors=neighbours, min_dist=MIN_DISTANCE, n_components=2, random_state=seed, n_jobs=1
    )
    with _torch_threads_kept(), warnings.catch_warnings():
        # of spectral starts that failed, for which it takes random ones
        warnings.simplefilter("ignore")
        return mapper.fit_transform(np.asarray(features, np.float32)).astype(np.float64)


@contextmanager
def _torch_threads_kept():
    """numba sets OpenMP's number of threads for the whole process: a model that is trained later
    would give numbers that differ in their last digits."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


def aligned(points: np.ndarray, anchors: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """A map moved, turned and mirrored, never stretched, so that `anchors` (some of its points) lie
    as near as they can to `goals` (orthogonal Procrustes): which way up a map lies means nothing.

    >>> square = np.array([[0.0, 0], [1, 0], [1, 2]])
    >>> turned = square @ np.array([[0, 1], [-1, 0]]) + 5
    >>> bool(np.allclose(aligned(turned, turned, square), square))
    True
    """
    middle, goal = anchors.mean(axis=0), goals.mean(axis=0)
    left, _, right = np.linalg.svd((anchors - middle).T @ (goals - goal))
    return (points - middle) @ (left @ right) + goal


@dataclass(frozen=True)
class Density:
    """The density of some points over a square of the plane; its integral is 1."""

    x: np.ndarray
    """Columns of the grid."""
    y: np.ndarray
    """Rows of the grid."""
    values: np.ndarray
    """Density at (x[column], y[row]), shape (n_rows, n_columns)."""

    def level(self, share: float) -> float:
        """The height above which so much of the density lies."""
        heights = np.sort(self.values, axis=None)[::-1]
        held = np.cumsum(heights) / heights.sum()
        return float(heights[np.searchsorted(held, min(share, held[-1]))])

    def regions(self, share: float) -> list[np.ndarray]:
        """Rings, shape (m, 2), around the highest part that holds `share` of the density; holes are
        rings too (even-odd)."""
        from contourpy import FillType, contour_generator

        drawn = contour_generator(self.x, self.y, self.values, fill_type=FillType.OuterOffset)
        polygons = drawn.filled(self.level(share), np.inf)
        return [
            points[start:end]
            for points, offsets in zip(*polygons, strict=True)
            for start, end in pairwise(offsets)
        ]


def square_around(points: np.ndarray) -> tuple[float, float, float]:
    """Left, bottom and side of the smallest square with a margin that holds the points, in their
    middle."""
    low, high = points.min(axis=0), points.max(axis=0)
    side = float((high - low).max()) * (1 + 2 * _MARGIN)
    if side < _LEAST_SIDE:  # one point, but for rounding
        side = 1.0
    left, bottom = (low + high - side) / 2
    return float(left), float(bottom), side


def density(points: np.ndarray, square: tuple[float, float, float]) -> Density:
    """Gaussian kernel density of points, shape (n, 2), within a square that holds them.

    The kernel is as wide as half the way from a point to its sqrt(n)-th nearest, the median over
    points: maps are islands, and the spread of all points (Scott's rule) would flood the sea
    between them.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.spatial import KDTree

    left, bottom, side = square
    edges = np.linspace(0, side, GRID + 1)
    counts, _, _ = np.histogram2d(points[:, 1] - bottom, points[:, 0] - left, bins=(edges, edges))
    step = side / GRID
    # the point itself comes first
    nearest = min(int(np.ceil(np.sqrt(len(points)))) + 1, len(points))
    reach = KDTree(points).query(points, k=[nearest])[0]
    # a single point has no neighbour
    width = float(np.clip(np.median(reach) / 2, 1.5 * step, _WIDEST * side))
    values = gaussian_filter(counts, sigma=width / step, mode="constant")
    middles = (edges[:-1] + edges[1:]) / 2
    return Density(left + middles, bottom + middles, values / (values.sum() * step**2))
