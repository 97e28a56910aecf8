"""How long a board of many submissions takes, and how large its page is: python
benchmarks/leaderboard.py [N] [protocol]

Writes N (1000) submissions of made-up models, with predictions for all test clips of the protocol
(in-group), in a temporary folder; then times: a build of submissions that nobody verified, so that
a sandbox reads their files first; of verified ones that nobody prepared; one after `leaderboard
verify` prepared them, on this machine and, from what it left beside their receipts, on another; the
page. CPU seconds are of all processes.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from indexing import tiny_tree
from joblib.externals.loky import get_reusable_executor

REPOSITORY = Path(__file__).parents[1]


def main(n: int = 1000, protocol: str = "in-group") -> None:
    """Print one line a measurement."""
    sys.path.insert(0, str(REPOSITORY))
    from bimotion.evaluation import run
    from bimotion.leaderboard import board, entry_cache, site, submission
    from bimotion.results import rescoring
    from tests.support import submissions

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["BIMOTION_CACHE"] = str(folder / "cache")
        tiny_tree(folder / "corpora")
        asked = {
            "data_dir": folder / "corpora",
            "output": folder / "runs",
            "split_rule": "disjoint",
            "protocol": protocol,
        }
        source = submissions.Source(
            run.evaluate("bimotion/random", **asked).folder(folder / "runs")
        )
        rng = random.Random(0)
        for number in range(n):
            size = round(10 ** rng.uniform(6, 9))
            source.write(
                folder / "submissions",
                f"lab/model-{number}",
                rng.uniform(0.05, 0.5),
                number,
                n_parameters=size,
                verified=False,
            )
        seconds = {}

        def timed(label: str) -> board.Board:
            start, spent = time.perf_counter(), _cpu_seconds()
            made = board.build(folder / "submissions")
            took = time.perf_counter() - start
            get_reusable_executor().shutdown(wait=True)  # what still runs is not counted
            seconds[label] = (took, _cpu_seconds() - spent)
            return made

        timed("nothing verified")
        shutil.rmtree(folder / "cache")
        for one in submission.folders(folder / "submissions"):
            submissions.verify(one)
        timed("nothing prepared")
        for one in submission.folders(folder / "submissions"):
            found = rescoring.rescore(one)[1]
            submissions.verify(one, entry=entry_cache.prepare(one, found))
        timed("prepared here")
        shutil.rmtree(folder / "cache")
        found = timed("prepared elsewhere")
        start, spent = time.perf_counter(), _cpu_seconds()
        page = site.build(found, folder / "site")
        seconds["page"] = (time.perf_counter() - start, _cpu_seconds() - spent)
        sizes = {
            "page": page.stat().st_size,
            "board.json": (folder / "site" / "board.json").stat().st_size,
        }
    assert len(found.entries) == n
    for label, (took, spent) in seconds.items():
        print(f"{label:18} {n} submissions, protocol {protocol}  {took:7.2f} s, CPU {spent:7.2f} s")
    for label, size in sizes.items():
        print(f"{label:16} {size / 1e6:6.2f} MB")


def _cpu_seconds() -> float:
    """Those of this process and of all that it started and that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main(*(int(value) if value.isdigit() else value for value in sys.argv[1:]))
