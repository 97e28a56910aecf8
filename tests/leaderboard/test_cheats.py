"""Ten cheats that once stood on a board as verified, and where each ends now: refused, not ranked,
or marked. On the true names and labels of every corpus."""

import numpy as np
import pytest

from bimotion.leaderboard import board
from tests.leaderboard.test_names_and_copies import named
from tests.support.drafts import received

HONEST = "lab/honest"


@pytest.fixture
def enter(run, known, tmp_path):
    """Send a draft; the reasons why it was refused, empty where it was not."""

    def send(draft):
        folder = draft.write(tmp_path / "submissions")
        verdict, receipt = received(folder, known, baseline=False)
        assert (receipt is None) == bool(verdict.problems)
        return verdict.problems

    assert send(named(run, HONEST)) == []
    return send


@pytest.fixture
def entries(tmp_path):
    """The entries of the board, by model."""
    return lambda: {entry.model: entry for entry in board.build(tmp_path / "submissions").entries}


@pytest.fixture
def excluded(tmp_path):
    """Submission -> why it is no entry."""
    return lambda: {
        outcome.id.partition("/")[0]: outcome.reason
        for outcome in board.build(tmp_path / "submissions").excluded
    }


def test_predictions_made_from_the_labels_are_not_ranked(run, enter, entries):
    draft = named(run, "lab/cheat")
    made = 0.02 + 0.9 * (np.stack(draft.table["reference"]) == 1)
    made /= made.sum(axis=1, keepdims=True)
    draft.table["probabilities"] = list(made.astype(np.float32))
    draft.rescored()
    assert enter(draft) == []  # the scores do follow
    cheat = entries()["lab/cheat"]
    assert cheat.flags.status_reason == "nobody has run it again"
    assert (cheat.flags.status, cheat.ranking) == ("recomputed", None)
    assert entries()[HONEST].oddities == []


@pytest.mark.parametrize("name", ["verified.json", "receipt.json", "derived.npz", "entry.npz"])
def test_what_only_a_keeper_writes_is_refused_in_a_submission(name, run, enter, excluded):
    draft = named(run, "lab/cheat")
    draft.then.append(lambda folder: (folder / name).write_bytes(b"{}"))
    [problem] = enter(draft)
    assert "receipts are the keeper's and lie outside of submissions" in problem
    assert problem.startswith(name)
    assert excluded()["lab__cheat"].startswith(name)


def test_a_strangers_baseline_is_refused(run, enter, excluded):
    [problem] = enter(named(run, "bimotion/prosody"))
    assert "bimotion/* is reserved for baselines that the keeper made" in problem
    assert "bimotion/* is reserved" in excluded()["bimotion__prosody"]


def test_a_strangers_entry_under_a_known_name_is_marked_unproved(run, enter, entries):
    assert enter(named(run, "facebook/wav2vec2-base")) == []
    flags = entries()["facebook/wav2vec2-base"].flags
    assert (flags.status, flags.organisation_proof) == ("recomputed", None)


@pytest.mark.parametrize(
    "spelling", ["IEM0CAP", "ІЕМОСАР", "ＩＥＭＯＣＡＰ", "IEMOCAPdataset", "cremad2"]
)
def test_no_spelling_hides_what_a_model_was_trained_on(spelling, evaluated, enter, entries):
    draft = named(evaluated(cells=["eng_adu"]), "lab/cheat")
    corpus = "crema_d" if spelling.startswith("crema") else "iemocap"
    draft.statement |= {"trained_on": [spelling], "contamination": {"eng_adu": [corpus]}}
    assert enter(draft) == []
    assert entries()["lab/cheat"].flags.contaminated == {"eng_adu": [corpus]}


def test_a_copy_under_a_new_name_is_marked_on_both(run, enter, entries):
    assert enter(named(run, "lab/thief")) == []
    same = {model: entry.flags.same_predictions for model, entry in entries().items()}
    assert same == {HONEST: ["lab/thief"], "lab/thief": [HONEST]}
    assert {entry.ranking for entry in entries().values()} == {None}
