"""Datasets on their way to the Hub: what arrives is what was exported, `datasets` reads it from
there, licences are walls."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from bimotion.data.huggingface import builder, export
from bimotion.data.huggingface import publish as publishing
from bimotion.data.selection import select
from bimotion.data.source import CorpusSource
from bimotion.errors import LicenceError, UnknownName
from bimotion.protocol import cells
from tests.support import hub_client, hub_server

Failure, Refused = hub_server.Failure, hub_client.Refused
LABELS_ONLY = builder.features(decode=True)
del LABELS_ONLY["audio"]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """One server and one client process for the tests of this file, and the client's cache."""
    cache = tmp_path_factory.mktemp("cache")
    with hub_server.Hub() as hub:
        client = hub_client.Client(hub, tmp_path_factory.mktemp("hf"), BIMOTION_CACHE=str(cache))
        yield hub, client, cache
        client.close()
    assert "hf_writer" not in "".join(client.output)


@pytest.fixture
def hub(running):
    """The server, empty."""
    hub, *_ = running
    for kept in (hub.repositories, hub.objects, hub.parts, hub.failures, hub.requests, hub.hidden):
        kept.clear()
    return hub


@pytest.fixture
def publish(running, hub, synth_root):
    """publishing.publish of the synthetic corpora in the other process."""

    def call(*args, **options):
        return running[1].call(
            "bimotion.data.huggingface.publish",
            "publish",
            *args,
            **({"source": CorpusSource.of(synth_root)} | options),
        )

    return call


READ_FROM_THE_HUB = """
import json, sys
from datasets import Audio, load_dataset
loaded = load_dataset("org/yue", "yue_eld")
rows = load_dataset("org/yue", "yue", split="test", streaming=True)
rows = rows.cast_column("audio", Audio(decode=False))
ids = {part: rows["id"][:] for part, rows in loaded.items()}
streamed = {row["id"]: row["audio"]["bytes"][:4].decode() for row in rows}
print(json.dumps({"ids": ids, "streamed": streamed}))
assert "bimotion" not in sys.modules
"""


def test_what_is_exported_arrives_and_is_read_from_there(hub, publish, synth_root, tmp_path):
    planned = publish("yuemotion", "org/yue", dry_run=True, token=None)
    assert planned["address"] is None
    assert hub.requests == [], "a dry run sends nothing"
    published = publish("yuemotion", "org/yue")
    assert published["address"] == f"{hub.url}/datasets/org/yue"
    assert published["files"] == planned["files"]
    assert not Path(planned["folder"]).exists(), "the files stay on this disk after they were sent"

    export.export(tmp_path / "copy", builder.CONFIGS["yuemotion"], CorpusSource.of(synth_root))
    exported = {
        path.relative_to(tmp_path / "copy").as_posix(): path.read_bytes()
        for path in (tmp_path / "copy").rglob("*.*")
    }
    arrived = hub.files("org/yue")
    assert arrived == exported
    sizes = {file["path"]: file["n_bytes"] for file in published["files"]}
    assert sizes == {path: len(content) for path, content in arrived.items()}
    assert len(hub.asked("PUT", r"/storage/\w+/\d+$")) > 1, "no file went in parts"

    online = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    online |= {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-P", "-c", READ_FROM_THE_HUB]
    run = subprocess.run(command, env=online, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    read = json.loads(run.stdout.splitlines()[-1])
    rows = select(CorpusSource.of(synth_root), cells.union("yue")).rows
    for part, ids in read["ids"].items():
        assert sorted(ids) == sorted(
            rows.loc[(rows["cell"] == "yue_eld") & (rows["part"] == part), "id"]
        )
    assert sorted(read["streamed"]) == sorted(rows.loc[rows["part"] == "test", "id"])
    assert set(read["streamed"].values()) == {"fLaC"}


def test_after_a_broken_line_the_same_call_goes_on(hub, publish):
    def publish_labels():
        # no file of these is sent in two pieces
        return publish("yuemotion", "org/labels", metadata_only=True, split_rule="paper")

    hub.failures.append(Failure("PUT", "/storage/", after=2))
    message = r"HubError: the connection .* broke \(.*\); 2 of 7 files are on the Hub and will not"
    with pytest.raises(Refused, match=message):
        publish_labels()
    arrived = set(hub.objects)
    assert hub.files("org/labels") == {}
    hub.failures.clear()
    hub.requests.clear()
    paths = [file["path"] for file in publish_labels()["files"]]
    sent = hub.asked("PUT", "/storage/")
    assert len(sent) == 4
    assert not [path for path in sent if path.split("/")[2] in arrived]
    assert sorted(hub.files("org/labels")) == paths
    content = hub.files("org/labels")["yue_eld/test-00000-of-00001.parquet"]
    table = pq.read_table(io.BytesIO(content))
    assert "audio" not in table.column_names
    assert all(name.startswith("yuemotion/") for name in table["id"].to_pylist())
    hub.requests.clear()
    publish_labels()
    # made again, the files are the same and none is sent
    assert hub.asked("PUT", "") == hub.asked("POST", "") == []
    main = hub.repositories["org/labels"].revisions["main"]
    main |= dict.fromkeys(["yue_eld/test-00000-of-00002.parquet", "notes/test-0-of-1.parquet"], b"")
    publish_labels()
    assert sorted(hub.files("org/labels")) == sorted([*paths, "notes/test-0-of-1.parquet"])


def test_without_login_no_file_is_made(hub, publish, running):
    *_, cache = running
    with pytest.raises(Refused, match="HubError: expected to be logged in"):
        publish("bimotion", "org/name", metadata_only=True, token=None)
    with pytest.raises(Refused, match="HubError: expected a dataset repository as org/name"):
        publish("bimotion", "name", metadata_only=True)
    assert hub.repositories == {}
    assert hub.asked("POST", "") == []
    assert not list((cache / "publish").glob("*/README.md"))


def test_a_dry_run_lists_every_file_and_its_size(synth_root, monkeypatch, tmp_path):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path))
    options = {"source": CorpusSource.of(synth_root), "metadata_only": True, "dry_run": True}

    def planned(**more):
        return publishing.publish("yuemotion", "org/name", **options, **more)

    folder, listed = planned().folder, planned().files
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert {file.path: file.n_bytes for file in listed} == {
        path.relative_to(folder).as_posix(): path.stat().st_size for path in paths
    }
    assert {file.path.split("/")[0] for file in listed} == {"README.md", "yue_adu", "yue_eld"}
    made = [path.stat().st_mtime_ns for path in paths]
    assert planned().folder == folder
    assert [path.stat().st_mtime_ns for path in paths] == made
    further = [{"split_rule": "disjoint"}, {"fold": 1}, {"split_rule": "paper"}]
    assert len({folder, *(planned(**more).folder for more in further)}) == 4


