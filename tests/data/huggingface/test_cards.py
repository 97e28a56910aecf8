"""Cards of datasets: read by huggingface_hub, in words that the Hub knows, with the corpora's own
facts."""

import json
from importlib import resources

import pytest
from huggingface_hub import DatasetCard
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from bimotion.corpora import CORPORA
from bimotion.data.huggingface import cards, export, loader_cards, metadata
from bimotion.data.source import CorpusSource

HUB_LICENCES = {"odbl", "apache-2.0", "cc-by-sa-4.0", "cc-by-nc-nd-4.0", "other"}
"""Of the Hub's list (https://hf.co/docs/hub/repositories-licenses), those that we may name."""
DATASETS = tuple(loader_cards.TITLES)


def known_to_datasets(name):
    """A list of words that `datasets` ships for cards."""
    path = resources.files("datasets") / "utils" / "resources" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def listed(value):
    return [value] if isinstance(value, str) else list(value or ())


@pytest.fixture(scope="module")
def texts(synth_root, tmp_path_factory):
    """Name -> text of every kind of card: of a builder, of a copy."""
    folder = tmp_path_factory.mktemp("copy") / "zho"
    export.export(folder, ["zho"], CorpusSource.of(synth_root), metadata_only=True)
    copied = (folder / export.CARD_FILE).read_text(encoding="utf-8")
    return {name: cards.card(name) for name in DATASETS} | {"copy": copied}


@pytest.mark.parametrize("name", [*DATASETS, "copy"])
def test_huggingface_hub_reads_a_card_and_knows_its_words(name, texts):
    card = DatasetCard(texts[name])  # raises ValueError for YAML that it cannot take
    data = card.data.to_dict()
    assert REGEX_YAML_BLOCK.match(str(card))[2].strip() == card.data.to_yaml()
    assert set(data["language"]) <= set(known_to_datasets("languages"))
    assert set(data["size_categories"]) <= set(known_to_datasets("size_categories"))
    assert set(listed(data["multilinguality"])) <= set(known_to_datasets("multilingualities"))
    licences = set(listed(data["license"]))
    assert licences <= HUB_LICENCES
    assert ("license_name" in data) == ("other" in licences)
    assert data["task_categories"] == ["audio-classification"]
    assert data["pretty_name"]
    assert ("synthetic" in data["tags"]) == (name == "copy")


@pytest.mark.parametrize("dataset", DATASETS)
def test_facts_in_the_cards_of_builders_are_those_of_the_corpora(dataset):
    """Made anew by `python -m bimotion.data.huggingface.loader_cards`."""
    text = cards.card(dataset)
    assert loader_cards.renewed(text, dataset) == text
    for card in (CORPORA[name].card for name in CORPORA if CORPORA[name].card.title in text):
        assert f"| {card.title} | {card.n_utterances} |" in text
        assert f"[{card.licence}]({card.url})" in text
        assert f"{card.age_source}: {card.age_note}" in text
        assert f"- {card.title}: {card.faults}." in text


def test_known_faults_name_every_clip_that_is_odd_in_all_copies(texts):
    for corpus in CORPORA.values():
        for clip in corpus.card.known or ():
            stem = clip.partition("/")[2]
            assert stem in corpus.card.faults or clip == "*", clip
    assert f"- CSED: {CORPORA['csed'].card.faults}." in texts["copy"]
    assert "- TESS:" not in texts["copy"]


def test_languages_of_all_cells_have_a_code_of_the_hub():
    used = {cell.partition("_")[0] for corpus in CORPORA.values() for cell in corpus.card.cells}
    assert used == set(metadata.LANGUAGES)
    assert set(metadata.LANGUAGES.values()) <= set(known_to_datasets("languages"))
