"""An honest submission is verified, and its receipt holds for the verified files only."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusMalformed, SettingError
from bimotion.evaluation import run as runner
from bimotion.leaderboard import board, export, labels_file, receipt, receiving, submission, verify
from bimotion.leaderboard.answer_key import AnswerKey
from bimotion.leaderboard.assignments import Splits
from bimotion.leaderboard.verify import Verdict
from bimotion.results import record
from bimotion.results.record import FitRecord
from tests.support.drafts import PREDICTIONS, RESULT, STATEMENT, Draft, received, swapped_label

UNDECLARED = {"contact": None, "trained_on": None}
WITHHELD_NOTE = (
    "labels of esd, iemocap are held against a hash: their licences keep them out of the file"
)
RESERVED_NOTE = (
    "model: bimotion/* is reserved for baselines that the keeper made: if you made this one, "
    "verify it with --baseline"
)


@pytest.fixture(scope="module")
def of_file(known, tmp_path_factory):
    """The same answer key from a labels file."""
    path = tmp_path_factory.mktemp("labels") / "labels.json.gz"
    return labels_file.load(labels_file.export(known, path))


@pytest.fixture
def sent(run, tmp_path):
    """A submission of a baseline, with room for receipts beside its folder."""
    return submission.pack(run, tmp_path / "submissions", **UNDECLARED)


def test_an_honest_submission_is_verified(run, known, tmp_path):
    folder = submission.pack(run, tmp_path, contact=None, trained_on=["LibriSpeech"])
    verdict = verify.verify(folder, known)
    assert (verdict.problems, verdict.warnings, verdict.ok) == ([], [], True)
    assert verdict.result == record.load(run / RESULT)
    assert verdict.submission.trained_on == ["LibriSpeech"]
    assert verdict.hashes == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }


def test_corpora_that_cannot_be_split_are_no_fault_of_a_submission(sent, known, true_manifest):
    assert "yuemotion" in true_manifest.corpora
    without_parts = dataclasses.replace(
        true_manifest, listed=true_manifest.listed.assign(official_split=None)
    )
    for practice in (False, True):
        splits = Splits.of(without_parts, known.table.index, practice=practice)
        answer_key = dataclasses.replace(known, splits=splits)
        if practice:
            assert splits["paper"].isna().all(axis=None)
            assert not verify.verify(sent, answer_key, practice=True).ok
        else:
            with pytest.raises(CorpusMalformed, match="yuemotion: expected an official part"):
                verify.verify(sent, answer_key)


@pytest.mark.parametrize(
    "asked", [{"seeds": [0, 3]}, {"protocol": "augmentation-matched"}], ids=str
)
def test_several_seeds_and_drawn_training_sets_are_verified(asked, evaluated, known, tmp_path):
    run = evaluated(cells=["zho_eld"], **asked)
    folder = submission.pack(run, tmp_path, **UNDECLARED)
    assert verify.verify(folder, known).problems == []


@pytest.mark.parametrize("options", [{"split_rule": "disjoint"}, {"schema": "valence"}], ids=str)
def test_a_labels_file_serves_as_well_as_corpora(options, evaluated, of_file, tmp_path):
    folder = submission.pack(evaluated(**options), tmp_path, **UNDECLARED)
    verdict = verify.verify(folder, of_file)
    assert verdict.problems == []
    undeclared = "what the model was trained on before is not declared"
    assert verdict.warnings == [WITHHELD_NOTE, undeclared]


def test_human_raters_stand_on_the_board_by_the_votes_of_whoever_verifies(
    run, known, tmp_path, monkeypatch
):
    """Not by what a submission says of them, and nowhere without votes."""
    root = tmp_path / "submissions"
    folder = submission.pack(run, root, **UNDECLARED)
    name = folder.relative_to(root).as_posix()
    is_rated = known.utterances["corpus"] == "crema_d"
    votes = [
        (("angry",), tuple(names)) if rated else None
        for names, rated in zip(known.utterances["emotions"], is_rated, strict=True)
    ]
    with_votes = dataclasses.replace(known, utterances=known.utterances.assign(votes=votes))
    [verdict] = receiving.receive(root, [name], with_votes, baseline=True)
    of_label, of_others = verdict.result.human
    assert (of_label.corpus, of_label.test, of_label.n_votes) == ("crema_d", "eng_eld", 2 * 300)
    built = board.build(root)
    assert [(row.split_rule, row.schema, row.cells) for row in built.human] == [
        ("paper", "emotion", {"eng_eld": rated}) for rated in (of_label, of_others)
    ]
    assert "against the label" in export.export(built, "csv")
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "elsewhere"))
    assert board.build(root) == built
    without = dataclasses.replace(known, utterances=known.utterances.assign(votes=None))
    [verdict] = receiving.receive(root, [name], without, baseline=True)
    assert (verdict.result.human, board.build(root).human) == ([], [])
    receiving.receive(root, [name], with_votes, baseline=True)
    shutil.rmtree(tmp_path / "receipts")
    assert board.build(root).human == []


def test_an_untouched_draft_is_verified_and_contaminated_cells_are_told(
    run, known, tmp_path, untouched, monkeypatch
):
    """Nothing is written, and no code runs: neither a pickle, nor modules that lie where the
    keeper stands."""
    folder = Draft(run).write(tmp_path)
    for name in ("pyarrow", "json", "bimotion", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    with untouched(tmp_path):
        verdict = verify.verify(folder.relative_to(tmp_path), known)
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
    """If it knows the same classes everywhere, in the order of the schema."""
    assert verify.verify(zero_shot(run).write(tmp_path), known).problems == []
    varied, turned = zero_shot(run), zero_shot(run, ("neutral", "angry"))
    classes = [["angry", "neutral"], ["neutral"]]
    varied.table["trained"] = classes + classes[:1] * (len(varied.table) - 2)
    for name, draft in (("varied", varied), ("turned", turned)):
        (problem,) = verify.verify(draft.write(tmp_path / name), known).problems
        assert "trained: expected the same classes in every row, in order, found" in problem


def test_receipts_hold_for_verified_files_only(sent, known, tmp_path):
    before = {path.name: path.read_bytes() for path in sent.iterdir()}
    verdict, held = received(sent, known)
    name = held.submission
    assert name == f"bimotion__random/{sent.name}"
    assert (held.sha256, held.practice) == (verdict.hashes, False)
    assert sorted(held.sha256) == [PREDICTIONS, RESULT, STATEMENT]
    assert held.why_not(name, receipt.digests(sent), practice=False) is None
    entry = (tmp_path / "receipts" / name / "entry.npz").read_bytes()
    assert receipt.entry(tmp_path / "receipts", name, held) == entry
    _, held = received(sent, known, practice=True, receipts=tmp_path / "practice")
    assert held.why_not(name, verdict.hashes, practice=False) == "verified for practice only"
    assert held.why_not(name, verdict.hashes, practice=True) is None
    assert {path.name: path.read_bytes() for path in sent.iterdir()} == before
    (sent / RESULT).write_text("{}")
    verdict, held = received(sent, known)
    assert (verdict.ok, held, list((tmp_path / "receipts").glob("*__*"))) == (False, None, [])


def test_receipts_may_lie_elsewhere_but_in_no_submissions(sent, known, tmp_path):
    assert received(sent, known, receipts=tmp_path / "mine")[1] is not None
    assert not (tmp_path / "receipts").exists()
    with pytest.raises(SettingError, match="outside of the submissions"):
        received(sent, known, receipts=tmp_path / "submissions" / "receipts")


def test_a_flipped_byte_of_any_file_makes_an_entry_unverified(sent, known, tmp_path):
    _, held = received(sent, known)
    for path in sent.iterdir():
        data = path.read_bytes()
        for index in (0, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :])
            reason = held.why_not(held.submission, receipt.digests(sent), practice=False)
            assert reason == f"changed since it was verified: {path.name}"
        assert board.build(tmp_path / "submissions").entries == []
        path.write_bytes(data)
    (entry,) = board.build(tmp_path / "submissions").entries
    assert (entry.flags.is_recomputed, entry.flags.baseline) == (True, True)


def test_a_baseline_is_what_the_keeper_says_of_one_run(sent, known, tmp_path):
    verdict, held = received(sent, known, baseline=False)
    assert (verdict.ok, held, verdict.problems) == (False, None, [RESERVED_NOTE])
    assert received(sent, known)[1].baseline is True
    # said before, of the same files
    assert received(sent, known, baseline=False)[1].baseline is True
    statement = json.loads((sent / STATEMENT).read_text()) | {"contact": "a stranger"}
    (sent / STATEMENT).write_text(json.dumps(statement, indent=1) + "\n")
    assert received(sent, known, baseline=False)[1] is None
    with pytest.raises(SettingError, match="by itself: expected one submission, found 2"):
        receiving.receive(tmp_path, ["a/b", "c/d"], known, baseline=True)


def test_practice_is_another_thing(shared_corpora, known, tmp_path):
    output = tmp_path / "results"
    source = {"data_dir": shared_corpora, "allow_missing": True}
    result = runner.evaluate("bimotion/random", output=output, protocol="in-group", **source)
    assert result.skipped
    folder = submission.pack(result.folder(output), tmp_path, practice=True, **UNDECLARED)
    practice = AnswerKey.of_corpora(CorpusSource.of(shared_corpora, allow_missing=True))
    assert verify.verify(folder, practice, practice=True).problems == []
    assert "expected complete corpora" in verify.verify(folder, practice).problems[0]
    assert not verify.verify(folder, known, practice=True).ok


def test_what_an_answer_key_cannot_check_is_not_verified_and_no_receipt_is_withdrawn(
    sent, known, of_file, tmp_path
):
    _, before = received(sent, known)
    for answer_key, reason in (
        (known.only(["tess", "csed"]), "the answer key has no crema_d, elderreact"),
        (
            of_file,
            "a labels file has data fingerprints of whole protocols only; verify with the corpora",
        ),
    ):
        verdict, held = received(sent, answer_key)
        assert verdict.problems == [f"result.json: cannot be checked: {reason}"]
        assert (verdict.ok, held) == (False, before)
    assert board.build(tmp_path / "submissions").entries[0].flags.is_recomputed


def test_a_submission_lies_in_its_own_folder(run, known, tmp_path):
    folder = Draft(run).write(tmp_path)
    for other in (folder.with_name("0" * 12), tmp_path / "lab__random" / folder.name):
        other.parent.mkdir(exist_ok=True)
        folder = folder.rename(other)
        assert "folder: expected 'bimotion__random/" in verify.verify(folder, known).problems[0]


def test_receipts_follow_no_link(sent, known, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    folder = tmp_path / "receipts" / sent.parent.name / sent.name
    folder.mkdir(parents=True)
    links = [folder / name for name in ("receipt.json", "entry.npz")]
    for link in links:
        link.symlink_to(victim)
    received(sent, known)
    assert not any(link.is_symlink() for link in links)
    for link in links:
        link.unlink()
        link.symlink_to(victim)
    (sent / RESULT).write_text("{}")
    received(sent, known)
    assert not folder.exists()
    assert victim.read_text() == "theirs"


def _first_label_swapped(table):
    first, *rest = table["reference"]
    return table.assign(reference=[swapped_label(first), *rest])


@pytest.mark.parametrize("change", [_first_label_swapped, lambda table: table.drop(index=0)])
def test_labels_that_the_file_withholds_are_held_against_a_hash(
    change, evaluated, of_file, tmp_path
):
    draft = Draft(evaluated(schema="valence"))
    is_esd = draft.table["corpus"] == "esd"
    changed = change(draft.table[is_esd].reset_index(drop=True))
    draft.table = pd.concat([changed, draft.table[~is_esd]], ignore_index=True)
    (problem,) = verify.verify(draft.write(tmp_path), of_file).problems
    assert "esd in " in problem
    assert problem.endswith("expected the ids and labels of its hash, found others")


def test_probabilities_of_exclusive_classes_sum_to_one(evaluated, known, tmp_path):
    draft = Draft(evaluated(schema="valence", cells=["zho_eld"]))
    draft.result["model"]["name"], draft.statement["organisation"] = "lab/model", "lab"
    verdict = verify.verify(draft.write(tmp_path / "a"), known)
    assert "expected classes that sum to 1, found" in verdict.problems[0]
    draft.table["probabilities"] = [row / row.sum() for row in draft.table["probabilities"]]
    draft.rescored()
    assert verify.verify(draft.write(tmp_path / "b"), known).problems == []


def test_a_machine_without_memory_says_so():
    """Nothing is wrong with the submission; NumPy refuses an array that no machine can hold."""
    verdict = Verdict()
    verify._check(verdict, lambda: iter(np.zeros(1 << 50)))
    assert verdict.problems == ["cannot be checked: this machine has not enough free memory"]


def test_receipts_in_a_loop_of_links_are_one_line(sent, known, tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        receiving.receive(
            sent.parents[1], ["/".join(sent.parts[-2:])], known, receipts=loop, baseline=True
        )
