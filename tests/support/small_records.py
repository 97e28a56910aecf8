"""A small record of a run, and strategies that make any record."""

from pathlib import Path

from hypothesis import strategies as st

from bimotion.io.versions import NUMBERS_VERSION
from bimotion.results import record as results
from bimotion.results.duplicates import Duplicates
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
    Score,
    Skipped,
    SplitUsed,
)

SPEC = RunSpec(
    model=ModelUsed("bimotion/test", "1-1"),
    track="probe",
    split=SplitUsed("paper", 0, NUMBERS_VERSION),
    schema=SchemaUsed("emotion", "1", ["fear", "neutral"]),
    protocol=ProtocolUsed("all", "1"),
    seeds=[0],
    limit=None,
    data_fingerprint="0123456789ab",
)


SCORE = Score(
    "in-group",
    "inference",
    ["eng_eld"],
    "eng_eld",
    None,
    "mean",
    "weighted_f1",
    0.5,
    n_utterances=10,
    n_speakers=2,
    n_speaker_unknown=1,
    classes=["fear", "neutral"],
    untrained=["fear"],
    out_of_label_space=0.5,
    seed=0,
)


CREMA_D = CorpusUsed(7000, 7000, 7442, False, {"unreadable": 2}, None, {"measured": 7000}, False)


MADE = Provenance(
    {"numpy": "2.4.6"},
    "3.11.7",
    None,
    "test",
    "cpu",
    [0],
    {},
    "2026-11-21T00:00:00+00:00",
    "2026-11-21T00:00:01+00:00",
    None,
)


ASKED = ("key", "model", "track", "split", "schema", "protocol", "seeds", "limit", "adapt")


def result_of(scores=(SCORE,), spec=SPEC, **changes):
    content = {name: getattr(spec, name) for name in ASKED}
    content |= {
        "data": DataUsed.of(spec.data_fingerprint, {"crema_d": CREMA_D}),
        "provenance": MADE,
        "scores": list(scores),
        "skipped": [
            Skipped(
                "cross-age", "inference", ["eng_adu"], "eng_eld", "no training clips in eng_adu"
            )
        ],
        "fits": [FitRecord("eng_eld", 0, 80, 10, 10, {"layer": 3, "chosen_by": "validation"})],
        "n_parameters": 1000,
        "duplicates": [Duplicates("eng_eld", "eng_eld", "crema_d", 400, 24, 5)],
    }
    return Result(**content | changes)


def loaded(text, folder):
    path = Path(folder) / "result.json"
    path.write_text(text, encoding="utf-8")
    return results.load(path)


corpora = st.dictionaries(st.text(), st.builds(CorpusUsed), max_size=3)


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False)
)


models = st.builds(ModelUsed, options=st.dictionaries(st.text(), values, max_size=3))
