"""The places of the two builders and their dataset cards, and the text of a card."""

import re
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]
FOLDER = next(
    folder
    for folder in (_PACKAGE / "loaders", _PACKAGE.parent / "loaders")
    if (folder / "bimotion.md").is_file()
)
"""The top-level folder `loaders/` of a checkout; an installed copy has its files in
`bimotion/loaders/` (setup.py)."""


def card(dataset: str) -> str:
    """The text of the card of a dataset, `bimotion` or `yuemotion`."""
    return (FOLDER / f"{dataset}.md").read_text(encoding="utf-8")


def section(dataset: str, title: str) -> str:
    """The paragraph of a dataset's card that stands under a bold title."""
    pattern = rf"^\*\*{title}\*\*\n\n(.*?)(?:\n\n|\Z)"
    return re.search(pattern, card(dataset), re.DOTALL | re.MULTILINE)[1].strip()


def filled(template: str, **values: object) -> str:
    """Fill a template of Markdown that lies beside this module."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__, ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)
