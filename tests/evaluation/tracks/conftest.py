"""Small synthetic corpora, and tiny models of every family."""

import json
from itertools import groupby
from pathlib import Path

import pytest

from bimotion.data.synthetic import layouts
from tests.support import tiny_models


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """Synthetic corpora, all cells of all protocols, two clips of each corpus, cell and part."""
    root = tmp_path_factory.mktemp("small")

    def group(clip):
        return clip.corpus, clip.voice.language, clip.voice.age_years >= 60, clip.part

    clips = sorted(layouts.plan(), key=group)
    layouts.lay(root, [clip for _, found in groupby(clips, group) for clip in list(found)[:2]])
    return root


@pytest.fixture(scope="session")
def esd(tmp_path_factory) -> Path:
    """Synthetic ESD alone, large enough to learn from."""
    root = tmp_path_factory.mktemp("esd")
    layouts.write(root, scale=0.01, seed=0, corpora=["esd"])
    return root


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folder of a tiny model, by family; `heads`: with outputs of these names."""
    folder, made = tmp_path_factory.mktemp("models"), {}

    def of(family: str, names: dict[int, str] | None = None, **changes) -> str:
        key = json.dumps([family, names, changes])
        if key not in made:
            labelled = {"n_labels": len(names), "id2label": names} if names else {}
            made[key] = str(
                tiny_models.build(family, folder / f"{family}-{len(made)}", **labelled, **changes)
            )
        return made[key]

    return of
