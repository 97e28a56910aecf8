"""`bimotion check-model`: what it says of models that run, and one line for those that do not."""

import json

import pytest

from bimotion.analysis import paper_tables
from bimotion.data.source import CorpusSource
from bimotion.errors import ModelError, SettingError, UnknownName
from bimotion.evaluation import plan as planning
from bimotion.evaluation.model_check import EPOCHS, check_model, protocol_cost
from bimotion.io.progress import Progress
from bimotion.models.spec import ModelSpec
from tests.support import tiny_families, tiny_models
from tests.support.command_line import run_main
from tests.support.small_runs import paper_task

DESCRIBED = {
    "revision": None,
    "family": "whisper",
    "part": "WhisperEncoder",
    "weights_format": "safetensors",
    "trusted_remote_code": False,
    "device": "cpu",
    "sample_rate_hz": 16_000,
    "n_layers": 3,
    "dim": 16,
    "window_s": 2.0,
    "clips": dict.fromkeys(("0.1 s", "2 s", "40 s", "silence"), "ok"),
}


def test_a_model_is_described_as_json(models, monkeypatch):
    words = ["check-model", models("whisper"), "--device", "cpu", "--json"]
    code, shown, errors = run_main(monkeypatch, words)
    assert (code, errors) == (0, "")
    check = json.loads(shown)
    assert {name: check[name] for name in DESCRIBED} == DESCRIBED
    assert check["padding"].startswith("each clip fills a window of 2 s")
    assert check["largest_difference"] < 1e-4
    assert check["realtime_factor"] == pytest.approx(2 * check["clips_a_second"])
    # a clip of 3 s fills two of its windows
    hours = 2 * check["protocol_clips"] / check["clips_a_second"] / 3600
    assert check["probe_hours"] == pytest.approx(hours)


@pytest.mark.parametrize(
    ("family", "padding"),
    [("wav2vec2-group", "clips of any lengths share a batch"), ("sew", "only clips of one length")],
)
def test_padding_is_said(family, padding, models):
    check = check_model(ModelSpec(models(family), device="cpu"))
    assert check.padding.startswith(padding)
    assert set(check.clips.values()) == {"ok"}
    assert check.largest_difference < 1e-4
    assert "| clip of 40 s | ok |" in paper_tables.model_check_table(check).markdown()


def test_a_model_that_makes_nan_of_silence_is_told_beforehand(tmp_path):
    folder = tiny_families.build("speech_to_text", tmp_path / "m")
    check = check_model(ModelSpec(str(folder), device="cpu"))
    assert [name for name, text in check.clips.items() if text != "ok"] == ["silence"]
    assert "found NaN or infinity (2.00 s, all zeros)" in check.clips["silence"]


@pytest.mark.parametrize("name", ["bimotion/prosody", "bimotion/majority", "bimotion/random"])
def test_baselines_are_checked_too(name):
    check = check_model(ModelSpec(name))
    assert (check.family, check.finetune_clip_visits) == ("baseline", None)
    assert check.largest_difference == 0
    assert (check.dim > 0) == (name == "bimotion/prosody")
    assert paper_tables.model_check_table(check).title == name


def test_what_cannot_be_used_is_one_line_and_exit_code_1(tmp_path, monkeypatch):
    words = ["check-model", tiny_families.declare("dac", tmp_path / "codec")]
    code, shown, errors = run_main(monkeypatch, words)
    assert (code, shown, len(errors.splitlines())) == (1, "", 1)
    assert "found DacModel, a codec or vocoder: wrap it as an object with encode(" in errors


def test_a_clip_that_fails_is_exit_code_1(tmp_path, monkeypatch):
    folder = tiny_models.build("sew", tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    # what is the same everywhere becomes NaN
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 0.0}))
    words = ["check-model", folder, "--device", "cpu", "--json"]
    code, shown, errors = run_main(monkeypatch, words)
    clips = json.loads(shown)["clips"]
    assert {name for name, text in clips.items() if text != "ok"} == {"silence"}
    assert code == 1
    assert "not every made-up clip went through" in errors


@pytest.mark.parametrize(
    ("error", "spec", "message"),
    [
        (UnknownName, {"model": "bimotion/nothing"}, "bimotion/prosody"),
        (ModelError, {"model": "/no/such/folder"}, "no such folder"),
        # a device that a baseline would ignore is refused, as by evaluate
        (SettingError, {"device": "cuda"}, "device: expected none with bimotion/prosody"),
        (SettingError, {"revision": "main"}, "revision: expected none with bimotion/prosody"),
    ],
)
def test_what_is_refused(error, spec, message):
    with pytest.raises(error, match=message):
        check_model(ModelSpec(**{"model": "bimotion/prosody"} | spec))


def test_the_cost_is_that_of_the_plan_over_whole_corpora(whole_tree):
    source = CorpusSource.of(whole_tree, allow_missing=True)
    _, plan = planning.plan(paper_task(protocol="all"), source, Progress())
    n_clips, n_visits = protocol_cost()
    visits = sum(len(rows.train) + len(rows.validation) for rows in plan.training_sets)
    # the published corpora lack some clips
    assert len(plan.rows()) == pytest.approx(n_clips, rel=0.02)
    assert EPOCHS * visits == pytest.approx(n_visits, rel=0.02)
