"""Processes that read strangers' files end with who asked for them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from bimotion.errors import RecordError
from bimotion.io import sandbox
from bimotion.io.sandbox import Ended
from tests.support.bounded_process import LIMITS

ROOT = Path(__file__).parents[1]


def is_alive(process_id: int) -> bool:
    """A process that was ended, and that nobody has asked about, is a zombie."""
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def interrupt_when(path):
    """Interrupt the main thread as Ctrl-C does, as soon as a file is there."""
    while not path.exists():
        time.sleep(0.05)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@pytest.fixture
def interruptible():
    """SIGINT interrupts, also where the suite runs in the background of a shell, which has it
    ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_reader_too(tmp_path):
    started = tmp_path / "started"
    threading.Thread(target=interrupt_when, args=[started], daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        sandbox.call("tests.support.bounded_process:slow", [os.fspath(tmp_path)], LIMITS)
    reader = int(started.read_text(encoding="ascii"))
    while is_alive(reader):
        time.sleep(0.05)
    assert not (tmp_path / "ended").exists()


def test_an_interpreter_that_is_not_called_ends_too():
    before = {process.pid for process in psutil.Process().children()}
    with sandbox.ready("os.path:basename"):
        [interpreter] = {process.pid for process in psutil.Process().children()} - before
    assert not is_alive(interpreter)


def test_what_is_made_ready_is_called_as_ever():
    with sandbox.ready("os.path:basename") as called:
        assert called([], LIMITS) == []
        assert called(["a/b", "c"], LIMITS) == [Ended("b", None), Ended("c", None)]
    assert sandbox.call("os.path:basename", ["a/b"], LIMITS) == [Ended("b", None)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_reader_ends_with_whoever_is_killed(tmp_path, number):
    program = (
        "from bimotion.io import sandbox; from tests.support.bounded_process import LIMITS; "
        f"sandbox.call('tests.support.bounded_process:slow', [{os.fspath(tmp_path)!r}], LIMITS)"
    )
    # nobody ignores a signal of whom the shell that started us did
    command = [sys.executable, "-c", f"import signal; signal.signal({number}, 0); {program}"]
    command = command if number != signal.SIGKILL else [sys.executable, "-c", program]
    asker = subprocess.Popen(command, cwd=ROOT)
    started = tmp_path / "started"
    while not started.exists() and asker.poll() is None:
        time.sleep(0.05)
    asker.send_signal(number)
    assert asker.wait() == -number
    reader = int(started.read_text(encoding="ascii"))
    while is_alive(reader):
        time.sleep(0.05)
    assert not (tmp_path / "ended").exists()


WITHOUT_PROC = """
from pathlib import Path
real = Path.read_text
def read_text(path, *arguments, **options):
    if str(path).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return real(path, *arguments, **options)
Path.read_text = read_text
"""


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("print('hello')", None),
        (WITHOUT_PROC, None),
        ("import os; os._exit(0)", "it ended with status 0"),
        ("raise SystemExit('broken')", "SystemExit: broken"),
    ],
    ids=["prints", "without /proc", "ends at once", "breaks"],
)
def test_an_interpreter_that_starts_oddly(start, reason, tmp_path, monkeypatch):
    """By a sitecustomize of the user's own; and PYTHONPATH is as the user has it."""
    (tmp_path / "sitecustomize.py").write_text(start, encoding="ascii")
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    if reason is None:
        assert sandbox.call("os.path:basename", ["a/b"], LIMITS) == [Ended("b", None)]
    else:
        with pytest.raises(RecordError, match=f"does not start: {reason}"):
            sandbox.call("os.path:basename", ["a/b"], LIMITS)


def test_what_lies_beside_the_package_shadows_no_module(tmp_path):
    """An installed package lies among others, some of them old copies of Python's own."""
    (tmp_path / "bimotion").symlink_to(ROOT / "bimotion")
    (tmp_path / "stringprep.py").write_text("raise ImportError('an old copy')", encoding="ascii")
    (tmp_path / "beside.py").write_text(
        "import bimotion\ndef place(_): return bimotion.__file__", encoding="ascii"
    )
    program = (
        f"import sys; sys.path.insert(0, {os.fspath(tmp_path)!r}); from bimotion.io import sandbox;"
        "limits = sandbox.Limits(1 << 30, 60); "
        "print(*sandbox.call('stringprep:map_table_b2', ['A'], limits)); "
        "print(*sandbox.call('beside:place', [''], limits))"
    )
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    ours = os.fspath(tmp_path / "bimotion" / "__init__.py")
    assert done.stdout.splitlines() == [str(Ended("a", None)), str(Ended(ours, None))]
