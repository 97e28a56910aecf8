"""Corpora are known by the names that people write; contamination is told for every test cell."""

import pytest

from bimotion.corpora import CORPORA
from bimotion.leaderboard.contamination import ALIASES, COLLECTIONS, contamination, corpora_meant
from bimotion.protocol import settings as protocol

WRITTEN = {
    "": """MSP-Podcast; RAVDESS; LibriSpeech; tessellation; tesseract; Cremona; MESD; EmoV-DB; Urdu
        情感; Mexican Emotional Speech Database; ASVP-ESD; asvp_esd; wav2vec 2.0
        Common Voice Urdu""",
    "crema_d": """CREMA-D; cremad; crema_d; user/crema-d-v2; crema; CREMA–D; cremad2; CREMA-D v2
        ＣＲＥＭＡ－Ｄ""",
    "csed": "Chinese-Speech-Emotion-Datasets",
    "elderreact": "Elder-React",
    "emo_db": "EmoDB; Berlin Database of Emotional Speech; emodbDE",
    "esd": """Emotional Speech Dataset (English part); ESD; ASVP-ESD and ESD; ESDdata; ESDv1
        ЕЅD; Emotional Speech Datasets""",
    "iemocap": """IEMOCAP 4-class; IEM0CAP; 1EMOCAP; ＩＥＭＯＣＡＰ; ІЕМОСАР; ΙΕΜΟϹΑΡ; іемосар
        ɪᴇᴍᴏᴄᴀᴘ; 🅸🅴🅼🅾🅲🅰🅿; 𝐈𝐄𝐌𝐎𝐂𝐀𝐏; Ｉ.Ｅ.Ｍ.Ｏ.Ｃ.Ａ.Ｐ; IEMO☆CAP; IEMÒCÁP; I\u0332EMOCAP
        IEMOCAPdataset; myIEMOCAPv2""",
    "iemocap tess": "iemocap,tess",
    "shemo": "user/ShEMO-16k; Sharif Emotional Speech Database",
    "tess": "Toronto Emotional Speech Set; T3SS; tess2",
    "urdu": "ＵＲＤＵ; URDU; URDU-Dataset (400 clips)",
    "yuemotion": "YueMotion",
    "crema_d emo_db esd iemocap shemo tess urdu": "EmoBox",
}
"""Corpora -> names that mean them, apart by `;` and lines."""


@pytest.mark.parametrize(
    ("corpora", "name"),
    [
        (corpora, name.strip())
        for corpora, names in WRITTEN.items()
        for name in names.replace("\n", ";").split(";")
    ],
)
def test_corpora_are_known_by_the_names_that_people_write(corpora, name):
    assert corpora_meant(name) == tuple(corpora.split())


def test_every_corpus_answers_to_its_name_and_title():
    for name, corpus in CORPORA.items():
        assert corpora_meant(name) == (name,)
        assert corpora_meant(corpus.card.title) == (name,)
        # Urdu is a language too
        assert name == "urdu" or corpora_meant(f"{corpus.card.title} (train)") == (name,)
    assert set(ALIASES) == set(CORPORA)
    assert {name for corpora in COLLECTIONS.values() for name in corpora} < set(CORPORA)


def test_contamination_is_told_for_every_test_cell_and_only_of_corpora_tested_there():
    settings = protocol.settings("all")
    assert contamination(None, settings) is None
    clean = {cell: [] for cell in ("eng_adu", "eng_eld", "yue_adu", "zho_adu", "zho_eld")}
    assert contamination([], settings) == clean
    assert contamination(["cremad", "YueMotion", "MSP-Podcast"], settings) == clean | {
        "eng_eld": ["crema_d"],
        "eng_adu": ["crema_d"],
        "yue_adu": ["yuemotion"],
    }
    distance = contamination(["CREMA-D", "ESD"], protocol.settings("distance"))
    assert distance == {"eng_adu": ["esd"], "yue_adu": [], "zho_adu": ["esd"]}
