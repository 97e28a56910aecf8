"""The shipped lists of published files, and what the doctor knows by them."""

import gzip
import shutil

import pytest

from bimotion.data import published
from bimotion.errors import RecordError
from bimotion.io.files import digest
from tests.support.healthy_corpus import clip, diagnosis, noise
from tests.support.true_trees import rows

LISTS = {  # corpus -> list of its files beside the corpora, and how many files the package's has
    "crema_d": ("CREMA-D/AudioWAV.manifest.tsv", 7445),
    "csed": ("CSED/manifest.tsv", 652),
    "emo_db": ("EMO-DB/manifest.lfs.tsv", 535),
    "tess": ("TESS/manifest.tsv", 2800),
    "urdu": ("URDU/manifest.tsv", 400),
}
FOLDERS = {"crema_d": "CREMA-D", "csed": "CSED/Chinese-Speech-Emotion-Datasets", "tess": "TESS"}


def of_kind(findings, *kinds):
    return [(f.where, f.detail) for f in findings if f.kind in kinds]


@pytest.mark.parametrize("corpus", LISTS)
def test_shipped_lists_are_those_of_the_corpora(shared_corpora, corpus):
    name, n_files = LISTS[corpus]
    listed = {(r["path"], int(r["bytes"]), r["sha256"]) for r in rows(shared_corpora / name)}
    shipped = set(map(tuple, published.load(corpus)))
    assert listed <= shipped
    assert len(shipped) == n_files
    assert len(published.by_name(corpus)) == n_files


@pytest.mark.parametrize("corpus", FOLDERS)
def test_real_files_are_the_published_ones(shared_corpora, corpus):
    """Every fifth of the real clips, and all tables."""
    folder = shared_corpora / FOLDERS[corpus]
    there = [file for file in published.load(corpus) if (folder / file.path).is_file()]
    chosen = [file for file in there if not file.path.endswith(".wav")] + there[::5]
    assert chosen
    for file in chosen:
        assert (file.n_bytes, file.sha256) == (
            (folder / file.path).stat().st_size,
            digest(folder / file.path),
        )


def test_labels_of_elderreact_are_the_published_ones(shared_corpora):
    folder = shared_corpora / "ElderReact/ElderReact-master"
    for file in published.load("elderreact"):
        assert digest(folder / file.path) == file.sha256


def test_a_damaged_list_is_refused(tmp_path, monkeypatch):
    shutil.copytree(published.FOLDER, tmp_path / "lists")
    (tmp_path / "lists/csed.tsv.gz").write_bytes(gzip.compress(b"path\tbytes\tsha256\n"))
    monkeypatch.setattr(published, "FOLDER", tmp_path / "lists")
    published.load.cache_clear()
    with pytest.raises(RecordError, match="reinstall bimotion"):
        published.load("csed")
    published.load.cache_clear()


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """Six clips of CSED that are the published ones, and their list, made from a complete copy."""
    for number in range(1, 7):
        noise(clip(tmp_path / "root", f"Nat_Male-{number}"), seed=number)
    published.save("csed", tmp_path / "root/CSED", tmp_path / "lists")
    monkeypatch.setattr(published, "FOLDER", tmp_path / "lists")
    published.load.cache_clear()
    yield tmp_path / "root"
    published.load.cache_clear()


def test_a_foreign_recording_under_a_known_name(copy):
    assert of_kind(diagnosis(copy, listen=True).problems, "foreign", "conflict") == []
    noise(clip(copy, "Nat_Male-2"), seed=99)
    path = clip(copy, "Nat_Male-2").relative_to(copy / "CSED").as_posix()
    [(where, detail)] = of_kind(diagnosis(copy).problems, "foreign")
    known = published.by_name("csed")["nat_male-2.wav"]
    assert where == "csed/Nat_male_2"
    digests = (digest(clip(copy, "Nat_Male-2"))[:12], known.sha256[:12])
    assert detail == f"{path}: sha256 {digests[0]}, published {digests[1]}"
    assert of_kind(diagnosis(copy, listen=False).problems, "foreign") == []


def test_a_copy_that_was_converted_is_one_harmless_finding(copy):
    for number in range(1, 5):
        noise(clip(copy, f"Nat_Male-{number}"), seed=number + 50)
    checked = diagnosis(copy)
    assert of_kind(checked.problems, "foreign", "converted") == []
    assert of_kind(checked.harmless, "converted") == [("CSED", "4 of 6 files")]


def test_of_two_recordings_of_one_name_the_true_one_is_named(copy):
    true = clip(copy, "Nat_Male-2")
    noise(copy / "CSED/again/Nat_Male-2.wav", seed=99)
    [(where, detail)] = of_kind(diagnosis(copy).problems, "conflict")
    assert where == "csed/Nat_male_2"
    assert detail.endswith(f"; the published one: {true.relative_to(copy / 'CSED').as_posix()}")
    noise(true, seed=98)
    [(_, detail)] = of_kind(diagnosis(copy).problems, "conflict")
    assert detail.endswith("; the published one: none of them")
