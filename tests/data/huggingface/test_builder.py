"""load_dataset: through the Hub library's own function, through ours, streaming, with and without
decoding."""

import inspect
import os
import subprocess
import sys
import time

import datasets
import numpy as np
import pytest
import soundfile

import bimotion
from bimotion.corpora.utterance import FIELDS
from bimotion.data import manifest
from bimotion.data.huggingface import builder, cards, register
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusIncomplete, CorpusNotFound, SettingError, UnknownName
from bimotion.protocol import cells as groups
from bimotion.protocol.labels import EMOTIONS, VALENCE

CONFIGS = [(name, config) for name, configs in builder.CONFIGS.items() for config in configs]


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_every_config_loads_alike_by_both_doors(synth_root, name, config):
    theirs = datasets.load_dataset(name, config, data_dir=str(synth_root))
    ours = bimotion.load_dataset(name, config, data_dir=synth_root)
    assert list(theirs) == list(ours) == ["train", "validation", "test"]
    for part in theirs:
        assert theirs[part]["id"][:] == ours[part]["id"][:]
        cells = {theirs[part].features["cell"].int2str(cell) for cell in theirs[part]["cell"]}
        assert cells == set(map(str, groups.union(config)))


def test_rows_carry_every_field_typed(synth_root):
    rows = bimotion.load_dataset("bimotion", "eng_eld", data_dir=synth_root)["test"]
    assert set(FIELDS) <= set(rows.features)
    assert {
        type(rows.features[name]).__name__ for name in ("cell", "language", "gender", "age_source")
    } == {"ClassLabel"}
    for row in rows:
        names = [EMOTIONS[place] for place in row["emotions"]]
        assert [EMOTIONS[place] for place, one in enumerate(row["labels"]) if one] == names
        assert sum(row["labels_mask"]) == len(row["annotated"])
        assert set(row["emotions"]) <= set(row["annotated"])
        assert (row["speaker"] is None) == (row["speaker_unknown_because"] is not None)
        assert row["age_years"] >= 60
        assert row["synthetic"]


def test_a_row_gives_its_sound_with_and_without_torchcodec(synth_root):
    row = bimotion.load_dataset("bimotion", "zho_eld", data_dir=synth_root, split="test")[0]
    waveform = bimotion.decode(row["audio"])
    assert waveform.dtype == np.float32
    assert waveform.shape[0] / 16_000 == pytest.approx(row["duration_s"], abs=0.01)
    if not builder.torchcodec_works():
        assert set(row["audio"]) == {"bytes", "path"}
        assert soundfile.info(row["audio"]["path"]).samplerate == 44100


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_the_single_label_and_valence_are_classes_without_a_null(synth_root, name, config):
    for rows in bimotion.load_dataset(name, config, data_dir=synth_root).values():
        label, valence = rows.features["label"], rows.features["valence"]
        assert label.names == [*EMOTIONS, "none"]
        assert valence.names == ["positive", "neutral", "negative", "none"]
        for row in rows.remove_columns("audio"):
            hot = np.flatnonzero(row["labels"])
            assert row["label"] == (hot[0] if len(hot) else label.str2int("none"))
            found = {VALENCE.get(EMOTIONS[place], "none") for place in row["emotions"]} - {"none"}
            assert valence.int2str(row["valence"]) == (found.pop() if len(found) == 1 else "none")


def test_streaming_gives_the_same_rows_in_shards(synth_root):
    streamed = datasets.load_dataset("yuemotion", "yue", data_dir=str(synth_root), streaming=True)
    loaded = bimotion.load_dataset("yuemotion", "yue", data_dir=synth_root)
    assert set(streamed) == set(loaded)
    for part in loaded:
        as_stored = [
            rows.cast_column("audio", datasets.Audio(decode=False))
            for rows in (streamed[part], loaded[part])
        ]
        assert list(as_stored[0]) == list(as_stored[1])
        assert 1 < streamed[part].num_shards <= builder.SHARDS


@pytest.mark.parametrize("n_rows", [1, 2, 15, 16, 17, 1000, 32_000, 32_001, 57_256])
def test_shards_hold_every_row_once_and_in_order(n_rows):
    shards = builder._shards(n_rows)
    assert [row for start, stop in shards for row in range(start, stop)] == list(range(n_rows))
    assert len(shards) > 1 or n_rows == 1
    assert max(stop - start for start, stop in shards) <= builder.MOST_ROWS_A_SHARD


def test_workers_of_a_loader_share_the_shards(synth_root):
    from torch.utils.data import DataLoader

    rows = bimotion.load_dataset(
        "yuemotion", "yue_eld", data_dir=synth_root, split="test", streaming=True
    )
    loader = DataLoader(rows.select_columns(["id", "label"]), batch_size=None, num_workers=2)
    given = [row["id"] for row in loader]
    ids = [row["id"] for row in rows]
    assert sorted(given) == ids
    assert given != ids  # two workers take turns


