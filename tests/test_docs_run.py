"""Every block of shell or Python on the pages of documentation is run, in the order of the pages,
or says why not."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bimotion.corpora import CORPORA
from tests.support import pages
from tests.support.command_line import COMMANDS
from tests.support.pages import ROOT, Block, Reader

pytestmark = pytest.mark.docs
PAGES = re.findall(r"\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text("utf-8"))
"""Of docs/, in the order in which a reader is told to read them."""
FOLLOWED_BY = {
    "load.md": ("loaders/bimotion.md", "loaders/yuemotion.md"),
    "leaderboard.md": ("leaderboard/README.md",),
    "extend.md": ("CONTRIBUTING.md",),
    "benchmarks.md": ("benchmarks/README.md",),
}
MAX_MARKED = 27
"""Blocks that are not run, or only planned."""
NEVER_TYPED = {
    "data download": "asks the corpora's own hosts",
    "labels export": "refuses synthetic clips",
    "leaderboard check-pr": "needs a pull request",
    "leaderboard hub-results": "refuses boards for practice",
    "leaderboard serve": "runs until Ctrl-C",
}


def texts() -> Iterator[tuple[str, str]]:
    """Name and Markdown of every page, in order."""
    sys.path.insert(0, str(ROOT / "docs" / "site"))
    try:
        corpus_pages = importlib.import_module("corpus_pages")
    finally:
        sys.path.pop(0)
    names = ["README.md"]
    for page in PAGES:
        names += [f"docs/{page}", *FOLLOWED_BY.get(page, ())]
    yield from ((name, (ROOT / name).read_text("utf-8")) for name in names)
    yield from ((f"corpora/{name}.md", corpus_pages.page_of(name)) for name in CORPORA)


BLOCKS = [block for name, text in texts() for block in pages.blocks(name, text)]
TYPED = list(dict.fromkeys(block.page for block in BLOCKS if block.mark != "not run"))
MARKED = [block for block in BLOCKS if block.mark]


class Typed:
    """All that was typed, and what failed."""

    def __init__(self, folder: Path):
        pages.lay_models(folder / "hub")
        pages.lay_corpora(folder / "corpora")
        self.failures: dict[str, list[str]] = {page: [] for page in TYPED}
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("BIMOTION_CORPORA", str(folder / "corpora"))
            patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
            reader = Reader(folder / "corpora", patch)
            for block in BLOCKS:
                if block.mark != "not run":
                    self._type(reader, block)
        self.commands = reader.typed

    def _type(self, reader: Reader, block: Block) -> None:
        try:
            reader.follow(block)
        except AssertionError as error:
            self.failures[block.page].append(str(error))


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """Everything on all pages, typed page by page."""
    return Typed(tmp_path_factory.mktemp("reader"))


@pytest.mark.parametrize("page", TYPED)
def test_what_a_page_tells_to_type_works(page, typed):
    assert typed.failures[page] == []


def test_every_command_is_typed_somewhere(typed):
    missing = {
        name for name in COMMANDS if not any(line.startswith(name) for line in typed.commands)
    }
    assert missing == set(NEVER_TYPED)


def test_few_blocks_are_not_run_and_each_says_why():
    assert [block.code for block in MARKED if len(block.reason.split()) < 3] == []
    assert len(MARKED) <= MAX_MARKED, [f"{block.page}: {block.reason}" for block in MARKED]
