"""Tracks end to end: fine-tuning and zero-shot over the whole protocol, their records, and a user's
own encoder."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bimotion
from bimotion.analysis.paper_tables import paper_tables
from bimotion.data import manifest
from bimotion.data.synthetic import layouts
from bimotion.errors import SettingError
from bimotion.evaluation import run
from bimotion.io import audio
from bimotion.models.training import FinetuneOptions
from bimotion.models.weights import ModelError
from bimotion.protocol.labels import EMOTIONS
from bimotion.results import record, rescoring
from tests.support import tiny_models

FAMILIES = (
    "wav2vec2-layer",
    "wav2vec2-group",
    "hubert",
    "wavlm",
    "data2vec",
    "whisper",
    "w2v-bert",
    "ast",
)
HANGS_S = 600  # never waited for, but where a process hangs
ONE_EPOCH = FinetuneOptions(epochs=1, batch_size=16)
FOUR = {0: "angry", 1: "happy", 2: "neutral", 3: "calm"}


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Synthetic corpora, all cells of all protocols, two clips of each corpus, cell and part."""
    root = tmp_path_factory.mktemp("small")

    def group(clip):
        return clip.corpus, clip.voice.language, clip.voice.age_years >= 60, clip.part

    clips = sorted(layouts.plan(), key=group)
    layouts.lay(root, [clip for _, found in groupby(clips, group) for clip in list(found)[:2]])
    return root


