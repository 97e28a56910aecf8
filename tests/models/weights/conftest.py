"""A tiny classifier, and copies of it."""

import shutil
from pathlib import Path

import pytest

from tests.support import tiny_models
from tests.support.weight_files import NAMES


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> Path:
    """A tiny classifier in safetensors; not to be changed."""
    return tiny_models.build(
        "wav2vec2-layer", tmp_path_factory.mktemp("plain") / "model", id2label=NAMES
    )


@pytest.fixture
def copy(plain, tmp_path):
    return lambda name="copy": Path(shutil.copytree(plain, tmp_path / name))
