"""Fixtures of the corpora's tests."""

import pytest

from bimotion.corpora import CORPORA
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from tests.support.raw_corpora import lay


@pytest.fixture(scope="session")
def plain_root(tmp_path_factory):
    """A root with the small tree of every corpus, as its authors lay it out; not to be changed."""
    root = tmp_path_factory.mktemp("plain")
    for corpus in CORPORA:
        lay(root, corpus)
    return root


@pytest.fixture(scope="session")
def plain(plain_root):
    """Manifest of each corpus's small tree."""
    return {name: manifest.build(CorpusSource.of(plain_root, only=[name])) for name in CORPORA}


@pytest.fixture
def csed(tmp_path):
    return lay(tmp_path / "root", "csed")
