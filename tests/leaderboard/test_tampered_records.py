"""Records that say another run, statements and files that are not as they were packed, are refused
with their reason."""

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
    stated,
    verdicts_of,
)


def recorded(path, value):
    """A change of result.json: another value, or one made of the value, at a dotted path."""

    def tamper(draft):
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        inner = draft.result
        for step in steps:
            inner = inner[step]
        inner[last] = value(inner[last]) if callable(value) else value

    return tamper


def all_corpora(**changes):
    """A change of the data and of each of its corpora."""

    def change(data):
        corpora = {name: used | changes for name, used in data["corpora"].items()}
        return data | changes | {"corpora": corpora}

    return recorded("data", change)


SKIPPED = {"transfer": "in-group", "method": "inference", "train": ["eng_eld"], "test": "eng_eld"}

RECORDS = {
    # scores and key
    "score": (recorded("scores.0.value", 0.99), "scores[0].value: expected 0."),
    "score a little": (recorded("scores.0.value", lambda value: value + 1e-6), "scores[0].value"),
    "score removed": (recorded("scores.0.value", None), "scores[0].value"),
    "interval": (recorded("scores.0.low", 0.5), "scores[0].low"),
    "speakers counted": (recorded("scores.0.n_speakers", 91), "scores[0].n_speakers"),
    "score row removed": (recorded("scores", lambda rows: rows[1:]), "scores: expected"),
    "key": (kept("key", recorded("key", "0" * 12)), "(the hash of its spec), found 000000000000"),
    "spec without its key": (kept("key", recorded("model.version", "2")), "(the hash of its spec)"),
    # what was run
    "limit": (recorded("limit", 6), "expected all clips, found a run with limit 6"),
    "synthetic": (all_corpora(synthetic=True), "found synthetic data"),
    "incomplete": (all_corpora(complete=False), "expected complete corpora"),
    "setting skipped": (recorded("skipped", [SKIPPED | {"reason": "lost"}]), "1 skipped: lost"),
    "protocol version": (recorded("protocol.version", "0"), "version: expected '2', found '0'"),
    "split version": (recorded("split.version", "0"), "expected numbers version 2, found '0'"),
    "split seed": (recorded("split.seed", 7), "split.seed: expected 0, found 7"),
    "split rule": (recorded("split.rule", "disjoint"), "expected"),
    "unknown rule": (recorded("split.rule", "mine"), "one of paper, disjoint, folds, found 'mine'"),
    "schema version": (recorded("schema.version", "0"), "schema.version: expected '1', found '0'"),
    "classes turned": (recorded("schema.classes", lambda names: names[::-1]), "schema.classes: "),
    "unknown schema": (recorded("schema.name", "../../x"), "schema.name: expected one of"),
    "unknown protocol": (recorded("protocol.name", "mine"), "protocol.name: expected one of"),
    "unknown track": (recorded("track", "magic"), "track: expected one of"),
    "another protocol": (recorded("protocol.name", "inference"), "expected"),
    "more cells": (recorded("protocol.cells", ["eng_adu", "eng_eld"]), "data.corpora"),
    "cells twice": (recorded("protocol.cells", ["eng_eld"] * 2), "expected null or names in order"),
    "no cells": (recorded("protocol.cells", []), "expected null or names in order"),
    "unknown cell": (recorded("protocol.cells", ["eng_old"]), "unknown cell 'eng_old'"),
    "other cell": (recorded("protocol.cells", ["yue_adu"]), "protocol.cells: expected cells that"),
    "no seeds": (recorded("seeds", []), "seeds: expected 1 to 30"),
    "seeds twice": (recorded("seeds", [0, 0]), "seeds: expected 1 to 30"),
    "negative seed": (recorded("seeds", [-1]), "seeds: expected 1 to 30"),
    "too many seeds": (recorded("seeds", [*range(31)]), "seeds: expected 1 to 30"),
    "negative size": (recorded("n_parameters", -5), "n_parameters: expected null or a number from"),
    # what it says of its data
    "other data": (recorded("data.fingerprint", "0" * 16), "data.fingerprint: expected"),
    "incomplete hidden": (recorded("data.corpora.tess.n_found", 2000), "tess.n_found: expected 28"),
    "ages measured": (
        recorded("data.corpora.elderreact.age_source", {"measured": 1323}),
        "age_source.measured: expected nothing, found 1323",
    ),
    "speakers apart": (
        recorded("data.corpora.tess.speakers_shared", None),
        "speakers_shared: expected 'one speaker",
    ),
    "clips counted": (recorded("data.corpora.tess.n_utterances", 9), "expected 1399, found 9"),
    "published less": (recorded("data.corpora.tess.n_published", 9), "expected 2800, found 9"),
    "corpus not told": (
        recorded("data.corpora", lambda corpora: {"tess": corpora["tess"]}),
        "data.corpora.crema_d: expected",
    ),
    "corpus too many": (
        recorded("data.corpora", lambda corpora: corpora | {"csed": corpora["tess"]}),
        "data.corpora.csed: expected nothing",
    ),
    "training clips counted": (recorded("fits.0.n_train", 1), "fits[0].n_train: expected"),
    "training not told": (recorded("fits", []), "fits: expected 1 rows, found 0"),
    # names
    "path in the name": (recorded("model.name", "../../etc/passwd"), "expected a name (or organis"),
    "absolute path": (recorded("model.name", "/etc"), "expected a name (or organisation/name)"),
    "line break": (recorded("model.name", "bimotion/a\nb"), "expected a name (or organisation"),
    "name of another": (kept("statement", recorded("model.name", "bimotion/prosody")), "model.na"),
}

