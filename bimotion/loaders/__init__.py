"""The Hugging Face view: one builder and one dataset card each for BiMotion and YueMotion.

In a checkout they are the files of the top-level folder `loaders/`; an installed copy has them beside this file (setup.py).
"""

from pathlib import Path

FOLDER = next(
    folder for folder in (Path(__file__).parent, Path(__file__).parents[2] / "loaders") if (folder / "bimotion.md").is_file()
)
__path__ = [str(FOLDER)]  # where Python looks for bimotion.loaders.bimotion and bimotion.loaders.yuemotion


def card(dataset: str) -> str:
    """Text of the card of a dataset, `bimotion` or `yuemotion`."""
    return (FOLDER / f"{dataset}.md").read_text(encoding="utf-8")