@pytest.fixture(scope="module")
def esd(tmp_path_factory) -> Path:
    """Synthetic ESD alone, large enough to learn from."""
    root = tmp_path_factory.mktemp("esd")
    layouts.write(root, scale=0.01, seed=0, corpora=["esd"])
    return root


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folder of a tiny model, by family; `heads`: with outputs of these names."""
    folder, made = tmp_path_factory.mktemp("models"), {}

    def of(family: str, names: dict[int, str] | None = None, **changes) -> str:
        key = json.dumps([family, names, changes])
        if key not in made:
            labelled = {"n_labels": len(names), "id2label": names} if names else {}
            made[key] = str(
                tiny_models.build(family, folder / f"{family}-{len(made)}", **labelled, **changes)
            )
        return made[key]

    return of


def evaluated(model, root, output, **options):
    result = run.evaluate(model, data_dir=root, output=output, allow_missing=True, **options)
    return result, result.folder(output)


# --- all families, all protocols ----------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_fine_tuned(family, models, small, tmp_path):
    """One over the whole protocol, the others in-group: what is trained on what does not hang on
    the family."""
    protocol, n_settings, n_sets = ("all", 36, 13) if family == FAMILIES[0] else ("in-group", 4, 4)
    asked = {
        "track": "finetune",
        "finetune": ONE_EPOCH,
        "save_checkpoints": False,
        "protocol": protocol,
    }
    result, folder = evaluated(models(family), small, tmp_path, **asked)
    assert result.skipped == []
    assert (
        len(
            {
                (score.method, score.transfer, score.test, tuple(score.train))
                for score in result.scores
            }
        )
        == n_settings
    )
    assert len(result.fits) == n_sets
    assert all(np.isfinite(fit.facts["train_loss"]) for fit in result.fits)
    assert result.model.options["epochs"] == 1
    assert rescoring.rescore(folder) == (result, result)
    assert not list(folder.glob("checkpoints/*"))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_classifiers_is_tested_as_it_is(family, models, small, tmp_path):
    result, folder = evaluated(models(family, FOUR), small, tmp_path, track="zero-shot")
    tests = {(score.test, score.corpus) for score in result.scores}
    assert {("yue_adu", "yuemotion"), ("eng_eld", "tess"), ("zho_adu", "esd")} <= tests
    assert {(score.transfer, score.method, tuple(score.train)) for score in result.scores} == {
        ("zero-shot", "zero-shot", ())
    }
    assert (
        result.model.options["outputs"]
        == "angry=angry; happy=happiness; neutral=neutral; calm=neutral"
    )
    assert result.model.options["unmapped"] == ""
    assert rescoring.rescore(folder) == (result, result)
    predictions = pd.read_parquet(folder / "predictions.parquet")
    said = np.stack(predictions["probabilities"])
    others = [
        place
        for place, name in enumerate(EMOTIONS)
        if name not in ("angry", "happiness", "neutral")
    ]
    assert (said[:, others] == 0).all()
    assert said.sum(axis=1) == pytest.approx(1, abs=1e-5)
    tess = [
        score
        for score in result.scores
        if (score.test, score.corpus, score.metric) == ("eng_eld", "tess", "weighted_f1")
    ]
    mine = predictions[(predictions["corpus"] == "tess") & (predictions["cell"] == "eng_eld")]
    reference = np.stack(mine["reference"])
    sayable = reference[:, [EMOTIONS.index(name) for name in ("angry", "happiness", "neutral")]]
    assert tess[0].outside == pytest.approx(1 - (sayable == 1).any(axis=1).mean())
    assert "Zero-shot" in paper_tables(result)


@pytest.mark.parametrize("protocol", ["in-group", "inference", "augmentation", "distance"])
def test_protocols_of_zero_shot(protocol, models, small, tmp_path):
    result, _ = evaluated(
        models("hubert", FOUR), small, tmp_path, track="zero-shot", protocol=protocol
    )
    n_tests = {"distance": 3}.get(protocol, 4)
    assert len({score.test for score in result.scores}) == n_tests


# --- what fine-tuning must do -------------------------------------------------------------------


@pytest.fixture(scope="module")
def learned(models, esd, tmp_path_factory):
    """A tiny spectrogram transformer fine-tuned in-group on synthetic ESD: result and folder."""
    options = FinetuneOptions(epochs=8, learning_rate=5e-3, dropout=0.0)
    return evaluated(
        models("ast", initializer_range=0.1),
        esd,
        tmp_path_factory.mktemp("learned"),
        track="finetune",
        finetune=options,
        schema="valence",
        protocol="in-group",
    )


def test_fine_tuning_beats_chance_well(learned):
    result, _ = learned
    recalls = [
        score.value for score in result.scores if score.metric == "uar" and score.pooling == "mean"
    ]
    assert len(recalls) == 2
    assert min(recalls) > 0.55  # three classes


def test_a_checkpoint_is_a_plain_one_and_evaluates_to_the_same_numbers(learned, esd, tmp_path):
    from transformers import AutoModelForAudioClassification

    result, folder = learned
    best = folder / "checkpoints" / "eng_adu-0" / "best"
    assert AutoModelForAudioClassification.from_pretrained(best).config.id2label == {
        0: "positive",
        1: "neutral",
        2: "negative",
    }
    options = {"schema": "valence", "protocol": "in-group", "cells": ["eng_adu"]}
    again, other = evaluated(str(best), esd, tmp_path, track="zero-shot", **options)
    first, second = (pd.read_parquet(place / "predictions.parquet") for place in (folder, other))
    first = first[first["train"] == "eng_adu"]
    assert first["id"].tolist() == second["id"].tolist()
    np.testing.assert_array_equal(
        np.stack(first["probabilities"]), np.stack(second["probabilities"])
    )

    def values(found):
        rows = [
            score
            for score in found.scores
            if score.test == "eng_adu" and score.method in ("inference", "zero-shot")
        ]
        return {(score.corpus, score.pooling, score.metric): score.value for score in rows}

    assert values(again) == values(result)


def test_the_record_says_how_it_was_trained(learned):
    result, folder = learned
    assert result.track == "finetune"
    assert result.model.options["learning_rate"] == 5e-3
    assert {fit.train for fit in result.fits} == {"eng_adu", "zho_adu"}
    for fit in result.fits:
        kept = json.loads(
            (folder / "checkpoints" / f"{fit.train}-0" / "best" / "training.json").read_text()
        )
        assert fit.facts["best_epoch"] == kept["best_epoch"]
        assert fit.facts["validation_loss"] == min(
            entry["validation_loss"] for entry in kept["history"]
        )
        assert fit.n_train == kept["n_train"] > fit.n_validation > 0
    assert result.n_parameters > 1000


def command(model, root, output, *more) -> list[str]:
    return [
        "-m",
        "bimotion",
        "evaluate",
        "-m",
        str(model),
        "--track",
        "finetune",
        "--corpora",
        str(root),
        "-o",
        str(output),
        "--allow-missing",
        "--protocol",
        "in-group",
        "--schema",
        "valence",
        "--learning-rate",
        "1e-3",
        *more,
    ]


def test_killed_in_an_epoch_it_goes_on_to_the_same_bytes(models, small, tmp_path):
    model = models("wav2vec2-group")
    options = {
        "track": "finetune",
        "protocol": "in-group",
        "schema": "valence",
        "cells": ["eng_eld", "eng_adu"],
    }
    options["finetune"] = FinetuneOptions(epochs=12, patience=12, learning_rate=1e-3)
    whole, folder = evaluated(model, small, tmp_path / "whole", **options)
    more = (
        "--num-train-epochs",
        "12",
        "--early-stopping-patience",
        "12",
        "--cells",
        "eng_eld,eng_adu",
    )
    process = subprocess.Popen(
        [sys.executable, *command(model, small, tmp_path / "killed", *more)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + HANGS_S
    killed = tmp_path / "killed" / folder.relative_to(tmp_path / "whole")
    while (
        not (states := list(killed.glob("checkpoints/eng_adu-0/state-*")))
        and time.monotonic() < deadline
    ):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert states
    assert not (killed / "result.json").exists()
    first = (killed / "checkpoints/eng_eld-0/best/model.safetensors").stat().st_mtime_ns
    resumed, again = evaluated(model, small, tmp_path / "killed", **options)
    assert again == killed
    # not trained again
    assert (killed / "checkpoints/eng_eld-0/best/model.safetensors").stat().st_mtime_ns == first
    assert (resumed.scores, resumed.fits) == (whole.scores, whole.fits)
    for name in ("predictions.parquet", "checkpoints/eng_adu-0/best/model.safetensors"):
        assert (killed / name).read_bytes() == (folder / name).read_bytes()


def test_two_processes_give_the_numbers_of_one(models, small, tmp_path):
    model = models("wav2vec2-layer")
    options = {"track": "finetune", "protocol": "in-group", "schema": "valence"}
    one, folder = evaluated(
        model,
        small,
        tmp_path / "one",
        finetune=FinetuneOptions(epochs=2, learning_rate=1e-3),
        **options,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--master_port",
        str(port),
    ]
    ending = Path(__file__).parents[1] / "support" / "ending.py"
    _, *asked = command(model, small, tmp_path / "two", "--num-train-epochs", "2")
    done = subprocess.run(
        [*launcher, ending, tmp_path / "left", *asked],
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    # threads at the end of each process
    assert [path.read_text() for path in sorted(tmp_path.glob("left-*"))] == ["", ""]
    assert done.stdout.count("result.json") == 1  # the second process is silent
    other = tmp_path / "two" / folder.relative_to(tmp_path / "one")
    two = record.load(other / "result.json")
    assert two.provenance.device == "2 x cpu"
    assert two.key == one.key
    first, second = (pd.read_parquet(place / "predictions.parquet") for place in (folder, other))
    np.testing.assert_allclose(
        np.stack(first["probabilities"]), np.stack(second["probabilities"]), atol=1e-5
    )
    for a, b in zip(one.fits, two.fits, strict=True):
        assert a.facts["train_loss"] == pytest.approx(b.facts["train_loss"], abs=1e-5)


# --- a user's own encoder -----------------------------------------------------------------------


class Loudness:
    """Two layers of three numbers."""

    def encode(self, waveforms, sample_rate_hz):
        assert sample_rate_hz == 16_000
        rows = [[np.abs(w).mean(), w.std(), len(w) / sample_rate_hz] for w in waveforms]
        return np.array([[row, row[::-1]] for row in rows])


def test_an_object_that_encodes_is_evaluated(small, tmp_path):
    result, folder = evaluated(Loudness(), small, tmp_path, head="logistic", protocol="in-group")
    assert result.model.name == "Loudness"
    assert folder.parent.name == "Loudness"
    assert {fit.facts["layer"] for fit in result.fits} <= {0, 1}
    assert rescoring.rescore(folder) == (result, result)
    assert (
        bimotion.evaluate(
            Loudness(),
            data_dir=small,
            output=tmp_path,
            allow_missing=True,
            head="logistic",
            protocol="in-group",
        )
        == result
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_module_that_encodes_is_evaluated(precision, small, tmp_path):
    import torch

    class Bank(torch.nn.Module):
        name = "lab/bank"

        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.filters = torch.nn.Conv1d(1, 4, 400, 200)

        def encode(self, waveforms, sample_rate_hz):
            rows = torch.stack(
                [self.filters(torch.from_numpy(w)[None]).abs().mean(1) for w in waveforms]
            )
            return rows.to(getattr(torch, precision))

    result, folder = evaluated(Bank(), small, tmp_path, protocol="in-group", check_invariance=True)
    assert result.n_parameters == 4 * 400 + 4
    assert folder.parent.name == "lab__bank"
    assert result.provenance.largest_difference == 0


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda waveforms, rate: 1 / 0, "it raised ZeroDivisionError"),
        (
            lambda waveforms, rate: np.zeros((1, 2)),
            "expected 5 finite rows of one size, found shape",
        ),
        (
            lambda waveforms, rate: np.full((len(waveforms), 2), np.nan),
            "clip 0: expected finite features, found NaN",
        ),
    ],
)
def test_what_an_own_encoder_gets_wrong_is_said(encode, message, small, tmp_path):
    own = type("Own", (), {"encode": staticmethod(encode)})()
    with pytest.raises(ModelError, match=message):
        evaluated(own, small, tmp_path)


@pytest.mark.parametrize("together", ["many", 0, 10**12, float("nan")])
def test_how_many_clips_an_own_encoder_takes_is_bounded(together, small, tmp_path):
    own = type("Own", (Loudness,), {"clips_together": together})()
    with pytest.raises(
        SettingError, match="clips_together: expected a whole number from 1 to 4096"
    ):
        evaluated(own, small, tmp_path)


def test_a_clip_that_becomes_nan_is_named(small, tmp_path):
    class Picky:
        def encode(self, waveforms, sample_rate_hz):
            return np.array(
                [[np.nan if np.array_equal(w, spoilt) else w.std()] * 2 for w in waveforms]
            )

    spoilt = None
    found = manifest.build(small)
    clip = found.table[found.table["corpus"] == "tess"].iloc[-1]
    spoilt = audio.decode(found.path("tess", clip["path"]))
    with pytest.raises(
        ModelError,
        match=rf"Picky.encode: {re.escape(clip['id'])}: expected finite features, found NaN",
    ):
        evaluated(Picky(), small, tmp_path, head="logistic")


# --- options ------------------------------------------------------------------------------------


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


def test_label_map_file(models, small, tmp_path):
    unnamed = models("wavlm", {0: "LABEL_0", 1: "LABEL_1"})
    with pytest.raises(
        SettingError,
        match=r"expected outputs with names, found 'LABEL_0', 'LABEL_1'; write a JSON file",
    ):
        evaluated(unnamed, small, tmp_path, track="zero-shot")
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"LABEL_0": "happiness", "LABEL_1": None}))
    result, _ = evaluated(
        unnamed, small, tmp_path, track="zero-shot", label_map=file, protocol="in-group"
    )
    assert (result.model.options["label_map"], result.model.options["unmapped"]) == (
        "file",
        "LABEL_1",
    )
    assert {
        tuple(score.untrained)
        for score in result.scores
        if score.corpus == "tess" and score.metric == "uar"
    } != {()}


def test_the_papers_own_checkpoints_are_read(models, small, tmp_path):
    """In a cache as the Hub fills it: 13 unnamed sigmoid outputs, under an architecture that
    transformers does not have."""
    name = "SER-wav2vec2-large-xlsr-53-eng-zho-elderly"
    unnamed = {place: f"LABEL_{place}" for place in range(13)}
    snapshot = tmp_path / "hub" / f"models--CAiRE--{name}" / "snapshots" / ("0" * 40)
    shutil.copytree(models("wav2vec2-layer", unnamed), snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    config = json.loads((snapshot / "config.json").read_text())
    config |= {
        "architectures": ["Wav2Vec2ForMultilabelSequenceClassification"],
        "problem_type": None,
    }
    (snapshot / "config.json").write_text(json.dumps(config))
    command = [
        sys.executable,
        "-m",
        "bimotion",
        "evaluate",
        "-m",
        f"CAiRE/{name}",
        "--track",
        "zero-shot",
        "--allow-missing",
        "--corpora",
        str(small),
        "-o",
        str(tmp_path / "out"),
        "--protocol",
        "in-group",
        "--json",
    ]
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["model"]["name"] == f"CAiRE/{name}"
    assert result["model"]["revision"] == "0" * 40
    options = result["model"]["options"]
    assert (options["label_map"], options["softmax"], options["unmapped"]) == (
        "built-in",
        False,
        "",
    )
    assert options["outputs"].startswith("LABEL_0=sadness; LABEL_1=fear; LABEL_2=angry")
    (folder,) = (tmp_path / "out").glob("CAiRE__*/*")
    said = np.stack(pd.read_parquet(folder / "predictions.parquet")["probabilities"])
    assert said.shape[1] == 13
    assert (said.sum(axis=1) > 2).all()  # sigmoids of a model that knows nothing, not a softmax


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"track": "zero-shot", "seeds": [0, 1]},
            "expected one seed, for nothing is random, found 2",
        ),
        (
            {"track": "zero-shot", "head": "layers"},
            "head: expected with track probe, found track zero-shot",
        ),
        (
            {"track": "probe", "finetune": ONE_EPOCH},
            "finetune: expected with track finetune, found track probe",
        ),
        ({"track": "finetune", "label_map": "x.json"}, "label_map: expected with track zero-shot"),
        ({"track": "zero-shot", "label_map": "nowhere.json"}, "nowhere.json: expected a label map"),
    ],
)
def test_options_of_another_track_are_refused(options, message, models, small, tmp_path):
    with pytest.raises(SettingError, match=message):
        evaluated(models("hubert", FOUR), small, tmp_path, **options)


def test_models_without_a_trained_head_are_no_classifiers(models, small, tmp_path):
    with pytest.raises(
        ModelError, match="expected a head that was trained in HubertForSequenceClassification"
    ):
        evaluated(models("hubert"), small, tmp_path, track="zero-shot")
    with pytest.raises(
        SettingError, match="track finetune: expected a Hub id or a folder, found bimotion/prosody"
    ):
        evaluated("bimotion/prosody", small, tmp_path, track="finetune")


def test_loss_that_is_not_finite_is_one_line(models, small, tmp_path):
    source = tiny_models.overflowing(models("wav2vec2-layer"), tmp_path / "source")
    arguments = [sys.executable, *command(source, small, tmp_path, "--num-train-epochs", "1")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.search("bimotion: the (training|validation) loss is not finite", done.stderr)
    assert "Traceback" not in done.stderr


def test_both_split_rules_at_once(small, tmp_path):
    arguments = [
        "-m",
        "bimotion",
        "evaluate",
        "-m",
        "bimotion/majority",
        "--corpora",
        str(small),
        "-o",
        str(tmp_path),
    ]
    done = subprocess.run(
        [
            sys.executable,
            *arguments,
            "--allow-missing",
            "--split-rule",
            "both",
            "--protocol",
            "in-group",
            "--json",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [result["split"]["rule"] for result in json.loads(done.stdout)] == ["paper", "disjoint"]
    assert len(list(tmp_path.glob("*/*/result.json"))) == 2


def test_real_clips_go_through_all_tracks(shared_corpora, models, tmp_path):
    options = {"protocol": "in-group", "limit": 6}
    for track, more in (("probe", {}), ("finetune", {"finetune": ONE_EPOCH}), ("zero-shot", {})):
        result, folder = evaluated(
            models("wav2vec2-layer", FOUR), shared_corpora, tmp_path, track=track, **options, **more
        )
        assert {score.corpus for score in result.scores if score.corpus} == {"tess", "csed"}
        assert rescoring.rescore(folder) == (result, result)
