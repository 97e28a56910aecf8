"""How long a board of many submissions takes, and how large its page is: python benchmarks/leaderboard.py [N] [protocol]

Writes N (1000) submissions of made-up models, with predictions for all test clips of the protocol (in-group), in a temporary
folder; then times: the first build, which derives every submission; the second, as it is when one more arrives; the page.
"""

import importlib.util
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from indexing import tiny_tree

REPOSITORY = Path(__file__).parents[1]


def main(n: int = 1000, protocol: str = "in-group") -> None:
    """Print one line a measurement."""
    spec = importlib.util.spec_from_file_location("submissions", REPOSITORY / "tests" / "submissions.py")
    submissions = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(submissions)
    from bimotion import board, runner, site

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["BIMOTION_CACHE"] = str(folder / "cache")
        tiny_tree(folder / "corpora")
        asked = {"data_dir": folder / "corpora", "output": folder / "runs", "split_rule": "disjoint", "protocol_name": protocol}
        source = submissions.Source(runner.evaluate("bimotion/random", **asked).folder(folder / "runs"))
        rng = random.Random(0)
        for number in range(n):
            size = round(10 ** rng.uniform(6, 9))
            source.write(folder / "submissions", f"lab/model-{number}", rng.uniform(0.05, 0.5), number, n_parameters=size)
        found, seconds = {}, {}
        for label in ("first build", "second build"):
            start = time.perf_counter()
            found[label] = board.build(folder / "submissions")
            seconds[label] = time.perf_counter() - start
        start = time.perf_counter()
        page = site.build(found["second build"], folder / "site")
        seconds["page"] = time.perf_counter() - start
        sizes = {"page": page.stat().st_size, "leaderboard.json": (folder / "site" / "leaderboard.json").stat().st_size}
    assert len(found["second build"].entries) == n
    for label, took in seconds.items():
        print(f"{label:13} {n} submissions, protocol {protocol}  {took:7.2f} s")
    for label, size in sizes.items():
        print(f"{label:16} {size / 1e6:6.2f} MB")


if __name__ == "__main__":
    main(*(int(value) if value.isdigit() else value for value in sys.argv[1:]))
