"""The board as one page that needs nothing else: no server, no network, no other file.

page/ holds the parts: template.html, style.css, page.js, icon.svg. The board goes in compressed and in base64, so that no text
of a submission can end its element; the page's own policy runs one script, by its hash, and forbids every request.
"""

import base64
import gzip
import hashlib
from importlib import resources
from pathlib import Path

from bimotion import files
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
    parts = resources.files("bimotion") / "page"
    script, style, icon = ((parts / name).read_text(encoding="utf-8") for name in ("page.js", "style.css", "icon.svg"))
    allowed = f"script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:"
    filled = {
        "{policy}": f"default-src 'none'; base-uri 'none'; form-action 'none'; {allowed}",
        "{icon}": f"data:image/svg+xml;base64,{base64.b64encode(icon.encode()).decode()}",
        "{version}": str(board.board_version),
        "{style}": style,
        "{script}": script,
        "{board}": base64.b64encode(gzip.compress(board.to_json().encode(), mtime=0)).decode(),
    }
    text = (parts / "template.html").read_text(encoding="utf-8")
    for place, content in filled.items():
        head, tail = text.split(place)
        text = head + content + tail
    return text


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
