"""The board: numbers from predictions, marks, what is refused, ranks of verified entries, its JSON
and the schema of that."""

import dataclasses
import hashlib
import io
import json
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bimotion.errors import RecordError, SettingError
from bimotion.io import files
from bimotion.leaderboard import board, entry_cache, submission
from bimotion.leaderboard import entry as entries
from bimotion.leaderboard.board import Board
from bimotion.models.baselines import BASELINES
from bimotion.protocol import settings as protocol
from bimotion.protocol.labels import schema_named
from bimotion.protocol.published import PUBLISHED
from bimotion.results import record as results
from bimotion.results import rescoring
from bimotion.results.record import CorpusUsed, DataUsed, ModelUsed, ProtocolUsed
from bimotion.results.statistics.gaps import gaps
from tests.support import submissions

CELLS = ("eng_eld", "eng_adu", "zho_eld", "zho_adu")


@pytest.fixture(scope="module")
def folder(whole_tree):
    return submissions.few(whole_tree)


@pytest.fixture(scope="module")
def built(folder):
    return board.build(folder)


@pytest.fixture(scope="module")
def by_model(built):
    return {entry.model: entry for entry in built.entries}


@pytest.fixture
def root(tmp_path):
    """A folder for submissions; receipts lie beside it."""
    (tmp_path / "submissions").mkdir()
    return tmp_path / "submissions"


@pytest.fixture
def alone(folder, root):
    """A folder with a copy of one verified submission, whose numbers are in the cache already, and
    its receipt."""

    def copy(model="org__tiny"):
        (run,) = (folder / model).iterdir()
        one = Path(shutil.copytree(run, root / model / run.name))
        shutil.copytree(submissions.receipt_of(run).parent, submissions.receipt_of(one).parent)
        return one

    return copy


def only(root, **options):
    """The one entry of a folder, or the one reason why there is none."""
    found = board.build(root, **options)
    assert len(found.entries) + len(found.excluded) == 1
    return (found.entries or [one.reason for one in found.excluded])[0]


def provenance_of(folder):
    return results.load(folder / "result.json").provenance


def rewrite(folder, **changes):
    """The result in a folder with fields changed, under the key that follows."""
    result = dataclasses.replace(results.load(folder / "result.json"), **changes)
    dataclasses.replace(result, key=result.spec.key).save(folder)


# --- numbers ------------------------------------------------------------------------------------


def test_numbers_of_a_real_run_are_those_of_its_result(built, by_model, folder):
    entry = by_model["bimotion/random"]
    result = results.load(folder / entry.id / "result.json")
    assert len(entry.scores) == len(protocol.settings("inference")) == 16
    for row in entry.scores:
        (score,) = (
            one
            for one in result.scores
            if (one.transfer, one.method, one.test, one.metric, one.pooling)
            == (row.transfer, row.method, row.test, "weighted_f1", "mean")
        )
        assert row.value == pytest.approx(score.value, abs=5.1e-5)
        # 2000 replicates, and 10000
        assert (row.low, row.high) == pytest.approx((score.low, score.high), rel=0.1)
        assert (
            row.train,
            row.n_utterances,
            row.n_speakers,
            row.n_speaker_unknown,
            row.untrained,
            row.clusters,
        ) == (
            score.train,
            score.n_utterances,
            score.n_speakers,
            score.n_speaker_unknown,
            score.untrained,
            score.clusters,
        )
        asked = (row.transfer, row.method, row.test, "weighted_f1")
        of_corpora = [
            one
            for one in result.scores
            if (one.transfer, one.method, one.test, one.metric) == asked and one.corpus
        ]
        by_corpus = {one.corpus: one.value for one in of_corpora}
        assert row.corpora == pytest.approx(by_corpus, abs=5.1e-5)
        assert (row.calibration_error is not None) == (row.transfer == "in-group")


def test_a_headline_is_the_mean_over_the_four_cells(built):
    for entry in built.entries:
        assert set(entry.headline) == {
            "in-group/inference",
            *(f"{name}/inference" for name in protocol.CROSS),
        }
        for name, number in entry.headline.items():
            values = [one.value for one in entry.scores if f"{one.transfer}/{one.method}" == name]
            assert len(values) == 4
            assert number.value == pytest.approx(sum(values) / 4, abs=1e-4)
            assert number.low < number.value < number.high


