"""Scoring: a hand-made predictions table in, score rows out."""

import numpy as np
import pandas as pd
import pytest

from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import EMOTIONS, SCHEMAS
from bimotion.protocol.settings import Setting, settings
from bimotion.results.metrics import METRICS, STANDARD_METRICS
from bimotion.results.scoring import scores

ENG_ELD, ZHO_ELD = Cell("eng", "eld"), Cell("zho", "eld")
IN_GROUP = Setting("in-group", "inference", (ENG_ELD,), ENG_ELD)
CROSS_LINGUAL = Setting("cross-lingual", "inference", (ZHO_ELD,), ENG_ELD)

CREMA_D = ("sadness", "fear", "angry", "happiness", "disgust", "neutral")
TESS = (*CREMA_D, "surprise")


def clip(
    corpus,
    speaker,
    annotated,
    emotion,
    said,
    schema="emotion",
    train="eng_eld",
    cell="eng_eld",
    trained=CREMA_D,
):
    """One row: `said` gets 0.6 and every other class 0.1, but the classes that the corpus does not
    annotate 0.9."""
    schema = SCHEMAS[schema]
    reference = schema.reference([emotion], annotated)
    probabilities = np.where(reference == -1, 0.9, 0.1)
    probabilities[schema.classes.index(said)] = 0.6
    return {
        "train": train,
        "seed": 0,
        "cell": cell,
        "corpus": corpus,
        "speaker": speaker,
        "probabilities": probabilities.tolist(),
        "reference": reference.tolist(),
        "trained": list(trained),
    }


def table_of(rows):
    return pd.DataFrame(
        [{"id": f"{row['corpus']}/{number}", **row} for number, row in enumerate(rows)]
    )


def hand_made(**how):
    """Four clips of CREMA-D (one wrong, one speaker unknown), two of TESS (one wrong, one of an
    emotion not trained)."""
    return table_of(
        [
            clip("crema_d", "crema_d/1", CREMA_D, "sadness", "sadness", **how),
            clip("crema_d", "crema_d/1", CREMA_D, "sadness", "fear", **how),
            clip("crema_d", "crema_d/2", CREMA_D, "fear", "fear", **how),
            clip("crema_d", None, CREMA_D, "angry", "angry", **how),
            clip("tess", "tess/OAF", TESS, "surprise", "neutral", **how),
            clip("tess", "tess/OAF", TESS, "neutral", "neutral", **how),
        ]
    )


def by_set(rows, metric="weighted_f1"):
    """Corpus or pooling -> score row of a metric."""
    return {score.corpus or score.pooling: score for score in rows if score.metric == metric}


def scored(predictions, plan=(IN_GROUP,), schema="emotion", seed=0):
    return scores(predictions.assign(seed=seed), plan, SCHEMAS[schema])


def test_values_by_hand():
    rows = scored(hand_made())
    # crema_d: sadness 1 right, said 1, true 2 -> 2/3; fear 1, 2, 1 -> 2/3; angry 1 -> F1 (4/3 + 2/3
    # + 1) / 4
    # tess: surprise 0; neutral 1, 2, 1 -> 2/3 -> F1 1/3.    pooled: all six at once
    expected = {
        "crema_d": 3 / 4,
        "tess": 1 / 3,
        "mean": (3 / 4 + 1 / 3) / 2,
        "pooled": (4 / 3 + 2 / 3 + 1 + 0 + 2 / 3) / 6,
    }
    assert {name: score.value for name, score in by_set(rows).items()} == pytest.approx(
        expected, abs=1e-12
    )
    expected = {"crema_d": 3 / 4, "tess": 1 / 2, "mean": 5 / 8, "pooled": 4 / 6}
    assert {name: score.value for name, score in by_set(rows, "accuracy").items()} == pytest.approx(
        expected, abs=1e-12
    )
    expected = {
        "crema_d": 5 / 6,
        "tess": 1 / 2,
        "mean": 4 / 6,
        "pooled": (1 / 2 + 1 + 1 + 0 + 1) / 5,
    }
    assert {name: score.value for name, score in by_set(rows, "uar").items()} == pytest.approx(
        expected, abs=1e-12
    )
    expected = {
        "crema_d": 7 / 9,
        "tess": 1 / 3,
        "mean": (7 / 9 + 1 / 3) / 2,
        "pooled": (2 / 3 + 2 / 3 + 1 + 0 + 2 / 3) / 5,
    }
    assert {name: score.value for name, score in by_set(rows, "macro_f1").items()} == pytest.approx(
        expected, abs=1e-12
    )
    assert {n: s.value for n, s in by_set(rows, "f1_fear").items()} == pytest.approx(
        {"crema_d": 2 / 3, "pooled": 2 / 3}
    )
    assert {n: s.value for n, s in by_set(rows, "f1_neutral").items()} == pytest.approx(
        {"tess": 2 / 3, "pooled": 2 / 3}
    )


