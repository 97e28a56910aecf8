"""The Hugging Face Hub as this machine sees it: its address, and whether it can be reached."""

import os
import sys
from importlib import import_module
from importlib.abc import MetaPathFinder

from bimotion.errors import SettingError, printable
from bimotion.io.addresses import host_of, is_address, shown

DEFAULT = "https://huggingface.co"
CONNECT_S = 10.0


def hub_endpoint() -> str:
    """The address of the Hub, or of what HF_ENDPOINT names in its place, without a slash at its
    end; an empty one names nothing. Raises SettingError where that is no address.

    Example::

        f"{hub_endpoint()}/api/datasets/org/name"
    """
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT).rstrip("/")
    if not is_address(endpoint):
        raise SettingError(
            f"HF_ENDPOINT: expected the http(s) address of a Hub, such as {DEFAULT}, found "
            f"{shown(endpoint)!r:.80}: mend it, or unset it"
        )
    return endpoint


class _EndpointCheck(MetaPathFinder):
    """Finds no module, but looks at HF_ENDPOINT before the Hub's client is imported."""

    def find_spec(self, name, path=None, target=None) -> None:
        """Raise SettingError where the client would stop with a traceback."""
        if name == "huggingface_hub":
            hub_endpoint()


def check_endpoint_at_import() -> None:
    """Have HF_ENDPOINT checked when the Hub's client is first imported, by whatever library: the
    client stops at one that is no address. What never imports it is not kept from its work. An
    empty HF_ENDPOINT is removed: the client takes it for an address."""
    if not os.environ.get("HF_ENDPOINT"):
        os.environ.pop("HF_ENDPOINT", None)
    if not any(isinstance(finder, _EndpointCheck) for finder in sys.meta_path):
        sys.meta_path.insert(0, _EndpointCheck())


def not_connected(error: BaseException) -> str | None:
    """Say why there was no connection to a host at all: no network, no such name, nobody who
    answers, or a proxy or certificate in between; None: there was one, or the error is of another
    kind."""
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
        return reason and f"{host_of(endpoint)}: {reason}"
    return None
