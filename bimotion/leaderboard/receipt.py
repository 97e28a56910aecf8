"""The receiver's word on a submission: a receipt, kept outside of all submissions, that holds for
the very files it lists.

<receipts>/<organisation>__<model>/<run key>/
    receipt.json   Receipt: written when the submission's files were found sound
    entry.npz      what a board needs of it (entry_cache.py), counted only under the hash that the
                   receipt lists

A submission is a stranger's: whatever lies inside one is no receipt, and is refused. Without other
word the receipts of `leaderboard/submissions` are `leaderboard/receipts`.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bimotion.errors import RecordError, SettingError
from bimotion.io import files
from bimotion.io.records import Record, json_object, typed
from bimotion.leaderboard.submission import MAX_SUBMISSION_BYTES, SUBMISSION_FILE
from bimotion.results import predictions, record

RECEIPT_VERSION = 1
RECEIPTS_FOLDER = "receipts"
RECEIPT_FILE, ENTRY_FILE = "receipt.json", "entry.npz"
MAX_RECEIPT_BYTES, MAX_ENTRY_BYTES = 2**16, 2**22
MAX_SUBMITTED_BYTES = {  # file of a submission -> largest size accepted
    record.RESULT_FILE: record.MAX_RESULT_BYTES,
    record.PREDICTIONS_FILE: predictions.MAX_BYTES,
    SUBMISSION_FILE: MAX_SUBMISSION_BYTES,
}
# the latter: where earlier versions kept them
OF_RECEIVERS = (RECEIPT_FILE, ENTRY_FILE, "verified.json", "derived.npz")


@dataclass(frozen=True)
class Receipt(Record):
    """What stands in receipt.json.

    submission      which it speaks of: `<organisation>__<model>/<run key>`
    sha256          file -> SHA-256, hex, of every file of that submission
    entry_sha256    of entry.npz beside it; null: there is none
    practice        found sound as one of synthetic or incomplete corpora, or against such; no real
                    board takes it
    baseline        the receiver made this run: the only kind that stands under the name of a
                    baseline
    """

    submission: str
    sha256: dict[str, str]
    entry_sha256: str | None
    practice: bool
    baseline: bool
    receipt_version: int = RECEIPT_VERSION

    def why_not(self, submission: str, hashes: Mapping[str, str], *, practice: bool) -> str | None:
        """Why it does not make a submission of these files count as verified (`practice`: on a
        board for practice); None: it does."""
        if self.submission != submission:
            return f"its receipt speaks of {self.submission!a:.200}"
        if self.practice and not practice:
            return "verified for practice only"
        changed = [
            name
            for name in sorted(self.sha256.keys() | hashes)
            if self.sha256.get(name) != hashes.get(name)
        ]
        return f"changed since it was verified: {', '.join(changed)[:200]}" if changed else None


def folder_for(submissions: Path, receipts: Path | None = None) -> Path:
    """Where the receipts of a folder of submissions lie: as given, else beside it. SettingError for
    a place inside it, and for a file."""
    found = submissions.absolute().parent / RECEIPTS_FOLDER if receipts is None else Path(receipts)
    if found.resolve().is_relative_to(submissions.resolve()):
        raise SettingError(
            f"{found}: expected a folder for receipts outside of the submissions, found one in "
            f"{submissions}"
        )
    if found.exists() and not found.is_dir():
        raise SettingError(f"{found}: expected a folder for receipts, found a file")
    return found


def digests(folder: Path) -> dict[str, str]:
    """File name -> SHA-256, hex, of a submission's files; RecordError for any other file, and where
    one is no plain file or too large. Without a statement it is a run as `bimotion evaluate` left
    it, beside whose files others may lie, unread; but no receipt."""
    with os.scandir(folder) as found:
        names = sorted(entry.name for entry in found)
    allowed = (
        MAX_SUBMITTED_BYTES if SUBMISSION_FILE in names else set(names).difference(OF_RECEIVERS)
    )
    if unexpected := [name for name in names if name not in allowed]:
        raise RecordError(why_unexpected(unexpected[0]))
    hashes = {}
    for name in MAX_SUBMITTED_BYTES:
        path = folder / name
        if name == SUBMISSION_FILE and name not in names:
            continue
        if path.is_symlink() or not path.is_file():
            raise RecordError(f"{name}: expected a plain file, found none")
        if (size := path.stat().st_size) > MAX_SUBMITTED_BYTES[name]:
            raise RecordError(
                f"{name}: expected at most {MAX_SUBMITTED_BYTES[name]} bytes, found {size}"
            )
        hashes[name] = files.digest(path)
    return hashes


def why_unexpected(name: str) -> str:
    """Why a file must not lie in a submission."""
    if name in OF_RECEIVERS:
        return (
            f"{name}: receipts are the receiver's and lie outside of submissions; this one is "
            "not believed: remove it and run `bimotion leaderboard verify`"
        )
    return f"expected {', '.join(MAX_SUBMITTED_BYTES)} only, found {name!r:.100}"


def write(
    receipts: Path,
    submission: str,
    hashes: Mapping[str, str],
    *,
    practice: bool = False,
    baseline: bool = False,
    entry: bytes | None = None,
) -> None:
    """Write a receipt for files of these hashes; `entry`: content of entry.npz."""
    folder = receipts / submission
    if entry is not None:
        with files.written(folder / ENTRY_FILE) as temporary:
            temporary.write_bytes(entry)
    known = None if entry is None else hashlib.sha256(entry).hexdigest()
    found = Receipt(submission, dict(hashes), known, practice, baseline)
    with files.written(folder / RECEIPT_FILE) as temporary:
        temporary.write_text(
            json.dumps(dataclasses.asdict(found), indent=1) + "\n", encoding="utf-8"
        )


def withdraw(receipts: Path, submission: str) -> None:
    """Remove the receipt of a submission, if there is one."""
    for name in (RECEIPT_FILE, ENTRY_FILE):
        place = receipts / submission / name
        if place.is_symlink() or place.is_file():
            place.unlink()
    with suppress(OSError):  # other runs of the model have theirs
        (receipts / submission).rmdir()
        (receipts / submission).parent.rmdir()


def load(receipts: Path, submission: str) -> Receipt | None:
    """The receipt that lies where one of this submission belongs; None: none. RecordError where it
    breaks its schema."""
    path = receipts / submission / RECEIPT_FILE
    if not os.path.lexists(path):
        return None
    content = json_object(path, MAX_RECEIPT_BYTES)
    if content.get("receipt_version") != RECEIPT_VERSION:
        found = content.get("receipt_version")
        raise RecordError(
            f"{RECEIPT_FILE}: expected receipt_version {RECEIPT_VERSION}, found {found!r:.80}: "
            "verify it again"
        )
    return typed(Receipt, content, RECEIPT_FILE)


def entry(receipts: Path, submission: str, found: Receipt) -> bytes | None:
    """The content of entry.npz, if its receipt lists its hash. Asked for where the receipt
    holds."""
    path = receipts / submission / ENTRY_FILE
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_ENTRY_BYTES:
        return None
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if found.entry_sha256 == hashlib.sha256(data).hexdigest() else None
