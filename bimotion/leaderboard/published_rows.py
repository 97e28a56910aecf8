"""The paper's own rows, as printed: other code, other splits of the same sizes, no interval; so
never ranked."""

from dataclasses import dataclass

from bimotion.io.records import Record
from bimotion.protocol import settings as protocol
from bimotion.protocol.published import CELLS, DISTANCE_TESTS, PUBLISHED, PUBLISHED_DISTANCE

PAPER = "arXiv 2306.14517, Tables 3, 4 and 5"


@dataclass(frozen=True)
class Printed(Record):
    """A published score of one setting; no interval was printed."""

    transfer: str
    """Of the setting, as the next three."""
    method: str
    train: list[str]
    test: str
    value: float
    """In [0, 1]."""


@dataclass(frozen=True)
class PublishedRow(Record):
    """The published scores of one model."""

    model: str
    """Name of the model."""
    source: str
    """Where its scores are printed."""
    track: str
    """The nearest of our tracks."""
    split_rule: str
    """The nearest of our split rules."""
    schema: str
    """The nearest of our label schemas."""
    headline: dict[str, float]
    """`<transfer>/<method>` -> mean over the four cells, ours of the printed numbers."""
    scores: list[Printed]
    """Every printed number."""


def published_rows() -> list[PublishedRow]:
    """The rows that the paper prints, of XLSR-53 trained whole.

    >>> published_rows()[0].headline["in-group/inference"]
    0.6985
    """
    scores, by_name = [], {}
    for setting in protocol.settings("all"):
        name, test = (setting.transfer, setting.method), str(setting.test)
        if setting.method == "distance":
            percent = PUBLISHED_DISTANCE["+".join(setting.train_names)][DISTANCE_TESTS.index(test)]
        else:
            percent = PUBLISHED[name][CELLS.index(test)]
            by_name.setdefault("/".join(name), []).append(percent)
        scores.append(Printed(*name, list(setting.train_names), test, round(percent / 100, 4)))
    headline = {name: round(sum(values) / len(values) / 100, 4) for name, values in by_name.items()}
    return [
        PublishedRow(
            model="XLSR-53 (the paper)",
            source=PAPER,
            track="finetune",
            split_rule="paper",
            schema="emotion",
            headline=headline,
            scores=scores,
        )
    ]
