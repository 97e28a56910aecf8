"""The accounts of the stand-in Hub: users, organisations and their members, in the shapes that the
Hub's own answers have, lists in pages with a Link header."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.hub_requests import Handler

MEMBERS_A_PAGE = 2


@dataclass
class Accounts:
    """The accounts there are. `shown`: organisations that a user's own page names; `members`: all
    that the list of an organisation names; `instead`: path -> another answer and headers."""

    shown: dict[str, list[str]] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    instead: dict[str, tuple[object, dict[str, str]]] = field(default_factory=dict)

    def answer(self, handler: Handler) -> None:
        """Answer a request below /api/users or /api/organizations."""
        if handler.endpoint in self.instead:
            content, headers = self.instead[handler.endpoint]
            return handler.answer(content, headers=headers)
        _, _, kind, name, *rest = handler.endpoint.split("/")
        table = self.shown if kind == "users" else self.members
        known = next((each for each in table if each.casefold() == name.casefold()), None)
        if known is None:
            what = "user" if kind == "users" else "organization"
            return handler.refuse(404, f"This {what} does not exist")
        if (kind, rest) == ("users", ["overview"]):
            return handler.answer(_user(known) | {"orgs": list(map(_organisation, table[known]))})
        if (kind, rest) == ("organizations", ["members"]):
            return self._page(handler, table[known])
        return handler.refuse(404, "no such endpoint")

    def _page(self, handler: Handler, names: list[str]) -> None:
        start = int(handler.query.get("cursor", ["0"])[0])
        end, headers = start + MEMBERS_A_PAGE, {}
        if end < len(names):
            address = f"{handler.hub.url}{handler.endpoint}?cursor={end}"
            headers["link"] = f'<{address}>; rel="next"'
        handler.answer(list(map(_user, names[start:end])), headers=headers)


def _user(name: str) -> dict:
    return {
        "_id": "0" * 24,
        "avatarUrl": f"/avatars/{name}.svg",
        "isPro": False,
        "fullname": name.title(),
        "user": name,
        "type": "user",
    }


def _organisation(name: str) -> dict:
    facts = {"id": "0" * 24, "name": name, "fullname": name.title(), "type": "org"}
    return facts | {"avatarUrl": f"/avatars/{name}.svg", "isHf": False}
