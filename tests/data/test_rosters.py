"""Shipped rosters by themselves, on any machine: sizes of the published tables, sessions and
speakers, facts of the names."""

import re

import pytest

from bimotion.corpora import CORPORA, esd
from bimotion.corpora.utterance import PARTS
from bimotion.data import rosters, splits

TABLE_1 = """
crema_d eng_eld 150 42 300
crema_d eng_adu 5000 750 1200
csed zho_eld 200 52 400
elderreact eng_eld 615 355 353
esd zho_adu 15000 1000 1500
esd eng_adu 15000 1000 1500
iemocap eng_adu 7500 1039 1500
tess eng_eld 699 200 500
tess eng_adu 700 201 500
"""
# corpus -> speakers and clips in train, validation, test; where a stem has the code of its label
OUTSIDE_THE_PAPER = {
    "emo_db": ((5, 2, 3), (270, 91, 174), r"^.{5}(.)"),
    "shemo": ((44, 13, 30), (1255, 644, 1101), r"^.{3}(.)"),
    "urdu": ((15, 4, 10), (256, 22, 122), r"_(.)[^_]*$"),
}
NAMES = {
    "crema_d": r"1\d{3}_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_(XX|LO|MD|HI)",
    "esd": r"00[0-2]\d_\d{6}",
}


@pytest.mark.parametrize("line", TABLE_1.split("\n")[1:-1])
def test_parts_have_the_published_sizes(line):
    corpus, cell, *sizes = line.split()
    rows = rosters.load(corpus)
    counts = rows[rows["cell"] == cell]["paper"].value_counts()
    assert [counts[part] for part in PARTS] == list(map(int, sizes))
    assert list(splits.PAPER_SIZES[corpus, cell]) == list(map(int, sizes))


@pytest.mark.parametrize("corpus", splits.ROSTERED)
def test_rosters_are_whole_and_made_again_the_same(corpus):
    rows = rosters.load(corpus)
    assert len(rows) == CORPORA[corpus].card.n_utterances
    assert rows.index.is_unique
    assert all(re.fullmatch(NAMES.get(corpus, ".*"), stem) for stem in rows["stem"])
    for rule in splits.RULES:
        assert set(rows[rule]) == set(PARTS)
        assert (splits.assigned(corpus, rows, rule, seed=0) == rows[rule]).all(), rule
    if not CORPORA[corpus].card.not_disjoint:
        assert (rows.groupby("speaker")["disjoint"].nunique() == 1).all()
        n_parts = rows.groupby("speaker")["paper"].nunique()
        assert (n_parts == (1 if corpus in splits.UNPUBLISHED else 3)).all()


def test_iemocap_speakers_are_those_of_the_utterance_and_conversations_stay_together():
    rows = rosters.load("iemocap")
    assert rows["speaker"].nunique() == 10
    genders = rows["gender"].str.upper()
    assert (genders == rows["stem"].str.extract(r"_([FM])\d{3}$")[0].to_numpy()).all()
    # what taking it from the dialog gets wrong
    assert (rows["stem"].str[5] != genders).sum() == 4951
    # Ses01 ... Ses05
    assert (rows.groupby(rows["stem"].str[:5])["disjoint"].nunique() == 1).all()


def test_esd_facts():
    rows = rosters.load("esd")
    men = "0004 0005 0006 0008 0010 0011 0012 0013 0014 0020"
    assert " ".join(sorted(esd.MALE)) == men
    assert {speaker[-4:] for speaker in rows.loc[rows["gender"] == "m", "speaker"]} == esd.MALE
    number = (rows["stem"].str[5:].astype(int) - 1) % 350 + 1
    official = number.map(lambda n: "validation" if n <= 20 else "test" if n <= 50 else "train")
    assert (rows["paper"] == official).all()


def test_crema_d_elders_are_the_six():
    rows = rosters.load("crema_d")
    elders = rows.loc[rows["cell"] == "eng_eld", "speaker"]
    actors = (1016, 1020, 1034, 1050, 1067, 1087)
    assert sorted(set(elders)) == [f"crema_d/{actor}" for actor in actors]
    assert len(elders) == 492
    assert set(rows["gender"]) == {""}  # of its demographics nothing is passed on


@pytest.mark.parametrize("corpus", splits.UNPUBLISHED)
def test_parts_of_corpora_outside_the_paper(corpus):
    """They are the same under both rules. Speakers are assigned blindly: that no part lacks a class
    is luck, and settings rely on it (URDU's angry men are four)."""
    speakers, clips, code = OUTSIDE_THE_PAPER[corpus]
    rows = rosters.load(corpus)
    assert (rows["paper"] == rows["disjoint"]).all()
    assert tuple(rows.groupby("paper")["speaker"].nunique()[list(PARTS)]) == speakers
    assert tuple(rows["paper"].value_counts()[list(PARTS)]) == clips
    codes = rows["stem"].str.extract(code)[0]
    emotions = codes.map(CORPORA[corpus].card.native_labels)
    for part, classes in emotions.groupby(rows["paper"]).agg(set).items():
        assert {"angry", "happiness", "neutral", "sadness"} <= classes, part
