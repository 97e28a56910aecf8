"""A window is part of a run's identity, shown with its model, and refused where none is heard."""

import pytest

from bimotion.analysis.feature_space.gains import _runner
from bimotion.errors import SettingError
from tests.support.command_line import run_main
from tests.support.small_runs import evaluated, words


def test_a_window_is_part_of_the_runs_identity(models, small, tmp_path):
    asked = {"protocol": "in-group", "cells": ["zho_eld"], "device": "cpu"}
    runs = {
        window: evaluated(models("whisper"), small, tmp_path, **asked, window=window)[0]
        for window in ("model", "2", "clip", 1)
    }
    options = {window: run.model.options.get("window") for window, run in runs.items()}
    assert options == {"model": None, "2": None, "clip": "clip", 1: 1.0}
    assert "window" not in runs["model"].to_json()
    assert len({run.key for run in runs.values()}) == 3
    name = runs["model"].model.name
    titles = [runs[window].title for window in ("2", "clip", 1)]
    assert titles == [name, f"{name} (window clip)", f"{name} (window 1 s)"]
    again = _runner(runs["clip"], models("whisper"), "cpu")  # as `bimotion coverage` opens it
    assert again.encoder.window == "clip"


def test_zero_shot_records_it(models, small, tmp_path):
    labels = {0: "angry", 1: "happy", 2: "neutral"}
    asked = {"track": "zero-shot", "protocol": "in-group", "cells": ["zho_eld"], "device": "cpu"}
    result, _ = evaluated(models("ast", labels), small, tmp_path, **asked, window="clip")
    names = ("window", "window_silence_s")
    assert [result.model.options[name] for name in names] == ["clip", 1.0]


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        ("bimotion/prosody", "", "window: expected none with bimotion/prosody, which takes no wi"),
        ("whisper", "--track finetune", "track finetune: expected window model, for it is traine"),
        ("hubert", "", ": window: expected model, for it hears each clip as long as it is"),
    ],
)
def test_a_run_and_its_plan_refuse_it_alike(
    model, more, message, models, monkeypatch, small, tmp_path
):
    folder = model if "/" in model else models(model)
    line = [*words(folder, small, tmp_path), "--window", "clip", *more.split()]
    for more_words in ([], ["--dry-run"]):
        code, shown, errors = run_main(monkeypatch, [*line, *more_words])
        assert (code, shown, errors.count("\n")) == (2, "", 1)
        assert message in errors


def test_an_object_of_the_users_hears_what_it_likes(small, tmp_path):
    class Own:
        def encode(self, waveforms, sample_rate_hz):
            return [[len(waveform)] for waveform in waveforms]

    with pytest.raises(SettingError, match=r"window: expected none with an object with encode\(\)"):
        evaluated(Own(), small, tmp_path, window="clip")
