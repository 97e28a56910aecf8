"""Entries that do not count as verified: receipts and kept numbers that do not hold."""

import dataclasses
import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from bimotion.errors import RecordError, SettingError
from bimotion.leaderboard import board, entry_cache, scored
from bimotion.results import rescoring
from tests.support import submissions
from tests.support.boards import linked, only, rewrite_table


def _edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def receipt(**changes):
    """Other words in a receipt."""
    return lambda run: _edit(submissions.receipt_of(run), **changes)


def instead_of_a_receipt(text):
    return lambda run: submissions.receipt_of(run).write_text(text)


def _change_device(run):
    path = run / "result.json"
    path.write_text(path.read_text().replace('"device": "cpu"', '"device": "gpu"'))


def _add_statement(run):
    (run / "submission.json").write_text('{"trained_on": "x"}')


CHANGED = "changed since it was verified: "
UNVERIFIED = {
    "no receipt": (lambda run: submissions.receipt_of(run).unlink(), "not verified"),
    "a changed result": (_change_device, f"{CHANGED}result.json"),
    "changed predictions": (
        lambda run: rewrite_table(run, lambda table: table[::-1]),
        f"{CHANGED}predictions.parquet",
    ),
    "a statement added": (_add_statement, f"{CHANGED}submission.json"),
    "no hashes": (receipt(sha256={}), f"{CHANGED}predictions.parquet, result.json"),
    "a receipt for practice": (receipt(practice=True), "verified for practice only"),
    "of another": (receipt(submission="lab__other/0123"), "receipt speaks of 'lab__other/0123'"),
    "a later receipt": (receipt(receipt_version=2), "receipt.json.receipt_version: expected 1, fo"),
    "a version as 1.0": (receipt(receipt_version=1.0), "receipt_version: expected 1, found 1.0"),
    "a word too many": (receipt(verified=True), "receipt.json.verified: unexpected field"),
    "no JSON": (instead_of_a_receipt("{"), "expected a receipt.json in JSON"),
    "a list": (instead_of_a_receipt("[]"), "receipt.json: expected"),
    "by a link": (lambda run: linked(submissions.receipt_of(run)), "expected a plain file"),
}


@pytest.mark.parametrize("name", list(UNVERIFIED))
def test_what_does_not_count_as_verified_is_not_ranked(name, alone, root):
    run, (change, reason) = alone(), UNVERIFIED[name]
    change(run)
    entry = only(root)
    assert (entry.flags.status, entry.ranking) == ("claimed", None)
    assert reason in entry.flags.status_reason


def test_receipts_lie_anywhere_but_in_submissions(alone, root, tmp_path):
    alone()
    assert only(root).ranking.rank == 1
    moved = (root.parent / "receipts").rename(tmp_path / "elsewhere")
    assert only(root).flags.status == "claimed"
    assert only(root, receipts=moved).flags.is_recomputed
    inside = moved.rename(root / "receipts")
    (tmp_path / "link").symlink_to(inside)
    for folder in (inside, root, tmp_path / "link", root / ".." / root.name / "receipts"):
        with pytest.raises(SettingError, match="receipts outside of the submissions"):
            board.build(root, receipts=folder)


@pytest.fixture(scope="module")
def original(folder, tmp_path_factory):
    """A submission as `leaderboard verify` leaves it, and its board, as it was computed."""
    (run,) = (folder / "org__tiny").iterdir()
    root = tmp_path_factory.mktemp("original") / "submissions"
    copied = Path(shutil.copytree(run, root / "org__tiny" / run.name))
    verified = dataclasses.replace(rescoring.rescore(copied)[1], human=[])  # as without votes
    submissions.verify(copied, entry=entry_cache.prepare(copied, verified))
    return copied, board.build(root)


@pytest.fixture
def prepared(original, root, tmp_path_factory, monkeypatch):
    """A copy of it on a machine with an empty cache; its board; what is computed there."""
    (first, built), run = original, root / "org__tiny" / original[0].name
    shutil.copytree(first, run)
    shutil.copytree(submissions.receipt_of(first).parent, submissions.receipt_of(run).parent)
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path_factory.mktemp("cache")))
    score, computed = scored.score, []

    def counting(folder, identity, verified=None):
        computed.append(identity)
        return score(folder, identity, verified)

    monkeypatch.setattr(scored, "score", counting)
    return run, built, computed


def test_what_was_computed_travels_with_the_submission(prepared, root):
    _, built, computed = prepared
    assert board.build(root) == built
    assert computed == []


