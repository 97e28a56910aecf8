"""Marks beside a headline of which little is left: one class, one speaker, ages that nobody knows,
one training of many that are possible.

They stand at the number itself, their meaning once below the table.
"""

from collections import defaultdict
from collections.abc import Iterable

from bimotion.protocol.settings import SettingId
from bimotion.results.record import Result

ONE_CLASS, ONE_SPEAKER, ASSUMED_AGE, ONE_SEED = "ᶜ", "ˢ", "ᵃ", "ᵏ"
MEANINGS = {
    ONE_CLASS: "one class is tested, or can be predicted: it says nothing about emotion",
    ONE_SPEAKER: "one speaker: it says nothing about others",
    ASSUMED_AGE: "the age of every speaker is assumed, not known",
    ONE_SEED: "of this checkpoint: one seed, and the numbers depend on it",
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
            ONE_SEED: result.is_seeded and len(result.seeds) == 1,
        }
        if text := "".join(mark for mark, applies in is_marked.items() if applies):
            marked[setting] = text
    return marked


def joined(marked: Iterable[dict[SettingId, str]], settings: Iterable[SettingId]) -> str:
    """Each mark, once, that a setting has in some result: those of a mean or a difference.

    Args:
        marked: As `reservations` gives them.
    """
    settings = list(settings)
    texts = (of_result.get(setting, "") for of_result in marked for setting in settings)
    return "".join(dict.fromkeys("".join(texts)))


def meanings(texts: Iterable[str]) -> list[str]:
    """The sentence below a table for the marks that stand in its texts; none without marks.

    >>> meanings(["73.33 ˢ", "-"])
    ['ˢ one speaker: it says nothing about others (a mean has the marks of its cells)']
    """
    shown = set("".join(texts))
    known = [f"{mark} {text}" for mark, text in MEANINGS.items() if mark in shown]
    return [f"{'; '.join(known)} (a mean has the marks of its cells)"] if known else []


def with_mark(text: str, mark: str | None) -> str:
    """A number with its mark behind it; a dash has none."""
    return f"{text} {mark}" if mark and text != "-" else text
