"""A healthy CSED, and copies of it to damage."""

import shutil
import sys
from pathlib import Path

import pytest

from bimotion import cli
from bimotion.data import rosters
from tests.support.healthy_corpus import FOLDER, VICTIM_IS_ODD, noise


@pytest.fixture(scope="session")
def whole_csed(tmp_path_factory):
    """Root with a complete, healthy CSED: all 652 names, no two clips alike."""
    root = tmp_path_factory.mktemp("whole")
    for seed, stem in enumerate(rosters.load("csed")["stem"]):
        noise(
            root / "CSED" / FOLDER / f"{stem}.wav",
            seed,
            n_samples=3000 + 50 * (seed % 2 != VICTIM_IS_ODD),
        )
    return root


@pytest.fixture
def csed_root(whole_csed, tmp_path):
    """A copy of the healthy CSED, to be damaged."""
    return Path(shutil.copytree(whole_csed, tmp_path / "root"))


@pytest.fixture
def bimotion(monkeypatch, capsys):
    """The command line in this process: arguments -> exit code, standard output, standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["bimotion", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as exit:
            code = exit.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call
