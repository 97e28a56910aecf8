"""`bimotion data download` from the corpora's own addresses, which a server on this machine stands
for."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from bimotion.corpora import CORPORA
from bimotion.data import locate, manifest, published
from bimotion.data.download import ledger
from bimotion.data.huggingface.loading import load_dataset
from bimotion.data.source import CorpusSource
from bimotion.errors import CorpusIncomplete, CorpusNotFound
from tests.support import tiny_corpora
from tests.support.corpus_hosts import Fault
from tests.support.healthy_corpus import clip, noise
from tests.support.hub_client import wait_for
from tests.support.hub_repository import Repository
from tests.support.hub_server import Hub
from tests.support.tiny_corpora import URDU, content_of


def test_a_corpus_comes_whole_and_every_command_finds_it(urdu, download, root, bimotion):
    with pytest.raises(CorpusNotFound, match=r"`bimotion data download urdu`"):
        manifest.build(CorpusSource.of(only="urdu"))
    code, output, errors = download("urdu")
    assert code == 0, errors
    assert content_of(root / "URDU") == urdu
    assert output.splitlines()[-1] == f"urdu: {root / 'URDU'}"
    assert sorted(path.name for path in root.iterdir()) == [ledger.FOLDER, "URDU"]
    assert not (root / ledger.FOLDER / "urdu").exists()
    trees, _ = locate.locate(CorpusSource(), ["urdu"])
    assert trees["urdu"].root == root / "URDU"
    code, output, _ = download("urdu")
    assert (code, output) == (0, f"urdu: is there already, 400 clips: {root / 'URDU'}\n")


def test_the_licence_is_accepted_once_and_recorded(urdu, download, root, bimotion, hosts):
    code, output, errors = bimotion("data", "download", "urdu", *("--mirror", hosts.url))
    assert code == 2
    assert "research use only" in output
    assert "expected --yes, which accepts the licences of urdu (research use only)" in errors
    assert not root.exists()
    download("urdu")
    recorded = json.loads((root / ledger.FOLDER / "downloads.json").read_text())
    assert recorded["licences"]["urdu"]["licence"] == "research use only"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT.*\+00:00", recorded["licences"]["urdu"]["date"])
    [laid] = recorded["corpora"]["urdu"]
    n_bytes = sum(map(len, urdu.values()))
    assert (laid["folder"], laid["n_files"], laid["n_bytes"]) == ("URDU", 400, n_bytes)
    (root / "URDU").rename(root / ".gone")
    hosts.add("urdu", urdu)
    code, _, errors = bimotion("data", "download", "urdu", "--mirror", hosts.url)
    assert code == 0, errors
    (root / ledger.FOLDER / "downloads.json").write_text("[]")
    code, _, errors = download("urdu")
    assert (code, "downloads.json" in errors) == (0, False)  # nothing is to be done
    code, _, errors = download("urdu", "csed")
    assert (code, "downloads.json" in errors) == (2, True)


def test_broken_off_by_a_kill_it_goes_on_where_it_was(urdu, download, root, hosts, tmp_path):
    late = sorted(urdu)[200]
    hosts.faults = [Fault(re.escape(late), cut_after=30, stall=True)]
    code = (
        "import sys; from pathlib import Path; from bimotion.data import published; "
        f"published.FOLDER = Path({str(published.FOLDER)!r}); from bimotion.cli import main; main()"
    )
    words = ["data", "download", "urdu", "--yes", "--mirror", *hosts.mirrors(URDU.split("/")[0])]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], env=os.environ | {"HF_HUB_OFFLINE": "0"}
    )
    partial = root / ledger.FOLDER / "urdu/parts" / f"{late}.part"
    wait_for(lambda: len(hosts.asked("Sad")) == 100 and partial.exists() and partial.stat().st_size)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (root / "URDU").exists()
    n_asked, hosts.faults = len(hosts.asked("")), []
    assert download("urdu")[0] == 0
    asked = hosts.asked("")[n_asked:]
    assert (f"/{URDU}/{late}", "bytes=30-") in asked
    assert len(asked) < 20  # what was there was not asked for again
    assert content_of(root / "URDU") == urdu


def test_wrong_bytes_are_never_laid_out(urdu, download, root, hosts):
    wrong = sorted(urdu)[3]
    hosts.faults = [Fault(re.escape(wrong), content=b"x" * len(urdu[wrong]))]
    code, _, errors = download("urdu")
    assert code == 2
    assert re.search(rf"{wrong}: .*: expected sha256 [0-9a-f]{{64}}, found [0-9a-f]{{64}}", errors)
    assert not (root / "URDU").exists()
    assert (root / ledger.FOLDER / "urdu/parts" / f"{wrong}.wrong").read_bytes()[:1] == b"x"
    code, _, errors = download("urdu", "--allow-missing")
    assert code == 0
    assert f"urdu: 1 files left out: {wrong}" in errors
    lacking = {path: content for path, content in urdu.items() if path != wrong}
    assert content_of(root / "URDU") == lacking
    with pytest.raises(CorpusIncomplete):
        manifest.build(CorpusSource.of(root, "urdu")).require_complete(["urdu"])
    hosts.faults = []
    assert download("urdu")[0] == 0
    assert content_of(root / "URDU") == urdu
    assert len(hosts.asked("")) == 400 + 1 + 1


def test_a_copy_of_the_users_own_is_left_alone(urdu, download, root, hosts):
    own = root / "my copy/Angry/SM1_F10_A010.wav"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"RIFF")
    code, _, errors = download("urdu")
    assert code == 2
    assert f"found 1 of 400 clips in {root / 'my copy'}: move that folder away" in errors
    assert (hosts.requests, content_of(root)) == ([], {"my copy/Angry/SM1_F10_A010.wav": b"RIFF"})
    for path in urdu:  # a clone without git-lfs
        (root / "my copy" / path).parent.mkdir(exist_ok=True)
        (root / "my copy" / path).write_text("version https://git-lfs.github.com/spec/v1\noid")
    code, _, errors = download("urdu")
    assert (code, f"found 0 of 400 clips in {root / 'my copy'}" in errors) == (2, True)


def test_room_is_asked_for_before_anything_is_fetched(publish, download, root, hosts, tmp_path):
    publish("urdu", {"Angry/SM1_F10_A010.wav": b"x"})
    table = tmp_path / "large.tsv"
    table.write_text(f"path\tbytes\tsha256\nAngry/SM1_F10_A010.wav\t{10**17}\t{'0' * 64}\n")
    published.save("urdu", table, published.FOLDER)
    published.load.cache_clear()
    code, _, errors = download("urdu")
    assert code == 2
    assert re.search(r"expected room for 100000000000 MB, found \d+ MB free; make room", errors)
    assert (hosts.requests, root.exists()) == ([], False)


def test_tess_by_the_list_of_its_dataverse(publish, download, root, hosts):
    files = tiny_corpora.tiny("tess")
    publish("tess", files)
    hosts.add("borealisdata.ca", tiny_corpora.dataverse(files))
    code, _, errors = download("tess")
    assert code == 0, errors
    assert content_of(root / "TESS") == files


def test_a_dataverse_that_lacks_files_or_says_something_else(publish, download, root, hosts):
    files = tiny_corpora.tiny("tess")
    publish("tess", files)
    listed = dict(list(files.items())[:-1])
    answers = tiny_corpora.dataverse(listed)
    hosts.add("borealisdata.ca", answers)
    code, output, errors = download("tess", "iemocap")
    assert code == 2
    assert "tess: expected the 2800 files of tess in doi:10.5683" in errors
    assert f"missing {list(files)[-1]}" in errors
    assert "IEMOCAP (signed USC release) is given by its authors" in output  # all the same
    hosts.add("borealisdata.ca", dict.fromkeys(answers, b'{"data": ["nothing"]}'))
    code, _, errors = download("tess")
    assert (code, "expected a Dataverse's list of files" in errors) == (2, True)


def test_emo_db_from_its_zip_by_a_proxy(publish, bimotion, root, hosts, monkeypatch):
    files = tiny_corpora.tiny("emo_db")
    publish("emo_db", files)
    beside = {"erkennung.txt": b"Satz", "lablaut/03a01Fa.lablaut": b"x", "silb/.hidden.wav": b"x"}
    address = "emodb.bilderbar.info/download"
    hosts.add(address, {"download.zip": tiny_corpora.zipped(files | beside)})
    monkeypatch.setenv("HTTP_PROXY", hosts.url)
    code, _, errors = bimotion("data", "download", "emo_db", "--yes")
    assert code == 0, errors
    assert content_of(root / "EMO-DB") == files | {"erkennung.txt": b"Satz"}
    assert hosts.asked("", "HEAD")


def test_a_zip_with_a_foreign_recording_is_never_laid_out(publish, download, root, hosts):
    files = tiny_corpora.tiny("emo_db")
    publish("emo_db", files)
    foreign = tiny_corpora.zipped(files | {"wav/03a01Fa.wav": b"another"})
    hosts.add("emodb.bilderbar.info/download", {"download.zip": foreign})
    code, _, errors = download("emo_db")
    assert code == 2
    assert "wav/03a01Fa.wav: expected 80 bytes, found 7" in errors
    assert not (root / "EMO-DB").exists()
    kept = root / ledger.FOLDER / "emo_db"
    assert set(content_of(kept)) == {"parts/download.zip.wrong"}
    hosts.add("emodb.bilderbar.info/download", {"download.zip": tiny_corpora.zipped(files)})
    assert download("emo_db")[0] == 0


def test_shemo_from_two_zips_checked_by_their_names(download, root, hosts):
    packed = tiny_corpora.shemo()
    where = "github.com/pariajm/sharif-emotional-speech-database/raw/master"
    whole = {name: tiny_corpora.zipped(files) for name, files in packed.items()}
    lacking = dict(list(packed["male.zip"].items())[1:])
    hosts.add(where, whole | {"male.zip": tiny_corpora.zipped(lacking)})
    code, _, errors = download("shemo")
    assert (code, "expected 3000 clips of ShEMO, found 2999, missing shemo/M" in errors) == (
        2,
        True,
    )
    hosts.add(where, whole)
    assert download("shemo")[0] == 0
    assert content_of(root / "ShEMO") == packed["female.zip"] | packed["male.zip"]
    [laid] = ledger.Ledger.of(root).corpora["shemo"]
    assert set(laid.pins) == {"female.zip", "male.zip"}


def test_yuemotion_from_the_hub_at_a_pinned_commit(bimotion, root, monkeypatch):
    files = tiny_corpora.yuemotion()
    with Hub() as hub:
        repository = hub.repositories["CAiRE/YueMotion"] = Repository(False)
        repository.revisions["main"] |= files | {"YueMotion.py": b"import os"}
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        code, _, errors = bimotion("data", "download", "yuemotion", "--yes")
        assert code == 0, errors
        assert content_of(root / "YueMotion") == files
        [laid] = ledger.Ledger.of(root).corpora["yuemotion"]
        assert laid.pins == {"CAiRE/YueMotion": repository.sha}
        assert all(repository.sha in path for path in hub.asked("GET", "resolve"))
        code, output, _ = bimotion("data", "download", "yuemotion", "--check")
        assert (code, output.count("alive")) == (0, 4)
        del repository.revisions["main"]["data.tar.bz2"]
        monkeypatch.setenv("BIMOTION_CORPORA", str(root / "other"))
        code, _, errors = bimotion("data", "download", "yuemotion", "--yes")
        assert (code, "expected data.tar.bz2 in CAiRE/YueMotion" in errors) == (2, True)


def test_one_mirror_for_all_and_one_corpus_that_fails_does_not_keep_others(
    urdu, publish, bimotion, root, hosts
):
    publish("csed", {"none.wav": b"x"})
    hosts.add("lab/corpora/urdu", urdu)
    mirror = ("--mirror", f"{hosts.url}/lab/corpora/")
    code, _, errors = bimotion("data", "download", "csed", "urdu", "--yes", *mirror)
    assert code == 2
    assert "csed: expected the published files" in errors.splitlines()[-1]
    assert content_of(root / "URDU") == urdu
    assert all(path.startswith("/lab/corpora/") for path, _ in hosts.asked(""))
    for text in ("ftp://lab", "lab", "http://a", "x=ftp://lab"):
        words = ("--mirror", text, *mirror) if text == "http://a" else ("--mirror", text)
        code, _, errors = bimotion("data", "download", "csed", *words)
        assert (code, "--mirror: expected" in errors) == (2, True), text


def test_check_asks_for_headers_only_and_counts_the_dead(urdu, publish, download, hosts):
    code, output, _ = download("urdu", "--check")
    assert (code, output.count("alive")) == (0, 1)
    hosts.files[f"/{URDU}/{min(urdu)}"] += b"x"
    publish("csed", {"none.wav": b"x"})
    code, output, _ = download("urdu", "csed", "--check")
    assert code == 1
    assert "dead: status 404" in output
    assert re.search(r"urdu \| dead: expected \d+ bytes, found \d+", output)
    assert hosts.asked("") == []


def test_a_machine_that_reaches_no_host_calls_no_link_dead(download):
    code, output, errors = download("urdu", "--check", "--mirror", "http://127.0.0.1:9")
    assert code == 1
    assert "| not reached: " in output
    assert "dead" not in output
    assert "no host was reached: this machine seems offline" in errors


def test_pinned_addresses_of_crema_d():
    from bimotion.data.download.plan import Mirrors, files_of

    files = files_of(CORPORA["crema_d"].card, Mirrors()).files
    commit = "CheyneyComputerScience/CREMA-D/1658cd342dff90010aa843eaeebd53610a08b1dc/"
    sounds = {file.path for file in files if file.path.endswith(".wav")}
    assert (len(files), len(sounds)) == (7445, 7442)
    mirror = "https://gitlab.com/cs-cooper-lab/crema-d-mirror/-/raw/main/"
    hosts = {True: "media.githubusercontent.com/media", False: "raw.githubusercontent.com"}
    for file in files:
        original = f"https://{hosts[file.path in sounds]}/{commit}{file.path}"
        assert file.addresses == (original, f"{mirror}{file.path}")


@pytest.mark.parametrize("there", [False, True])
def test_loading_says_which_command_gets_what_is_missing(tmp_path, monkeypatch, there):
    """Without any corpora, and with others."""
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path))
    if there:
        (tmp_path / "corpora/my URDU").mkdir(parents=True)
        (tmp_path / "corpora/my URDU/SM1_F10_A010.wav").write_bytes(b"RIFF")
    with pytest.raises(CorpusNotFound, match=r"csed: `bimotion data download csed` \(https://git"):
        load_dataset("bimotion", "zho_eld")
    with pytest.raises(CorpusNotFound, match="esd: `bimotion data download esd` says how "):
        load_dataset("bimotion", "zho_adu")


def test_where_one_of_several_is_missing_the_command_is_named_too(tmp_path):
    noise(clip(tmp_path / "root", "Nat_Male-1"), seed=1)
    with pytest.raises(CorpusIncomplete, match=r"tess: not found \(get it: `bimotion data downl"):
        load_dataset("bimotion", "eld", data_dir=tmp_path / "root")
