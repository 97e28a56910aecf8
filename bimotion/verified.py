"""The receiver's word that a submission's files are verified: verified.json beside them. It holds for these very files.

    {"verified": true, "practice": false, "sha256": {file name: hash}}

derived.npz, beside it, is the receiver's too, and counts only under the hash that is listed.

`practice`: found sound as one of synthetic or incomplete corpora, or against such; no real board takes it.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from bimotion import files, predictions, results
from bimotion.errors import RecordError
from bimotion.records import json_object
from bimotion.submission import MAX_SUBMISSION_BYTES, SUBMISSION_FILE

VERIFIED_FILE = "verified.json"
MOST_BYTES = {
    results.RESULT_FILE: results.MAX_RESULT_BYTES,
    results.PREDICTIONS_FILE: predictions.MAX_BYTES,
    SUBMISSION_FILE: MAX_SUBMISSION_BYTES,
}
"""Of each file of a submission."""
DERIVED_FILE = "derived.npz"
RECEIVERS = {VERIFIED_FILE: MAX_SUBMISSION_BYTES, DERIVED_FILE: 2**22}
"""Of each file that the receiver adds."""


def digests(folder: Path) -> dict[str, str]:
    """File name -> SHA-256, hex, of a submission's files; RecordError where one is no plain file, or too large. A statement
    may be missing: local results are shown without."""
    found = {}
    for name in MOST_BYTES:
        path = folder / name
        if name == SUBMISSION_FILE and not os.path.lexists(path):
            continue
        if path.is_symlink() or not path.is_file():
            raise RecordError(f"{name}: expected a plain file, found none")
        if (size := path.stat().st_size) > MOST_BYTES[name]:
            raise RecordError(f"{name}: expected at most {MOST_BYTES[name]} bytes, found {size}")
        with path.open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def say(folder: Path, hashes: Mapping[str, str], *, practice: bool) -> None:
    """Write it for files of these hashes."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with files.written(folder / VERIFIED_FILE) as temporary:
        temporary.write_text(
            json.dumps({"verified": True, "practice": practice, "sha256": dict(hashes)}, indent=1) + "\n", encoding="utf-8"
        )


def withdraw(folder: Path) -> None:
    """Take it away, whatever lies there under the names of its files but a folder."""
    for place in (folder / name for name in RECEIVERS):
        if not folder.is_symlink() and folder.is_dir() and (place.is_symlink() or not place.is_dir()):
            place.unlink(missing_ok=True)


def vouched(folder: Path) -> bytes | None:
    """The content of derived.npz, if verified.json lists its hash. To be asked where `why_not` says that the latter holds."""
    path = folder / DERIVED_FILE
    if path.is_symlink() or not path.is_file() or path.stat().st_size > RECEIVERS[DERIVED_FILE]:
        return None
    try:
        listed, data = json_object(folder / VERIFIED_FILE, MAX_SUBMISSION_BYTES).get("sha256"), path.read_bytes()
    except (OSError, RecordError):
        return None
    known = listed.get(DERIVED_FILE) if isinstance(listed, dict) else None
    return data if known == hashlib.sha256(data).hexdigest() else None


def why_not(folder: Path, hashes: Mapping[str, str], *, practice: bool) -> str | None:
    """Why a submission whose files have these hashes does not count as verified on a board (`practice`: one for trying out);
    None: it does."""
    if not os.path.lexists(folder / VERIFIED_FILE):
        return "not verified"
    try:
        content = json_object(folder / VERIFIED_FILE, MAX_SUBMISSION_BYTES)
    except RecordError as error:
        return str(error)
    if content.get("verified") is not True:
        return f"{VERIFIED_FILE} does not say that it is"
    if content.get("practice") is not False and not practice:
        return "verified for practice alone"
    listed = content.get("sha256")
    listed = listed if isinstance(listed, dict) else {}
    changed = [name for name in MOST_BYTES if listed.get(name) != hashes.get(name)]
    return f"changed since it was verified: {', '.join(changed)}" if changed else None
