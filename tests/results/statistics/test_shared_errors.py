"""Agreement of errors: by hand, on real shapes of predictions, and where there is little to see."""

import numpy as np
import pandas as pd
import pytest

from bimotion.results.statistics import shared_errors
from bimotion.results.statistics.shared_errors import MAX_CLIPS, RIGHT, errors_of, sharing

ALL = {"agreement": -np.inf, "n_possible": 0}


def table(chosen, reference, n_classes=3, cell="eng_eld"):
    """Predictions of one test set: the class that is chosen for each clip (-1: none)."""
    n = len(chosen)
    probabilities = np.where(np.arange(n_classes) == np.array(chosen)[:, None], 0.8, 0.1)
    probabilities[np.array(chosen) == -1] = 0
    rows = pd.DataFrame({"id": [f"a/{i:05}" for i in range(n)], "cell": cell, "seed": 0})
    references = np.eye(n_classes, dtype=np.int8)[np.array(reference)]
    return rows.assign(probabilities=list(probabilities), reference=list(references))


def errors(chosen, reference, **options):
    return errors_of([table(chosen, reference, **options)])


def test_by_hand():
    """Ten clips of class 0: four and three errors, two the same; 1.2 by chance, 3 possible."""
    reference = [0] * 10
    first = errors([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], reference)
    second = errors([1, 1, 0, 0, 1, 0, 0, 0, 0, 0], reference)
    assert first.wrong[0].tolist() == [1] * 4 + [RIGHT] * 6
    (pair,) = sharing({"first": first, "second": second}, **ALL)
    assert (pair.first, pair.second, pair.n_same, pair.n_possible) == ("first", "second", 2, 3)
    assert pair.agreement == pytest.approx((2 - 1.2) / (3 - 1.2))
    other_class = errors([2, 2, 0, 0, 1, 0, 0, 0, 0, 0], reference)
    (pair,) = sharing({"first": first, "second": other_class}, **ALL)
    assert (pair.n_same, pair.n_possible) == (0, 1)  # two of class 2 are possible for one only


def test_references_and_test_sets_are_summed():
    """Within each reference by its own chance; of each test set the same again."""
    reference = [0] * 10 + [1] * 20
    first, second = [1] * 4 + [0] * 6 + [0] * 5 + [1] * 15, [1] * 2 + [0] * 8 + [0] * 10 + [1] * 10
    pairs = [
        sharing(
            {
                name: errors_of([table(chosen, reference, cell=cell) for cell in cells])
                for name, chosen in (("a", first), ("b", second))
            },
            **ALL,
        )
        for cells in (["eng_eld"], ["eng_eld", "zho_eld"])
    ]
    for (pair,), n_cells in zip(pairs, (1, 2), strict=True):
        assert (pair.n_same, pair.n_possible) == (n_cells * 7, n_cells * 7)
        assert pair.agreement == 1
    chance = 4 * 2 / 10 + 5 * 10 / 20
    assert not sharing(
        {"a": errors(first, reference), "b": errors(second, reference)},
        agreement=0.9,
        n_possible=7 - chance + 1e-9,
    )


def test_a_copy_of_which_errors_were_put_right_agrees_wholly_and_chance_does_not():
    rng = np.random.default_rng(0)
    reference, chosen = rng.integers(3, size=(2, 600))
    better = np.where(rng.random(600) < 0.3, reference, chosen)
    other = rng.integers(3, size=600)
    entries = {
        name: errors(values, reference)
        for name, values in (("own", chosen), ("better", better), ("other", other))
    }
    agreement = {(pair.first, pair.second): pair.agreement for pair in sharing(entries, **ALL)}
    assert agreement["own", "better"] == 1
    assert abs(agreement["own", "other"]) < 0.2
    turned = {name: entries[name] for name in reversed(entries)}
    assert {
        tuple(sorted(pair[:2])): pair.agreement for pair in sharing(turned, **ALL)
    } == pytest.approx({tuple(sorted(pair)): value for pair, value in agreement.items()})


@pytest.mark.parametrize("size", [1, 2, 3])
def test_blocks_give_the_same_pairs(monkeypatch, size):
    rng = np.random.default_rng(1)
    reference = rng.integers(3, size=200)
    entries = {f"m{i}": errors(rng.integers(3, size=200), reference) for i in range(5)}
    whole = sharing(entries, **ALL)
    assert len(whole) == 10
    monkeypatch.setattr(shared_errors, "BLOCK", size)
    assert sharing(entries, **ALL) == whole


def test_where_there_is_nothing_to_compare():
    reference = [0, 1, 2] * 20
    right, constant = errors(reference, reference), errors([0] * 60, reference)
    silent = errors([-1] * 60, reference)
    assert right.wrong[0].tolist() == [RIGHT] * 60
    assert silent.wrong[0].tolist() == [3] * 60
    few = {"agreement": 0.0, "n_possible": 1}
    # a constant errs on all clips of a class: nobody can err otherwise on them
    assert sharing({"a": constant, "b": constant, "c": right, "d": silent}, **few) == []
    assert sharing({}, **few) == sharing({"a": constant}, **few) == []
    assert sharing({"a": errors_of([]), "b": errors_of([])}, **few) == []
    one_class = errors([0, 0, 1], [0, 0, 0], n_classes=2)
    assert sharing({"a": one_class, "b": constant}, **few) == []  # other test sets


def test_unannotated_classes_are_not_chosen_and_clips_without_a_class_not_kept():
    rows = table([0, 0, 1], [1, 1, 1])
    rows["reference"] = [np.array(row, np.int8) for row in ([-1, 1, 0], [0, 0, 0], [0, 1, 0])]
    assert errors_of([rows]).wrong[0].tolist() == [RIGHT, RIGHT]
    rows["probabilities"] = [np.full(3, np.nan)] * 3
    assert errors_of([rows]).wrong[0].tolist() == [3, 3]  # as if nothing were chosen


def test_many_clips_are_the_same_for_all_entries():
    rng = np.random.default_rng(2)
    reference = rng.integers(3, size=MAX_CLIPS + 500)
    chosen = rng.integers(3, size=MAX_CLIPS + 500)
    both = [errors(chosen, reference), errors(reference, reference)]
    assert [len(each.wrong[0]) for each in both] == [MAX_CLIPS] * 2
    assert both[0].references[0].tolist() == both[1].references[0].tolist()
    shuffled = table(chosen, reference).sample(frac=1, random_state=0)
    assert errors_of([shuffled]).wrong[0].tolist() == both[0].wrong[0].tolist()
