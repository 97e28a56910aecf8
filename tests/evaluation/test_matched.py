"""The twin of Table 4: mixtures drawn down to the in-group size, in proportion, the same ones every
time."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from bimotion.analysis.runs import load
from bimotion.data.source import CorpusSource
from bimotion.evaluation.plan import plan
from bimotion.evaluation.task import TaskSpec
from bimotion.io.progress import Progress
from bimotion.protocol.settings import training_set_parts
from tests.support.reports import report_of
from tests.support.small_runs import evaluated


def planned(root, **options):
    task = TaskSpec.of(protocol="augmentation-matched", **options)
    return plan(task, CorpusSource.of(root, allow_missing=True), Progress())


@pytest.fixture(scope="module")
def of_paper(synth_root):
    """Labelled clips, and training set by name."""
    labelled, made = planned(synth_root, split_rule="paper", schema="emotion")
    return labelled, {training.name: training for training in made.training_sets}


def test_twins_have_the_size_of_the_baseline_and_the_make_up_of_the_mixture(of_paper):
    labelled, sets = of_paper
    twins = [name for name in sets if training_set_parts(name).drawn in sets]
    assert len(twins) == 12
    for name in twins:
        mixture = sets[name.partition("~")[0]]
        baseline = sets[training_set_parts(name).drawn]
        for part in ("train", "validation"):
            rows, whole = getattr(sets[name], part), getattr(mixture, part)
            assert len(rows) == len(getattr(baseline, part)) < len(whole)
            assert set(rows) < set(whole)
            assert (np.diff(rows) > 0).all()
            drawn, all_strata = strata_of(labelled, rows), strata_of(labelled, whole)
            n_first = min(len(rows), len(all_strata))  # one of each before two of any
            assert len(drawn) == n_first
            share = Fraction(len(rows) - n_first, len(whole))
            for stratum, n in all_strata.items():
                assert n * share - 2 <= drawn[stratum] <= n * Fraction(len(rows), len(whole)) + 2


@pytest.mark.parametrize("rule", ["paper", "folds"])
def test_half_of_the_baseline_is_doubled_by_its_own_clips_or_by_others(rule, synth_root):
    labelled, made = planned(synth_root, split_rule=rule, schema="valence")
    sets = {(training.name, training.fold): training for training in made.training_sets}
    halved = [key for key in sets if "~half-" in key[0]]
    assert len(halved) == 12 * (1 if rule == "paper" else 5)
    cells = labelled.table["cell"].to_numpy()
    for name, fold in halved:
        mixture, _, cell = name.partition("~half-")
        for part in ("train", "validation"):
            rows, baseline, whole = (
                getattr(sets[key, fold], part) for key in (name, cell, mixture)
            )
            of_other_cells = rows[cells[rows] != cell]
            assert len(rows) == len(baseline)
            assert set(rows[cells[rows] == cell]) < set(baseline)
            assert set(of_other_cells) <= set(whole)
            assert len(of_other_cells) == min(len(baseline) // 2, len(whole) - len(baseline))


def strata_of(labelled, rows):
    """Clips of each cell, corpus and class."""
    clips = labelled.table.loc[rows, ["cell", "corpus"]].itertuples(index=False, name=None)
    classes = (labelled.reference[rows] == 1).argmax(axis=1)  # of several the first
    return Counter(zip(clips, classes.tolist(), strict=True))


def test_the_draw_is_of_names_alone(of_paper, synth_root):
    again, made = planned(synth_root, split_rule="paper", schema="emotion", cells=("zho_eld",))
    labelled, sets = of_paper
    for training in made.training_sets:
        names = [
            set(clips.table.loc[rows, "id"])
            for clips, rows in ((again, training.train), (labelled, sets[training.name].train))
        ]
        assert names[0] == names[1]


def test_a_run_shows_twins_below_table_4(small, tmp_path):
    result, folder = evaluated(
        "bimotion/random", small, tmp_path, protocol="augmentation-matched", split_rule="paper"
    )
    fits = {fit.train: fit.n_train for fit in result.fits}
    assert fits["eng_eld+eng_adu~eng_eld"] == fits["eng_eld"] < fits["eng_eld+eng_adu"]
    assert fits["eng_eld+eng_adu~half-eng_eld"] == fits["eng_eld"]
    [run] = load([folder])
    assert {setting.id for setting in run.settings} == result.setting_ids
    page = report_of(folder)
    [grid] = [
        grid
        for section in page.sections
        for grid in section.grids
        if grid.title.startswith("Table 4")
    ]
    names = [(row[0].text, row[0].detail) for row in grid.rows]
    first = names.index(("cross-age", ""))
    assert names[first + 1 : first + 3] == [
        ("cross-age", "in-group size"),
        ("cross-age", "half own"),
    ]
    for note in ("In-group size: the same mixture, ", "Half own: half of the baseline's clips, "):
        assert any(text.startswith(note) for text in grid.notes)
