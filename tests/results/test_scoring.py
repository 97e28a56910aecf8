"""Scoring: a hand-made predictions table in, score rows out."""

import numpy as np
import pandas as pd
import pytest

from bimotion.protocol.cells import Cell
from bimotion.protocol.labels import SCHEMAS, scored_schema
from bimotion.protocol.settings import Setting, settings
from bimotion.results.metrics import METRICS
from bimotion.results.scoring import scores

ENG_ELD, ZHO_ELD = Cell("eng", "eld"), Cell("zho", "eld")
IN_GROUP = Setting("in-group", "inference", (ENG_ELD,), ENG_ELD)
CROSS_LINGUAL = Setting("cross-lingual", "inference", (ZHO_ELD,), ENG_ELD)

CREMA_D = ("sadness", "fear", "angry", "happiness", "disgust", "neutral")
ANNOTATED = {
    "crema_d": CREMA_D,
    "tess": (*CREMA_D, "surprise"),
    "elderreact": ("sadness", "fear", "angry", "happiness", "disgust", "surprise"),
}


def clip(corpus, speaker, emotion, predicted, schema="emotion"):
    """One row: `predicted` gets 0.6 and every other class 0.1, but the classes that the corpus does
    not annotate 0.9."""
    schema = SCHEMAS[schema]
    reference = schema.reference([emotion], ANNOTATED[corpus])
    probabilities = np.where(reference == -1, 0.9, 0.1)
    probabilities[schema.classes.index(predicted)] = 0.6
    return {
        "corpus": corpus,
        "speaker": speaker,
        "probabilities": probabilities.tolist(),
        "reference": reference.tolist(),
    }


def table_of(rows, train="eng_eld", cell="eng_eld", trained=CREMA_D):
    table = pd.DataFrame(rows).assign(seed=0, train=train, cell=cell)
    table["id"] = [f"{corpus}/{number}" for number, corpus in enumerate(table["corpus"])]
    return table.assign(trained=[list(trained)] * len(table))


def hand_made(**facts):
    """Four clips of CREMA-D (one wrong, one speaker unknown), two of TESS (one wrong, one of an
    emotion not trained)."""
    rows = [
        clip("crema_d", "crema_d/1", "sadness", "sadness"),
        clip("crema_d", "crema_d/1", "sadness", "fear"),
        clip("crema_d", "crema_d/2", "fear", "fear"),
        clip("crema_d", None, "angry", "angry"),
        clip("tess", "tess/OAF", "surprise", "neutral"),
        clip("tess", "tess/OAF", "neutral", "neutral"),
    ]
    return table_of(rows, **facts)


def scored(predictions, plan=(IN_GROUP,), schema="emotion", split_rule="folds"):
    return scores(predictions, plan, scored_schema(schema, split_rule))


def by_set(rows, metric="weighted_f1"):
    """Corpus or pooling -> score row of a metric."""
    return {score.corpus or score.pooling: score for score in rows if score.metric == metric}


def values_of(rows, metric="weighted_f1"):
    return {name: score.value for name, score in by_set(rows, metric).items()}


# crema_d: sadness 1 right, predicted 1, true 2 -> 2/3; fear 1, 2, 1 -> 2/3; angry 1 -> F1 (4/3 +
# 2/3 + 1) / 4. tess: surprise 0; neutral 1, 2, 1 -> 2/3 -> F1 1/3. pooled: all six at once
BY_HAND = {
    "weighted_f1": (3 / 4, 1 / 3, (3 / 4 + 1 / 3) / 2, (4 / 3 + 2 / 3 + 1 + 0 + 2 / 3) / 6),
    "accuracy": (3 / 4, 1 / 2, 5 / 8, 4 / 6),
    "uar": (5 / 6, 1 / 2, 4 / 6, (1 / 2 + 1 + 1 + 0 + 1) / 5),
    "macro_f1": (7 / 9, 1 / 3, (7 / 9 + 1 / 3) / 2, (2 / 3 + 2 / 3 + 1 + 0 + 2 / 3) / 5),
}