def test_gaps_are_those_of_the_statistics(by_model, folder):
    entry = by_model["org/tiny"]
    result, table = rescoring.read(folder / entry.id)
    settings = rescoring.settings_of(result)
    expected = gaps(table, settings, schema_named("emotion"), replicates=entries.REPLICATES)
    assert [(one.kind, one.of) for one in entry.gaps] == [(one.kind, one.of) for one in expected]
    assert [one.value for one in entry.gaps] == pytest.approx(
        [one.interval.value for one in expected], abs=5.1e-5
    )
    age = next(one for one in entry.gaps if one.kind == "age")
    assert age.chance_low < age.chance_high
    assert 0 < age.chance_p <= 1


def test_several_seeds_are_one_number(folder, root, whole_tree):
    source = submissions.Source(submissions.run_of(whole_tree), keep=40)
    one = source.write(root, "lab/seeds", 0.4, 0)
    _, table = rescoring.read(one)
    twice = [table.assign(seed=seed) for seed in (0, 1)]
    pd.concat(twice).to_parquet(one / "predictions.parquet", index=False)
    assert "expected predictions of seeds [0]" in _verified(root, one)
    rewrite(one, seeds=[0, 1])
    entry = _verified(root, one)
    single = entries.read(
        source.write(root / "other", "lab/seeds", 0.4, 0, verified=False), "single"
    ).entry
    assert entry.seeds == [0, 1]
    assert [row.value for row in entry.scores] == [row.value for row in single.scores]
    assert [row.n_utterances for row in entry.scores] == [row.n_utterances for row in single.scores]


def _verified(root, one, **options):
    submissions.verify(one)
    return only(root, **options)


# --- marks --------------------------------------------------------------------------------------


def test_marks(by_model):
    dirty, base, tiny, floor = (
        by_model[name].marks for name in ("lab/dirty", "lab/base", "org/tiny", "bimotion/random")
    )
    assert dirty.contaminated == {"eng_adu": ["esd", "iemocap"], "zho_adu": ["esd"]}
    assert base.contaminated == tiny.contaminated == {}
    assert [by_model[name].trained_on for name in ("lab/dirty", "lab/base", "org/tiny")] == [
        "IEMOCAP, ESD",
        "nothing",
        None,
    ]
    assert (tiny.floor, floor.floor) == (False, True)
    assert tiny.assumed_age == {
        "eng_adu": ["esd", "iemocap"],
        "eng_eld": ["elderreact"],
        "zho_adu": ["esd"],
        "zho_eld": ["csed"],
    }
    assert set(tiny.shared_speakers) == {"csed", "elderreact", "tess"}
    assert tiny.incomplete == {}
    assert [one.undeclared for one in (dirty, base, tiny, floor)] == [False, False, True, False]
    assert [one.same_predictions for one in (dirty, base, tiny, floor)] == [[]] * 4
    assert (tiny.verified, tiny.unverified) == (True, None)


def test_baselines_are_the_floor_models():
    assert set(submission.BASELINES) == set(BASELINES)


def test_an_incomplete_run_is_for_practice_alone_and_says_so(alone, root):
    one = alone()
    data = results.load(one / "result.json").data
    lacking = data.corpora | {
        "csed": dataclasses.replace(data.corpora["csed"], n_found=600, complete=False)
    }
    rewrite(one, data=DataUsed.of(data.fingerprint, lacking))
    assert _verified(root, one, practice=True).marks.incomplete == {"csed": "600 of 652"}
    (excluded,) = board.build(root).excluded
    assert excluded.reason == "incomplete corpora: csed (600 of 652 clips)"


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
        lambda run: _rewrite_table(run, lambda table: table[::-1]),
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
        "receipt.json: expected the fields submission, sha256",
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
        lambda run: _linked(submissions.receipt_of(run)),
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


# --- what verification leaves beside it ---------------------------------------------------------


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
    "a link": lambda place: _linked(place),
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


# --- what is refused ----------------------------------------------------------------------------

