"""The board as one page that opens from the disk (document.py); page/ holds its parts: template.html, style.css, page.js."""

from pathlib import Path

from bimotion import files
from bimotion.board import Board
from bimotion.document import document

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
    texts = {"version": str(board.board_version)}
    return document("template.html", "page.js", ["style.css"], data=board.to_json(), texts=texts)
