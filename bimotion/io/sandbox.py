"""Readers of untrusted files in processes of their own, of bounded memory and time: what kills such
a process is one line here.

A file can say little and unpack to much (a Parquet footer lies about its pages), and no library for
Parquet checks that before it takes the memory. So the system does.
"""

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bimotion.errors import BimotionError, RecordError, SettingError

_FOLDER = Path(__file__).parents[2]
_PROGRAM = """\
import sys
from importlib.util import module_from_spec, spec_from_file_location

folder = sys.argv.pop(1)
if folder not in sys.path:
    sys.path.append(folder)
spec = spec_from_file_location("bimotion", f"{folder}/bimotion/__init__.py")
sys.modules["bimotion"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["bimotion"])
from bimotion.io.sandbox import main

main()
"""
"""The very bimotion that asks, but with its folder last on the path: what lies beside an installed
one shadows no module of Python's own."""
_PR_SET_PDEATHSIG = 1  # of prctl(2)
_ANSWER_BYTES = 4000
"""A pipe holds as much without a reader (POSIX: at least 4096)."""


@dataclass(frozen=True)
class Limits:
    """The bounds of a process."""

    memory_bytes: int
    """Beyond what its libraries hold; macOS cannot limit it."""
    cpu_s: int

    def __str__(self):
        whole, rest = divmod(self.memory_bytes, 1 << 30)
        memory = f"{self.memory_bytes >> 20} MiB" if rest else f"{whole} GiB"
        return f"{memory} of memory or {self.cpu_s} s"


@dataclass(frozen=True)
class Ended:
    """The end of a call in a process."""

    value: Any
    """The value that the function returned."""
    problem: str | None
    """Why it did not end well, in one line."""


def is_available() -> bool:
    """Tell whether this system has what is needed: Linux and macOS have, Windows does not."""
    return hasattr(os, "fork")


def call(function: str, arguments: Sequence[Any], limits: Limits) -> list[Ended]:
    """Call a function on each of some arguments, each in a process of its own, one after another.

    Args:
        function: `package.module:name`, which a new interpreter imports; takes one argument.
        arguments: As JSON can hold them; so is what the function returns, in 4000 bytes at most.
        limits: Of each of the processes.

    Raises:
        SettingError: A system without such processes (Windows).
        RecordError: The interpreter itself does not start.

    Example::

        [ended] = sandbox.call("bimotion.results.predictions:check",
        [("predictions.parquet", 150_000)], Limits(1 << 30, 60))
    """
    if not arguments:
        return []
    with ready(function) as called:
        return called(arguments, limits)


@contextmanager
def ready(function: str) -> Iterator[Callable[[Sequence[Any], Limits], list[Ended]]]:
    """`call` of a function, to be called once at most, whose interpreter starts now: for who has
    something to do meanwhile. It ends with the context.

    Example::

        with sandbox.ready("bimotion.results.predictions:check") as called:
            arguments = checked(records)
            ends = called(arguments, Limits(1 << 30, 60))
    """
    if not is_available():
        yield _refused
        return
    with _interpreter(function) as process:
        try:
            yield partial(_called, process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # what it has started, too


def _refused(arguments: Sequence[Any], limits: Limits) -> list[Ended]:
    if not arguments:
        return []
    raise SettingError(
        "strangers' predictions are read in processes of bounded memory, which Windows does not "
        "have: run it on Linux or macOS, or in WSL"
    )


def _called(
    process: subprocess.Popen[str], arguments: Sequence[Any], limits: Limits
) -> list[Ended]:
    if not arguments:
        return []
    answers, errors = process.communicate(json.dumps([list(arguments), asdict(limits)]))
    # ours is the last line: whatever is imported may print
    *_, answer = answers.splitlines() or [""]
    try:
        ended = [Ended(*values) for values in json.loads(answer)]
    except (ValueError, TypeError):
        ended = []
    if process.returncode or len(ended) != len(arguments):
        *_, reason = errors.splitlines() or [f"it ended with status {process.returncode}"]
        raise RecordError(f"a process to read files in does not start: {reason.strip():.200}")
    return ended


def _interpreter(function: str) -> subprocess.Popen[str]:
    own = {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    return subprocess.Popen(
        # -P: no module is taken from the folder we stand in
        [sys.executable, "-P", "-c", _PROGRAM, os.fspath(_FOLDER), function],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | own,
        start_new_session=True,
    )


def main() -> None:
    """Import the function that the command line names, read from standard input, as JSON, what to
    call it on, and print what came of it."""
    _end_with_parent()
    module, _, function = sys.argv[1].partition(":")
    called = getattr(importlib.import_module(module), function)
    arguments, bounds = json.load(sys.stdin)
    limits = Limits(**bounds)
    print(json.dumps([_in_a_process(called, argument, limits) for argument in arguments]))


def _in_a_process(called: Callable, argument: Any, limits: Limits) -> tuple[Any, str | None]:
    reader, writer = os.pipe()
    child = os.fork()  # this process has a single thread
    if child == 0:
        status = 1
        try:
            os.close(reader)
            _end_with_parent()
            _bound(limits)
            answer = json.dumps(_ended(called, argument, limits)).encode()
            status = 0 if len(answer) <= _ANSWER_BYTES and os.write(writer, answer) else 1
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read(_ANSWER_BYTES)
    _, status = os.waitpid(child, 0)
    if status == 0 and answer:
        return json.loads(answer)
    return None, f"reading it takes more than {limits}, or breaks the reader (status {status})"


def _ended(called: Callable, argument: Any, limits: Limits) -> tuple[Any, str | None]:
    try:
        return called(argument), None
    except BimotionError as error:
        return None, str(error)[:600]
    except MemoryError:
        return None, f"reading it takes more than {limits}"
    except Exception as error:  # whatever a reader does with a malformed file
        return None, " ".join(f"cannot be read: {type(error).__name__}: {error}".split())[:400]


def _end_with_parent() -> None:
    """Have the system end this process with the one that started it, however that ends: Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _bound(limits: Limits) -> None:
    """Limit this process; limits that are lower already stay."""
    import resource

    bounds = {resource.RLIMIT_CPU: limits.cpu_s, resource.RLIMIT_CORE: 0}
    if sys.platform == "linux":
        bounds[resource.RLIMIT_AS] = _held_bytes() + limits.memory_bytes
    for kind, most in bounds.items():
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    signal.alarm(4 * limits.cpu_s)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # the answers of all processes go there
    os.dup2(nowhere, 2)  # what C++ says when it dies


def _held_bytes() -> int:
    """Memory that the libraries of this process hold."""
    import resource

    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    except OSError:  # a chroot without /proc: more than any library here maps
        return 4 << 30
    return int(pages) * resource.getpagesize()