def tess(root, wav):
    return wav(root / "TESS/OAF_angry/OAF_back_angry.wav")


def elderreact(root, wav):
    for part in ("train", "dev", "test"):
        labels = root / f"ElderReact/Annotations/{part}_labels.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("50_50_35.mp4 1 1 1 1 1 1 m 3.0\n" if part == "train" else "")
    return wav(root / "ElderReact/ElderReact_train/50_50_35.wav")


def esd(root, wav):
    return wav(root / "esd/0011/Angry/0011_000401.wav")


def csed(root, wav):
    return wav(root / "CSED/Training Data (wav)/Natural/Nat_Female-12.wav")


def crema_d(root, wav):
    (root / "CREMA-D").mkdir(parents=True)
    (root / "CREMA-D/VideoDemographics.csv").write_text(
        '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,Male,C,N\n'
    )
    return wav(root / "CREMA-D/AudioWAV/1001_DFA_ANG_XX.wav")


PUBLIC, PUBLIC_LABELS, PRIVATE, PRIVATE_LABELS = WAYS = [
    {"private": is_private, "metadata_only": metadata_only}
    for is_private in (False, True)
    for metadata_only in (False, True)
]


@pytest.mark.parametrize(
    ("make", "allowed"),
    [
        (csed, WAYS),
        (crema_d, WAYS),
        (tess, [PUBLIC_LABELS, PRIVATE, PRIVATE_LABELS]),
        (elderreact, [PUBLIC_LABELS, PRIVATE_LABELS]),
        (esd, []),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_licences_are_walls(make, allowed, tmp_path, wav, monkeypatch):
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    make(tmp_path / "corpora", wav)
    corpora = CorpusSource.of(tmp_path / "corpora", allow_missing=True)
    for way in WAYS:
        if way in allowed:
            planned = publishing.publish("bimotion", "org/name", corpora, dry_run=True, **way)
            assert planned.corpora == (make.__name__,)
            card = (planned.folder / "README.md").read_text()
            assert ("For private use" in card) == (way == PRIVATE and PUBLIC not in allowed)
            continue
        before = sorted((tmp_path / "cache/publish").rglob("*"))
        message = f"licences keep these off .*: {make.__name__} .*nothing was sent"
        with pytest.raises(LicenceError, match=message):
            publishing.publish("bimotion", "org/name", corpora, dry_run=True, **way)
        assert sorted((tmp_path / "cache/publish").rglob("*")) == before


def test_a_refusal_names_the_ways_that_are_left(tmp_path, wav):
    for make in (tess, csed, esd):
        make(tmp_path, wav)

    def refusal(name="bimotion", only=None, **options):
        source = CorpusSource.of(tmp_path, only=only, allow_missing=True)
        with pytest.raises((LicenceError, UnknownName)) as refused:
            publishing.publish(name, "org/name", source, **options)
        return str(refused.value)

    of_all = refusal()
    assert "(--only csed)" in of_all
    assert "--metadata-only" not in of_all, "ESD's labels may not be passed on either"
    assert "(--private), for tess alone" in of_all
    assert "leave the sound out (--metadata-only)" in refusal(only=["tess"])
    private = refusal(private=True)
    assert "keep these off any server of others: esd" in private
    assert "(--only csed --only tess)" in private
    unknown = "unknown dataset 'emodb': expected one of bimotion, yuemotion"
    assert refusal("emodb") == unknown


@pytest.fixture(scope="module")
def card(synth_root, tmp_path_factory):
    """Folder and card of an export with five corpora, labels only."""
    folder = tmp_path_factory.mktemp("card") / "copy"
    source = CorpusSource.of(synth_root, only=["crema_d", "csed", "elderreact", "tess", "esd"])
    export.export(folder, builder.CONFIGS["bimotion"], source, metadata_only=True)
    return folder, (folder / "README.md").read_text()


def test_the_cards_yaml_says_what_the_files_hold(card):
    folder, text = card
    facts = yaml.safe_load(text.split("---\n")[1])
    assert set(facts["license"]) == {"odbl", "apache-2.0", "cc-by-nc-nd-4.0", "other"}
    assert facts["language"] == ["en", "zh"]
    listed = {config["config_name"]: config["data_files"] for config in facts["configs"]}
    assert list(listed) == sorted(builder.CONFIGS["bimotion"])
    for info in facts["dataset_info"]:
        assert [column["name"] for column in info["features"]] == list(LABELS_ONLY)
        for part, files in zip(info["splits"], listed[info["config_name"]], strict=True):
            assert part["name"] == files["split"]
            patterns = files["path"] if isinstance(files["path"], list) else [files["path"]]
            paths = [path for pattern in patterns for path in folder.glob(pattern)]
            n_rows = sum(pq.read_metadata(path).num_rows for path in paths)
            assert part["num_examples"] == n_rows > 0


def test_the_card_tells_sizes_ages_licences_and_limits(card):
    folder, text = card
    lines = text.splitlines()

    def cells_of(opening):
        (line,) = [line for line in lines if line.startswith(opening)]
        return line.strip("| ").split(" | ")

    columns = ["corpus", "cell", "age_source"]
    paths = folder.rglob("*.parquet")
    rows = pd.concat(pq.read_table(path, columns=columns).to_pandas() for path in paths)
    for name in columns:
        rows[name] = rows[name].map(LABELS_ONLY[name].int2str)
    n_csed = (rows["corpus"] == "csed").sum()
    assert cells_of("| [CSED](")[1] == f"{n_csed} of 652"
    assert sum(map(int, cells_of("| csed | zho_eld |")[2:])) == n_csed
    for cell in ("eng_eld", "zho_adu"):
        counts = rows.loc[rows["cell"] == cell, "age_source"].value_counts()
        expected = [str(counts.get(source, 0)) for source in ("measured", "stated", "assumed")]
        assert cells_of(f"| {cell} | ")[1:4] == expected
    assert "Not in this copy, though the configs' cells have clips of them: [IEMOCAP]" in text
    citations = ("10.1109/TAFFC.2014.2336244", "2306.14517")
    for part in ("CC-BY-NC-ND-4.0", *citations, "SYNTHETIC", "three valence classes"):
        assert part in text
    for heading in ("Corpora and licences", "Sizes", "Ages", "Known limits", "Columns", "Citation"):
        assert lines.count(f"## {heading}") == 1
    assert "| `audio` |" not in text


def test_the_card_names_clips_whose_age_and_cell_disagree(tmp_path, wav):
    wav(tmp_path / "corpora/TESS/OAF_neutral/OA_bite_neutral.wav")
    source = CorpusSource.of(tmp_path / "corpora", ["tess"], allow_missing=True)
    export.export(tmp_path / "copy", ["eng"], source, metadata_only=True, split_rule="paper")
    line = "- tess/OAF_bite_neutral (64 years): eng_adu in the paper, eng_eld by age - 1 clip"
    lines = (tmp_path / "copy/README.md").read_text().splitlines()
    assert line in lines
    assert "| tess | eng_adu | 1 (-699) | 0 (-201) | 0 (-500) | 700 / 201 / 500 |" in lines