SYNTHETIC = CorpusUsed(7, 7, 7, True, {}, None, {"measured": 7}, synthetic=True)
REFUSED = {
    "synthetic": (
        lambda run: rewrite(run, data=DataUsed.of("0" * 16, {"tess": SYNTHETIC})),
        "synthetic data",
    ),
    "limited": (lambda run: rewrite(run, limit=20), "limited to 20 clips"),
    "no name": (
        lambda run: rewrite(run, model=ModelUsed("", "1")),
        "expected a name of 1 to 200 printable characters",
    ),
    "lone surrogate": (
        lambda run: _surrogate(run),
        "expected a name of 1 to 200 printable characters",
    ),
    "bidi override": (
        lambda run: rewrite(run, model=ModelUsed("a\u202eb", "1")),
        "printable characters, found 'a\\u202eb'",
    ),
    "a long device": (
        lambda run: rewrite(
            run, provenance=dataclasses.replace(provenance_of(run), device="x" * 99999)
        ),
        "expected at most 50000 characters in revision, options, device and so on; found",
    ),
    "an option of two lines": (
        lambda run: rewrite(run, model=ModelUsed("org/tiny", "1", options={"head": "a\nb"})),
        "'model.options.head': expected one line of printable characters",
    ),
    "more parameters than a chart ends at": (
        lambda run: rewrite(run, n_parameters=10**400),
        "n_parameters: expected null or a number from 0 to 1000000000000000, found 1000",
    ),
    "a track that we lack": (
        lambda run: rewrite(run, track="<b>"),
        "track: expected one of probe, finetune, zero-shot",
    ),
    "a split rule that we lack": (
        lambda run: rewrite(
            run,
            split=dataclasses.replace(
                results.load(run / "result.json").split, rule="|\x1b[2K\n" * 9999
            ),
        ),
        "split.rule: expected one of paper, disjoint, found '|\\x1b[2K",
    ),
    "a corpus that we lack": (
        lambda run: _used(run, "<b>mine</b>"),
        "data.corpora: expected one of crema_d, csed, ",
    ),
    "more clips than a number has": (
        lambda run: _used(run, "tess", n_found=10**300),
        "data.corpora.tess.n_found: expected 0 to 10000000, found 1000",
    ),
    "invisible in a revision": (
        lambda run: rewrite(run, model=ModelUsed("org/tiny", "1", "ma\u3164in")),
        "'model.revision': expected one line",
    ),
    "a key without end": (lambda run: _key(run, "\x1b[2K" * 99999), "key: expected "),
    "a statement that turns round": (
        lambda run: (run / "submission.json").write_text(
            json.dumps({"trained_on": ["TESS \u202e"]})
        ),
        "submission.json: trained_on: expected printable names, found 'TESS \\u202e'",
    ),
    "other seeds": (lambda run: rewrite(run, seeds=[0, 1]), "expected predictions of seeds [0, 1]"),
    "a clip again": (
        lambda run: _rewrite_table(run, lambda t: pd.concat([t, t[:3]])),
        "expected every clip once in a test set, found 3 again",
    ),
    "more clips than the corpus has": (
        lambda run: _rewrite_table(
            run, lambda t: t.loc[np.repeat(t.index[t["corpus"] == "csed"][:1], 653)]
        ),
        "expected at most 652 clips of csed in a test set, found 653",
    ),
    "another corpus": (
        lambda run: _rewrite_table(run, lambda t: t.assign(corpus="mine")),
        "corpus: expected one of crema_d, csed, ",
    ),
    "unknown schema": (
        lambda run: rewrite(
            run, schema=dataclasses.replace(results.load(run / "result.json").schema, name="x")
        ),
        "unknown schema 'x'",
    ),
    "more settings than predictions": (
        lambda run: rewrite(run, protocol=ProtocolUsed("augmentation", "1")),
        "no predictions of eng_eld+eng_adu on eng_eld",
    ),
    "no result": (
        lambda run: (run / "result.json").write_text("{}"),
        "result.json: expected schema_version",
    ),
    "no predictions": (
        lambda run: (run / "predictions.parquet").unlink(),
        "predictions.parquet: expected a plain file",
    ),
    "a link": (
        lambda run: _linked(run / "predictions.parquet"),
        "predictions.parquet: expected a plain file",
    ),
    "no Parquet": (
        lambda run: (run / "predictions.parquet").write_bytes(b"PAR1" * 9),
        "predictions.parquet: ",
    ),
    "a broken statement": (
        lambda run: (run / "submission.json").write_text("{"),
        "submission.json: expected JSON",
    ),
    "a statement of no names": (
        lambda run: (run / "submission.json").write_text('{"trained_on": {"eng_eld": "tess"}}'),
        "trained_on: expected null, a text or a list of texts",
    ),
    "a statement of numbers": (
        lambda run: (run / "submission.json").write_text('{"trained_on": [1]}'),
        "trained_on: expected null, a text or a list",
    ),
    "a statement beyond any": (
        lambda run: (run / "submission.json").write_text(json.dumps({"trained_on": "x" * 200_001})),
        "at most 1000 names",
    ),
    "its own verified.json": (
        lambda run: (run / "verified.json").write_text('{"verified": true, "practice": false}'),
        "verified.json: receipts are the receiver's and lie outside of submissions; this one "
        "is not believed: remove it and run `bimotion leaderboard verify`",
    ),
    "its own derived numbers": (
        lambda run: (run / "derived.npz").touch(),
        "derived.npz: receipts are the receiver's",
    ),
    "its own receipt": (
        lambda run: shutil.copy(submissions.receipt_of(run), run),
        "receipt.json: receipts are the receiver's",
    ),
    "its own entry": (
        lambda run: (run / "entry.npz").symlink_to("/etc/hostname"),
        "entry.npz: receipts are the receiver's",
    ),
    "another file": (
        lambda run: ((run / "submission.json").write_text("{}"), (run / "Result.json").touch()),
        "only, found 'Result",
    ),
    "a folder": (
        lambda run: ((run / "submission.json").write_text("{}"), (run / "receipts").mkdir()),
        "submission.json only, found 'receipts'",
    ),
    "invisible in a name": (
        lambda run: rewrite(run, model=ModelUsed("org/ti\u3164ny", "1")),
        "expected a name of 1 to 200 printable characters",
    ),
}


