"""The board as one page that needs nothing else: no server, no network, no other file.

The board goes in compressed and in base64, so that no text of a submission can end its element (pages.py; parts in page/).
"""

import base64
import gzip
from pathlib import Path

from bimotion import files, pages
from bimotion.board import Board

PAGE_FILE = "index.html"


def build(board: Board, output: Path) -> Path:
    """Write leaderboard.json, its schema and index.html into a folder; returns the path of the page.

    Example::

        site.build(board.build(Path("leaderboard/submissions")), Path("site"))
    """
    board.save(Path(output))
    target = Path(output) / PAGE_FILE
    with files.written(target) as temporary:
        temporary.write_text(page(board), encoding="utf-8")
    return target


def page(board: Board) -> str:
    """The page as HTML; the same bytes for the same board."""
    packed = base64.b64encode(gzip.compress(board.to_json().encode(), mtime=0)).decode()
    contents = {"version": str(board.board_version), "board": packed}
    return pages.filled("template.html", contents, style=pages.part("style.css"), script=pages.part("page.js"))
