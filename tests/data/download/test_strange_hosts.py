"""`bimotion data download` where a mirror, the environment, a host or another process is not as it
should be."""

import sys

import pytest

from bimotion.data.download import ledger
from bimotion.data.download.plan import Mirrors
from bimotion.io import files
from bimotion.io.hub import hub_endpoint
from tests.support import tiny_corpora
from tests.support.command_line import bimotion_process
from tests.support.tiny_corpora import content_of

MIRRORS = {
    "http://[::1/x": "one http(s) address of a folder",
    "http://lab:port/x": "one http(s) address of a folder",
    "http:///x": "one http(s) address of a folder",
    "gihub.com=http://lab": "expected a host that corpora come from (borealisdata.ca, ",
}


@pytest.mark.parametrize("mirror", MIRRORS)
def test_a_mirror_that_cannot_be_is_refused_before_anything_is_asked(bimotion, root, mirror):
    code, output, errors = bimotion("data", "download", "shemo", "--mirror", mirror)
    assert (code, output) == (2, "")
    assert errors.startswith("bimotion: --mirror: expected")
    assert MIRRORS[mirror] in errors
    twice = ("--mirror", "GitHub.com=http://a", "--mirror", "github.com=http://b")
    code, _, errors = bimotion("data", "download", "shemo", *twice)
    assert (code, "HOST=ADDRESS once a host, found 'github.com=http://b'" in errors) == (2, True)


def test_a_password_of_a_mirror_is_neither_printed_nor_recorded(urdu, bimotion, root, hosts):
    address = hosts.url.replace("http://", "HTTP://me:secret@") + "/lab"
    words = ("data", "download", "urdu", "--yes", "--mirror", address)
    code, output, errors = bimotion(*words)
    assert (code, "status 404" in errors) == (2, True)
    assert "secret" not in output + errors
    hosts.add("lab/urdu", urdu)
    code, output, errors = bimotion(*words)
    assert (code, "secret" in output + errors) == (0, False)
    [laid] = ledger.Ledger.of(root).corpora["urdu"]
    assert laid.origins == [f"{hosts.url}/lab/urdu/{min(urdu)}"]
    code, output, _ = bimotion(*words, "--check")
    assert (code, "alive" in output, "secret" in output) == (0, True, False)


