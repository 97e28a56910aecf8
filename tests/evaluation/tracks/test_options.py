"""Things that all tracks share: options, bad clips, both split rules, real clips."""

import json
import re

import numpy as np
import pytest

from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.io import audio
from bimotion.models.weights import ModelError
from bimotion.results import record, rescoring
from tests.support.command_line import run_main
from tests.support.small_runs import FOUR, ONE_EPOCH, evaluated


def test_a_clip_that_becomes_nan_is_named(small, tmp_path):
    class Picky:
        def encode(self, waveforms, sample_rate_hz):
            return np.array(
                [[np.nan if np.array_equal(w, spoilt) else w.std()] * 2 for w in waveforms]
            )

    spoilt = None
    corpora = manifest.build(CorpusSource.of(small))
    clip = corpora.table[corpora.table["corpus"] == "tess"].iloc[-1]
    spoilt = audio.decode(corpora.path("tess", clip["path"]))
    expected = rf"Picky.encode: {re.escape(clip['id'])}: expected finite features, found NaN"
    with pytest.raises(ModelError, match=expected):
        evaluated(Picky(), small, tmp_path)


@pytest.mark.parametrize("track", ["probe", "finetune", "zero-shot"])
def test_invariance_is_checked_and_recorded(track, models, small, tmp_path):
    options = {"track": track, "protocol": "in-group", "cells": ["zho_eld"]}
    options |= {"finetune": ONE_EPOCH} if track == "finetune" else {}
    model = models("wav2vec2-group", FOUR)
    result, folder = evaluated(model, small, tmp_path, **options)
    assert result.provenance.largest_difference is None
    checked, _ = evaluated(model, small, tmp_path, check_invariance=True, **options)
    assert 0 <= checked.provenance.largest_difference < 1e-4
    assert record.load(folder / "result.json") == checked
    assert checked.scores == result.scores


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": [0, 1]}, "expected one seed, for nothing is random, found 2"),
        ({"adapt": "coral"}, "adapt: expected with track probe, found track zero-shot"),
        ({"label_map": "nowhere.json"}, "nowhere.json: expected a label map"),
    ],
)
def test_options_that_zero_shot_does_not_take_are_refused(
    options, message, models, small, tmp_path
):
    with pytest.raises(SettingError, match=message):
        evaluated(models("hubert", FOUR), small, tmp_path, track="zero-shot", **options)


def test_both_split_rules_at_once(small, tmp_path, monkeypatch):
    words = ["evaluate", "-m", "bimotion/majority", "--corpora", small, "-o", tmp_path, "--json"]
    words += ["--allow-missing", "--split-rule", "both", "--protocol", "in-group"]
    code, shown, errors = run_main(monkeypatch, words)
    assert code == 0, errors
    assert [result["split"]["rule"] for result in json.loads(shown)] == ["paper", "disjoint"]
    assert len(list(tmp_path.glob("*/*/result.json"))) == 2


def test_real_clips_go_through_all_tracks(shared_corpora, models, tmp_path):
    options = {"protocol": "in-group", "limit": 6}
    for track, more in (("probe", {}), ("finetune", {"finetune": ONE_EPOCH}), ("zero-shot", {})):
        asked = options | more | {"track": track}
        model = models("wav2vec2-layer", FOUR)
        result, folder = evaluated(model, shared_corpora, tmp_path, **asked)
        assert not result.data.synthetic
        assert {score.corpus for score in result.scores if score.corpus} == {"tess", "csed"}
        assert rescoring.rescore(folder) == (result, result)