@pytest.mark.parametrize(("metric", "expected"), BY_HAND.items())
def test_values_by_hand(metric, expected):
    names = ("crema_d", "tess", "mean", "pooled")
    assert values_of(scored(hand_made()), metric) == pytest.approx(
        dict(zip(names, expected, strict=True)), abs=1e-12
    )


def test_values_of_classes_and_of_the_multi_label_form_by_hand():
    """crema_d: sadness 1 of 2 and fear 1 of 1 with one false; each row predicts one class only."""
    rows = scored(hand_made())
    assert values_of(rows, "f1_fear") == pytest.approx({"crema_d": 2 / 3, "pooled": 2 / 3})
    assert values_of(rows, "f1_neutral") == pytest.approx({"tess": 2 / 3, "pooled": 2 / 3})
    multi = values_of(rows, "weighted_f1_multi")
    assert [multi["crema_d"], multi["mean"]] == pytest.approx([3 / 4, (3 / 4 + 1 / 3) / 2])


def test_rows_state_their_setting_in_a_fixed_order():
    rows = scored(hand_made().assign(seed=7))
    per_class = {"crema_d": 3, "tess": 2, "pooled": 5, "mean": 0}  # F1 of each class with clips
    common = ["weighted_f1", "weighted_f1_multi", "macro_f1", "uar", "accuracy"]
    for name, n in per_class.items():
        metrics = [score.metric for score in rows if (score.corpus or score.pooling) == name]
        assert metrics[: len(common)] == common
        assert len(metrics) == len(common) + n
    for score in rows:
        setting = (score.transfer, score.method, score.train, score.test, score.seed)
        assert setting == ("in-group", "inference", ["eng_eld"], "eng_eld", 7)
        assert (score.corpus is None) == (score.pooling in ("mean", "pooled"))
        assert type(score.value) is float


def test_facts_of_a_row():
    """Classes are those with clips; known speakers and clips without one are counted."""
    rows = by_set(scored(hand_made()))
    all_classes = ["sadness", "fear", "angry", "neutral", "surprise"]
    facts = {
        name: (
            score.classes,
            score.untrained,
            (score.n_utterances, score.n_speakers, score.n_speaker_unknown),
        )
        for name, score in rows.items()
    }
    assert facts == {
        "crema_d": (["sadness", "fear", "angry"], [], (4, 2, 1)),
        "tess": (["neutral", "surprise"], ["surprise"], (2, 1, 0)),
        "pooled": (all_classes, ["surprise"], (6, 3, 1)),
        "mean": (all_classes, ["surprise"], (6, 3, 1)),
    }
    assert rows["tess"].out_of_label_space == 0.5
    rows = by_set(scored(hand_made(trained=("happiness",)).assign(speaker=None)))
    assert rows["crema_d"].untrained == ["sadness", "fear", "angry"]
    assert rows["crema_d"].note == "one class can be predicted: happiness"
    assert rows["mean"].note.startswith("crema_d: one class can be predicted: happiness; tess: ")
    assert (rows["mean"].n_speakers, rows["mean"].n_speaker_unknown) == (0, 6)


def test_what_a_corpus_does_not_annotate_is_never_predicted():
    """Masked classes hold the highest probability of every row; in one table or two, they change
    nothing."""
    predictions = hand_made()
    tamed = np.where(
        np.stack(predictions["reference"]) == -1, 0.0, np.stack(predictions["probabilities"])
    )
    assert scored(predictions) == scored(predictions.assign(probabilities=list(tamed)))


def test_order_of_rows_and_a_round_through_parquet_change_nothing(tmp_path):
    other = hand_made(train="zho_eld", trained=("neutral",))
    predictions = pd.concat([hand_made(), other], ignore_index=True)
    plan = [IN_GROUP, CROSS_LINGUAL]
    expected = scored(predictions, plan)
    predictions.sample(frac=1, random_state=1).to_parquet(tmp_path / "table.parquet", index=False)
    assert scored(pd.read_parquet(tmp_path / "table.parquet"), plan) == expected


def test_setting_without_predictions_gives_no_rows():
    rows = scored(hand_made(), [CROSS_LINGUAL, IN_GROUP])
    assert {score.transfer for score in rows} == {"in-group"}
    assert scored(hand_made(), [CROSS_LINGUAL]) == scored(hand_made(), []) == []
    assert scored(hand_made(cell="eng_adu")) == []


