"""Ask the Hugging Face Hub whether an account belongs to an organisation.

A server is never believed further than it has to be: the size of an answer, the number of pages and
the address of the next page are bounded.
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

from huggingface_hub import get_token, utils

from bimotion.data.huggingface.client import plain_errors
from bimotion.errors import HubError
from bimotion.io.addresses import shown
from bimotion.io.hub import hub_endpoint

MAX_PAGES = 200
"""Of the list of an organisation's members, which the Hub gives in pages."""
MAX_ANSWER_BYTES = 2**22
"""Of one answer: a page of members has less than a tenth."""
TIMEOUT_S = 60
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
"""Name of a user or an organisation: no other character gets into an address."""


def is_member(user: str, organisation: str) -> bool:
    """Ask the Hub whether an account belongs to an organisation: its own name counts, else what its
    page says, else the organisation's list of members. Who hides there is seen only with the token
    of a member.

    Raises:
        HubError: No such user or organisation, or the Hub could not be asked.

    Example::

        is_member("alice", "lab")
    """
    for name in (user, organisation):
        if not _ACCOUNT.fullmatch(name) or ".." in name:
            raise HubError(f"expected the name of an account of the Hub, found {name!a:.80}")
    with plain_errors(organisation, "it was not asked to the end"):
        page = next(_pages(f"users/{user}/overview", f"user {user}"))
        if _name(page, "user") != user.casefold():
            raise HubError(f"the Hub answered about {page.get('user')!a:.80}, not about {user}")
        own = {user.casefold(), *_names(page.get("orgs") or [], "name")}
        if organisation.casefold() in own:
            return True
        pages = _pages(f"organizations/{organisation}/members", f"organisation {organisation}")
        return any(user.casefold() in _names(members, "user") for members in pages)


def _pages(path: str, what: str) -> Iterator[Any]:
    """The answers of the Hub under /api, page by page; the token goes to no other address."""
    endpoint = hub_endpoint()
    address, n_pages = f"{endpoint}/api/{path}", 0
    while address:
        if (n_pages := n_pages + 1) > MAX_PAGES:
            raise HubError(f"expected at most {MAX_PAGES} pages of {what}, found more")
        if not address.startswith(f"{endpoint}/api/"):
            where = f"at {shown(endpoint)}, found the next one elsewhere"
            raise HubError(f"expected pages of {what} {where}")
        page, address = _page(address, what)
        yield page


def _page(address: str, what: str) -> tuple[Any, str | None]:
    """The content of one answer, and the address of the next."""
    headers = utils.build_hf_headers() | {"Accept-Encoding": "identity"}
    asked = utils.get_session().stream("GET", address, headers=headers, timeout=TIMEOUT_S)
    with asked as answer:
        if reason := _why_refused(answer.status_code, what):
            raise HubError(reason)
        content = bytearray()
        for part in answer.iter_bytes():
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                raise HubError(
                    f"expected at most {MAX_ANSWER_BYTES} bytes in an answer about {what}, found "
                    "more"
                )
        utils.hf_raise_for_status(answer)
        next_address = answer.links.get("next", {}).get("url")
    try:
        return json.loads(bytes(content)), next_address
    except RecursionError:
        raise HubError(f"expected JSON in an answer about {what}, found it too deep") from None


def _why_refused(status: int, what: str) -> str | None:
    """Say what a refusal of a question about an account means; None: it is no such refusal."""
    match status:
        case 401:
            held = "a token that it does not know" if get_token() else "no token"
            how = "unset HF_TOKEN, or run" if os.environ.get("HF_TOKEN") else "run"
            return (
                f"expected to be logged in to ask the Hub about {what}, found {held}: {how} "
                "`hf auth login`"
            )
        case 403:
            return (
                f"the Hub hides what it knows of {what} from this account: run `hf auth login` as "
                "one that may see it, or say --organisation-proved if you know who sent it"
            )
        case 404:
            return f"no {what} on the Hub"
    return None


def _names(entries: Any, field: str) -> list[str]:
    if not isinstance(entries, list):
        raise HubError(f"expected a list in an answer of the Hub, found {entries!a:.80}")
    return [_name(entry, field) for entry in entries]


def _name(entry: Any, field: str) -> str:
    """A name in an answer of the Hub, as it is compared."""
    name = entry.get(field) if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise HubError(f"expected {field!r} in an answer of the Hub, found {entry!a:.80}")
    return name.casefold()
