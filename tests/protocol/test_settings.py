"""Protocol: the three ways of transfer of arXiv 2306.14517, cell by cell."""

import hashlib
from collections import Counter

import pytest

from bimotion.errors import UnknownName
from bimotion.io.versions import NUMBERS_VERSION
from bimotion.protocol.cells import BIMOTION_CELLS, Cell
from bimotion.protocol.settings import (
    BY_TRAINING_SET,
    EXTENSION_CORPORA,
    METHODS,
    PROTOCOLS,
    TRANSFERS,
    settings,
)

EVERYTHING = "eng_eld eng_adu zho_eld zho_adu"

# written out from the paper's definitions: transfer and method; training cells for each test cell
# in the order of EVERYTHING
EXPECTED = {
    ("in-group", "inference"): ("eng_eld", "eng_adu", "zho_eld", "zho_adu"),
    ("cross-age", "inference"): ("eng_adu", "eng_eld", "zho_adu", "zho_eld"),
    ("cross-lingual", "inference"): ("zho_eld", "zho_adu", "eng_eld", "eng_adu"),
    ("cross-all", "inference"): ("zho_adu", "zho_eld", "eng_adu", "eng_eld"),
    ("cross-age", "augmentation"): ("eng_eld eng_adu",) * 2 + ("zho_eld zho_adu",) * 2,
    ("cross-lingual", "augmentation"): ("eng_eld zho_eld", "eng_adu zho_adu") * 2,
    ("cross-all", "augmentation"): (EVERYTHING,) * 4,
}


def as_text(plan):
    return {
        (str(setting.test), setting.transfer, setting.method): " ".join(setting.train_names)
        for setting in plan
    }


def test_all_settings_are_the_papers_definitions():
    plan = tables_3_and_4()
    assert as_text(plan) == {
        (cell, *which): train
        for which, trains in EXPECTED.items()
        for cell, train in zip(EVERYTHING.split(), trains, strict=True)
    }
    assert len(plan) == len(set(plan)) == 28
    assert len({setting.training_set for setting in plan}) == 9
    assert len({setting.training_set for setting in settings("all")}) == 9 + 4


def tables_3_and_4():
    return [setting for setting in settings("all") if setting.method != "distance"]


def test_language_distance_is_table_5():
    """Trained on Cantonese by itself, with English, with Mandarin, with both; tested on each of
    those; ESD and YueMotion only."""
    plan = settings("distance")
    names = ("yue_adu", "yue_adu eng_adu", "yue_adu zho_adu", "yue_adu eng_adu zho_adu")
    assert [(" ".join(setting.train_names), str(setting.test)) for setting in plan] == [
        (train, test) for train in names for test in train.split()
    ]
    assert [setting.transfer for setting in plan] == ["in-group"] + ["cross-lingual"] * 7
    assert {setting.corpora for setting in plan} == {("esd", "yuemotion")}


EXTENSION = {  # training set -> names in scores, transfer
    "eng_adu@iemocap+emo_db+shemo+urdu": ("eng_adu@iemocap", "cross-lingual"),
    "eng_adu@crema_d+emo_db+shemo+urdu": ("eng_adu@crema_d", "cross-lingual"),
    "eng_adu": ("eng_adu", "cross-lingual"),
}


def test_extension_is_english_adults_to_three_languages_and_in_group():
    plan = [
        (s.training_set, *s.train_names, s.transfer, str(s.test)) for s in settings("extension")
    ]
    tests = ("deu_adu", "fas_adu", "urd_adu")
    cross = [(name, *facts, test) for name, facts in EXTENSION.items() for test in tests]
    assert plan == cross + [(test, test, "in-group", test) for test in tests]
    assert {setting.method for setting in settings("extension")} == {"extension"}
    assert all(
        set(s.corpora or EXTENSION_CORPORA) >= set(EXTENSION_CORPORA) for s in settings("extension")
    )


CANTONESE = {
    "yue_adu": {
        "in-group": "yue_adu",
        "cross-age": "yue_eld",
        "cross-lingual": "eng_adu zho_adu",
        "cross-all": "eng_eld zho_eld",
    },
    "yue_eld": {
        "in-group": "yue_eld",
        "cross-age": "yue_adu",
        "cross-lingual": "eng_eld zho_eld",
        "cross-all": "eng_adu zho_adu",
    },
}


def test_cantonese_is_inference_into_both_cells_of_yuemotion():
    trains: dict = {cell: {} for cell in CANTONESE}
    for setting in settings("cantonese"):
        trains[str(setting.test)].setdefault(setting.transfer, []).extend(setting.train_names)
        assert (setting.method, setting.corpora, len(setting.train)) == ("cantonese", None, 1)
    expected = {
        cell: {transfer: names.split() for transfer, names in rows.items()}
        for cell, rows in CANTONESE.items()
    }
    assert trains == expected


