"""The contract of every corpus of the registry; a new one needs a small tree in
tests/support/raw_corpora.py."""

import importlib
import inspect
import re

import pytest

from bimotion.corpora import CORPORA, EXTENSION_CORPORA, PAPER_CORPORA, sources
from bimotion.corpora.card import Card, Corpus
from bimotion.corpora.tree import Tree
from bimotion.corpora.utterance import AGE_SOURCES, FINDINGS, GENDERS, PARTS, UNUSABLE
from bimotion.data import published, rosters, splits
from bimotion.errors import BimotionError
from bimotion.protocol import cells, settings
from tests.support.raw_corpora import TREES

CELLS = {str(cell) for cell in cells.BIMOTION_CELLS + cells.YUEMOTION_CELLS + cells.EXTENSION_CELLS}
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


@pytest.fixture(scope="module")
def trees(plain_root):
    """The scanned small tree of each corpus."""
    return {name: Tree(plain_root / name) for name in CORPORA}


def test_corpora_in_alphabetical_order_and_a_tree_of_each():
    assert list(CORPORA) == sorted(TREES)
    assert set(splits.ROSTERED) | {"yuemotion"} == set(CORPORA)


def test_the_papers_corpora_are_seven_and_three_extend_them():
    assert PAPER_CORPORA == ("crema_d", "csed", "elderreact", "esd", "iemocap", "tess", "yuemotion")
    assert EXTENSION_CORPORA == settings.EXTENSION_CORPORA == splits.UNPUBLISHED
    assert EXTENSION_CORPORA == ("emo_db", "shemo", "urdu")
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
def test_card_says_how_to_get_it(name):
    """Sources, or the steps of a person; each file of it that is fetched alone is in a list, and
    nothing comes over plain HTTP whose content no list pins."""
    card, listed = CORPORA[name].card, published.load(name)
    assert card.sources or card.form
    assert card.form is None or len(card.form.steps) >= 2
    for source in card.sources:
        addresses = getattr(source, "addresses", ())
        assert all(address.startswith("https://") or listed for address in addresses)
        assert listed or not isinstance(source, sources.Files | sources.Dataverse)


@each
def test_labels_and_cells_are_canonical(name):
    card = CORPORA[name].card
    assert set(card.cells) <= CELLS
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
        sizes = {
            cell: sum(sizes)
            for (corpus, cell), sizes in splits.PAPER_SIZES.items()
            if corpus == name
        }
        assert set(sizes) == (set() if name in splits.UNPUBLISHED else set(card.cells))
        assert sum(sizes.values()) <= card.n_utterances
        assert len(rosters.load(name)) == card.n_utterances
        assert set(rosters.load(name)["cell"]) == set(card.cells)
    disjoint = {cell for corpus, cell in splits.DISJOINT_SHARES if corpus == name}
    assert disjoint == (set() if card.not_disjoint else set(card.cells))


@each
def test_nothing_is_recognised_in_an_empty_tree(name, tmp_path):
    assert CORPORA[name].recognise(Tree(tmp_path)) == 0
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "folder" / "music.wav").write_bytes(b"")
    assert CORPORA[name].recognise(Tree(tmp_path)) == 0


@each
def test_its_own_tree_is_recognised_and_no_other(name, trees):
    recognised = [other for other in CORPORA if CORPORA[name].recognise(trees[other])]
    assert recognised == [name]


@each
def test_no_stranger_is_recognised(name, tmp_path):
    for path in sum(STRANGERS.values(), ()):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    assert CORPORA[name].recognise(Tree(tmp_path)) == 0


@each
def test_reading_of_its_own_tree_keeps_to_the_card(name, trees):
    reading = CORPORA[name].read(trees[name])
    assert reading.findings == []
    assert len(reading.utterances) >= 2
    paths = {file.path for file in trees[name].files}
    for utterance in reading.utterances:
        assert utterance.path in paths
        check_utterance(utterance, CORPORA[name].card)
    assert CORPORA[name].read(trees[name]) == reading


def check_utterance(utterance, card):
    """Assert that an utterance keeps to its corpus's card."""
    name, published = card.name, rosters.load(card.name)
    assert utterance.corpus == name
    assert re.fullmatch(rf"{name}/[\w-]+", utterance.id)
    assert published is None or utterance.id in published.index
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
    codes = [utterance.native_label]
    if name == "elderreact":
        flags = utterance.native_label.split()[: len(card.native_labels)]
        codes = [code for code, flag in zip(card.native_labels, flags, strict=True) if flag == "1"]
    assert {card.native_labels[code] for code in codes} == set(utterance.emotions)


@each
def test_reading_of_another_corpus_gives_nothing_or_says_what_is_missing(name, trees):
    for tree in (trees[other] for other in CORPORA if other != name):
        try:
            reading = CORPORA[name].read(tree)
        except BimotionError as error:
            message = str(error)
        else:
            assert reading.utterances == []
            continue
        assert str(tree.root) in message
        assert "expected" in message
