"""Pages that need nothing else: no server, no network, no other file. What all of them share lies
in page/.

A page's own policy forbids every request, and lets only the style and script run whose hashes it
names.
"""

import base64
import gzip
import hashlib
from importlib import resources


def part(name: str, room: str = "bimotion.io") -> str:
    """The text of a file of a package, such as a template.

    >>> part("page/icon.svg").startswith("<svg")
    True
    """
    return resources.files(room).joinpath(name).read_text(encoding="utf-8")


def filled(
    template: str, contents: dict[str, str], *, style: str, script: str | None = None
) -> str:
    """The text of a template, its `{names}` filled and `{policy}`, `{icon}`, `{style}` and
    `{script}` besides; each stands in it once, and nothing that is filled in is searched for names
    again."""
    scripts = f"script-src '{_hash(script)}'; " if script is not None else ""
    allowed = f"{scripts}style-src '{_hash(style)}'; img-src data:"
    contents = contents | {
        "policy": f"default-src 'none'; base-uri 'none'; form-action 'none'; {allowed}",
        "icon": data_address(part("page/icon.svg").encode(), "image/svg+xml"),
        "style": style,
    }
    if script is not None:
        contents["script"] = script
    places = sorted(contents, key=lambda name: template.index(f"{{{name}}}"))
    pieces, rest = [], template
    for name in places:
        head, rest = rest.split(f"{{{name}}}")
        pieces += [head, contents[name]]
    return "".join([*pieces, rest])


def packed(text: str) -> str:
    """A text compressed and in base64: nothing in it can end the element that holds it. A script
    unpacks it."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def data_address(content: bytes, kind: str) -> str:
    """A file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
