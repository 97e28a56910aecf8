"""A training that was broken off goes on to the same bytes; two processes compute what one does."""

import itertools
import socket
import time

import numpy as np
import pytest

from bimotion.errors import SettingError
from bimotion.io import files
from bimotion.models.training import FinetuneOptions
from tests.support.tone_training import (
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


def test_two_processes_compute_what_one_does(models, tmp_path):
    """Dropout, layer drop and SpecAugment on; batches of 5 over 21 clips, so one step has a single
    clip.

    Attention ignores the bias of its keys: their gradient is rounding alone, which AdamW blows up
    to the learning rate.
    """
    from safetensors.numpy import load_file

    families = ("wav2vec2-group", "wavlm", "ast")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # not `accelerate launch --num_processes 2 --cpu`: without MPI that starts one process, and says
    # nothing
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port))
    sources = [models(family) for family in families]
    process = started(worker("both", tmp_path, *sources, launcher=launcher))
    output, _ = process.communicate(timeout=HANGS_S)
    assert process.returncode == 0, output
    # threads left
    assert {path.name: path.read_text() for path in tmp_path.glob("of 2-*")} == {
        "of 2-0": "",
        "of 2-1": "",
    }
    for source in sources:
        two, one = tmp_path / source.name / "best", both(source, tmp_path / "one" / source.name)
        start, a, b = (
            load_file(source / "model.safetensors"),
            *(load_file(f / "model.safetensors") for f in (one, two)),
        )
        differences = {name: np.abs(a[name] - b[name]).max() for name in a}
        assert {
            name: d
            for name, d in differences.items()
            if d > 1e-5 and not name.endswith(("k_proj.bias", "key.bias"))
        } == {}
        assert max(differences.values()) < 1e-3
        np.testing.assert_allclose(predict(two, tones(4, 2)), predict(one, tones(4, 2)), atol=1e-5)
        assert (
            max(
                np.abs(a[name] - start[name.split(".", 1)[1]]).max()
                for name in a
                if name.split(".", 1)[1] in start
            )
            > 1e-3
        )
        for x, y in zip(history(one), history(two), strict=True):
            assert x == pytest.approx(y, abs=1e-5)
