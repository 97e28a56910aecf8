"""Shipped rosters by themselves, on any machine: sizes of the published tables, sessions and
speakers, facts of the names."""

import re

import pytest

from bimotion.corpora import CORPORA, esd
from bimotion.corpora.utterance import PARTS
from bimotion.data import folds, rosters, splits

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
FOLDS = {"elderreact": {0, -1}}
CLIPS_OF_FOLDS = """
crema_d eng_adu 1387 1388 1394 1393 1388
crema_d eng_eld 164 82 82 82 82
csed zho_eld 135 130 124 138 125
elderreact eng_eld 353 0 0 0 0
emo_db deu_adu 99 113 125 106 92
esd eng_adu 300 300 300 300 300
esd zho_adu 300 300 300 300 300
iemocap eng_adu 2136 1819 1811 2103 2170
shemo fas_adu 559 516 605 710 610
tess eng_adu 281 280 280 280 280
tess eng_eld 279 280 280 280 280
urdu urd_adu 62 62 66 90 120
"""
UNITS_OF_FOLDS = {
    "crema_d": [19, 18, 18, 18, 18],
    "csed": [96, 96, 96, 96, 95],
    "emo_db": [2] * 5,
    "esd": [4] * 5,
    "iemocap": [1] * 5,
    "shemo": [18, 18, 17, 17, 17],
    "tess": [40] * 5,
    "urdu": [6, 6, 6, 6, 5],
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
        assert set(rows[rule]) == (
            set(PARTS) if rule != "folds" else FOLDS.get(corpus, {*range(5)})
        )
        if (corpus, rule) != ("crema_d", "folds"):  # which are even for genders, too
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


def parts_in(rows, corpus, fold):
    own = rows["paper"] if corpus in folds.OFFICIAL_IN_FOLDS else rows["paper"].map(lambda part: "")
    return folds.part_in(fold, rows["folds"].to_numpy(), own.to_numpy(str))


@pytest.mark.parametrize("line", CLIPS_OF_FOLDS.split("\n")[1:-1])
def test_test_clips_of_folds(line):
    corpus, cell, *sizes = line.split()
    rows = rosters.load(corpus)
    rows = rows[rows["cell"] == cell]
    counts = [(parts_in(rows, corpus, fold) == "test").sum() for fold in range(5)]
    assert counts == list(map(int, sizes))


@pytest.mark.parametrize("corpus", UNITS_OF_FOLDS)
def test_units_stand_in_one_fold_and_are_dealt_evenly(corpus):
    rows = rosters.load(corpus)
    units = folds.units(corpus, rows)
    of_units = rows["folds"].groupby(units)
    assert (of_units.nunique() == 1).all()
    assert of_units.first().value_counts().sort_index().tolist() == UNITS_OF_FOLDS[corpus]
    if corpus not in ("csed", "iemocap", "tess"):  # speakers: every gender as evenly
        genders = rows["gender"].groupby(units).first()
        table = of_units.first().groupby([genders, of_units.first()]).size().unstack()
        assert (table.max(axis=1) - table.min(axis=1)).max() <= 1


@pytest.mark.parametrize("corpus", splits.ROSTERED)
@pytest.mark.parametrize("fold", range(5))
def test_a_fold_keeps_apart_what_it_says_and_no_part_is_empty(corpus, fold):
    """Units, and in ESD sentences, are trained on or tested; every cell has clips to validate."""
    rows = rosters.load(corpus)
    rows = rows.assign(part=parts_in(rows, corpus, fold))
    parts = set(PARTS) - ({"test"} if corpus == "elderreact" and fold else set())
    for _, mine in rows.groupby("cell"):
        assert set(mine["part"]) - {""} == parts
    if corpus == "elderreact":
        return
    used = rows[rows["part"] != ""]
    assert (used.groupby(folds.units(corpus, used))["part"].nunique() == 1).all()
    if corpus == "esd":
        sentence = used["stem"].str[-6:].astype(int)
        assert (used.groupby(sentence)["part"].nunique() == 1).all()


def test_copies_in_csed_have_one_fold_though_nobody_listened_to_all():
    """Pairs with equal samples that its module names, and all clips of one length."""
    known, lengths = rosters.load("csed")["folds"], rosters.equal_lengths()
    for pair in (("Nat_female_30", "Neg_female_6"), ("Nat_female_37", "Neg_female_36")):
        assert known[f"csed/{pair[0]}"] == known[f"csed/{pair[1]}"]
    assert len(lengths) == 652 - 419
    assert set(lengths) <= set(known.index)


def test_elders_of_crema_d_are_tested_in_every_fold():
    rows = rosters.load("crema_d")
    elders = rows[rows["cell"] == "eng_eld"].drop_duplicates("speaker")
    assert sorted(elders["folds"]) == [0, 0, 1, 2, 3, 4]
