"""Exported copies open with plain `load_dataset`, without bimotion; licences are walls."""

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from bimotion.data.huggingface import builder, export
from bimotion.data.source import CorpusSource
from bimotion.errors import LicenceError, SettingError, UnknownName
from bimotion.io import audio

READ_BACK = """
import sys, json
from datasets import Audio, load_dataset
folder, config, has_audio = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
loaded = load_dataset(folder, config)
ids = {part: rows["id"][:] for part, rows in loaded.items()}
report = {"features": sorted(loaded["test"].features), "ids": ids}
report["names"] = loaded["test"].features["emotions"].feature.names
if has_audio:
    report["rate"] = loaded["test"].features["audio"].sampling_rate
    clip = loaded["test"].cast_column("audio", Audio(decode=False))[0]["audio"]
    report["magic"], report["path"] = clip["bytes"][:4].decode(), clip["path"]
assert "bimotion" not in sys.modules
print(json.dumps(report))
"""


def read_back(folder, config: str, has_audio: bool, cwd) -> dict:
    command = [sys.executable, "-P", "-c", READ_BACK, str(folder), config, str(has_audio)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_an_export_reads_back_without_bimotion(synth_root, tmp_path):
    configs = ["zho_eld", "zho_adu", "zho"]
    paths = export.export(tmp_path / "copy", configs, CorpusSource.of(synth_root))
    assert all(path.is_file() for path in paths)
    original = builder.Builder(config_name="zho", data_dir=str(synth_root)).selection.rows
    for config, rows in (("zho_eld", original[original["cell"] == "zho_eld"]), ("zho", original)):
        read = read_back(tmp_path / "copy", config, True, tmp_path)
        for part, ids in read["ids"].items():
            assert sorted(ids) == sorted(rows.loc[rows["part"] == part, "id"])
        assert read["features"] == sorted(builder.features(decode=True))
        assert (read["rate"], read["magic"]) == (16_000, "fLaC")
        assert not read["path"].startswith("/")
    card = (tmp_path / "copy/README.md").read_text()
    assert "SYNTHETIC" in card
    assert "speakers are not published" in card
    row = pq.read_table(next((tmp_path / "copy/zho_eld").glob("test-*"))).slice(0, 1).to_pylist()[0]
    waveform = audio.decode(row["audio"]["bytes"])
    original = audio.decode(synth_root / "CSED" / row["path"])
    assert waveform.shape == original.shape
    assert abs(waveform - original).max() < 1 / 32000


def test_metadata_only_has_no_sound(synth_root, tmp_path):
    export.export(tmp_path / "copy", ["yue"], CorpusSource.of(synth_root), metadata_only=True)
    read = read_back(tmp_path / "copy", "yue", False, tmp_path)
    assert "audio" not in read["features"]
    assert all(read["ids"].values())


def test_licences_are_walls(tmp_path, wav):
    wav(tmp_path / "corpora/TESS/OAF_angry/OAF_back_angry.wav")
    options = {"source": CorpusSource.of(tmp_path / "corpora", ["tess"], None, True)}
    with pytest.raises(
        LicenceError, match=r"tess \(CC-BY-NC-ND-4.0: labels only, no converted sound\)"
    ):
        export.export(tmp_path / "copy", ["eng_eld"], **options)
    assert not (tmp_path / "copy").exists()
    assert export.export(tmp_path / "labels", ["eng_eld"], metadata_only=True, **options)
    export.export(tmp_path / "mine", ["eng_eld"], private_use=True, **options)
    assert "private use" in (tmp_path / "mine/README.md").read_text()

    wav(tmp_path / "corpora/esd/0011/Angry/0011_000401.wav")
    esd = CorpusSource.of(tmp_path / "corpora", ["esd"], None, True)
    with pytest.raises(LicenceError, match=r"esd .*neither sound nor labels"):
        export.export(tmp_path / "copy", ["eng_adu"], esd, metadata_only=True)


def test_bad_requests_leave_nothing_behind(synth_root, tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used/file").touch()
    with pytest.raises(SettingError, match="expected a new or empty folder"):
        export.export(tmp_path / "used", ["yue"], CorpusSource.of(synth_root))
    with pytest.raises(UnknownName, match="unknown config"):
        export.export(tmp_path / "copy", ["yu"], CorpusSource.of(synth_root))
    with pytest.raises(SettingError, match="configs of one dataset"):
        export.export(tmp_path / "copy", ["yue", "eng"], CorpusSource.of(synth_root))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["used"]
