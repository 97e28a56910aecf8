"""The Hugging Face Hub as this machine sees it: its address, and whether it can be reached."""

import os
from importlib import import_module
from urllib.parse import urlsplit

from bimotion.errors import SettingError, printable

DEFAULT = "https://huggingface.co"
CONNECT_S = 10.0


def hub_endpoint() -> str:
    """The address of the Hub, or of what HF_ENDPOINT names in its place, without a slash at its
    end. Raises SettingError where that is no address.

    Example::

        f"{hub_endpoint()}/api/datasets/org/name"
    """
    endpoint = os.environ.get("HF_ENDPOINT", DEFAULT).rstrip("/")
    if not is_address(endpoint):
        raise SettingError(
            f"HF_ENDPOINT: expected the http(s) address of a Hub, such as {DEFAULT}, found "
            f"{endpoint!r:.80}: mend it, or unset it"
        )
    return endpoint


def is_address(text: str) -> bool:
    """Tell an http(s) address with a host, and a port that can be, from what only looks like one.

    >>> [is_address(text) for text in ("https://lab:8080/hub", "http://lab:port", "lab", "http://")]
    [True, False, False, False]
    """
    try:
        parts = urlsplit(text)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_plain = text.isprintable() and not any(letter in text for letter in " ?#")
    return is_whole and is_plain and parts.scheme in ("http", "https")


def not_connected(error: BaseException) -> str | None:
    """Why there was no connection to a host at all: no network, no such name, nobody who answers,
    or a proxy or certificate in between; None: there was one, or the error is of another kind.
    """
    from huggingface_hub import errors

    http = import_module(errors.HTTPError.__module__.partition(".")[0])  # which it does not export
    kinds = (http.ConnectError, http.ConnectTimeout, http.ProxyError)
    while error is not None:
        if isinstance(error, kinds):
            return printable(" ".join(str(error).split())[:200]) or type(error).__name__
        error = error.__cause__ or error.__context__
    return None


def hub_not_connected() -> str | None:
    """Ask the Hub once whether it is there: its client tries for half a minute before it gives up.

    Returns:
        Why there is no connection to it, in a few words; None: there is one.

    Raises:
        SettingError: HF_ENDPOINT is no address.
    """
    from huggingface_hub.utils import get_session

    endpoint = hub_endpoint()
    try:
        get_session().head(endpoint, timeout=CONNECT_S, follow_redirects=False)
    except Exception as error:  # whatever else is wrong shows in the work itself
        reason = not_connected(error)
        return reason and f"{urlsplit(endpoint).netloc.rpartition('@')[2]}: {reason}"
    return None
