"""The host's count of recomputations of a hidden test: so many a month for each submitter.

<receipts>/recomputations.json   Ledger: each set of files that was recomputed, once

What is counted is what tells of the labels: a submission that is refused before any label is looked
at costs nothing, and the same files verified again tell nothing new. A submitter is the account
that the host knows; where it knows none, an organisation and a contact, and one of them that has
used up its number is enough. Each is counted in plain letters (lookalikes.py) and by its kind: a
contact `alice` is not the account `alice`.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bimotion.errors import RecordError
from bimotion.io import files
from bimotion.io.records import Record, read_record
from bimotion.leaderboard import lookalikes

LEDGER_FILE = "recomputations.json"
MAX_LEDGER_BYTES = 2**26
MAX_RECOMPUTATIONS = 100_000
Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Recomputation(Record):
    """A submission whose scores were computed for its submitter."""

    month: Month
    """In which, UTC."""
    submitters: list[_Digest]
    """SHA-256 of `<kind>:<name in plain letters>` of each name: the ledger names nobody."""
    files: _Digest
    """Hash of the submission's files."""


@dataclass(frozen=True)
class Ledger(Record):
    """The content of recomputations.json."""

    recomputations: list[Recomputation]
    """In the order in which they were made."""
    ledger_version: Literal[1] = 1
    """Of this record."""

    def why_not(self, asked: Recomputation, max_per_month: int) -> str | None:
        """Say why one more recomputation may not be made; None: it may."""
        in_month = [made for made in self.recomputations if made.month == asked.month]
        for name in asked.submitters:
            n_made = sum(name in made.submitters for made in in_month)
            if n_made >= max_per_month:
                return (
                    f"expected at most {max_per_month} recomputations of a submitter in a month, "
                    f"found {n_made} in {asked.month}: the next can be made from "
                    f"{_next(asked.month)}-01 (UTC) on"
                )
        if len(self.recomputations) >= MAX_RECOMPUTATIONS:
            return (
                f"expected at most {MAX_RECOMPUTATIONS} recomputations in {LEDGER_FILE}: the host "
                "has to begin a new hidden test"
            )
        return None


def why_not_counted(
    receipts: Path, hashes: Mapping[str, str], names: Mapping[str, str | None], max_per_month: int
) -> str | None:
    """Count a recomputation, before anybody is told of it; or say why it may not be made.

    The month is that of this machine's clock, but never one before the last that the ledger has: a
    clock that is moved back gives nobody more.

    Args:
        receipts: the host's folder of receipts.
        hashes: file -> SHA-256 of the submission: what was counted before is not counted again.
        names: kind (account, organisation, contact) -> name of the submitter; None: not known.
        max_per_month: recomputations of a submitter in a month.

    Raises:
        RecordError: for a ledger that breaks its schema: it is never taken for an empty one.
    """
    path = receipts / LEDGER_FILE
    with files.locked(path.with_name(f".{LEDGER_FILE}.lock")):
        ledger = _load(path)
        last = max((made.month for made in ledger.recomputations), default="")
        asked = Recomputation(
            month=max(datetime.now(UTC).strftime("%Y-%m"), last),
            submitters=sorted(
                _hash(f"{kind}:{lookalikes.skeleton(name.strip())}")
                for kind, name in names.items()
                if name
            ),
            files=_hash(json.dumps(dict(hashes), sort_keys=True)),
        )
        if any(made.files == asked.files for made in ledger.recomputations):
            return None
        if reason := ledger.why_not(asked, max_per_month):
            return reason
        grown = dataclasses.replace(ledger, recomputations=[*ledger.recomputations, asked])
        text = json.dumps(dataclasses.asdict(grown), indent=1) + "\n"
        with files.written(path, private=True) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return None


def _load(path: Path) -> Ledger:
    if not path.exists() and not path.is_symlink():
        return Ledger([])
    try:
        return read_record(Ledger, path, MAX_LEDGER_BYTES, "ledger")
    except RecordError as error:
        raise RecordError(
            f"{error}: nothing is recomputed until it is whole again, from a copy of yours"
        ) from None


def _next(month: str) -> str:
    """The month after one.

    >>> _next("2026-12")
    '2027-01'
    """
    year, number = map(int, month.split("-"))
    return f"{year + number // 12:04}-{number % 12 + 1:02}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
