"""The confounds of a transfer: how well its features tell the corpus and the language, which they
should not need, among clips of one class.

A logistic regression on the probe's own features (of the layer that its training set chose) tells
the corpora of the training and test cells apart, class by class, and is tested on speakers that it
has not heard; of a corpus with fewer than three known speakers (TESS, CSED, ElderReact) on other
clips, where a voice may tell the corpus. Where it does so far above chance, a score across those
cells may be one of microphones and sentences as much as of emotion.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bimotion.data.labelled import LabelledClips
from bimotion.data.rules import hash_of
from bimotion.evaluation.tracks import Runner
from bimotion.io.progress import Progress
from bimotion.io.threads import one_thread_each
from bimotion.protocol.settings import Setting
from bimotion.results.record import Confound, FitRecord

MAX_CLIPS = 200
"""Of one corpus and class."""
N_FOLDS = 3
MIN_CLIPS = 2 * N_FOLDS
"""A corpus with fewer clips of a class plays no part in that class."""


def confounds(
    runner: Runner,
    labelled: LabelledClips,
    settings: Sequence[Setting],
    fits: Sequence[FitRecord],
    progress: Progress,
) -> list[Confound]:
    """The confounds of every setting that tests on another cell than it trains on.

    Training clips of both sides are used, of fold 0 where there are folds. Empty for tracks without
    features.
    """
    facts: dict[str, dict] = {}
    for fit in fits:
        facts.setdefault(fit.train, fit.facts)
    crossing = [setting for setting in settings if setting.train and setting.transfer != "in-group"]
    known: dict[tuple, dict] = {}
    rows = []
    for setting in progress.track(crossing, len(crossing), "confounds", unit="settings"):
        cells = sorted({*setting.train, setting.test})
        key = (*cells, setting.corpora, facts[setting.training_set].get("layer"))
        if key not in known:
            clips = labelled.places(cells, "train", setting.corpora)
            clips = clips[runner.positions[clips] >= 0]
            vectors = runner.clip_vectors(clips, facts[setting.training_set])
            if vectors is None:
                return []
            known[key] = _told_apart(vectors, labelled, clips)
        rows.append(Confound(setting.training_set, str(setting.test), **known[key]))
    return rows


def _told_apart(vectors: np.ndarray, labelled: LabelledClips, clips: np.ndarray) -> dict:
    """Fields of Confound: means over classes of recall and of its chance level."""
    table = labelled.table.iloc[clips]
    recalls = {"corpus": [], "language": []}
    n_clips = 0
    for chosen in _of_classes(table, labelled.reference[clips]):
        groups = _groups(table.iloc[chosen])
        n_clips += len(chosen)
        for name, values in recalls.items():
            names = table[name].to_numpy(str)[chosen]
            if (n_names := len(set(names))) > 1:
                values.append((_recall(vectors[chosen], names, groups), 1 / n_names))
    fields: dict = {"n_clips": n_clips}
    for name, values in recalls.items():
        mean = np.mean(values, axis=0).round(6).tolist() if values else (None, None)
        fields |= {name: mean[0], f"{name}_chance": mean[1]}
    return fields


def _of_classes(table: pd.DataFrame, reference: np.ndarray) -> Iterator[np.ndarray]:
    """Row numbers of the clips of each class: at most MAX_CLIPS a corpus, chosen by hash, of
    corpora with MIN_CLIPS; classes of one corpus are passed over."""
    order = np.argsort([hash_of(clip, 0) for clip in table["id"]])
    corpora = table["corpus"].to_numpy(str)
    for number in range(reference.shape[1]):
        rows = order[reference[order, number] == 1]
        of_corpora = [rows[corpora[rows] == name][:MAX_CLIPS] for name in sorted(set(corpora))]
        of_corpora = [chosen for chosen in of_corpora if len(chosen) >= MIN_CLIPS]
        if len(of_corpora) > 1:
            yield np.sort(np.concatenate(of_corpora))


def _groups(table: pd.DataFrame) -> np.ndarray:
    """The units that are not split between training and test: speakers, or clips where a corpus
    has fewer known ones than folds."""
    speakers = table["speaker"].where(table["speaker"].notna(), table["id"]).to_numpy(str)
    n_speakers = table.groupby("corpus")["speaker"].transform("nunique").to_numpy()
    return np.where(n_speakers >= N_FOLDS, speakers, table["id"].to_numpy(str))


def _recall(vectors: np.ndarray, names: np.ndarray, groups: np.ndarray) -> float:
    """Unweighted average recall of the names, in groups that were not heard."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000, tol=1e-3)
    folds = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), regression)
    with one_thread_each():
        predicted = cross_val_predict(model, vectors.astype(float), names, groups=groups, cv=folds)
    return float(balanced_accuracy_score(names, predicted))
