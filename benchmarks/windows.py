"""What a shorter window costs and gives, with real models on real clips: python -m
benchmarks.windows CORPORA_ROOT MODEL [MODEL ...]

Of every window: clips a second of the encoder (a sample of the clips, decoded beforehand); how far
the features of each layer are from those of the model's own window (norm of the difference over
norm, mean over all clips); weighted F1 of logistic regression on each layer, CSED, five times five
folds by clip (which share speakers); and scores of the benchmark's default beside those of the
model's own window, with the intervals of `bimotion compare`. Runs and features are kept, so that a
second call only measures time.
"""

import argparse
import inspect
import time
from pathlib import Path

import numpy as np
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


def clips_a_second(encoder, waveforms: list[np.ndarray]) -> float:
    """Clips a second, one at a time as on a CPU."""
    groups = [[waveform] for waveform in waveforms]
    list(encoder.encode_groups(groups[:2]))
    start = time.perf_counter()
    list(encoder.encode_groups(groups))
    return len(groups) / (time.perf_counter() - start)


def changes(own: LayerTable, other: LayerTable) -> list[float]:
    """Norm of the difference over norm of the features of each layer, mean over clips."""
    rows = np.arange(len(own.stored.index_of))
    by_layer = []
    for layer in range(own.shape[0]):
        before, after = (table.layer(rows, layer).astype(np.float64) for table in (own, other))
        norms = np.linalg.norm(before, axis=1)
        by_layer.append(float((np.linalg.norm(after - before, axis=1) / norms).mean()))
    return by_layer


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


def feature_table(model: str, windows: list[str], clips: manifest.Manifest, n_timed: int) -> Table:
    """A row a window: speed, change of features, what each layer tells of CSED."""
    chosen = clips.table.sort_values("duration_s").reset_index(drop=True)
    timed = chosen.iloc[np.linspace(0, len(chosen) - 1, n_timed).astype(int)]
    waveforms = [audio.decode(clips.path(row.corpus, row.path)) for row in timed.itertuples()]
    csed = np.flatnonzero(chosen["corpus"] == "csed")
    labels = chosen["emotions"].iloc[csed].map(lambda emotions: next(iter(emotions))).to_numpy()
    title = (
        f"{Path(model).name}: {len(chosen)} clips, {chosen['duration_s'].mean():.2f} s on average"
    )
    table = Table(
        title, ["window", "clips/s", "times", "change by layer", "F1 of CSED by layer, %"]
    )
    own, own_rate = None, None
    for window in windows:
        encoder = encoders.load(ModelSpec(model, window=window))
        features = layer_features(encoder, clips, chosen, default_progress())
        rate = clips_a_second(encoder, waveforms)
        own, own_rate = own or features, own_rate or rate
        moved = " ".join(f"{change:.2f}" for change in changes(own, features))
        scores = " ".join(percent(score) for score in layer_scores(features, csed, labels))
        table.rows.append([window, f"{rate:.2f}", f"{rate / own_rate:.1f}", moved, scores])
    return table


def score_table(model: str, windows: list[str], root: Path, output: Path) -> Table:
    """A row a setting: weighted F1, and of other windows the difference from the model's own."""
    runs = []
    for window in windows:
        result = bimotion.evaluate(
            model, data_dir=root, allow_missing=True, output=output, window=window
        )
        runs.append(Run(*rescoring.read(result.folder(output))))
    own, settings = runs[0], runs[0].settings
    header = ["trained on -> tested on", *windows]
    table = Table(f"{Path(model).name}: weighted F1, %, and points more than {windows[0]}", header)
    pairs = [
        {
            pair.setting.id: pair.difference
            for pair in compare(run.predictions, own.predictions, settings, own.schema)
        }
        for run in runs[1:]
    ]
    for setting in settings:
        value = own.result.headline(
            setting.transfer, setting.method, str(setting.test), train=setting.id.train
        )
        differences = (pair[setting.id] for pair in pairs)
        shown = [f"{points(d.value)} ({points(d.low)} to {points(d.high)})" for d in differences]
        name = f"{setting.transfer} {setting.method}: {setting.training_set} -> {setting.test}"
        table.rows.append([name, percent(value), *shown])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__).splitlines()[0])
    parser.add_argument("corpora", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--windows", nargs="+", default=WINDOWS, help="the model's own first")
    parser.add_argument("--timed", type=int, default=30, help="clips that are timed")
    parser.add_argument("--output", type=Path, default=Path("results"))
    options = parser.parse_args()
    source = CorpusSource.of(options.corpora, allow_missing=True)
    clips = manifest.build(source)
    for model in options.models:
        print(feature_table(model, options.windows, clips, options.timed).markdown(), end="\n\n")
        print(score_table(model, options.windows, options.corpora, options.output).markdown())


if __name__ == "__main__":
    main()
