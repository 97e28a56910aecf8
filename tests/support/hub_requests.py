"""The requests that the stand-in Hub answers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.hub_repository import Repository, git_hash, is_lfs

if TYPE_CHECKING:
    from tests.support.hub_server import Hub

PART_BYTES = 20_000  # larger objects come in parts
# ann may write to org, bob only read and propose
ACCOUNTS = {"hf_writer": "ann", "hf_guest": "bob"}
WRITERS = {"org": {"ann"}}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    hub: Hub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet

    def log_message(self, *_) -> None:
        """Silent: `Hub.requests` is the log."""

    def do_GET(self) -> None:
        self.handle_one()

    do_POST = do_PUT = do_HEAD = do_GET

    def handle_one(self) -> None:
        """Note the request, fail if that is due, else answer."""
        url = urlsplit(self.path)
        self.endpoint, self.query = unquote(url.path), parse_qs(url.query)
        length = int(self.headers.get("content-length") or 0)
        failure = self.hub.failure(self.command, self.endpoint)
        if failure and failure.status is None:
            self.rfile.read(length // 2)
            self.hub.requests.append((self.command, self.endpoint + " CUT", length // 2))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        self.body = (
            self.rfile.read(length)
            if "chunked" not in self.headers.get("transfer-encoding", "")
            else self.chunks()
        )
        self.hub.requests.append((self.command, self.endpoint, len(self.body)))
        if failure:
            return self.refuse(failure.status, failure.message)
        with self.hub.lock:
            return self.route()

    def chunks(self) -> bytes:
        """Body of a request without length."""
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def route(self) -> None:
        """To the endpoint."""
        if self.endpoint.startswith("/storage/"):
            return self.store()  # signed addresses: no token
        self.account = ACCOUNTS.get(self.headers.get("authorization", "").removeprefix("Bearer "))
        if self.endpoint == "/api/whoami-v2":
            if self.account is None:
                return self.refuse(401, "Invalid credentials in Authorization header")
            return self.answer({"type": "user", "name": self.account, "orgs": [{"name": "org"}]})
        if self.endpoint.startswith(("/api/users/", "/api/organizations/")):
            return self.hub.accounts.answer(self)
        if self.endpoint == "/api/validate-yaml":
            content = json.loads(self.body)["content"]
            if "license: mine" in content:
                return self.answer(
                    {"errors": [{"message": '"license" must be one of'}], "warnings": []}, 400
                )
            return self.answer({"errors": [], "warnings": []})
        if self.endpoint == "/api/repos/create":
            return self.create()
        kinds = r"(?:/api)?/(?:datasets/|models/)?"
        match = re.match(rf"{kinds}([^/]+/[^/]+?)(\.git)?(?:/(.*))?$", self.endpoint)
        if match is None:
            return self.refuse(404, "no such endpoint")
        self.name, self.rest = match[1], match[3] or ""
        repository = self.hub.repositories.get(self.name)
        if (
            repository is None
            or self.name in self.hub.hidden
            or (repository.private and not self.may_write())
        ):
            return self.refuse(404 if self.account else 401, "Repository not found", "RepoNotFound")
        self.repository = repository
        return self.in_repository()

    def may_write(self) -> bool:
        return self.account in WRITERS.get(self.name.split("/")[0], ())

    def in_repository(self) -> None:
        """Endpoints below a repository."""
        verb, _, rest = self.rest.partition("/")
        if verb in ("", "revision"):
            return self.facts()
        if verb == "tree":
            return self.tree(rest)
        if verb == "paths-info":
            return self.paths_info(rest)
        if verb == "resolve":
            return self.resolve(rest)
        if verb == "discussions":
            return self.discussions()
        if verb == "preupload":
            return self.preupload(rest)
        if self.rest == "info/lfs/objects/batch":
            return self.batch()
        if self.rest == "info/lfs/verify":
            asked = json.loads(self.body)
            arrived = len(self.hub.objects.get(asked["oid"], b"")) == asked["size"]
            return self.answer({}) if arrived else self.refuse(422, "size differs")
        if verb == "commit":
            return self.commit(rest)
        return self.refuse(404, "no such endpoint")

    def facts(self) -> None:
        siblings = [{"rfilename": path} for path in self.repository.revisions["main"]]
        of_repository = {
            "id": self.name,
            "sha": self.repository.sha,
            "private": self.repository.private,
            "siblings": siblings,
        }
        always = {
            "lastModified": "2026-01-01T00:00:00.000Z",
            "tags": [],
            "downloads": 0,
            "likes": 0,
        }
        self.answer(of_repository | always)

    def discussions(self) -> None:
        author = self.query.get("author", [None])[0]
        mine = [
            proposal
            for proposal in self.repository.proposals
            if author in (None, proposal["author"]["name"])
        ]
        self.answer({"discussions": mine, "count": len(mine), "start": 0})

    def create(self) -> None:
        wanted = json.loads(self.body)
        self.name = f"{wanted['organization']}/{wanted['name']}"
        if self.account is None:
            return self.refuse(401, "Invalid credentials in Authorization header")
        if not self.may_write():
            return self.refuse(
                403, f"You don't have the rights to create a dataset under {wanted['organization']}"
            )
        assert wanted["type"] == "dataset"
        url = f"{self.hub.url}/datasets/{self.name}"
        if self.name in self.hub.repositories:
            self.hub.hidden.discard(self.name)
            return self.answer({"url": url, "error": "You already created this dataset repo"}, 409)
        # newer and older clients
        private = wanted.get("visibility") == "private" or wanted.get("private", False)
        self.hub.repositories[self.name] = Repository(private)
        return self.answer({"url": url, "name": self.name})

    def revision(self, text: str) -> tuple[dict[str, bytes] | None, str]:
        """Files of the revision that a path begins with (a commit's name means main), and the rest
        of the path."""
        for name, files in self.repository.revisions.items():
            if text == name or text.startswith(name + "/"):
                return files, text[len(name) + 1 :]
        head, _, rest = text.partition("/")
        return (
            (self.repository.revisions["main"], rest) if head == self.repository.sha else (None, "")
        )

    def entry(self, path: str, content: bytes) -> dict:
        entry = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
        if is_lfs(path, content):
            entry["lfs"] = {
                "oid": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "pointerSize": 130,
            }
        return entry

    def tree(self, rest: str) -> None:
        files, folder = self.revision(rest)
        if files is None:
            return self.refuse(404, "no such revision", "RevisionNotFound")
        inside = {
            path: content
            for path, content in files.items()
            if path.startswith(folder + "/") or not folder
        }
        if folder and not inside:
            return self.refuse(404, "no such folder", "EntryNotFound")
        folders = sorted({path.rpartition("/")[0] for path in inside} - {""})
        entries = [
            {"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders
        ]
        return self.answer(
            entries + [self.entry(path, content) for path, content in inside.items()]
        )

    def paths_info(self, rest: str) -> None:
        files, _ = self.revision(rest)
        form = parse_qs(self.body.decode()) if self.body[:1] != b"{" else json.loads(self.body)
        entries = [self.entry(path, files[path]) for path in form["paths"] if path in files]
        folders = [
            path for path in form["paths"] if any(name.startswith(path + "/") for name in files)
        ]
        return self.answer(
            entries
            + [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders]
        )

    def resolve(self, rest: str) -> None:
        files, path = self.revision(rest)
        if not files or path not in files:
            self.refuse(404, "no such file", "EntryNotFound")
            return
        content = files[path]
        start, total = 0, len(content)
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", "")):
            start = int(wanted[1])
            content = content[start : int(wanted[2]) + 1 if wanted[2] else None]
        self.send_response(206 if wanted else 200)
        self.send_header("content-length", str(len(content)))
        if wanted:
            self.send_header("content-range", f"bytes {start}-{start + len(content) - 1}/{total}")
        self.send_header("etag", f'"{hashlib.sha256(files[path]).hexdigest()}"')
        self.send_header("x-repo-commit", self.repository.sha)
        self.end_headers()
        self.wfile.write(content if self.command != "HEAD" else b"")

    def preupload(self, rest: str) -> None:
        files, _ = self.revision(rest)
        if (
            not self.may_write()
            and "create_pr" not in self.query
            and not rest.startswith("refs/pr/")
        ):
            return self.refuse(403, "Forbidden: you must have write access")
        answers = []
        for asked in json.loads(self.body)["files"]:
            sample = base64.b64decode(asked["sample"]).ljust(asked["size"], b"x")
            mode = "lfs" if is_lfs(asked["path"], sample) else "regular"
            there = files.get(asked["path"])
            oid = (
                there
                if there is None
                else hashlib.sha256(there).hexdigest()
                if mode == "lfs"
                else git_hash(there)
            )
            answers.append(
                {"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}
            )
        return self.answer({"files": answers, "commitOid": self.repository.sha})

    def batch(self) -> None:
        asked = json.loads(self.body)
        assert asked["operation"] == "upload"
        objects = []
        for wanted in asked["objects"]:
            oid, size = wanted["oid"], wanted["size"]
            if oid in self.hub.objects:
                objects.append({"oid": oid, "size": size})
                continue
            base, header = f"{self.hub.url}/storage/{oid}", {}
            if size > PART_BYTES:
                n_parts = -(-size // PART_BYTES)
                parts = {
                    f"{number:05}": f"{base}/{number}?X-Signature=geheim"
                    for number in range(1, n_parts + 1)
                }
                header = {"chunk_size": str(PART_BYTES), **parts}
            upload = {
                "href": f"{base}{'/complete' if header else ''}?X-Signature=geheim",
                "header": header,
            }
            verify = {"href": f"{self.hub.url}/datasets/{self.name}.git/info/lfs/verify"}
            objects.append(
                {"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}
            )
        return self.answer({"transfer": "basic", "objects": objects})

    def store(self) -> None:
        _, _, oid, *part = self.endpoint.split("/")
        if self.headers.get("authorization"):
            return self.refuse(400, "storage must not see tokens")
        if part == ["complete"]:
            named = [part["partNumber"] for part in json.loads(self.body)["parts"]]
            content = b"".join(self.hub.parts.pop((oid, number)) for number in named)
        elif part:
            self.hub.parts[oid, int(part[0])] = self.body
            return self.answer({}, headers={"etag": f'"{hashlib.md5(self.body).hexdigest()}"'})
        else:
            content = self.body
        if hashlib.sha256(content).hexdigest() != oid:
            return self.refuse(400, "content is not what its name says")
        self.hub.objects[oid] = content
        return self.answer({})

    def commit(self, rest: str) -> None:
        files, _ = self.revision(rest)
        proposing = "create_pr" in self.query
        own_proposal = any(
            proposal["ref"] == rest and proposal["author"]["name"] == self.account
            for proposal in self.repository.proposals
        )
        if not (self.may_write() or proposing or own_proposal):
            return self.refuse(403, "Forbidden: you must have write access")
        header, *lines = [json.loads(line) for line in self.body.splitlines()]
        for line in lines:
            if line["key"] == "lfsFile" and line["value"]["oid"] not in self.hub.objects:
                return self.refuse(400, f"lfs pointer to nothing: {line['value']['path']}")
        summary, paths = header["value"]["summary"], [line["value"]["path"] for line in lines]
        self.repository.commits.append({"summary": summary, "paths": paths})
        answer = {
            "commitUrl": f"{self.hub.url}/datasets/{self.name}/commit/{self.repository.sha}",
            "commitOid": self.repository.sha,
        }
        if proposing:
            number = self.propose(summary)
            rest = f"refs/pr/{number}"
            answer["pullRequestUrl"] = f"{self.hub.url}/datasets/{self.name}/discussions/{number}"
        self.repository.revisions[rest] = self.changed(files, lines)
        return self.answer(answer)

    def changed(self, files: dict[str, bytes], lines: list[dict]) -> dict[str, bytes]:
        """The files of a revision after a commit."""
        changed = dict(files)
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "file":
                    changed[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    changed[value["path"]] = self.hub.objects[value["oid"]]
                case "deletedFile":
                    del changed[value["path"]]
                case other:
                    raise AssertionError(other)
        return changed

    def propose(self, title: str) -> int:
        """Number of a new pull request."""
        number = len(self.repository.proposals) + 1
        proposal = {
            "title": title,
            "num": number,
            "author": {"name": self.account},
            "status": "open",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "repo": {"name": self.name, "type": "dataset"},
            "isPullRequest": True,
            "ref": f"refs/pr/{number}",
        }
        self.repository.proposals.append(proposal)
        return number

    def refuse(self, status: int, message: str, code: str | None = None) -> None:
        headers = {"x-error-message": message} | ({"x-error-code": code} if code else {})
        self.answer({"error": message}, status, headers)

    def answer(
        self, content: object, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in (
            {"content-type": "application/json", "content-length": str(len(data))} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
