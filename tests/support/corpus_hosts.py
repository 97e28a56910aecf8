"""The hosts of corpora on this machine: one server that has files as `/<host>/<path>`, answers
requests for parts, is a proxy, and can be told to fail."""

import contextlib
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Fault:
    """The failure of requests whose path matches, so many times."""

    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Bytes of the body after which the line is cut."""
    stall: bool = False
    """After `cut_after` bytes nothing comes any more, in place of the cut."""
    drips: bool = False
    """After `cut_after` bytes one byte comes now and then, in place of the cut."""
    drips_headers: bool = False
    """Before the body one byte comes now and then, without end."""
    content: bytes | None = None
    """Other bytes than the file's."""
    ignores_range: bool = False
    times: int = 10**6


class Hosts:
    """The server's state; use as a context manager."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, str]] = []
        self.is_closed = False
        self.lock = threading.Lock()
        self.barrier: threading.Barrier | None = None  # for requests that come at the same time

    def __enter__(self) -> "Hosts":
        handler = type("Bound", (_Handler,), {"hosts": self})
        self.server = _Server(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        poll = {"poll_interval": 0.02}
        threading.Thread(target=self.server.serve_forever, kwargs=poll, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.is_closed = True
        self.server.shutdown()
        self.server.server_close()

    def mirrors(self, *hosts: str) -> list[str]:
        """Values of `--mirror` that put this server in the place of hosts."""
        return [f"{host}={self.url}/{host}" for host in hosts]

    def add(self, prefix: str, files: dict[str, bytes]) -> None:
        """Serve files below `/prefix/`."""
        self.files |= {f"/{prefix}/{path}": content for path, content in files.items()}

    def asked(self, pattern: str, method: str = "GET") -> list[tuple[str, str]]:
        """Path and range of requests whose path matches."""
        asked = [(path, part) for verb, path, part in self.requests if verb == method]
        return [(path, part) for path, part in asked if re.search(pattern, path)]

    def fault(self, path: str) -> Fault | None:
        """The fault that is due, counted down."""
        with self.lock:
            for fault in self.faults:
                if re.search(fault.path, path) and fault.times:
                    fault.times -= 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # else the ninth connection at once waits for a second

    def handle_error(self, request, client_address) -> None:
        """Silent about clients that hang up, as they do on a host that drips."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    hosts: Hosts
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_) -> None:
        """Silent: `Hosts.requests` is the log."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path) + (f"?{url.query}" if url.query else "")
        if url.netloc:  # as a proxy is asked
            path = f"/{url.netloc}{path}"
        part = self.headers.get("range", "")
        self.hosts.requests.append((self.command, path, part))
        if self.hosts.barrier:
            self.hosts.barrier.wait(timeout=600)
        fault = self.hosts.fault(path) or Fault("")
        content = self.hosts.files.get(path)
        if fault.status is not None or content is None:
            return self._answer(fault.status or 404, b"", fault.headers)
        if fault.drips_headers:
            return self._drip_headers()
        content = content if fault.content is None else fault.content
        status, headers = 200, {"Accept-Ranges": "bytes"}
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", part)
        if match and not fault.ignores_range:
            first, total = int(match[1]), len(content)
            if first >= total:
                return self._answer(416, b"", {})
            content = content[first : int(match[2]) + 1 if match[2] else None]
            headers["Content-Range"] = f"bytes {first}-{first + len(content) - 1}/{total}"
            status = 206
        return self._answer(status, content, headers, fault)

    do_HEAD = do_GET

    def _drip_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        with contextlib.suppress(ConnectionError):  # the client gives it up
            while not self.hosts.is_closed:
                time.sleep(0.02)
                self.wfile.write(b"x")
                self.wfile.flush()
        self.close_connection = True

    def _answer(
        self, status: int, content: bytes, headers: dict[str, str], fault: Fault | None = None
    ) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is None or fault.cut_after is None or fault.cut_after >= len(content):
            self.wfile.write(content)
            return
        with contextlib.suppress(ConnectionError):  # the client gives a slow answer up
            self._begin(content, fault)
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _begin(self, content: bytes, fault: Fault) -> None:
        self.wfile.write(content[: fault.cut_after])
        self.wfile.flush()
        while fault.stall:
            time.sleep(0.05)
        for number in range(fault.cut_after, len(content) * fault.drips):
            time.sleep(0.02)
            self.wfile.write(content[number : number + 1])
            self.wfile.flush()
