"""Pages of the repository as pages of the site: which they are, and what is other in them."""

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "measured.md",
    "examples/README.md": "examples.md",
    "examples/09_add_a_corpus.md": "add-a-corpus.md",
    "leaderboard/README.md": "leaderboard-rules.md",
    "loaders/bimotion.md": "dataset-bimotion.md",
    "loaders/yuemotion.md": "dataset-yuemotion.md",
}
"""Page of another folder than docs/ -> its name on the site."""
FENCED = re.compile(r"^( *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()([^()\s#]+)")


def text_of(path: str) -> str:
    """Text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def path_of(uri: str) -> str:
    """File of the repository that a page of the site is made of."""
    sources = {name: path for path, name in ELSEWHERE.items()}
    return sources.get(uri, f"docs/{uri}")


def uri_of(path: str) -> str:
    """Name on the site of a file of the repository.

    >>> uri_of("docs/pictures/cells.svg"), uri_of("CITATION.cff"), uri_of("loaders/bimotion.md")
    ('pictures/cells.svg', 'files/CITATION.cff', 'dataset-bimotion.md')
    """
    if path == "docs/README.md":
        return "index.md"
    return ELSEWHERE.get(path) or (
        path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"
    )


def target_of(page: str, link: str) -> str | None:
    """File of the repository that a link of a page leads to; None: it leads out of it."""
    if re.match(r"\w+:", link):
        return None
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
    return path if (ROOT / path).is_file() else None


def pages() -> list[str]:
    """Pages of the repository that the site has."""
    written = sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name != "README.md")
    return [*ELSEWHERE, *(f"docs/{name}" for name in written)]


def linked_files() -> list[str]:
    """Files of other folders than docs/ that pages of the site link to, and are no pages."""
    linked = {
        target_of(page, link)
        for page in pages()
        for link in LINK.findall(FENCED.sub("", text_of(page)))
    }
    return sorted(path for path in linked if path and uri_of(path).startswith("files/"))


def as_on_site(markdown: str, uri: str) -> str:
    """Markdown that GitHub reads, as Python-Markdown reads it: links from the page's place on the
    site, and lists whose items go on four columns in."""
    pieces = FENCED.split(markdown)
    for number in range(0, len(pieces), 2):  # the others are fenced
        linked = LINK.sub(lambda match: _link(uri, match[1]), pieces[number])
        pieces[number] = re.sub(r"^ {2,3}(?=\S)", "    ", linked, flags=re.MULTILINE)
    return "".join(pieces)


def _link(uri: str, link: str) -> str:
    """A link of a page of the repository, from its page of the site."""
    path = target_of(path_of(uri), link)
    return link if path is None else posixpath.relpath(uri_of(path), posixpath.dirname(uri) or ".")