def _rewrite_table(run, change):
    table = pq.read_table(run / "predictions.parquet")
    changed = pa.Table.from_pandas(change(table.to_pandas()), table.schema, preserve_index=False)
    pq.write_table(changed.replace_schema_metadata(None), run / "predictions.parquet")


def _surrogate(run):
    result = dataclasses.replace(
        results.load(run / "result.json"), model=ModelUsed("org/\ud800", "1")
    )
    content = dataclasses.asdict(dataclasses.replace(result, key=result.spec.key))
    (run / "result.json").write_text(json.dumps(content))


def _used(run, name, **changes):
    """A corpus more in the record, or another account of one."""
    data = results.load(run / "result.json").data
    one = dataclasses.replace(data.corpora["tess"], **changes)
    rewrite(run, data=DataUsed.of(data.fingerprint, data.corpora | {name: one}))


def _key(run, key):
    content = json.loads((run / "result.json").read_text()) | {"key": key}
    (run / "result.json").write_text(json.dumps(content))


def _linked(path):
    path.symlink_to(path.rename(path.parents[3] / path.name))


@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_entry_says_why(change, reason, verified, alone, root):
    one = alone()
    change(one)
    if verified and (one / "predictions.parquet").exists():
        submissions.verify(one)
    found = only(root)
    assert reason in found
    assert str(root) not in found
    assert found.isprintable()
    assert len(found) <= board.MAX_REASON + 3


def test_synthetic_data_stand_on_a_board_for_practice_alone(alone, root):
    one = alone()
    REFUSED["synthetic"][0](one)
    submissions.verify(one)
    (entry,) = board.build(root, practice=True).entries
    assert entry.marks.synthetic is True
    assert "synthetic data" in only(root)


def test_the_others_stand(built):
    (excluded,) = built.excluded
    assert excluded.id == "lab__broken/key"
    assert len(built.entries) == len(submissions.MODELS) + 1


def test_one_run_stands_once(alone, root):
    first = alone()
    shutil.copytree(first, root / "a__thief" / first.name)
    found = board.build(root)
    # the verified one, though it sorts last
    assert [entry.id for entry in found.entries] == [f"org__tiny/{first.name}"]
    assert [(one.id, one.reason) for one in found.excluded] == [
        (f"a__thief/{first.name}", f"the same run as org__tiny/{first.name}")
    ]


def test_a_verified_entry_gives_way_to_none(alone, root):
    """Models without an organisation in their name may be sent by several, under one key."""
    first = alone()
    submissions.verify(Path(shutil.copytree(first, root / "a__tiny" / first.name)))
    found = board.build(root)
    assert {entry.id for entry in found.entries} == {
        f"a__tiny/{first.name}",
        f"org__tiny/{first.name}",
    }
    assert found.excluded == []


