"""`bimotion check-model`: what it says of models that run, and one line for those that do not."""

import json
import subprocess
import sys

import pytest

from bimotion.analysis import paper_tables
from bimotion.data.source import CorpusSource
from bimotion.errors import ModelError, SettingError, UnknownName
from bimotion.evaluation import plan as planning
from bimotion.evaluation.model_check import EPOCHS, check_model, protocol_cost
from bimotion.evaluation.task import TaskSpec
from bimotion.io.progress import Progress
from bimotion.models.spec import ModelSpec
from tests.support import tiny_families, tiny_models


def bimotion(*words) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "bimotion", *map(str, words)], capture_output=True, text=True
    )


def test_a_model_is_described_as_json(tmp_path):
    folder = tiny_models.build("whisper", tmp_path / "tiny")
    done = bimotion("check-model", folder, "--device", "cpu", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    expected = {
        "model": "tiny",
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
    assert {name: found[name] for name in expected} == expected
    assert found["padding"].startswith("each clip fills a window of 2 s")
    assert found["largest_difference"] < 1e-4
    assert found["realtime_factor"] == pytest.approx(2 * found["clips_a_second"])
    assert found["probe_hours"] == pytest.approx(
        found["protocol_clips"] / found["clips_a_second"] / 3600
    )


@pytest.mark.parametrize(
    ("family", "padding"),
    [("wav2vec2-group", "clips of any lengths share a batch"), ("sew", "only clips of one length")],
)
def test_padding_is_said(family, padding, tmp_path):
    found = check_model(ModelSpec(str(tiny_models.build(family, tmp_path / "m")), device="cpu"))
    assert found.padding.startswith(padding)
    assert set(found.clips.values()) == {"ok"}
    assert found.largest_difference < 1e-4
    assert (
        f"| clip of 40 s | {found.clips['40 s']} |"
        in paper_tables.model_check_table(found).markdown()
    )


def test_a_model_that_makes_nan_of_silence_is_told_beforehand(tmp_path):
    folder = tiny_families.build("speech_to_text", tmp_path / "m")
    found = check_model(ModelSpec(str(folder), device="cpu"))
    assert [name for name, text in found.clips.items() if text != "ok"] == ["silence"]
    assert "found NaN or infinity (2.00 s, all zeros)" in found.clips["silence"]


@pytest.mark.parametrize("name", ["bimotion/prosody", "bimotion/majority", "bimotion/random"])
def test_baselines_are_checked_too(name):
    found = check_model(ModelSpec(name))
    assert (found.family, found.finetune_clip_visits, found.largest_difference) == (
        "baseline",
        None,
        0,
    )
    assert (found.dim > 0) == (name == "bimotion/prosody")
    assert paper_tables.model_check_table(found).title == name


def test_what_cannot_be_used_is_one_line_and_exit_code_1(tmp_path):
    done = bimotion("check-model", tiny_families.declare("dac", tmp_path / "codec"))
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "found DacModel, a codec or vocoder: wrap it as an object with encode(" in done.stderr
    with pytest.raises(UnknownName, match="bimotion/prosody"):
        check_model(ModelSpec("bimotion/nothing"))
    with pytest.raises(ModelError, match="no such folder"):
        check_model(ModelSpec(str(tmp_path / "nothing")))


def test_a_clip_that_fails_is_exit_code_1(tmp_path):
    folder = tiny_models.build("sew", tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    # what is the same everywhere becomes NaN
    (folder / "config.json").write_text(json.dumps(config | {"layer_norm_eps": 0.0}))
    done = bimotion("check-model", folder, "--device", "cpu", "--json")
    clips = json.loads(done.stdout)["clips"]
    assert {name for name, text in clips.items() if text != "ok"} == {"silence"}
    assert done.returncode == 1
    assert "not every made-up clip went through" in done.stderr


def test_a_device_that_a_baseline_would_ignore_is_refused_as_by_evaluate():
    with pytest.raises(SettingError, match="device: expected none with bimotion/prosody"):
        check_model(ModelSpec("bimotion/prosody", device="cuda"))
    with pytest.raises(SettingError, match="revision: expected none with bimotion/prosody"):
        check_model(ModelSpec("bimotion/prosody", revision="main"))


def test_the_cost_is_that_of_the_plan_over_whole_corpora(whole_tree):
    _, plan = planning.plan(
        TaskSpec.of(protocol="all"), CorpusSource.of(whole_tree, allow_missing=True), Progress()
    )
    n_clips, n_visits = protocol_cost()
    visits = EPOCHS * sum(len(one.train) + len(one.validation) for one in plan.training_sets)
    # the published corpora lack some clips
    assert len(plan.rows()) == pytest.approx(n_clips, rel=0.02)
    assert visits == pytest.approx(n_visits, rel=0.02)
