"""Whatever happens to a file that a command reads back, a run gives the same numbers, or says in
one line what is wrong."""

import hashlib
import itertools
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from bimotion.analysis.runs import load as load_runs
from bimotion.data import cache as store
from bimotion.data import manifest
from bimotion.data.checks import doctor
from bimotion.data.checks.inspection import inspect
from bimotion.data.samples import samples
from bimotion.data.source import CorpusSource
from bimotion.data.synthetic import layouts
from bimotion.errors import BimotionError, RecordError
from bimotion.evaluation import run
from bimotion.io import files
from bimotion.io.progress import Progress
from bimotion.models.recipe import FinetuneOptions
from bimotion.results import record
from tests.support import tiny_models
from tests.support.small_runs import PAPER

DAMAGE = (
    lambda content: _flipped(content, len(content) // 2),
    lambda content: _flipped(content, len(content) - 1),
    lambda content: content[: len(content) // 2],
    lambda content: b"",
    lambda content: bytes(len(content)),
)
PROSODY = "bimotion/prosody"
ASKED = {"cells": ["yue_adu"], "protocol": "cantonese", "allow_missing": True}
ONE_TRAINING = {"cells": ["eng_eld"], "protocol": "in-group"}
FINETUNED = {
    "track": "finetune",
    "finetune": FinetuneOptions(epochs=2, learning_rate=1e-3),
    **ONE_TRAINING,
}


def _flipped(content: bytes, offset: int) -> bytes:
    return content[:offset] + bytes([content[offset] ^ 0x01]) + content[offset + 1 :]


class Heard(Progress):
    """Keeps what is said; ends as by Ctrl-C where the second thing of a kind begins (`until`: how
    its label begins)."""

    def __init__(self, until: str | None = None):
        self.lines, self.until = [], until

    def say(self, message):
        assert "\n" not in message
        self.lines.append(message)

    def track(self, items, total, label, unit="clips"):
        for number, item in enumerate(items):
            is_second = number or label.startswith("epoch")
            if self.until and label.startswith(self.until) and is_second:
                raise KeyboardInterrupt
            yield item


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Synthetic TESS, and YueMotion as its archive: two clips of each class, cell and part."""
    folder = tmp_path_factory.mktemp("root")

    def group(clip):
        return clip.corpus, clip.part, clip.voice.age_years >= 60, clip.label

    clips = sorted(layouts.plan(corpora=["tess", "yuemotion"]), key=group)
    pairs = [list(clips)[:2] for _, clips in itertools.groupby(clips, group)]
    layouts.lay(folder, list(itertools.chain(*pairs)))
    sound = folder / "YueMotion" / "data"
    with tarfile.open(sound.with_suffix(".tar.bz2"), "w:bz2") as archive:
        archive.add(sound, "data")
    shutil.rmtree(sound)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiny_models.build("wav2vec2-layer", tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def first(model, root, tmp_path_factory):
    """The numbers that `used` gives on an empty cache, and that cache."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        patch.setenv("BIMOTION_CACHE", str(folder / "cache"))
        return used(model, root, folder / "out", Heard()), folder / "cache"


def evaluated(model, root, output, progress=None, **options) -> bytes:
    """Predictions of a run."""
    asked = {"progress": progress or Heard()} | PAPER | ASKED | options
    result = run.evaluate(str(model), data_dir=root, output=output, **asked)
    return (result.folder(output) / record.PREDICTIONS_FILE).read_bytes()


def used(model, root, output, progress) -> list[object]:
    """Everything that is derived from clips and kept in the cache."""
    made = manifest.build(CorpusSource.of(root), progress=progress)
    clips = samples(made, made.table, progress)
    sound = b"".join(clips.waveform(row).tobytes() for row in range(len(made.table)))
    return [
        [inspect(made, corpus, progress).to_csv() for corpus in made.corpora],
        hashlib.sha256(sound).hexdigest(),
        evaluated(PROSODY, root, output, progress),
        evaluated(model, root, output, progress, adapt="coral", schema="valence"),
    ]


def kept(folder: Path) -> list[Path]:
    """Files that are read back: not locks, and of clips that were unpacked one only."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "lock" not in path.name)
    sound = [path for path in paths if path.suffix == ".wav"]
    return [path for path in paths if path not in sound[1:]]


def damage(path: Path, number: int) -> None:
    """Spoil a file, each in another way than the one before."""
    path.write_bytes(DAMAGE[number % len(DAMAGE)](path.read_bytes()))


def test_every_file_of_the_cache_is_checked(model, root, first, cache, tmp_path):
    (expected, made), heard, again = first, Heard(), Heard()
    shutil.copytree(made, cache)
    kinds = {path.relative_to(cache).parts[0] for path in kept(cache)}
    assert kinds >= {"index", "samples", "features", "layers", "inspection"}
    # what was unpacked is checked against an index that is whole
    spoilt = [
        path for path in kept(cache) if "yuemotion" not in str(path) or path.suffix != ".index"
    ]
    for number, path in enumerate(spoilt):
        damage(path, number)
    assert used(model, root, tmp_path / "after", heard) == expected
    for path in spoilt:  # of the blocks of one store, and of what was unpacked, one line for all
        above = [folder for folder in (path, *path.parents[:2]) if folder.parent != cache]
        assert any(str(folder) in line for folder in above for line in heard.lines), path
    manifest.build(CorpusSource.of(root), progress=again)
    assert again.lines == []  # what was made again is whole


def test_what_is_gone_is_made_again(model, root, first, cache, tmp_path):
    expected, made = first
    shutil.copytree(made, cache)
    for folder in (cache / "samples").iterdir():
        next(folder.rglob("*.safetensors")).unlink()
    next(cache.rglob("*.wav")).unlink()
    next((cache / "index").rglob("tess*/*.index")).unlink()
    for kind in ("features", "layers"):
        shutil.rmtree(cache / kind)
    assert used(model, root, tmp_path / "after", Heard()) == expected


def test_every_file_of_a_result_is_checked(root, cache, tmp_path):
    expected = evaluated(PROSODY, root, tmp_path / "out")
    (folder,) = (path.parent for path in (tmp_path / "out").rglob(record.RESULT_FILE))
    for number, path in enumerate(kept(folder)):
        damage(path, number)
        with pytest.raises(RecordError) as error:
            load_runs([folder])
        assert "\n" not in str(error.value)
        assert str(folder) in str(error.value)
        heard, quiet = Heard(), Heard()
        assert evaluated(PROSODY, root, tmp_path / "out", heard) == expected
        assert heard.lines[0].startswith("running again: ")
    assert evaluated(PROSODY, root, tmp_path / "out", quiet) == expected
    assert quiet.lines[0].startswith("already finished")


def test_every_file_of_a_run_that_was_broken_off_is_checked(root, cache, tmp_path):
    expected = evaluated(PROSODY, root, tmp_path / "whole")
    left, output = tmp_path / "left", tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        evaluated(PROSODY, root, output, Heard(until="probe"))
    shutil.move(output, left)
    (unfinished,) = left.rglob("unfinished")
    names = [path.relative_to(left) for path in kept(unfinished)]
    assert len(names) == 2  # one job, and of what they are
    for number, name in enumerate(names):
        shutil.copytree(left, output)
        damage(output / name, number)
        heard = Heard()
        assert evaluated(PROSODY, root, output, heard) == expected
        assert str(name) in heard.lines[0]
        shutil.rmtree(output)


def test_every_file_of_a_training_that_was_broken_off_is_checked(model, root, cache, tmp_path):
    expected = evaluated(model, root, tmp_path / "whole", **FINETUNED)
    left, output = tmp_path / "left", tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        evaluated(model, root, left, Heard(until="epoch 2"), **FINETUNED)
    names = [path.relative_to(left) for path in kept(left)]
    assert len([name for name in names if "state-0001" in name.parts]) == 4
    for number, name in enumerate(names):
        shutil.copytree(left, output)
        damage(output / name, number)
        heard = Heard()
        if name.name == "run.json":
            message = r"^\S+run.json: damaged: remove \S+ and run again$"
            with pytest.raises(BimotionError, match=message):
                evaluated(model, root, output, heard, **FINETUNED)
        else:
            assert evaluated(model, root, output, heard, **FINETUNED) == expected, name
            lines = "\n".join(heard.lines)
            assert "from the start" in lines or "made again" in lines, name
        shutil.rmtree(output)
    # and of one that ended: a checkpoint
    (folder,) = (path.parent for path in (tmp_path / "whole").rglob(record.RESULT_FILE))
    weights = sorted(folder.rglob("best/model.safetensors"))[0]
    content = weights.read_bytes()
    damage(weights, 1)
    (folder / record.RESULT_FILE).unlink()  # as if it had ended before
    assert evaluated(model, root, tmp_path / "whole", **FINETUNED) == expected
    assert weights.read_bytes() == content


def test_a_run_with_few_clips_first_changes_no_number(model, root, cache, tmp_path):
    """Whatever clips were extracted before, by other runs or by this one before it was broken
    off."""

    def blocks() -> dict[str, bytes]:
        paths = (cache / "features").rglob("*.safetensors")
        return {str(path.relative_to(cache)): path.read_bytes() for path in paths}

    def n_clips() -> int:
        states = manifest.build(CorpusSource.of(root)).states
        return sum(len(store.sources(*corpus)) for corpus in states.items())

    expected = evaluated(model, root, tmp_path / "whole")
    whole, n_in_all = blocks(), n_clips()
    shutil.rmtree(cache)
    evaluated(model, root, tmp_path / "few", limit=3)
    assert 0 < n_clips() < n_in_all / 2
    with pytest.raises(KeyboardInterrupt):
        evaluated(model, root, tmp_path / "out", Heard(until="tiny: "))
    assert evaluated(model, root, tmp_path / "out") == expected
    assert blocks() == whole


def test_the_cache_is_where_the_environment_says(root, monkeypatch, tmp_path):
    monkeypatch.delenv("BIMOTION_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    at_home = tmp_path / ".cache" / "bimotion"
    # the specification says to ignore what is relative
    shared = {str(tmp_path / "shared"): tmp_path / "shared" / "bimotion", "relative": at_home}
    for value, expected in (shared | {"": at_home}).items():
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert files.cache_dir() == expected
    monkeypatch.setenv("BIMOTION_CACHE", "~/mine")
    assert files.cache_dir() == tmp_path / "mine"
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BimotionError, match="set BIMOTION_CACHE to another folder") as error:
        manifest.build(CorpusSource.of(root))
    assert str(error.value).startswith(str(tmp_path / "file" / "cache"))
    assert "\n" not in str(error.value)


def test_a_clip_replaced_by_another_of_the_same_size_and_time_is_found(root, cache, tmp_path):
    tess = Path(shutil.copytree(root / "TESS", tmp_path / "root" / "TESS"))
    by_size = sorted(tess.rglob("OAF_*_*.wav"), key=lambda path: path.stat().st_size)
    clip, other = by_size[:2]
    assert clip.read_bytes()[44:] != other.read_bytes()[44 : clip.stat().st_size]

    def replaced(**options) -> list[str]:
        source = CorpusSource.of(tmp_path / "root")
        diagnoses = doctor.diagnose(source, Heard(), listen=False, **options)
        problems = [finding for diagnosis in diagnoses for finding in diagnosis.problems]
        return [finding.where for finding in problems if finding.kind == "replaced"]

    evaluated(PROSODY, tmp_path / "root", tmp_path / "out", **ONE_TRAINING)
    assert replaced(deep=True) == []
    before = clip.stat()
    clip.write_bytes(other.read_bytes()[: before.st_size])
    os.utime(clip, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert clip.stat().st_size == before.st_size
    assert replaced() == []  # the quick look cannot see it
    (name,) = replaced(deep=True)
    assert name.endswith(clip.stem)
    assert replaced(deep=True) == [name]  # until it is read anew
    clip.touch()
    assert replaced(deep=True) == []
