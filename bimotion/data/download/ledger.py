"""The record that a root keeps of its downloads: licences that were accepted, and where each corpus
came from."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from bimotion.corpora.card import Card
from bimotion.errors import RecordError
from bimotion.io import files
from bimotion.io.records import Record, read_record

FOLDER = ".bimotion-downloads"
"""Below a root; hidden, so no corpus."""
MAX_BYTES = 1024 * 1024
MEND = (
    "it is broken, or of another version of BiMotion: use that version, or move the file away; "
    "licences are then asked for again, and corpora that are complete stay as they are"
)


@dataclass(frozen=True)
class Acceptance(Record):
    """A licence that the user has accepted."""

    licence: str
    """As the corpus's card names it."""
    date: str
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class LaidOut(Record):
    """A download that ended well."""

    folder: str
    """Name below the root."""
    n_files: int
    n_bytes: int
    """Of all files together."""
    origins: list[str]
    """Addresses, or archives that the user gave."""
    pins: dict[str, str]
    """Repository -> commit, archive -> SHA-256, where the package does not know the content
    beforehand."""
    date: str
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class Ledger(Record):
    """Everything that a root records."""

    version: Literal[1] = 1
    licences: dict[str, Acceptance] = field(default_factory=dict)
    """Corpus -> its licence."""
    corpora: dict[str, list[LaidOut]] = field(default_factory=dict)
    """Corpus -> its downloads, the oldest first."""

    @classmethod
    def of(cls, root: Path) -> "Ledger":
        """The ledger of a root, empty where it has none; raises RecordError where it is broken, or
        of another version: it is never written over."""
        path = _path(root)
        if not os.path.lexists(path):
            return cls()
        try:
            return read_record(cls, path, MAX_BYTES, "downloads")
        except RecordError as error:
            raise RecordError(f"{error}; {MEND}") from None

    def has_made(self, corpus: str, folder: str) -> bool:
        """Tell whether a folder below the root is a download of a corpus."""
        return any(laid.folder == folder for laid in self.corpora.get(corpus, []))

    def to_accept(self, cards: list[Card]) -> list[Card]:
        """Those of some corpora whose licence was not accepted here yet."""
        accepted = {name: entry.licence for name, entry in self.licences.items()}
        return [card for card in cards if accepted.get(card.name) != card.licence]


def accept(cards: list[Card], root: Path) -> None:
    """Record in a root that licences are accepted."""
    now = {card.name: Acceptance(card.licence, today()) for card in cards}
    _change(root, lambda ledger: replace(ledger, licences=ledger.licences | now))


def laid_out(corpus: str, laid: LaidOut, root: Path) -> None:
    """Record a download in its root."""

    def with_it(ledger: Ledger) -> Ledger:
        of_corpus = [*ledger.corpora.get(corpus, []), laid]
        return replace(ledger, corpora=ledger.corpora | {corpus: of_corpus})

    _change(root, with_it)


def _change(root: Path, change: Callable[[Ledger], Ledger]) -> None:
    """Write the ledger anew, read under a lock: what another download has recorded since, while
    this one asked or fetched, stays."""
    path = _path(root)
    with files.locked(path.with_suffix(".lock")):
        changed = change(Ledger.of(root))
        with files.written(path) as temporary:
            temporary.write_text(json.dumps(asdict(changed), indent=1) + "\n", encoding="utf-8")


def today() -> str:
    """This moment, as the ledger writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _path(root: Path) -> Path:
    return root / FOLDER / "downloads.json"
