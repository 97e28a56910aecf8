"""Seconds of the probe's head over the whole benchmark:

    python benchmarks/probe.py [FOLDS] [CLIPS] [LAYERS FEATURES]

Prepared features of artificial clips, as many as the corpora have (58 000; CLIPS: a share of them),
13 layers (LAYERS) of 1536 numbers (FEATURES) in float16 on disk, as `bimotion evaluate` keeps them.
Every training set of protocol `all` under schema valence, in FOLDS of five folds (60 % of the clips
to train, 20 % to validate, 20 % to test). The features of a layer are correlated, as pooled layers
are, and layer 7 knows the class best. Prints a line a training set, and the peak memory of the
process.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from adaptation import sizes
from joblib import cpu_count

from bimotion.data.cache import Row, Store
from bimotion.data.features import LayerTable
from bimotion.data.stored_rows import StoredRows
from bimotion.io.progress import Bars
from bimotion.models.layer_heads import BestLayerHead
from bimotion.protocol import settings as protocol

N_LAYERS, N_FEATURES, N_LATENT, N_CLASSES, N_FOLDS = 13, 1536, 256, 3, 5
BEST_LAYER = 7
ROWS_A_CHUNK = 512


def clips(share: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Corpus, cell, class and fold of each clip."""
    known = {names: max(N_FOLDS, int(n["all"] * share)) for names, n in sizes().items()}
    used = {cell for setting in protocol.PROTOCOLS["all"] for cell in map(str, setting.train)}
    known = {names: n for names, n in known.items() if names[1] in used}
    corpora, cells = (np.repeat([names[i] for names in known], [*known.values()]) for i in (0, 1))
    rng = np.random.default_rng(0)
    classes = rng.choice(N_CLASSES, len(corpora), p=(0.25, 0.25, 0.5))
    return corpora, cells, classes, rng.integers(0, N_FOLDS, len(corpora))


class ArtificialLayers:
    """Layers of clips that know their classes, layer 7 best; always the same ones."""

    def __init__(self, n_layers: int = N_LAYERS, n_features: int = N_FEATURES):
        self.shape = n_layers, n_features
        self.rng = np.random.default_rng(1)
        scales = np.arange(1, N_LATENT + 1) ** -0.5
        self.mixing = [
            (scales[:, None] * self.rng.normal(size=(N_LATENT, n_features))).astype(np.float32)
            for _ in range(n_layers)
        ]
        self.centres = self.rng.normal(size=(N_CLASSES, N_LATENT)).astype(np.float32)

    def rows(self, classes: np.ndarray) -> Iterator[np.ndarray]:
        """Layers of each clip, one after the other, float16 (n_layers * n_features,)."""
        for start in range(0, len(classes), ROWS_A_CHUNK):
            chunk = classes[start : start + ROWS_A_CHUNK]
            layers = np.empty((len(chunk), *self.shape), np.float16)
            for layer, of_layer in enumerate(self.mixing):
                skill = 0.2 - 0.015 * abs(layer - BEST_LAYER)
                latent = self.rng.standard_normal((len(chunk), N_LATENT), dtype=np.float32)
                noise = self.rng.standard_normal((len(chunk), self.shape[1]), dtype=np.float32)
                layers[:, layer] = (latent + skill * self.centres[chunk]) @ of_layer + 0.3 * noise
            yield from (row.ravel() for row in layers)


def stored(classes: np.ndarray, folder: Path, made: ArtificialLayers) -> LayerTable:
    """The features of all clips on disk."""
    n = len(classes)
    store = Store(folder, "artificial", [str(row) for row in range(n)], np.float16)
    store.fill(
        np.arange(n), lambda _: (Row(row, "") for row in made.rows(classes)), Bars(), "features"
    )
    rows = StoredRows((store,), np.zeros(n, np.int32), np.arange(n))
    return LayerTable(rows, made.shape)


def training_sets() -> dict[str, tuple[set[str], set[str] | None]]:
    """Name -> its cells, and its corpora (None: all)."""
    return {
        setting.training_set: (
            set(map(str, setting.train)),
            None if setting.corpora is None else set(setting.corpora),
        )
        for setting in protocol.PROTOCOLS["all"]
    }


def main(
    folds: int = N_FOLDS, share: float = 1.0, layers: int = N_LAYERS, features: int = N_FEATURES
) -> None:
    """Print one line a training set, of all folds together."""
    corpora, cells, classes, fold_of = clips(share)
    reference = np.eye(N_CLASSES, dtype=np.int8)[classes]
    print(
        f"{len(classes)} clips, {layers} layers x {features} features, {folds} of {N_FOLDS} "
        f"folds, {cpu_count()} cores",
        flush=True,
    )
    total = 0.0
    print("| training set | clips in training | seconds a fold | layers | C | UAR |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        table = stored(classes, Path(folder, "features"), ArtificialLayers(layers, features))
        for name, (of_cells, of_corpora) in training_sets().items():
            chosen = np.isin(cells, list(of_cells))
            if of_corpora is not None:
                chosen &= np.isin(corpora, list(of_corpora))
            times, facts, recalls = [], [], []
            for fold in range(folds):
                part = (fold_of - fold) % N_FOLDS
                test, held_out = (np.flatnonzero(chosen & (part == i)) for i in (0, 1))
                train = np.flatnonzero(chosen & (part > 1))
                start, head = time.perf_counter(), BestLayerHead()
                validation = table.take(held_out), reference[held_out]
                head.fit(table.take(train), reference[train], exclusive=True, validation=validation)
                guesses = head.predict(table.take(test)).argmax(axis=1)
                times.append(time.perf_counter() - start)
                facts.append(head.facts)
                recalls.append([(guesses[classes[test] == c] == c).mean() for c in range(3)])
            total += sum(times)
            chosen_layers, strengths = ({fact[key] for fact in facts} for key in ("layer", "C"))
            print(
                f"| {name} | {len(train)} | {np.mean(times):.1f} | {sorted(chosen_layers)} | "
                f"{sorted(strengths)} | {100 * np.mean(recalls):.1f} |",
                flush=True,
            )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    whole = total * N_FOLDS / folds
    print(f"\n{total / 60:.1f} minutes; {N_FOLDS} folds: {whole / 60:.1f}; peak {peak_mb:.0f} MB")


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((int, float, int, int), sys.argv[1:], strict=False)))