def test_training_set_serves_every_setting_that_needs_it():
    """All of English stands in the plan of two test cells; each setting sees its own cell's clips
    only."""
    train = "eng_eld+eng_adu"
    adults = table_of([clip("crema_d", "crema_d/9", "sadness", "fear")], train, "eng_adu")
    rows = scored(pd.concat([hand_made(train=train), adults]), settings("all"))
    assert {(score.transfer, score.method, tuple(score.train)) for score in rows} == {
        ("cross-age", "augmentation", ("eng_eld", "eng_adu"))
    }
    mean = [score for score in rows if (score.metric, score.pooling) == ("accuracy", "mean")]
    assert [(score.test, score.value, score.n_utterances) for score in mean] == [
        ("eng_eld", 5 / 8, 6),
        ("eng_adu", 0.0, 1),
    ]


def test_metric_undefined_for_one_corpus_leaves_the_mean_to_the_others():
    # nothing of what it annotates
    unmarked = table_of([clip("elderreact", None, "neutral", "sadness")])
    for split_rule in ("paper", "folds"):
        rows = scored(pd.concat([hand_made(), unmarked]), split_rule=split_rule)
        multi = values_of(rows, "weighted_f1_multi")
        assert multi["elderreact"] is None
        assert multi["mean"] == pytest.approx((3 / 4 + 1 / 3) / 2, abs=1e-12)
        # in the single form, as the first class annotated, sadness
        assert values_of(rows)["elderreact"] == (1.0 if split_rule == "paper" else None)
    assert set(values_of(scored(unmarked), "weighted_f1_multi").values()) == {None}


def test_valence():
    """An exclusive schema: no multi-label form; a corpus without neutral clips is never predicted
    neutral."""
    clips = [
        clip("crema_d", "crema_d/1", "sadness", "negative", "valence"),
        clip("crema_d", "crema_d/2", "happiness", "neutral", "valence"),
        clip("elderreact", None, "fear", "negative", "valence"),
        clip("elderreact", None, "happiness", "positive", "valence"),
    ]
    rows = scored(table_of(clips, trained=("positive", "neutral")), schema="valence")
    assert {score.metric for score in rows} == {*METRICS, "f1_positive", "f1_negative"}
    expected = {"crema_d": 0.5, "elderreact": 1.0, "mean": 0.75, "pooled": 0.75}
    assert values_of(rows, "accuracy") == expected
    assert by_set(rows)["crema_d"].classes == ["positive", "negative"]
    assert by_set(rows)["crema_d"].untrained == ["negative"]


def test_predicting_a_class_without_clips_costs_the_others():
    """`disgust` has no clip: it is no class of the score, and what is lost to it is lost."""
    clips = [clip("crema_d", None, "fear", predicted) for predicted in ("fear", "disgust")]
    rows = scored(table_of(clips))
    assert values_of(rows, "uar")["crema_d"] == 0.5
    assert values_of(rows)["crema_d"] == pytest.approx(2 / 3, abs=1e-12)
    assert by_set(rows)["crema_d"].classes == ["fear"]
    assert by_set(rows)["crema_d"].note == "one class in the test set: fear"


def test_clips_without_any_positive_count_only_in_the_papers_metric():
    """The paper's arg-max makes an all-zero row the first annotated class; recall of such a row
    means nothing."""
    nothing = clip("crema_d", "crema_d/3", "surprise", "fear")
    both = pd.concat([hand_made(), table_of([nothing])], ignore_index=True)
    with_it, without = (scored(table, split_rule="paper") for table in (both, hand_made()))
    assert by_set(with_it)["crema_d"].n_utterances == 5
    assert values_of(with_it)["crema_d"] < values_of(without)["crema_d"]
    for metric in (*METRICS, "f1_fear"):
        if metric == "weighted_f1":
            continue
        scores_of = [by_set(rows, metric)["crema_d"] for rows in (with_it, without)]
        assert len({(score.value, score.n_utterances) for score in scores_of}) == 1


