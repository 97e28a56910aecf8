"""A stand-in for the Hub on this machine: the endpoints that `huggingface_hub` calls to publish,
kept in memory.

Written after the client's requests and the Hub's documented answers, not after our code. It notes
every request, checks what the Hub checks (token, permission, SHA-256 of what arrives, objects named
by a commit) and can be told to fail. `Client` is the other side: a process of its own, in which the
Hub's client is online and knows this server only.
"""

import base64
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LFS_FROM_BYTES = 1000  # other than text
PART_BYTES = 20_000  # larger objects come in parts
# ann may write to org, bob only read and propose
ACCOUNTS = {"hf_writer": "ann", "hf_guest": "bob"}
WRITERS = {"org": {"ann"}}


@dataclass
class Repository:
    """One dataset repository: revision -> path -> content."""

    private: bool
    revisions: dict[str, dict[str, bytes]] = field(
        default_factory=lambda: {"main": {".gitattributes": b"*.parquet lfs"}}
    )
    proposals: list[dict] = field(default_factory=list)
    commits: list[dict] = field(default_factory=list)


@dataclass
class Failure:
    """What requests that match get instead of an answer: a status, or (None) half of them read and
    the line cut."""

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
            for one in self.failures:
                if one.method == method and re.search(one.path, path) and one.times:
                    if one.after:
                        one.after -= 1
                        return None
                    one.times -= 1
                    return one
        return None


def git_hash(content: bytes) -> str:
    """Name of a blob in git."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_lfs(path: str, content: bytes) -> bool:
    """As `.gitattributes` of a new dataset repository has it, with a lower limit."""
    return path.endswith(".parquet") or (len(content) > LFS_FROM_BYTES and b"\0" in content)


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
        self.place, self.query = unquote(url.path), parse_qs(url.query)
        length = int(self.headers.get("content-length") or 0)
        failure = self.hub.failure(self.command, self.place)
        if failure and failure.status is None:
            self.rfile.read(length // 2)
            self.hub.requests.append((self.command, self.place + " CUT", length // 2))
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        self.body = (
            self.rfile.read(length)
            if "chunked" not in self.headers.get("transfer-encoding", "")
            else self.chunks()
        )
        self.hub.requests.append((self.command, self.place, len(self.body)))
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
        if self.place.startswith("/storage/"):
            return self.store()  # signed addresses: no token
        self.account = ACCOUNTS.get(self.headers.get("authorization", "").removeprefix("Bearer "))
        if self.place == "/api/whoami-v2":
            if self.account is None:
                return self.refuse(401, "Invalid credentials in Authorization header")
            return self.answer({"type": "user", "name": self.account, "orgs": [{"name": "org"}]})
        if self.place == "/api/validate-yaml":
            content = json.loads(self.body)["content"]
            if "license: mine" in content:
                return self.answer(
                    {"errors": [{"message": '"license" must be one of'}], "warnings": []}, 400
                )
            return self.answer({"errors": [], "warnings": []})
        if self.place == "/api/repos/create":
            return self.create()
        match = re.match(r"(?:/api)?/datasets/([^/]+/[^/]+?)(\.git)?(?:/(.*))?$", self.place)
        if match is None:
            return self.refuse(404, "no such endpoint")
        self.name, self.rest = match[1], match[3] or ""
        found = self.hub.repositories.get(self.name)
        if (
            found is None
            or self.name in self.hub.hidden
            or (found.private and not self.may_write())
        ):
            return self.refuse(404 if self.account else 401, "Repository not found", "RepoNotFound")
        self.repository = found
        return self.in_repository()

    def may_write(self) -> bool:
        return self.account in WRITERS.get(self.name.split("/")[0], ())

    def in_repository(self) -> None:
        """Endpoints below a repository."""
        verb, _, rest = self.rest.partition("/")
        if verb in ("", "revision"):
            siblings = [{"rfilename": path} for path in self.repository.revisions["main"]]
            facts = {
                "id": self.name,
                "sha": self.sha(),
                "private": self.repository.private,
                "siblings": siblings,
            }
            return self.answer(
                facts
                | {
                    "lastModified": "2026-01-01T00:00:00.000Z",
                    "tags": [],
                    "downloads": 0,
                    "likes": 0,
                }
            )
        if verb == "tree":
            return self.tree(rest)
        if verb == "paths-info":
            return self.paths_info(rest)
        if verb == "resolve":
            return self.resolve(rest)
        if verb == "discussions":
            author = self.query.get("author", [None])[0]
            mine = [
                one for one in self.repository.proposals if author in (None, one["author"]["name"])
            ]
            return self.answer({"discussions": mine, "count": len(mine), "start": 0})
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

    def sha(self) -> str:
        return hashlib.sha1(str(len(self.repository.commits)).encode()).hexdigest()

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
        return (self.repository.revisions["main"], rest) if head == self.sha() else (None, "")

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
        self.send_header("x-repo-commit", self.sha())
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
        return self.answer({"files": answers, "commitOid": self.sha()})

    def batch(self) -> None:
        asked = json.loads(self.body)
        assert asked["operation"] == "upload"
        objects = []
        for one in asked["objects"]:
            oid, size = one["oid"], one["size"]
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
        _, _, oid, *part = self.place.split("/")
        if self.headers.get("authorization"):
            return self.refuse(400, "storage must not see tokens")
        if part == ["complete"]:
            named = [one["partNumber"] for one in json.loads(self.body)["parts"]]
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
            one["ref"] == rest and one["author"]["name"] == self.account
            for one in self.repository.proposals
        )
        if not (self.may_write() or proposing or own_proposal):
            return self.refuse(403, "Forbidden: you must have write access")
        header, *lines = [json.loads(line) for line in self.body.splitlines()]
        changed = dict(files)
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "file":
                    changed[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    if value["oid"] not in self.hub.objects:
                        return self.refuse(400, f"lfs pointer to nothing: {value['path']}")
                    changed[value["path"]] = self.hub.objects[value["oid"]]
                case "deletedFile":
                    del changed[value["path"]]
                case other:
                    raise AssertionError(other)
        paths = [line["value"]["path"] for line in lines]
        self.repository.commits.append({"summary": header["value"]["summary"], "paths": paths})
        answer = {
            "commitUrl": f"{self.hub.url}/datasets/{self.name}/commit/{self.sha()}",
            "commitOid": self.sha(),
        }
        if proposing:
            number = len(self.repository.proposals) + 1
            rest = f"refs/pr/{number}"
            proposal = {
                "title": header["value"]["summary"],
                "num": number,
                "author": {"name": self.account},
                "status": "open",
            }
            proposal |= {
                "createdAt": "2026-01-01T00:00:00.000Z",
                "repo": {"name": self.name, "type": "dataset"},
            }
            self.repository.proposals.append(proposal | {"isPullRequest": True, "ref": rest})
            answer["pullRequestUrl"] = f"{self.hub.url}/datasets/{self.name}/discussions/{number}"
        self.repository.revisions[rest] = changed
        return self.answer(answer)

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


_CALLS = """
import importlib, json, os, sys, time
from dataclasses import asdict, is_dataclass
from pathlib import Path
from bimotion.errors import BimotionError
time.sleep = lambda seconds: None  # the client waits half a minute before it gives up
for line in sys.stdin:
    call = json.loads(line)
    os.environ.pop("HF_TOKEN", None)
    os.environ |= call["environment"]
    try:
        function = getattr(importlib.import_module(call["module"]), call["function"])
        value = function(*call["args"], **call["options"])
        answer = {"value": asdict(value) if is_dataclass(value) else value}
    except BimotionError as error:
        answer = {"error": str(error), "kind": type(error).__name__}
    print("ANSWER", json.dumps(answer, default=str), flush=True)
