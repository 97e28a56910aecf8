"""Runs a module as `python -m` does, and writes which threads of Python and torch.distributed are
left at the very end:

    python ending.py FILE MODULE [ARGUMENTS]      (FILE: with `-RANK` behind it)

A thread that waits for the interpreter after its end aborts the process, now and then, after right
results.
"""

import atexit
import os
import runpy
import sys
import threading
from pathlib import Path

TASKS = Path("/proc/self/task")


def left() -> list[str]:
    """Names of threads: Python's but for the first, and (on Linux) those of torch.distributed."""
    names = [
        thread.name for thread in threading.enumerate() if thread is not threading.main_thread()
    ]
    tasks = (
        [(task / "comm").read_text().strip() for task in TASKS.iterdir()] if TASKS.exists() else []
    )
    tasks = [name for name in tasks if not name.startswith("pt_autograd")]  # torch's own, one a GPU
    return sorted(names + [name for name in tasks if name.startswith(("gloo", "pt_"))])


def report(file: str) -> None:
    """At the exit, after whatever is registered later."""
    target = Path(f"{file}-{os.environ.get('RANK', 0)}")
    atexit.register(lambda: target.write_text("\n".join(left())))


if __name__ == "__main__":
    _, file, module, *arguments = sys.argv
    report(file)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
