"""Nothing that bimotion writes or says depends on the order of a hash or of a folder: the same
commands in processes that differ in both. Run as a program, this file is such a process."""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bimotion.data.synthetic import layouts
from bimotion.evaluation import run as runner
from bimotion.io import checksums
from bimotion.leaderboard import board, exported
from bimotion.results import record
from bimotion.results.record import ProtocolUsed
from tests.support import submissions
from tests.support.projections import few
from tests.support.small_runs import PAPER

PROTOCOLS = {  # name -> protocol, entries: two of the classes have as many
    "all": (ProtocolUsed("in-group", "1"), 3),
    "adults": (ProtocolUsed("in-group", "1", ["eng_adu", "zho_adu"]), 2),
    "elders": (ProtocolUsed("in-group", "1", ["eng_eld", "zho_eld"]), 2),
}
COMMANDS = """
data stats --corpora ROOT
data audit --corpora ROOT --json
data doctor ROOT --no-listen
data export OUT/copy --config eng --config zho_eld --corpora ROOT --metadata-only \
--private-use --allow-missing
evaluate -m bimotion/random --corpora ROOT -o OUT/runs --schema valence --allow-missing
score OUT/runs
report OUT/one
compare OUT/one OUT/other
leaderboard build OUT/submissions -o OUT/site --practice
leaderboard export OUT/submissions --practice
leaderboard export OUT/submissions --practice --format latex
leaderboard export OUT/submissions --practice --format csv
leaderboard every-eval-ever OUT/submissions --practice -o OUT/every-eval-ever
leaderboard verify OUT/submissions --corpora ROOT --practice
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Synthetic corpora, six clips of each corpus, cell and part."""
    folder = tmp_path_factory.mktemp("few")
    layouts.lay(folder, few(6))
    return folder


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    """Two runs, and submissions of three classes."""
    folder = tmp_path_factory.mktemp("order") / "made"
    output = folder.with_name("runs")
    asked = PAPER | {"protocol": "in-group", "allow_missing": True}
    result = runner.evaluate("bimotion/random", data_dir=root, output=output, **asked)
    run = result.folder(output)
    source, number = submissions.Source(run), 0
    statement = {
        "trained_on": ["TESS", "IEMOCAP"],
        "contamination": {"eng_adu": ["tess", "iemocap", "esd"]},
    }
    for name, (protocol, n) in PROTOCOLS.items():
        for _ in range(n):
            number += 1
            asked = {"protocol": protocol, "statement": statement}
            model = f"lab/{name}-{number}"
            source.write(folder / "submissions", model, number / 10, number, **asked)
    for name in ("one", "other"):
        number += 1
        source.write(folder, name, number / 20, number).rename(folder / "run")
        (folder / name).rmdir()
        (folder / "run").rename(folder / name)
    return folder


def test_the_same_bytes_whatever_the_order_of_hashes_and_folders(made, root, tmp_path):
    contents = []
    for seed in ("1", "2"):
        out = tmp_path / seed / "out"
        shutil.copytree(made, out)
        environment = os.environ | {
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "PYTHONHASHSEED": seed,
            "BIMOTION_CORPORA": str(root),
            "BIMOTION_CACHE": str(out.with_name("cache")),
        }
        command = [sys.executable, __file__, seed, root, out]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        content = {str(path.relative_to(out)): _content(path) for path in sorted(out.rglob("*"))}
        content["messages"] = (done.stdout + done.stderr).replace(str(out), "OUT")
        contents.append(content)
    first, second = contents
    assert list(second) == list(first)
    assert [name for name in second if second[name] != first[name]] == []
    # a part of the clips; each with all that is wrong with it
    assert first["messages"].count("REFUSED\n") == 7
    assert len(first["site/board.json"]) > 10_000


def _content(path: Path):
    """The bytes of a file; of a result, and of checksums of one, all but when it was made and how
    long that took; of a record for others, all but when it was made."""
    if path.parent.parent.parent.name == "runs" and path.name == record.RESULT_FILE:
        return json.loads(path.read_text()) | {"provenance": None}
    if path.name == checksums.SUMS_FILE:
        return [line.split()[1] for line in path.read_text().splitlines()]
    if path.name == exported.LIST_FILE:  # by a hash of where the submissions lie
        return list(json.loads(path.read_text()).values())
    if "every-eval-ever" in path.parts and path.suffix == ".json":
        text = path.read_text(encoding="utf-8")
        return [line for line in text.split(",") if "retrieved_timestamp" not in line]
    return path.read_bytes() if path.is_file() else None


def test_classes_of_a_board_stand_by_a_rule(made):
    """The most ranked entries first, then the most entries, then by what was asked."""
    built = board.build(made / "submissions", practice=True)
    assert [ranking.n_entries for ranking in built.comparable] == [3, 2, 2]
    assert [ranking.cells for ranking in built.comparable] == [
        None,
        ["eng_adu", "zho_adu"],
        ["eng_eld", "zho_eld"],
    ]
    order = [ranking.id for ranking in built.comparable]
    assert [order.index(entry.comparable) for entry in built.entries] == [0, 0, 0, 1, 1, 2, 2]


class Shuffled(contextlib.nullcontext):
    """Entries of `os.scandir`, in another order."""

    def __init__(self, entries, generator):
        super().__init__(self)
        self.entries = iter(shuffled(entries, generator))

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.entries)

    def close(self):
        pass


def shuffled(items, generator):
    items = list(items)
    return generator.sample(items, len(items))


def _listed_in_another_order(seed: str) -> None:
    generator, listdir, scandir = random.Random(seed), os.listdir, os.scandir
    os.listdir = lambda *args: shuffled(listdir(*args), generator)
    os.scandir = lambda *args: Shuffled(scandir(*args), generator)


if __name__ == "__main__":
    from bimotion import cli

    seed, root, out = sys.argv[1:]
    _listed_in_another_order(seed)
    for line in COMMANDS.strip().splitlines():
        sys.argv = ["bimotion", *line.replace("ROOT", root).replace("OUT", out).split()]
        with contextlib.suppress(SystemExit):
            cli.main()
