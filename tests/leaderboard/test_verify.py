"""An honest submission is verified, and its receipt holds for the verified files only."""

import dataclasses
import hashlib
import json

import pandas as pd
import pytest

from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation import run as runner
from bimotion.leaderboard import answer_key as reference
from bimotion.leaderboard import board, receipt, receiving, submission, verify
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.results import record
from bimotion.results.record import FitRecord
from tests.support.drafts import PREDICTIONS, RESULT, STATEMENT, Draft, received, swapped_label


@pytest.fixture(scope="module")
def of_file(known, tmp_path_factory):
    """The same from a labels file."""
    return reference.load(
        reference.export(known, tmp_path_factory.mktemp("labels") / "labels.json.gz")
    )


def test_an_honest_submission_is_verified(run, known, tmp_path):
    folder = submission.pack(run, tmp_path, contact=None, trained_on=["LibriSpeech"])
    verdict = verify.verify(folder, known)
    assert (verdict.problems, verdict.warnings, verdict.ok) == ([], [], True)
    assert verdict.result == record.load(run / RESULT)
    assert verdict.submission.trained_on == ["LibriSpeech"]
    assert verdict.hashes == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }


def test_several_seeds_are_verified(evaluated, known, tmp_path):
    folder = submission.pack(
        evaluated(cells=["zho_eld"], seeds=[0, 3]), tmp_path, contact=None, trained_on=None
    )
    assert verify.verify(folder, known).problems == []


@pytest.mark.parametrize(
    "options", [{"split_rule": "disjoint"}, {"schema": "valence"}], ids=["emotion", "valence"]
)
def test_a_labels_file_serves_as_well_as_corpora(options, evaluated, of_file, tmp_path):
    folder = submission.pack(evaluated(**options), tmp_path, contact=None, trained_on=None)
    verdict = verify.verify(folder, of_file)
    assert verdict.problems == []
    assert verdict.warnings == [
        "labels of esd, iemocap are held against a hash: their licences keep them out of the file",
        "what the model was trained on before is not declared",
    ]


def test_contaminated_cells_are_told(run, known, tmp_path):
    verdict = verify.verify(Draft(run).write(tmp_path), known)
    assert verdict.ok
    assert verdict.warnings == ["eng_eld: the model was trained on crema_d before"]


def zero_shot(run, trained=("angry", "neutral")):
    """The draft of a model that is trained on nothing."""
    draft = Draft(run)
    draft.table["train"], draft.table["trained"] = "nothing", [list(trained)] * len(draft.table)
    draft.result |= {"track": "zero-shot"}
    draft.result["model"]["name"] = draft.statement["model"]["name"] = "lab/model"
    draft.statement["organisation"] = "lab"
    draft.result["fits"] = [dataclasses.asdict(FitRecord("nothing", 0, 0, 0, len(draft.table), {}))]
    draft.rescored()
    return draft


def test_a_model_that_is_trained_on_nothing_is_verified(run, known, tmp_path):
    assert verify.verify(zero_shot(run).write(tmp_path), known).problems == []


def test_receipts_hold_for_verified_files_only(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    verdict, found = received(folder, known)
    name = found.submission
    assert (name, found.sha256, found.practice) == (
        f"bimotion__random/{folder.name}",
        verdict.hashes,
        False,
    )
    assert sorted(found.sha256) == [PREDICTIONS, RESULT, STATEMENT]
    assert found.why_not(name, receipt.digests(folder), practice=False) is None
    assert (
        receipt.entry(tmp_path / "receipts", name, found)
        == (tmp_path / "receipts" / name / "entry.npz").read_bytes()
    )
    _, found = received(folder, known, practice=True)
    assert found.why_not(name, verdict.hashes, practice=False) == "verified for practice only"
    assert found.why_not(name, verdict.hashes, practice=True) is None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / RESULT).write_text("{}")
    verdict, found = received(folder, known)
    assert (verdict.ok, found, list((tmp_path / "receipts").iterdir())) == (False, None, [])


