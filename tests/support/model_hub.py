"""A stand-in for the Hub that serves models to read, after the documented answers of its `resolve`
and `api` endpoints."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


class ModelHub:
    """Serves folders as repositories, each at one commit, and notes the path of every request. A
    context manager."""

    def __init__(self, repositories: dict[str, Path]):
        self.repositories = repositories
        self.requests: list[tuple[str, str]] = []

    def __enter__(self) -> "ModelHub":
        handler = type("Bound", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def commit(self, name: str) -> str:
        return hashlib.sha1(name.encode()).hexdigest()

    def asked_for(self, part: str) -> bool:
        return any(part in path for _, path in self.requests)


class _Handler(BaseHTTPRequestHandler):
    hub: ModelHub

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        words = path.strip("/").split("/")
        name = "/".join(words[2:4] if words[0] == "api" else words[:2])
        if (folder := self.hub.repositories.get(name)) is None:
            return self.send(404, b"", {"X-Error-Code": "RepoNotFound"}, with_body)
        commit = self.hub.commit(name)
        if words[0] == "api":
            files = sorted(folder.iterdir())
            listed = {
                "id": name,
                "sha": commit,
                "siblings": [{"rfilename": file.name} for file in files],
            }
            tree = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
                for file in files
            ]
            return self.send(
                200, json.dumps(tree if "tree" in words else listed).encode(), {}, with_body
            )
        file = folder / "/".join(words[4:])
        headers = {"X-Repo-Commit": commit}
        if words[3] not in ("main", commit):
            return self.send(404, b"", headers | {"X-Error-Code": "RevisionNotFound"}, with_body)
        if not file.is_file():
            return self.send(404, b"", headers | {"X-Error-Code": "EntryNotFound"}, with_body)
        content = file.read_bytes()
        return self.send(
            200, content, headers | {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'}, with_body
        )

    def send(self, status: int, content: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_) -> None:
        pass
