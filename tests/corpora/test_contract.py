"""What every corpus of the registry must give; a new corpus needs one more literal tree here."""

import importlib
import inspect
import re

import pytest

from bimotion.corpora import CORPORA, EXTENSION_CORPORA, PAPER_CORPORA
from bimotion.corpora.card import Card, Corpus
from bimotion.corpora.tree import Tree
from bimotion.corpora.utterance import AGE_SOURCES, FINDINGS, GENDERS, PARTS, UNUSABLE
from bimotion.data import rosters, splits
from bimotion.errors import BimotionError
from bimotion.protocol import cells, settings
from bimotion.protocol.labels import EMOTIONS

CELLS = {str(cell) for cell in cells.BIMOTION_CELLS + cells.YUEMOTION_CELLS + cells.EXTENSION_CELLS}
LITERAL = {  # path below the corpus's folder -> content
    "crema_d": {
        "AudioWAV/1001_DFA_ANG_XX.wav": "",
        "AudioWAV/1016_IEO_HAP_MD.wav": "",
        "VideoDemographics.csv": '"ActorID","Age","Sex","Race","Ethnicity"\n'
        '1001,51,"Male","",""\n1016,61,"Male","",""\n',
    },
    "csed": {
        "Training Data (wav)/Natural/Nat_Female-12.wav": "",
        "Training Data (wav)/Negative/Neg-Male-3.wav": "",
        "Training Data (wav)/Positive/Pos_female-100.wav": "",
        "Readme.md": "",
    },
    "elderreact": {
        "ElderReact-master/Annotations/train_labels.txt": "50_50_100.mp4 0 1 1 0 0 1 f 1.6\n",
        "ElderReact-master/Annotations/dev_labels.txt": "50_50_35.mp4 1 1 1 1 1 1 m 3.0\n",
        "ElderReact-master/Annotations/test_labels.txt": "50_50_17.mp4 0 0 0 0 0 0 f 5.6\n",
        "ElderReact_train/50_50_100.wav": "",
        "ElderReact_dev/50_50_35.wav": "",
    },
    "emo_db": {
        "wav/03a01Wa.wav": "",
        "wav/16b10Td.wav": "",
        "lablaut/03a01Wa.lablaut": "",
        "erkennung.txt": "Nr.\tSatz\terkannt\tnatuerlich\n",
    },
    "esd": {
        "0001/Angry/train/0001_000402.wav": "",
        "0011/Neutral/0011_000001.wav": "",
        "0020/Surprise/test/0020_001422.wav": "",
        "0001/0001.txt": "0001_000402\ttext\tAngry\n",
    },
    "iemocap": {
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M011.wav": "",
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav": "",
        "Session1/dialog/wav/Ses01F_impro01.wav": "",
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt": (
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
            "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
            "[10.0100 - 11.3925]\tSes01F_impro01_M011\tfru\t[2.5000, 2.5000, 2.5000]\n"
        ),
    },
    "shemo": {
        "female/F03S02.wav": "",
        "male/M21F01.wav": "",
        "README.md": "",
    },
    "tess": {
        "TESS Toronto emotional speech set data/OAF_Fear/OAF_back_fear.wav": "",
        "TESS Toronto emotional speech set data/OAF_neutral/OA_bite_neutral.wav": "",
        "TESS Toronto emotional speech set data/YAF_pleasant_surprised/YAF_bite_ps.wav": "",
    },
    "urdu": {
        "Angry/SM1_F10_A010.wav": "",
        "Sad/SF10_F2_S02.wav": "",
        "README.md": "",
    },
    "yuemotion": {
        "data/14_m60_01_4.wav": "",
        "train_metadata.csv": "split,speaker_id,file_name,gender,age,sentence_id,label_id,label\n",
        "validation_metadata.csv": "split,speaker_id,file_name,gender,age,"
        "sentence_id,label_id,label\n",
        "test_metadata.csv": (
            "split,speaker_id,file_name,gender,age,sentence_id,label_id,label\n"
            "test,14,data/14_m60_01_4.wav,m,60,1,4,neutral\ntest,4,data/04_f28_01_1.wav,f,28,1,1,anger\n"
        ),
    },
}
STRANGERS = {  # corpora that are none of ours
    "EmoV-DB": ("bea/Amused/amused_1-15_0001.wav",),
    "TORGO": ("F01/Session1/wav_arrayMic/0001.wav",),
    "CASIA": ("liuchanhg/angry/201.wav",),
    "EMOVO": ("f1/dis-f1-b1.wav",),
    "RAVDESS": ("Actor_01/03-01-01-01-01-01-01.wav",),
    "SAVEE": ("AudioData/DC/a01.wav",),
    "LibriSpeech": ("test-clean/1089/134686/1089-134686-0000.flac",),
}
each = pytest.mark.parametrize("name", CORPORA)