SECRETS = {
    "found a bad port": ("http://me:secret@lab:port", ("shemo",)),
    "found a slash": ("http://me:sec/secret@lab", ("shemo",)),
    "found a host without its scheme": ("me:secret@lab", ("shemo",)),
    "found another host": ("http://me:secret@lab:8080", ("shemo", "--mirror", "a.com=http://b")),
    "found nobody there": ("http://me:secret@127.0.0.1:9", ("yuemotion",)),
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_password_of_the_hubs_address_is_not_printed(bimotion, monkeypatch, kind):
    endpoint, words = SECRETS[kind]
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    words = (*words, "--mirror", "github.com=http://127.0.0.1:9", "--yes")
    code, output, errors = bimotion("data", "download", *words)
    assert (code, "secret" in output + errors) == (2, False)
    assert "lab" in errors or "(http://127.0.0.1:9)" in errors


def test_a_mirror_stands_for_a_host_with_a_port(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://me:secret@lab:8080")
    mirrors = Mirrors.of(["Lab:8080=http://cache/hub"])
    address = f"{hub_endpoint()}/datasets/org/name"
    assert mirrors.address(address) == "http://cache/hub/datasets/org/name"


TROUBLED = {
    "SOCKS, which the client lacks": {"HTTP_PROXY": "socks5://127.0.0.1:1"},
    "no address": {"HTTP_PROXY": "http://[::1"},
    "no such certificates": {"SSL_CERT_FILE": "/none"},
}


@pytest.mark.parametrize("trouble", TROUBLED)
def test_an_environment_that_the_client_cannot_begin_with_is_named(bimotion, monkeypatch, trouble):
    for name, value in TROUBLED[trouble].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "socksio", None)
    for words in (("shemo",), ("yuemotion",), ("urdu", "--check")):
        code, _, errors = bimotion("data", "download", *words, "--mirror", "github.com=http://a")
        assert code == 2
        assert errors.startswith("bimotion: expected proxies and certificates of the environment")


@pytest.mark.parametrize("endpoint", ["http://lab:port", "http://[::1", "lab", "ftp://lab"])
@pytest.mark.parametrize(
    "words",
    [
        ("data", "download", "yuemotion", "--yes"),
        ("data", "download", "--check"),
        ("evaluate", "--model", "org/name"),
        ("check-model", "org/name"),
    ],
)
def test_an_address_of_the_hub_that_cannot_be_is_one_line(monkeypatch, endpoint, words):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    done = bimotion_process(*words)  # a new one: the Hub's client reads it as it is imported
    assert (done.returncode, done.stdout) == (2, "")
    expected = "bimotion: HF_ENDPOINT: expected the http(s) address of a Hub, such as "
    assert done.stderr.startswith(expected)
    assert f"found {endpoint!r}: mend it, or unset it" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("endpoint", ["http://lab:port", "http://[::1"])
def test_what_needs_no_hub_is_not_kept_from_its_work(monkeypatch, tmp_path, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    for words in (("--help",), ("compare", "--help"), ("evaluate", "--help"), ("data", "list")):
        done = bimotion_process(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
    for words in (("data", "doctor", "--corpora"), ("compare",), ("report",)):
        done = bimotion_process(*words, tmp_path)
        assert done.returncode, words  # nothing lies there
        assert "Traceback" not in done.stderr
        assert str(tmp_path) in done.stdout + done.stderr
        assert "HF_ENDPOINT" not in done.stderr


def test_an_empty_address_of_the_hub_is_none(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "")
    done = bimotion_process("check-model", "org/name")
    assert done.stderr.startswith("bimotion: org/name: no such folder, not in the cache, and no ")


RECORDS = {
    "of another version": b'{"version": 2, "licences": {}, "corpora": {}}',
    "of a version with more": b'{"version": 7, "licences": {}, "corpora": {}, "more": 1}',
    "of a version without a number": b'{"licences": {}, "corpora": {}}',
    "cut": b'{"version": 1, "lic',
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "no object": b"[]",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_that_cannot_be_read_is_refused_and_stays(urdu, download, root, hosts, kind):
    path = root / ledger.FOLDER / "downloads.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(RECORDS[kind])
    code, _, errors = download("urdu")
    assert code == 2
    assert errors.startswith(f"bimotion: {path}: ")
    assert "version of BiMotion: use that version, or move the file away" in errors
    assert len(errors.splitlines()) == 1
    assert path.read_bytes() == RECORDS[kind]
    assert hosts.asked("") == []
    path.unlink()
    assert download("urdu")[0] == 0


PAGE = b"<!DOCTYPE html><html>Sign in</html>"


@pytest.mark.parametrize("wrong", ["data.tar.bz2", "train_metadata.csv"])
@pytest.mark.parametrize("kind", ["page", "cut"])
def test_of_a_mirror_without_checksums_nothing_wrong_is_laid_out_or_kept_as_right(
    bimotion, root, hosts, wrong, kind
):
    files = tiny_corpora.yuemotion()
    bad = PAGE if kind == "page" else files[wrong][: len(files[wrong]) // 2]
    hosts.add("yuemotion", files | {wrong: bad})
    words = ("data", "download", "yuemotion", "--yes", "--mirror", hosts.url)
    code, _, errors = bimotion(*words)
    assert code == 2
    assert "what was downloaded is kept as" in errors
    assert f"found web pages: {wrong}" in errors or kind == "cut"
    assert not (root / "YueMotion").exists()
    assert (root / ledger.FOLDER / f"yuemotion/parts/{wrong}.wrong").read_bytes() == bad
    hosts.add("yuemotion", files)
    code, _, errors = bimotion(*words)
    assert code == 0, errors
    assert content_of(root / "YueMotion") == files


@pytest.mark.parametrize("archive", [None, b"version https://git-lfs.github.com/spec/v1\noid", b""])
def test_tables_without_their_sound_are_no_copy(bimotion, root, hosts, archive):
    """A clone without git-lfs."""
    (root / "clone").mkdir(parents=True)
    for name, content in tiny_corpora.tables("yuemotion").items():
        (root / "clone" / name).write_bytes(content)
    if archive is not None:
        (root / "clone/data.tar.bz2").write_bytes(archive)
    code, output, errors = bimotion("data", "download", "yuemotion", "--mirror", hosts.url)
    assert (code, output) == (2, "")
    assert f"found 0 of 1080 clips in {root / 'clone'}: move that folder away" in errors


def test_a_clip_that_was_emptied_is_fetched_again(urdu, download, root):
    assert download("urdu")[0] == 0
    (root / "URDU" / min(urdu)).write_bytes(b"")
    assert download("urdu")[0] == 0
    assert content_of(root / "URDU") == urdu


def test_a_corpus_that_another_process_downloads_is_not_waited_for(urdu, publish, download, root):
    publish("csed", {})
    with files.locked(root / ledger.FOLDER / "csed.lock"):
        code, _, errors = download("csed", "urdu")
    assert code == 2
    assert f"csed: {root}: another process downloads csed there; wait for it" in errors
    assert content_of(root / "URDU") == urdu


def test_what_another_download_records_meanwhile_stays(urdu, download, root, monkeypatch):
    def recorded_meanwhile(*args):
        laid = ledger.LaidOut("CSED", 1, 1, [], {}, ledger.today())
        ledger.laid_out("csed", laid, root)
        return known(*args)

    known = ledger.Ledger.to_accept
    monkeypatch.setattr(ledger.Ledger, "to_accept", recorded_meanwhile)
    assert download("urdu")[0] == 0
    recorded = ledger.Ledger.of(root)
    assert (set(recorded.corpora), set(recorded.licences)) == ({"csed", "urdu"}, {"urdu"})


def test_a_root_that_is_a_file(bimotion, tmp_path):
    (tmp_path / "file").write_text("")
    code, output, errors = bimotion("data", "download", "urdu", "--to", str(tmp_path / "file"))
    assert (code, output) == (2, "")
    assert f"--to: expected a folder, or none yet, found a file at {tmp_path / 'file'}" in errors