def test_rows_say_what_they_are_of():
    rows = scored(hand_made(), seed=7)
    per_class = {"crema_d": 3, "tess": 2, "pooled": 5, "mean": 0}  # F1 of each class with clips
    common = ["weighted_f1", "weighted_f1_multi", *STANDARD_METRICS]
    for name, n in per_class.items():
        metrics = [score.metric for score in rows if (score.corpus or score.pooling) == name]
        assert metrics[: len(common)] == common
        assert len(metrics) == len(common) + n
    for score in rows:
        assert (score.transfer, score.method, score.train, score.test) == (
            "in-group",
            "inference",
            ["eng_eld"],
            "eng_eld",
        )
        assert (score.corpus is None) == (score.pooling in ("mean", "pooled"))
        assert score.seed == 7
        assert type(score.value) is float


def test_classes_are_only_those_with_clips():
    rows = by_set(scored(hand_made()))
    assert rows["crema_d"].classes == ["sadness", "fear", "angry"]
    assert rows["tess"].classes == ["neutral", "surprise"]
    assert (
        rows["pooled"].classes
        == rows["mean"].classes
        == ["sadness", "fear", "angry", "neutral", "surprise"]
    )


def test_classes_without_training_are_listed():
    rows = by_set(scored(hand_made()))
    assert rows["crema_d"].untrained == []
    assert (
        rows["tess"].untrained == rows["pooled"].untrained == rows["mean"].untrained == ["surprise"]
    )
    rows = by_set(scored(hand_made(trained=("happiness",))))
    assert rows["crema_d"].untrained == ["sadness", "fear", "angry"]


def test_counts_of_clips_and_speakers():
    rows = by_set(scored(hand_made()))
    counts = {
        name: (score.n_utterances, score.n_speakers, score.n_speaker_unknown)
        for name, score in rows.items()
    }
    assert counts == {
        "crema_d": (4, 2, 1),
        "tess": (2, 1, 0),
        "pooled": (6, 3, 1),
        "mean": (6, 3, 1),
    }
    assert {type(number) for numbers in counts.values() for number in numbers} == {int}


def test_nobody_known():
    nobody = hand_made().assign(speaker=None)
    assert {
        (score.n_speakers, score.n_speaker_unknown) for score in by_set(scored(nobody)).values()
    } == {
        (0, 4),
        (0, 2),
        (0, 6),
    }


def test_what_a_corpus_does_not_annotate_is_never_predicted():
    """Masked classes hold the highest probability of every row; in one table or two, they change
    nothing."""
    predictions = hand_made()
    tamed = predictions.assign(
        probabilities=[
            [0.0 if mark == -1 else value for mark, value in zip(reference, values, strict=True)]
            for reference, values in zip(
                predictions["reference"], predictions["probabilities"], strict=True
            )
        ]
    )
    assert scored(predictions) == scored(tamed)


@pytest.mark.parametrize("seed", range(4))
def test_order_of_rows_is_irrelevant(seed):
    predictions = pd.concat(
        [hand_made(), hand_made(train="zho_eld", trained=("neutral",))], ignore_index=True
    )
    plan = [IN_GROUP, CROSS_LINGUAL]
    assert scored(predictions.sample(frac=1, random_state=seed), plan) == scored(predictions, plan)


def test_a_parquet_file_scores_like_the_table_it_was_written_from(tmp_path):
    hand_made().to_parquet(tmp_path / "predictions.parquet", index=False)
    assert scored(pd.read_parquet(tmp_path / "predictions.parquet")) == scored(hand_made())


def test_setting_without_predictions_gives_no_rows():
    rows = scored(hand_made(), [CROSS_LINGUAL, IN_GROUP])
    assert {score.transfer for score in rows} == {"in-group"}
    assert scored(hand_made(), [CROSS_LINGUAL]) == []
    assert scored(hand_made(), []) == []
    assert scored(hand_made(cell="eng_adu")) == []


def test_training_set_serves_every_setting_that_needs_it():
    """All of English stands in the plan of two test cells; each setting sees its own cell's clips
    only."""
    train = "eng_eld+eng_adu"
    assert train == "eng_eld+eng_adu"
    adults = table_of(
        [clip("crema_d", "crema_d/9", CREMA_D, "sadness", "fear", train=train, cell="eng_adu")]
    )
    rows = scored(pd.concat([hand_made(train=train), adults]), settings("all"))
    assert {(score.transfer, score.method, score.test) for score in rows} == {
        ("cross-age", "augmentation", "eng_eld"),
        ("cross-age", "augmentation", "eng_adu"),
    }
    of_cell = {
        score.test: score for score in rows if (score.metric, score.pooling) == ("accuracy", "mean")
    }
    assert (of_cell["eng_eld"].value, of_cell["eng_eld"].n_utterances) == (5 / 8, 6)
    assert (of_cell["eng_adu"].value, of_cell["eng_adu"].n_utterances) == (0.0, 1)
    assert {tuple(score.train) for score in rows} == {("eng_eld", "eng_adu")}


