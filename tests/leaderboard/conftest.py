"""Finished runs of baselines, the answer key of their corpora, and a board of few submissions."""

import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest

from bimotion.data.source import CorpusSource
from bimotion.evaluation import run as runner
from bimotion.leaderboard import board
from bimotion.leaderboard.answer_key import AnswerKey
from tests.support import board_pages, submissions
from tests.support.shared import once
from tests.support.small_runs import PAPER


@pytest.fixture(scope="session")
def known(whole_tree):
    """The answer key of the true tree."""

    def make(path):
        path.write_bytes(pickle.dumps(AnswerKey.of_corpora(CorpusSource.of(whole_tree))))

    return pickle.loads(once("answer-key", make).read_bytes())


@pytest.fixture(scope="session")
def evaluated(whole_tree):
    """Folder of a finished in-group run of a baseline over the true tree."""
    asked = {"data_dir": whole_tree, "protocol": "in-group"} | PAPER

    def run(**options):
        name = hashlib.sha256(json.dumps(options).encode()).hexdigest()[:12]
        output = once(
            f"run-{name}",
            lambda output: runner.evaluate("bimotion/random", output=output, **asked | options),
        )
        return next(output.glob("*/*/result.json")).parent

    return run


@pytest.fixture(scope="session")
def run(evaluated):
    """A run over English elders: three corpora, speakers of one of them unknown."""
    return evaluated(cells=["eng_eld"])


@pytest.fixture(scope="session")
def folder(whole_tree):
    return submissions.few(whole_tree)


@pytest.fixture(scope="session")
def built(folder):
    return board.build(folder)


@pytest.fixture(scope="session")
def _opened(built, tmp_path_factory):
    with board_pages.opened(built, tmp_path_factory.mktemp("site")) as page:
        yield page


@pytest.fixture
def page(_opened):
    """A browser on the page of the board, as it opens."""
    _opened.fresh()
    return _opened


@pytest.fixture
def root(tmp_path):
    """A folder for submissions; receipts lie beside it."""
    (tmp_path / "submissions").mkdir()
    return tmp_path / "submissions"


@pytest.fixture
def alone(folder, root):
    """A folder with a copy of one verified submission, whose numbers are in the cache already, and
    its receipt."""

    def copy(model="org__tiny"):
        (run,) = (folder / model).iterdir()
        copied = Path(shutil.copytree(run, root / model / run.name))
        shutil.copytree(submissions.receipt_of(run).parent, submissions.receipt_of(copied).parent)
        return copied

    return copy
