"""`python -m bimotion.data.published CORPUS SOURCE [OUTPUT_FOLDER]`: make the table of a corpus."""

import sys
from pathlib import Path

from bimotion.corpora import corpus_named
from bimotion.data import published
from bimotion.errors import BimotionError


def main(corpus: str, source: str, folder: str = str(published.FOLDER)) -> None:
    """Make the table of a corpus from a complete copy, or from a list of its files."""
    published.save(corpus_named(corpus).name, Path(source), Path(folder))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python -m bimotion.data.published CORPUS SOURCE [OUTPUT_FOLDER]")
    try:
        main(*sys.argv[1:])
    except BimotionError as error:
        sys.exit(str(error))
