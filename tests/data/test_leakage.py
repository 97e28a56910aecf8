"""Training sets that differ in one leak: what changes, what must not, and that it is found where it
matters."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from bimotion.data.leakage import parts
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.evaluation.plan import plan
from bimotion.evaluation.task import TaskSpec
from bimotion.io.progress import Progress

LEAKS = ("none", "speaker", "text")


def corpus(n_speakers=10, n_texts=6, n_classes=3, *, has_text=True, seed=0):
    """Every speaker says every text in every class, some of them twice."""
    grid = pd.MultiIndex.from_product(
        [range(n_speakers), range(n_texts), range(n_classes), range(2)],
        names=["speaker", "sentence", "class", "take"],
    ).to_frame(index=False)
    kept = np.random.default_rng(seed).random(len(grid)) < 0.8
    clips = grid[kept | (grid["take"] == 0)].reset_index(drop=True)
    clips["id"] = clips.astype(str).agg("_".join, axis=1)
    clips["fold"] = clips["speaker"] % 5
    return clips if has_text else clips.assign(sentence=None)


@settings(derandomize=True, deadline=None, max_examples=15)
@given(n_speakers=st.integers(5, 12), n_texts=st.integers(2, 9), fold=st.integers(0, 4))
def test_arms_differ_in_their_leak_alone(n_speakers, n_texts, fold):
    clips = corpus(n_speakers, n_texts)
    none, speaker, text = (parts(clips, fold, leak, seed=0) for leak in LEAKS)
    classes = [np.bincount(clips.loc[arm["train"], "class"]) for arm in (none, speaker, text)]
    assert classes[0].tolist() == classes[1].tolist() == classes[2].tolist()
    for part in ("test", "validation"):
        assert none[part].tolist() == speaker[part].tolist() == text[part].tolist()
    tested, trained = clips.loc[none["test"]], clips.loc[none["train"]]
    assert set(tested["fold"]) == {fold}
    assert not set(tested["speaker"]) & set(trained["speaker"])
    assert not set(tested["sentence"]) & set(trained["sentence"])
    assert not set(clips.loc[none["validation"], "sentence"]) & set(tested["sentence"])
    added = [clips.loc[np.setdiff1d(arm["train"], none["train"])] for arm in (speaker, text)]
    gone = [np.setdiff1d(none["train"], arm["train"]).tolist() for arm in (speaker, text)]
    assert gone[0] == gone[1] != []
    assert set(added[0]["speaker"]) <= set(tested["speaker"])
    assert not set(added[0]["sentence"]) & set(tested["sentence"])
    assert set(added[1]["sentence"]) <= set(tested["sentence"])
    assert set(added[1]["speaker"]) <= set(trained["speaker"])


def test_without_texts_half_of_the_clips_of_each_speaker_is_tested():
    clips = corpus(has_text=False)
    none, speaker = (parts(clips, 2, leak, seed=0) for leak in LEAKS[:2])
    of_fold = clips[clips["fold"] == 2]
    by_speaker = clips.loc[none["test"]].groupby(["speaker", "class"]).size()
    assert (of_fold.groupby(["speaker", "class"]).size() - 2 * by_speaker).isin([0, -1]).all()
    added = np.setdiff1d(speaker["train"], none["train"])
    assert set(added) <= set(of_fold.index) - set(none["test"])
    assert len(speaker["train"]) == len(none["train"])


def test_of_one_speaker_the_tested_texts_are_known_by_their_other_clips():
    clips = corpus(n_speakers=1, n_texts=30)
    clips["fold"] = clips["sentence"] % 5
    none, speaker, text = (parts(clips, 2, leak, seed=0) for leak in LEAKS)
    assert all(none[part].tolist() == speaker[part].tolist() for part in none)
    assert none["test"].tolist() == text["test"].tolist()
    tested, trained = clips.loc[none["test"]], clips.loc[none["train"]]
    assert set(tested["fold"]) == {2}
    assert not set(tested["sentence"]) & set(trained["sentence"])
    known = clips.loc[np.setdiff1d(text["train"], none["train"])]
    assert sorted([*known.index, *tested.index]) == clips.index[clips["fold"] == 2].tolist()
    assert set(tested["sentence"]) == set(known["sentence"])
    assert (
        clips.loc[text["train"], "class"].value_counts().to_dict()
        == trained["class"].value_counts().to_dict()
    )


@pytest.mark.parametrize("cell", ["eng_eld", "eng_adu"])
def test_words_of_tess_leak_on_the_real_clips(shared_corpora, cell):
    """On the real clips that are here; their names tell their texts."""
    source = CorpusSource.of(shared_corpora, only=["tess"], allow_missing=True)
    task = TaskSpec.of(protocol="leakage", cells=[cell], schema="emotion")
    labelled, made = plan(task, source, Progress())
    words = labelled.table["sentence"].to_numpy()
    arms = {(job.name.partition("~")[2], job.fold): job for job in made.training_sets}
    assert set(arms) == {(leak, fold) for leak in ("none", "text") for fold in range(5)}
    for fold in range(5):
        none, text = arms["none", fold], arms["text", fold]
        assert none.test.tolist() == text.test.tolist() != []
        assert len(none.train) == len(text.train)
        assert not set(words[none.test]) & set(words[none.train])
    n_known = sum(
        len(set(words[arms["text", fold].test]) & set(words[arms["text", fold].train]))
        for fold in range(5)
    )
    assert n_known > 0


@pytest.mark.parametrize(("knows", "other"), [("speaker", "text"), ("text", "speaker")])
def test_a_premium_stands_where_the_leak_is(knows, other):
    """Features tell the class by the voice alone, or by the text alone, in another way each."""
    clips, rng = corpus(n_speakers=20, n_texts=12), np.random.default_rng(0)
    column = {"speaker": "speaker", "text": "sentence"}[knows]
    means = rng.normal(size=(20, 3, 40))
    features = means[clips[column], clips["class"]] + rng.normal(size=(len(clips), 40))
    right = {}
    for leak in LEAKS:
        of_folds = [parts(clips, fold, leak, seed=0) for fold in range(5)]
        scores = []
        for arm in of_folds:
            model = LogisticRegression(max_iter=300)
            model.fit(features[arm["train"]], clips["class"][arm["train"]])
            scores.append(model.score(features[arm["test"]], clips["class"][arm["test"]]))
        right[leak] = np.mean(scores)
    assert right[knows] > right["none"] + 0.1
    assert abs(right[other] - right["none"]) < 0.05


@pytest.mark.parametrize("rule", ["folds", "disjoint"])
def test_a_plan_has_the_arms_under_folds_alone(synth_root, rule):
    task = TaskSpec.of(protocol="leakage", split_rule=rule, schema="emotion")
    source = CorpusSource.of(synth_root, allow_missing=True)
    if rule == "disjoint":
        with pytest.raises(SettingError, match="none: protocol leakage needs split rule folds"):
            plan(task, source, Progress())
        return
    _, made = plan(task, source, Progress())
    by_name = {training.name: training for training in made.training_sets}
    arms = [by_name[f"zho_adu@esd~{leak}"] for leak in LEAKS]
    assert len({len(arm.train) for arm in arms}) == 1
    assert len({tuple(arm.test) for arm in arms}) == 1
    assert len({tuple(arm.train) for arm in arms}) == 3
    assert "eng_adu@iemocap~text" not in by_name
