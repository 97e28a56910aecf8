"""Fixtures of all tests: isolated caches, the true corpora where they are there, tiny clips,
synthetic corpora."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from bimotion.corpora import PAPER_CORPORA
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from tests.support import raw_corpora, true_trees
from tests.support.shared import once

WORKER = "PYTEST_XDIST_WORKER" in os.environ
if not WORKER:  # workers inherit it: what one of them has made, the others read
    os.environ["BIMOTION_TESTS"] = tempfile.mkdtemp(prefix="bimotion-tests-")
CACHE = Path(os.environ["BIMOTION_TESTS"])
# `datasets` and `huggingface_hub` read these when they are imported, which test modules do before
# any fixture runs
os.environ |= {
    "BIMOTION_CACHE": str(CACHE / "bimotion"),
    "HF_HOME": str(CACHE / "hf"),
    "HF_DATASETS_CACHE": str(CACHE / "hf" / "datasets"),
    "HF_HUB_OFFLINE": "1",
    "RAY_AUTH_MODE": "disabled",  # else Ray writes a token into the home of the user
}
if WORKER:  # a process a core: threads and processes of several would wait for each other
    os.environ |= {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}


@pytest.fixture(scope="session", autouse=True)
def no_root_of_the_users():
    """BIMOTION_CORPORA says where the lists are (`true_trees.SHARED`); no test may take it for its
    root."""
    os.environ.pop("BIMOTION_CORPORA", None)


def pytest_unconfigure():
    if not WORKER:  # the last to end
        shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_corpora():
    """Lists and sample audio of the real corpora: $BIMOTION_CORPORA, else ../shared/corpora (or
    $BIMOTION_SHARED/corpora)."""
    needed = true_trees.SHARED / "CREMA-D" / "AudioWAV.manifest.tsv"
    if not needed.exists():
        pytest.skip(f"the corpora's own file lists are not on this machine: no {needed}")
    return true_trees.SHARED


@pytest.fixture(scope="session")
def real_models():
    """Folder of encoders with real weights: $BIMOTION_MODELS, else ../shared/models (or
    $BIMOTION_SHARED/models)."""
    needed = true_trees.MODELS / "whisper-tiny.en" / "config.json"
    if not needed.exists():
        pytest.skip(f"no models with real weights on this machine: no {needed}")
    return true_trees.MODELS


@pytest.fixture(scope="session")
def true_tree(shared_corpora):
    """Root with all corpora: every true name, each clip a tiny valid wav."""
    return once("true", true_trees.build)


@pytest.fixture(scope="session")
def whole_tree(request):
    """Root with the paper's corpora, every clip of them: the true tree or, on machines without the
    lists, one of the shipped rosters' names with labels that are invented where names do not tell
    them."""
    if (true_trees.SHARED / "CREMA-D" / "AudioWAV.manifest.tsv").exists():
        return request.getfixturevalue("true_tree")
    return once("whole", _of_rosters)


def _of_rosters(root: Path) -> None:
    clips = layouts.plan(1.0, corpora=PAPER_CORPORA)
    for corpus in PAPER_CORPORA:
        mine = [clip for clip in clips if clip.corpus == corpus]
        true_trees.lay(
            root,
            map(layouts.path_of, mine),
            layouts.SAMPLE_RATES_HZ.get(corpus, layouts.DEFAULT_RATE_HZ),
        )
        for name, content in layouts.TEXT_FILES.get(corpus, lambda clips: {})(mine).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)


# ru_maxrss of a child begins with what its parent held when it was started (all of torch, here);
# VmHWM is the child's own
_INDEXING = """
import json, os, pathlib, re, resource, sys, time
from bimotion.data import manifest
from bimotion.data.source import CorpusSource

def cpu_s(do):
    started = time.process_time()
    return do(), time.process_time() - started

def read():
    for folder, _, names in os.walk(sys.argv[1]):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                file.read(64)

read()
_, reading_s = cpu_s(read)
source = CorpusSource.of(sys.argv[1])
found, first_s = cpu_s(lambda: manifest.build(source))
again, second_s = cpu_s(lambda: manifest.build(source))
assert again.fingerprint == found.fingerprint and again.states == found.states
status = pathlib.Path("/proc/self/status")
if status.exists():
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
costs = {"reading_s": reading_s, "first_s": first_s, "second_s": second_s}
print(json.dumps({"n_clips": len(found.table), "peak_bytes": peak, **costs}))
"""


@pytest.fixture(scope="session")
def true_indexing(true_tree):
    """The cost of indexing the true tree, in a process of its own, in seconds of its processor:
    n_clips, peak_bytes, first_s; of the second time, which must find the same: second_s; and of
    reading the beginning of every file: reading_s."""

    def measure(path: Path) -> None:
        # another test may fill the other
        environment = os.environ | {"BIMOTION_CACHE": str(path.with_name("indexing-cache"))}
        command = [sys.executable, "-c", _INDEXING, true_tree]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        path.write_text(done.stdout)

    return json.loads(once("indexing.json", measure).read_text())


@pytest.fixture(scope="session")
def true_manifest(true_tree):
    """Manifest of the true tree."""
    return manifest.build(CorpusSource.of(true_tree))


@pytest.fixture(scope="session")
def synth_root():
    """Root with synthetic corpora at a fiftieth of the true sizes."""
    return once("synth", lambda root: layouts.write(root, scale=0.02, seed=0))


@pytest.fixture
def wav():
    """Writer of valid clips, tones."""
    return raw_corpora.write_clip


def snapshot(root: Path) -> dict[str, tuple]:
    """Relative path -> kind and mode, time of change, content (or link target) of everything below
    a root."""
    seen = {}
    for folder, folders, files in os.walk(root):
        for path in (Path(folder), *(Path(folder, name) for name in (*folders, *files))):
            status = path.lstat()
            content = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            seen[os.path.relpath(path, root)] = (status.st_mode, status.st_mtime_ns, content)
    return seen


@pytest.fixture
def untouched():
    """Context manager: nothing below a root may be added, removed, changed or touched inside the
    block."""

    @contextmanager
    def watch(root):
        before = snapshot(root)
        try:
            yield
        finally:
            assert snapshot(root) == before, f"something changed below {root}"

    return watch


@pytest.fixture
def index(untouched):
    """`manifest.build` that must leave the root untouched, whether it succeeds or raises."""

    def build(root, **options):
        with untouched(root):
            return manifest.build(CorpusSource.of(root, **options))

    return build
