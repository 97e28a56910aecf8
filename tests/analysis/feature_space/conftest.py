"""A few synthetic clips, and a view of them."""

from pathlib import Path

import pytest

from bimotion.analysis.feature_space import record
from bimotion.data.synthetic import layouts
from tests.support.projections import few, projected
from tests.support.shared import once


@pytest.fixture(scope="session")
def small() -> Path:
    """Synthetic corpora, sixteen clips of each corpus, cell and part."""
    return once("few", lambda root: layouts.lay(root, few(16)))


@pytest.fixture(scope="session")
def made(small):
    """A view and its folder."""
    output = once("view", lambda output: projected(small, output))
    (coordinates,) = output.rglob(record.COORDINATES_FILE)
    return record.read(coordinates.parent), coordinates.parent
