"""The prosodic baseline's features on real clips, beside openSMILE's: python benchmarks/prosody.py
[CORPORA_ROOT]

Clips a second on one core (audio decoded beforehand), and weighted F1 of the same head
(standardise, logistic regression) over 20 stratified splits with 40 % of the clips in training:
CSED (3 classes), TESS elderly and adult (7 emotions), and across the two TESS speakers. openSMILE
(eGeMAPSv02) is measured where `pip install opensmile` was done; its licence forbids commercial use,
which is why it is no dependency.
"""

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import sys
import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.io import audio
from bimotion.models import prosody
from bimotion.models.heads import LogisticHead


def extractors() -> dict:
    """Name -> waveform to vector."""
    found = {"bimotion/prosody": prosody.functionals}
    try:
        import opensmile
    except ImportError:
        print("openSMILE: not installed, not measured")
        return found
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    return found | {
        "openSMILE eGeMAPSv02": lambda waveform: smile.process_signal(waveform, 16000).to_numpy()[0]
    }


def head():
    """The baseline's own head."""
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=LogisticHead.strength, max_iter=1000)
    )


def within(features: np.ndarray, labels: np.ndarray) -> str:
    """Weighted F1, mean and standard deviation over splits."""
    splits = StratifiedShuffleSplit(20, train_size=0.4, random_state=0).split(features, labels)
    scores = [
        f1_score(
            labels[test],
            head().fit(features[train], labels[train]).predict(features[test]),
            average="weighted",
        )
        for train, test in splits
    ]
    return f"{np.mean(scores):.3f} +- {np.std(scores):.3f}"


def across(features: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> str:
    """Weighted F1 of all of one speaker on all of the other."""
    predicted = head().fit(features[train], labels[train]).predict(features[test])
    return f"{f1_score(labels[test], predicted, average='weighted'):.3f}"


def main(root: str | None = None) -> None:
    """Print one line an extractor and measurement."""
    warnings.simplefilter("ignore")
    found = manifest.build(CorpusSource.of(root, only=["tess", "csed"]))
    table = found.table
    waveforms = [
        audio.decode(found.path(*place))
        for place in zip(table["corpus"], table["path"], strict=True)
    ]
    seconds = sum(map(len, waveforms)) / 16000
    labels = table["native_label"].to_numpy(str)
    csed = (table["corpus"] == "csed").to_numpy()
    older, younger = ((table["speaker"] == f"tess/{name}").to_numpy() for name in ("OAF", "YAF"))
    print(
        f"{len(waveforms)} clips, {seconds / len(waveforms):.2f} s on average: CSED {csed.sum()}, "
        f"TESS {(~csed).sum()}"
    )
    for name, extract in extractors().items():
        extract(waveforms[0])
        start = time.perf_counter()
        features = np.stack([extract(waveform) for waveform in waveforms])
        spent = time.perf_counter() - start
        print(
            f"{name}: {features.shape[1]} features, {len(waveforms) / spent:.0f} clips/s, "
            f"{seconds / spent:.0f} s of sound/s"
        )
        print(f"  CSED          {within(features[csed], labels[csed])}")
        print(f"  TESS elderly  {within(features[older], labels[older])}")
        print(f"  TESS adult    {within(features[younger], labels[younger])}")
        print(f"  elderly -> adult {across(features, labels, older, younger)}")
        print(f"  adult -> elderly {across(features, labels, younger, older)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