def test_of_names_that_look_alike_the_verified_stands(folder, root, whole_tree):
    """Case, other letters, digits: in folders and in records; where none is verified, or two are,
    the owner has to choose."""
    source = submissions.Source(submissions.run_of(whole_tree), keep=60)
    cells = {"protocol": ProtocolUsed("in-group", "1", ["eng_eld"])}
    first = source.write(root, "lab/x1", 0.3, 1, **cells)
    for number, name in enumerate(("Lab/x1", "lab/xl", "l\u0430b/x1", "lab/x-1")):
        source.write(root, name, 0.3, 10 + number, verified=False, **cells)
    found = board.build(root)
    assert {entry.model for entry in found.entries} == {"lab/x1", "lab/x-1"}
    assert len(found.excluded) == 3
    assert all(
        "can be mistaken for" in one.reason and "lab/x1" in one.reason for one in found.excluded
    )
    submissions.receipt_of(first).unlink()
    assert {entry.model for entry in board.build(root).entries} == {"lab/x-1"}


@pytest.mark.parametrize(
    "name",
    [
        "bimotion/prosody",
        "BiMotion/prosody",
        "b1motion/x",
        "b\u0456motion/prosody",
        "birnotion/random",
        "bimotion\u2215prosody",
        " bimotion/prosody",
        "bimotion./x",
        "lab/bimotion/x",
    ],
)
def test_a_reserved_name_stands_for_the_receivers_own_only(name, root, whole_tree):
    source = submissions.Source(submissions.run_of(whole_tree), keep=60)
    one = source.write(
        root, name, 0.3, 1, verified=False, protocol=ProtocolUsed("in-group", "1", ["eng_eld"])
    )
    told = "bimotion/* is reserved for baselines that the receiver verified as such"
    assert only(root) == f"{told} (not verified)"
    submissions.verify(one, baseline=False)
    assert only(root) == told
    entry = only(root, practice=True)
    assert (entry.marks.floor, entry.marks.undeclared) == (False, True)
    if submission.is_reserved(one.parent.name.partition("__")[0]):
        submissions.verify(one)
        assert only(root).marks.floor is True


def test_a_statement_taken_away_makes_it_unverified(alone, root):
    one = alone()
    (one / "submission.json").write_text('{"trained_on": ["TESS"], "contamination": {}}')
    submissions.verify(one)
    assert only(root).marks.contaminated == {"eng_eld": ["tess"], "eng_adu": ["tess"]}
    (one / "submission.json").unlink()
    marks = only(root).marks
    assert (marks.verified, marks.unverified) == (
        False,
        "changed since it was verified: submission.json",
    )


def test_a_name_that_moves_the_cursor_is_no_entry(alone, root):
    alone().parent.rename(root / "a\x1b[2K\rlab__evil")
    (excluded,) = board.build(root).excluded
    assert excluded.id.isprintable()
    assert excluded.reason == "expected a printable name"


def test_nothing_is_read_that_is_not_two_folders_down(alone, root):
    one = alone()
    for place in (root, root / "a", root / "a" / "b" / "c", root / ".hidden" / "b"):
        shutil.copytree(one, place, dirs_exist_ok=True)
    assert only(root).id == f"org__tiny/{one.name}"


def test_a_submission_without_its_record_is_told_and_a_link_is_not_followed(alone, root):
    one = alone()
    bare = root / "lab__bare" / "0123"
    bare.mkdir(parents=True)
    shutil.copy(one / "predictions.parquet", bare)
    dangling = root / "lab__dangling" / "0123"
    dangling.mkdir(parents=True)
    (dangling / "result.json").symlink_to(root / "nowhere")
    elsewhere = root.parent / "elsewhere" / "lab__elsewhere"
    shutil.copytree(one, elsewhere / one.name)
    (root / "lab__elsewhere").symlink_to(elsewhere)
    (root / "lab__bare" / one.name).symlink_to(elsewhere / one.name)
    found = board.build(root)
    assert [entry.id for entry in found.entries] == [f"org__tiny/{one.name}"]
    assert [(out.id, out.reason) for out in found.excluded] == [
        ("lab__bare/0123", "result.json: expected a plain file, found none"),
        ("lab__dangling/0123", "result.json: expected a plain file, found none"),
    ]


