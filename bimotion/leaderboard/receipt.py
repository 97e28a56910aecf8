"""The keeper's word on a submission: a receipt, kept outside of all submissions, that holds for
the very files it lists.

<receipts>/<organisation>__<model>/<run key>/
    receipt.json      Receipt: written when the submission's files were found sound
    receipt.json.sig  signature of its bytes (signature.py), where the board has keys
    entry.npz         what a board needs of it (entry_cache.py), counted only under the hash that
                      the receipt lists

A submission is a stranger's: whatever lies inside one is no receipt, and is refused. By default the
receipts of `leaderboard/submissions` are `leaderboard/receipts`, and the keys `leaderboard/keys`.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from bimotion.errors import RecordError, SettingError
from bimotion.io import files
from bimotion.io.records import Record, from_json
from bimotion.leaderboard.reproduction import Reproduction
from bimotion.leaderboard.signature import (
    KEYS_FOLDER,
    MAX_SIGNATURE_BYTES,
    SIGNATURE_FILE,
    BoardKeys,
    SigningKey,
)
from bimotion.leaderboard.submission import MAX_SUBMISSION_BYTES, SUBMISSION_FILE
from bimotion.results import predictions, record

RECEIPTS_FOLDER = "receipts"
RECEIPT_FILE, ENTRY_FILE = "receipt.json", "entry.npz"
MAX_RECEIPT_BYTES, MAX_ENTRY_BYTES = 2**16, 2**22
MAX_SUBMITTED_BYTES = {  # file of a submission -> largest size accepted
    record.RESULT_FILE: record.MAX_RESULT_BYTES,
    record.PREDICTIONS_FILE: predictions.MAX_BYTES,
    SUBMISSION_FILE: MAX_SUBMISSION_BYTES,
}
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
"""How the text begins that git holds in place of a file of Git LFS."""
OF_KEEPERS = (RECEIPT_FILE, SIGNATURE_FILE, ENTRY_FILE, "verified.json", "derived.npz")
"""The last two: where earlier versions kept them."""
NO_PROOF = ""
"""In place of a proof of the organisation: one of before is withdrawn."""
NO_KEYS = BoardKeys(Path(KEYS_FOLDER), {})


@dataclass(frozen=True)
class Receipt(Record):
    """The content of receipt.json."""

    added: ClassVar = frozenset({"reproduction", "organisation_proof"})

    submission: str
    """Which it speaks of: `<organisation>__<model>/<run key>`."""
    sha256: dict[str, str]
    """File -> SHA-256, hex, of every file of that submission."""
    entry_sha256: str | None
    """Of entry.npz beside it; null: there is none."""
    practice: bool
    """Found sound as one of synthetic or incomplete corpora, or against such; no real board takes
    it."""
    baseline: bool
    """The keeper made this run: the only kind that stands under the name of a baseline."""
    reproduction: Reproduction | None = None
    """The keeper's own run of the submission; null: none was made."""
    organisation_proof: str | None = None
    """How the keeper knows that the submitter belongs to the organisation; null: unproved."""
    receipt_version: Literal[1] = 1
    """Of this record."""

    def why_not(self, submission: str, hashes: Mapping[str, str], *, practice: bool) -> str | None:
        """Say why it does not make a submission of these files count as verified (`practice`: on a
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


class Held(NamedTuple):
    """A receipt that was read."""

    receipt: Receipt
    signed_by: str | None
    """Name of the board's key that signed it; None: not signed, on a board without keys."""


def folder_for(
    submissions: Path, receipts: Path | None = None, name: str = RECEIPTS_FOLDER
) -> Path:
    """The folder of the receipts, or of what `name` says, of a folder of submissions: as given,
    else beside it.

    Raises:
        SettingError: for a folder inside the submissions, and for a file.
    """
    folder = submissions.absolute().parent / name if receipts is None else Path(receipts)
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(submissions)):
        raise SettingError(
            f"{folder}: expected a folder for {name} outside of the submissions, found one in "
            f"{submissions}"
        )
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"{folder}: expected a folder for {name}, found a file")
    return folder


