"""What does not count as verified: receipts and kept numbers that do not hold."""

import dataclasses
import hashlib
import io
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from bimotion.errors import RecordError, SettingError
from bimotion.leaderboard import board, entry_cache
from bimotion.leaderboard import entry as entries
from bimotion.results import rescoring
from tests.support import submissions
from tests.support.boards import linked, only, rewrite_table


def _change(path):
    path.write_text(path.read_text().replace('"device": "cpu"', '"device": "gpu"'))


def _said(run, **changes):
    """Other words in a receipt."""
    path = submissions.receipt_of(run)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _moved(run):
    """A receipt for another name, brought to this one."""
    _said(run, submission="lab__other/0123")


UNVERIFIED = {
    "no receipt": (lambda run: submissions.receipt_of(run).unlink(), "not verified"),
    "a changed result": (
        lambda run: _change(run / "result.json"),
        "changed since it was verified: result.json",
    ),
    "changed predictions": (
        lambda run: rewrite_table(run, lambda table: table[::-1]),
        "changed since it was verified: predictions.parquet",
    ),
    "a statement added": (
        lambda run: (run / "submission.json").write_text('{"trained_on": "x"}'),
        "changed since it was verified: submission.json",
    ),
    "a receipt without hashes": (
        lambda run: _said(run, sha256={}),
        "changed since it was verified: predictions.parquet, result.json",
    ),
    "a receipt for practice": (lambda run: _said(run, practice=True), "verified for practice only"),
    "a receipt of another": (_moved, "its receipt speaks of 'lab__other/0123'"),
    "a later receipt": (
        lambda run: _said(run, receipt_version=2),
        "expected receipt_version 1, found 2: verify it again",
    ),
    "a word too many": (
        lambda run: _said(run, verified=True),
        "receipt.json.verified: unexpected field",
    ),
    "a receipt that is no JSON": (
        lambda run: submissions.receipt_of(run).write_text("{"),
        "receipt.json: expected JSON",
    ),
    "a receipt that is a list": (
        lambda run: submissions.receipt_of(run).write_text("[]"),
        "expected an object, found list",
    ),
    "a receipt by a link": (
        lambda run: linked(submissions.receipt_of(run)),
        "receipt.json: expected a plain file",
    ),
}


@pytest.mark.parametrize(("change", "reason"), UNVERIFIED.values(), ids=list(UNVERIFIED))
def test_what_does_not_count_as_verified_is_not_ranked(change, reason, alone, root):
    one = alone()
    assert only(root).standing.rank == 1
    change(one)
    entry = only(root)
    assert entry.marks.verified is False
    assert reason in entry.marks.unverified
    assert entry.standing is None


def test_receipts_lie_anywhere_but_in_submissions(alone, root, tmp_path):
    alone()
    moved = (root.parent / "receipts").rename(tmp_path / "elsewhere")
    assert only(root).marks.verified is False
    assert only(root, receipts=moved).marks.verified is True
    inside = moved.rename(root / "receipts")
    (tmp_path / "link").symlink_to(inside)
    for place in (inside, root, tmp_path / "link", root / ".." / root.name / "receipts"):
        with pytest.raises(
            SettingError, match="expected a folder for receipts outside of the submissions"
        ):
            board.build(root, receipts=place)


@pytest.fixture
def prepared(alone, root, tmp_path_factory, monkeypatch):
    """A submission as `leaderboard verify` leaves it, on a machine with an empty cache; its board;
    what is read there."""
    one = alone()
    built = board.build(root)
    submissions.verify(one, entry=entry_cache.prepare(one, rescoring.rescore(one)[1]))
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path_factory.mktemp("cache")))
    read, seen = entries.read, []

    def counting(folder, identity):
        seen.append(identity)
        return read(folder, identity)

    monkeypatch.setattr(entries, "read", counting)
    return one, built, seen


def test_what_was_derived_travels_with_the_submission(prepared, root):
    _, built, seen = prepared
    assert board.build(root) == built
    assert seen == []


