"""Names of baselines, names that look alike, and copies of the entries of others."""

import numpy as np
import pytest

from bimotion.leaderboard import board, receiving
from bimotion.leaderboard.ranking import MAX_SAME
from bimotion.results.scoring import OF_THIS_CHECKPOINT
from tests.support.drafts import Draft, received

BASELINES = "bimotion/majority, bimotion/prosody, bimotion/random"


def named(run, model, organisation=None):
    """The draft of a submission of another model, one without a seed."""
    draft = Draft(run)
    for score in draft.result["scores"]:
        reasons = (score["reason"] or "").split("; ")
        kept = [reason for reason in reasons if reason != OF_THIS_CHECKPOINT]
        score["reason"] = "; ".join(kept) or None
    draft.result["model"]["name"] = model
    draft.statement["organisation"] = organisation or model.partition("/")[0]
    return draft


@pytest.mark.parametrize(
    ("organisation", "model"),
    [
        ("bimotion", "bimotion/large"),
        ("BiMotion", "BiMotion/prosody"),
        ("b1m0tion", "b1m0tion/prosody"),
        ("birnotion", "birnotion/random"),
        ("bi-motion", "bi-motion/random"),
        ("BIMOTI0N", "prosody"),
    ],
)
def test_no_stranger_takes_the_name_of_a_baseline(organisation, model, run, known, tmp_path):
    for baseline in (False, True):
        folder = named(run, model, organisation).write(tmp_path / str(baseline))
        verdict, receipt = received(folder, known, baseline=baseline)
        assert receipt is None
        expected = f"model: bimotion/* is reserved for {BASELINES}; found {model}"
        assert verdict.problems == [expected]


def test_names_that_look_alike_are_refused(run, known, tmp_path):
    root = tmp_path / "submissions"
    models = ("lab/x1", "Lab/x1", "lab/xl", "1ab/x1", "lab/X-1")
    folders = [named(run, model).write(root) for model in models]
    assert received(folders[0], known, baseline=False)[1] is not None
    names = [f"{folder.parent.name}/{folder.name}" for folder in folders]
    verdicts = receiving.receive(root, names, known)
    assert [verdict.ok for verdict in verdicts] == [True, False, False, False, True]
    [reason] = verdicts[1].problems
    assert reason.startswith("name: Lab__x1 can be mistaken for lab__x1, that has a receipt")
    for folder in (folders[0], folders[-1]):
        folder.rename(tmp_path / folder.name)  # gone: its name is free again
    [new, both] = receiving.receive(root, names[1:3], known)
    why = "can be mistaken for lab__xl, that is verified at the same time: remove one"
    assert f"name: Lab__x1 {why}" in new.problems
    assert not both.ok
    assert receiving.receive(root, names[1:2], known)[0].ok


def test_a_renamed_submission_has_no_receipt(run, known, tmp_path):
    root = tmp_path / "submissions"
    folder = named(run, "lab/x").write(root)
    received(folder, known, baseline=False)
    (entry,) = board.build(root).entries
    assert entry.flags.is_recomputed
    folder.parent.rename(root / "evil__x")
    # even if its receipt goes along
    (tmp_path / "receipts" / "lab__x").rename(tmp_path / "receipts" / "evil__x")
    built = board.build(root)
    assert built.entries == []
    [excluded] = built.excluded
    assert excluded.reason == (
        "model: expected that of its folder, evil__x, found lab/x (its receipt speaks of "
        f"'lab__x/{folder.name}')"
    )


@pytest.mark.parametrize("model", ["lab/famous", "lab/x2", "famous", "Lab/x", "lab//x", ""])
def test_a_claim_stands_under_the_name_of_its_folder_only(model, run, tmp_path):
    root = tmp_path / "submissions"
    folder = named(run, model, "lab").write(tmp_path / "made")
    folder.rename(make(root / "lab__x") / folder.name)
    built = board.build(root, practice=True)
    assert (len(built.entries), len(built.excluded)) == (0, 1)
    if model:
        expected = f"model: expected that of its folder, lab__x, found {model} (not verified)"
        assert built.excluded[0].reason == expected


def make(folder):
    folder.mkdir(parents=True)
    return folder


def test_a_claim_whose_model_has_no_organisation_has_that_of_its_folder(run, tmp_path):
    named(run, "x", "lab").write(tmp_path / "submissions")
    (entry,) = board.build(tmp_path / "submissions").entries
    assert (entry.full_name, entry.flags.status) == ("lab/x", "claimed")


def _shaken(probabilities):
    noise = np.random.default_rng(0).normal(0, 0.003, probabilities.shape)
    return np.clip(probabilities + noise, 0, 1)


COPIES = {
    "equal": lambda p: p,
    "rounded": lambda p: p.round(2),
    "shaken": _shaken,
    "sharpened": lambda p: p**1.2,
}


def test_a_copy_of_another_entry_is_told_on_both(run, known, tmp_path):
    """Scores follow from the copy, so it is verified; an entry of its own has no flag."""
    for name, change in {**COPIES, "other": lambda p: p[::-1]}.items():
        draft = named(run, f"lab/{name}")
        probabilities = change(np.stack(draft.table["probabilities"]))
        draft.table["probabilities"] = list(probabilities.astype(np.float32))
        draft.rescored()
        verdict, _ = received(draft.write(tmp_path / "submissions"), known, baseline=False)
        assert verdict.ok, (name, verdict.problems)
    entries = board.build(tmp_path / "submissions").entries
    copies = {f"lab/{name}" for name in COPIES}
    expected = {name: copies - {name} for name in copies} | {"lab/other": set()}
    assert {entry.model: set(entry.flags.same_predictions) for entry in entries} == expected
    assert {entry.flags.is_recomputed for entry in entries} == {True}


SPELLINGS = {  # more in test_contamination
    "IEM0CAP": "iemocap",
    "ІЕМОСАР": "iemocap",
    "ＩＥＭＯＣＡＰ": "iemocap",
    "IEMOCAPdataset": "iemocap",
    "cremad2": "crema_d",
}


@pytest.mark.parametrize(("name", "corpus"), SPELLINGS.items())
def test_no_spelling_hides_a_corpus(name, corpus, evaluated, known, tmp_path):
    draft = named(evaluated(cells=["eng_adu"]), "lab/x")
    # as earlier versions said
    draft.statement |= {"trained_on": [name], "contamination": {"eng_adu": []}}
    verdict, receipt = received(draft.write(tmp_path / "submissions"), known, baseline=False)
    assert receipt is None
    where = "submission.json: contamination.eng_adu"
    assert verdict.problems == [f"{where}: expected ['{corpus}'], found []"]
    (entry,) = board.build(tmp_path / "submissions").entries
    assert entry.flags.contaminated == {"eng_adu": [corpus]}


def test_copies_that_are_only_claimed_mark_nobody_and_hide_no_thief(run, known, tmp_path):
    root = tmp_path / "submissions"
    for model in ("honest/model", "thief/model"):
        received(named(run, model).write(root), known, baseline=False)
    for number in range(MAX_SAME + 1):
        named(run, f"a{number}/m").write(root)
    same = {entry.model: entry.flags.same_predictions for entry in board.build(root).entries}
    assert same["honest/model"] == ["thief/model"]
    assert same["thief/model"] == ["honest/model"]
    assert same["a0/m"] == ["honest/model", "thief/model"]
