"""Fixtures of the corpora's tests."""

import pytest

from tests.support.raw_corpora import lay_csed


@pytest.fixture
def csed(tmp_path, wav):
    return lay_csed(tmp_path / "root", wav)
