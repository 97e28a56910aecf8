"""Things that go wrong on other people's machines: no git, strange files, two processes at once,
synthetic data in disguise."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bimotion.data import manifest
from bimotion.data.index import SYNTHETIC_MARK
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import AudioError, CorpusMalformed, SettingError
from bimotion.evaluation import run as runner
from bimotion.io import audio
from tests.support.command_line import run_here as run
from tests.support.small_runs import PAPER

CLI = [sys.executable, "-m", "bimotion"]


def evaluated(model, *, output, **options):
    """A result, and the folder that it was written to."""
    result = runner.evaluate(model, output=output, **PAPER | options)
    return result, result.folder(output)


@pytest.fixture(scope="module")
def small(synth_root, tmp_path_factory) -> Path:
    """Synthetic TESS and CSED, a third of the clips."""
    root = tmp_path_factory.mktemp("small") / "corpora"

    def left_out(_, names):
        return {name for name in names if name.endswith("wav") and zlib.crc32(name.encode()) % 3}

    for name in ("TESS", "CSED"):
        shutil.copytree(synth_root / name, root / name, ignore=left_out)
    shutil.copy(synth_root / SYNTHETIC_MARK, root)
    return root


@pytest.fixture
def yuemotion(synth_root) -> Path:
    """Synthetic YueMotion, its folder; not to be changed."""
    return synth_root / "YueMotion"


def tables_beside(archive: Path, yuemotion: Path) -> Path:
    """The path of an archive, beside which the tables now lie."""
    archive.parent.mkdir(parents=True)
    for table in yuemotion.glob("*.csv"):
        shutil.copy(table, archive.parent)
    return archive


def pack(archive: Path, yuemotion: Path) -> None:
    """Write YueMotion as tables beside an archive."""
    with tarfile.open(tables_beside(archive, yuemotion), "w:bz2") as packed:
        packed.add(yuemotion / "data", "data")


def assert_one_message(done: subprocess.CompletedProcess, *parts: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert all(text in done.stderr for text in parts), done.stderr


# --- synthetic data stays synthetic -------------------------------------------------------------


@pytest.mark.parametrize("disguise", ["deeper", "named inside", "copied without marks"])
def test_synthetic_data_never_enters_a_leaderboard(small, tmp_path, disguise):
    options = {"data_dir": tmp_path / "root", "only": ["tess"], "allow_missing": True}
    if disguise == "deeper":
        shutil.copytree(small, tmp_path / "root/a/b")
    elif disguise == "named inside":
        options |= {"data_dir": None, "locations": {"tess": next((small / "TESS").glob("TESS*"))}}
    else:
        shutil.copytree(
            small / "TESS", tmp_path / "root/mine", ignore=shutil.ignore_patterns(SYNTHETIC_MARK)
        )
    result, _ = evaluated("bimotion/majority", output=tmp_path / "out", **options)
    assert result.data.synthetic
    assert json.loads((tmp_path / "out/leaderboard.json").read_text())["entries"] == []


def test_synth_replaces_its_own_folder_and_nothing_else(tmp_path):
    root = tmp_path / "corpora"
    layouts.write(root, corpora=["elderreact"])
    layouts.write(root, corpora=["csed"])
    assert sorted(path.name for path in root.iterdir()) == ["CSED", SYNTHETIC_MARK]
    (root / "mine").mkdir()
    (root / "mine/clip.wav").write_bytes(b"years of work")
    with pytest.raises(SettingError, match="holds other files: mine"):
        layouts.write(root, corpora=["csed"])
    assert (root / "mine/clip.wav").read_bytes() == b"years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpora"]


# --- bare and crowded machines ------------------------------------------------------------------


def test_a_run_needs_no_git(small, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result, _ = evaluated("bimotion/majority", data_dir=small, only=["tess"], output=tmp_path)
    assert result.provenance.git_revision is None


def test_two_processes_may_index_at_once(yuemotion, tmp_path):
    """The same tree, its corpus in an archive, a fresh cache: both must get all of it."""
    pack(tmp_path / "root/YueMotion/data.tar.bz2", yuemotion)
    environment = os.environ | {"BIMOTION_CACHE": str(tmp_path / "cache")}
    command = [*CLI, "data", "audit", "--corpora", str(tmp_path / "root"), "--no-listen", "--json"]
    both = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        for _ in "ab"
    ]
    shown = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], shown
    assert shown[0][0] == shown[1][0]
    assert sum(cell["n_utterances"] for cell in json.loads(shown[0][0])["cells"]) == len(
        list((yuemotion / "data").iterdir())
    )


def test_archives_carry_the_synthetic_comment(yuemotion, tmp_path):
    pack(tmp_path / "root/YueMotion/data.tar.bz2", yuemotion)
    assert manifest.build(CorpusSource.of(tmp_path / "root")).synthetic == {"yuemotion"}


def test_an_archive_that_is_a_pointer_is_named_as_one(yuemotion, tmp_path):
    archive = tables_beside(tmp_path / "root/YueMotion/data.tar.bz2", yuemotion)
    archive.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(CorpusMalformed, match="found a git-lfs pointer: run `git lfs pull`"):
        manifest.build(CorpusSource.of(tmp_path / "root"))


# --- changed and broken input -------------------------------------------------------------------


def test_changed_audio_is_run_again(small, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(small / "TESS", root / "TESS")
    options = {
        "data_dir": root,
        "only": ["tess"],
        "output": tmp_path / "out",
        "allow_missing": True,
    }
    before, folder = evaluated("bimotion/prosody", **options)
    generator = np.random.default_rng(0)
    for path in (root / "TESS").rglob("*.wav"):
        n_samples = soundfile.info(path).frames
        soundfile.write(path, generator.uniform(-0.1, 0.1, n_samples), 24414)
    after, same = evaluated("bimotion/prosody", **options)
    assert same == folder  # facts and lengths are equal, samples are not
    assert (
        after.headline("in-group", "inference", "eng_eld")
        < before.headline("in-group", "inference", "eng_eld") - 0.3
    )


def test_a_broken_result_is_run_again(small, tmp_path):
    options = {"data_dir": small, "only": ["tess"], "output": tmp_path}
    result, folder = evaluated("bimotion/majority", **options)
    (folder / "result.json").write_text(result.to_json()[:500])
    (tmp_path / "someone" / "else").mkdir(parents=True)
    (tmp_path / "someone/else/result.json").write_text("half a fi")
    again, _ = evaluated("bimotion/majority", **options)
    assert again.scores == result.scores
    excluded = json.loads((tmp_path / "leaderboard.json").read_text())["excluded"]
    assert "someone/else/result.json" in [entry["result"] for entry in excluded]


def test_samples_that_are_no_numbers_are_reported_by_file(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.array([0.1, np.nan, 0.2]), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"clip\.wav: expected finite samples, found NaN"):
        audio.decode(path)


def test_pointers_alone_give_the_reason_and_no_output(tmp_path):
    folder = tmp_path / "root/CREMA-D"
    (folder / "AudioWAV").mkdir(parents=True)
    (folder / "VideoDemographics.csv").write_text("ActorID,Age,Sex\n1001,51,Male\n")
    for stem in ("1001_DFA_ANG_XX", "1001_DFA_DIS_XX"):
        (folder / f"AudioWAV/{stem}.wav").write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
        )
    asked = ["--corpora", tmp_path / "root", "--allow-missing", "-o", tmp_path / "out"]
    words = ["evaluate", "-m", "bimotion/majority", *asked]
    assert_one_message(run(*words), "2 pointer: AudioWAV/1001_DFA_ANG_XX.wav")
    assert not (tmp_path / "out").exists()


def test_unlisted_and_unrecognised_sound_is_told(tmp_path, wav, caplog):
    import bimotion

    folder = tmp_path / "TESS"
    for name in ("OAF_back_angry.wav", "OAF_zebra_angry.wav", "OAF_bar_angry (1).wav"):
        wav(folder / name, rate=24414)
    findings = {
        (finding.kind, finding.where)
        for finding in manifest.build(CorpusSource.of(tmp_path)).findings
        if finding.kind != "missing"
    }
    assert findings == {
        ("unlisted", "tess/OAF_zebra_angry"),
        ("unrecognised", "OAF_bar_angry (1).wav"),
    }
    bimotion.load_dataset("bimotion", "eng_eld", data_dir=tmp_path, only="tess", allow_missing=True)
    assert "1 unlisted: tess/OAF_zebra_angry" in caplog.text
    doctor = run("data", "doctor", tmp_path)
    assert doctor.returncode == 1
    assert "1 unlisted (not in the published file list" in doctor.stdout
    assert "harmless: 1 unrecognised" in doctor.stdout


def test_a_stray_file_with_a_common_name_is_no_corpus(tmp_path, wav):
    wav(tmp_path / "TESS/OAF_back_angry.wav")
    for name in ("train_labels.txt", "train_metadata.csv"):
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / name).write_text("image,label\ncat.png,1\n")
    assert manifest.build(CorpusSource.of(tmp_path)).corpora == ("tess",)


@pytest.mark.parametrize("where", ["export", "synth", "evaluate", "evaluate below"])
def test_a_file_where_a_folder_should_be(small, tmp_path, where):
    (tmp_path / "file").write_text("")
    evaluate = ["evaluate", "-m", "bimotion/majority", "--corpora", small, "-o"]
    words = {
        "export": ["data", "export", tmp_path / "file", "--config", "zho_eld", "--corpora", small],
        "synth": ["data", "synth", tmp_path / "file", "--only", "csed"],
        "evaluate": [*evaluate, tmp_path / "file"],
        "evaluate below": [*evaluate, tmp_path / "file/out"],
    }[where]
    assert_one_message(run(*words), str(tmp_path / "file"))


def test_paths_that_cannot_be(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert_one_message(run("data", "stats", "--corpora", tmp_path / "loop"), "expected a")
    assert_one_message(
        run("data", "stats", "--corpora", "~nobody_of_that_name/x"), "expected a path"
    )


def test_a_csv_field_without_end(tmp_path, wav):
    wav(tmp_path / "CREMA-D/1001_DFA_ANG_XX.wav")
    (tmp_path / "CREMA-D/VideoDemographics.csv").write_text(
        'ActorID,Age,Sex\n1001,"' + "5" * 200_000
    )
    with pytest.raises(
        CorpusMalformed, match=r"VideoDemographics\.csv:2: expected at most 10000 characters a line"
    ):
        manifest.build(CorpusSource.of(tmp_path))


def test_a_location_for_a_corpus_that_is_not_asked_for(small):
    with pytest.raises(SettingError, match="csed: a folder was given for it, but it is not among"):
        manifest.build(CorpusSource.of(small, only=["tess"], locations={"csed": small / "CSED"}))


def test_our_door_opens_even_when_the_private_names_of_datasets_are_gone(small):
    code = (
        "import warnings, wrapt\n"
        "def lose(load): del load._PACKAGED_DATASETS_MODULES\n"
        "wrapt.register_post_import_hook(lose, 'datasets.load')\n"  # first come, first called
        "import bimotion\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        f"    rows = bimotion.load_dataset('bimotion', 'zho_eld', data_dir={str(small)!r})\n"
        "assert any('use bimotion.load_dataset' in str(one.message) for one in caught), caught\n"
        "print(len(rows['test']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 9
