"""A training that was broken off goes on to the same bytes; two processes compute what one does."""

import itertools
import socket
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

from bimotion.errors import SettingError
from bimotion.io import files
from bimotion.models.recipe import FinetuneOptions
from tests.support import tiny_models
from tests.support.tone_training import (
    STILL,
    Heard,
    Labelled,
    both,
    history,
    predict,
    started,
    tones,
    train,
    weights,
    worker,
)

HANGS_S = 600  # never waited for, but where a process hangs


def test_killed_and_run_again_is_bit_identical(models, tmp_path):
    options = FinetuneOptions(epochs=4, learning_rate=1e-3)
    whole = train(
        models("wav2vec2-group"), tmp_path / "whole", validation=tones(6, 1), options=options
    )
    killed = tmp_path / "killed"
    process = started(worker("slow", models("wav2vec2-group"), killed))
    try:
        limit = time.monotonic() + HANGS_S
        while not (killed / "state-0002").exists():
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < limit
            time.sleep(0.01)
        with pytest.raises(SettingError, match="another process is training here: wait for it"):
            train(models("wav2vec2-group"), killed, validation=tones(6, 1), options=options)
        time.sleep(0.3)
    finally:
        process.kill()
        process.wait()
    assert not (killed / "best").exists()
    (killed / f".state-0003{files._MARK}abcdefgh").mkdir()  # of a process that was killed
    heard = Heard()
    resumed = train(
        models("wav2vec2-group"), killed, validation=tones(6, 1), options=options, progress=heard
    )
    assert "going on after epoch 2" in heard.lines[0] or "going on after epoch 3" in heard.lines[0]
    assert weights(resumed) == weights(whole)
    assert (resumed / "training.json").read_text() == (whole / "training.json").read_text()
    assert predict(resumed, tones(6, 2)).tobytes() == predict(whole, tones(6, 2)).tobytes()
    assert sorted(path.name for path in killed.iterdir() if path.name != ".lock") == [
        "best",
        "run.json",
    ]


def test_states_are_not_pickled_and_errors_leave_a_state_to_go_on_from(models, tmp_path):
    clips, reads = tones(21), itertools.count()

    def waveform(i):
        if next(reads) > 30:
            raise RuntimeError("the disk is gone")
        return clips.waveform(i)

    broken = Labelled(21, waveform, clips.n_samples, clips.reference)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        train(models("wav2vec2-layer"), tmp_path / "a", clips=broken)
    suffixes = {
        path.suffix
        for path in (tmp_path / "a").rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    assert suffixes == {".json", ".safetensors", ""}  # SHA256SUMS has none
    assert weights(train(models("wav2vec2-layer"), tmp_path / "a")) == weights(
        train(models("wav2vec2-layer"), tmp_path / "b")
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Sources of what two processes train, and the folder of what they made of them."""
    folder = tmp_path_factory.mktemp("two")
    settings = {"wav2vec2-group": STILL, "ast": {}, "wavlm": {"layerdrop": 0.5}}
    sources = {
        family: tiny_models.build(family, folder / "sources" / family, **options)
        for family, options in settings.items()
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # not `accelerate launch --num_processes 2 --cpu`: without MPI that starts one process, and says
    # nothing
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port))
    process = started(worker("both", folder, *sources.values(), launcher=launcher))
    output, _ = process.communicate(timeout=HANGS_S)
    assert process.returncode == 0, output
    return sources, folder


def test_processes_leave_no_threads(two):
    left = {path.name: path.read_text() for path in two[1].glob("of 2-*")}
    assert left == {"of 2-0": "", "of 2-1": ""}


@pytest.mark.parametrize("family", ["wav2vec2-group", "ast"])
def test_two_processes_compute_what_one_does(family, two, tmp_path):
    """Nothing is drawn at random within the model; batches of 5 over 21 clips, so one step has a
    single clip.

    Attention ignores the bias of its keys: their gradient is only rounding, which AdamW blows up to
    the learning rate.
    """
    sources, folder = two
    by_two, by_one = folder / family / "best", both(sources[family], tmp_path / "one")
    start, a, b = (
        load_file(source / "model.safetensors") for source in (sources[family], by_one, by_two)
    )
    differences = {name: np.abs(a[name] - b[name]).max() for name in a}
    ignored = ("k_proj.bias", "key.bias")
    assert max(d for name, d in differences.items() if not name.endswith(ignored)) < 1e-5
    assert max(differences.values()) < 1e-3
    np.testing.assert_allclose(
        predict(by_two, tones(4, 2)), predict(by_one, tones(4, 2)), atol=1e-5
    )
    trained = {name: name.split(".", 1)[1] for name in a if name.split(".", 1)[1] in start}
    assert max(np.abs(a[name] - start[old]).max() for name, old in trained.items()) > 1e-3
    for x, y in zip(history(by_one), history(by_two), strict=True):
        assert x == pytest.approx(y, abs=1e-5)


def test_layers_that_one_process_drops_keep_the_others_waiting_for_nothing(two):
    losses = [entry["train_loss"] for entry in history(two[1] / "wavlm" / "best")]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
