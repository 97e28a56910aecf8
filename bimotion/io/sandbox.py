"""Readers of untrusted files in processes of their own, of bounded memory and time: what kills such
a process is one line here.

A file can say little and unpack to much (a Parquet footer lies about its pages), and no library for
Parquet checks that before it takes the memory. So the system does.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bimotion.errors import BimotionError, RecordError, SettingError

_FOLDER = Path(__file__).parents[2]
_SAID_BYTES = 4000
"""A pipe holds as much without a reader (POSIX: at least 4096)."""


@dataclass(frozen=True)
class Limits:
    """Of a process: memory beyond what its libraries hold, and CPU time. macOS can only limit
    time."""

    memory_bytes: int
    cpu_s: int

    def __str__(self):
        whole, rest = divmod(self.memory_bytes, 1 << 30)
        return (
            f"{whole} GiB of memory or {self.cpu_s} s"
            if not rest
            else f"{self.memory_bytes >> 20} MiB of memory or {self.cpu_s} s"
        )


@dataclass(frozen=True)
class Ended:
    """What a function gave, and why it did not end well (None: it did; one line)."""

    value: object
    problem: str | None


def is_available() -> bool:
    """Whether this system has what is needed: Linux and macOS have, Windows does not."""
    return hasattr(os, "fork")


def call(function: str, arguments: Sequence[object], limits: Limits) -> list[Ended]:
    """Call a function on each of some arguments, each in a process of its own, one after another.

    Args:
        function: `package.module:name`, which a new interpreter imports; takes one argument.
        arguments: As JSON can hold them; so is what the function returns, in 4000 bytes at most.
        limits: Of each of the processes.

    Raises:
        SettingError: A system without such processes (Windows).
        RecordError: The interpreter itself does not start.

    Example::

        [ended] = sandbox.call("bimotion.results.predictions:refusal", ["predictions.parquet"],
        Limits(1 << 30, 60))
    """
    if not arguments:
        return []
    if not is_available():
        raise SettingError(
            "strangers' predictions are read in processes of bounded memory, which Windows "
            "does not have: run it on Linux or macOS, or in WSL"
        )
    known = os.pathsep.join(filter(None, (os.fspath(_FOLDER), os.environ.get("PYTHONPATH"))))
    own = {"PYTHONPATH": known, "OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run(
        # -P: no module is taken from the folder we stand in
        [sys.executable, "-P", "-m", "bimotion.io.sandbox"],
        input=json.dumps([function, list(arguments), limits.memory_bytes, limits.cpu_s]),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env=os.environ | own,
    )
    if done.returncode:
        raise RecordError(
            f"a process to read files in does not start: {' '.join(done.stderr.split())[-200:]}"
        )
    return [Ended(*one) for one in json.loads(done.stdout)]


def main() -> None:
    """What to call comes as JSON by standard input; what came of it goes out as JSON."""
    name, arguments, memory_bytes, cpu_s = json.load(sys.stdin)
    module, _, function = name.partition(":")
    called, limits = getattr(importlib.import_module(module), function), Limits(memory_bytes, cpu_s)
    print(json.dumps([_in_a_process(called, argument, limits) for argument in arguments]))


def _in_a_process(called, argument: object, limits: Limits) -> tuple[object, str | None]:
    reader, writer = os.pipe()
    child = os.fork()  # this process has a single thread
    if child == 0:
        status = 1
        try:
            os.close(reader)
            _bound(limits)
            said = json.dumps(_ended(called, argument, limits)).encode()
            status = 0 if len(said) <= _SAID_BYTES and os.write(writer, said) else 1
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read(_SAID_BYTES)
    _, status = os.waitpid(child, 0)
    if status == 0 and said:
        return json.loads(said)
    return None, f"reading it takes more than {limits}, or breaks the reader (status {status})"


def _ended(called, argument: object, limits: Limits) -> tuple[object, str | None]:
    try:
        return called(argument), None
    except BimotionError as error:
        return None, str(error)[:600]
    except MemoryError:
        return None, f"reading it takes more than {limits}"
    except Exception as error:  # whatever a reader does with a malformed file
        return None, " ".join(f"cannot be read: {type(error).__name__}: {error}".split())[:400]


def _bound(limits: Limits) -> None:
    import resource

    if sys.platform == "linux":
        n_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _limit(resource, resource.RLIMIT_AS, n_pages * resource.getpagesize() + limits.memory_bytes)
    _limit(resource, resource.RLIMIT_CPU, limits.cpu_s)
    _limit(resource, resource.RLIMIT_CORE, 0)
    signal.alarm(4 * limits.cpu_s)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C++ says when it dies


def _limit(resource, kind: int, most: int) -> None:
    """Set a limit, unless a lower one is set already."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()
