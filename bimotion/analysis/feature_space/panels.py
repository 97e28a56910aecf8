"""What a picture of a feature space shows: one panel a training set, its clips on a map, the
density of each class.

Clips come as coordinates.parquet holds them: a panel can be drawn again from its files alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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
    """One training set.

    name, note   title and the line below it
    clips        rows of coordinates.parquet, training clips first
    square       left, bottom and side of what is shown;  densities: class -> of its training clips,
                 where it has any
    """

    name: str
    note: str
    clips: pd.DataFrame
    square: tuple[float, float, float]
    densities: dict[str, Density]

    @property
    def test(self) -> pd.DataFrame:
        """Its test clips."""
        return self.clips[self.clips["part"] == "test"]


def panel(name: str, note: str, clips: pd.DataFrame, classes: Sequence[str]) -> Panel:
    """The panel of some clips, its densities of the classes given."""
    square = square_around(clips[["x", "y"]].to_numpy())
    train = clips[clips["part"] == "train"]
    points = {label: train.loc[train["class"] == label, ["x", "y"]].to_numpy() for label in classes}
    return Panel(
        name,
        note,
        clips,
        square,
        {label: density(found, square) for label, found in points.items() if len(found)},
    )


def label_places(panel: Panel) -> dict[str, np.ndarray]:
    """Class -> where to write its name: where its density stands out most from all others; names
    lie apart."""
    found: dict[str, np.ndarray] = {}
    left, bottom, side = panel.square
    low, high = (
        np.array([left, bottom]) + side * np.array([0.12, 0.04]),
        np.array([left, bottom]) + side * np.array([0.88, 0.96]),
    )
    for label, own in panel.densities.items():
        others = [other.values for name, other in panel.densities.items() if name != label]
        ahead = own.values - np.max(others, axis=0) if others else own.values
        row, column = np.unravel_index(ahead.argmax(), ahead.shape)
        found[label] = np.clip([own.x[column], own.y[row]], low, high)
    placed: list[np.ndarray] = []
    for place in sorted(found.values(), key=lambda place: place[1]):
        for other in placed:
            if abs(place[0] - other[0]) < side / 4 and place[1] - other[1] < side / 20:
                place[1] = other[1] + side / 20
        placed.append(place)
    return found
