"""Peak memory does not depend on how large the corpora are, but for the one layer that a head is
fitted on: features and samples stay on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bimotion.data.synthetic import layouts
from bimotion.io import audio
from bimotion.models.layer_heads import MAX_COMPARED
from tests.support import tiny_models

STATUS = Path("/proc/self/status")
# with features; a tenth of them have sound, which is more than is ever read ahead
N_CLIPS, TIMES = 1_000, 6
CLIP_S = 3
LAYERS, NUMBERS = 16, 1_344  # 42 kB a clip in float16, as of an encoder of 13 layers 768 wide
BOUND_MB = 30  # a seventh of what the feature file grows by, a third of what the sound does

# The child says of each of its parts by how much the most that it ever held exceeds what it held
# when the part began,
# pages of mapped files included (all but shared memory: RssAnon + RssFile, asked every 5 ms). It
# begins with a small fit,
# for what libraries load and keep when first used.
CHILD = """
import json, re, shutil, sys, threading, time
from pathlib import Path
import numpy as np, torch
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.data.features import LayerTable, layer_features
from bimotion.models import encoder as encoders
from bimotion.models import weights
from bimotion.models.heads import LogisticHead
from bimotion.models.layer_heads import BestLayerHead
from bimotion.io.progress import Progress
from bimotion.data.samples import samples
from bimotion.data.cache import Row, Store
from bimotion.data.stored_rows import StoredRows

model, root, folder, n_clips, n_layers, n_numbers = *sys.argv[1:4], *map(int, sys.argv[4:])
torch.set_num_threads(1)

def held():
    status = Path("/proc/self/status").read_text()
    return sum(map(int, re.findall(r"Rss(?:Anon|File):\\s+(\\d+) kB", status))) / 1024

class Peak:
    def __enter__(self):
        self.before, self.most, self.over = held(), 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self
    def watch(self):
        while not self.over.wait(0.005):
            self.most = max(self.most, held())
    def __exit__(self, *args):
        self.over.set()
        self.thread.join()
        self.grown_mb = max(self.most, held()) - self.before

def table(n):
    store = Store(Path(folder, "rows"), "rows", [str(i) for i in range(n)], np.float16)
    block = np.random.default_rng(0).normal(size=(64, n_layers * n_numbers)).astype(np.float16)
    make = lambda places: (Row(np.roll(block[place % 64], place), "") for place in places)
    store.fill(np.arange(n), make, Progress(), "features")
    rows = StoredRows((store,), np.zeros(n, np.int32), np.arange(n))
    table = LayerTable(rows, (n_layers, n_numbers))
    return table, store.folder

def fit(table, n):
    LogisticHead.strengths = (0.0, 0.01)
    head = BestLayerHead()
    reference = np.eye(4, dtype=np.int8)[np.arange(n) % 4]
    train, held_out = np.arange(n // 10, n), np.arange(n // 10)
    validation = (table.take(held_out), reference[held_out])
    head.fit(table.take(train), reference[train], exclusive=True, seed=0, validation=validation)
    return head.predict(table.take(np.arange(n)))

fit(table(100)[0], 100)
shutil.rmtree(Path(folder, "rows"))
found = {}
with Peak() as peak:
    features, files = table(n_clips)
found["filling"] = peak.grown_mb
with Peak() as peak:
    assert len(fit(features, n_clips)) == n_clips
found["fitting"] = peak.grown_mb
found["file"] = sum(path.stat().st_size for path in files.iterdir()) / 2**20

corpora = manifest.build(CorpusSource.of(root))
encoder = encoders.load(weights.ModelSpec(model))
parts = (slice(-32, None), slice(n_clips // 10))
first, clips = (corpora.table.iloc[part].reset_index(drop=True) for part in parts)
layer_features(encoder, corpora, first, Progress())
with Peak() as peak:
    assert len(layer_features(encoder, corpora, clips, Progress()).layer(np.array([0]), 0)) == 1
found["extracting"] = peak.grown_mb
samples(corpora, first, Progress())
with Peak() as peak:
    decoded = samples(corpora, clips, Progress())
    assert all(decoded.waveform(row).any() for row in range(len(clips)))
found["decoding"] = peak.grown_mb
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two children, of N_CLIPS and of TIMES as many: what each part of them took, MB."""
    if not STATUS.exists() or "RssAnon" not in STATUS.read_text():
        pytest.skip(f"needs resident memory by kind, which this system does not say in {STATUS}")
    folder = tmp_path_factory.mktemp("memory")
    model = tiny_models.build("wav2vec2-group", folder / "model")
    clips = layouts.plan(corpora=["crema_d"], scale=0.1)[: 32 + TIMES * N_CLIPS // 10]
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, CLIP_S * 16_000)
    (folder / "root" / layouts.path_of(clips[0])).parent.mkdir(parents=True)
    for name, text in layouts.TEXT_FILES["crema_d"](clips).items():
        (folder / "root" / name).parent.mkdir(exist_ok=True)
        (folder / "root" / name).write_text(text)
    for clip in clips:
        audio.write_synthetic(folder / "root" / layouts.path_of(clip), noise, 16_000)
    children = [child(folder, model, n_clips) for n_clips in (N_CLIPS, TIMES * N_CLIPS)]
    outputs = [process.communicate() for process in children]
    assert [process.returncode for process in children] == [0, 0], outputs
    return [json.loads(output) for output, _ in outputs]


def child(folder: Path, model: Path, n_clips: int) -> subprocess.Popen:
    """A process that measures itself on so many clips, in folders of its own."""
    (folder / str(n_clips)).mkdir()
    numbers = n_clips, LAYERS, NUMBERS
    command = [sys.executable, "-c", CHILD, model, folder / "root", folder / str(n_clips), *numbers]
    environment = os.environ | {"BIMOTION_CACHE": str(folder / str(n_clips) / "cache")}
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_the_files_differ(measured):
    few, many = measured
    assert many["file"] - few["file"] > 200


@pytest.mark.parametrize("part", ["filling", "fitting", "extracting", "decoding"])
def test_peak_memory_does_not_grow_with_the_corpora(measured, part):
    few, many = measured
    # a layer in float32, standardised in float64, and the same weighted, for second moments;
    # before, on each core, those of the clips by which layers are compared
    n_cores = min(LAYERS, len(os.sched_getaffinity(0)))
    n_more = (TIMES - 1) * N_CLIPS + n_cores * (MAX_COMPARED - N_CLIPS) if part == "fitting" else 0
    assert many[part] - few[part] < BOUND_MB + n_more * NUMBERS * (4 + 8 + 8) / 2**20
