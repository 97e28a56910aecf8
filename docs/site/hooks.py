"""What mkdocs asks while it builds the site: pages of other folders, generated pages, and Markdown
as GitHub reads it."""

import logging

import command_pages
import corpus_pages
import corpus_pictures
import names
import repository
from mkdocs.structure.files import File

from bimotion.corpora import EXTENSION_CORPORA, PAPER_CORPORA

CORPORA = (*PAPER_CORPORA, *EXTENSION_CORPORA)
GENERATED = {
    "api.md": names.documented,
    "command-line.md": command_pages.reference,
    "corpora.md": corpus_pages.linked,
}
"""Page -> function of its Markdown that returns the page with what is generated."""


ICON_BARS = (2, 12, 18, 10, 4)
"""Heights of the bars of the site's icon."""


def on_config(config):
    """Give every corpus its page in the contents."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    [pages] = [entry["Corpora"] for entry in config.nav if "Corpora" in entry]
    pages += [{corpus_pages.title(name): f"corpora/{name}.md"} for name in CORPORA]
    return config


def on_files(files, config):
    """Add what docs/ does not hold."""
    for path, uri in repository.ELSEWHERE.items():
        files.append(File.generated(config, uri, content=repository.text_of(path)))
    for path in repository.linked_files():
        source = str(repository.ROOT / path)
        files.append(File.generated(config, repository.uri_of(path), abs_src_path=source))
    files.append(File.generated(config, "pictures/icon.svg", content=icon()))
    for name in CORPORA:
        page = corpus_pages.page_of(name)
        files.append(File.generated(config, f"corpora/{name}.md", content=page))
        for scheme, picture in corpus_pictures.drawn(name).items():
            uri = f"corpora/{name}-{scheme}.png"
            files.append(File.generated(config, uri, content=picture))
    return files


def icon() -> str:
    """The icon of the site as SVG: a sound, in bars."""
    bars = "".join(
        f'<rect x="{5 + 5 * number}" y="{16 - height / 2:g}" width="3" height="{height}" rx="1.5"/>'
        for number, height in enumerate(ICON_BARS)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="7" fill="#3f51b5"/><g fill="#fff">{bars}</g></svg>\n'
    )


def on_page_markdown(markdown, page, config, files):
    """Add what is generated; make links and lists those of the site."""
    uri = page.file.src_uri
    if uri in GENERATED:
        markdown = GENERATED[uri](markdown)
    return repository.as_on_site(markdown, uri)
