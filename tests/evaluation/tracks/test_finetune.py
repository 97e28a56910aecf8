"""Fine-tuning end to end: it learns, keeps plain checkpoints, resumes, runs in two processes."""

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bimotion.evaluation.tracks.finetune import Finetune
from bimotion.models.recipe import FinetuneOptions
from bimotion.results import record
from tests.support import tiny_models
from tests.support.command_line import run_main
from tests.support.small_runs import HANGS_S, evaluated, killed_at, words
from tests.support.tone_training import STILL

SUPPORT = Path(__file__).parents[2] / "support"
ASKED = {"protocol": "in-group", "schema": "valence"}
TRAINED = ("--track", "finetune", "--schema", "valence", "--learning-rate", "1e-3")


def probabilities(folder, **chosen):
    rows = pd.read_parquet(folder / "predictions.parquet")
    for column, value in chosen.items():
        rows = rows[rows[column] == value]
    return np.stack(rows.set_index("id").sort_index()["probabilities"])


@pytest.fixture(scope="module")
def learned(models, esd, tmp_path_factory):
    """A tiny spectrogram transformer fine-tuned in-group on synthetic ESD: result and folder."""
    options = FinetuneOptions(epochs=4, learning_rate=5e-3, dropout=0.0)
    asked = {"track": "finetune", "finetune": options, "cells": ["eng_adu"]}
    model = models("ast", initializer_range=0.1)
    return evaluated(model, esd, tmp_path_factory.mktemp("learned"), **ASKED | asked)


def values(result) -> dict:
    scores = [score for score in result.scores if score.method in ("inference", "zero-shot")]
    return {(score.corpus, score.pooling, score.metric): score.value for score in scores}


def test_fine_tuning_beats_chance_well(learned):
    assert values(learned[0])[None, "mean", "uar"] > 0.55  # three classes


def test_a_checkpoint_is_a_plain_one_and_evaluates_to_the_same_numbers(learned, esd, tmp_path):
    from transformers import AutoModelForAudioClassification

    result, folder = learned
    best = folder / "checkpoints" / "eng_adu-0" / "best"
    classes = AutoModelForAudioClassification.from_pretrained(best).config.id2label
    assert classes == {0: "positive", 1: "neutral", 2: "negative"}
    asked = ASKED | {"track": "zero-shot", "cells": ["eng_adu"]}
    again, other = evaluated(best, esd, tmp_path, **asked)
    np.testing.assert_array_equal(probabilities(folder, train="eng_adu"), probabilities(other))
    assert values(again) == values(result)


def test_the_record_says_how_it_was_trained(learned):
    result, folder = learned
    assert result.track == "finetune"
    assert result.model.options["learning_rate"] == 5e-3
    (fit,) = result.fits
    assert fit.train == "eng_adu"
    kept = json.loads((folder / "checkpoints" / "eng_adu-0" / "best" / "training.json").read_text())
    losses = [epoch["validation_loss"] for epoch in kept["history"]]
    assert fit.facts["best_epoch"] == kept["best_epoch"]
    assert fit.facts["validation_loss"] == min(losses)
    assert fit.n_train == kept["n_train"] > fit.n_validation > 0
    assert result.n_parameters > 1000


def test_preset_paper_trains_by_the_papers_recipe(models, small, tmp_path, monkeypatch):
    line = f"evaluate -m {models('wav2vec2-layer')} --corpora {small} -o {tmp_path} --limit 2"
    line += " --preset paper --track finetune --protocol in-group --cells zho_eld --allow-missing"
    code, _, errors = run_main(monkeypatch, [*line.split(), "--num-train-epochs", "1"])
    assert code == 0, errors
    result = record.load(*tmp_path.glob("*/*/result.json"))
    expected = asdict(FinetuneOptions(recipe="paper", epochs=1))
    assert expected.items() <= result.model.options.items()
    assert result.seeds == [0]
    asked = {"protocol": "in-group", "cells": ["zho_eld"], "limit": 2, "preset": "paper"}
    for track in (Finetune(FinetuneOptions(epochs=1)), "finetune"):
        options = {} if track != "finetune" else {"finetune": FinetuneOptions(epochs=1)}
        again, _ = evaluated(
            models("wav2vec2-layer"), small, tmp_path, track=track, **asked, **options
        )
        assert again.key == result.key


def test_killed_in_an_epoch_it_goes_on_to_the_same_bytes(models, small, tmp_path):
    model = models("wav2vec2-group")
    training = FinetuneOptions(epochs=12, patience=12, learning_rate=1e-3)
    options = ASKED | {"track": "finetune", "finetune": training, "cells": ["eng_eld", "eng_adu"]}
    whole, folder = evaluated(model, small, tmp_path / "whole", **options)
    killed = tmp_path / "killed" / folder.relative_to(tmp_path / "whole")
    more = ("--num-train-epochs", "12", "--early-stopping-patience", "12")
    asked = words(model, small, tmp_path / "killed", *TRAINED, *more, "--cells", "eng_eld,eng_adu")
    killed_at(killed, "checkpoints/eng_adu-0/state-*", asked)
    assert not (killed / "result.json").exists()
    done = killed / "checkpoints/eng_eld-0/best/model.safetensors"
    before = done.stat().st_mtime_ns
    resumed, again = evaluated(model, small, tmp_path / "killed", **options)
    assert again == killed
    assert done.stat().st_mtime_ns == before  # not trained again
    assert (resumed.scores, resumed.fits) == (whole.scores, whole.fits)
    for name in ("predictions.parquet", "checkpoints/eng_adu-0/best/model.safetensors"):
        assert (killed / name).read_bytes() == (folder / name).read_bytes()


def test_two_processes_give_the_numbers_of_one(models, small, tmp_path):
    model = models("wav2vec2-layer", **STILL)
    training = FinetuneOptions(epochs=2, learning_rate=1e-3, dropout=0.0)
    options = ASKED | {"track": "finetune", "finetune": training}
    single, folder = evaluated(model, small, tmp_path / "one", **options)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    launcher += ["--master_port", port, SUPPORT / "ending.py", tmp_path / "left", "bimotion"]
    more = ("--num-train-epochs", "2", "--dropout", "0")
    done = subprocess.run(
        [*launcher, *words(model, small, tmp_path / "two", *TRAINED, *more)],
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
    double = record.load(other / "result.json")
    assert double.provenance.device == "2 x cpu"
    assert double.key == single.key
    np.testing.assert_allclose(probabilities(folder), probabilities(other), atol=1e-5)
    losses = [[fit.facts["train_loss"] for fit in result.fits] for result in (single, double)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_loss_that_is_not_finite_is_one_line(models, small, tmp_path, monkeypatch):
    source = tiny_models.overflowing(models("wav2vec2-layer"), tmp_path / "source")
    asked = words(source, small, tmp_path, *TRAINED, "--num-train-epochs", "1")
    code, _, errors = run_main(monkeypatch, asked)
    assert code == 2
    assert re.search("bimotion: the (training|validation) loss is not finite", errors)
    assert "Traceback" not in errors
