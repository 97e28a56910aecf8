"""Fine-tuning end to end: it learns, keeps plain checkpoints, resumes, runs in two processes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bimotion.models.training import FinetuneOptions
from bimotion.results import record
from tests.support import tiny_models
from tests.support.small_runs import command, evaluated
from tests.support.tone_training import STILL

HANGS_S = 600  # never waited for, but where a process hangs


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
    model = models("wav2vec2-layer", **STILL)
    options = {"track": "finetune", "protocol": "in-group", "schema": "valence"}
    one, folder = evaluated(
        model,
        small,
        tmp_path / "one",
        finetune=FinetuneOptions(epochs=2, learning_rate=1e-3, dropout=0.0),
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
    ending = Path(__file__).parents[2] / "support" / "ending.py"
    _, *asked = command(model, small, tmp_path / "two", "--num-train-epochs", "2", "--dropout", "0")
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


def test_loss_that_is_not_finite_is_one_line(models, small, tmp_path):
    source = tiny_models.overflowing(models("wav2vec2-layer"), tmp_path / "source")
    arguments = [sys.executable, *command(source, small, tmp_path, "--num-train-epochs", "1")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.search("bimotion: the (training|validation) loss is not finite", done.stderr)
    assert "Traceback" not in done.stderr