@pytest.mark.parametrize(
    ("split_rule", "expected"),
    [
        ("folds", {"crema_d": 0.0, "tess": 0.0}),
        # sadness, the first of both: 2 of 4 right, F1 2/3, and of no clip
        ("paper", {"crema_d": 2 / 4 * 2 / 3, "tess": 0.0}),
    ],
)
def test_where_every_class_has_probability_0(split_rule, expected):
    """Nothing is predicted; in the paper's single form the first class is."""
    table = hand_made()
    table["probabilities"] = [[0.0] * len(values) for values in table["probabilities"]]
    values = values_of(scored(table, split_rule=split_rule))
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)


# emotions of a clip, and those above one half (their probability, of all others 0.1)
ELDERS = [
    (["happiness", "surprise"], {"happiness": 0.9}),
    (["surprise"], {"surprise": 0.8, "happiness": 0.6}),
    ([], {}),
    (["fear"], {"surprise": 0.7}),
]


def elders():
    rows = [clip("elderreact", None, "neutral", "neutral") for _ in ELDERS]
    classes = SCHEMAS["emotion"].classes
    for row, (emotions, predicted) in zip(rows, ELDERS, strict=True):
        row["reference"] = SCHEMAS["emotion"].reference(emotions, ANNOTATED["elderreact"]).tolist()
        row["probabilities"] = [predicted.get(name, 0.1) for name in classes]
    return table_of(rows)


def test_several_labels_a_clip_are_scored_label_by_label():
    """happiness: 1 right, predicted 2, true 1 -> 2/3; surprise 1, 2, 2 -> 1/2; fear 0, 0, 1 -> 0.
    What is said of other corpora does not change."""
    rows = scored(pd.concat([hand_made(), elders()]))
    headline = (2 / 3 + 2 * 1 / 2 + 0) / 4
    values = values_of(rows)
    assert values["elderreact"] == pytest.approx(headline, abs=1e-12)
    assert values["mean"] == pytest.approx((3 / 4 + 1 / 3 + headline) / 3, abs=1e-12)
    # sadness 1 1 2, fear 1 2 2, angry 1 1 1, happiness 1 2 1, neutral 1 2 1, surprise 1 2 3
    pooled = (2 * 2 / 3 + 2 * 1 / 2 + 1 + 2 / 3 + 2 / 3 + 3 * 2 / 5) / 10
    assert values["pooled"] == pytest.approx(pooled, abs=1e-12)
    assert values_of(rows, "macro_f1")["elderreact"] == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert values_of(rows, "f1_surprise")["elderreact"] == 1 / 2
    assert by_set(rows)["elderreact"].classes == ["fear", "happiness", "surprise"]
    for metric in ("uar", "accuracy"):
        assert values_of(rows, metric) == values_of(scored(hand_made()), metric)
        note = "elderreact: left out, clips have several classes or none"
        assert {by_set(rows, metric)[name].note for name in ("mean", "pooled")} == {note}


def test_ranking_of_each_label_by_hand():
    """surprise 0.1, 0.8, 0.1, 0.7: true first and second, so 1/2 at precision 1 and 1/2 where all
    four are taken; of no label that has no clip."""
    rows = scored(pd.concat([hand_made(), elders()]))
    assert values_of(rows, "ap_surprise") == {"elderreact": pytest.approx(1 / 2 + 1 / 2 * 2 / 4)}
    assert values_of(rows, "auc_surprise") == {"elderreact": pytest.approx((2 + 1 / 2) / 4)}
    assert values_of(rows, "auc_sadness") == values_of(rows, "ap_angry") == {"elderreact": None}
    assert not values_of(scored(elders(), split_rule="paper"), "ap_surprise")


def test_single_form_is_of_the_paper_alone():
    """First labels happiness, surprise, sadness (none marked) and fear, for which happiness,
    surprise, sadness (of equal ones the first) and surprise are predicted."""
    [single, folds, disjoint] = (
        values_of(scored(elders(), split_rule=rule)) for rule in ("paper", "folds", "disjoint")
    )
    assert single["elderreact"] == pytest.approx((1 + 2 / 3 + 1 + 0) / 4, abs=1e-12)
    assert folds == disjoint != single
    first = elders().iloc[[1, 3]]  # one label each: the arg-max
    assert values_of(scored(first)) == values_of(scored(first, split_rule="paper"))
