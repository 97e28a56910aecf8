"""Whatever happens to a file that a command reads back, a run gives the same numbers, or says in
one line what is wrong."""

import hashlib
import itertools
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from bimotion.analysis import compare
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
from bimotion.models.training import FinetuneOptions
from bimotion.results import record
from tests.support import tiny_models

DAMAGE = {
    "a flipped bit": lambda content: _flipped(content, len(content) // 2),
    "a flipped bit at the end": lambda content: _flipped(content, len(content) - 1),
    "cut short": lambda content: content[: len(content) // 2],
    "emptied": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
}
ASKED = {"cells": ["yue_adu"], "protocol": "cantonese", "allow_missing": True}
ONE_TRAINING = {"cells": ["eng_eld"], "protocol": "in-group"}
TWO_EPOCHS = FinetuneOptions(epochs=2, learning_rate=1e-3)


def _flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x01]) + content[place + 1 :]


class Said(Progress):
    """Keeps what is said; ends as by Ctrl-C where the second thing of a kind begins (`until`: how
    its label begins)."""

    def __init__(self, until: str | None = None):
        self.lines, self.until = [], until

    def say(self, message):
        self.lines.append(message)

    def track(self, items, total, label, unit="clips"):
        for number, item in enumerate(items):
            if (
                self.until
                and label.startswith(self.until)
                and (number or label.startswith("epoch"))
            ):
                raise KeyboardInterrupt
            yield item


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Synthetic TESS, and YueMotion as its archive: two clips of each class, cell and part."""
    folder = tmp_path_factory.mktemp("root")

    def group(clip):
        return clip.corpus, clip.part, clip.voice.age_years >= 60, clip.label

    clips = sorted(layouts.plan(corpora=["tess", "yuemotion"]), key=group)
    layouts.lay(
        folder, [clip for _, found in itertools.groupby(clips, group) for clip in list(found)[:2]]
    )
    (wavs,) = {
        path.parent for path in folder.rglob("*.wav") if "_" in path.stem and path.stem[0].isdigit()
    }
    with tarfile.open(wavs.parent / "data.tar.bz2", "w:bz2") as archive:
        archive.add(wavs, "data")
    shutil.rmtree(wavs)
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
    """What `used` gives on an empty cache, and that cache."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")
        patch.setenv("BIMOTION_CACHE", str(folder / "cache"))
        return used(model, root, folder / "out", Said()), folder / "cache"


def evaluated(model, root, output, progress=None, **options) -> bytes:
    """Predictions of a run."""
    result = run.evaluate(
        str(model), data_dir=root, output=output, progress=progress or Said(), **(ASKED | options)
    )
    return (result.folder(output) / record.PREDICTIONS_FILE).read_bytes()


def used(model, root, output, progress) -> list[object]:
    """Everything that is derived from clips and kept in the cache."""
    found = manifest.build(CorpusSource.of(root), progress=progress)
    clips = samples(found, found.table, progress)
    heard = [inspect(found, corpus, progress).to_csv() for corpus in found.corpora]
    sound = hashlib.sha256(
        b"".join(clips.waveform(row).tobytes() for row in range(len(found.table)))
    ).hexdigest()
    prosody = evaluated("bimotion/prosody", root, output, progress)
    return [
        heard,
        sound,
        prosody,
        evaluated(model, root, output, progress, adapt="coral", schema="valence"),
    ]


