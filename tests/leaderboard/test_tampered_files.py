"""Statements, files and bytes that are not as they were packed are refused with their reason."""

import os

import pytest

from bimotion.results import record
from tests.support.drafts import (
    PREDICTIONS,
    RESULT,
    STATEMENT,
    afterwards,
    check_refused,
    kept,
    oversize,
    rewritten,
    said,
    verdicts_of,
)


def linked(name):
    def change(folder):
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return change


def folder_linked(folder):
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


TAMPERED_FILES = {
    # statement
    "contamination removed": (said("contamination", {"eng_eld": []}), "contamination: expected"),
    "contamination not told": (said("contamination", None), "contamination: expected"),
    "training data no longer declared": (said("trained_on", None), "contamination: expected None"),
    "contact of two lines": (said("contact", "a\nb"), "contact: expected one line"),
    "other fingerprint": (
        kept("fingerprints", said("fingerprints", {RESULT: "0", PREDICTIONS: "0"})),
        "found '0'",
    ),
    "fingerprint of another file": (
        said("fingerprints", lambda all: all | {"../../x": "0"}),
        "fingerprints.../../x: expected",
    ),
    "fingerprint missing": (kept("fingerprints", said("fingerprints", {})), "found None"),
    "size told": (said("model", lambda facts: facts | {"n_parameters": 1}), "model: expected"),
    "later statement": (said("submission_version", 2), "expected submission_version 1, found 2"),
    "result changed afterwards": (
        afterwards(rewritten(RESULT, lambda data: data + b"\n"), seal=False),
        "fingerprints.result.json: expected",
    ),
    # bytes of the JSON files
    "field twice": (
        afterwards(
            rewritten(
                RESULT, lambda data: data.replace(b'"limit": null', b'"limit": 6,\n "limit": null')
            )
        ),
        "expected JSON as bimotion writes it",
    ),
    "odd spelling": (
        afterwards(rewritten(STATEMENT, lambda data: data + b" "), seal=False),
        "as bimotion writes it",
    ),
    "NaN in JSON": (
        afterwards(
            rewritten(
                RESULT,
                lambda data: data.replace(
                    b'"out_of_label_space": 0.0', b'"out_of_label_space": NaN'
                ),
            )
        ),
        "out_of_label_space: expected a finite number, found nan",
    ),
    "half a surrogate": (
        afterwards(
            rewritten(RESULT, lambda data: data.replace(b'"python": "', b'"python": "\\ud800'))
        ),
        "expected a result in JSON, found: unexpected end of hex",
    ),
    "deep JSON": (afterwards(rewritten(RESULT, b"[" * 200_000)), "expected a result in JSON"),
    "deep statement": (
        afterwards(rewritten(STATEMENT, b"[" * 200_000), seal=False),
        "expected a submission in JSON",
    ),
    "oversize JSON": (
        afterwards(oversize(RESULT, record.MAX_RESULT_BYTES + 1), seal=False),
        "found 33554433",
    ),
    "oversize statement": (afterwards(oversize(STATEMENT, 2**20 + 1), seal=False), "found 1048577"),
    "empty result": (
        afterwards(rewritten(RESULT, b""), seal=False),
        "result.json: expected 1 to 33554432 bytes, found 0",
    ),
    # files
    "file too many": (
        afterwards(lambda folder: (folder / "run.py").write_text("1/0"), seal=False),
        "only, found 'run.py'",
    ),
    "hidden file": (
        afterwards(lambda folder: (folder / ".lock").touch(), seal=False),
        "only, found '.lock'",
    ),
    "file missing": (
        afterwards(lambda folder: (folder / PREDICTIONS).unlink(), seal=False),
        "expected a file, found none",
    ),
    "linked result": (
        afterwards(linked(RESULT), seal=False),
        "result.json: expected a plain file, found a link",
    ),
    "linked predictions": (
        afterwards(linked(PREDICTIONS), seal=False),
        "predictions.parquet: expected a plain file",
    ),
    "linked statement": (
        afterwards(linked(STATEMENT), seal=False),
        "submission.json: expected a plain file",
    ),
    "its own verified.json": (
        afterwards(lambda folder: (folder / "verified.json").touch(), seal=False),
        "verified.json: receipts are the receiver's and lie outside of submissions",
    ),
    "its own derived.npz": (
        afterwards(lambda folder: (folder / "derived.npz").symlink_to("/etc/hostname"), seal=False),
        "derived.npz: receipts are the receiver's and lie outside of submissions",
    ),
    "its own receipt": (
        afterwards(lambda folder: (folder / "receipt.json").write_text("{}"), seal=False),
        "receipt.json: receipts are the receiver's and lie outside of submissions",
    ),
    "linked folder": (afterwards(folder_linked, seal=False), "expected a folder, found a link"),
    "folder for a file": (
        afterwards(
            lambda folder: ((folder / RESULT).unlink(), (folder / RESULT).mkdir()), seal=False
        ),
        "result.json: expected a plain file",
    ),
    "pipe for a file": (
        afterwards(
            lambda folder: ((folder / RESULT).unlink(), os.mkfifo(folder / RESULT)), seal=False
        ),
        "result.json: expected a plain file",
    ),
}


@pytest.fixture(scope="module")
def verdicts_files(run, known, tmp_path_factory):
    return verdicts_of(TAMPERED_FILES, run, known, tmp_path_factory)


@pytest.mark.parametrize(
    ("name", "message"),
    [(name, message) for name, (_, message) in TAMPERED_FILES.items()],
    ids=list(TAMPERED_FILES),
)
def test_tampered_files_are_refused_with_their_reason(name, message, verdicts_files):
    check_refused(verdicts_files[name], message)
