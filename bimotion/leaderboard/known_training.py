"""Training data beyond a statement: names in it that nobody knows, and what is known of a published
model that its statement leaves out.

Both are shown and decide nothing, but that known training data count for contamination as declared
ones do. The facts are two tables beside this file, each row with the page that says it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from bimotion.io.records import Record
from bimotion.leaderboard.contamination import TABLE, corpora_meant, is_corpus_name
from bimotion.leaderboard.data_set_names import NameTable, left_over, listed, rows

DATA_SETS_FILE, MODELS_FILE = "known_data_sets.tsv", "known_models.tsv"
MAX_SHOWN = 1000
"""Characters, of all names that are not recognised."""


@dataclass(frozen=True)
class KnownTraining(Record):
    """The data that a published model was trained on, as a public page says; perhaps not all."""

    data_sets: list[str]
    """Their names."""
    source: str
    """The page."""


def known_training(model: str) -> KnownTraining | None:
    """Look up what is known of a model, by its name on the Hub, where capitals mean nothing.

    >>> known_training("SUPERB/hubert-large-superb-er").data_sets
    ['IEMOCAP']
    >>> known_training("lab/hubert-large-superb-er") is None
    True
    """
    return _models().get(model.casefold())


def not_recognised(names: Sequence[str]) -> list[str]:
    """Those names that speak of none of our corpora and of no data set that is known here; and of a
    name that speaks of one, the words that do not belong to it. Up to MAX_SHOWN characters; the
    last one says how many more.

    >>> not_recognised(["LibriSpeech (960 h)", "IEM0CAP", "DreamVoices-9000"])
    ['DreamVoices-9000']
    >>> not_recognised(["IEMOCAP and my secret set"])
    ['my secret (beside what is known)']
    """
    unknown = [text for name in names if (text := _unknown(name))]
    shown, n_characters = [], 0
    for name in unknown:
        n_characters += len(name)
        if n_characters > MAX_SHOWN:
            return [*shown, f"and {len(unknown) - len(shown)} more"]
        shown.append(name)
    return shown


def _unknown(name: str) -> str | None:
    """The whole of a name that nobody knows, or what is left of one beside a known part."""
    if not _data_sets_meant(name) and not is_corpus_name(name):
        return name
    left = left_over(name, TABLE, _data_sets())
    return f"{left} (beside what is known)" if left else None


def not_declared(known: KnownTraining | None, declared: Sequence[str] | None) -> list[str]:
    """The data sets that a model is known to have been trained on and its statement does not name,
    in any spelling.

    >>> known = KnownTraining(["IEMOCAP", "Libri-Light"], "a page")
    >>> not_declared(known, ["libri light 60k"]), not_declared(known, None)
    (['IEMOCAP'], ['IEMOCAP', 'Libri-Light'])
    """
    named = {meant for name in declared or () for meant in _meant(name)}
    return [name for name in known.data_sets if not _meant(name) <= named] if known else []


def notes(model: str, declared: Sequence[str] | None) -> list[str]:
    """Lines for a submitter or a keeper about a statement: names that are not recognised, and
    known data sets that are not declared.

    Args:
        model: With its organisation.
        declared: As `trained_on`.

    >>> notes("superb/hubert-large-superb-er", [])[0].partition(" (http")[0]
    'superb/hubert-large-superb-er is known to be trained on IEMOCAP, which is not declared'
    """
    lines = []
    if unknown := not_recognised(declared or ()):
        lines.append(f"trained_on: not recognised: {', '.join(unknown)}")
    known = known_training(model)
    if missing := not_declared(known, declared):
        named = ", ".join(missing)
        lines.append(
            f"{model} is known to be trained on {named}, which is not declared ({known.source})"
        )
    return lines


@cache
def facts_hash() -> str:
    """A hash of both tables: what a board keeps of an entry rests on them."""
    content = [rows(file) for file in (DATA_SETS_FILE, MODELS_FILE)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def _meant(name: str) -> set[tuple[str, str]]:
    """Our corpora and other data sets that a name speaks of."""
    corpora = {("corpus", corpus) for corpus in corpora_meant(name)}
    return corpora | {("data set", data_set) for data_set in _data_sets_meant(name)}


def _data_sets_meant(name: str) -> set[str]:
    return {data_set for meant in _data_sets().readings(name) for data_set in meant}


@cache
def _data_sets() -> NameTable:
    return NameTable(
        {
            name: (row["name"],)
            for row in rows(DATA_SETS_FILE)
            for name in (row["name"], *listed(row["aliases"]))
        }
    )


@cache
def _models() -> dict[str, KnownTraining]:
    return {
        row["model"].casefold(): KnownTraining(listed(row["trained_on"]), row["source"])
        for row in rows(MODELS_FILE)
    }
