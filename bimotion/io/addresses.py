"""Addresses of the web: told from what only looks like one, and printed without passwords."""

import re
from urllib.parse import SplitResult, urlsplit


def is_address(text: str) -> bool:
    """Tell an http(s) address with a host, and a port that can be, from what only looks like one.

    >>> [is_address(text) for text in ("https://lab:8080/hub", "http://lab:port", "lab", "http://")]
    [True, False, False, False]
    """
    parts = _parts(text)
    is_plain = text.isprintable() and not any(letter in text for letter in " ?#")
    return is_plain and parts is not None and parts.scheme in ("http", "https")


def shown(address: str) -> str:
    """An address as it may be printed and recorded, without user and password; of what is no
    address, without all that may be one.

    >>> shown("http://user:secret@lab:8080/corpora"), shown("http://user:sec/ret@lab")
    ('http://lab:8080/corpora', 'http://lab')
    """
    if parts := _parts(address):
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return re.sub(r"^(\w+://)?.*@", r"\1", address, flags=re.DOTALL)


def without_passwords(text: str) -> str:
    """The words of a library, in which addresses may stand, as they may be printed.

    >>> without_passwords("status 500 for url 'http://user:secret@lab/api'")
    "status 500 for url 'http://lab/api'"
    """
    return re.sub(r"https?://[^\s'\"]+", lambda match: shown(match[0]), text)


def host_of(address: str) -> str:
    """The host of an address, with its port if it names one; of what is no address, nothing.

    >>> host_of("http://user:secret@Lab:8080/corpora")
    'lab:8080'
    """
    parts = _parts(address)
    return parts.netloc.rpartition("@")[2].lower() if parts else ""


def _parts(text: str) -> SplitResult | None:
    """The parts of an address; None where it has no host, or a port that cannot be."""
    try:
        parts = urlsplit(text)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None
