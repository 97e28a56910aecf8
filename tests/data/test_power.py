"""Cross-validation is for this: smaller differences can be found (benchmarks/power.py, whose table
stands in docs/protocol.md)."""

from benchmarks import power


def test_test_sets_are_those_of_the_rosters():
    people = {
        rule: {c.name: (c.n_clips, c.n_speakers) for c in power.tested(rule)}
        for rule in power.RULES
    }
    assert people["folds"]["eng_eld/crema_d"] == (492, 6)
    assert people["disjoint"]["eng_eld/crema_d"][1] == 3
    assert people["paper"]["eng_eld/crema_d"] == (300, 6)
    assert people["folds"]["zho_adu/esd"] == (1500, 10)
    assert people["disjoint"]["zho_adu/esd"] == (3500, 2)


def test_folds_find_smaller_differences_than_a_small_hold_out():
    few = {"eng_eld/crema_d", "zho_adu/esd"}
    differences = {
        rule: power.detectable([c for c in power.tested(rule) if c.name in few], n_sets=25)
        for rule in power.RULES
    }
    for name in few:
        assert differences["folds"][name] < 0.5 * differences["disjoint"][name]
