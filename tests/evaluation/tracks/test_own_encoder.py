"""A user's own encoder, as an object or a module, is evaluated as any other."""

import numpy as np
import pytest

import bimotion
from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.io import audio
from bimotion.models.weights import ModelError
from bimotion.results import rescoring
from tests.support.small_runs import evaluated


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


class Moody:
    """Features that become NaN for a clip by itself: of whichever is the third, once told to."""

    def __init__(self):
        self.is_moody, self.n_alone, self.spoilt = False, 0, None

    def encode(self, waveforms, sample_rate_hz):
        rows = np.array([[w.std(), np.abs(w).mean()] for w in waveforms])
        if self.is_moody and len(waveforms) == 1:
            self.n_alone += 1
            if self.n_alone == 3:
                self.spoilt, rows[:] = waveforms[0], np.nan
        return rows


def test_a_clip_that_becomes_nan_alone_is_named_by_its_id(small, tmp_path):
    encoder = Moody()
    asked = {"head": "logistic", "protocol": "in-group"}
    evaluated(encoder, small, tmp_path, **asked)
    encoder.is_moody = True
    with pytest.raises(ModelError, match=r"Moody\.encode: .*: alone: expected finite") as raised:
        evaluated(encoder, small, tmp_path, check_invariance=True, **asked)
    found = manifest.build(CorpusSource(small))
    rows = found.table.set_index("id")
    named = str(raised.value).split(": ")[1]
    row = rows.loc[named]
    assert np.array_equal(audio.decode(found.path(row["corpus"], row["path"])), encoder.spoilt)
