"""Wall time and memory of the default of `bimotion evaluate`: python benchmarks/whole.py [ROOT]

All clips of the corpora under their true names (ROOT: a tree that `bimotion data synth --scale 1`
made; else one is made, which takes minutes), a transformers model of random weights whose features
are 13 layers of 1536 numbers, and in the cache, where the encoder would have put them, the
artificial features of benchmarks/probe.py. Then the command itself in a process of its own: five
folds, every protocol, schema valence, intervals, confounds, human ceiling. Needs 4 GB of disk.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import cpu_count
from probe import N_FEATURES, N_LAYERS, ArtificialLayers
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from bimotion.data import manifest
from bimotion.data.cache import Row
from bimotion.data.source import CorpusSource
from bimotion.data.stored_rows import Maker, stored_rows
from bimotion.io import audio, files
from bimotion.io.progress import Bars
from bimotion.models import encoder as encoders
from bimotion.models.spec import ModelSpec
from bimotion.protocol.labels import schema_named

VALENCE = schema_named("valence")
EVALUATE = """
import resource
from bimotion.cli import main
try:
    main()
finally:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu, peak = sum(u.ru_utime + u.ru_stime for u in used), max(u.ru_maxrss for u in used)
    print(f"{cpu:.0f} CPU seconds, peak {peak // 1024} MB", flush=True)
"""


def model(folder: Path) -> str:
    """A wav2vec 2.0 of the base size, narrow where its features do not show it."""
    config = Wav2Vec2Config(
        hidden_size=N_FEATURES // 2, num_hidden_layers=N_LAYERS - 1, intermediate_size=64
    )
    Wav2Vec2Model(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return str(folder)


def prepare(name: str, root: Path) -> int:
    """Put artificial features of all clips where the encoder's would be; how many clips."""
    encoder = encoders.load(ModelSpec(name))
    corpora = manifest.build(CorpusSource.of(root, None, None, False), progress=Bars())
    made = ArtificialLayers()

    def rows(clips: pd.DataFrame, paths: list[Path]) -> Iterator[Row]:
        classes = np.array([_class_of(emotions) for emotions in clips["emotions"]])
        for row, path in zip(made.rows(classes), paths, strict=True):
            yield Row(row, files.digest(path))

    folder = f"features/{encoder.fingerprint}-{audio.version()}"
    table = corpora.table.reset_index(drop=True)
    stored_rows(folder, corpora, table, Maker(rows, np.float16, "artificial"), Bars())
    return len(table)


def _class_of(emotions: tuple[str, ...]) -> int:
    """The valence of a clip, 0 without one."""
    found = [VALENCE.mapping[emotion] for emotion in emotions if emotion in VALENCE.mapping]
    return VALENCE.classes.index(found[0]) if found else 0


def main(root: str | None = None) -> None:
    """Prepare, evaluate, print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["BIMOTION_CACHE"] = str(folder / "cache")
        corpora = Path(root) if root else folder / "corpora"
        if not root:
            made = [sys.executable, "-m", "bimotion", "data", "synth", "--scale", "1", str(corpora)]
            subprocess.run(made, check=True)
        encoder = model(folder / "model")
        n_clips = prepare(encoder, corpora)
        print(
            f"{n_clips} clips, {N_LAYERS} layers x {N_FEATURES} features, {cpu_count()} cores",
            flush=True,
        )
        asked = ["--model", encoder, "--corpora", str(corpora), "--output", str(folder / "results")]
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", EVALUATE, "evaluate", *asked], check=True)
        print(f"{(time.perf_counter() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main(*sys.argv[1:])