def test_multi_label_form():
    """crema_d: sadness 1 of 2 and fear 1 of 1 with one false; each row says one class only."""
    rows = by_set(scored(hand_made()), "weighted_f1_multi")
    assert rows["crema_d"].value == pytest.approx(3 / 4, abs=1e-12)
    assert rows["mean"].value == pytest.approx((3 / 4 + 1 / 3) / 2, abs=1e-12)


def test_metric_undefined_for_one_corpus_leaves_the_mean_to_the_others():
    # nothing of what it annotates
    unmarked = table_of([clip("elderreact", None, CREMA_D, "surprise", "sadness")])
    rows = scored(pd.concat([hand_made(), unmarked]))
    multi = by_set(rows, "weighted_f1_multi")
    assert multi["elderreact"].value is None
    assert multi["mean"].value == pytest.approx((3 / 4 + 1 / 3) / 2, abs=1e-12)
    assert by_set(rows)["elderreact"].value == 1.0  # as the first class annotated, sadness
    assert [score.value for score in by_set(scored(unmarked), "weighted_f1_multi").values()] == [
        None
    ] * 3


def test_valence():
    """An exclusive schema: no multi-label form; a corpus that cannot say neutral is never predicted
    neutral."""
    how = {"schema": "valence", "trained": ("positive", "neutral")}
    elderreact = ("sadness", "fear", "angry", "happiness", "disgust", "surprise")
    predictions = table_of(
        [
            clip("crema_d", "crema_d/1", CREMA_D, "sadness", "negative", **how),
            clip("crema_d", "crema_d/2", CREMA_D, "happiness", "neutral", **how),
            clip("elderreact", None, elderreact, "fear", "negative", **how),
            clip("elderreact", None, elderreact, "happiness", "positive", **how),
        ]
    )
    rows = scored(predictions, schema="valence")
    assert {score.metric for score in rows} == {*METRICS, "f1_positive", "f1_negative"}
    assert {name: score.value for name, score in by_set(rows, "accuracy").items()} == {
        "crema_d": 0.5,
        "elderreact": 1.0,
        "mean": 0.75,
        "pooled": 0.75,
    }
    assert by_set(rows)["crema_d"].classes == ["positive", "negative"]
    assert by_set(rows)["crema_d"].untrained == ["negative"]


def test_predicting_a_class_without_clips_costs_the_others():
    """`disgust` has no clip: it is no class of the score, and what is lost to it is lost."""
    rows = scored(
        table_of([clip("crema_d", None, CREMA_D, "fear", said) for said in ("fear", "disgust")])
    )
    assert by_set(rows, "uar")["crema_d"].value == 0.5
    assert by_set(rows)["crema_d"].value == pytest.approx(2 / 3, abs=1e-12)
    assert by_set(rows)["crema_d"].classes == ["fear"]


def test_columns_are_the_schemas():
    assert {score.metric for score in scored(hand_made()) if score.metric.startswith("f1_")} <= {
        f"f1_{e}" for e in EMOTIONS
    }


def test_clips_without_any_positive_count_in_the_papers_metric_alone():
    """The paper's arg-max makes an all-zero row the first annotated class; recall of such a row
    means nothing."""
    nothing = clip("crema_d", "crema_d/3", CREMA_D, "sadness", "fear")
    nothing["reference"] = [0 if mark == 1 else mark for mark in nothing["reference"]]
    marked = hand_made()
    rows = scored(table_of([*marked.drop(columns="id").to_dict("records"), nothing]))
    assert by_set(rows)["crema_d"].n_utterances == 5
    assert by_set(rows)["crema_d"].value < by_set(scored(marked))["crema_d"].value
    for metric in (*STANDARD_METRICS, "f1_fear"):
        with_it, without = (by_set(one, metric)["crema_d"] for one in (rows, scored(marked)))
        assert (with_it.value, with_it.n_utterances) == (without.value, without.n_utterances)


def test_where_every_class_has_probability_0_nothing_is_predicted():
    table = hand_made()
    table["probabilities"] = [[0.0] * len(values) for values in table["probabilities"]]
    assert {score.value for score in scored(table)} == {0.0}
