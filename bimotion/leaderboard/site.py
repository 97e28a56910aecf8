"""The board as one page that opens from the disk; page/ holds its template and its script."""

from pathlib import Path

from bimotion.io import files, html
from bimotion.leaderboard.board import Board

PAGE_FILE = "index.html"


def build(board: Board, output: Path) -> Path:
    """Write board.json, its schema and index.html into a folder; returns the path of the page.

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
    return html.render(
        "bimotion.leaderboard",
        "page/template.html",
        script=html.part("page/page.js", "bimotion.leaderboard"),
        version=board.board_version,
        data=html.packed(board.to_json()),
    )
