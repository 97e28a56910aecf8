"""A finished run of a baseline and the answer key of its corpora."""

import json

import pytest

from bimotion.evaluation import run as runner
from bimotion.leaderboard.answer_key import AnswerKey


@pytest.fixture(scope="session")
def known(whole_tree):
    """Reference of the true tree."""
    return AnswerKey.of_corpora(whole_tree)


@pytest.fixture(scope="session")
def evaluated(whole_tree, tmp_path_factory):
    """Folder of a finished in-group run of a baseline over the true tree."""
    output, made = tmp_path_factory.mktemp("results"), {}

    def run(**options):
        key = json.dumps(options)
        if key not in made:
            result = runner.evaluate(
                "bimotion/random",
                data_dir=whole_tree,
                output=output,
                protocol="in-group",
                **options,
            )
            made[key] = result.folder(output)
        return made[key]

    return run


@pytest.fixture(scope="session")
def run(evaluated):
    """A run over English elders: three corpora, speakers of one of them unknown."""
    return evaluated(cells=["eng_eld"])
