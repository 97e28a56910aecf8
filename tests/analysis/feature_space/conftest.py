"""Few clips of each set, and their projection."""

from pathlib import Path

import pytest

from bimotion.data.synthetic import layouts
from tests.support.projections import few, projected


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """Synthetic corpora, sixteen clips of each corpus, cell and part."""
    root = tmp_path_factory.mktemp("small")
    layouts.lay(root, few(16))
    return root


@pytest.fixture(scope="session")
def made(small, tmp_path_factory):
    """A view and its folder."""
    output = tmp_path_factory.mktemp("made")
    view = projected(small, output)
    return view, view.folder(output)
