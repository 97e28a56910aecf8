"""Gains over in-group training, beside coverage and the distance of languages."""

import json

import numpy as np
import pandas as pd
import pytest

from bimotion.analysis.feature_space import gains, gains_tables
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import SettingError
from bimotion.evaluation import run
from tests.support.projections import few


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    """A run over the whole protocol, and its folder."""
    output = tmp_path_factory.mktemp("finished")
    asked = {"split_rule": "paper", "schema": "valence", "allow_missing": True}
    result = run.evaluate("bimotion/prosody", data_dir=small, output=output, **asked)
    return result, result.folder(output)


def assert_scores_are_those_of(result, rows):
    for row in rows:
        train = tuple(row.train)
        assert row.value == result.headline(row.transfer, row.method, row.test, train=train)


def test_gains_are_score_less_baseline_and_facts_beside_them(finished, small):
    result, folder = finished
    measured = gains.gains(folder, CorpusSource.of(small))
    assert json.loads((folder / gains.GAINS_FILE).read_text())["key"] == result.key
    assert len(measured.rows) == 36
    assert_scores_are_those_of(result, measured.rows)
    for row in measured.rows:
        if row.method != "distance":
            base = result.headline("in-group", "inference", row.test)
            assert row.gain == pytest.approx(row.value - base)
            far = row.transfer in ("cross-lingual", "cross-all")
            assert row.facts["phonology"] == (4 / 25 if far else None)
    gain = {
        ("+".join(row.train), row.test): row.gain
        for row in measured.rows
        if row.method == "distance"
    }
    # the baseline of eng_adu was trained and tested on four corpora
    assert gain["yue_adu+eng_adu", "eng_adu"] is None
    # ESD is all there is of zho_adu
    assert gain["yue_adu+zho_adu", "zho_adu"] is not None
    first = measured.correlations[0]
    assert (first.fact, first.method) == ("coverage", "all")
    crossing = [row for row in measured.rows if row.transfer != "in-group"]
    assert first.correlation.n == sum(row.gain is not None for row in crossing)
    table = gains_tables.tables_of(measured)[1]
    assert "a description of this run, no proof" in table.markdown()


def test_all_folds_are_measured_each_by_its_own_training(small, tmp_path):
    asked = {"protocol": "inference", "cells": ["zho_eld"], "only": ["csed", "tess"]}
    result = run.evaluate(
        "bimotion/prosody", data_dir=small, output=tmp_path, allow_missing=True, **asked
    )
    folder = result.folder(tmp_path)
    measured = gains.gains(folder, CorpusSource.of(small))
    predicted = pd.read_parquet(folder / "predictions.parquet")
    n_tested = predicted.drop_duplicates("id").groupby("fold").size()
    assert len(n_tested) == 5
    for row in measured.rows:
        n_trained = [fit.n_train for fit in result.fits if fit.train == "+".join(row.train)]
        assert row.coverage.n_test == n_tested.sum()
        assert row.coverage.n_train == round(np.mean(n_trained))
        assert row.coverage.n_drawn == n_tested.min()
        assert 0 <= row.coverage.drawn_coverage <= row.coverage.coverage <= 1
    near, *far = (row.coverage.drawn_coverage for row in measured.rows)
    assert near > max(far)


def test_gains_of_an_adapted_run_say_so_and_keep_training_sets_of_one_cell_apart(tmp_path):
    root = tmp_path / "corpora"
    layouts.lay(root, few(12, ["crema_d", "esd", "iemocap", "emo_db"]))
    asked = {"protocol": "extension", "schema": "four", "cells": ["deu_adu"]}
    asked |= {"split_rule": "paper", "adapt": "corpus-norm", "allow_missing": True}
    result = run.evaluate("bimotion/prosody", data_dir=root, output=tmp_path, **asked)
    measured = gains.gains(result.folder(tmp_path), CorpusSource.of(root))
    sets = ["eng_adu@iemocap", "eng_adu@crema_d", "eng_adu", "deu_adu"]
    assert [row.train for row in measured.rows] == [[name] for name in sets]
    assert_scores_are_those_of(result, measured.rows)
    coverages = [row.coverage for row in measured.rows]
    fewest = min(coverages[0].n_test, *(known.n_train for known in coverages))
    assert {known.n_drawn for known in coverages} == {fewest}
    table = gains_tables.tables_of(measured)[0]
    assert table.title.startswith("bimotion/prosody + corpus-norm (transductive): gain")
    assert "target audio seen. Coverage: of the features before adaptation." in table.notes[0]


def test_gains_refuse_other_clips_and_other_models(finished, small, tmp_path):
    _, folder = finished
    layouts.lay(tmp_path, [clip for clip in layouts.plan() if clip.corpus == "csed"][:40])
    with pytest.raises(SettingError, match="expected the clips that run"):
        gains.gains(folder, CorpusSource.of(tmp_path))
    with pytest.raises(SettingError, match="expected the run's model"):
        gains.gains(folder, CorpusSource.of(small), model="bimotion/random")
