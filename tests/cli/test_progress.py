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


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "report" in thread.name]


def test_off_a_terminal_long_work_is_a_line_now_and_then(capsys):
    progress, shown = Lines(every_s=0.02), ""
    for number in progress.track(range(4), 4, "decoding: tess"):
        with progress.task("resampling"):
            # until both came, however slow the machine is
            while number == 2 and not ("decoding" in shown and "resampling" in shown):
                time.sleep(0.01)
                shown += capsys.readouterr().err
    lines = set(shown.splitlines())
    assert any(re.fullmatch(r"decoding: tess: 2 of 4 clips, \S+/s, \d+ s left", x) for x in lines)
    assert "resampling: 0 s so far" in lines
    assert threads() == []


def test_no_time_is_left_of_work_whose_end_nobody_knew(capsys):
    progress, shown = Lines(every_s=0.02), ""
    for number in progress.track(range(3), 0, "downloading x", "MB"):
        while number == 2 and " 2 MB" not in shown:
            time.sleep(0.01)
            shown += capsys.readouterr().err
    assert re.search(r"^downloading x: 2 MB, \S+/s$", shown, re.MULTILINE)


def test_short_work_prints_nothing_and_no_thread_is_left_behind(capsys):
    assert list(Lines().track("abc", 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    progress = Lines(every_s=0.01)
    with pytest.raises(ZeroDivisionError), progress.task("dividing"):
        _ = 1 / 0
    items = progress.track([1, 2], 2, "left open")
    next(items)
    items.close()
    assert threads() == []


def test_durations():
    seconds = (0.2, 59.4, 60, 3599, 3600, 90_000)
    texts = ["0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "25 h 0 min"]
    assert list(map(duration, seconds)) == texts


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