def test_what_holds_no_file_of_a_submission_is_none_and_is_told(alone, root):
    """What `bimotion project` leaves among runs, a run that has only begun, a record under another
    name."""
    one = alone()
    for name, file in (
        ("projection-0123", "coverage.json"),
        ("begun", ".lock"),
        ("misnamed", "Result.json"),
    ):
        (one.parent / name).mkdir()
        (one.parent / name / file).touch()
    assert only(root).id == f"org__tiny/{one.name}"
    assert [place.name for place in submission.passed_over(root)] == ["misnamed", "projection-0123"]


def test_no_words_of_an_unverified_record_stand_among_the_marks(alone, root):
    one = alone()
    evil = "<b>" * 9999
    _used(one, "tess", speakers_shared=evil)
    scores = [
        dataclasses.replace(score, untrained=[evil])
        for score in results.load(one / "result.json").scores
    ]
    rewrite(one, scores=scores)
    assert evil not in json.dumps(dataclasses.asdict(only(root)))


def test_a_folder_that_is_not_there_is_no_empty_board(root):
    with pytest.raises(SettingError, match="expected a folder of submissions, found none"):
        board.build(root / "typo")


# --- ranks --------------------------------------------------------------------------------------


def test_ranks_are_of_verified_entries_of_one_class(built, by_model):
    assert by_model["lab/unverified"].base.value == max(entry.base.value for entry in built.entries)
    assert by_model["lab/unverified"].standing is None
    ranked = [entry for entry in built.entries if entry.standing]
    assert [entry.standing.rank for entry in ranked] == list(range(1, 8))
    assert {entry.standing.of for entry in ranked} == {7}
    assert [entry.base.value for entry in built.entries] == sorted(
        (entry.base.value for entry in built.entries), reverse=True
    )
    large, twin = by_model["lab/large"].standing, by_model["lab/large-twin"].standing
    assert large.tie_group == twin.tie_group == 1
    assert {large.low, twin.low} == {1}
    assert by_model["org/tiny"].standing.tie_group > 1
    (one,) = built.comparable
    assert (one.n_entries, one.n_ranked, one.split_rule, one.protocol) == (
        8,
        7,
        "disjoint",
        "inference",
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"track": "finetune"},
        {"split": results.SplitUsed("disjoint", 3, "1")},
        {"split": results.SplitUsed("disjoint", 0, "2")},
        {"protocol": ProtocolUsed("in-group", "1")},
        {"protocol": ProtocolUsed("inference", "1", ["eng_eld"])},
        {"data": "other"},
    ],
    ids=str,
)
def test_other_questions_are_not_compared(changes, folder, by_model):
    result = results.load(folder / by_model["org/tiny"].id / "result.json")
    if changes == {"data": "other"}:
        changes = {"data": dataclasses.replace(result.data, fingerprint="0" * 16)}
    assert entries.comparable(dataclasses.replace(result, **changes)) != entries.comparable(result)
    for same in ({"seeds": [4]}, {"model": ModelUsed("x", "2")}, {"n_parameters": 1}):
        assert entries.comparable(dataclasses.replace(result, **same)) == entries.comparable(result)


def test_an_entry_without_all_cells_has_no_mean_and_no_rank(folder, root, whole_tree):
    source = submissions.Source(submissions.run_of(whole_tree), keep=40)
    one = source.write(
        root, "lab/part", 0.4, protocol=ProtocolUsed("inference", "1", ["eng_adu", "eng_eld"])
    )
    entry = _verified(root, one)
    assert (entry.base, entry.headline, entry.standing) == (None, {}, None)
    assert {row.test for row in entry.scores} == {"eng_adu", "eng_eld"}


# --- the file -----------------------------------------------------------------------------------


def test_references_are_the_published_numbers():
    (paper,) = board.references()
    assert len(paper.scores) == 36
    # the mean of its row; 57.34 is printed
    assert paper.headline["cross-lingual/augmentation"] == 0.6984
    found = {
        (one.transfer, one.method, one.test): one.value
        for one in paper.scores
        if one.method != "distance"
    }
    for (transfer, method), row in PUBLISHED.items():
        for cell, value in zip(CELLS, row, strict=True):
            assert found[transfer, method, cell] == pytest.approx(value / 100, abs=1e-9)
    three = {
        one.test: one.value
        for one in paper.scores
        if one.method == "distance" and len(one.train) == 3
    }
    assert three == {"yue_adu": 0.4759, "eng_adu": 0.9261, "zho_adu": 0.9375}


