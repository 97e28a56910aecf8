"""The agreement of one human rater with the label that models are scored on, and with the other
raters, on the test clips whose votes are known.

No rater is drawn: the confusion matrix is the expected one of a rater drawn at random for every
clip, and metrics are of that matrix. A rater who chose k classes counts 1/k for each. A choice
outside the corpus's classes is wrong, as a model's is. Against the others the rater's own vote is
left out; where they are level on several classes, each is the reference in equal parts; where none
of them chose a class, the vote has no reference and is left out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd

from bimotion.io.records import Record
from bimotion.protocol.labels import LabelSchema
from bimotion.results.score import Count, Share

Votes = tuple[tuple[str, ...], ...]
"""The classes that each rater of a clip chose."""
NEVER_CHOSEN = "unknown"
"""Class of clips on whose emotion the raters did not agree: none of them could choose it."""

AGAINST = {"label": "the label", "others": "the other raters"}
"""Reference -> in words."""


@dataclass(frozen=True)
class HumanAgreement(Record):
    """One rater as a classifier of the test clips of a corpus in a cell."""

    test: str
    """Test cell."""
    corpus: str
    """Its corpus."""
    reference: Literal["label", "others"]
    """What is taken for true: the corpus's label, on which models are scored (IEMOCAP's is made of
    these votes, which flatters), or the majority of the clip's other raters."""
    weighted_f1: Share | None
    """As in Score, like the next two; null where no clip has votes."""
    uar: Share | None
    """Unweighted average recall."""
    accuracy: Share | None
    """Share of right votes, a mean over clips."""
    n_utterances: Count
    """Clips with votes and that reference."""
    n_votes: Count
    """Raters of these clips, together."""


def human_agreement(
    clips: pd.DataFrame, reference: np.ndarray, schema: LabelSchema
) -> list[HumanAgreement]:
    """Two rows, `label` and `others`, for each cell and corpus with votes.

    Args:
        clips: Test clips, each once: `cell`, `corpus`, `votes` (None: unknown).
        reference: Of models, int8, shape (len(clips), n_classes): 1, 0, -1 not annotated.
        schema: Its classes.
    """
    rows = []
    has_votes = clips["votes"].notna().to_numpy()
    for (cell, corpus), numbers in clips[has_votes].groupby(["cell", "corpus"]).indices.items():
        numbers = np.flatnonzero(has_votes)[numbers]
        is_class = (reference[numbers] != -1).any(axis=0)
        classes = [name for name, is_own in zip(schema.classes, is_class, strict=True) if is_own]
        emotions = [tuple(map(tuple, chosen)) for chosen in clips["votes"].iloc[numbers]]
        classes_of = {each: _classes_chosen(each, schema.mapping) for each in set(emotions)}
        votes = [classes_of[each] for each in emotions]
        known, label_of = np.unique(reference[numbers], axis=0, return_inverse=True)
        labels = [[schema.classes[number] for number in np.flatnonzero(row == 1)] for row in known]
        pairs = [(chosen, labels[at]) for chosen, at in zip(votes, label_of.ravel(), strict=True)]
        of_label = [
            (against_label(chosen, label[0], tuple(classes)), len(chosen))
            for chosen, label in pairs
            if len(label) == 1 and label[0] != NEVER_CHOSEN
        ]
        of_others = [(against_others(chosen, tuple(classes)), len(chosen)) for chosen in votes]
        for kind, counted in (("label", of_label), ("others", of_others)):
            rows.append(_agreement(cell, corpus, kind, counted))
    return rows


def _classes_chosen(votes: Sequence[Sequence[str]], class_of: dict[str, str]) -> Votes:
    """Votes in the classes of a schema, sorted; emotions without one keep an empty name."""
    return tuple(
        sorted(tuple(sorted({class_of.get(name, "") for name in names})) for names in votes)
    )


@cache
def against_label(votes: Votes, label: str, classes: tuple[str, ...]) -> np.ndarray:
    """The expected confusion of one rater of a clip: label by choice, the last column none of the
    classes; shape (n, n + 1), sum 1.

    >>> against_label((("a",), ("a",), ("b",), ("a", "c")), "b", ("a", "b")).tolist()
    [[0.0, 0.0, 0.0], [0.625, 0.25, 0.125]]
    """
    table = np.zeros((len(classes), len(classes) + 1))
    table[classes.index(label)] = sum(_choice(names, classes) for names in votes) / len(votes)
    return table


@cache
def against_others(votes: Votes, classes: tuple[str, ...]) -> np.ndarray:
    """The same, each rater against the majority of the others; all 0 without any reference.

    >>> against_others((("a",), ("a",), ("b",)), ("a", "b")).round(2).tolist()
    [[0.33, 0.33, 0.0], [0.33, 0.0, 0.0]]
    """
    table, n_used = np.zeros((len(classes), len(classes) + 1)), 0
    chosen = Counter(name for names in votes for name in names)
    for names, n_raters in Counter(votes).items():
        rest = chosen - Counter(names)
        most = max((rest[name] for name in classes), default=0)
        if most:
            majority = np.array([rest[name] == most for name in classes], float)
            choice = _choice(names, classes)
            table += n_raters * np.outer(majority / majority.sum(), choice)
            n_used += n_raters
    return table / max(n_used, 1)


def _choice(names: Sequence[str], classes: tuple[str, ...]) -> np.ndarray:
    """The shares of a rater's vote: of each class, then of none."""
    counts = [names.count(name) for name in classes]
    return np.array([*counts, len(names) - sum(counts)]) / len(names)


def _agreement(
    cell: str, corpus: str, kind: str, counted: list[tuple[np.ndarray, int]]
) -> HumanAgreement:
    counted = [(table, n_raters) for table, n_raters in counted if table.any()]
    values = dict.fromkeys(("weighted_f1", "uar", "accuracy"))
    if counted:
        values = metrics_of(sum(table for table, _ in counted))
    n_votes = sum(n_raters for _, n_raters in counted)
    return HumanAgreement(cell, corpus, kind, **values, n_utterances=len(counted), n_votes=n_votes)


def metrics_of(confusion: np.ndarray) -> dict[str, float]:
    """The metrics of a confusion matrix of true classes by predicted ones, then none; classes that
    are never true are not counted.

    >>> metrics_of(np.array([[3, 1, 0], [2, 1, 1]]))["uar"]
    0.5
    """
    true, hits = confusion.sum(axis=1), np.diag(confusion)
    f1 = 2 * hits / np.maximum(true + confusion.sum(axis=0)[:-1], np.finfo(float).tiny)
    recalls = hits[true > 0] / true[true > 0]
    values = {
        "weighted_f1": f1 @ true / true.sum(),
        "uar": recalls.mean(),
        "accuracy": hits.sum() / true.sum(),
    }
    return {name: min(float(value), 1.0) for name, value in values.items()}
