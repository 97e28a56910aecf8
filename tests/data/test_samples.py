"""The cache of samples: what audio.decode gives to half a step of 16 bits, decoded once, and again
where a file changed."""

import os

import numpy as np
import pytest
import soundfile

from bimotion.data import manifest
from bimotion.data.features import features
from bimotion.data.samples import CLIPS_A_TASK, FULL_SCALE, samples
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import AudioError
from bimotion.io import audio, files
from bimotion.io.progress import Progress


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Six clips each of TESS (24.4 kHz) and CSED (44.1 kHz), and a cache of its own."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    clips = [clip for name in ("tess", "csed") for clip in layouts.plan(corpora=[name])[:6]]
    layouts.lay(tmp_path / "root", clips)
    return tmp_path / "root"


def everything(made: manifest.Manifest):
    return samples(made, made.table, Progress())


def first_of(made, corpus):
    """Row number and file of a corpus's first clip."""
    row = int(np.flatnonzero(made.table["corpus"] == corpus)[0])
    return row, made.path(corpus, made.table["path"][row])


def _length(waveform):
    return np.array([len(waveform)], np.float32)


def test_samples_are_the_decoders_to_half_a_step_in_any_order(root, monkeypatch):
    """And where two workers decode several tasks."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    monkeypatch.setattr("bimotion.data.features.CLIPS_A_TASK", 2)
    made = manifest.build(CorpusSource.of(root))
    shuffled = made.table.sample(frac=1, random_state=0).reset_index(drop=True)
    assert len(shuffled) > CLIPS_A_TASK
    cached = samples(made, shuffled, Progress())
    expected = [audio.decode(path) for path in map(made.path, shuffled["corpus"], shuffled["path"])]
    assert cached.n_samples.dtype == np.int64
    assert cached.n_samples.tolist() == list(map(len, expected))
    for row, waveform in enumerate(expected):
        assert cached.waveform(row).dtype == np.float32
        assert (
            np.abs(cached.waveform(row) - np.clip(waveform, -1, 1)).max() <= 0.5 / FULL_SCALE + 1e-7
        )
    extracted = features("length", _length, made, shuffled, Progress())
    assert extracted[:, 0].tolist() == list(map(len, expected))


def test_what_is_cached_is_not_decoded_again(root):
    made = manifest.build(CorpusSource.of(root))
    first_half = samples(made, made.table[::2].reset_index(drop=True), Progress())
    for corpus, path in made.table[["corpus", "path"]][::2].itertuples(index=False):
        made.path(corpus, path).unlink()  # whoever decodes these again fails
    cached = everything(made)
    assert cached.n_samples[::2].tolist() == first_half.n_samples.tolist()
    assert (cached.waveform(2) == first_half.waveform(1)).all()
    assert cached.fingerprint == everything(made).fingerprint != first_half.fingerprint


def test_a_file_that_changed_is_decoded_again_and_loud_samples_are_clipped(root):
    made = manifest.build(CorpusSource.of(root))
    before = everything(made)
    row, path = first_of(made, "csed")
    loud = np.array([0.0, 1.5, -1.5, 0.25, -1.0] * 6000, np.float32)
    soundfile.write(path, loud, 16_000, subtype="FLOAT", format="WAV")
    made = manifest.build(CorpusSource.of(root))
    after = everything(made)
    assert after.fingerprint != before.fingerprint
    assert after.waveform(row) == pytest.approx(np.clip(loud, -1, 1), abs=1e-4)
    # who is at work with the earlier state still has it
    assert len(before.waveform(row)) == before.n_samples[row]
    folders = (files.cache_dir() / "samples").glob("*/csed-*")
    earlier, now = sorted(folders, key=lambda path: path.stat().st_mtime)
    os.utime(earlier, (0, 0))  # last opened long ago
    everything(made)
    assert list((files.cache_dir() / "samples").glob("*/csed-*")) == [now]


def test_a_file_that_is_not_what_its_header_said_is_an_error(root):
    made = manifest.build(CorpusSource.of(root))
    _, path = first_of(made, "tess")
    # the manifest still believes the header of before
    audio.write_synthetic(path, np.zeros(16_000 * 30), 16_000)
    message = r"header and content differ: expected about \d\.\d\d s, found 30.00 s"
    with pytest.raises(AudioError, match=rf"{path.name}: {message}"):
        everything(made)
    path.write_bytes(b"no sound")
    with pytest.raises(AudioError, match=path.name):
        everything(made)
