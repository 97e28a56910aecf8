"""README, docs/ and the other pages: links, commands, names and paths in them exist."""

import ast
import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

import bimotion
from bimotion import cli

ROOT = Path(__file__).parents[1]
PATTERNS = "README.md CONTRIBUTING.md docs/**/*.md */README.md loaders/*.md examples/0*.md"
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in PATTERNS.split()
    for path in ROOT.glob(pattern)
    if not path.is_relative_to(ROOT / ".venv")
)
MAX_README_LINES = 100
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")
INLINE = re.compile(r"`([^`\n]+)`")
OUR_PATH = re.compile(
    r"(?:bimotion|tests|docs|examples|benchmarks|loaders|leaderboard)/[\w./-]*\.\w+"
)
each_page = pytest.mark.parametrize("page", PAGES)


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose_of(page: str) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", text_of(page))


def blocks_of(page: str, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(text_of(page)) if language in languages]


def anchors_of(page: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_pages_are_there():
    assert {"README.md", "CONTRIBUTING.md", "docs/README.md", "docs/adaptation.md"} <= set(PAGES)
    index = text_of("docs/README.md")
    pages = [page for page in PAGES if page.startswith("docs/") and page != "docs/README.md"]
    assert [page for page in pages if f"({page.removeprefix('docs/')})" not in index] == []
    assert [page for page in pages if f"({page})" not in text_of("README.md")] == []


def test_the_readme_is_one_screen():
    assert len(text_of("README.md").splitlines()) <= MAX_README_LINES


@each_page
def test_links_lead_somewhere(page):
    broken = []
    for target in LINK.findall(prose_of(page)):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        inside = linked.is_relative_to(ROOT) and linked.exists()
        if not inside or (anchor and anchor not in anchors_of(linked.relative_to(ROOT).as_posix())):
            broken.append(target)
    assert broken == []


@each_page
def test_pictures_have_words_for_those_who_do_not_see_them(page):
    assert re.findall(r"!\[\s*\]", text_of(page)) == []


@each_page
def test_paths_of_ours_exist(page):
    named = {path for code in INLINE.findall(prose_of(page)) for path in OUR_PATH.findall(code)}
    assert {path for path in named if not (ROOT / path).exists()} - MADE_BY_COMMANDS == set()


MADE_BY_COMMANDS = {"bimotion/corpora/NAME.py", "bimotion/adaptation/NAME.py"} | {
    "bimotion/evaluation/tracks/NAME.py",
    "bimotion/corpora/mylab.py",
}
"""Paths of files that a reader is told to add."""


def command_lines(page: str) -> list[str]:
    """Whatever a reader is told to type after `bimotion`."""
    lines = [line for block in blocks_of(page, "", "sh", "bash") for line in block.splitlines()]
    lines += INLINE.findall(prose_of(page))
    matches = [re.search(r"(?:^|-m )bimotion (\S.*)$", line.strip()) for line in lines]
    return [match[1] for match in matches if match]


def described(page: str) -> list[list[str]]:
    """Command lines as words; `<run key>` is one, `[...]` marks what may be left out."""
    plain = [re.sub(r"<[^<>]*>", "NAME", line) for line in command_lines(page)]
    return [shlex.split(re.sub(r"[\[\]]", "", line), comments=True) for line in plain]


def command_of(words: list[str]):
    """The command that some words name, and the words behind its name."""
    command, rest = typer.main.get_command(cli.app), list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"no command {rest[0]!r}: {words}"
        command = command.commands[rest.pop(0)]
    return command, rest


PROSE_ERRORS = ("MissingParameter", "BadOptionUsage")
"""Prose may name a command without what it needs, or an option without its value."""


@each_page
def test_commands_and_their_options_exist(page):
    """The command line itself parses them: names, choices and numbers; nothing is run."""
    for words in described(page):
        command, rest = command_of(words)
        if hasattr(command, "commands"):  # options of a group may act while they are parsed
            names = {name for option in command.params for name in option.opts}
            assert set(rest) <= {"--help", *names}, words
            continue
        try:
            command.make_context("bimotion", [word for word in rest if word != "--help"])
        except Exception as error:
            if type(error).__name__ not in PROSE_ERRORS:
                raise AssertionError(f"bimotion {' '.join(words)}: {error}") from error


def test_every_command_has_its_line():
    """The page of the command line names them all."""
    listed = {" ".join(words) for words in described("docs/command-line.md")}
    todo, missing = [((), typer.main.get_command(cli.app))], []
    while todo:
        words, command = todo.pop()
        if hasattr(command, "commands"):
            todo += [((*words, name), child) for name, child in command.commands.items()]
        elif " ".join(words) not in listed:
            missing.append(" ".join(words))
    assert missing == []


@each_page
def test_names_in_python_blocks_exist(page):
    for block in blocks_of(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    if not hasattr(module, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")
            elif isinstance(node, ast.Attribute) and is_package(node.value):
                assert node.attr in bimotion.__all__, f"bimotion.{node.attr}"
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                check_keywords(node)


def is_package(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "bimotion"


def check_keywords(call: ast.Call) -> None:
    """Keywords of a call of one of our public names are parameters of it."""
    if is_package(call.func.value):
        parameters = inspect.signature(getattr(bimotion, call.func.attr)).parameters
        given = {keyword.arg for keyword in call.keywords}
        assert given <= set(parameters), ast.unparse(call)


def test_every_public_name_is_on_the_page_of_the_api():
    page = text_of("docs/api.md")
    assert [name for name in bimotion.__all__ if f"`bimotion.{name}`" not in page] == []


def test_tables_that_the_code_knows_are_what_it_prints(monkeypatch):
    """On the page of the corpora, and on that of the command line."""
    monkeypatch.syspath_prepend(ROOT / "docs" / "site")
    corpora = importlib.import_module("corpus_pages").table_of_corpora()
    commands = importlib.import_module("command_pages").table_of_commands()
    assert corpora in text_of("docs/corpora.md")
    assert commands in text_of("docs/command-line.md")


def test_the_picture_of_the_cells_is_what_its_script_draws(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "pictures")
    cells = importlib.import_module("cells")
    assert cells.PICTURE.read_text(encoding="utf-8") == cells.drawing()
    assert all(picture.stat().st_size < 150_000 for picture in ROOT.glob("docs/pictures/*.???"))


def test_the_citation_is_a_citation_file():
    """The keys that the Citation File Format 1.2.0 requires, and what GitHub reads."""
    cited = yaml.safe_load(text_of("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert cited["cff-version"] == "1.2.0"
    assert str(cited["version"]) == bimotion.__version__
    assert {"title", "authors", "type"} <= set.intersection(*map(set, cited["references"]))
    named = [person for entry in (cited, *cited["references"]) for person in entry["authors"]]
    assert all("name" in person or "family-names" in person for person in named)
    urls = {paper["url"].rpartition("/")[2] for paper in cited["references"]}
    assert urls == {"2306.14517", "2108.08663"}