def breaches(schema, value, root=None, where="board"):
    """Where a value breaks a JSON Schema, of the keywords that ours uses."""
    root = root or schema
    if reference := schema.get("$ref"):
        return breaches(root["$defs"][reference.rpartition("/")[2]], value, root, where)
    if "anyOf" in schema:
        found = [breaches(one, value, root, where) for one in schema["anyOf"]]
        return [] if [] in found else [f"{where}: none of {len(found)}"]
    kinds = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
        "array": list,
        "object": dict,
    }
    if not isinstance(value, kinds[schema["type"]]) or (
        schema["type"] in ("integer", "number") and isinstance(value, bool)
    ):
        return [f"{where}: no {schema['type']}"]
    found = [f"{where}.{name}: missing" for name in schema.get("required", []) if name not in value]
    if isinstance(value, dict):
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            found += (
                breaches(inner, item, root, f"{where}.{name}")
                if inner
                else [f"{where}.{name}: not known"]
            )
    if isinstance(value, list):
        found += [
            line
            for place, item in enumerate(value)
            for line in breaches(schema["items"], item, root, f"{where}[{place}]")
        ]
    return found


def test_the_file_keeps_its_schema(built, tmp_path):
    content = json.loads(built.save(tmp_path).read_text(encoding="ascii"))
    schema = json.loads((tmp_path / "board.schema.json").read_text())
    assert schema == board.json_schema()
    assert breaches(schema, content) == []
    assert content == dataclasses.asdict(built)
    content["entries"][1]["standing"]["rank"] = "first"
    content["entries"][1]["marks"].pop("verified")
    content["entries"][2]["note"] = ""
    assert breaches(schema, content) == [
        "board.entries[1].marks.verified: missing",
        "board.entries[1].standing: none of 2",
        "board.entries[2].note: not known",
    ]


def test_another_reader_of_json_schema_agrees(built):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(board.json_schema())
    jsonschema.validate(json.loads(built.to_json()), board.json_schema())


def test_every_record_and_field_is_documented():
    for name, record in {"Board": board.json_schema(), **board.json_schema()["$defs"]}.items():
        assert record["description"], name
        for field in record["properties"]:
            assert re.search(rf"\b{field}\b", record["description"]), f"{name}.{field}"


def test_the_same_submissions_give_the_same_bytes(built, folder):
    assert board.build(folder).to_json() == built.to_json()


def test_a_lost_cache_changes_nothing(alone, root, monkeypatch):
    alone()
    before = board.build(root).to_json()
    monkeypatch.setenv("BIMOTION_CACHE", str(root.parent / "cache"))
    assert board.build(root).to_json() == before
    (kept,) = (files.cache_dir() / "board").iterdir()
    kept.write_bytes(kept.read_bytes()[:2000])
    assert board.build(root).to_json() == before


def test_a_board_of_nothing(root):
    found = board.build(root)
    assert (found.entries, found.comparable, found.excluded) == ([], [], [])
    assert breaches(board.json_schema(), json.loads(found.to_json())) == []
    assert isinstance(found, Board)


def test_thirty_submissions(whole_tree, root):
    """Derived once; made again from what was kept in a time that a thousand can afford
    (benchmarks/leaderboard.py)."""
    source = submissions.Source(submissions.run_of(whole_tree), keep=60)
    cells = {"protocol": ProtocolUsed("in-group", "1", ["eng_adu", "eng_eld"])}
    for number in range(30):
        asked = {"protocol": ProtocolUsed("in-group", "1")} if number % 6 == 0 else cells
        source.write(root, f"lab/model-{number}", 0.2 + number / 75, number, **asked)
    started = time.perf_counter()
    first = board.build(root)
    derived_s = time.perf_counter() - started
    assert [one.n_entries for one in first.comparable] == [5, 25]
    assert sorted(entry.standing.rank for entry in first.entries if entry.standing) == list(
        range(1, 6)
    )
    started = time.perf_counter()
    assert board.build(root).to_json() == first.to_json()
    assert time.perf_counter() - started < derived_s / 10  # a two-hundredth of it
