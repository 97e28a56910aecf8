"""Submissions that are no entries of a board, with the reason."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bimotion.errors import SettingError
from bimotion.leaderboard import admission, board, submission
from bimotion.results import record as results
from bimotion.results.record import CorpusUsed, DataUsed, ModelUsed, ProtocolUsed
from tests.support import submissions
from tests.support.boards import linked, only, rewrite, rewrite_table

ENGLISH_ELDERS = ProtocolUsed("in-group", "1", ["eng_eld"])


def recorded(**changes):
    """Other fields in result.json, under the key that follows."""
    return lambda run: rewrite(run, **changes)


def model(name="org/tiny", revision="1", **options):
    return recorded(model=ModelUsed(name, "1", revision, options))


def part(name, /, **changes):
    """Other fields in one part of result.json."""

    def change(run):
        inner = getattr(results.load(run / "result.json"), name)
        rewrite(run, **{name: dataclasses.replace(inner, **changes)})

    return change


def corpus(name, **changes):
    """A corpus more in the record, or another account of one."""

    def change(run):
        data = results.load(run / "result.json").data
        used = dataclasses.replace(data.corpora["tess"], **changes)
        rewrite(run, data=DataUsed.of(data.fingerprint, data.corpora | {name: used}))

    return change


def patched(**changes):
    """Other fields in result.json, whatever they are, under the old key."""

    def change(run):
        content = json.loads((run / "result.json").read_text()) | changes
        (run / "result.json").write_text(json.dumps(content))

    return change


def table(change):
    return lambda run: rewrite_table(run, change)


def content(name, text):
    """Another file, or another content of one."""
    return lambda run: (run / name).write_text(text)


def statement(trained_on):
    return content("submission.json", json.dumps({"trained_on": trained_on}))


def with_statement(make):
    """Something else in a folder with a statement."""
    return lambda run: (content("submission.json", "{}")(run), make(run))


def many_of_one(table):
    return table.loc[np.repeat(table.index[table["corpus"] == "csed"][:1], 653)]


SYNTHETIC = CorpusUsed(7, 7, 7, True, {}, None, {"measured": 7}, synthetic=True)
NAME = "expected a name of 1 to 200 printable characters"
ESCAPE = "\x1b[2K"
SURROGATE = {"name": "org/\ud800", "version": "1", "revision": None, "options": {}}
REFUSED = {
    "synthetic": (recorded(data=DataUsed.of("0" * 16, {"tess": SYNTHETIC})), "synthetic data"),
    "limited": (recorded(limit=20), "limited to 20 clips"),
    "no name": (model(""), NAME),
    "lone surrogate": (patched(model=SURROGATE), "expected a result in JSON, found: unexpected en"),
    "bidi override": (model("a\u202eb"), "printable characters, found 'a\\u202eb'"),
    "invisible in a name": (model("org/ti\u3164ny"), NAME),
    "invisible in a revision": (model(revision="ma\u3164in"), "'model.revision': expected one lin"),
    "a version that clears a screen": (
        recorded(model=ModelUsed("org/tiny", ESCAPE, "1", {})),
        "'model.version': expected one line",
    ),
    "a window of marks": (model(window="clip, verified"), "model.options.window: expected clip or"),
    "an option of two lines": (model(head="a\nb"), "'model.options.head': expected one line of"),
    "a long device": (part("provenance", device="x" * 99999), "expected at most 50000 characters"),
    "more parameters than a chart ends at": (
        recorded(n_parameters=10**400),
        "n_parameters: expected null or a number from 0 to 1000000000000000, found 1000",
    ),
    "unknown track": (recorded(track="<b>"), "track: expected one of probe, finetune, zero-shot"),
    "unknown split rule": (part("split", rule=f"|{ESCAPE}\n" * 9999), "split.rule: expected one o"),
    "folds of a rule that has none": (
        part("split", folds=3),
        "split.folds: expected null, found 3",
    ),
    "more folds than there are": (
        part("split", rule="folds", folds=10**99),
        "split.folds: expected less than or equal to 5, found 1000",
    ),
    "unknown corpus": (corpus("<b>mine</b>"), "data.corpora: expected one of crema_d, csed, "),
    "more clips than a number has": (corpus("tess", n_found=10**300), "data.corpora.tess.n_found:"),
    "a key without end": (patched(key=ESCAPE * 99999), "key: expected "),
    "other seeds": (recorded(seeds=[0, 1]), "expected predictions of seeds [0, 1]"),
    "unknown schema": (part("schema", name="x"), "unknown schema 'x'"),
    "more settings than predictions": (
        recorded(protocol=ProtocolUsed("augmentation", "1")),
        "no predictions of eng_eld+eng_adu on eng_eld",
    ),
    "no result": (content("result.json", "{}"), "result.json: result.schema_version: expected"),
    # predictions
    "a clip again": (table(lambda t: pd.concat([t, t[:3]])), "in a test set, found 3 again"),
    "more clips than the corpus has": (table(many_of_one), "at most 652 clips of csed in a test s"),
    "another corpus": (table(lambda t: t.assign(corpus="mine")), "corpus: expected one of crema_d"),
    "none": (lambda run: (run / "predictions.parquet").unlink(), "parquet: expected a plain file"),
    "a link": (lambda run: linked(run / "predictions.parquet"), "parquet: expected a plain file"),
    "no Parquet": (content("predictions.parquet", "PAR1" * 9), "predictions.parquet: "),
    # statements
    "turns round": (statement(["TESS \u202e"]), "expected printable names, found 'TESS \\u202e'"),
    "broken": (content("submission.json", "{"), "expected a submission.json in JSON"),
    "no names": (statement({"eng_eld": "tess"}), "trained_on: expected a valid string or a valid"),
    "numbers": (statement([1]), "trained_on: expected a valid string, found [1]"),
    "beyond any": (statement("x" * 200_001), "at most 200 characters"),
    # other files
    "another file": (with_statement(content("Result.json", "")), "only, found 'Result"),
    "a folder": (with_statement(lambda run: (run / "receipts").mkdir()), "only, found 'receipts'"),
    "its own receipt": (
        lambda run: shutil.copy(submissions.receipt_of(run), run),
        "receipt.json: receipts are the keeper's and lie outside of submissions; this one is not "
        "believed: remove it and run `bimotion leaderboard verify`",
    ),
} | {
    f"its own {name}": (
        lambda run, name=name: (run / name).symlink_to("/etc/hostname"),
        f"{name}: receipts are the keeper's",
    )
    for name in ("verified.json", "derived.npz", "entry.npz")
}


@pytest.mark.parametrize("verified", [False, True])
@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_no_entry_says_why(name, verified, alone, root):
    run, (change, expected) = alone(), REFUSED[name]
    change(run)
    if verified and (run / "predictions.parquet").exists():
        submissions.verify(run)
    reason = only(root)
    assert expected in reason
    assert str(root) not in reason
    assert reason.isprintable()
    assert len(reason) <= board.MAX_REASON + 3


def test_synthetic_data_stand_on_a_board_for_practice_only(alone, root):
    run = alone()
    REFUSED["synthetic"][0](run)
    submissions.verify(run)
    assert only(root, practice=True).flags.synthetic is True
    assert "synthetic data" in only(root)


def test_the_others_stand(built):
    (excluded,) = built.excluded
    assert excluded.id == "lab__broken/key"
    assert len(built.entries) == len(submissions.MODELS) + 1


def test_one_run_stands_once_unless_both_are_verified(root, source):
    """The verified one, though it sorts last. Models without an organisation in their name may be
    sent by several, under one key."""
    made = source.write(root / "made", "tiny", 0.3, 1, verified=False, protocol=ENGLISH_ELDERS)
    first = Path(shutil.copytree(made, root / "org__tiny" / made.name))
    submissions.verify(first)
    thief = Path(shutil.copytree(made, root / "a__tiny" / made.name))
    shutil.rmtree(root / "made")
    made, mine = board.build(root), f"org__tiny/{first.name}"
    assert [entry.id for entry in made.entries] == [mine]
    assert made.excluded == [board.Excluded(f"a__tiny/{first.name}", f"the same run as {mine}")]
    submissions.verify(thief)
    made = board.build(root)
    assert {entry.id for entry in made.entries} == {f"a__tiny/{first.name}", mine}
    assert made.excluded == []


@pytest.fixture(scope="module")
def source(whole_tree):
    """The mould of many submissions: one clip in 60 of a finished run."""
    return submissions.Source(submissions.run_of(whole_tree), keep=60)


def test_of_names_that_look_alike_the_verified_stands(root, source):
    """Case, other letters, digits: in folders and in records; where none is verified, or two are,
    the owner has to choose."""
    first = source.write(root, "lab/x1", 0.3, 1, protocol=ENGLISH_ELDERS)
    for number, name in enumerate(("Lab/x1", "lab/xl", "l\u0430b/x1", "lab/x-1")):
        source.write(root, name, 0.3, 10 + number, verified=False, protocol=ENGLISH_ELDERS)
    made = board.build(root)
    assert {entry.model for entry in made.entries} == {"lab/x1", "lab/x-1"}
    reasons = [excluded.reason for excluded in made.excluded]
    assert len(reasons) == 3
    assert all("can be mistaken for" in reason and "lab/x1" in reason for reason in reasons)
    submissions.receipt_of(first).unlink()
    assert {entry.model for entry in board.build(root).entries} == {"lab/x-1"}


RESERVED_NAMES = [
    "bimotion/prosody",
    "BiMotion/prosody",
    "b1motion/x",
    "b\u0456motion/prosody",
    "birnotion/random",
    "bimotion\u2215prosody",
    " bimotion/prosody",
    "bimotion./x",
    "lab/bimotion/x",
]


@pytest.mark.parametrize("name", RESERVED_NAMES)
def test_a_reserved_name_stands_for_the_keepers_own_only(name, root, source):
    run = source.write(root, name, 0.3, 1, verified=False, protocol=ENGLISH_ELDERS)
    reason = "bimotion/* is reserved for baselines that the keeper verified as such"
    assert only(root) == f"{reason} (not verified)"
    submissions.verify(run, baseline=False)
    assert only(root) == reason
    entry = only(root, practice=True)
    assert (entry.flags.baseline, entry.flags.undeclared) == (False, True)
    if admission.is_reserved(run.parent.name.partition("__")[0]):
        submissions.verify(run)
        assert only(root).flags.baseline is True


def test_a_statement_taken_away_makes_it_unverified(alone, root):
    run = alone()
    (run / "submission.json").write_text('{"trained_on": ["TESS"], "contamination": {}}')
    submissions.verify(run)
    assert only(root).flags.contaminated == {"eng_eld": ["tess"], "eng_adu": ["tess"]}
    (run / "submission.json").unlink()
    flags = only(root).flags
    assert flags.status == "claimed"
    assert flags.status_reason == "changed since it was verified: submission.json"


def test_a_name_that_moves_the_cursor_is_no_entry(alone, root):
    alone().parent.rename(root / f"a{ESCAPE}\rlab__evil")
    (excluded,) = board.build(root).excluded
    assert excluded.id.isprintable()
    assert excluded.reason == "expected a printable name"


def test_nothing_is_read_that_is_not_two_folders_down(alone, root):
    run = alone()
    for folder in (root, root / "a", root / "a" / "b" / "c", root / ".hidden" / "b"):
        shutil.copytree(run, folder, dirs_exist_ok=True)
    assert only(root).id == f"org__tiny/{run.name}"


def test_a_submission_without_its_record_is_told_and_a_link_is_not_followed(alone, root):
    run = alone()
    bare, dangling = root / "lab__bare" / "0123", root / "lab__dangling" / "0123"
    for folder in (bare, dangling):
        folder.mkdir(parents=True)
    shutil.copy(run / "predictions.parquet", bare)
    (dangling / "result.json").symlink_to(root / "nowhere")
    elsewhere = root.parent / "elsewhere" / "lab__elsewhere"
    shutil.copytree(run, elsewhere / run.name)
    (root / "lab__elsewhere").symlink_to(elsewhere)
    (root / "lab__bare" / run.name).symlink_to(elsewhere / run.name)
    made = board.build(root)
    assert [entry.id for entry in made.entries] == [f"org__tiny/{run.name}"]
    reason = "result.json: expected a plain file, found none or a link"
    assert made.excluded == [
        board.Excluded(f"{name}/0123", reason) for name in ("lab__bare", "lab__dangling")
    ]


def test_what_holds_no_file_of_a_submission_is_none_and_is_told(alone, root):
    """A folder that `bimotion project` leaves among runs, a run that has only begun, a record under
    another name."""
    run = alone()
    files = {"projection-0123": "coverage.json", "begun": ".lock", "misnamed": "Result.json"}
    for name, file in files.items():
        (run.parent / name).mkdir()
        (run.parent / name / file).touch()
    assert only(root).id == f"org__tiny/{run.name}"
    assert [path.name for path in submission.passed_over(root)] == ["misnamed", "projection-0123"]


def test_no_words_of_an_unverified_record_stand_among_the_flags(alone, root):
    run, evil = alone(), "<b>" * 9999
    corpus("tess", speakers_shared=evil)(run)
    scores = results.load(run / "result.json").scores
    rewrite(run, scores=[dataclasses.replace(score, untrained=[evil]) for score in scores])
    assert evil not in json.dumps(dataclasses.asdict(only(root)))


def test_a_missing_folder_is_no_empty_board(root):
    with pytest.raises(SettingError, match="expected a folder of submissions, found none"):
        board.build(root / "typo")
