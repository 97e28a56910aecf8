"""Tiny models to fine-tune, and one that has learned."""

from pathlib import Path

import pytest

from tests.support import tiny_models


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folder of a tiny encoder without a head, by family."""
    made: dict[str, Path] = {}

    def of(family: str) -> Path:
        if family not in made:
            wider = "init_std" if family == "whisper" else "initializer_range"
            made[family] = tiny_models.build(
                family, tmp_path_factory.mktemp(family), **{wider: 0.1}
            )
        return made[family]

    return of
