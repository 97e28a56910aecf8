"""How long a board of many submissions takes, and how large its page is: python
benchmarks/leaderboard.py [N] [protocol]

Writes N (1000) submissions of made-up models, with predictions for all test clips of the protocol
(in-group), in a temporary folder; then times: a build of submissions that nobody prepared; one
after `leaderboard verify` prepared them, on this machine and, from what it left beside their
receipts, on another; the page.
"""

import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from indexing import tiny_tree

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
            )
        seconds = {}

        def timed(label: str) -> board.Board:
            start = time.perf_counter()
            made = board.build(folder / "submissions")
            seconds[label] = time.perf_counter() - start
            return made

        timed("nothing prepared")
        for one in submission.folders(folder / "submissions"):
            found = rescoring.rescore(one)[1]
            submissions.verify(one, entry=entry_cache.prepare(one, found))
        timed("prepared here")
        shutil.rmtree(folder / "cache")
        found = timed("prepared elsewhere")
        start = time.perf_counter()
        page = site.build(found, folder / "site")
        seconds["page"] = time.perf_counter() - start
        sizes = {
            "page": page.stat().st_size,
            "board.json": (folder / "site" / "board.json").stat().st_size,
        }
    assert len(found.entries) == n
    for label, took in seconds.items():
        print(f"{label:18} {n} submissions, protocol {protocol}  {took:7.2f} s")
    for label, size in sizes.items():
        print(f"{label:16} {size / 1e6:6.2f} MB")


if __name__ == "__main__":
    main(*(int(value) if value.isdigit() else value for value in sys.argv[1:]))