@pytest.fixture
def plant(tmp_path):
    """Writes a literal tree and scans it."""

    def write(name, content):
        for path, text in content.items():
            target = tmp_path / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return Tree(tmp_path / name)

    return write


def test_corpora_in_alphabetical_order_and_a_literal_tree_of_each():
    assert list(CORPORA) == sorted(LITERAL)
    assert set(splits.ROSTERED) | {"yuemotion"} == set(CORPORA)


def test_the_papers_corpora_are_seven_and_three_extend_them():
    assert PAPER_CORPORA == ("crema_d", "csed", "elderreact", "esd", "iemocap", "tess", "yuemotion")
    assert (
        EXTENSION_CORPORA
        == settings.EXTENSION_CORPORA
        == splits.UNPUBLISHED
        == ("emo_db", "shemo", "urdu")
    )
    assert set(PAPER_CORPORA) | set(EXTENSION_CORPORA) == set(CORPORA)


@each
def test_name_is_the_modules(name):
    corpus = CORPORA[name]
    assert isinstance(corpus, Corpus)
    assert corpus.name == corpus.card.name == name
    assert importlib.import_module(f"bimotion.corpora.{name}").CORPUS is corpus
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert corpus.version >= 1


@each
def test_docstring_shows_a_tree_and_the_format_of_labels(name):
    module = importlib.import_module(f"bimotion.corpora.{name}")
    text = inspect.getdoc(module)
    tree = [line for line in text.splitlines() if re.match(r" {4}\S.*\.(wav|txt|csv|mp4)\b", line)]
    assert tree, "no indented line with a file of the corpus"
    assert any("/" in line for line in tree)
    assert re.search(
        r"<(emotion|label|class)>|\blabels?\b|" + "|".join(CORPORA[name].card.native_labels), text
    )


@each
def test_card_is_filled(name):
    card = CORPORA[name].card
    assert isinstance(card, Card)
    for field in ("title", "licence", "url", "obtain", "citation", "age_note"):
        value = getattr(card, field)
        assert isinstance(value, str), field
        assert value == value.strip() != "", field
    assert card.url.startswith("https://")
    assert re.search(r"\b(19|20)\d\d\b", card.citation)
    assert re.search(r"doi 10\.\d{4,}/\S+|arXiv \d{4}\.\d{5}", card.citation)
    assert card.redistribution in ("audio", "labels", "nothing")
    assert card.n_utterances > 0
    assert all(isinstance(rate, int) and rate >= 8000 for rate in card.sample_rates_hz)
    assert isinstance(card.cells, tuple)
    assert card.cells
    assert len(set(card.cells)) == len(card.cells)


@each
def test_labels_and_cells_are_canonical(name):
    card = CORPORA[name].card
    assert set(card.cells) <= CELLS
    assert card.emotions == tuple(emotion for emotion in EMOTIONS if emotion in card.emotions), (
        "not in canonical order"
    )
    assert set(card.native_labels.values()) == set(card.emotions)


