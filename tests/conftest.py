"""Fixtures of all tests: isolated caches, the true corpora where they are there, tiny clips, synthetic corpora."""

import hashlib
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimotion import manifest
from bimotion.corpora import PAPER_CORPORA
from bimotion.synth import layouts

CACHE = Path(tempfile.mkdtemp(prefix="bimotion-tests-"))
# `datasets` and `huggingface_hub` read these when they are imported, which test modules do before any fixture runs
os.environ |= {
    "BIMOTION_CACHE": str(CACHE / "bimotion"),
    "HF_HOME": str(CACHE / "hf"),
    "HF_DATASETS_CACHE": str(CACHE / "hf" / "datasets"),
    "HF_HUB_OFFLINE": "1",
}
if "PYTEST_XDIST_WORKER" in os.environ:  # a process a core: threads of several would wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"

_spec = importlib.util.spec_from_file_location("true_trees", Path(__file__).parent / "layouts" / "true_trees.py")
true_trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(true_trees)
os.environ.pop("BIMOTION_CORPORA", None)  # it says where the lists are; no test may take it for its root


@pytest.fixture(scope="session", autouse=True)
def isolated_cache():
    """Folder of every cache while the tests run; nothing of the user's own caches is read or written."""
    yield CACHE
    shutil.rmtree(CACHE, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_corpora():
    """Lists and sample audio of the real corpora: ../shared/corpora or $BIMOTION_CORPORA."""
    needed = true_trees.SHARED / "CREMA-D" / "AudioWAV.manifest.tsv"
    if not needed.exists():
        pytest.skip(f"the corpora's own file lists are not on this machine: no {needed}")
    return true_trees.SHARED


@pytest.fixture(scope="session")
def true_tree(shared_corpora, tmp_path_factory):
    """Root with all corpora: every true name, each clip a tiny valid wav."""
    return true_trees.build(tmp_path_factory.mktemp("true"))


@pytest.fixture(scope="session")
def whole_tree(request, tmp_path_factory):
    """Root with the paper's corpora, every clip of them: the true tree or, on machines without the lists, one of the shipped
    rosters' names with labels that are invented where names do not tell them."""
    if (true_trees.SHARED / "CREMA-D" / "AudioWAV.manifest.tsv").exists():
        return request.getfixturevalue("true_tree")
    root = tmp_path_factory.mktemp("whole")
    clips = layouts.plan(1.0, corpora=PAPER_CORPORA)
    for corpus in PAPER_CORPORA:
        mine = [clip for clip in clips if clip.corpus == corpus]
        true_trees.lay(root, map(layouts.path_of, mine), layouts.SAMPLE_RATES_HZ.get(corpus, layouts.DEFAULT_RATE_HZ))
        for name, content in layouts.TEXT_FILES.get(corpus, lambda clips: {})(mine).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
    return root


# ru_maxrss of a child begins with what its parent held when it was started (all of torch, here); VmHWM is the child's own
_INDEXING = """
import json, pathlib, re, resource, sys, time
from bimotion import manifest
started = time.perf_counter()
found = manifest.build(sys.argv[1])
seconds = time.perf_counter() - started
status = pathlib.Path("/proc/self/status")
if status.exists():
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"n_clips": len(found.table), "seconds": seconds, "peak_bytes": peak}))
"""


@pytest.fixture(scope="session")
def true_indexing(true_tree):
    """What the first indexing of the true tree took, in a process of its own: n_clips, seconds, peak_bytes."""
    done = subprocess.run([sys.executable, "-c", _INDEXING, true_tree], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def true_manifest(true_tree, true_indexing):
    """Manifest of the true tree, from the cache that `true_indexing` filled."""
    return manifest.build(true_tree)


@pytest.fixture(scope="session")
def synth_root(tmp_path_factory):
    """Root with synthetic corpora at a fiftieth of the true sizes."""
    root = tmp_path_factory.mktemp("synth") / "corpora"
    layouts.write(root, scale=0.02, seed=0)
    return root


@pytest.fixture
def wav():
    """Writer of valid clips, a tone whose pitch hangs on the file's name: equal names sound equal, others do not."""

    def write(path, seconds=0.2, rate=16000, channels=1, format="WAV"):
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        hz = 100 + zlib.crc32(path.name.encode()) % 3000
        tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)
        soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), rate, format=format, subtype="PCM_16")
        return path

    return write


def snapshot(root: Path) -> dict[str, tuple]:
    """Relative path -> kind and mode, time of change, content (or link target) of everything below a root."""
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
    """Context manager: nothing below a root may be added, removed, changed or touched inside the block."""

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
            return manifest.build(root, **options)

    return build