def _other_facts(change, save=np.savez):
    def rewritten(place):
        with np.load(place) as content:
            arrays = dict(content)
        facts = json.dumps(change(json.loads(arrays["facts"].tobytes())))
        save(place, **arrays | {"facts": np.frombuffer(facts.encode(), np.uint8)})
        _list(place)

    return rewritten


def _list(place):
    """The receipt beside it lists what lies there now."""
    path = place.with_name("receipt.json")
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"entry_sha256": digest}))


def _unlisted(place):
    path = place.with_name("receipt.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"entry_sha256": None}))


def _array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


NOT_VOUCHED = {
    "another byte": lambda place: place.write_bytes(place.read_bytes()[:-1] + b"!"),
    "cut": lambda place: (place.write_bytes(place.read_bytes()[:500]), _list(place)),
    "a link": lambda place: linked(place),
    "not listed": _unlisted,
    "too large": lambda place: place.write_bytes(b"0" * (2**22 + 1)),
    "another version": _other_facts(lambda facts: facts | {"key": "0" * 24}),
    "packed, so that it might unpack to any size": _other_facts(
        lambda facts: facts, np.savez_compressed
    ),
    "facts of another kind": _other_facts(lambda facts: [facts]),
    "a field too many": _other_facts(lambda facts: facts | {"entry": facts["entry"] | {"more": 1}}),
    "no strata": _other_facts(
        lambda facts: {name: facts[name] for name in facts if name != "strata"}
    ),
    "not a number": _other_facts(lambda facts: facts | {"estimate": float("nan")}),
    "deep": lambda place: (
        np.savez(place, facts=np.frombuffer(b"[" * 100_000, np.uint8)),
        _list(place),
    ),
    "one array": lambda place: (place.write_bytes(_array()), _list(place)),
    "a pickle": lambda place: (np.savez(place, facts=np.array([{}], object)), _list(place)),
}


@pytest.mark.parametrize("change", NOT_VOUCHED.values(), ids=list(NOT_VOUCHED))
def test_other_derived_numbers_are_computed_again(change, prepared, root):
    one, built, seen = prepared
    change(submissions.receipt_of(one).with_name("entry.npz"))
    assert board.build(root) == built
    assert len(seen) == 1


def test_without_a_receipt_derived_numbers_count_for_nothing(prepared, root):
    one, built, seen = prepared
    submissions.receipt_of(one).unlink()
    (entry,) = board.build(root).entries
    assert (entry.scores, entry.standing) == (built.entries[0].scores, None)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "change", [{"submission": "a/b"}, {"practice": True}, {"sha256": {}}], ids=str
)
def test_derived_numbers_count_where_the_receipt_holds(change, prepared, root):
    one, _, seen = prepared
    _said(one, **change)
    (entry,) = board.build(root).entries
    assert entry.standing is None
    assert len(seen) == 1


def test_no_other_numbers_than_the_verified_are_prepared(alone):
    one = alone()
    found = rescoring.rescore(one)[1]
    scores = [dataclasses.replace(score, value=score.value / 2) for score in found.scores]
    with pytest.raises(RecordError, match=r"verified as 0\.\d+, but a board would show 0\.\d+"):
        entry_cache.prepare(one, dataclasses.replace(found, scores=scores))


def test_what_a_file_says_of_itself_for_pandas_is_not_heard(alone, root):
    """It can rename columns, here the truth to the predictions: another table than the one that is
    verified."""
    one = alone()
    before = only(root)
    table = pq.read_table(one / "predictions.parquet")
    other = {"probabilities": "reference", "reference": "probabilities"}
    columns = [
        {
            "name": other.get(name, name),
            "field_name": name,
            "pandas_type": "object",
            "numpy_type": "object",
            "metadata": None,
        }
        for name in table.column_names
    ]
    facts = {
        "index_columns": ["id"],
        "column_indexes": [],
        "columns": columns,
        "pandas_version": "2.2.0",
    }
    pq.write_table(
        table.replace_schema_metadata({"pandas": json.dumps(facts)}), one / "predictions.parquet"
    )
    submissions.verify(one)
    assert list(pd.read_parquet(one / "predictions.parquet")) != table.column_names
    assert dataclasses.replace(only(root), id=before.id) == before
