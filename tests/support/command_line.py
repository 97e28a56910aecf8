"""The command line, run in this process or in one of its own."""

import io
import logging
import subprocess
import sys

import pytest
import typer

from bimotion import cli


def commands() -> dict[str, object]:
    """Words of every command -> the command."""
    by_words, todo = {}, [((), typer.main.get_command(cli.app))]
    while todo:
        words, command = todo.pop()
        if hasattr(command, "commands"):
            todo += [((*words, name), child) for name, child in command.commands.items()]
        else:
            by_words[" ".join(words)] = command
    return dict(sorted(by_words.items()))


COMMANDS = commands()


def run_main(monkeypatch, words, encoding="utf-8") -> tuple[int, str, str]:
    """Exit code, standard output and error of the command line, run here, with streams of an
    encoding."""
    streams = [
        io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2)
    ]
    handlers = [*logging.root.handlers, logging.lastResort]
    with monkeypatch.context() as patch:
        for handler in handlers:  # which a process of its own would take with it
            patch.setattr(handler, "filters", list(handler.filters))
        patch.setattr(logging.root, "handlers", list(logging.root.handlers))
        patch.setattr(logging.getLogger("bimotion"), "level", logging.getLogger("bimotion").level)
        patch.setattr(sys, "argv", ["bimotion", *map(str, words)])
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
    return code, *(stream.buffer.getvalue().decode(encoding) for stream in streams)


def run_here(*words, cwd=None) -> subprocess.CompletedProcess:
    """The same, as of a process that ended: of what needs no process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        if cwd is not None:
            patch.chdir(cwd)
        return subprocess.CompletedProcess(words, *run_main(patch, words))


def bimotion_process(*words, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "bimotion", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def run_python(code: str, *arguments, **options) -> subprocess.CompletedProcess:
    """Some code in a process of its own; raises where it fails."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, **options)