"""


class Refused(Exception):
    """What a call raised: a BimotionError's text. Anything else ends the process."""


class Client:
    """A process in which our functions are called; `output` is all that it wrote."""

    def __init__(self, hub: Hub, home, **environment: str) -> None:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("HF_")
        }
        inherited |= {
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_ENDPOINT": hub.url,
            "NO_PROXY": "127.0.0.1",
        }
        self.output: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CALLS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=inherited | environment,
        )

    def ask(
        self, module: str, function: str, *args, token: str | None = "hf_writer", **options
    ) -> None:
        """Begin a call without waiting for its end."""
        environment = {"HF_TOKEN": token} if token else {}
        asked = {
            "module": module,
            "function": function,
            "args": args,
            "options": options,
            "environment": environment,
        }
        self.process.stdin.write(json.dumps(asked, default=str) + "\n")
        self.process.stdin.flush()

    def call(self, module: str, function: str, *args, token: str | None = "hf_writer", **options):
        """Value of `module.function(...)`; raises Refused."""
        self.ask(module, function, *args, token=token, **options)
        for line in self.process.stdout:
            self.output.append(line)
            if line.startswith("ANSWER "):
                answer = json.loads(line.removeprefix("ANSWER "))
                if "error" in answer:
                    raise Refused(f"{answer['kind']}: {answer['error']}")
                return answer["value"]
        raise AssertionError("the client died:\n" + "".join(self.output))

    def close(self) -> None:
        self.process.stdin.close()
        self.output += self.process.stdout.readlines()
        self.process.wait(timeout=600)


def wait_for(condition, seconds: float = 600) -> None:
    """Until the condition holds; AssertionError where it hangs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