def keys_for(
    submissions: Path,
    keys: Path | None = None,
    signing: SigningKey | None = None,
    receipts: Path | None = None,
) -> BoardKeys:
    """The public keys of the board of a folder of submissions: of the folder given, where one is
    expected, else of `keys` beside the submissions, where there may be none.

    Args:
        submissions: their folder.
        keys: that of the keys.
        signing: the keeper's private key, whose public half is one of these.
        receipts: that of the receipts, where it lies elsewhere: other keys must not lie beside it.

    Raises:
        SettingError: as `folder_for`, for a file that is no key, for a folder without keys, and for
            another key to sign with.
    """
    folder = folder_for(submissions, keys, KEYS_FOLDER)
    if keys is None and receipts is not None:
        other = Path(receipts).absolute().parent / KEYS_FOLDER
        if os.path.lexists(other) and os.path.realpath(other) != os.path.realpath(folder):
            raise SettingError(
                f"{other}: expected the keys of a board beside its submissions, {folder}, found "
                "some beside its receipts too: say which with --keys"
            )
    board_keys = BoardKeys.of_folder(folder)
    if keys is not None and not board_keys:
        raise SettingError(f"{keys}: expected public keys, NAME.pub, found none")
    return board_keys if signing is None else board_keys.with_signing(signing)


def digests(folder: Path) -> dict[str, str]:
    """File name -> SHA-256, hex, of a submission's files. Without a statement it is a run as
    `bimotion evaluate` left it, beside whose files others may lie, unread; but no receipt.

    Raises:
        RecordError: for any other file, and where one is no plain file or too large.
    """
    names = sorted(os.listdir(folder))
    is_submission = SUBMISSION_FILE in names
    unexpected = set(names) - MAX_SUBMITTED_BYTES.keys() if is_submission else OF_KEEPERS
    for name in names:
        if name in unexpected:
            raise RecordError(why_unexpected(name))
    hashes = {}
    for name, max_bytes in MAX_SUBMITTED_BYTES.items():
        path = folder / name
        if name == SUBMISSION_FILE and not is_submission:
            continue
        if path.is_symlink() or not path.is_file():
            raise RecordError(f"{name}: expected a plain file, found none or a link")
        if not 0 < (size := path.stat().st_size) <= max_bytes:
            raise RecordError(f"{name}: expected 1 to {max_bytes} bytes, found {size}")
        with path.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise RecordError(
                    f"{name}: expected the file, found a Git LFS pointer: fetch it (git lfs pull)"
                )
        hashes[name] = files.digest(path)
    return hashes


def why_unexpected(name: str) -> str:
    """Say why a file must not lie in a submission."""
    if name in OF_KEEPERS:
        return (
            f"{name}: receipts are the keeper's and lie outside of submissions; this one is "
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
    organisation_proof: str | None = None,
    entry: bytes | None = None,
    keys: BoardKeys = NO_KEYS,
) -> None:
    """Write a receipt for files of these hashes; `entry`: content of entry.npz. A reproduction and
    (but for NO_PROOF) a proof of the organisation that an earlier receipt has of the same files
    stay, if that receipt counts with `keys`; and what was once sound on a real board is no less so
    when it is verified again for practice."""
    folder = receipts / submission
    before = earlier(receipts, submission, keys)
    if before is not None and before.why_not(submission, hashes, practice=True) is not None:
        before = None
    if organisation_proof is None and before is not None:
        organisation_proof = before.organisation_proof
    if entry is not None:
        with files.written(folder / ENTRY_FILE) as temporary:
            temporary.write_bytes(entry)
    receipt = Receipt(
        submission=submission,
        sha256=dict(hashes),
        entry_sha256=None if entry is None else hashlib.sha256(entry).hexdigest(),
        practice=practice and (before is None or before.practice),
        baseline=baseline,
        reproduction=before and before.reproduction,
        organisation_proof=organisation_proof or None,
    )
    save(receipts, receipt, keys)


