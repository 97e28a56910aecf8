"""Agreement of human raters: by hand, against scikit-learn on drawn raters, and on the true votes
of CREMA-D."""

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, recall_score

from bimotion.corpora import crema_d
from bimotion.corpora.tree import Tree
from bimotion.protocol.labels import SCHEMAS
from bimotion.results.human import against_others, human_agreement, metrics_of
from tests.support.true_trees import SHARED

VALENCE, EMOTION = SCHEMAS["valence"], SCHEMAS["emotion"]
CREMA_D = SHARED / "CREMA-D"


def agreement(votes, labels, schema, annotated):
    """Rows of clips of one cell by what they are against: `label`, `others`."""
    clips = pd.DataFrame({"cell": "eng_adu", "corpus": "iemocap", "votes": votes})
    reference = np.array([schema.reference(names, annotated) for names in labels])
    return {row.reference: row for row in human_agreement(clips, reference, schema)}


def test_three_clips_by_hand():
    """Happiness and excitement are one class of valence, surprise is none; a rater who is alone has
    no others."""
    votes = [
        (("happiness",), ("excitement",), ("sadness",)),  # + + -
        (
            ("neutral",),
            ("neutral", "angry"),
            ("surprise",),
            ("angry",),
        ),  # 0, half 0 half -, none, -
        (("sadness",),),
        None,
    ]
    labels = [["happiness"], ["neutral"], ["sadness"], ["sadness"]]
    annotated = ["happiness", "excitement", "sadness", "neutral", "angry", "surprise"]
    rows = agreement(votes, labels, VALENCE, annotated)
    # right: 2/3, 1.5/4, 1
    assert rows["label"].accuracy == pytest.approx((2 / 3 + 1.5 / 4 + 1) / 3)
    assert rows["label"].uar == pytest.approx((2 / 3 + 1.5 / 4 + 1) / 3)
    assert (rows["label"].n_utterances, rows["label"].n_votes) == (3, 8)
    # clip 1: + against {+, -}: 1/2, twice, - against +: 0. Clip 2: 0 against {-: 2, 0: 1}: 0;
    # half/half against {0, -}: 1/2; surprise against {0: 2, -: 2}: 0; - against {0: 2, -: 1}: 0
    assert rows["others"].accuracy == pytest.approx((1 / 3 + 0.5 / 4) / 2)
    assert (rows["others"].n_utterances, rows["others"].n_votes) == (2, 7)


def test_a_label_that_nobody_could_choose_is_not_held_against_raters():
    votes = [(("angry",), ("neutral",), ("neutral",)), (("angry",), ("neutral",), ("sadness",))]
    annotated = ["angry", "neutral", "sadness", "unknown"]
    rows = agreement(votes, [["neutral"], ["unknown"]], EMOTION, annotated)
    assert (rows["label"].n_utterances, rows["label"].accuracy) == (1, pytest.approx(2 / 3))
    assert rows["others"].n_utterances == 2


def test_no_row_without_votes():
    assert agreement([None], [["angry"]], EMOTION, ["angry", "neutral"]) == {}


def test_the_expected_metrics_are_those_of_raters_that_are_all_drawn():
    """Every combination of one rater a clip, pooled: scikit-learn's recall and F1 of that."""
    votes = [["a", "a", "b"], ["b", "c", "c"], ["c", "a", "c"]]
    truths = ["a", "b", "c"]
    drawn = list(itertools.product(*votes))
    targets, choices = truths * len(drawn), list(itertools.chain(*drawn))
    table = np.zeros((3, 4))
    for truth, choice in zip(targets, choices, strict=True):
        table["abc".index(truth), "abc".index(choice)] += 1
    values = metrics_of(table)
    assert values["uar"] == pytest.approx(recall_score(targets, choices, average="macro"))
    assert values["weighted_f1"] == pytest.approx(f1_score(targets, choices, average="weighted"))
    assert values["accuracy"] == pytest.approx(np.equal(targets, choices).mean())


def test_each_rater_is_held_against_the_majority_of_the_rest():
    """By leaving each of them out in turn."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        raters = rng.choice(3, rng.integers(2, 9))
        expected = np.zeros((3, 4))
        for left_out, choice in enumerate(raters):
            counts = np.bincount(np.delete(raters, left_out), minlength=3)
            most = counts == counts.max()
            expected[:, choice] += most / most.sum() / len(raters)
        votes = tuple(sorted(("abc"[number],) for number in raters))
        assert against_others(votes, ("a", "b", "c")) == pytest.approx(expected)


@pytest.mark.skipif(not CREMA_D.exists(), reason="needs CREMA-D's own table of votes")
def test_the_true_votes_of_crema_d():
    """Cao et al. 2014 print 40.9 % for the voice alone: of all responses to the emotion meant."""
    votes = crema_d.voice_votes(Tree(CREMA_D))
    meant = [crema_d.CARD.native_labels[clip.split("_")[2]] for clip in votes]
    rows = agreement(list(votes.values()), [[name] for name in meant], EMOTION, set(meant))
    right = [
        sum(name == emotion for (name,) in chosen)
        for chosen, emotion in zip(votes.values(), meant, strict=True)
    ]
    n_votes = list(map(len, votes.values()))
    assert rows["label"].n_votes == sum(n_votes) == 68568
    assert rows["label"].accuracy == pytest.approx(np.divide(right, n_votes).mean())
    assert sum(right) / sum(n_votes) == pytest.approx(0.409, abs=0.02)
    assert rows["label"].accuracy < rows["others"].accuracy
