"""The site: it builds strictly, its pages ask no other server for anything, fit a phone, and are
made of what the repository holds."""

import functools
import http.server
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bimotion.corpora import CORPORA
from tests.support import browser
from tests.support.command_line import COMMANDS
from tests.support.shared import once

pytestmark = pytest.mark.docs
ROOT = Path(__file__).parents[1]
PHONE = (390, 844)
LOADED = {"src", "srcset", "poster", "data", "background"}
"""Attributes whose address a browser asks for, whatever the element."""
LINKED = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "manifest"}
"""Kinds of `link` that a browser asks for, or gets ready to."""
STYLE_ADDRESS = re.compile(r"(?:url\(|@import)\s*['\"]?((?:\w+:)?//[^'\")\s]+)")


@pytest.fixture(scope="module")
def site():
    """Folder of the site."""

    def build(folder):
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]

    return once("site", build)


class Addresses(HTMLParser):
    """The addresses of other servers that a page makes a browser load."""

    def __init__(self, text: str):
        super().__init__()
        self.addresses: list[str] = STYLE_ADDRESS.findall(text)
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Look at one element."""
        given = {name: value or "" for name, value in attrs}
        for name, value in given.items():
            is_link = (
                name == "href" and tag == "link" and LINKED & set(given.get("rel", "").split())
            )
            is_used = name in ("href", "xlink:href") and tag in ("use", "image")
            if (name in LOADED or is_link or is_used) and re.match(r"(\w+:)?//", value):
                self.addresses.append(value)


def test_the_scan_sees_what_a_browser_would_load():
    text = (
        '<link rel="icon" href="https://a/x"><img src="//b/y"><a href="https://fine/">z</a>'
        "<style>@import 'https://c/z'; p { background: url(http://d/w) }</style>"
        '<script src="own.js"></script>'
    )
    assert set(Addresses(text).addresses) == {"https://a/x", "//b/y", "https://c/z", "http://d/w"}


def test_pages_and_styles_name_no_other_server(site):
    elsewhere = {
        path.name: addresses
        for path in [*site.rglob("*.html"), *site.rglob("*.css"), *site.rglob("*.svg")]
        if (addresses := Addresses(path.read_text(encoding="utf-8")).addresses)
    }
    assert elsewhere == {}


def test_every_page_of_the_repository_is_on_the_site(site):
    names = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {f"corpora/{name}.html" for name in CORPORA} <= names
    assert {path.with_suffix(".html").name for path in ROOT.glob("docs/*.md")} - names == {
        "README.html"
    }
    assert len(list(site.glob("corpora/*.png"))) == 2 * len(CORPORA)


def test_every_command_and_public_name_has_its_section(site):
    commands = (site / "command-line.html").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f">bimotion {name}<" not in commands] == []
    assert "--early-stopping-patience" in commands
    api = (site / "api.html").read_text(encoding="utf-8")
    assert 'id="bimotion.evaluation.run.evaluate"' in api
    assert 'id="bimotion.errors.CorpusIncomplete"' in api


@pytest.fixture(scope="module")
def address(site):
    """Address of a server of the site on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            """Say nothing."""

    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@browser.needs_chromium
def test_a_browser_asks_no_other_server_and_no_page_is_wider_than_a_phone(site, address):
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    with browser.opened(address, within=address) as page:
        page.look(*PHONE)
        wide = []
        for name in names:
            page.open(address + name, "document.readyState === 'complete'")
            if page.run("document.scrollingElement.scrollWidth > innerWidth"):
                wide.append(name)
        assert wide == []
