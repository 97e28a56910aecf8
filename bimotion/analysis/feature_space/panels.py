"""The content of a picture of a feature space: one panel a training set, its clips on a map, the
density of each class.

Clips come as coordinates.parquet holds them: a panel can be drawn again from its files alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bimotion.analysis.feature_space.umap import Density, density, square_around

COLUMNS = ("panel", "id", "cell", "corpus", "part", "class", "covered", "x", "y")
"""Of coordinates.parquet. `part`: train or test; `class`: the first of the classes shown that the
clip has; `covered`: of test clips, whether a training clip lies in its ball (coverage.py), null for
training clips."""
COLOURS = {
    "sadness": "#0072b2",
    "fear": "#aa3377",
    "angry": "#cc3311",
    "happiness": "#e69f00",
    "disgust": "#117733",
    "neutral": "#777777",
    "surprise": "#33a7d8",
    "positive": "#e69f00",
    "negative": "#0072b2",
    "excitement": "#b8a800",
    "frustrated": "#7b4a12",
    "other": "#44aa99",
    "unknown": "#222222",
}
"""Class -> colour, the same in every picture; after the palettes of Okabe and Ito, and of Tol,
which all eyes tell apart."""
SHAPES = ("circle", "triangle", "square", "diamond", "down", "cross", "plus", "star")
"""Of test clips, one a class: colour is never alone in telling classes apart."""
MAX_CLASSES = len(SHAPES)


@dataclass(frozen=True)
class Panel:
    """One training set."""

    name: str
    """Its title."""
    note: str
    """The line below the title."""
    clips: pd.DataFrame
    """Rows of coordinates.parquet, training clips first."""
    square: tuple[float, float, float]
    """Left, bottom and side of what is shown."""
    densities: dict[str, Density]
    """Class -> density of its training clips, where it has any."""

    @property
    def test(self) -> pd.DataFrame:
        """Its test clips."""
        return self.clips[self.clips["part"] == "test"]


def panel(name: str, note: str, clips: pd.DataFrame, classes: Sequence[str]) -> Panel:
    """The panel of some clips, its densities of the classes given."""
    square = square_around(clips[["x", "y"]].to_numpy())
    train = clips[clips["part"] == "train"]
    points = {label: train.loc[train["class"] == label, ["x", "y"]].to_numpy() for label in classes}
    densities = {label: density(xy, square) for label, xy in points.items() if len(xy)}
    return Panel(name, note, clips, square, densities)
