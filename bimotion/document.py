"""One HTML document that needs nothing else: no server, no network, no other file.

Its parts lie in page/. Data go in compressed and in base64, so that no text in them can end their element; the document's own
policy runs one script, by its hash, and forbids every request.
"""

import base64
import gzip
import hashlib
import html
from collections.abc import Sequence
from importlib import resources


def document(template: str, script: str, styles: Sequence[str], *, data: str, texts: dict[str, str]) -> str:
    """A template of page/ with its script, its style sheets, JSON `data` and plain `texts` in place of `{name}`; the same bytes
    for the same input. Texts are escaped here; what the script makes of the data is its own affair."""
    parts = resources.files("bimotion") / "page"
    code, icon, style = (
        "".join((parts / name).read_text(encoding="utf-8") for name in names) for names in ([script], ["icon.svg"], styles)
    )
    allowed = f"script-src '{_hash(code)}'; style-src '{_hash(style)}'; img-src data:"
    filled = {
        "{policy}": f"default-src 'none'; base-uri 'none'; form-action 'none'; {allowed}",
        "{icon}": f"data:image/svg+xml;base64,{base64.b64encode(icon.encode()).decode()}",
        "{style}": style,
        "{script}": code,
        "{data}": base64.b64encode(gzip.compress(data.encode(), mtime=0)).decode(),
    }
    pieces = [(parts / template).read_text(encoding="utf-8")]
    for place, content in (filled | {f"{{{name}}}": html.escape(text) for name, text in texts.items()}).items():
        (found,) = [number for number, piece in enumerate(pieces) if number % 2 == 0 and place in piece]
        head, tail = pieces[found].split(place)  # what was filled in is never searched: it may hold anything
        pieces[found : found + 1] = [head, content, tail]
    return "".join(pieces)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