@each
def test_known_defects_are_of_its_own_clips_and_of_kinds_that_exist(name):
    card, published = CORPORA[name].card, rosters.load(name)
    for identifier, kind in (card.known or {}).items():
        assert identifier.startswith(f"{name}/") or identifier == "*"
        assert kind in FINDINGS
        assert kind not in UNUSABLE, "every true copy would be incomplete"
        assert published is None or identifier in published.index or identifier == "*"


@each
def test_splits_know_it(name):
    card = CORPORA[name].card
    if name != "yuemotion":
        cut = {cell for corpus, cell in splits.PAPER_SIZES if corpus == name}
        assert cut == (set() if name in splits.UNPUBLISHED else set(card.cells))
        assert (
            sum(sum(sizes) for (corpus, _), sizes in splits.PAPER_SIZES.items() if corpus == name)
            <= card.n_utterances
        )
        assert len(rosters.load(name)) == card.n_utterances
        assert set(rosters.load(name)["cell"]) == set(card.cells)
    dealt = {cell for corpus, cell in splits.DISJOINT_SHARES if corpus == name}
    assert dealt == (set() if card.not_disjoint else set(card.cells))


@each
def test_nothing_is_recognised_in_an_empty_tree(name, tmp_path):
    assert CORPORA[name].recognise(Tree(tmp_path)) == 0
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "folder" / "music.wav").write_bytes(b"")
    assert CORPORA[name].recognise(Tree(tmp_path)) == 0


@each
def test_its_own_tree_is_recognised_and_no_other(name, plant):
    for other, content in LITERAL.items():
        found = CORPORA[name].recognise(plant(other, content))
        assert (found > 0) == (other == name), (other, found)


@each
@pytest.mark.parametrize("stranger", STRANGERS)
def test_no_stranger_is_recognised(name, stranger, plant):
    assert CORPORA[name].recognise(plant(stranger, dict.fromkeys(STRANGERS[stranger], ""))) == 0


@each
def test_reading_of_its_own_tree_keeps_to_the_card(name, plant):
    card, tree = CORPORA[name].card, plant(name, LITERAL[name])
    reading = CORPORA[name].read(tree)
    assert reading.findings == []
    assert len(reading.utterances) >= 2
    published, paths = rosters.load(name), {file.path for file in tree.files}
    for utterance in reading.utterances:
        assert utterance.corpus == name
        assert re.fullmatch(rf"{name}/[\w-]+", utterance.id)
        assert published is None or utterance.id in published.index
        assert utterance.path is None or utterance.path in paths
        assert f"{utterance.language}_{cells.age_group(utterance.age_years)}" in card.cells
        assert utterance.age_source in AGE_SOURCES
        assert utterance.gender in GENDERS
        assert set(utterance.emotions) <= set(card.emotions)
        assert utterance.official_split in (None, *PARTS)
        assert (utterance.official_split is not None) == (name in splits.OFFICIAL)
        for own in (utterance.speaker, utterance.sentence):
            assert own is None or own.startswith(f"{name}/")
        assert (utterance.speaker is None) == (card.speaker_note is not None)
        assert utterance.speaker is not None or card.not_disjoint
        if name == "elderreact":
            flags = utterance.native_label.split()[: len(card.native_labels)]
            codes = [
                code for code, flag in zip(card.native_labels, flags, strict=True) if flag == "1"
            ]
        else:
            codes = [utterance.native_label]
        assert {card.native_labels[code] for code in codes} == set(utterance.emotions)
    again = CORPORA[name].read(tree)
    assert (again.utterances, again.findings) == (reading.utterances, reading.findings)


@each
def test_reading_of_another_corpus_gives_nothing_or_says_what_is_missing(name, plant):
    for other, content in LITERAL.items():
        tree = plant(other, content)
        if other == name:
            continue
        try:
            reading = CORPORA[name].read(tree)
        except BimotionError as error:
            message = str(error)
        else:
            assert reading.utterances == []
            continue
        assert str(tree.root) in message
        assert "expected" in message
