"""Many files fetched at once, each held against its checksum, with progress."""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from bimotion.data.download.remote import STOPPED_WITHIN_S, RemoteFile, Stopped, fetch
from bimotion.errors import DownloadError, some
from bimotion.io.progress import Progress

N_CONNECTIONS = 8
MEGABYTE = 10**6
STOPPING = f"stopping: open connections end within {STOPPED_WITHIN_S:.0f} s"
MAX_PROBLEMS = 20  # of a host that has lost all files, not each is asked for


def fetch_all(
    files: list[RemoteFile],
    laid: Path,
    parts: Path,
    progress: Progress,
    label: str,
    *,
    allow_missing: bool,
) -> list[str]:
    """Fetch files into a folder; those that are there already are checked, not fetched.

    Args:
        files: What to fetch.
        laid: Takes whole and right files, by their paths.
        parts: Takes what is begun, and what is wrong.
        progress: Shows the megabytes that have arrived.
        label: Names the work.
        allow_missing: Files that no address has, or has right, are left out.

    Returns:
        Why files were left out, a line each.

    Raises:
        DownloadError: Files cannot be had, or are wrong.
        StorageError: The disk is full.
    """
    wanted = [file for file in files if not _is_there(file, laid / file.path)]
    arrived: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    stop, problems = threading.Event(), []
    arrived.put(_begun_bytes(wanted, parts))

    def work(file: RemoteFile) -> None:
        if stop.is_set():
            raise Stopped
        try:
            part = parts / f"{file.path}.part"
            if problem := fetch(file, laid / file.path, part, stop, arrived.put):
                problems.append(problem)
                if len(problems) >= MAX_PROBLEMS and not allow_missing:
                    stop.set()
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(N_CONNECTIONS) as pool:
        futures = [pool.submit(work, file) for file in wanted]
        for future in futures:
            future.add_done_callback(lambda _: arrived.put(None))
        try:
            total = -(-sum(file.n_bytes or 0 for file in wanted) // MEGABYTE)
            for _ in progress.track(_megabytes(arrived, len(futures), stop), total, label, "MB"):
                pass
        except KeyboardInterrupt:
            progress.say(STOPPING)
            raise
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    _raise_first(futures)
    if problems and not allow_missing:
        raise DownloadError(
            f"expected the published files, found {len(problems)} that are not to be had: "
            f"{some(sorted(problems), shown=3)}; nothing is laid out, what is right is kept. Run "
            "the command again, name a --mirror, or go on without them by --allow-missing"
        )
    return sorted(problems)


def _begun_bytes(files: list[RemoteFile], parts: Path) -> int:
    """The bytes that an earlier call has fetched of files that are not whole."""
    begun = [parts / f"{file.path}.part" for file in files]
    return sum(path.stat().st_size for path in begun if path.is_file())


def _is_there(file: RemoteFile, path: Path) -> bool:
    return path.is_file() and file.difference(path) is None


def _megabytes(
    arrived: "queue.SimpleQueue[int | None]", n_files: int, stop: threading.Event
) -> Iterator[int]:
    """One item a megabyte that arrives, until all files have ended or the work is stopped."""
    n_bytes = n_megabytes = 0
    while n_files and not stop.is_set():
        news = arrived.get()
        n_files -= news is None
        n_bytes += news or 0
        while n_megabytes < n_bytes // MEGABYTE:
            n_megabytes += 1
            yield n_megabytes


def _raise_first(futures: list[Future]) -> None:
    """Raise what stopped the work."""
    ended = [future for future in futures if not future.cancelled()]
    for error in filter(None, (future.exception() for future in ended)):
        if not isinstance(error, Stopped):
            raise error
