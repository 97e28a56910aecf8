"""Small synthetic corpora, and tiny models of every family, made once."""

import json
from itertools import groupby
from pathlib import Path

import pytest

from bimotion.data.synthetic import layouts
from tests.support import tiny_models


def group_of(clip: layouts.Clip) -> tuple:
    """Corpus, cell and part of a clip."""
    return clip.corpus, clip.voice.language, clip.voice.age_years >= 60, clip.part


@pytest.fixture(scope="session")
def small(tmp_path_factory) -> Path:
    """Synthetic corpora, all cells of all protocols, two clips of each corpus, cell and part."""
    root = tmp_path_factory.mktemp("small")
    groups = groupby(sorted(layouts.plan(), key=group_of), group_of)
    layouts.lay(root, [clip for _, members in groups for clip in list(members)[:2]])
    return root


@pytest.fixture(scope="session")
def esd(tmp_path_factory) -> Path:
    """Synthetic ESD only, large enough to learn from."""
    root = tmp_path_factory.mktemp("esd")
    layouts.write(root, scale=0.01, seed=0, corpora=["esd"])
    return root


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Folder of a tiny model, by family; `names`: with outputs of these names."""
    folder, made = tmp_path_factory.mktemp("models"), {}

    def of(family: str, names: dict[int, str] | None = None, **changes) -> str:
        key = json.dumps([family, names, changes])
        if key not in made:
            labelled = {"n_labels": len(names), "id2label": names} if names else {}
            path = folder / f"{family}-{len(made)}"
            made[key] = str(tiny_models.build(family, path, **labelled, **changes))
        return made[key]

    return of
