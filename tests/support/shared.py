"""Files that one process of the tests makes and all of them read."""

import os
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def once(name: str, make: Callable[[Path], object]) -> Path:
    """The path to which `make` has written: by the first process that needs it, read by all."""
    path = Path(os.environ["BIMOTION_TESTS"], "made", name)
    path.parent.mkdir(exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists():
            partial = path.with_name(f"{name}.partial")
            make(partial)
            partial.rename(path)
    return path
