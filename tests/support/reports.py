"""A run made by hand, and parts of its report."""

import dataclasses
import json

import numpy as np
import pandas as pd

from bimotion.analysis import compare
from bimotion.analysis import report as reporting
from bimotion.analysis.compare import Run
from bimotion.analysis.feature_space import record as views
from bimotion.analysis.feature_space.coverage import Coverage
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
    Provenance,
    Result,
    RunSpec,
    SchemaUsed,
    Skipped,
    SplitUsed,
)

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


def made(
    said: dict[str, list[str | None]],
    *,
    seeds=(0,),
    model="org/model",
    limit=None,
    corpora=None,
    trained=VALENCE.classes,
):
    """A run on six clips of English elders, two speakers: training set -> what each clip is taken
    for (None: no class)."""
    emotions = ["happiness", "happiness", "neutral", "fear", "angry", "sadness"]
    clips = list(zip(emotions, ["a", "a", "b", "a", "b", "b"], strict=True))
    rows = [
        {
            "train": train,
            "seed": seed,
            "id": f"crema_d/{number}",
            "cell": "eng_eld",
            "corpus": "crema_d",
            "speaker": speaker,
            "probabilities": np.array(
                [0.8 if name == taken[number] else 0.0 for name in VALENCE.classes], np.float32
            ),
            "reference": VALENCE.reference([emotion], emotions),
            "trained": list(trained),
        }
        for train, taken in said.items()
        for seed in seeds
        for number, (emotion, speaker) in enumerate(clips)
    ]
    table = pd.DataFrame(rows)
    settings = protocol.settings("inference", [Cell("eng", "eld")])
    spec = RunSpec(
        ModelUsed(model, "1"),
        "probe",
        SplitUsed("paper", 0, "1"),
        SchemaUsed("valence", "1", list(VALENCE.classes)),
        ProtocolUsed("inference", "1", ["eng_eld"]),
        list(seeds),
        limit,
        "0" * 12,
    )
    left = [one for one in settings if one.training_set not in said]
    asked = {
        name: getattr(spec, name)
        for name in ("key", "model", "track", "split", "schema", "protocol", "seeds", "limit")
    }
    result = Result(
        **asked,
        data=DataUsed.of("0" * 12, corpora or {"crema_d": CREMA_D, "esd": ESD}),
        provenance=Provenance(
            {"numpy": "2"},
            "3.11",
            None,
            "here",
            "cpu",
            [0],
            {},
            "",
            "2026-11-21T00:00:00+00:00",
            None,
        ),
        scores=scoring.scores(table, settings, VALENCE),
        skipped=[
            Skipped(
                s.transfer, s.method, list(s.train_names), str(s.test), "no training clips; no luck"
            )
            for s in left
        ],
        fits=[FitRecord(train, seed, 80, 10, 6, {"layer": 3}) for train in said for seed in seeds],
        n_parameters=None,
    )
    return Run(result, table)


IN_GROUP = ["positive", "neutral", "neutral", "negative", "negative", None]


CROSS_AGE = ["negative"] * 6


def report_of(folder):
    [run] = compare.load([folder])
    return reporting.report_of(run, folder)


def section(report, name):
    [found] = [one for one in report.sections if one.name == name]
    return found


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


def keep(view, place):
    place.mkdir(parents=True)
    (place / "projection.png").write_bytes(PNG)
    (place / "coverage.json").write_text(json.dumps(dataclasses.asdict(view)))
