"""Hostile twins are read in a process of their own, within a limit of memory.

Each is forked from one that has loaded the libraries. It may take 1 GiB of memory in all, what the
libraries hold included, and must end in one line. A limit of CPU time stops what would never end;
nothing here is measured in seconds.
"""

import json
import subprocess
import sys
from pathlib import Path

MOST_BYTES = 1 << 30


LIBRARIES = {
    "model": "torch, transformers, bimotion.models.encoder",
    "corpus": "pandas, pyarrow.parquet, soundfile, bimotion.data.checks.doctor",
}


# The parent of the twins. `what` of a twin: model (a folder), or a command line.
CHILD = """
import importlib, io, json, os, re, resource, sys, traceback
for name in sys.argv[1].split(", "):
    importlib.import_module(name)
from pathlib import Path
from bimotion.errors import BimotionError

def model(folder):
    from bimotion.models import encoder as encoders
    from bimotion.models.spec import ModelSpec
    from bimotion.models import weights
    encoder = encoders.load(ModelSpec(folder))
    import numpy as np
    encoder.encode([np.zeros(16_000, np.float32)])

def corpus(root):
    from bimotion.data import manifest; from bimotion.data import samples
    from bimotion.errors import AudioError
    from bimotion.io.progress import Progress
    from bimotion.data.source import CorpusSource
    found = manifest.build(CorpusSource.of(root))
    bad = ("unreadable", "empty", "truncated")
    if broken := [finding.detail for finding in found.findings if finding.kind in bad]:
        raise AudioError(broken[0])
    samples.samples(found, found.table, Progress())

def peak():
    own = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) * 1024

def tried(what, place):
    resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is this process's own
    try:
        globals()[what](place)
        said, kind = "", "none"
    except BimotionError as error:
        said, kind = str(error), "told"
    except BaseException as error:
        said, kind = traceback.format_exc()[-2000:], "traceback"
    return {"kind": kind, "said": said, "peak": peak()}

for what, place in json.load(sys.stdin):
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        os.dup2(2, 1)
        os.write(writer, json.dumps(tried(what, place)).encode()[:60000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        found = pipe.read()
    _, status = os.waitpid(child, 0)
    print(found or json.dumps({"kind": f"died ({status})", "said": "", "peak": 0}))
"""


def told(twins: list[tuple[str, Path]]) -> list[str]:
    """The line that each twin ended in; asserts that it was one line, within the memory."""
    what = twins[0][0]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, LIBRARIES[what]],
        input=json.dumps([(what, str(place)) for what, place in twins]),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(twins), done.stderr
    for (_, place), one in zip(twins, found, strict=True):
        assert one["kind"] == "told", (place.name, one)
        assert "\n" not in one["said"], (place.name, one)
        assert one["peak"] < MOST_BYTES, (place.name, one)
    return [one["said"] for one in found]
