"""What a shorter window costs and gives, with real models on real clips: python -m
benchmarks.windows CORPORA_ROOT MODEL [MODEL ...]

Of every window: seconds of a core that the encoder takes for a clip (24 of the clips, decoded
beforehand, so that other work on the machine hardly counts); of how many of these a frame of the
clip itself is vast (ten times the median norm, in some layer); how far the features of each layer
are from those of the model's own window (norm of the difference over norm, mean over all clips; and
in standard deviations of each feature over clips, root mean square, as a head sees them); weighted
F1 of logistic regression on each layer, CSED, five times five folds by clip (which share speakers);
and scores of the benchmark's default, beside those of the model's own window, with the intervals of
`bimotion compare`. Runs and features are kept: a second call only measures time.
"""

import argparse
import inspect
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import bimotion
from bimotion.analysis.runs import Run
from bimotion.data import manifest
from bimotion.data.features import LayerTable, layer_features
from bimotion.data.source import CorpusSource
from bimotion.io import audio
from bimotion.io.progress import default_progress
from bimotion.io.tables import Table, percent, points
from bimotion.models import encoder as encoders
from bimotion.models.spec import ModelSpec
from bimotion.results import rescoring
from bimotion.results.statistics.paired import compare

WINDOWS = ("model", "clip", "5", "8", "15")
STRENGTH = 0.01
"""C of the logistic regression by layer."""
N_REPEATS, N_FOLDS = 5, 5
N_TIMED, VAST = 24, 10


def seconds_a_clip(encoder, waveforms: list[np.ndarray]) -> float:
    """Seconds of a core that a clip takes, one clip at a time as on a CPU, its spectrogram
    included."""
    groups = [[waveform] for waveform in waveforms]
    list(encoder.encode_groups(groups[:2]))
    start = time.process_time()
    list(encoder.encode_groups(groups))
    return (time.process_time() - start) / len(groups)


def n_vast(encoder, waveforms: list[np.ndarray]) -> int:
    """Clips with a frame of their own that has VAST times the median norm, in some layer."""
    states_of, ratios = encoder._states, []

    def watched(output) -> list:
        states = states_of(output)
        norms = [state.norm(dim=-1)[encoder._inputs.sound(state)] for state in states]
        ratios.append(max(float(norm.max() / norm.median()) for norm in norms))
        return states

    encoder._states = watched
    list(encoder.encode_groups([[waveform] for waveform in waveforms]))
    encoder._states = states_of
    return sum(ratio > VAST for ratio in ratios)


def changes(own: LayerTable, other: LayerTable) -> tuple[list[float], list[float]]:
    """The change of features of each layer: norm of the difference over norm, mean over clips; and
    root mean square of the difference, in standard deviations of each feature over clips."""
    rows = np.arange(len(own.stored.index_of))
    relative, standardised = [], []
    for layer in range(own.shape[0]):
        before, after = (table.layer(rows, layer).astype(np.float64) for table in (own, other))
        change, spread = after - before, before.std(axis=0)
        norms = np.linalg.norm(change, axis=1) / np.linalg.norm(before, axis=1)
        relative.append(float(norms.mean()))
        varies = spread > 0
        scaled = change[:, varies] / spread[varies]
        standardised.append(float(np.sqrt(np.square(scaled).mean())))
    return relative, standardised


def layer_scores(table: LayerTable, rows: np.ndarray, labels: np.ndarray) -> list[float]:
    """Weighted F1 of each layer, mean over repeats."""
    by_layer = []
    for layer in range(table.shape[0]):
        features, values = table.layer(rows, layer), []
        head = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
        for repeat in range(N_REPEATS):
            folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=repeat)
            predicted = cross_val_predict(head, features, labels, cv=folds)
            values.append(f1_score(labels, predicted, average="weighted"))
        by_layer.append(float(np.mean(values)))
    return by_layer


def finished_runs(model: str, windows: list[str], root: Path, output: Path) -> list[Run]:
    """The benchmark's default under each window; read back where it was run before."""
    results = (
        bimotion.evaluate(model, data_dir=root, allow_missing=True, output=output, window=window)
        for window in windows
    )
    return [Run(*rescoring.read(result.folder(output))) for result in results]


def feature_table(model: str, windows: list[str], clips: manifest.Manifest, tested: Run) -> Table:
    """A row a window: what it costs, how far its features are, what each layer tells of CSED."""
    is_tested = clips.table["id"].isin(tested.predictions["id"])
    table = clips.table[is_tested].sort_values("duration_s").reset_index(drop=True)
    timed = table.iloc[np.linspace(0, len(table) - 1, N_TIMED).astype(int)]
    waveforms = [audio.decode(clips.path(row.corpus, row.path)) for row in timed.itertuples()]
    csed = np.flatnonzero(table["corpus"] == "csed")
    labels = table["emotions"].iloc[csed].map(lambda emotions: next(iter(emotions))).to_numpy()
    shown = Table(
        f"{Path(model).name}: {len(table)} clips, {table['duration_s'].mean():.2f} s on average",
        [
            *("window", "s a clip", "times faster", f"clips of {N_TIMED} with a vast frame"),
            *("change by layer", "in standard deviations", "F1 of CSED by layer, %"),
        ],
    )
    own, own_s = None, None
    for window in windows:
        encoder = encoders.load(ModelSpec(model, window=window))
        features = layer_features(encoder, clips, table, default_progress())
        seconds = seconds_a_clip(encoder, waveforms)
        own, own_s = own or features, own_s or seconds
        moved = (" ".join(f"{c:.2f}" for c in change) for change in changes(own, features))
        scores = " ".join(f"{100 * score:.1f}" for score in layer_scores(features, csed, labels))
        cost = (f"{seconds:.3f}", f"{own_s / seconds:.1f}", str(n_vast(encoder, waveforms)))
        shown.rows.append([window, *cost, *moved, scores])
    return shown


def score_table(model: str, windows: list[str], runs: list[Run]) -> Table:
    """A row a setting: weighted F1, and of other windows the difference from the model's own."""
    own, settings = runs[0], runs[0].settings
    table = Table(
        f"{Path(model).name}: weighted F1, %, and points more than with its own window",
        ["trained on -> tested on", *windows],
    )
    pairs = [compare(run.predictions, own.predictions, settings, own.schema) for run in runs[1:]]
    for number, setting in enumerate(settings):
        value = own.result.headline(*setting.id[:2], setting.id.test, train=setting.id.train)
        differences = (pair[number].difference for pair in pairs)
        shown = [f"{points(d.value)} ({points(d.low)} to {points(d.high)})" for d in differences]
        name = f"{setting.transfer} {setting.method}: {setting.training_set} -> {setting.test}"
        table.rows.append([name, percent(value), *shown])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__).splitlines()[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--windows", nargs="+", default=WINDOWS, help="the model's own first")
    parser.add_argument("--output", type=Path, default=Path("results"))
    options = parser.parse_args()
    windows = options.windows
    torch.set_num_threads(1)
    clips = manifest.build(CorpusSource.of(options.corpora, allow_missing=True))
    for model in options.models:
        runs = finished_runs(model, windows, options.corpora, options.output)
        print(score_table(model, windows, runs).markdown(), end="\n\n", flush=True)
        print(feature_table(model, windows, clips, runs[0]).markdown(), flush=True)


if __name__ == "__main__":
    main()
