"""The cache of samples: what audio.decode gives to half a step of 16 bits, decoded once, and again
where a file changed."""

import os

import numpy as np
import pytest

from bimotion.data import manifest
from bimotion.data.features import features
from bimotion.data.samples import FULL_SCALE, samples
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import AudioError
from bimotion.io import audio, files
from bimotion.io.progress import Progress


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Synthetic TESS (24.4 kHz), CSED (44.1 kHz) and CREMA-D (16 kHz), six clips each, and a cache
    of its own."""
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    clips = [
        clip for name in ("tess", "csed", "crema_d") for clip in layouts.plan(corpora=[name])[:6]
    ]
    layouts.lay(tmp_path / "root", clips)
    return tmp_path / "root"


def everything(found: manifest.Manifest):
    return samples(found, found.table, Progress())


def test_samples_are_the_decoders_to_half_a_step(root):
    found = manifest.build(CorpusSource.of(root))
    assert set(found.table["sample_rate_hz"]) == {16000, 24414, 44100}
    shuffled = found.table.sample(frac=1, random_state=0).reset_index(drop=True)
    cached = samples(found, shuffled, Progress())
    assert cached.n_samples.dtype == np.int64
    for row, (corpus, path) in enumerate(zip(shuffled["corpus"], shuffled["path"], strict=True)):
        expected = audio.decode(found.path(corpus, path))
        waveform = cached.waveform(row)
        assert waveform.dtype == np.float32
        assert len(waveform) == len(expected) == cached.n_samples[row]
        assert np.abs(waveform - np.clip(expected, -1, 1)).max() <= 0.5 / FULL_SCALE + 1e-7


@pytest.fixture
def many(tmp_path, monkeypatch):
    """Manifest of more clips than a worker takes at once, a cache of its own, and two workers."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    layouts.write(tmp_path / "root", scale=0.014, corpora=["crema_d"])
    found = manifest.build(CorpusSource.of(tmp_path / "root"))
    assert len(found.table) > 3 * 32
    return found


def test_many_clips_are_decoded_in_parallel_in_order(many):
    cached = everything(many)
    for row in (0, 31, 32, 70, len(many.table) - 1):
        expected = audio.decode(many.path("crema_d", many.table["path"][row]))
        assert np.abs(cached.waveform(row) - expected).max() <= 0.5 / FULL_SCALE + 1e-7


def test_features_of_many_clips_are_extracted_in_parallel_in_order(many):
    found = features("length", _length, many, many.table, Progress())
    assert found[:, 0].tolist() == [
        len(audio.decode(many.path("crema_d", path))) for path in many.table["path"]
    ]


def _length(waveform):
    return np.array([len(waveform)], np.float32)


def test_what_is_cached_is_not_decoded_again(root):
    found = manifest.build(CorpusSource.of(root))
    first_half = samples(found, found.table[::2].reset_index(drop=True), Progress())
    for corpus, path in found.table[["corpus", "path"]][::2].itertuples(index=False):
        found.path(corpus, path).unlink()  # whoever decodes these again fails
    cached = everything(found)
    assert cached.n_samples[::2].tolist() == first_half.n_samples.tolist()
    assert (cached.waveform(2) == first_half.waveform(1)).all()
    assert cached.fingerprint == everything(found).fingerprint != first_half.fingerprint


def test_a_file_that_changed_is_decoded_again(root):
    found = manifest.build(CorpusSource.of(root))
    before = everything(found)
    row = int(np.flatnonzero(found.table["corpus"] == "csed")[0])
    path = found.path("csed", found.table["path"][row])
    audio.write_synthetic(path, np.full(30_000, 0.25), 16_000)
    found = manifest.build(CorpusSource.of(root))
    after = everything(found)
    assert after.fingerprint != before.fingerprint
    assert after.waveform(row) == pytest.approx(np.full(30_000, 0.25), abs=1e-4)
    # who is at work with the earlier state still has it
    assert len(before.waveform(row)) == before.n_samples[row]
    earlier, now = sorted(
        (files.cache_dir() / "samples").glob("*/csed-*"), key=lambda path: path.stat().st_mtime
    )
    os.utime(earlier, (0, 0))  # last opened long ago
    everything(found)
    assert list((files.cache_dir() / "samples").glob("*/csed-*")) == [now]


def test_loud_samples_are_clipped_not_wrapped(root):
    import soundfile

    found = manifest.build(CorpusSource.of(root))
    path = found.path(
        "crema_d", found.table.loc[found.table["corpus"] == "crema_d", "path"].iloc[0]
    )
    loud = np.array([0.0, 1.5, -1.5, 0.99999, -1.0] * 2000, np.float32)
    soundfile.write(path, loud, 16_000, subtype="FLOAT", format="WAV")
    found = manifest.build(CorpusSource.of(root))
    row = int(np.flatnonzero(found.table["corpus"] == "crema_d")[0])
    assert everything(found).waveform(row)[:5] == pytest.approx([0, 1, -1, 1, -1], abs=1e-4)


def test_more_sound_than_the_header_said_is_an_error(root):
    found = manifest.build(CorpusSource.of(root))
    path = found.path("tess", found.table.loc[found.table["corpus"] == "tess", "path"].iloc[0])
    # the manifest still believes the header of before
    audio.write_synthetic(path, np.zeros(16_000 * 30), 16_000)
    with pytest.raises(
        AudioError,
        match=rf"{path.name}: header and content differ: expected about \d\.\d\d s, found 30.00 s",
    ):
        everything(found)


def test_a_file_that_cannot_be_decoded_is_named(root):
    found = manifest.build(CorpusSource.of(root))
    path = found.path("tess", found.table.loc[found.table["corpus"] == "tess", "path"].iloc[-1])
    path.write_bytes(b"no sound")
    with pytest.raises(AudioError, match=path.name):
        everything(found)