def save(receipts: Path, receipt: Receipt, keys: BoardKeys = NO_KEYS) -> None:
    """Write receipt.json alone, and its signature; an earlier signature never stays."""
    content = (json.dumps(dataclasses.asdict(receipt), indent=1) + "\n").encode()
    folder = receipts / receipt.submission
    if keys.signing is None:
        (folder / SIGNATURE_FILE).unlink(missing_ok=True)
        with files.written(folder / RECEIPT_FILE) as temporary:
            temporary.write_bytes(content)
        return
    # whatever breaks off before both are written leaves both as they were
    with files.written(folder / SIGNATURE_FILE) as temporary:
        temporary.write_bytes(keys.signing.signature(content))
        with files.written(folder / RECEIPT_FILE) as receipt_file:
            receipt_file.write_bytes(content)


def earlier(receipts: Path, submission: str, keys: BoardKeys = NO_KEYS) -> Receipt | None:
    """The receipt that lies there; None for one that breaks its schema or that no key signed,
    too: what a stranger slipped in is never taken over into one that the keeper signs."""
    try:
        return load(receipts, submission, keys)
    except RecordError:
        return None


def why_withdrawn(receipts: Path, submission: str, hashes: Mapping[str, str]) -> str | None:
    """Say why the receipt of a submission that is refused cannot come to hold again; None: it can,
    whoever signed it: with these hashes, or (none) where they are not known."""
    content = _plain_content(receipts / submission / RECEIPT_FILE, MAX_RECEIPT_BYTES)
    if content is None:
        return f"expected a plain file of at most {MAX_RECEIPT_BYTES} bytes"
    try:
        there = from_json(Receipt, content, RECEIPT_FILE)
    except RecordError as error:
        return str(error)
    return there.why_not(submission, hashes or there.sha256, practice=True)


def withdraw(receipts: Path, submission: str) -> None:
    """Remove the receipt of a submission, if there is one."""
    for name in (SIGNATURE_FILE, RECEIPT_FILE, ENTRY_FILE):
        path = receipts / submission / name
        if path.is_symlink() or path.is_file():
            path.unlink()
    with suppress(OSError):  # other runs of the model have theirs
        (receipts / submission).rmdir()
        (receipts / submission).parent.rmdir()


def load(receipts: Path, submission: str, keys: BoardKeys = NO_KEYS) -> Receipt | None:
    """The receipt that `held` gives, without who signed it."""
    return there.receipt if (there := held(receipts, submission, keys)) else None


def held(receipts: Path, submission: str, keys: BoardKeys = NO_KEYS) -> Held | None:
    """The receipt that lies where one of this submission belongs; None: none.

    Raises:
        RecordError: where it breaks its schema, and where it is not signed as the keys of the board
            demand.
    """
    folder, contents = receipts / submission, {}
    for name, max_bytes in (
        (RECEIPT_FILE, MAX_RECEIPT_BYTES),
        (SIGNATURE_FILE, MAX_SIGNATURE_BYTES),
    ):
        if not os.path.lexists(folder / name):
            contents[name] = None
        elif (content := _plain_content(folder / name, max_bytes)) is not None:
            contents[name] = content
        else:
            raise RecordError(f"{name}: expected a plain file of at most {max_bytes} bytes")
    if (content := contents[RECEIPT_FILE]) is None:
        return None
    signed_by = keys.signer(content, contents[SIGNATURE_FILE])  # of the very bytes that are read
    return Held(from_json(Receipt, content, RECEIPT_FILE), signed_by)


def entry(receipts: Path, submission: str, receipt: Receipt) -> bytes | None:
    """The content of entry.npz, if its receipt lists its hash. Asked for where the receipt
    holds."""
    content = _plain_content(receipts / submission / ENTRY_FILE, MAX_ENTRY_BYTES)
    if content is None or receipt.entry_sha256 != hashlib.sha256(content).hexdigest():
        return None
    return content


def _plain_content(path: Path, max_bytes: int) -> bytes | None:
    """The content of a file; None for a link, a larger file, and where it cannot be read."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > max_bytes:
            return None
        return path.read_bytes()
    except OSError:
        return None