def test_the_papers_protocol_adds_the_cantonese_training_sets_of_its_script():
    """run_training.sh: `--training_language yue --training_age_group` all, elderly and others."""
    known, whole = set(settings("all")), settings("paper")
    trained = {}
    for setting in set(whole) - known:
        trained.setdefault(" ".join(setting.train_names), {})[str(setting.test)] = setting.transfer
    assert trained == {
        "yue_adu yue_eld": {"yue_adu": "cross-age", "yue_eld": "cross-age"},
        "yue_eld": {"yue_adu": "cross-age", "yue_eld": "in-group"},
        "yue_adu": {"yue_eld": "cross-age"},  # on adults it is in Table 5
    }
    assert known < set(whole)
    assert len({setting.training_set for setting in whole}) == 13 + 2


def test_the_twins_of_table_4_are_of_the_same_cells_and_of_the_in_group_size():
    plan = settings("augmentation-matched")
    mixtures = [setting for setting in plan if setting.method == "augmentation"]
    twins = [setting for setting in plan if setting.size_of]
    for mixture, twin in zip(mixtures * 2, twins, strict=True):
        assert twin.size_of == twin.test == mixture.test
        half = "half-" if twin.halved else ""
        method = "augmentation-halved" if twin.halved else "augmentation-matched"
        assert twin.id == mixture.id._replace(method=method)
        assert twin.training_set == f"{mixture.training_set}~{half}{twin.test}"
    # each is drawn anew for each test cell, mixtures serve two or four
    assert len({setting.training_set for setting in plan}) == 4 + 5 + 12 + 12
    assert [setting for setting in plan if setting not in twins] == settings("augmentation")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_no_two_settings_have_the_same_names_in_scores(name):
    for trains in (True, False):
        plan = settings(name, trains=trains)
        if trains or name in ("extension", "cantonese"):
            assert len({(s.transfer, s.method, s.train_names, s.test) for s in plan}) == len(plan)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_scores_of_settings_that_share_transfer_and_test_are_told_apart_by_training_set(name):
    shared = Counter((s.transfer, s.method, s.test) for s in settings(name))
    assert {method for (_, method, _), n in shared.items() if n > 1} <= set(BY_TRAINING_SET)


@pytest.mark.parametrize(
    ("name", "tests"), [("extension", "deu_adu fas_adu urd_adu"), ("cantonese", "yue_adu yue_eld")]
)
def test_a_model_that_is_used_as_it_is_takes_each_test_set_once(name, tests):
    plan = settings(name, trains=False)
    assert [(str(s.test), s.corpora) for s in plan] == [(test, None) for test in tests.split()]


def test_all_is_the_papers_as_it_was():
    """By hash over every field, taken before the protocols beyond the paper were there."""
    text = "\n".join(
        f"{s.transfer}|{s.method}|{s.training_set}|{s.train_names}|{s.test}|{s.corpora}"
        for s in settings("all")
    )
    assert NUMBERS_VERSION == "2"
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "650b921cd2fcfe58"


@pytest.mark.parametrize(
    ("name", "n_baseline", "n_more"),
    [("in-group", 4, 0), ("inference", 4, 12), ("augmentation", 4, 12)],
)
def test_each_table_has_its_baseline(name, n_baseline, n_more):
    transfers = [setting.transfer for setting in settings(name)]
    assert transfers.count("in-group") == n_baseline
    assert len(transfers) == n_baseline + n_more
    assert set(as_text(settings(name)).items()) <= set(as_text(settings("all")).items())


def test_test_cell_is_never_trained_on_in_inference_and_always_in_augmentation():
    for setting in tables_3_and_4():
        if setting.transfer == "in-group":
            assert setting.train == (setting.test,)
        else:
            assert (setting.test in setting.train) == (setting.method == "augmentation")


MOVES = {
    (False, False): "in-group",
    (False, True): "cross-age",
    (True, False): "cross-lingual",
    (True, True): "cross-all",
}


def test_transfers_are_what_their_names_say():
    for setting in settings("inference"):
        [source], test = setting.train, setting.test
        moved = (source.language != test.language, source.age_group != test.age_group)
        assert setting.transfer == MOVES[moved]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_plans_are_repeatable_and_in_the_closed_lists(name):
    plan = settings(name)
    assert plan == settings(name)
    if name not in ("distance", "extension", "cantonese", "leakage"):
        of_cells = settings(name, iter(BIMOTION_CELLS))
        assert of_cells == [setting for setting in plan if setting.test in BIMOTION_CELLS]
        assert {setting.test for setting in of_cells} == set(BIMOTION_CELLS)
    assert {setting.transfer for setting in plan} <= set(TRANSFERS)
    assert {setting.method for setting in plan} <= set(METHODS)
    assert all(len(set(setting.train)) == len(setting.train) for setting in plan)


def test_some_cells_only():
    plan = settings("all", [Cell("zho", "eld")])
    assert [str(setting.test) for setting in plan] == ["zho_eld"] * 7


def test_unknown_protocol_names_the_known_ones():
    known = ", ".join(PROTOCOLS)
    assert known.startswith("in-group, inference, augmentation, augmentation-matched, distance, ")
    with pytest.raises(UnknownName, match=f"^unknown protocol 'tables': expected one of {known}$"):
        settings("tables")