LOADERS = {"datasets": datasets.load_dataset, "bimotion": bimotion.load_dataset}


@pytest.mark.parametrize("door", LOADERS)
@pytest.mark.parametrize(
    "option",
    [
        {"data_files": "a.csv"},
        {"data_files": {"train": ["a.csv"]}},
        {"revision": "main"},
        {"features": datasets.Features()},
    ],
    ids=lambda option: " ".join(f"{name} {type(value).__name__}" for name, value in option.items()),
)
def test_options_that_would_change_nothing_are_refused(synth_root, door, option):
    (name,) = option
    with pytest.raises(
        SettingError,
        match=rf"^load_dataset\('bimotion', \.\.\.\) takes no {name}, found .*: [^\n]*$",
    ):
        LOADERS[door]("bimotion", "eng_eld", data_dir=str(synth_root), **option)


@pytest.mark.parametrize("door", LOADERS)
def test_an_option_that_nobody_knows_is_refused(synth_root, door):
    with pytest.raises(
        UnknownName,
        match=r"unknown option of load_dataset.*'split_rul': expected one of .*split_rule",
    ):
        LOADERS[door]("bimotion", "eng_eld", data_dir=str(synth_root), split_rul="disjoint")


def test_a_revision_of_other_datasets_is_not_our_business(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    rows = datasets.load_dataset(
        "csv", data_files=str(tmp_path / "a.csv"), split="train", revision="main"
    )
    assert rows["x"][:] == [1]


# where a torchcodec without FFmpeg's libraries, or beside another torch, finds that out
BROKEN_TORCHCODEC = {
    "at import": "raise RuntimeError('Could not load libtorchcodec. Likely causes:' + '\\nno "
    "libavutil.so' * 100)",
    "by its own kind of error": "class Fault(Exception): pass\nraise Fault('')",
    "at the first clip": "class AudioDecoder:\n    def __init__(self, *a, **k): raise "
    "OSError('no libavutil.so' * 3)",
    "at the first sample": "class AudioDecoder:\n    def __init__(self, *a, **k): pass\n"
    "    def get_all_samples(self): raise RuntimeError('no\\n' * 100)",
}
FIRST_ROWS = """
import sys, bimotion, datasets
rows = datasets.load_dataset("bimotion", "zho_eld", data_dir=sys.argv[1], split="test")
for row in (rows[0], rows[1]):
    assert set(row["audio"]) == {"bytes", "path"}, row["audio"]
    print(abs(bimotion.decode(row["audio"]).shape[0] / 16000 - row["duration_s"]) < 0.01)
"""


@pytest.mark.parametrize("broken", BROKEN_TORCHCODEC)
def test_a_torchcodec_that_cannot_decode_is_left_alone(synth_root, tmp_path, broken):
    (tmp_path / "torchcodec").mkdir()
    (tmp_path / "torchcodec" / "__init__.py").touch()
    (tmp_path / "torchcodec" / "decoders.py").write_text(BROKEN_TORCHCODEC[broken])
    run = subprocess.run(
        [sys.executable, "-c", FIRST_ROWS, str(synth_root)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["True", "True"]
    assert [
        line for line in run.stderr.splitlines() if "torchcodec" in line
    ] == run.stderr.splitlines()
    assert run.stderr.count("torchcodec is installed but cannot decode") == 1


def test_the_root_comes_from_the_environment(synth_root, monkeypatch):
    monkeypatch.setenv("BIMOTION_CORPORA", str(synth_root))
    assert len(bimotion.load_dataset("bimotion", "zho_eld")["train"]) == len(
        datasets.load_dataset("bimotion", "zho_eld")["train"]
    )
    monkeypatch.delenv("BIMOTION_CORPORA")
    with pytest.raises(CorpusNotFound, match="BIMOTION_CORPORA"):
        bimotion.load_dataset("bimotion", "zho_eld")


def test_split_rules_and_corpora_are_options(synth_root):
    disjoint = datasets.load_dataset(
        "bimotion", "eng_adu", data_dir=str(synth_root), split_rule="disjoint", only=["crema_d"]
    )
    speakers = {part: set(disjoint[part]["speaker"]) for part in disjoint}
    assert not speakers["train"] & speakers["test"]
    assert not speakers["train"] & speakers["validation"]
    assert {
        disjoint["train"].features["corpus"].int2str(place) for place in disjoint["train"]["corpus"]
    } == {"crema_d"}
    paper = bimotion.load_dataset("bimotion", "eng_adu", data_dir=synth_root, only=["crema_d"])
    assert set(paper["train"]["speaker"]) & set(paper["test"]["speaker"])
    assert set(disjoint["train"]["speaker_disjoint"]) == {True}
    assert set(paper["train"]["speaker_disjoint"]) == {False}


def test_a_change_on_disk_is_seen(tmp_path, wav):
    for word in ("back", "bar"):
        wav(tmp_path / f"TESS/OAF_angry/OAF_{word}_angry.wav")
    options = {"data_dir": tmp_path, "only": ["tess"], "allow_missing": True}
    before = bimotion.load_dataset("bimotion", "eng_eld", **options)
    wav(tmp_path / "TESS/OAF_angry/OAF_base_angry.wav")
    after = bimotion.load_dataset("bimotion", "eng_eld", **options)
    assert sum(map(len, after.values())) == sum(map(len, before.values())) + 1


def test_incomplete_corpora_are_refused_unless_allowed(tmp_path, wav):
    wav(tmp_path / "TESS/OAF_angry/OAF_back_angry.wav")
    with pytest.raises(CorpusIncomplete, match=r"tess .*2799 missing: .*\(2799 in all\)"):
        bimotion.load_dataset("bimotion", "eng_eld", data_dir=tmp_path, only=["tess"])
    rows = bimotion.load_dataset(
        "bimotion", "eng_eld", data_dir=tmp_path, only=["tess"], allow_missing=True
    )
    assert sum(map(len, rows.values())) == 1
    with pytest.raises(CorpusIncomplete, match="crema_d: not found"):
        bimotion.load_dataset("bimotion", "eng_eld", data_dir=tmp_path)


def test_unknown_names_are_told_with_the_known_ones(synth_root):
    for load in (datasets.load_dataset, bimotion.load_dataset):
        with pytest.raises(UnknownName, match="expected one of eng_eld, eng_adu"):
            load("bimotion", "eng_old", data_dir=str(synth_root))
    with pytest.raises(UnknownName, match="unknown corpus 'tes'"):
        bimotion.load_dataset("bimotion", "eng_eld", data_dir=synth_root, only=["tes"])
    with pytest.raises(UnknownName, match="unknown split rule"):
        bimotion.load_dataset("bimotion", "eng_eld", data_dir=synth_root, split_rule="random")


def test_a_second_call_on_the_full_corpora_is_quick(true_tree):
    assert (
        sum(map(len, bimotion.load_dataset("bimotion", "all", data_dir=true_tree).values()))
        == 57256
    )
    started = time.process_time()
    manifest.build(CorpusSource.of(true_tree))
    indexed_s, started = time.process_time() - started, time.process_time()
    rows = datasets.load_dataset("bimotion", "all", data_dir=str(true_tree))
    assert rows["test"][0]["id"]
    assert time.process_time() - started < 3 * indexed_s


def test_the_private_names_of_datasets_are_still_there():
    """When this fails, `datasets` has moved its table of packaged modules: mend
    registration.register alone."""
    import datasets.load as load

    assert isinstance(load._PACKAGED_DATASETS_MODULES, dict)
    assert set(register.BUILDERS) <= set(load._PACKAGED_DATASETS_MODULES)
    assert callable(load.PackagedDatasetModuleFactory)
    assert {"module_path", "hash", "builder_kwargs"} <= set(load.DatasetModule.__dataclass_fields__)
    assert list(inspect.signature(load.dataset_module_factory).parameters)[:2] == [
        "path",
        "revision",
    ]


@pytest.mark.parametrize("order", ["import bimotion, datasets", "import datasets, bimotion"])
def test_registration_works_in_either_order_of_imports(order, synth_root, tmp_path):
    code = (
        f"{order}\nprint(len(datasets.load_dataset('yuemotion', 'yue', "
        f"data_dir={str(synth_root)!r})['test']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 0


def test_our_door_does_not_need_the_registration(synth_root, monkeypatch):
    import datasets.load as load

    for name in register.BUILDERS:
        monkeypatch.delitem(load._PACKAGED_DATASETS_MODULES, name)
    assert len(bimotion.load_dataset("yuemotion", "yue_eld", data_dir=synth_root)["test"]) > 0


def test_other_packaged_modules_still_work(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    assert datasets.load_dataset("csv", data_files=str(tmp_path / "a.csv"), split="train")["x"][
        :
    ] == [1]


def test_cards_name_every_config_and_column():

    folder = cards.FOLDER
    card = (folder / "bimotion.md").read_text()
    assert all(f"`{name}`" in card for name in builder.features(decode=False))
    for name, configs in builder.CONFIGS.items():
        text = (folder / f"{name}.md").read_text()
        assert all(f"`{config}`" in text for config in configs)
