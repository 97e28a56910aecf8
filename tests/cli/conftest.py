"""The command line, run in this process."""

import shlex

import pytest

from tests.support.command_line import run_main


@pytest.fixture
def main(monkeypatch):
    """Run a command line, text or words: exit code, standard output, standard error."""

    def run(words, encoding="utf-8"):
        given = shlex.split(words) if isinstance(words, str) else words
        return run_main(monkeypatch, given, encoding)

    return run
