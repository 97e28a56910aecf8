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
from bimotion.corpora.utterance import FIELDS, PARTS
from bimotion.data import manifest
from bimotion.data.huggingface import builder, cards, register
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusIncomplete, CorpusNotFound, SettingError, UnknownName
from bimotion.protocol import cells as groups
from bimotion.protocol.labels import EMOTIONS, VALENCE

CONFIGS = [(name, config) for name, configs in builder.CONFIGS.items() for config in configs]


@pytest.mark.parametrize(("name", "config"), CONFIGS)
def test_every_config_loads_alike_by_both_doors(synth_root, name, config):
    """And the single label and the valence are classes without a null."""
    theirs = datasets.load_dataset(name, config, data_dir=str(synth_root))
    ours = bimotion.load_dataset(name, config, data_dir=synth_root)
    assert list(theirs) == list(ours) == ["train", "validation", "test"]
    for part, rows in ours.items():
        assert theirs[part]["id"][:] == rows["id"][:]
        label, valence, cell = (rows.features[name] for name in ("label", "valence", "cell"))
        assert set(map(cell.int2str, rows["cell"])) == set(map(str, groups.union(config)))
        assert label.names == [*EMOTIONS, "none"]
        assert valence.names == ["positive", "neutral", "negative", "none"]
        for row in rows.remove_columns("audio"):
            hot = np.flatnonzero(row["labels"])
            assert row["label"] == (hot[0] if len(hot) else label.str2int("none"))
            names = {VALENCE.get(EMOTIONS[number], "none") for number in row["emotions"]} - {"none"}
            assert valence.int2str(row["valence"]) == (names.pop() if len(names) == 1 else "none")


def test_rows_carry_every_field_typed(synth_root):
    rows = bimotion.load_dataset("bimotion", "eng_eld", data_dir=synth_root)["test"]
    assert set(FIELDS) <= set(rows.features)
    for name in ("cell", "language", "gender", "age_source"):
        assert isinstance(rows.features[name], datasets.ClassLabel)
    for row in rows.remove_columns("audio"):
        assert np.flatnonzero(row["labels"]).tolist() == row["emotions"]
        assert np.flatnonzero(row["labels_mask"]).tolist() == sorted(row["annotated"])
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
REFUSED = {
    "data_files": ["a.csv", {"train": ["a.csv"]}],
    "revision": ["main"],
    "features": [datasets.Features()],
}


@pytest.mark.parametrize("door", LOADERS)
def test_options_that_would_change_nothing_are_refused(synth_root, door):
    def load(**option):
        return LOADERS[door]("bimotion", "eng_eld", data_dir=str(synth_root), **option)

    for name, values in REFUSED.items():
        message = rf"^load_dataset\('bimotion', \.\.\.\) takes no {name}, found .*: [^\n]*$"
        for value in values:
            with pytest.raises(SettingError, match=message):
                load(**{name: value})
    message = r"unknown option of load_dataset.*'split_rul': expected one of .*split_rule"
    with pytest.raises(UnknownName, match=message):
        load(split_rul="disjoint")


def test_other_datasets_are_not_our_business(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    options = {"data_files": str(tmp_path / "a.csv"), "split": "train", "revision": "main"}
    assert datasets.load_dataset("csv", **options)["x"][:] == [1]


# where a torchcodec without FFmpeg's libraries, or beside another torch, finds that out
BROKEN_TORCHCODEC = {
    "at import": "raise RuntimeError('Could not load libtorchcodec.' + '\\nno libavutil' * 100)",
    "by its own kind of error": "class Fault(Exception): pass\nraise Fault('')",
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
    quiet = {"PYTHONPATH": str(tmp_path), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", FIRST_ROWS, str(synth_root)]
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | quiet)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["True", "True"]
    (line,) = run.stderr.splitlines()
    assert "torchcodec is installed but cannot decode" in line


def test_the_root_comes_from_the_environment(synth_root, monkeypatch):
    monkeypatch.setenv("BIMOTION_CORPORA", str(synth_root))
    assert len(bimotion.load_dataset("bimotion", "zho_eld")["train"]) == len(
        datasets.load_dataset("bimotion", "zho_eld")["train"]
    )
    monkeypatch.delenv("BIMOTION_CORPORA")
    with pytest.raises(CorpusNotFound, match="BIMOTION_CORPORA"):
        bimotion.load_dataset("bimotion", "zho_eld")


def test_split_rules_and_corpora_are_options(synth_root):
    options = {"data_dir": str(synth_root), "only": ["crema_d"]}
    paper, disjoint = (
        datasets.load_dataset("bimotion", "eng_adu", split_rule=rule, **options)
        for rule in ("paper", "disjoint")
    )
    corpus = disjoint["train"].features["corpus"]
    assert set(map(corpus.int2str, disjoint["train"]["corpus"])) == {"crema_d"}
    for rows, apart in ((paper, False), (disjoint, True)):
        train, validation, test = (set(rows[part]["speaker"]) for part in PARTS)
        assert train.isdisjoint(validation | test) == apart
        assert set(rows["train"]["speaker_disjoint"]) == {apart}


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
    def load():
        rows = bimotion.load_dataset("bimotion", "all", data_dir=true_tree, split_rule="paper")
        assert sum(map(len, rows.values())) == 57256

    load()
    costs_s = []
    for call in (lambda: manifest.build(CorpusSource.of(true_tree)), load):
        started = time.process_time()
        call()
        costs_s.append(time.process_time() - started)
    assert costs_s[1] < 3 * costs_s[0]


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
    load = f"datasets.load_dataset('yuemotion', 'yue', data_dir={str(synth_root)!r})"
    command = [sys.executable, "-c", f"{order}\nprint(len({load}['test']))"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 0


def test_our_door_does_not_need_the_registration(synth_root, monkeypatch):
    import datasets.load as load

    for name in register.BUILDERS:
        monkeypatch.delitem(load._PACKAGED_DATASETS_MODULES, name)
    assert len(bimotion.load_dataset("yuemotion", "yue_eld", data_dir=synth_root)["test"]) > 0


def test_cards_name_every_config_and_column():
    assert all(f"`{name}`" in cards.card("bimotion") for name in builder.features(decode=False))
    for name, configs in builder.CONFIGS.items():
        assert all(f"`{config}`" in cards.card(name) for config in configs)
