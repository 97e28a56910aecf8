"""Progress of long work: a bar on a terminal or in a notebook, a line now and then where output is
written to a file."""

import os
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")
LINE_EVERY_S = 60.0
VERBOSE_LINE_EVERY_S = 10.0


class Progress:
    """A reporter that is silent; `Bars` and `Lines` are those that show.

    >>> list(Progress().track("ab", total=2, label="letters"))
    ['a', 'b']
    """

    def track(
        self, items: Iterable[Item], total: int, label: str, unit: str = "clips"
    ) -> Iterable[Item]:
        """The items, counted as they pass; `unit` names what is counted."""
        return items

    @contextmanager
    def task(self, label: str) -> Iterator[None]:
        """Work of unknown length."""
        yield

    def say(self, message: str) -> None:
        """One line about what is going on."""


class Bars(Progress):
    """Bars with count, rate and time left, in a notebook or on a terminal's standard error."""

    def track(
        self, items: Iterable[Item], total: int, label: str, unit: str = "clips"
    ) -> Iterable[Item]:
        with warnings.catch_warnings():
            # a notebook without ipywidgets: the bar is text there, which is no fault
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm

            bar = tqdm(
                items,
                total=total,
                desc=label,
                unit=f" {unit}",
                leave=False,
                file=sys.stderr,
                dynamic_ncols=True,
            )
        yield from bar

    @contextmanager
    def task(self, label: str) -> Iterator[None]:
        for _ in self.track(range(1), 1, label, unit="steps"):
            yield

    def say(self, message: str) -> None:
        from tqdm import tqdm

        tqdm.write(message, file=sys.stderr)


class Lines(Progress):
    """One line on standard error every `every_s` seconds while work goes on: for logs of batch
    jobs.

    Work that ends within `every_s` seconds prints nothing.
    """

    def __init__(self, every_s: float = LINE_EVERY_S):
        self.every_s = every_s
        self._works: list[_Work] = []
        # of the two below: work may begin in one thread while it ends in another
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def track(
        self, items: Iterable[Item], total: int, label: str, unit: str = "clips"
    ) -> Iterable[Item]:
        work = _Work(label, unit, total)
        with self._shown(work):
            for item in items:
                yield item
                work.n_done += 1

    @contextmanager
    def task(self, label: str) -> Iterator[None]:
        with self._shown(_Work(label)):
            yield

    def say(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    @contextmanager
    def _shown(self, work: "_Work") -> Iterator[None]:
        with self._lock:
            self._works.append(work)
            if self._thread is None:
                self._ended = threading.Event()
                self._thread = threading.Thread(
                    target=self._report, args=(self._ended,), daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            ending = None
            with self._lock:
                self._works.remove(work)
                if not self._works:
                    ending, self._thread = self._thread, None
                    self._ended.set()
            if ending is not None:  # no thread is left to the exit of the interpreter
                ending.join()

    def _report(self, ended: threading.Event) -> None:
        while not ended.wait(self.every_s):
            self.say("; ".join(str(work) for work in list(self._works)))


@dataclass(eq=False)
class _Work:
    """Something that goes on: how much of it is done since when."""

    label: str
    unit: str = ""
    total: int | None = None
    n_done: int = 0
    started: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        elapsed_s = time.monotonic() - self.started
        if self.total is None:
            return f"{self.label}: {duration(elapsed_s)} so far"
        text = f"{self.label}: {self.n_done} of {self.total} {self.unit}"
        if not self.n_done:
            return f"{text}, {duration(elapsed_s)} so far"
        rate = self.n_done / elapsed_s
        return f"{text}, {rate:.3g}/s, {duration((self.total - self.n_done) / rate)} left"


def duration(seconds: float) -> str:
    """A time that a person can read.

    >>> duration(40), duration(400), duration(8000)
    ('40 s', '6 min 40 s', '2 h 13 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"


def default_progress(verbose: bool = False) -> Progress:
    """How this process shows long work: a bar in notebooks and on terminals, a line a minute
    elsewhere (every 10 s when `verbose`), nothing in processes that only train along with the
    first, or that have no standard error."""
    if os.environ.get("RANK", "0") != "0" or sys.stderr is None:
        return Progress()
    if sys.stderr.isatty() or _in_notebook():
        return Bars()
    return Lines(VERBOSE_LINE_EVERY_S if verbose else LINE_EVERY_S)


def _in_notebook() -> bool:
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and "IPKernelApp" in getattr(get_ipython(), "config", {})
