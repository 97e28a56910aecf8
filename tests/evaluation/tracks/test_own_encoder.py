"""A user's own encoder, as an object or a module, is evaluated as any other."""

import numpy as np
import pytest

from bimotion.data import manifest
from bimotion.data.source import CorpusSource
from bimotion.errors import SettingError
from bimotion.io import audio
from bimotion.models.weights import ModelError
from bimotion.results import rescoring
from tests.support.small_runs import evaluated

ASKED = {"protocol": "in-group", "cells": ["eng_eld", "zho_eld"]}


class Loudness:
    """Two layers of three numbers."""

    def encode(self, waveforms, sample_rate_hz):
        assert sample_rate_hz == 16_000
        rows = [[np.abs(w).mean(), w.std(), len(w) / sample_rate_hz] for w in waveforms]
        return np.array([[row, row[::-1]] for row in rows])


def test_an_object_that_encodes_is_evaluated(small, tmp_path):
    result, folder = evaluated(Loudness(), small, tmp_path, **ASKED)
    assert result.model.name == folder.parent.name == "Loudness"
    assert {fit.facts["layer"] for fit in result.fits} <= {0, 1}
    assert rescoring.rescore(folder) == (result, result)
    assert evaluated(Loudness(), small, tmp_path, **ASKED) == (result, folder)


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
            rows = [self.filters(torch.from_numpy(w)[None]).abs().mean(1) for w in waveforms]
            return torch.stack(rows).to(getattr(torch, precision))

    result, folder = evaluated(Bank(), small, tmp_path, check_invariance=True, **ASKED)
    assert result.n_parameters == 4 * 400 + 4
    assert folder.parent.name == "lab__bank"
    assert result.provenance.largest_difference == 0


@pytest.mark.parametrize(
    ("error", "changes", "message"),
    [
        (ModelError, {"encode": lambda *_: 1 / 0}, "it raised ZeroDivisionError"),
        (ModelError, {"encode": lambda *_: np.zeros((1, 2))}, "expected 5 finite rows of one size"),
        (
            ModelError,
            {"encode": lambda own, waveforms, rate: np.full((len(waveforms), 2), np.nan)},
            "clip 0: expected finite features, found NaN",
        ),
        *(
            (SettingError, {"clips_together": together}, "expected a whole number from 1 to 4096")
            for together in ("many", 0, 10**12, float("nan"))
        ),
    ],
)
def test_errors_of_an_own_encoder(error, changes, message, small, tmp_path):
    own = type("Own", (Loudness,), changes)()
    with pytest.raises(error, match=message):
        evaluated(own, small, tmp_path)


class Moody:
    """Features that become NaN for a clip by itself: of the third, once it is moody."""

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
    evaluated(encoder, small, tmp_path, **ASKED)
    encoder.is_moody = True
    with pytest.raises(ModelError, match=r"Moody\.encode: .*: alone: expected finite") as raised:
        evaluated(encoder, small, tmp_path, check_invariance=True, **ASKED)
    corpora = manifest.build(CorpusSource(small))
    row = corpora.table.set_index("id").loc[str(raised.value).split(": ")[1]]
    decoded = audio.decode(corpora.path(row["corpus"], row["path"]))
    np.testing.assert_array_equal(decoded, encoder.spoilt)
