"""What differs from one operating system to another: encodings of text files, and calls that
Windows does not have."""

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
POSIX_MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "pty"}
POSIX_CALLS = {
    "fork",
    "preadv",
    "pwritev",
    "pread",
    "pwrite",
    "posix_fadvise",
    "sched_getaffinity",
    "getuid",
    "mkfifo",
    "killpg",
    "setrlimit",
    "alarm",
    "register_at_fork",
}
ALLOWED = {  # file -> POSIX names behind a check of the system
    "io/files.py": {"fcntl"},
    "io/sandbox.py": {"resource", "fork", "setrlimit", "alarm"},
}


def text_without_encoding(tree: ast.AST) -> list[int]:
    """Lines that open a file as text, or text of a process, in whatever encoding the machine
    has."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        if name in ("read_text", "write_text"):
            has_encoding = "encoding" in given or len(node.args) > (name == "write_text")
            is_package_data = name == "read_text" and len(node.args) > 0
            found += [] if has_encoding or is_package_data else [node.lineno]
        elif name == "open" and "encoding" not in given:
            modes = [
                arg.value for arg in (*node.args, *given.values()) if isinstance(arg, ast.Constant)
            ]
            texts = [
                mode
                for mode in modes
                if isinstance(mode, str) and set(mode) <= set("rwaxt+") and mode
            ]
            is_builtin = isinstance(node.func, ast.Name)
            found += [node.lineno] if texts or (is_builtin and len(node.args) == 1) else []
        elif (
            name == "run" and getattr(given.get("text"), "value", False) and "encoding" not in given
        ):
            found.append(node.lineno)
    return found


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
    found: dict[str, set[str]] = {}
    for name, tree in SOURCES.items():
        for node in ast.walk(tree):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            used = names & POSIX_MODULES | (
                {node.attr} & POSIX_CALLS if isinstance(node, ast.Attribute) else set()
            )
            if used:
                found.setdefault(name, set()).update(used)
    assert found == ALLOWED


def test_without_fork_verification_says_what_to_do_in_one_line(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(SettingError, match="run it on Linux or macOS, or in WSL"):
        predictions.inspect([tmp_path / "predictions.parquet"])
