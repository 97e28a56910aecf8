"""Progress: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import termios
import threading
import time

import pytest

from bimotion.io.progress import Lines, duration


def test_off_a_terminal_long_work_is_a_line_now_and_then(capsys):
    progress, lines = Lines(every_s=0.02), []
    for number in progress.track(range(4), 4, "decoding: tess"):
        with progress.task("resampling"):
            while number == 2 and not lines:  # until a line came, however slow the machine is
                time.sleep(0.01)
                lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"decoding: tess: 2 of 4 clips, \S+/s, \d+ s left; resampling: 0 s so far", lines[-1]
    )
    assert progress._thread is None
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_short_work_prints_nothing_off_a_terminal(capsys):
    progress = Lines()
    assert list(progress.track("abc", 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_work_that_fails_leaves_no_thread_behind():
    progress = Lines(every_s=0.01)
    with pytest.raises(ZeroDivisionError), progress.task("dividing"):
        _ = 1 / 0
    items = progress.track([1, 2], 2, "left open")
    next(items)
    items.close()
    assert progress._thread is None


def test_work_that_begins_while_other_work_ends_is_shown_and_ends_too(monkeypatch):
    progress, told, go_on = Lines(every_s=0.001), threading.Event(), threading.Event()

    def say(message):
        told.set()
        go_on.wait()

    monkeypatch.setattr(progress, "say", say)
    inside, leave = threading.Event(), threading.Event()

    def work():
        with progress.task("first"):
            inside.set()
            leave.wait()

    ending = threading.Thread(target=work)
    ending.start()
    told.wait()  # the reporting thread is at a line that takes long
    leave.set()
    while progress._works:  # until the first task waits for its reporter
        time.sleep(0.001)
    with progress.task("second"):
        go_on.set()
        ending.join()
        told.clear()
        assert told.wait(600), "nothing is said of the second task"
    assert progress._thread is None


def test_durations():
    assert [duration(s) for s in (0.2, 59.4, 60, 3599, 3600, 90_000)] == [
        "0 s",
        "59 s",
        "1 min 0 s",
        "59 min 59 s",
        "1 h 0 min",
        "25 h 0 min",
    ]


def test_on_a_terminal_there_is_a_bar():
    code = (
        "from bimotion.io.progress import default_progress; [0 for _ in "
        "default_progress().track('abc', 3, 'letters')]"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs):
        os.close(theirs)
        shown = ""
        with contextlib.suppress(OSError):  # how Linux says that the other side is closed
            while some := os.read(ours, 10_000):
                shown += some.decode()
    os.close(ours)
    assert "letters" in shown
    assert "0/3" in shown


def test_a_notebook_shows_a_bar(tmp_path, monkeypatch):
    """In a real kernel, whose standard error is no terminal."""
    client = pytest.importorskip("jupyter_client")
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "this Python",
        "language": "python",
    }
    folder = tmp_path / "kernels" / "this"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    code = (
        "from bimotion.io.progress import default_progress; "
        "print([letter for letter in default_progress().track('abc', 3, 'letters')])"
    )
    shown: list[str] = []

    def show(message):
        shown.append(str(message["content"].get("text") or message["content"].get("data") or ""))

    manager, kernel = client.manager.start_new_kernel(kernel_name="this")
    try:
        reply = kernel.execute_interactive(code, output_hook=show, timeout=600)
    finally:
        kernel.stop_channels()
        manager.shutdown_kernel(now=True)
    text = "".join(shown)
    assert reply["content"]["status"] == "ok", text
    assert "['a', 'b', 'c']" in text
    assert re.search(r"letters: +\d+%.*/3", text), text
