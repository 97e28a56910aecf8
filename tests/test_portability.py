"""Differences between operating systems: encodings of text files, and calls that Windows does not
have."""

import ast
import os
from pathlib import Path

import pytest

import bimotion
from bimotion.errors import SettingError
from bimotion.results import predictions

PACKAGE = Path(bimotion.__file__).parent
SOURCES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in PACKAGE.rglob("*.py")
}
POSIX_MODULES = "fcntl resource pwd grp termios pty"
POSIX_CALLS = """
fork preadv pwritev pread pwrite posix_fadvise sched_getaffinity getuid mkfifo killpg setrlimit
alarm register_at_fork
"""
ALLOWED = {  # file -> POSIX names behind a check of the system
    "io/files.py": {"fcntl"},
    "io/sandbox.py": {"resource", "fork", "setrlimit", "alarm", "killpg"},
    "leaderboard/git.py": {"resource"},
}


def text_without_encoding(tree: ast.AST) -> list[int]:
    """Lines that open a file as text, or text of a process, in whatever encoding the machine
    has."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call.lineno
        for call in calls
        if _is_text(call) and "encoding" not in {keyword.arg for keyword in call.keywords}
    ]


def _is_text(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in ("read_text", "write_text"):  # encoding by position; a name of package data
        return len(call.args) <= (name == "write_text")
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    constants = [node.value for node in given if isinstance(node, ast.Constant)]
    if name == "open":
        modes = [value for value in constants if isinstance(value, str) and value]
        is_plain = isinstance(call.func, ast.Name) and len(call.args) == 1
        return is_plain or any(set(mode) <= set("rwaxt+") for mode in modes)
    return name == "run" and any(
        keyword.arg == "text" and getattr(keyword.value, "value", False)
        for keyword in call.keywords
    )


def test_the_check_of_encodings_finds_what_it_must():
    bad = "p.read_text()\np.write_text(t)\nopen(p)\np.open('w')\nsubprocess.run(c, text=True)"
    good = (
        "p.read_text(encoding='utf-8')\np.write_text(t, encoding='utf-8')\nopen(p, "
        "'rb')\np.open('wb')\ntrack.open(a, b)"
    )
    assert text_without_encoding(ast.parse(bad)) == [1, 2, 3, 4, 5]
    assert text_without_encoding(ast.parse(good)) == []


def test_text_files_are_utf8_whatever_the_machine_thinks():
    assert {
        name: lines for name, tree in SOURCES.items() if (lines := text_without_encoding(tree))
    } == {}


def test_what_windows_does_not_have_stands_behind_a_check():
    used: dict[str, set[str]] = {}
    for name, tree in SOURCES.items():
        nodes = list(ast.walk(tree))
        imports = [node for node in nodes if isinstance(node, ast.Import)]
        modules = {alias.name for node in imports for alias in node.names}
        calls = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        used[name] = modules & set(POSIX_MODULES.split()) | calls & set(POSIX_CALLS.split())
    assert {name: names for name, names in used.items() if names} == ALLOWED


def test_without_fork_verification_says_what_to_do_in_one_line(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(SettingError, match="run it on Linux or macOS, or in WSL"):
        predictions.inspect({tmp_path / "predictions.parquet": 1})
