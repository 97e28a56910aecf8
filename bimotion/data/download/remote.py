"""Files at addresses: asked for their size, read, and fetched, over one pooled client (that of
huggingface_hub: redirects, proxies of the environment, certificates).

A server is never believed: what it sends is bounded before it is written, and no name of a file
comes from it.
"""

import hashlib
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import errors
from huggingface_hub.utils import get_session

from bimotion.errors import DownloadError, SettingError, printable
from bimotion.io.addresses import host_of, shown, without_passwords
from bimotion.io.files import storing
from bimotion.io.hub import not_connected

UNREACHED = "not reached"
"""How a problem begins where no host answered."""
TIMEOUT_S = 30.0  # without a byte
MIN_BYTES_PER_S, PACE_S = 512.0, 60.0
"""A host that sends less over so long is given up, as one that sends nothing: else a byte now and
then would keep a download for ever."""
HEADERS_S = TIMEOUT_S + PACE_S
"""The longest wait for the headers of an answer, redirects followed."""
STOP_SLICE_S = 0.2  # of that wait, after which it is asked whether to stop
STOPPED_WITHIN_S = max(TIMEOUT_S, STOP_SLICE_S)
"""The longest that an open connection goes on after the work is stopped: a body is waited for until
its next bytes come."""
CHUNK_BYTES = 256 * 1024
HEADERS = {"Accept-Encoding": "identity"}  # packed on the way, a file could not be gone on with
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""
MAX_FAILURES, MAX_REQUESTS = 4, 50  # of one file at one address: in a row, and in all
FIRST_WAIT_S, MAX_WAIT_S = 0.5, 60.0  # doubled after each failure
# of the library below huggingface_hub, which names it by no other way; it is no HTTPError
_InvalidURL = import_module(errors.HTTPError.__module__.partition(".")[0]).InvalidURL
_answered: set[str] = set()
"""Hosts that have answered this process."""
_TROUBLE = (errors.HTTPError, errors.OfflineModeIsEnabled, ValueError, _InvalidURL)


@dataclass(frozen=True)
class RemoteFile:
    """A file of a corpus, and the addresses that have it."""

    path: str
    """POSIX path below the corpus's folder, ours and not the server's."""
    addresses: tuple[str, ...]
    n_bytes: int | None
    """None: not known before it is asked for."""
    checksum: tuple[str, str] | None
    """Algorithm (sha256, md5, or git: SHA-1 of git's object) and digest; None: not known."""
    max_bytes: int

    def difference(self, path: Path) -> str | None:
        """Compare a file that should be this one, and say in a few words what is wrong; None:
        nothing."""
        n_bytes = path.stat().st_size
        if self.n_bytes is not None and n_bytes != self.n_bytes:
            return f"expected {self.n_bytes} bytes, found {n_bytes}"
        if self.checksum is None:
            return None
        algorithm, expected = self.checksum
        computed = _digest(path, algorithm)
        if computed == expected:
            return None
        return f"expected {algorithm} {expected}, found {computed}"


class Stopped(Exception):
    """The fetching of other files failed, or the user has stopped it."""


class _Refused(Exception):
    """An address that does not have the file."""


class _Unreachable(_Refused):
    """An address of which nobody can tell whether it has the file."""


class _TooSlow(Exception):
    """The bytes of an answer come too slowly to end in good time."""


@dataclass
class _Pace:
    """The speed at which an answer comes, from one window of time to the next."""

    start: float = field(default_factory=time.monotonic)
    n_bytes: int = 0
    """Since the start of the window."""

    def add(self, n_bytes: int) -> None:
        """Count bytes that have come; raises _TooSlow at the end of a window that had too few."""
        self.n_bytes += n_bytes
        passed = time.monotonic() - self.start
        if passed < PACE_S:
            return
        rate = self.n_bytes / passed
        if rate < MIN_BYTES_PER_S:
            raise _TooSlow(
                f"expected at least {MIN_BYTES_PER_S:.0f} bytes a second, found {rate:.0f} over "
                f"{passed:.0f} s"
            )
        self.start, self.n_bytes = time.monotonic(), 0


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as stream:
        if algorithm != "git":
            return hashlib.file_digest(stream, algorithm).hexdigest()
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
        return digest.hexdigest()


