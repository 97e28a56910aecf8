"""Processes that read strangers' files end with who asked for them."""

import os
import signal
import threading
import time

import psutil
import pytest

from bimotion.io import sandbox
from bimotion.io.sandbox import Ended
from tests.support.bounded_process import LIMITS


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