def test_receipts_may_lie_elsewhere_but_in_no_submissions(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    assert received(folder, known, receipts=tmp_path / "mine")[1] is not None
    assert not (tmp_path / "receipts").exists()
    with pytest.raises(SettingError, match="outside of the submissions"):
        received(folder, known, receipts=tmp_path / "submissions" / "receipts")


def test_a_flipped_byte_of_any_file_makes_an_entry_unverified(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    _, found = received(folder, known)
    for path in folder.iterdir():
        data = path.read_bytes()
        for place in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            reason = found.why_not(found.submission, receipt.digests(folder), practice=False)
            assert reason == f"changed since it was verified: {path.name}"
        assert board.build(tmp_path / "submissions").entries == []
        path.write_bytes(data)
    (entry,) = board.build(tmp_path / "submissions").entries
    assert (entry.marks.verified, entry.marks.floor) == (True, True)


def test_a_baseline_is_what_the_receiver_says_of_one_run(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    verdict, found = received(folder, known, baseline=False)
    assert (verdict.ok, found) == (False, None)
    assert verdict.problems == [
        "model: bimotion/* is reserved for baselines that the receiver made: if you made "
        "this one, verify it with --baseline"
    ]
    assert received(folder, known)[1].baseline is True
    # said before, of the same files
    assert received(folder, known, baseline=False)[1].baseline is True
    statement = json.loads((folder / STATEMENT).read_text())
    (folder / STATEMENT).write_text(
        json.dumps(statement | {"contact": "a stranger"}, indent=1) + "\n"
    )
    assert received(folder, known, baseline=False)[1] is None
    with pytest.raises(
        SettingError, match="a baseline is verified by itself: expected one submission, found 2"
    ):
        receiving.receive(tmp_path, ["a/b", "c/d"], known, baseline=True)


def test_practice_is_another_thing(shared_corpora, known, tmp_path):
    output = tmp_path / "results"
    result = runner.evaluate(
        "bimotion/random",
        data_dir=shared_corpora,
        output=output,
        protocol="in-group",
        allow_missing=True,
    )
    assert result.skipped
    folder = submission.pack(
        result.folder(output), tmp_path, contact=None, trained_on=None, practice=True
    )
    practice = AnswerKey.of_corpora(CorpusSource.of(shared_corpora, allow_missing=True))
    assert verify.verify(folder, practice, practice=True).problems == []
    assert "expected complete corpora" in verify.verify(folder, practice).problems[0]
    assert not verify.verify(folder, known, practice=True).ok


def test_a_reference_without_the_corpora_verifies_nothing(run, known, tmp_path):
    verdict = verify.verify(Draft(run).write(tmp_path), known.only(["tess", "csed"]))
    assert verdict.problems == [
        "result.json: cannot be checked: the reference has no crema_d, elderreact"
    ]
    assert not verdict.ok


def test_the_wrong_corpora_withdraw_no_receipt(run, known, tmp_path):
    folder = submission.pack(run, tmp_path / "submissions", contact=None, trained_on=None)
    _, before = received(folder, known)
    verdict, found = received(folder, known.only(["tess", "csed"]))
    assert (verdict.ok, found) == (False, before)
    assert board.build(tmp_path / "submissions").entries[0].marks.verified


def test_a_labels_file_says_what_it_cannot_check(run, of_file, tmp_path):
    verdict = verify.verify(Draft(run).write(tmp_path), of_file)
    assert verdict.problems == [
        "result.json: data.fingerprint cannot be checked: a labels file knows whole "
        "protocols only; verify with the corpora"
    ]


def test_an_untouched_draft_is_verified(run, known, tmp_path):
    assert verify.verify(Draft(run).write(tmp_path), known).problems == []


def test_a_submission_lies_in_its_own_folder(run, known, tmp_path):
    folder = Draft(run).write(tmp_path)
    for other in (folder.with_name("0" * 12), tmp_path / "lab__random" / folder.name):
        other.parent.mkdir(exist_ok=True)
        folder = folder.rename(other)
        assert "folder: expected 'bimotion__random/" in verify.verify(folder, known).problems[0]


def test_no_code_of_a_submission_runs(run, known, tmp_path, monkeypatch):
    """Neither a pickle, nor modules that lie where the receiver stands."""
    folder = Draft(run).write(tmp_path)
    for name in ("pyarrow", "json", "bimotion", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    assert verify.verify(folder.relative_to(tmp_path), known).problems == []
    assert not (tmp_path / "ran").exists()


def test_nothing_is_written_where_a_submission_lies(run, known, tmp_path, untouched):
    folder = Draft(run).write(tmp_path)
    with untouched(tmp_path):
        verify.verify(folder, known)


def test_receipts_follow_no_link(run, known, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    folder = Draft(run).write(tmp_path / "submissions")
    place = tmp_path / "receipts" / folder.parent.name / folder.name
    place.mkdir(parents=True)
    for name in ("receipt.json", "entry.npz"):
        (place / name).symlink_to(victim)
    received(folder, known)
    assert not any(path.is_symlink() for path in place.iterdir())
    for name in ("receipt.json", "entry.npz"):
        (place / name).unlink()
        (place / name).symlink_to(victim)
    (folder / RESULT).write_text("{}")
    received(folder, known)
    assert not place.exists()
    assert victim.read_text() == "theirs"


WITHHELD = {
    "label": lambda t: t.assign(
        reference=[*map(swapped_label, t["reference"][:1]), *t["reference"][1:]]
    ),
    "clip": lambda t: t.drop(index=0),
}


@pytest.mark.parametrize("change", WITHHELD.values(), ids=list(WITHHELD))
def test_labels_that_the_file_withholds_are_held_against_a_hash(
    change, evaluated, of_file, tmp_path
):
    draft = Draft(evaluated(schema="valence"))
    mine = draft.table[draft.table["corpus"] == "esd"]
    others = draft.table[draft.table["corpus"] != "esd"]
    draft.table = pd.concat([change(mine.reset_index(drop=True)), others], ignore_index=True)
    verdict = verify.verify(draft.write(tmp_path), of_file)
    assert len(verdict.problems) == 1
    assert "esd in " in verdict.problems[0]
    assert verdict.problems[0].endswith("expected the ids and reference of its hash, found others")


def test_probabilities_of_exclusive_classes_sum_to_one(evaluated, known, tmp_path):
    draft = Draft(evaluated(schema="valence", cells=["zho_eld"]))
    draft.result["model"]["name"], draft.statement["organisation"] = "lab/model", "lab"
    verdict = verify.verify(draft.write(tmp_path / "a"), known)
    assert "expected classes that sum to 1, found" in verdict.problems[0]
    draft.table["probabilities"] = [one / one.sum() for one in draft.table["probabilities"]]
    draft.rescored()
    assert verify.verify(draft.write(tmp_path / "b"), known).problems == []


def test_classes_without_training_are_the_same_everywhere(run, known, tmp_path):
    draft = zero_shot(run)
    draft.table["trained"] = [["angry", "neutral"], ["neutral"]] + [["angry", "neutral"]] * (
        len(draft.table) - 2
    )
    verdict = verify.verify(draft.write(tmp_path / "a"), known)
    assert "trained: expected the same classes in every row, in order" in verdict.problems[0]
    verdict = verify.verify(zero_shot(run, ("neutral", "angry")).write(tmp_path / "b"), known)
    assert (
        "trained: expected the same classes in every row, in order, found 'neutral|angry'"
        in verdict.problems[0]
    )
