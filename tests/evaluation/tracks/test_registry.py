"""Tracks register themselves, and hold their own options only."""

import itertools
from dataclasses import replace
from typing import get_args

import pytest

from bimotion.adaptation.method import SETTINGS
from bimotion.cli import options
from bimotion.data.splits import RULES
from bimotion.errors import SettingError
from bimotion.evaluation.presets import PRESETS
from bimotion.evaluation.tracks import TRACKS, configured
from bimotion.evaluation.tracks.finetune import Finetune
from bimotion.evaluation.tracks.probe import Probe
from bimotion.evaluation.tracks.zero_shot import ZeroShot
from bimotion.models import recipe
from bimotion.models.recipe import FinetuneOptions
from bimotion.protocol import settings
from bimotion.protocol.labels import SCHEMAS
from bimotion.results.record import ModelUsed
from tests.support.small_runs import evaluated

GIVEN = {
    "adapt": "coral",
    "adapt_setting": "inductive",
    "label_map": "map.json",
    "finetune": FinetuneOptions(epochs=5),
}


def test_records_know_the_tracks_that_there_are():
    assert tuple(TRACKS) == settings.TRACKS


def test_keywords_make_the_track_that_an_object_is():
    assert configured("probe", adapt="coral") == configured(Probe(adapt="coral"))
    assert configured("finetune", finetune=FinetuneOptions(epochs=5)) == Finetune(
        FinetuneOptions(epochs=5)
    )
    assert configured("zero-shot", label_map="map.json") == ZeroShot(label_map="map.json")
    with pytest.raises(SettingError, match="finetune: expected FinetuneOptions, found 5"):
        Finetune(5)


@pytest.mark.parametrize(("name", "option"), list(itertools.product(settings.TRACKS, GIVEN)))
def test_no_track_takes_an_option_of_another(name, option):
    kind = TRACKS[name]
    if option in kind.keywords:
        with pytest.raises(SettingError, match=f"{option}: expected inside the track"):
            configured(kind(), **{option: GIVEN[option]})
        return
    with pytest.raises(SettingError, match=f"{option}: expected with track .*, found track {name}"):
        configured(name, **{option: GIVEN[option]})
    with pytest.raises(TypeError):
        kind(**{option: GIVEN[option]})


@pytest.mark.parametrize(
    ("choices", "registered"),
    [
        (options.TrackName, TRACKS),
        (options.ProtocolName, settings.PROTOCOLS),
        (options.SchemaName, SCHEMAS),
        (options.SplitRule, RULES),
        (options.PresetName, PRESETS),
        (options.AdaptSetting, SETTINGS),
        (options.RecipeName, recipe.RECIPES),
        (options.AdamW, recipe.ADAMW),
        (options.Precision, recipe.PRECISIONS),
    ],
)
def test_choices_of_the_command_line_are_what_is_registered(choices, registered):
    assert set(get_args(choices)) == set(registered)


def test_a_run_of_an_object_is_the_run_of_its_keywords(small, tmp_path):
    asked = {"protocol": "in-group", "schema": "valence"}
    by_name, _ = evaluated("bimotion/prosody", small, tmp_path, adapt="coral", **asked)
    by_object, _ = evaluated(
        "bimotion/prosody", small, tmp_path, track=Probe(adapt="coral"), **asked
    )
    assert by_object == by_name


def test_a_run_whose_head_was_removed_is_not_recreated():
    used = ModelUsed("org/model", "1", None, {"head": "layers"})
    with pytest.raises(SettingError, match="org/model: expected a run with head logistic, found"):
        Probe.recorded(used)
    assert Probe.recorded(replace(used, options={"head": "logistic"})) == Probe()