def client() -> Any:
    """The pooled client; raises SettingError where it cannot begin with what the environment
    says."""
    try:
        return get_session()
    # SOCKS without its package, a file of certificates that is not there, no address
    except (ImportError, OSError, ValueError, _InvalidURL) as error:
        raise SettingError(
            "expected proxies and certificates of the environment (HTTP_PROXY, HTTPS_PROXY, "
            f"ALL_PROXY, SSL_CERT_FILE, SSL_CERT_DIR) that can be used, found: {_reason(error)}"
        ) from None


@contextmanager
def _answered_by(
    address: str,
    headers: dict[str, str],
    method: str = "GET",
    stop: threading.Event | None = None,
) -> Iterator[Any]:
    """The answer of an address, once its headers are there, redirects followed; raises _TooSlow
    where they are not within HEADERS_S, Stopped soon after `stop` is set. The client has no such
    limit, only one for the time without a byte: so a thread asks, which is left alone with a host
    that drips."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        try:
            asked = client().build_request(method, address, headers=headers, timeout=TIMEOUT_S)
            answers.put(client().send(asked, stream=True))
        except BaseException as error:
            answers.put(error)

    threading.Thread(target=work, daemon=True).start()
    answer = _waited_for(answers, stop)
    if isinstance(answer, BaseException):
        raise answer
    with closing(answer):
        yield answer


def _waited_for(answers: "queue.SimpleQueue[Any]", stop: threading.Event | None) -> Any:
    """The first of some answers; raises _TooSlow, Stopped."""
    end = time.monotonic() + HEADERS_S
    while (left_s := end - time.monotonic()) > 0:
        if stop is not None and stop.is_set():
            raise Stopped
        with suppress(queue.Empty):
            return answers.get(timeout=min(left_s, STOP_SLICE_S))
    raise _TooSlow(f"expected headers within {HEADERS_S:.0f} s, found none")


def ask(address: str) -> tuple[str | None, int | None]:
    """Ask an address for its headers only.

    Returns:
        What is wrong with it (None: nothing), and how many bytes it says that it has.
    """
    try:
        with _answered_by(address, HEADERS, "HEAD") as response:
            if response.status_code not in (403, 405, 501):
                return _answer(response)
        part = HEADERS | {"Range": "bytes=0-0"}  # signed addresses are signed for GET
        with _answered_by(address, part) as response:
            return _answer(response)
    except (*_TROUBLE, _TooSlow) as error:
        return f"{UNREACHED}: {_reason(error)}", None


def _answer(response: Any) -> tuple[str | None, int | None]:
    if response.status_code not in (200, 206):
        return f"status {response.status_code}", None
    total = re.fullmatch(r"bytes \d+-\d+/(\d{1,15})", response.headers.get("content-range", ""))
    length = total[1] if total else response.headers.get("content-length", "")
    return None, int(length) if re.fullmatch(r"\d{1,15}", length) else None


def read_json(address: str, max_bytes: int) -> Any:
    """The JSON at an address; raises DownloadError."""
    content = bytearray()
    try:
        with _answered_by(address, HEADERS) as response:
            if response.status_code != 200:
                raise DownloadError(
                    f"{shown(address)}: expected an answer, found {_answer(response)[0]}"
                )
            pace = _Pace()
            for chunk in response.iter_bytes():
                content += chunk
                pace.add(len(chunk))
                if len(content) > max_bytes:
                    raise DownloadError(
                        f"{shown(address)}: expected at most {max_bytes} bytes, found more"
                    )
        return json.loads(bytes(content))
    except (*_TROUBLE, _TooSlow, RecursionError) as error:
        raise DownloadError(f"{shown(address)}: expected JSON, found: {_reason(error)}") from None


def fetch(
    file: RemoteFile,
    target: Path,
    part: Path,
    stop: threading.Event,
    count: Callable[[int], None],
) -> str | None:
    """Fetch a file, where one was begun going on with it. It takes its name only if its checksum is
    the one expected; else it is kept as `.wrong` beside `part`.

    Args:
        file: What to fetch, and from where: address by address until one gives it.
        target: Takes the whole and right file.
        part: What has arrived so far.
        stop: Ends the work soon after it is set.
        count: Told how many bytes have arrived since the last call.

    Returns:
        Why no address has the file, or the right one; None: it is there.

    Raises:
        DownloadError: It is not there, and an address cannot be reached.
        StorageError: The disk is full.
        Stopped: `stop` was set.
    """
    problems, is_known = [], True
    with storing(target):
        for folder in (target.parent, part.parent):
            folder.mkdir(parents=True, exist_ok=True)
        for address in file.addresses:
            host = host_of(address)
            for _ in range(2):  # the second time where pieces of the first may not belong together
                try:
                    is_one_piece = _receive_all(file, address, part, stop, count)
                except _Refused as refusal:
                    problems.append(f"{host}: {refusal}")
                    is_known &= not isinstance(refusal, _Unreachable)
                    break
                if (difference := file.difference(part)) is None:
                    part.replace(target)
                    return None
                wrong = part.replace(part.with_name(f"{target.name}.wrong"))
                if is_one_piece:
                    problems.append(f"{host}: {difference} (kept as {wrong})")
                    break
    problem = f"{file.path}: {'; '.join(problems)}"
    if is_known:
        return problem
    raise DownloadError(
        f"{problem}; name another source by --mirror, or try again later: what has arrived is "
        "kept, and the same command goes on from there"
    )


def _receive_all(
    file: RemoteFile, address: str, part: Path, stop: threading.Event, count: Callable[[int], None]
) -> bool:
    """Ask until all bytes are there.

    Returns:
        Whether they came in one piece.

    Raises:
        _Refused, _Unreachable, Stopped.
    """
    n_failures = n_before = 0
    for _ in range(MAX_REQUESTS):
        n_before = part.stat().st_size if part.exists() else 0
        if n_before == file.n_bytes:
            return False
        wait_s, reason, is_slow = 0.0, "ended early", False
        try:
            wait_s, reason = _receive(file, address, part, stop, count)
            if reason is None:
                return n_before == 0
        except _TROUBLE as error:
            reason = _reason(error)
            # a host that has answered before is asked again: its name is right
            is_away = not_connected(error) and urlsplit(address).netloc not in _answered
            if is_away or isinstance(error, errors.OfflineModeIsEnabled):
                break
        except _TooSlow as error:
            reason, is_slow = str(error), True
        has_grown = part.exists() and part.stat().st_size > n_before
        n_failures = 0 if has_grown and not is_slow else n_failures + 1
        if n_failures > MAX_FAILURES:
            break
        if stop.wait(min(max(wait_s, FIRST_WAIT_S * 2**n_failures), MAX_WAIT_S)):
            raise Stopped
    raise _Unreachable(reason)


def _receive(
    file: RemoteFile, address: str, part: Path, stop: threading.Event, count: Callable[[int], None]
) -> tuple[float, str | None]:
    """Ask once for what is missing.

    Returns:
        Seconds to wait before the next request, and why one is needed; None: all is there.
    """
    n_done = part.stat().st_size if part.exists() else 0
    asked = HEADERS | ({"Range": f"bytes={n_done}-"} if n_done else {})
    with _answered_by(address, asked, stop=stop) as response:
        status = response.status_code
        _answered.add(urlsplit(address).netloc)
        if status in PASSING:
            wait = response.headers.get("retry-after", "")
            return float(wait) if re.fullmatch(r"\d{1,6}", wait) else 0.0, f"status {status}"
        if status == 416:  # it has fewer bytes than are there
            part.unlink(missing_ok=True)
            return 0.0, "status 416"
        if status not in (200, 206):
            raise _Refused(f"status {status}")
        begins = f"bytes {n_done}-"
        if status == 206 and not response.headers.get("content-range", "").startswith(begins):
            part.unlink(missing_ok=True)
            return 0.0, "another part than the one asked for"
        with part.open("ab" if status == 206 else "wb", buffering=0) as stream:
            pace = _Pace()
            for chunk in response.iter_bytes():  # as it comes: what has arrived is kept
                if stop.is_set():
                    raise Stopped
                if stream.tell() + len(chunk) > file.max_bytes:
                    part.unlink()  # no beginning of the file: nothing can go on from there
                    raise _Refused(f"expected at most {file.max_bytes} bytes, found more")
                stream.write(chunk)
                count(len(chunk))
                pace.add(len(chunk))
            is_whole = file.n_bytes is None or stream.tell() >= file.n_bytes
    return 0.0, None if is_whole else f"ended before its {file.n_bytes} bytes"


def _reason(error: Exception) -> str:
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set: unset it"
    if why := not_connected(error):
        return f"no connection, is this machine offline? ({why})"
    text = without_passwords(" ".join(str(error).split()))
    return printable(text[:200]) or type(error).__name__
