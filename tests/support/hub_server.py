"""A stand-in for the Hub on this machine: the endpoints that `huggingface_hub` calls to publish
data sets, to read models and to ask about accounts, kept in memory.

Written after the client's requests and the Hub's documented answers, not after our code. It notes
every request, checks what the Hub checks (token, permission, SHA-256 of what arrives, objects named
by a commit) and can be told to fail.
"""

import re
import threading
from dataclasses import dataclass
from http.server import ThreadingHTTPServer

from tests.support.hub_accounts import Accounts
from tests.support.hub_repository import Repository
from tests.support.hub_requests import Handler


@dataclass
class Failure:
    """The failure that matching requests get: a status, or (None) half of them read, then the line
    cut."""

    method: str
    path: str
    status: int | None = None
    message: str = "no"
    times: int = 10**6
    after: int = 0


class Hub:
    """The server's state; use as a context manager."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.parts: dict[tuple[str, int], bytes] = {}
        self.failures: list[Failure] = []
        self.requests: list[tuple[str, str, int]] = []
        self.hidden: set[str] = set()
        self.accounts = Accounts()
        self.lock = threading.RLock()

    def __enter__(self) -> "Hub":
        handler = type("Bound", (Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def files(self, repo: str, revision: str = "main") -> dict[str, bytes]:
        """Published files, without the one that the Hub makes itself."""
        return {
            path: data
            for path, data in self.repositories[repo].revisions[revision].items()
            if path != ".gitattributes"
        }

    def asked(self, method: str, pattern: str) -> list[str]:
        """Paths of requests of a method whose path matches."""
        return [
            path for verb, path, _ in self.requests if verb == method and re.search(pattern, path)
        ]

    def failure(self, method: str, path: str) -> Failure | None:
        """The failure due for a request, counted down."""
        with self.lock:
            for failure in self.failures:
                if failure.method == method and re.search(failure.path, path) and failure.times:
                    if failure.after:
                        failure.after -= 1
                        return None
                    failure.times -= 1
                    return failure
        return None
