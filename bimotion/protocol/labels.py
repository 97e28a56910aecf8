"""The label space of 13 emotions, and the schemas under which clips are scored.

Two steps, never one: a corpus's native code becomes canonical emotions in the corpus's own file; a
schema turns canonical emotions into the classes of a task, and says why a clip has none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bimotion.errors import UnknownName, known_name

EMOTIONS = (
    *("sadness", "fear", "angry", "happiness", "disgust", "neutral", "surprise"),
    *("positive", "negative", "excitement", "frustrated", "other", "unknown"),
)
"""Canonical emotions in the order of the paper's 13 outputs (arXiv 2306.14517 and its published
code)."""

VALENCE = {
    **dict.fromkeys(("happiness", "excitement", "positive"), "positive"),
    "neutral": "neutral",
    **dict.fromkeys(("sadness", "fear", "angry", "disgust", "frustrated", "negative"), "negative"),
}
"""Emotion -> valence, by the sign of pleasantness in Russell's circumplex (1980, doi
10.1037/h0077714). Surprise has either sign, other and unknown have none: they are left out. CSED's
positive / negative are valence labels already."""


FOUR = {
    "angry": "angry",
    "happiness": "happiness",
    "excitement": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
}
"""Emotion -> class of the four that cross-lingual work shares; IEMOCAP's excitement counts as
happiness there."""


def check_emotions(names: Iterable[str]) -> tuple[str, ...]:
    """The names in canonical order, without repeats; raises UnknownName.

    >>> check_emotions(["neutral", "fear"])
    ('fear', 'neutral')
    """
    names = set(names)
    if unknown := sorted(names.difference(EMOTIONS)):
        raise UnknownName("emotion", unknown[0], EMOTIONS)
    return tuple(emotion for emotion in EMOTIONS if emotion in names)


def multi_hot(names: Iterable[str], classes: Sequence[str] = EMOTIONS) -> np.ndarray:
    """1 where a class is named, else 0; int8, shape (len(classes),).

    >>> multi_hot(["sadness", "fear"])[:3].tolist()
    [1, 1, 0]
    """
    names = set(names)
    return np.array([name in names for name in classes], dtype=np.int8)


def soft_label(votes: Iterable[Iterable[str]]) -> np.ndarray:
    """The share of each emotion among all that raters chose, where a rater may choose several;
    float64, shape (13,).

    >>> soft_label([["sadness"], ["sadness", "fear"]])[:2].round(2).tolist()
    [0.67, 0.33]
    """
    chosen = sum(multi_hot(names).astype(float) for names in votes)
    return chosen / chosen.sum()


@dataclass(frozen=True)
class LabelSchema:
    """The classes of a task and how canonical emotions become them."""

    name: str
    """`emotion`, `valence` or `four`."""
    version: str
    """Of its classes and mapping."""
    classes: tuple[str, ...]
    """Names in order."""
    mapping: dict[str, str]
    """Canonical emotion -> class; an emotion outside it is left out."""
    exclusive: bool
    """A clip has one class or none; otherwise any number (0 to all) of the classes its corpus
    annotates."""
    single_form: bool = False
    """A clip of several classes or none is scored as one of its first (or the first annotated)
    class, as the paper's code does; otherwise such a corpus is scored label by label."""

    def annotated(self, emotions: Iterable[str]) -> tuple[str, ...]:
        """Classes that a corpus annotating these emotions can give, in schema order."""
        names = {self.mapping.get(emotion) for emotion in emotions}
        return tuple(name for name in self.classes if name in names)

    def left_out(
        self, emotions: Iterable[str], annotated: Iterable[str] | None = None
    ) -> str | None:
        """The reason why a clip with these emotions has no reference under this schema, or None
        where it has one.

        Args:
            annotated: Emotions of its corpus, which must give two classes: of a single one every
                prediction would be right.

        >>> SCHEMAS["valence"].left_out(["happiness", "fear"])
        'mixed: positive and negative'
        >>> SCHEMAS["emotion"].left_out([]) is None
        True
        >>> SCHEMAS["four"].left_out(["neutral"], ["neutral", "positive", "negative"])
        'its corpus has only one class: neutral'
        """
        if not self.exclusive:
            return None
        if annotated is not None and len(known := self.annotated(annotated)) < 2:
            return f"its corpus has {f'only one class: {known[0]}' if known else 'no class'}"
        emotions = tuple(emotions)
        classes = self.annotated(emotions)
        if len(classes) > 1:
            return f"mixed: {' and '.join(classes)}"
        if not classes:
            return f"no {self.name} in {'+'.join(emotions)}" if emotions else "no emotion marked"
        return None

    def reference(self, emotions: Iterable[str], annotated: Iterable[str]) -> np.ndarray:
        """1 present, 0 absent, -1 not annotated by the corpus; int8, shape (len(classes),).

        >>> SCHEMAS["emotion"].reference(["fear"], ["sadness", "fear"])[:3].tolist()
        [0, 1, -1]
        """
        present, possible = (
            multi_hot(self.annotated(names), self.classes) for names in (emotions, annotated)
        )
        return np.where(possible == 1, present, -1).astype(np.int8)


_FOUR_CLASSES = ("angry", "happiness", "neutral", "sadness")
SCHEMAS = {
    schema.name: schema
    for schema in (
        LabelSchema("emotion", "1", EMOTIONS, {name: name for name in EMOTIONS}, exclusive=False),
        LabelSchema("valence", "1", ("positive", "neutral", "negative"), VALENCE, exclusive=True),
        LabelSchema("four", "1", _FOUR_CLASSES, FOUR, exclusive=True),
    )
}


def scored_schema(name: str, split_rule: str) -> LabelSchema:
    """The schema as runs under a split rule are scored with it: in the single form of the paper's
    code under `paper`, label by label (arXiv 2306.14517, section 5.3) under every other. Raises
    UnknownName.

    >>> [scored_schema("emotion", rule).single_form for rule in ("paper", "disjoint")]
    [True, False]
    """
    schema = schema_named(name)
    return replace(schema, single_form=split_rule == "paper" and not schema.exclusive)


def schema_named(name: str) -> LabelSchema:
    """The schema of that name; raises UnknownName."""
    return SCHEMAS[known_name("schema", name, SCHEMAS)]