def _list(path):
    """The receipt beside it lists what lies there now."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _edit(path.with_name("receipt.json"), entry_sha256=digest)


def _facts(change, save=np.savez):
    """Other facts in entry.npz, which the receipt lists."""

    def rewritten(path):
        with np.load(path) as content:
            arrays = dict(content)
        facts = json.dumps(change(json.loads(arrays["facts"].tobytes())))
        save(path, **arrays | {"facts": np.frombuffer(facts.encode(), np.uint8)})
        _list(path)

    return rewritten


def _content(make):
    """Other bytes in entry.npz, made of the old ones, which the receipt lists."""
    return lambda path: (path.write_bytes(make(path.read_bytes())), _list(path))


def _saved(save, *arrays, **named):
    buffer = io.BytesIO()
    save(buffer, *arrays, **named)
    return buffer.getvalue()


def _ranked(**changes):
    return _facts(lambda facts: facts | {"ranked": facts["ranked"] | changes})


DEEP = np.frombuffer(b"[" * 100_000, np.uint8)
NOT_VOUCHED = {
    "another byte": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
    "cut": _content(lambda content: content[:500]),
    "a link": linked,
    "not listed": lambda path: _edit(path.with_name("receipt.json"), entry_sha256=None),
    "too large": lambda path: path.write_bytes(b"0" * (2**22 + 1)),
    "another version": _facts(lambda facts: facts | {"key": "0" * 24}),
    "packed, so that it might unpack to any size": _facts(lambda f: f, np.savez_compressed),
    "facts of another kind": _facts(lambda facts: [facts]),
    "a field too many": _facts(lambda facts: facts | {"entry": facts["entry"] | {"more": 1}}),
    "no strata": _ranked(strata=[]),
    "not a number": _ranked(estimate=float("nan")),
    "deep": _content(lambda _: _saved(np.savez, facts=DEEP)),
    "one array": _content(lambda _: _saved(np.save, np.zeros(3))),
    "a pickle": _content(lambda _: _saved(np.savez, facts=np.array([{}], object))),
}


@pytest.mark.parametrize("name", list(NOT_VOUCHED))
def test_other_kept_numbers_are_computed_again(name, prepared, root):
    run, built, computed = prepared
    NOT_VOUCHED[name](submissions.receipt_of(run).with_name("entry.npz"))
    assert board.build(root) == built
    assert len(computed) == 1


@pytest.mark.parametrize(
    "change",
    [
        UNVERIFIED["no receipt"][0],
        receipt(submission="a/b"),
        receipt(practice=True),
        receipt(sha256={}),
    ],
)
def test_kept_numbers_count_only_where_the_receipt_holds(change, prepared, root):
    run, built, computed = prepared
    change(run)
    (entry,) = board.build(root).entries
    assert (entry.scores, entry.ranking) == (built.entries[0].scores, None)
    assert len(computed) == 1


def test_no_other_numbers_than_the_verified_are_prepared(alone):
    run = alone()
    result = rescoring.rescore(run)[1]
    values = [None if score.value is None else score.value / 2 for score in result.scores]
    changed = zip(result.scores, values, strict=True)
    scores = [dataclasses.replace(score, value=value) for score, value in changed]
    with pytest.raises(RecordError, match=r"verified as 0\.\d+, but a board would show 0\.\d+"):
        entry_cache.prepare(run, dataclasses.replace(result, scores=scores))


@pytest.mark.parametrize(("offset", "bits"), [(6, 0x80), (8, 1)])
def test_a_flipped_bit_of_the_cache_costs_a_computation_and_no_more(
    offset, bits, alone, root, tmp_path_factory, monkeypatch
):
    UNVERIFIED["no receipt"][0](alone())
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("BIMOTION_CACHE", str(cache))
    built = board.build(root)
    (path,) = cache.rglob("*.npz")
    content = bytearray(path.read_bytes())
    content[content.rindex(b"PK\x01\x02") + offset] ^= bits
    path.write_bytes(content)
    assert board.build(root) == built
    assert path.read_bytes() != content


def test_what_a_file_says_of_itself_for_pandas_is_not_heard(alone, root):
    """It can rename columns, here the truth to the predictions: another table than the one that is
    verified."""
    run = alone("lab__dirty")
    path, before = run / "predictions.parquet", only(root)
    table = pq.read_table(path)
    other = {"probabilities": "reference", "reference": "probabilities"}
    kind = {"pandas_type": "object", "numpy_type": "object", "metadata": None}
    columns = [
        {"name": other.get(name, name), "field_name": name} | kind for name in table.column_names
    ]
    facts = {"index_columns": ["id"], "column_indexes": [], "columns": columns}
    facts["pandas_version"] = "2.2.0"
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(facts)}), path)
    submissions.verify(run)
    assert list(pd.read_parquet(path)) != table.column_names
    assert dataclasses.replace(only(root), id=before.id) == before
