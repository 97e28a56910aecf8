"""Marks beside a headline of which little is left: one class, one speaker, ages that nobody knows.

They stand at the number itself, their meaning once below the table.
"""

from collections import defaultdict
from collections.abc import Iterable

from bimotion.protocol.settings import SettingId
from bimotion.results.record import Result

ONE_CLASS, ONE_SPEAKER, ASSUMED_AGE = "ᶜ", "ˢ", "ᵃ"
MEANINGS = {
    ONE_CLASS: "one class is tested, or can be predicted: it says nothing about emotion",
    ONE_SPEAKER: "one speaker: it says nothing about others",
    ASSUMED_AGE: "the age of every speaker is assumed, not known",
}


def reservations(result: Result) -> dict[SettingId, str]:
    """Setting -> the marks of its headline, the mean over the cell's corpora; settings without any
    are left out."""
    corpora, marked = defaultdict(set), {}
    for score in result.scores:
        if score.corpus is not None:
            corpora[SettingId.of(score)].add(score.corpus)
    assumed = {
        name for name, used in result.data.corpora.items() if set(used.age_source) == {"assumed"}
    }
    for score in result.scores:
        if (score.metric, score.pooling) != ("weighted_f1", "mean"):
            continue
        setting = SettingId.of(score)
        is_marked = {
            ONE_CLASS: bool(score.note),
            ONE_SPEAKER: (score.n_speakers, score.n_speaker_unknown) == (1, 0),
            ASSUMED_AGE: corpora[setting] and corpora[setting] <= assumed,
        }
        if text := "".join(mark for mark, applies in is_marked.items() if applies):
            marked[setting] = text
    return marked


def meanings(texts: Iterable[str]) -> list[str]:
    """The sentence below a table for the marks that stand in its texts; none without marks.

    >>> meanings(["73.33 ˢ", "-"])
    ['ˢ one speaker: it says nothing about others (a mean has the marks of its cells)']
    """
    shown = set("".join(texts))
    known = [f"{mark} {text}" for mark, text in MEANINGS.items() if mark in shown]
    return [f"{'; '.join(known)} (a mean has the marks of its cells)"] if known else []


def with_mark(text: str, mark: str | None) -> str:
    """A number with its mark behind it."""
    return f"{text} {mark}" if mark else text
