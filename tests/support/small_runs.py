"""Short runs on a few synthetic clips."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from bimotion.evaluation import run
from bimotion.evaluation.task import TaskSpec
from bimotion.models.recipe import FinetuneOptions

PAPER = {"split_rule": "paper", "schema": "emotion"}
"""One training of each training set, and the corpora's own labels: what is cheap, and has known
answers."""
ONE_EPOCH = FinetuneOptions(epochs=1, batch_size=16)
FOUR = {0: "angry", 1: "happy", 2: "neutral", 3: "calm"}
HANGS_S = 600  # never waited for, but where a process hangs


def evaluated(model, root, output, **options):
    """A result, and the folder that it was written to."""
    result = run.evaluate(
        str(model) if isinstance(model, Path) else model,
        data_dir=root,
        output=output,
        **{"allow_missing": True} | PAPER | options,
    )
    return result, result.folder(output)


def paper_task(**asked) -> TaskSpec:
    """The task of some keywords; what is not given is as in PAPER."""
    return TaskSpec.of(**PAPER | asked)


def words(model, root, output, *more) -> list[str]:
    """Arguments of the command line for a run in-group."""
    asked = ["evaluate", "-m", model, "--corpora", root, "-o", output, "--allow-missing"]
    question = ["--protocol", "in-group", "--split-rule", "paper", "--schema", "emotion"]
    return [*map(str, asked), *question, *more]


def killed_at(paths: Path, pattern: str, words: Iterable[str]) -> list[Path]:
    """Start the command line, kill it as soon as a file of a pattern is there, and return such
    files."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bimotion", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + HANGS_S
    while not (files := list(paths.glob(pattern))) and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert files
    return files
