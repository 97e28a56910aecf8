"""Where the two builders and their dataset cards lie, and the text of a card."""

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
    """Text of the card of a dataset, `bimotion` or `yuemotion`."""
    return (FOLDER / f"{dataset}.md").read_text(encoding="utf-8")
