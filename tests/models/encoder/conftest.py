"""Tiny models by their family, and copies of them."""

import shutil
from pathlib import Path

import pytest

from tests.support import tiny_models


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Family -> folder of its tiny model; not to be changed."""
    root, built = tmp_path_factory.mktemp("models"), {}

    def build(family):
        if family not in built:
            built[family] = tiny_models.build(family, root / family)
        return built[family]

    return build


@pytest.fixture
def copy(folder, tmp_path):
    """A copy of a family's folder, to be spoiled."""

    def make(family="wav2vec2-layer", name="copy"):
        return Path(shutil.copytree(folder(family), tmp_path / name))

    return make
