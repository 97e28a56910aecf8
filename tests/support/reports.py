"""A run made by hand, and parts of its report."""

import dataclasses
import json

import numpy as np
import pandas as pd

from bimotion.analysis import report as reporting
from bimotion.analysis.feature_space import record as views
from bimotion.analysis.feature_space.coverage import Coverage
from bimotion.analysis.runs import Run
from bimotion.analysis.runs import load as load_runs
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.protocol import settings as protocol
from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS
from bimotion.results import scoring
from bimotion.results.record import (
    CorpusUsed,
    DataUsed,
    FitRecord,
    ModelUsed,
    ProtocolUsed,
    RunSpec,
    SchemaUsed,
    Skipped,
    SplitUsed,
)
from tests.support.small_records import result_of

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)


VALENCE = SCHEMAS["valence"]


CREMA_D = CorpusUsed(
    20,
    7442,
    7442,
    True,
    {"no valence in surprise": 3},
    "the paper's split is by clip",
    {"measured": 20},
    False,
)


ESD = CorpusUsed(60, 35000, 35000, True, {}, None, {"assumed": 60}, False)


EMOTIONS = ["happiness", "happiness", "neutral", "fear", "angry", "sadness"]
SPEAKERS = ["a", "a", "b", "a", "b", "b"]
"""Of the six clips of a run."""


def predictions_of(answers: dict[str, list[str | None]], seeds, trained) -> pd.DataFrame:
    """The table of predictions of a run that takes its clips for what `answers` say."""
    rows = [
        {
            "train": train,
            "seed": seed,
            "fold": 0,
            "id": f"crema_d/{number}",
            "cell": "eng_eld",
            "corpus": "crema_d",
            "speaker": SPEAKERS[number],
            "probabilities": np.array(
                [0.8 if name == answer else 0.0 for name in VALENCE.classes], np.float32
            ),
            "reference": VALENCE.reference([EMOTIONS[number]], EMOTIONS),
            "trained": list(trained),
        }
        for train, answers_of_train in answers.items()
        for seed in seeds
        for number, answer in enumerate(answers_of_train)
    ]
    return pd.DataFrame(rows)


def made(
    answers: dict[str, list[str | None]],
    *,
    seeds=(0,),
    model="org/model",
    limit=None,
    corpora=None,
    trained=VALENCE.classes,
) -> Run:
    """A run on six clips of English elders, two speakers: training set -> what each clip is taken
    for (None: no class)."""
    table = predictions_of(answers, seeds, trained)
    settings = protocol.settings("inference", [Cell("eng", "eld")])
    spec = RunSpec(
        ModelUsed(model, "1"),
        "probe",
        SplitUsed("paper", 0, NUMBERS_VERSION),
        SchemaUsed("valence", "1", list(VALENCE.classes)),
        ProtocolUsed("inference", "1", ["eng_eld"]),
        list(seeds),
        limit,
        "0" * 12,
    )
    result = result_of(
        scoring.scores(table, settings, VALENCE),
        spec,
        data=DataUsed.of("0" * 12, corpora or {"crema_d": CREMA_D, "esd": ESD}),
        skipped=[
            Skipped(
                s.transfer, s.method, list(s.train_names), str(s.test), "no training clips; no luck"
            )
            for s in settings
            if s.training_set not in answers
        ],
        fits=[
            FitRecord(train, seed, 80, 10, 6, {"layer": 3}) for train in answers for seed in seeds
        ],
        n_parameters=None,
        duplicates=[],
    )
    return Run(result, table)


IN_GROUP = ["positive", "neutral", "neutral", "negative", "negative", None]


CROSS_AGE = ["negative"] * 6


def report_of(folder):
    [run] = load_runs([folder])
    return reporting.report_of(run, folder)


def section(report, name):
    return next(section for section in report.sections if section.name == name)


def view_of(result, **changes):
    """A view as `bimotion project` records it, of the model and the kind of data of a run."""
    rows = [
        views.Row("eng_eld", None, Coverage(6, 2, 5, coverage=0.5)),
        views.Row("eng_adu", None, Coverage(6, 2, 5)),
    ]
    asked = {
        name: getattr(result, name)
        for name in ("model", "track", "split", "schema", "limit", "provenance")
    }
    view = views.Projection(
        "0" * 12,
        **asked,
        seed=0,
        panels={"eng_eld": ["eng_eld"], "eng_adu": ["eng_adu"]},
        test=["eng_eld"],
        classes=["positive"],
        coverage=rows,
        left_out={},
        corpora=dict.fromkeys(result.data.corpora, 1),
        synthetic=result.data.synthetic,
        data_fingerprint="0",
        umap={},
    )
    return dataclasses.replace(view, **changes)


def keep(view, folder):
    folder.mkdir(parents=True)
    (folder / "projection.png").write_bytes(PNG)
    (folder / "coverage.json").write_text(json.dumps(dataclasses.asdict(view)))
