"""Corpora are known by the names that people write; contamination is told for every test cell."""

import pytest

from bimotion.corpora import CORPORA
from bimotion.leaderboard.contamination import ALIASES, COLLECTIONS, contamination, corpora_meant
from bimotion.protocol import settings as protocol


@pytest.mark.parametrize(
    ("name", "corpora"),
    [
        ("CREMA-D", ("crema_d",)),
        ("cremad", ("crema_d",)),
        ("crema_d", ("crema_d",)),
        ("user/crema-d-v2", ("crema_d",)),
        ("Emotional Speech Dataset (English part)", ("esd",)),
        ("ESD", ("esd",)),
        ("ASVP-ESD", ()),
        ("asvp_esd", ()),
        ("ASVP-ESD and ESD", ("esd",)),
        ("IEMOCAP 4-class", ("iemocap",)),
        ("iemocap,tess", ("iemocap", "tess")),
        ("EmoBox", ("crema_d", "emo_db", "esd", "iemocap", "shemo", "tess", "urdu")),
        ("Toronto Emotional Speech Set", ("tess",)),
        ("Elder-React", ("elderreact",)),
        ("YueMotion", ("yuemotion",)),
        ("Chinese-Speech-Emotion-Datasets", ("csed",)),
        ("MSP-Podcast", ()),
        ("RAVDESS", ()),
        ("LibriSpeech", ()),
        ("tessellation", ()),
        ("crema", ("crema_d",)),
        ("", ()),
        ("情感", ()),
        ("CREMA–D", ("crema_d",)),
        ("EmoDB", ("emo_db",)),
        ("EmoV-DB", ()),
        ("Berlin Database of Emotional Speech", ("emo_db",)),
        ("user/ShEMO-16k", ("shemo",)),
        ("Sharif Emotional Speech Database", ("shemo",)),
        ("IEM0CAP", ("iemocap",)),
        ("1EMOCAP", ("iemocap",)),
        ("ＩＥＭＯＣＡＰ", ("iemocap",)),
        ("ІЕМОСАР", ("iemocap",)),
        ("ΙΕΜΟϹΑΡ", ("iemocap",)),
        ("іемосар", ("iemocap",)),
        ("ɪᴇᴍᴏᴄᴀᴘ", ("iemocap",)),
        ("🅸🅴🅼🅾🅲🅰🅿", ("iemocap",)),
        ("𝐈𝐄𝐌𝐎𝐂𝐀𝐏", ("iemocap",)),
        ("Ｉ.Ｅ.Ｍ.Ｏ.Ｃ.Ａ.Ｐ", ("iemocap",)),
        ("IEMO☆CAP", ("iemocap",)),
        ("IEMÒCÁP", ("iemocap",)),
        ("IEMOCAPdataset", ("iemocap",)),
        ("myIEMOCAPv2", ("iemocap",)),
        ("cremad2", ("crema_d",)),
        ("CREMA-D v2", ("crema_d",)),
        ("ＣＲＥＭＡ－Ｄ", ("crema_d",)),
        ("ESDdata", ("esd",)),
        ("ESDv1", ("esd",)),
        ("ЕЅD", ("esd",)),
        ("T3SS", ("tess",)),
        ("tess2", ("tess",)),
        ("tesseract", ()),
        ("Cremona", ()),
        ("MESD", ()),
        ("Mexican Emotional Speech Database", ()),
        ("emodbDE", ("emo_db",)),
        ("Emotional Speech Datasets", ("esd",)),
        ("ＵＲＤＵ", ("urdu",)),
        ("wav2vec 2.0", ()),
        ("URDU", ("urdu",)),
        ("URDU-Dataset (400 clips)", ("urdu",)),
        ("Urdu", ()),
        ("Common Voice Urdu", ()),
    ],
)
def test_corpora_are_known_by_the_names_that_people_write(name, corpora):
    assert corpora_meant(name) == corpora


def test_every_corpus_answers_to_its_name_and_title():
    for name, corpus in CORPORA.items():
        assert corpora_meant(name) == (name,)
        assert corpora_meant(corpus.card.title) == (name,)
        # Urdu is a language too
        assert name == "urdu" or corpora_meant(f"{corpus.card.title} (train)") == (name,)
    assert set(ALIASES) == set(CORPORA)
    assert {name for corpora in COLLECTIONS.values() for name in corpora} < set(CORPORA)


def test_contamination_is_told_for_every_test_cell():
    settings = protocol.settings("all")
    assert contamination(None, settings) is None
    cells = ["eng_adu", "eng_eld", "yue_adu", "zho_adu", "zho_eld"]
    assert contamination([], settings) == {cell: [] for cell in cells}
    found = contamination(["cremad", "YueMotion", "MSP-Podcast"], settings)
    assert found == {cell: [] for cell in cells} | {
        "eng_eld": ["crema_d"],
        "eng_adu": ["crema_d"],
        "yue_adu": ["yuemotion"],
    }


def test_contamination_counts_only_corpora_that_are_tested():
    settings = protocol.settings("distance")
    assert contamination(["CREMA-D", "ESD"], settings) == {
        "eng_adu": ["esd"],
        "yue_adu": [],
        "zho_adu": ["esd"],
    }
