"""What the verification of one submission of the whole benchmark takes: python
benchmarks/verify.py [SEEDS]

Makes a run of bimotion/random over all true clips (tiny wavs), with as many seeds (1), submits it,
and verifies it by the command, each time in a fresh process: with the corpora, not indexed yet and
indexed, and with a labels file. CPU seconds are of the command and of all that it starts; the peak
is that of its largest process.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from indexing import tiny_tree


def main(n_seeds: int = 1) -> None:
    """Print one line a measurement."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tiny_tree(root / "corpora")
        corpora = ("--corpora", root / "corpora")
        seeds = ",".join(map(str, range(n_seeds)))
        asked = ("--model", "bimotion/random", "--seeds", seeds, "--output", root / "runs")
        _bimotion(root, "evaluate", *asked, *corpora)
        (run,) = (path.parent for path in (root / "runs").glob("*/*/result.json"))
        sent = ("--trained-on", "", "-o", root / "submissions")
        _bimotion(root, "submit", run, *sent)
        submission = next((root / "submissions").glob("*/*"))
        _bimotion(root, "labels", "export", root / "labels.json.gz", *corpora)
        size = sum(path.stat().st_size for path in submission.iterdir())
        print(f"{n_seeds} seeds, {size / 1e6:.1f} MB")
        for label, cache, key in (
            ("corpora, indexed now", "new", corpora),
            ("corpora, indexed before", "new", corpora),
            ("labels file", "other", ("--labels", root / "labels.json.gz")),
        ):
            verify = ("leaderboard", "verify", submission, "--baseline", *key)
            wall, cpu, peak = _bimotion(root, *verify, cache=cache)
            print(f"{label:24} {wall:6.2f} s, CPU {cpu:6.2f} s, peak {peak:5.0f} MB", flush=True)


def _bimotion(root: Path, *words: object, cache: str = "cache") -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak memory in MB of a command."""
    program = "import sys; from bimotion.cli import main; sys.exit(main())"
    # bytecode is kept, as for users, also where this machine keeps none
    bytecode = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(root / "bytecode")}
    own = {"BIMOTION_CACHE": str(root / cache)} | bytecode
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        env=os.environ | own,
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"bimotion {words[0]} ended with status {status}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