STATEMENTS = {
    "organisation": (stated("organisation", "lab"), "expected bimotion, as the model's name says"),
    "contamination removed": (
        stated("contamination", {"eng_eld": []}),
        "contamination.eng_eld: exp",
    ),
    "contamination not told": (stated("contamination", None), "contamination: expected"),
    "no longer declared": (stated("trained_on", None), "contamination: expected None"),
    "contact of two lines": (stated("contact", "a\nb"), "contact: expected one line"),
    "other fingerprint": (
        kept("fingerprints", stated("fingerprints", {RESULT: "0", PREDICTIONS: "0"})),
        "found '0'",
    ),
    "fingerprint of another file": (
        stated("fingerprints", lambda hashes: hashes | {"../../x": "0"}),
        "fingerprints.../../x: expected",
    ),
    "no fingerprint": (kept("fingerprints", stated("fingerprints", {})), "found nothing"),
    "size told": (
        stated("model", lambda facts: facts | {"n_parameters": 1}),
        "model.n_parameters: ",
    ),
    "later statement": (stated("submission_version", 2), "submission_version: expected 1, found 2"),
}


def linked(name):
    def change(folder):
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return change


def folder_linked(folder):
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def replaced(old, new):
    """Other bytes in result.json, of which the statement knows."""
    return afterwards(rewritten(RESULT, lambda data: data.replace(old, new)))


def unsealed(change):
    """A change of which the statement does not know."""
    return afterwards(change, seal=False)


def instead(make):
    """Something else where result.json was."""
    return unsealed(lambda folder: ((folder / RESULT).unlink(), make(folder / RESULT)))


IN_JSON = "result.json: expected a result in JSON"
PLAIN, LIMIT = "expected a plain file", b'"limit": null'
FILES = {
    "changed": (unsealed(rewritten(RESULT, lambda data: data + b"\n")), "fingerprints.result.json"),
    "field twice": (replaced(LIMIT, b'"limit": 6,\n ' + LIMIT), "JSON as bimotion writes it"),
    "odd spelling": (
        unsealed(rewritten(STATEMENT, lambda data: data + b" ")),
        "as bimotion writes",
    ),
    "NaN": (replaced(b'"out_of_label_space": 0.0', b'"out_of_label_space": NaN'), "found nan"),
    "half a surrogate": (replaced(b'"python": "', b'"python": "\\ud800'), IN_JSON),
    "deep JSON": (afterwards(rewritten(RESULT, b"[" * 200_000)), IN_JSON),
    "deep statement": (unsealed(rewritten(STATEMENT, b"[" * 200_000)), "submission in JSON"),
    "oversize": (unsealed(oversize(RESULT, record.MAX_RESULT_BYTES + 1)), "found 33554433"),
    "oversize statement": (unsealed(oversize(STATEMENT, 2**20 + 1)), "found 1048577"),
    "empty": (unsealed(rewritten(RESULT, b"")), "result.json: expected 1 to 33554432 bytes, found"),
    "file too many": (unsealed(lambda folder: (folder / "run.py").touch()), "found 'run.py'"),
    "hidden file": (unsealed(lambda folder: (folder / ".lock").touch()), "only, found '.lock'"),
    "missing": (unsealed(lambda folder: (folder / PREDICTIONS).unlink()), "expected a plain file"),
    "linked result": (unsealed(linked(RESULT)), f"{RESULT}: {PLAIN}"),
    "linked predictions": (unsealed(linked(PREDICTIONS)), f"{PREDICTIONS}: {PLAIN}"),
    "linked statement": (unsealed(linked(STATEMENT)), f"{STATEMENT}: {PLAIN}"),
    "linked folder": (unsealed(folder_linked), "expected a folder, found a link"),
    "folder for a file": (instead(lambda path: path.mkdir()), f"{RESULT}: {PLAIN}"),
    "pipe for a file": (instead(os.mkfifo), f"{RESULT}: {PLAIN}"),
} | {
    f"its own {name}": (
        unsealed(lambda folder, name=name: (folder / name).symlink_to("/etc/hostname")),
        f"{name}: receipts are the keeper's and lie outside of submissions",
    )
    for name in ("verified.json", "derived.npz", "receipt.json", "entry.npz")
}
TAMPERED = RECORDS | STATEMENTS | FILES


@pytest.fixture(scope="module")
def verdicts(run, known, tmp_path_factory):
    assert len(TAMPERED) == len(RECORDS) + len(STATEMENTS) + len(FILES)
    return verdicts_of(TAMPERED, run, known, tmp_path_factory)


@pytest.mark.parametrize("name", list(TAMPERED))
def test_tampered_records_and_files_are_refused_with_their_reason(name, verdicts):
    check_refused(verdicts[name], TAMPERED[name][1])
