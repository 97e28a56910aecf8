"""Corpora served by a server on this machine, in their true layouts, as tiny files."""

from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from bimotion.data import published
from tests.support import tiny_corpora
from tests.support.command_line import run_main
from tests.support.corpus_hosts import Hosts

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def online(monkeypatch):
    """The client of this process may reach this machine, and asks no proxy of the user."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    close_session()
    yield
    close_session()


@pytest.fixture
def hosts():
    with Hosts() as running:
        yield running


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Makes the list of a corpus's published files: of others than the true ones, which nobody may
    put into tests."""
    folder = tmp_path / "lists"
    monkeypatch.setattr(published, "FOLDER", folder)
    published.load.cache_clear()

    def write(corpus: str, files: dict[str, bytes]) -> None:
        table = tmp_path / f"{corpus}.tsv"
        rows = [(path, str(len(text)), sha256(text).hexdigest()) for path, text in files.items()]
        lines = ["\t".join(row) for row in [published.COLUMNS, *rows]]
        table.write_text("".join(f"{line}\n" for line in lines))
        published.save(corpus, table, folder)
        published.load.cache_clear()

    yield write
    published.load.cache_clear()


@pytest.fixture
def bimotion(monkeypatch, tmp_path):
    """Runs the command line; its root is `tmp_path/cache/corpora`."""
    monkeypatch.setenv("BIMOTION_CACHE", str(tmp_path / "cache"))
    return lambda *words: run_main(monkeypatch, words)


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "cache" / "corpora"


@pytest.fixture
def urdu(hosts, publish):
    """The files of URDU, published and served at their pinned address."""
    files = tiny_corpora.tiny("urdu")
    publish("urdu", files)
    hosts.add(tiny_corpora.URDU, files)
    return files


@pytest.fixture
def download(bimotion, hosts):
    """Downloads with all licences accepted, the server in the place of every host."""
    mirrors = [
        word
        for text in hosts.mirrors(*set(tiny_corpora.HOSTS.values()))
        for word in ("--mirror", text)
    ]
    return lambda *words: bimotion("data", "download", *words, "--yes", *mirrors)
