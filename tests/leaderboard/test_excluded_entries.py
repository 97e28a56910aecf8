"""What is no entry of a board says why."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bimotion.errors import SettingError
from bimotion.leaderboard import board, submission
from bimotion.results import record as results
from bimotion.results.record import CorpusUsed, DataUsed, ModelUsed, ProtocolUsed
from tests.support import submissions
from tests.support.boards import linked, only, rewrite, rewrite_table


def provenance_of(folder):
    return results.load(folder / "result.json").provenance


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
        "expected a result in JSON, found: unexpected end of hex",
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
        lambda run: rewrite_table(run, lambda t: pd.concat([t, t[:3]])),
        "expected every clip once in a test set, found 3 again",
    ),
    "more clips than the corpus has": (
        lambda run: rewrite_table(
            run, lambda t: t.loc[np.repeat(t.index[t["corpus"] == "csed"][:1], 653)]
        ),
        "expected at most 652 clips of csed in a test set, found 653",
    ),
    "another corpus": (
        lambda run: rewrite_table(run, lambda t: t.assign(corpus="mine")),
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
        "result.json: result.schema_version: expected",
    ),
    "no predictions": (
        lambda run: (run / "predictions.parquet").unlink(),
        "predictions.parquet: expected a plain file",
    ),
    "a link": (
        lambda run: linked(run / "predictions.parquet"),
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


@pytest.fixture(scope="module")
def source(whole_tree):
    """The mould of many submissions: one clip in 60 of a finished run."""
    return submissions.Source(submissions.run_of(whole_tree), keep=60)


def test_of_names_that_look_alike_the_verified_stands(root, source):
    """Case, other letters, digits: in folders and in records; where none is verified, or two are,
    the owner has to choose."""
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
def test_a_reserved_name_stands_for_the_receivers_own_only(name, root, source):
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
