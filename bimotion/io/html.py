"""Pages that need nothing else: no server, no network, no other file.

Templates are Jinja2's; each fills the blocks of page/frame.html, and every value is escaped. A
page's own policy forbids every request, and lets only the style and script run whose hashes it
names.
"""

import base64
import gzip
import hashlib
from importlib import resources


def part(name: str, package: str = "bimotion.io") -> str:
    """The text of a file of a package, such as a script.

    >>> part("page/icon.svg").startswith("<svg")
    True
    """
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def render(
    package: str, template: str, *, style: str = "", script: str | None = None, **values: object
) -> str:
    """Fill a template, the same text for the same values.

    Args:
        package: The package that holds the template.
        template: Name of the file, which extends `frame.html`.
        style: CSS of this page, after page/style.css.
        script: JavaScript of this page; None: nothing may run in it.
        **values: What the template names. Text is escaped.

    Raises:
        jinja2.UndefinedError: The template names a value that is not given.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, ""), PackageLoader("bimotion.io", "page")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = f"{part('page/style.css')}\n{style}" if style else part("page/style.css")
    scripts = f"script-src '{_hash(script)}'; " if script is not None else ""
    allowed = f"{scripts}style-src '{_hash(style)}'; img-src data:"
    return environment.get_template(template).render(
        values,
        policy=f"default-src 'none'; base-uri 'none'; form-action 'none'; {allowed}",
        icon=data_address(part("page/icon.svg").encode(), "image/svg+xml"),
        style=style,
        script=script,
    )


def packed(text: str) -> str:
    """A text compressed and in base64: nothing in it can end the element that holds it. A script
    unpacks it."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def data_address(content: bytes, kind: str) -> str:
    """A file as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