def kept(folder: Path) -> list[Path]:
    """Files that are read back: not locks, and of clips that were unpacked one only."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and "lock" not in path.name)
    sound = [path for path in found if path.suffix == ".wav"]
    return [path for path in found if path not in sound[1:]]


def in_turn(paths: list[Path], turn: int) -> list[tuple[Path, str]]:
    """Each file with a kind of damage, in two turns with two."""
    kinds = list(DAMAGE)
    return [(path, kinds[(number + 2 * turn) % len(kinds)]) for number, path in enumerate(paths)]


@pytest.mark.parametrize("turn", [0, 1])
def test_every_file_of_the_cache_is_checked(turn, model, root, first, cache, tmp_path):
    (expected, made), said, again = first, Said(), Said()
    shutil.copytree(made, cache)
    damaged = kept(cache)
    kinds = {path.relative_to(cache).parts[0] for path in damaged}
    assert kinds >= {"index", "samples", "features", "layers", "inspection"}
    for path, damage in in_turn(damaged, turn):
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert used(model, root, tmp_path / "after", said) == expected
    assert all("\n" not in line for line in said.lines)
    for path in damaged:  # of the blocks of one store, and of what was unpacked, one line for all
        places = path, path.parent, path.parent.parent
        assert any(
            str(place) in line for place in places if place.parent != cache for line in said.lines
        ), path
    manifest.build(CorpusSource.of(root), progress=again)
    assert again.lines == []  # what was made again is whole


def test_what_is_gone_is_made_again(model, root, first, cache, tmp_path):
    expected, made = first
    shutil.copytree(made, cache)
    for gone in (
        *(next(folder.rglob("*.safetensors")) for folder in (cache / "samples").iterdir()),
        next(cache.rglob("*.wav")),
    ):
        gone.unlink()
    for kind in ("features", "layers"):
        shutil.rmtree(cache / kind)
    assert used(model, root, tmp_path / "after", Said()) == expected


@pytest.mark.parametrize("turn", [0, 1])
def test_every_file_of_a_result_is_checked(turn, root, cache, tmp_path):
    expected = evaluated("bimotion/prosody", root, tmp_path / "out")
    (folder,) = (path.parent for path in (tmp_path / "out").rglob(record.RESULT_FILE))
    for path, damage in in_turn(kept(folder), turn):
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
        with pytest.raises(RecordError) as error:
            compare.load([folder])
        assert "\n" not in str(error.value)
        assert str(folder) in str(error.value)
        said = Said()
        assert evaluated("bimotion/prosody", root, tmp_path / "out", said) == expected
        assert said.lines[0].startswith("running again: ")
        compare.load([folder])
    quiet = Said()
    assert evaluated("bimotion/prosody", root, tmp_path / "out", quiet) == expected
    assert quiet.lines[0].startswith("already finished")


def test_every_file_of_a_run_that_was_broken_off_is_checked(root, cache, tmp_path):
    expected = evaluated("bimotion/prosody", root, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        evaluated("bimotion/prosody", root, tmp_path / "out", Said(until="probe"))
    left = tmp_path / "left"
    shutil.move(tmp_path / "out", left)
    (names,) = (
        [path.relative_to(left) for path in kept(folder)] for folder in left.rglob("unfinished")
    )
    assert len(names) == 2  # one job, and of what they are
    for name, damage in in_turn(names, 0):
        shutil.copytree(left, tmp_path / "out")
        (tmp_path / "out" / name).write_bytes(DAMAGE[damage]((left / name).read_bytes()))
        said = Said()
        assert evaluated("bimotion/prosody", root, tmp_path / "out", said) == expected
        assert str(name) in said.lines[0]
        shutil.rmtree(tmp_path / "out")


def test_every_file_of_a_training_that_was_broken_off_is_checked(model, root, cache, tmp_path):
    options = {"track": "finetune", "finetune": TWO_EPOCHS, **ONE_TRAINING}
    expected = evaluated(model, root, tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        evaluated(model, root, tmp_path / "left", Said(until="epoch 2"), **options)
    names = [path.relative_to(tmp_path / "left") for path in kept(tmp_path / "left")]
    assert len([name for name in names if "state-0001" in name.parts]) == 4
    for name, damage in in_turn(names, 0):
        output = tmp_path / "out"
        shutil.copytree(tmp_path / "left", output)
        (output / name).write_bytes(DAMAGE[damage]((output / name).read_bytes()))
        said = Said()
        if name.name == "run.json":
            with pytest.raises(
                BimotionError, match=r"^\S+run.json: damaged: remove \S+ and run again$"
            ):
                evaluated(model, root, output, said, **options)
        else:
            assert evaluated(model, root, output, said, **options) == expected, name
            assert any(
                word in line for line in said.lines for word in ("from the start", "made again")
            ), name
        shutil.rmtree(output)


def test_a_damaged_checkpoint_is_trained_again(model, root, cache, tmp_path):
    options = {"track": "finetune", "finetune": TWO_EPOCHS, **ONE_TRAINING}
    expected = evaluated(model, root, tmp_path / "out", **options)
    (folder,) = (path.parent for path in (tmp_path / "out").rglob(record.RESULT_FILE))
    weights = sorted(folder.rglob("best/model.safetensors"))[0]
    content = weights.read_bytes()
    weights.write_bytes(DAMAGE["a flipped bit at the end"](content))
    (folder / record.RESULT_FILE).unlink()  # as if it had ended before
    said = Said()
    assert evaluated(model, root, tmp_path / "out", said, **options) == expected
    assert weights.read_bytes() == content


def extracted(cache: Path) -> dict[Path, bytes]:
    """Blocks of features, by their place in the cache."""
    return {
        path.relative_to(cache): path.read_bytes()
        for path in (cache / "features").rglob("*.safetensors")
    }


def test_a_run_with_few_clips_first_changes_no_number(model, root, cache, tmp_path):
    """Whatever clips were extracted before, by other runs or by this one before it was broken
    off."""
    expected = evaluated(model, root, tmp_path / "whole")
    whole, states = extracted(cache), manifest.build(CorpusSource.of(root)).states
    n_clips = sum(len(store.sources(*corpus)) for corpus in states.items())
    shutil.rmtree(cache)
    evaluated(model, root, tmp_path / "few", limit=3)
    assert 0 < sum(len(store.sources(*corpus)) for corpus in states.items()) < n_clips / 2
    with pytest.raises(KeyboardInterrupt):
        evaluated(model, root, tmp_path / "out", Said(until="tiny: "))
    assert evaluated(model, root, tmp_path / "out") == expected
    assert extracted(cache) == whole


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.delenv("BIMOTION_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert files.cache_dir() == tmp_path / "shared" / "bimotion"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the specification says to ignore
    assert files.cache_dir() == tmp_path / ".cache" / "bimotion"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert files.cache_dir() == tmp_path / ".cache" / "bimotion"
    monkeypatch.setenv("BIMOTION_CACHE", "~/mine")
    assert files.cache_dir() == tmp_path / "mine"


def test_a_cache_that_cannot_be_written_is_told(root, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BimotionError) as error:
        evaluated("bimotion/prosody", root, tmp_path / "out")
    assert str(error.value).startswith(str(tmp_path / "file" / "cache"))
    assert "set BIMOTION_CACHE to another folder" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_clip_replaced_by_another_of_the_same_size_and_time_is_found(root, cache, tmp_path):
    shutil.copytree(root, tmp_path / "root")
    clips = sorted((tmp_path / "root").rglob("OAF_*_*.wav"), key=lambda path: path.stat().st_size)
    first, second = next(
        pair
        for pair in itertools.pairwise(clips)
        if pair[0].read_bytes()[44:] != pair[1].read_bytes()[44:]
    )
    size = min(first.stat().st_size, second.stat().st_size)

    def replaced(*options) -> list[str]:
        diagnoses = doctor.diagnose(
            CorpusSource.of(tmp_path / "root"), Said(), **dict.fromkeys(options, True), listen=False
        )
        return [
            found.where for one in diagnoses for found in one.problems if found.kind == "replaced"
        ]

    evaluated("bimotion/prosody", tmp_path / "root", tmp_path / "out", **ONE_TRAINING)
    assert replaced("deep") == []
    before, content = first.stat(), first.read_bytes()
    swapped = second.read_bytes()[:size] + content[size:]
    first.write_bytes(swapped[: len(content)])
    os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert first.stat().st_size == before.st_size
    assert replaced() == []  # the quick look cannot see it
    (name,) = replaced("deep")
    assert name.endswith(first.stem)
    assert replaced("deep") == [name]  # until it is read anew
    first.touch()
    assert replaced("deep") == []
