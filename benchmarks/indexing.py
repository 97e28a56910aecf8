"""How long it takes to index all 58 k clips, and to open the dataset again: python
benchmarks/indexing.py

Builds a tree of all true file names (rosters; YueMotion by its grammar) under tiny wavs in a
temporary folder, then times, each in a fresh process with a fresh cache: the first index, the
second, `load_dataset("bimotion", "all")` twice.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from bimotion.data.synthetic import layouts

PROBE = """
import json, resource, sys, time
root, what = sys.argv[1:]
import bimotion
if what == "index":
    from bimotion.data import manifest
    start = time.perf_counter()
    n = len(manifest.build(root).table)
else:
    from datasets import load_dataset
    start = time.perf_counter()
    n = sum(map(len, load_dataset("bimotion", "all", data_dir=root).values()))
seconds = time.perf_counter() - start
peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"clips": n, "seconds": round(seconds, 2), "peak_mb": peak_kib // 1024}))
"""


def tiny_tree(root: Path) -> None:
    """All clips as 16-sample wavs, with the label files of their corpora."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(16, 0.1, np.float32), 16000, format="WAV", subtype="PCM_16")
    clips = layouts.plan(scale=1.0)
    for corpus, text_files in layouts.TEXT_FILES.items():
        for name, content in text_files([clip for clip in clips if clip.corpus == corpus]).items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)
    for clip in clips:
        path = root / layouts.path_of(clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())


def main() -> None:
    """Print one line a measurement."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "corpora"
        tiny_tree(root)
        places = {
            "BIMOTION_CACHE": f"{folder}/cache",
            "HF_DATASETS_CACHE": f"{folder}/hf",
            "HF_HUB_OFFLINE": "1",
        }
        for label, what in (
            ("first index", "index"),
            ("second index", "index"),
            ("first load", "load"),
            ("second load", "load"),
        ):
            run = subprocess.run(
                [sys.executable, "-c", PROBE, root, what],
                capture_output=True,
                text=True,
                check=True,
                env=os.environ | places,
            )
            found = json.loads(run.stdout.splitlines()[-1])
            print(
                f"{label:13} {found['clips']} clips  {found['seconds']:6.2f} s  peak "
                f"{found['peak_mb']} MB"
            )


if __name__ == "__main__":
    main()
